"""Revenue and profitability (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from typing import Any

from service.projections.reports.answers import Page
from service.projections.sums.selection import Query
from tests.support.asking import ask
from tests.support.sending import cost, credit, event, invoice, lead, money, order


def opened(key: str, *leads: str, day: str = "2026-03-01", **more: Any) -> dict[str, Any]:
    return event("opportunity.opened", day, opportunity_id=key, lead_ids=[*leads], **more)


EVENTS = [
    lead("L1", "a"), lead("L2", "b"),
    opened("O1", "L1", owner_id="ada"), opened("O2", "L2"),
    cost("K", "a", "300.00"),
    order("S1", "1000.00", opportunity_id="O1"), order("S2", "500.00", opportunity_id="O2"), order("S3", "100.00"),
    invoice("I1", "600.00", order_id="S1", cogs=money("150.00")),
    invoice("I2", "1000.00", order_id="S2", cogs=money("1000.00")),
    credit("N1", "I2", "400.00"), invoice("I3", "400.00"),
]  # fmt: skip


def test_campaigns_have_their_share_of_invoiced_revenue() -> None:
    rows, total, _ = ask("revenue", EVENTS)
    a, b, none = rows
    assert (a["campaign_id"], b["campaign_id"], none["campaign_id"]) == ("a", "b", None)
    assert a | {"reasons": {}} == {
        "campaign_id": "a", "won": 1, "orders": 1, "booked_revenue": "1000.00", "invoiced_revenue": "600.00", "share": 0.375,
        "average_deal_size": "1000.00", "actual_cost": "300.00", "roas": 2.0, "reasons": {},
    }  # fmt: skip
    assert (b["share"], b["roas"], b["reasons"]) == (0.375, None, {"roas": "actual_cost is 0"})
    assert (none["share"], none["won"], none["orders"], none["booked_revenue"]) == (0.25, 0, 1, "100.00")
    assert (total["share"], total["invoiced_revenue"], total["average_deal_size"]) == (1.0, "1600.00", "533.33")


def test_rows_of_a_share_can_be_sorted_and_come_in_pages_without_changing_it() -> None:
    found = ask("revenue", EVENTS, page=Page("share", falling=False, limit=1))
    assert [(row["campaign_id"], row["share"]) for row in found.rows] == [(None, 0.25)]
    assert found.last == (None,)


def test_nothing_has_a_share_of_nothing() -> None:
    rows, total, _ = ask("revenue", [lead("L", "a")])
    assert {row["share"] for row in (*rows, total)} == {None}
    assert total["reasons"]["share"] == "invoiced_revenue of all rows is 0"


def test_the_margin_rate_is_what_remains_of_an_invoiced_euro() -> None:
    (a, b, none), total, _ = ask("profitability", EVENTS)
    assert (a["gross_margin"], a["margin_rate"]) == ("450.00", 0.75)
    assert a["roi"] == {"booked": 2.333333, "invoiced": 1.0, "margin": 0.5}
    assert (a["leads"], a["won"], b["gross_margin"], b["margin_rate"]) == (1, 1, "0.00", 0.0)
    assert (none["gross_margin"], none["margin_rate"], total["margin_rate"]) == (None, None, None)


def test_figures_made_of_cost_are_unknown_by_owner_as_costs_have_none() -> None:
    for query in (Query(("owner",)), Query(("campaign",), only=(("owner", ("ada",)),))):
        rows, total, _ = ask("profitability", EVENTS, query)
        for row in (*rows, total):
            assert row["roi"] == {"booked": None, "invoiced": None, "margin": None}
            assert row["reasons"]["roi.margin"] == "costs have no owner"
    rows, _, _ = ask("profitability", EVENTS, Query(("owner",)))
    assert [(row["owner"], row["actual_cost"], row["margin_rate"]) for row in rows] == [
        ("ada", "0.00", 0.75), (None, "300.00", None),
    ]  # fmt: skip
    assert ask("roi", EVENTS, Query(("region",))).rows[0]["cac"] is None
