"""Leads: where they come from, what they cost, what becomes of them, and what the database is worth."""

from __future__ import annotations

from typing import Any

from service.dashboard.desk import Desk
from service.dashboard.language import N_
from service.dashboard.screen import WITHOUT_RETURN, Screen
from service.dashboard.sections import funnel, panel, performance
from service.dashboard.tables import Shown, Table

_GROUPS = ("channel", "source,medium,lead_magnet", "source", "lead_magnet", "campaign", "owner", "month", "quarter")


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    parts = [await one(desk) for one in (_leads, _sources, _quality, _rejections, _reach, _response)]
    return {
        "panels": parts[:1],
        "funnel": await funnel.read(desk),
        "more": parts[1:],
        "performance": await performance.read(desk),
    }


async def _leads(desk: Desk) -> Table | None:
    groups = tuple(desk.state.among("group_by", _GROUPS, "channel").split(","))
    shown = [
        Shown("leads"), Shown("share", "p4"), Shown("qualified", "p4"), Shown("rate_to_qualified", "p2"),
        Shown("rate_to_opportunity", "p3"), Shown("ordered", "p4"), Shown("rate_to_ordered", "p2"), Shown("cost", "p2"),
        Shown("cost_per_lead"), Shown("cpa", "p3"), Shown("invoiced_revenue"), Shown("roas", "p3"),
    ]  # fmt: skip
    caption = desk.gettext("What comes of the leads?")
    note = desk.gettext("those captured in the period, with all that came of them since")
    return await panel.read(desk, "leads", groups, shown, caption, note, sort="-leads", bar="leads", sorts=True)


async def _sources(desk: Desk) -> Table | None:
    if desk.state.one("group_by", "channel") != "channel":
        return None
    groups = ("source", "medium", "lead_magnet")
    shown = [
        Shown("leads"),
        Shown("rate_to_qualified", "p2"),
        Shown("ordered"),
        Shown("rate_to_ordered", "p2"),
        Shown("booked_revenue"),
    ]
    caption = desk.gettext("Which source, medium and lead magnet?")
    return await panel.read(desk, "leads", groups, shown, caption, sort="-leads", table="sources")


async def _quality(desk: Desk) -> Table | None:
    shown = [
        Shown("leads"), Shown("rate_to_accepted"), Shown("rate_to_rejected", "p2"), Shown("rate_to_opportunity", "p2"),
        Shown("rate_to_ordered"), Shown("booked_revenue_per_lead", "p2"),
    ]  # fmt: skip
    caption = desk.gettext("Which criteria tell good leads?")
    note = desk.gettext("each lead once per criterion")
    return await panel.read(desk, "lead-quality", ("criterion", "state"), shown, caption, note)


async def _rejections(desk: Desk) -> Table | None:
    shown = [Shown("leads"), Shown("handed_over", "p2"), Shown("rejected")]
    caption = desk.gettext("Why does sales reject leads?")
    return await panel.read(desk, "lead-quality", ("reason",), shown, caption, sort="-leads", table="reasons")


async def _reach(desk: Desk) -> Table | None:
    shown = [
        Shown("contacts", "p2"), Shown("addressable", "p2"), Shown("consented"), Shown("reachable"), Shown("granted", "p3"),
        Shown("withdrawn", "p3"), Shown("messages_sent", "p3"),
    ]  # fmt: skip
    caption = desk.gettext("Whom can we reach?")
    return await panel.read(
        desk, "reach", ("channel",), shown, caption, desk.gettext("registered contacts, as of now"), bar="reachable"
    )


async def _response(desk: Desk) -> Table | None:
    shown = [
        Shown("messages_sent", "p2"), Shown("touches"), Shown("clicks", "p2"), Shown("responses", "p3"),
        Shown("response_rate", "p3"),
        Shown("leads"), Shown("expected_share", "p3"),
    ]  # fmt: skip
    return await panel.read(desk, "response", ("campaign",), shown, desk.gettext("Who responds?"), sort="-touches")


SCREENS = [
    Screen(
        "leads", N_("Where do leads come from, and what becomes of them?"), "leads.html", build, N_("Leads"), 3, groups=_GROUPS,
        controls=WITHOUT_RETURN,
    )
]  # fmt: skip
