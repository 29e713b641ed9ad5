"""Leads by what brought them (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from service.projections.sums.selection import Query
from tests.support.asking import ask
from tests.support.sending import cost, credit, event, invoice, lead, order

MARCH = (date(2026, 3, 1), date(2026, 4, 1))
Events = list[dict[str, Any]]


def opened(key: str, *leads: str, day: str = "2026-04-01", **more: Any) -> dict[str, Any]:
    return event("opportunity.opened", day, opportunity_id=key, lead_ids=[*leads], **more)


def step(kind: str, key: str, day: str = "2026-04-02", **more: Any) -> dict[str, Any]:
    return event(f"lead.{kind}", day, lead_id=key, **more)


def rows_by(name: str, events: Events, *groups: str, only: tuple[Any, ...] = ()) -> dict[Any, dict[str, Any]]:
    rows, _, _ = ask("leads", events, Query(groups, *MARCH, only=only))
    return {row[name]: row for row in rows}


def test_a_row_is_about_the_leads_captured_in_the_period_whenever_the_rest_came_about() -> None:
    events = [
        lead("L1", "a", channel="fair"), lead("L2", "a", channel="fair"), lead("L3", channel="web"),
        lead("L4", channel="web", day="2026-04-01"), step("qualified", "L1"), step("qualified", "L4"),
        opened("O", "L1", campaign_id="z", owner_id="ada"), order("S", "900.00", "2026-05-01", opportunity_id="O"),
        invoice("I", "500.00", "2026-06-01", order_id="S"), credit("N", "I", "100.00", "2026-06-02"),
        cost("K", "a", "100.00"), cost("K2", "a", "900.00", "2026-04-01"),
    ]  # fmt: skip
    (fair, web), total, _ = ask("leads", events, Query(("channel",), *MARCH))
    assert fair == {
        "channel": "fair", "leads": 2, "share": 0.666667, "qualified": 1, "accepted": 0, "rejected": 0, "disqualified": 0,
        "opportunity": 1, "ordered": 1, "invoiced": 1, "rate_to_qualified": 0.5, "rate_to_opportunity": 0.5,
        "rate_to_ordered": 0.5, "booked_revenue": "900.00", "invoiced_revenue": "400.00", "cost": "100.00",
        "cost_per_lead": "50.00", "cost_per_opportunity": "100.00", "cpa": "100.00", "roas": 4.0, "reasons": {},
    }  # fmt: skip
    assert (web["leads"], web["share"], web["cost"], web["cpa"]) == (1, 0.333333, "0.00", None)
    assert (total["leads"], total["share"], total["cost"], total["cost_per_lead"]) == (3, 1.0, "100.00", "33.33")


@pytest.mark.parametrize(
    ("steps", "stands"),
    [
        (("accepted",), (1, 0, 0)), (("accepted", "rejected"), (0, 1, 0)), (("rejected", "accepted"), (1, 0, 0)),
        (("disqualified",), (0, 0, 1)), (("disqualified", "reopened"), (0, 0, 0)),
        (("reopened", "accepted", "disqualified"), (1, 0, 1)),
    ],
)  # fmt: skip
def test_the_last_of_two_steps_says_how_a_lead_stands(steps: tuple[str, ...], stands: tuple[int, ...]) -> None:
    days = [step(kind, "L", f"2026-05-0{number}") for number, kind in enumerate(steps, 1)]
    (row,) = ask("leads", [lead("L"), *days, step("accepted", "never captured")]).rows
    assert (row["accepted"], row["rejected"], row["disqualified"]) == stands


def test_merged_leads_stand_as_the_last_statement_about_any_of_them_says() -> None:
    events = [
        lead("L1"), lead("L2"), step("accepted", "L1", "2026-05-02"), step("rejected", "L2", "2026-05-01"),
        event("lead.merged", "2026-06-01", survivor_id="L2", merged_id="L1"),
    ]  # fmt: skip
    (row,) = ask("leads", events).rows
    assert (row["leads"], row["accepted"], row["rejected"]) == (1, 1, 0)


def test_a_voided_step_was_never_taken() -> None:
    rejected = step("rejected", "L", "2026-05-02")
    events = [lead("L"), step("accepted", "L", "2026-05-01"), rejected]
    void = event("event.voided", "2026-06-01", source=rejected["source"], id=rejected["id"])
    (row,) = ask("leads", [*events, void]).rows
    assert (row["accepted"], row["rejected"]) == (1, 0)


def test_money_stands_with_the_lead_that_gave_its_cohort_day_whatever_else_has_an_owner() -> None:
    events = [
        lead("L1", "a", "2026-03-02", owner_id="eva"), lead("L2", "b", "2026-03-05", owner_id="bob"),
        opened("O", "L1", "L2", owner_id="ada"),
        order("S", "10.00", "2026-05-01", opportunity_id="O", campaign_id="c"), order("T", "5.00", "2026-03-01"),
        event("order.amended", "2026-05-02", order_id="S", net_value={"amount": "8.00", "currency": "EUR"}),
    ]  # fmt: skip
    by_owner = rows_by("owner", events, "owner")
    assert {name: row["booked_revenue"] for name, row in by_owner.items()} == {"eva": "8.00", "bob": "0.00"}
    assert {name: row["booked_revenue"] for name, row in rows_by("campaign_id", events, "campaign").items()} == {
        "a": "8.00", "b": "0.00", None: "0.00",
    }  # fmt: skip


def test_money_follows_what_becomes_known_of_its_lead_also_where_the_opportunity_has_all_of_its_own() -> None:
    events = [
        lead("L", "a", owner_id="eva"), opened("O", "L", owner_id="ada", campaign_id="z"),
        event("quote.accepted", "2026-04-02", quote_id="Q", opportunity_id="O"),
        order("S", "10.00", quote_id="Q"), invoice("I", "4.00", order_id="S"), credit("N", "I", "1.00"),
        step("followed_up", "L", owner_id="kim"), step("campaign_reassigned", "L", campaign_id="b"),
    ]  # fmt: skip
    (row,) = ask("leads", events, Query(("owner", "campaign"))).rows
    assert (row["owner"], row["campaign_id"], row["booked_revenue"], row["invoiced_revenue"]) == (
        "kim", "b", "10.00", "3.00",
    )  # fmt: skip


def test_cost_goes_to_the_leads_of_its_campaign_in_equal_parts_by_largest_remainder() -> None:
    leads = [lead(f"L{number}", "a", source=source) for number, source in enumerate(("x", "y", "z"))]
    events = [*leads, lead("M", "b", source="x"), cost("K", "a", "100.00"), cost("K2", "b", "7.00")]
    by_source = rows_by("source", events, "source")
    assert {name: row["cost"] for name, row in by_source.items()} == {"x": "40.34", "y": "33.33", "z": "33.33"}


def test_what_nobody_stated_loses_a_tie_for_the_last_cent() -> None:
    events = [lead("L1", "a", source="x"), lead("L2", "a"), cost("K", "a", "0.01")]
    by_source = rows_by("source", events, "source")
    assert (by_source["x"]["cost"], by_source[None]["cost"]) == ("0.01", "0.00")


def test_filters_choose_after_cost_was_dealt() -> None:
    events = [lead("L1", "a", source="x"), lead("L2", "a", source="y"), lead("L3", "a"), cost("K", "a", "90.00")]
    (row,), total, _ = ask("leads", events, Query(("channel",), *MARCH, only=(("source", ("x", "")),)))
    assert (row["cost"], row["leads"], total["cost"]) == ("60.00", 2, "60.00")


def test_a_cost_without_leads_has_what_its_campaign_has() -> None:
    events = [
        event("campaign.registered", campaign_id="a", name="A", channel="fair", campaign_type="show"),
        cost("K", "a", "9.00"), lead("L", "a", "2026-04-05", source="x"),
    ]  # fmt: skip
    (row,) = ask("leads", events, Query(("channel", "source", "campaign_type"), *MARCH)).rows
    assert (row["channel"], row["source"], row["campaign_type"], row["cost"], row["leads"]) == (
        "fair", None, "show", "9.00", 0,
    )  # fmt: skip


def test_cost_is_dealt_month_by_month_where_rows_are_months() -> None:
    events = [
        lead("L1", "a", "2026-03-05", source="x"), lead("L2", "a", "2026-04-05", source="y"),
        cost("K1", "a", "10.00", "2026-03-31"), cost("K2", "a", "5.00", "2026-04-01"), cost("K3", "a", "1.00", "2026-05-01"),
    ]  # fmt: skip
    rows, total, _ = ask("leads", events, Query(("month", "source")))
    assert [(row["month"], row["source"], row["cost"]) for row in rows] == [
        ("2026-03", "x", "10.00"), ("2026-04", "y", "5.00"), ("2026-05", None, "1.00"),
    ]  # fmt: skip
    by_source = ask("leads", events, Query(("source",)))
    assert [row["cost"] for row in by_source.rows] == ["8.00", "8.00"]
    assert total["cost"] == by_source.total["cost"] == "16.00"


def test_what_was_reversed_on_a_later_day_is_taken_back_from_the_leads_of_then() -> None:
    back = event("campaign.cost_reversed", "2026-04-01", cost_entry_id="K", cost_date="2026-04-01",
                 amount={"amount": "0.05", "currency": "EUR"})  # fmt: skip
    events = [
        lead("L1", "a", "2026-04-05", source="x"),
        lead("L2", "a", "2026-04-05", source="y"),
        cost("K", "a", "1.00"),
        back,
    ]
    rows = ask("leads", events, Query(("source",), date(2026, 4, 1))).rows
    assert [(row["source"], row["cost"]) for row in rows] == [("x", "-0.03"), ("y", "-0.02")]
