"""Figures where two readings were possible (SPEC section 7), one small ledger each."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import pytest

from service.domain.catalogue import CATALOGUE, check_data
from service.domain.events import read_event
from service.domain.kinds import RULES, read_fact
from service.projections.sums.selection import Query
from tests.support.memory import MemoryTables, answers, project

MONTHS, YEARS, CAMPAIGNS = Query(("month",)), Query(("year",)), Query()
Stated = tuple[str, str, dict[str, Any]]  # type, time, data


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def events_of(*stated: Stated) -> list[dict[str, Any]]:
    """Return events with ids 0, 1, 2 … from the source /t."""
    return [
        {"specversion": "1.0", "id": str(number), "source": "/t", "type": kind, "time": time, "data": data}
        for number, (kind, time, data) in enumerate(stated)
    ]


def report(events: list[dict[str, Any]], name: str = "roi", query: Query = CAMPAIGNS) -> dict[str, Any]:
    """Return a report of events, which has to be the same whatever came first."""

    async def run(order: list[dict[str, Any]]) -> Any:
        return (await answers(await project(order), query))[name]

    found: dict[str, Any] = asyncio.run(run(events))
    for order in [events[::-1], *list(permutations(events))[:24]] if len(events) < 6 else [events[::-1]]:
        assert asyncio.run(run(list(order))) == found
    return found


def flags(tables: MemoryTables) -> set[tuple[str, str]]:
    left: dict[tuple[str, str], int] = {}
    for _, (measure, entity, *_, detail), amount in tables.postings:
        if measure == "flag":
            left[entity, detail] = left.get((entity, detail), 0) + amount
    return {one for one, amount in left.items() if amount}


def invoice(net: str, cogs: str | None, day: str, name: str = "I") -> Stated:
    stated = {"cogs": eur(cogs)} if cogs else {}
    return ("invoice.posted", f"{day}T10:00:00Z",
            {"invoice_id": name, "net_amount": eur(net), "posting_date": day, **stated})  # fmt: skip


def credit(net: str, day: str, name: str = "N", of: str = "I") -> Stated:
    data = {"credit_note_id": name, "invoice_id": of, "net_amount": eur(net), "posting_date": day}
    return "invoice.credited", f"{day}T10:00:00Z", data


def cost(amount: str, day: str) -> Stated:
    data = {"cost_entry_id": "K", "campaign_id": "C", "amount": eur(amount), "cost_date": day}
    return "campaign.cost_booked", f"{day}T10:00:00Z", data


# Gross margin


def test_a_month_of_credit_notes_has_a_negative_margin_so_that_months_add_up_to_the_year() -> None:
    events = events_of(invoice("100.00", "60.00", "2026-01-10"), credit("50.00", "2026-02-10"))
    months = report(events, query=MONTHS)["rows"]
    assert [(row["month"], row["gross_margin"], row["margin_coverage"]) for row in months] == [
        ("2026-01", "40.00", 1.0), ("2026-02", "-20.00", None),
    ]  # fmt: skip
    (year,) = report(events, query=YEARS)["rows"]
    assert year["gross_margin"] == "20.00"


def test_a_margin_that_is_negative_gives_a_return_on_cost_but_no_revenue_that_breaks_even() -> None:
    (row,) = report(
        events_of(
            cost("10.00", "2026-02-01"), invoice("100.00", "60.00", "2026-01-10"), credit("50.00", "2026-02-10"),
        ), query=MONTHS
    )["rows"][1:]  # fmt: skip
    assert (row["month"], row["roi"]["margin"], row["break_even_roas"]) == ("2026-02", -3.0, None)
    assert row["reasons"]["break_even_roas"] == "invoiced_revenue is negative"
    assert row["reasons"]["margin_coverage"] == "invoiced_revenue is negative"
    assert "gross_margin" not in row["reasons"]


def test_there_is_no_margin_where_a_credit_note_takes_back_revenue_of_unknown_cogs() -> None:
    rows = report(events_of(invoice("100.00", None, "2026-01-10"), credit("50.00", "2026-02-10")), query=MONTHS)["rows"]
    reasons = [(row["gross_margin"], row["reasons"]["gross_margin"]) for row in rows]
    assert reasons == [(None, "cogs is not known for all of invoiced_revenue")] * 2


def test_there_is_no_margin_where_nothing_was_invoiced_credited_or_costed() -> None:
    total = report(events_of(cost("10.00", "2026-02-01")))["total"]
    assert (total["gross_margin"], total["roi"]["margin"], total["break_even_roas"]) == (None, None, None)
    assert total["reasons"]["gross_margin"] == "nothing is invoiced, credited or costed"
    assert total["reasons"]["roi.margin"] == total["reasons"]["break_even_roas"] == "gross_margin is not known"


def test_what_costs_exactly_what_it_brings_has_a_margin_of_nothing() -> None:
    total = report(events_of(invoice("100.00", "100.00", "2026-01-10")))["total"]
    assert (total["gross_margin"], total["break_even_roas"]) == ("0.00", None)
    assert total["reasons"]["break_even_roas"] == "gross_margin is 0"


# Break-even


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ((), "actual_cost is 0: there is nothing to break even on"),
        ((cost("200.00", "2026-01-01"),), "cumulative return has not reached cumulative cost"),
    ],
)
def test_a_row_that_does_not_break_even_says_why(more: tuple[Stated, ...], reason: str) -> None:
    total = report(events_of(invoice("100.00", None, "2026-01-10"), *more))["total"]
    assert (total["break_even_on"], total["reasons"]["break_even_on"]) == (None, reason)


# Flags


def test_more_credited_than_invoiced_is_flagged_until_it_is_not_any_more() -> None:
    over = events_of(
        invoice("100.00", None, "2026-01-10"), credit("60.00", "2026-02-10", "N1"), credit("60.00", "2026-02-11", "N2")
    )
    flag = {("invoice:I", "more is credited than invoiced")}
    for order in permutations(over):
        assert flags(asyncio.run(project(list(order)))) == flag
    less = {**over[2], "id": "9", "time": "2026-02-12T10:00:00Z", "data": credit("40.00", "2026-02-11", "N2")[2]}
    assert not flags(asyncio.run(project([*over, less])))


# Pending links


def test_a_voided_reversal_of_what_was_never_booked_waits_for_nothing() -> None:
    events = events_of(
        ("campaign.cost_reversed", "2026-01-01T00:00:00Z", {"cost_entry_id": "K"}),
        ("event.voided", "2026-01-02T00:00:00Z", {"source": "/t", "id": "0"}),
    )
    assert report(events, "pending_links") == 0  # type: ignore[comparison-overlap]  # a number


# What states nothing


OPTIONAL = [(kind, field) for kind, entry in CATALOGUE.items() for field in entry.optional]


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(("kind", "field"), OPTIONAL)
def test_an_optional_field_that_is_null_or_an_empty_text_is_accepted_and_states_nothing(
    kind: str, field: str, nothing: str | None
) -> None:
    problems = [one.field for one in check_data(kind, {field: nothing})]
    assert f"data.{field}" not in problems
    if kind in RULES:
        assert field not in read_fact(0, "", "/t", "1", kind, {field: nothing}).data


@pytest.mark.parametrize(("kind", "field"), [("lead.captured", "lead_id"), ("lead.campaign_reassigned", "campaign_id"),
                                             ("event.voided", "id"), ("order.placed", "net_value")])  # fmt: skip
def test_a_required_field_that_is_an_empty_text_is_refused(kind: str, field: str) -> None:
    assert f"data.{field}" in [one.field for one in check_data(kind, {field: ""})]


def test_a_touchpoint_of_nobody_is_refused_also_where_its_ids_are_empty() -> None:
    data = {"touchpoint_id": "T", "campaign_id": "C", "activity_type": "call", "contact_id": "", "lead_id": ""}
    assert [one.field for one in check_data("touchpoint.recorded", data)] == ["data"]
    assert not list(check_data("touchpoint.recorded", data | {"lead_id": "L"}))


def test_an_empty_text_changes_nothing_of_a_lead_nor_of_its_campaign() -> None:
    events = events_of(
        ("campaign.registered", "2026-01-01T00:00:00Z", {"campaign_id": "C", "name": "C", "channel": "fair"}),
        ("campaign.updated", "2026-01-02T00:00:00Z", {"campaign_id": "C", "channel": ""}),
        ("lead.captured", "2026-01-03T00:00:00Z", {"lead_id": "L", "campaign_id": "C", "utm": {"source": "bing"}}),
        ("lead.captured", "2026-01-04T00:00:00Z",
         {"lead_id": "L", "campaign_id": "", "channel": "", "utm": {"source": "", "medium": "mail"}, "owner_id": ""}),
    )  # fmt: skip
    for event in events:
        read_event(event)
    (row,) = report(events, "conversion", Query(("channel", "source", "medium", "owner", "campaign")))["rows"]
    assert [row[name] for name in ("channel", "source", "medium", "owner", "campaign_id")] == [
        "fair", "bing", "mail", None, "C",
    ]  # fmt: skip


# The first date in a journey


def test_what_names_an_order_whose_placing_was_voided_is_not_in_the_journey_that_the_placing_named() -> None:
    placing: Stated = ("order.placed", "2026-01-31T00:00:00Z",
                       {"order_id": "O", "net_value": eur("1"), "opportunity_id": "P"})  # fmt: skip
    events = events_of(
        placing,
        ("opportunity.opened", "2026-01-15T00:00:00Z", {"opportunity_id": "P"}),
        ("event.voided", "2026-02-01T00:00:00Z", {"source": "/t", "id": "0"}),
        ("invoice.posted", "2026-02-02T00:00:00Z",
         {"invoice_id": "I", "order_id": "O", "net_amount": eur("5"), "posting_date": "2026-02-02"}),
    )  # fmt: skip
    rows = report(events, query=Query(("day",), basis="cohort"))["rows"]
    assert [(row["day"], row["invoiced_revenue"]) for row in rows] == [("2026-01-15", "0.00"), ("2026-02-02", "5.00")]


def test_a_voided_order_holds_no_other_entities_together() -> None:
    events = events_of(
        ("order.placed", "2026-01-31T00:00:00Z",
         {"order_id": "O", "net_value": eur("1"), "opportunity_id": "P", "quote_id": "Q"}),
        ("opportunity.opened", "2026-01-15T00:00:00Z", {"opportunity_id": "P"}),
        ("quote.accepted", "2026-01-20T00:00:00Z", {"quote_id": "Q", "opportunity_id": "P2"}),
        ("event.voided", "2026-02-01T00:00:00Z", {"source": "/t", "id": "0"}),
    )  # fmt: skip
    rows = report(events, "conversion", Query(("day",), basis="cohort"))["rows"]
    assert [(row["day"], row["entered"]["quote_accepted"]) for row in rows] == [("2026-01-15", 0), ("2026-01-20", 1)]
