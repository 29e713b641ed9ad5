"""Profit: what remains once goods and campaigns are paid, what is still to be paid, and who stays."""

from __future__ import annotations

from typing import Any

from service.dashboard.desk import Desk
from service.dashboard.language import N_
from service.dashboard.screen import WITHOUT_RETURN, Screen
from service.dashboard.sections import panel
from service.dashboard.tables import Shown, Table

_GROUPS = ("campaign", "parent", "campaign_type", "channel", "owner", "team", "region", "month", "quarter", "year")


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    return {"panels": [await one(desk) for one in (_profitability, _payments, _retention, _service)]}


async def _profitability(desk: Desk) -> Table | None:
    group = desk.state.among("group_by", _GROUPS, "campaign")
    shown = [
        Shown("invoiced_revenue"), Shown("booked_revenue", "p3"), Shown("gross_margin"), Shown("margin_rate", "p2"),
        Shown("actual_cost", "p2"), Shown("roi.margin", "p2"), Shown("roi.invoiced", "p3"), Shown("won", "p3"),
    ]  # fmt: skip
    caption, note = (
        desk.gettext("What remains of the revenue?"),
        desk.gettext("margin is known where all costs of goods are"),
    )
    return await panel.read(
        desk, "profitability", (group,), shown, caption, note, sort="-invoiced_revenue", bar="gross_margin", sorts=True
    )


async def _payments(desk: Desk) -> Table | None:
    shown = [
        Shown("billed", "p2"), Shown("paid", "p2"), Shown("open_items"), Shown("overdue_items"), Shown("mean_days_to_pay", "p2")
    ]  # fmt: skip
    caption = desk.gettext("What is still to be paid?")
    note = desk.gettext("invoices posted in the period, with tax, as they stand now")
    return await panel.read(desk, "payments", ("month",), shown, caption, note)


async def _retention(desk: Desk) -> Table | None:
    shown = [
        Shown("customers_at_start", "p2"), Shown("gained"), Shown("churned"), Shown("retention_rate"), Shown("renewals", "p3"),
        Shown("renewed_amount", "p2"), Shown("churned_amount", "p2"),
    ]  # fmt: skip
    caption = desk.gettext("Who stays, who comes, who goes?")
    return await panel.read(
        desk, "retention", ("quarter",), shown, caption, desk.gettext("accounts that are customers")
    )


async def _service(desk: Desk) -> Table | None:
    shown = [
        Shown("opened"), Shown("resolved"), Shown("backlog"), Shown("same_day_rate", "p2"), Shown("p50_hours", "p2"),
        Shown("p90_hours", "p3"), Shown("csat_mean", "p2"), Shown("csat_satisfied", "p3"),
    ]  # fmt: skip
    return await panel.read(desk, "service", ("owner",), shown, desk.gettext("How well are customers served?"))


SCREENS = [
    Screen(
        "profit",
        N_("What remains, and who stays?"),
        "panels.html",
        build,
        N_("Profit"),
        5,
        groups=_GROUPS,
        controls=WITHOUT_RETURN,
    )
]
