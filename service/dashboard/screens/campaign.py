"""One campaign: why this figure?"""

from __future__ import annotations

from typing import Any

from service.api.problems import ProblemError
from service.dashboard import tables
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.sections import changed, deals, funnel, payback, tiles, velocity
from service.dashboard.tables import Shown, Table
from service.domain.catalogue import shown

_TOLD = ("campaign_type", "channel", "parent_id", "start_date", "end_date", "expected_revenue", "target_audience_size")


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    campaign = desk.state.one("campaign_id")
    known = await desk.campaigns()
    if campaign not in known:
        raise ProblemError(404, f"there is no campaign {shown(campaign)}")
    now = await desk.total("roi")
    desk.choose_return(now)
    return {
        "crumbs": [(desk.gettext("Campaigns"), desk.state.url("campaigns", campaign_id=None))],
        "title": desk.known_names[campaign], "campaign": campaign, "attributes": _attributes(desk, known[campaign]),
        "tiles": await tiles.read(desk, now), "months": await _months(desk), "payback": await payback.read(desk, now),
        "funnel": await funnel.read(desk), "velocity": await velocity.read(desk), "leads": await _leads(desk),
        "deals": await deals.read(desk, 15) if desk.sees_entries else None, "changed": await changed.read(desk),
    }  # fmt: skip


def _attributes(desk: Desk, known: dict[str, Any]) -> list[tuple[str, str]]:
    labels = {
        **{name: called(desk.language, "group", name) for name in ("campaign_type", "channel")},
        "parent_id": desk.gettext("Part of"), "start_date": desk.gettext("First day"), "end_date": desk.gettext("Last day"),
        "expected_revenue": desk.gettext("Expected revenue"), "target_audience_size": desk.gettext("Audience"),
    }  # fmt: skip
    found = []
    for name in _TOLD:
        value = known.get(name)
        if isinstance(value, dict):
            found.append((labels[name], desk.money(value["amount"], value["currency"])))
        elif value not in (None, ""):
            day = name.endswith("_date")
            found.append((labels[name], desk.writer.day(value) if day else str(value)))
    return found


async def _months(desk: Desk) -> Table:
    """Return the campaign month by month: where it cost, and where that came back."""
    figures = [
        Shown("actual_cost"), Shown("leads", "p3"), Shown("orders", "p3"), Shown("booked_revenue", "p3"),
        Shown("invoiced_revenue_gross", "p2"), Shown("credited", "p2"), Shown("gross_margin", "p2"),
        Shown(f"left.{desk.returns}"),
    ]  # fmt: skip
    answer = await desk.report("roi", "month")
    return tables.of_report(
        desk, "roi", answer, figures, ("month",), caption=desk.gettext("Month by month"), name="months"
    )


async def _leads(desk: Desk) -> Table:
    """Return where its leads came from, and what became of them."""
    figures = [
        Shown("leads"), Shown("qualified", "p2"), Shown("opportunity", "p2"), Shown("ordered"), Shown("rate_to_ordered", "p3"),
        Shown("booked_revenue", "p2"), Shown("invoiced_revenue", "p3"),
    ]  # fmt: skip
    groups = ("source", "medium")
    answer = await desk.report("leads", *groups)
    return tables.of_report(
        desk, "leads", answer, figures, groups, caption=desk.gettext("Where did its leads come from?"), name="leads",
        note=desk.gettext("those captured in the period, and what became of them"),
    )  # fmt: skip


SCREENS = [Screen("campaign", N_("Why this figure?"), "campaign.html", build, above="campaigns")]
