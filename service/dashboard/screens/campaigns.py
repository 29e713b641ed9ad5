"""Campaigns: which paid off?"""

from __future__ import annotations

from typing import Any

from service.dashboard import figures, tables
from service.dashboard.desk import Desk
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.sections import changed, funnel, panel, payback, targets, tiles, velocity
from service.dashboard.tables import Shown, Table
from service.projections.reports.answers import Page

_GROUPS = (
    "campaign",
    "campaign_type",
    "channel",
    "parent",
    "source",
    "medium",
    "owner",
    "team",
    "region",
    "month",
    "quarter",
)


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    now = await desk.total("roi")
    desk.choose_return(now)
    return {
        "tiles": await tiles.read(desk, now),
        "ranking": await ranking(desk),
        "payback": await payback.read(desk, now),
        "funnel": await funnel.read(desk),
        "velocity": await velocity.read(desk),
        "changed": await changed.read(desk),
        "targets": await targets.read(desk),
    }


async def ranking(desk: Desk) -> Table:
    """Return the rows by what is left of the return after cost, or as they were asked to be sorted."""
    group = desk.state.among("group_by", _GROUPS, "campaign")
    returned, left, report = figures.RETURN_OF[desk.returns], f"left.{desk.returns}", figures.report("roi")
    sort = desk.sort(report, f"-{left}")
    answer = await desk.report(
        report, group, include={"break_even_on"}, page=Page(sort.removeprefix("-"), sort.startswith("-"))
    )
    invoiced = [] if returned == "invoiced_revenue" else [Shown("invoiced_revenue", "p3")]
    shown = [
        Shown("actual_cost", "p2"), *invoiced, Shown(returned, "p2"), Shown(left, "", panel.bars_of(answer, left)),
        Shown(f"roi.{desk.returns}"), Shown("cac", "p3"), Shown("break_even_on", "p3"),
    ]  # fmt: skip
    return tables.of_report(
        desk, "roi", answer, shown, (group,), caption=desk.gettext("Ranking"), sort=sort, names=desk.known_names,
        note=desk.gettext("by what is left of the return after cost; every figure opens to its entries"), name="ranking",
    )  # fmt: skip


SCREENS = [
    Screen("campaigns", N_("Which campaigns paid off?"), "campaigns.html", build, N_("Campaigns"), 1, groups=_GROUPS)
]
