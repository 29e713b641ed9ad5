"""Revenue performance (REPORTS section 4), worked out on paper."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from service.projections.sums.selection import Query
from tests.support.asking import ask, only
from tests.support.sending import cost, event, invoice, lead, order

TODAY = date(2026, 7, 1)


def opened(key: str, *leads: str) -> dict[str, Any]:
    return event("opportunity.opened", "2026-03-02", opportunity_id=key, lead_ids=[*leads])


EVENTS = [
    *(lead(f"L{number}", "fair", "2026-03-01T00:00:00Z", owner_id="ann" if number < 3 else "bob") for number in range(1, 9)),
    lead("old", "fair", "2025-06-30"),  # a day before the twelve months
    event("lead.qualified", "2026-03-03T00:00:00Z", lead_id="L2"),
    event("lead.qualified", "2026-03-05T00:00:00Z", lead_id="L3"),
    opened("P3", "L3"), opened("P4", "L4"), opened("P5", "L5", "L6"), opened("P6", "L6"), opened("P7", "L7"),
    event("quote.accepted", "2026-03-10", quote_id="Q4", opportunity_id="P4"),
    event("opportunity.lost", "2026-03-11", opportunity_id="P5"),  # L5 has no other, L6 has
    order("o7", "1000.00", "2026-03-21T00:00:00Z", opportunity_id="P7"), invoice("i7", "900.00", "2026-04-10", order_id="o7"),
    event("lead.disqualified", "2026-03-12", lead_id="L8"), order("alone", "77.00", "2026-03-09"),
    cost("k", "fair", "450.00", "2026-03-02"), cost("early", "fair", "9.00", "2025-06-30"),
    event("contact.consent_changed", "2026-03-02", contact_id="c", channel="email", granted=True),
]  # fmt: skip
STANDING = ("captured", "qualified", "opportunity", "quote_accepted", "ordered", "invoiced")


def told(events: list[dict[str, Any]], *asked: Any, **more: Any) -> dict[str, Any]:
    found = ask("revenue-performance", events, Query((), *asked, **more), today=TODAY)
    assert not found.rows
    return found.total


def standing(total: dict[str, Any]) -> list[int]:
    return [total["value"][step]["standing"] for step in STANDING]


def test_the_leads_of_the_last_year_are_worth_what_comes_of_those_who_came_as_far() -> None:
    total = told(EVENTS)
    assert [[*total["value"][step].values()] for step in STANDING] == [
        [8, 1, "125.00"],  # L1
        [2, 1, "500.00"],  # L2
        [5, 2, "200.00"],  # L3, L6; L5 is lost
        [1, 1, "1000.00"],  # L4
        [1, 0, "1000.00"],
        [1, 0, "1000.00"],
    ]
    assert total["database_value"] == "2025.00"  # 125 + 500 + 2 · 200 + 1000
    assert total["conversion"]["opportunity"] == {"count": 5, "rate_from_previous": 2.5, "rate_from_start": 0.625}
    assert total["velocity"]["full_cycle"]["mean_days"] == 20.0
    assert only(total["velocity"]["captured_to_qualified"], "count", "mean_days", "p50_days") == {
        "count": 2,
        "mean_days": 3.0,
        "p50_days": 3.0,
    }
    assert [*total["velocity"]] == ["captured_to_qualified", "full_cycle", "lead_to_cash"]
    assert total["roi"] == {
        "roas": 2.0, "cost_to_revenue": 0.5, "roi": {"booked": round((1077 - 450) / 450, 6), "invoiced": 1.0, "margin": None}
    }  # fmt: skip
    assert [(row["channel"], row["consented"], row["granted"]) for row in total["reach"]] == [("email", 0, 1)]


def test_only_the_cohort_of_the_window_counts_and_filters_choose_leads() -> None:
    assert standing(told(EVENTS, date(2026, 4, 1), date(2026, 7, 1))) == [0] * 6
    assert told(EVENTS, date(2025, 6, 1), date(2025, 7, 1))["value"]["captured"]["standing"] == 1
    ann = told(EVENTS, only=(("owner", ("ann",)),))
    assert standing(ann) == [1, 1, 0, 0, 0, 0]
    assert (ann["database_value"], ann["roi"]["roas"], ann["reasons"]["roi.roas"]) == (
        "0.00",
        None,
        "costs have no owner",
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([event("opportunity.reopened", "2026-03-20", opportunity_id="P5")], [1, 1, 3, 1, 0, 0]),
        ([event("opportunity.won", "2026-03-20", opportunity_id="P5")], [1, 1, 3, 1, 0, 0]),
        ([event("opportunity.lost", "2026-03-20", opportunity_id="P6")], [1, 1, 1, 1, 0, 0]),
        ([event("lead.reopened", "2026-03-20", lead_id="L8")], [2, 1, 2, 1, 0, 0]),
        ([event("order.cancelled", "2026-03-25", order_id="o7")], [1, 1, 2, 1, 0, 0]),  # it is invoiced still
        ([event("lead.merged", "2026-03-25", survivor_id="L5", merged_id="L6")], [1, 1, 2, 1, 0, 0]),
        ([event("lead.merged", "2026-03-25", survivor_id="L8", merged_id="L1")], [0, 1, 2, 1, 0, 0]),
        ([event("opportunity.lost", "2026-03-02", opportunity_id="P9")], [1, 1, 2, 1, 0, 0]),  # never opened
    ],
)  # fmt: skip
def test_who_stands_is_alive_and_got_no_further(more: list[dict[str, Any]], expected: list[int]) -> None:
    assert standing(told([*EVENTS, *more])) == expected


def test_a_voided_loss_brings_its_leads_back() -> None:
    lost = next(one for one in EVENTS if one["type"] == "opportunity.lost")
    assert standing(told([*EVENTS, event("event.voided", "2026-04-01", source="/test", id=lost["id"])])) == [
        1,
        1,
        3,
        1,
        0,
        0,
    ]
