"""Targets (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from datetime import date
from typing import Any

from service.projections.sums.selection import Query
from tests.support.asking import ask, only
from tests.support.sending import cost, event, invoice, lead, money, order

KEYS = ("measure", "period", "campaign", "campaign_type", "channel", "owner", "team")
FIGURES = ("target", "actual", "attainment", "elapsed", "expected_by_now", "ahead")
TODAY = date(2026, 3, 10)


def target(measure: str, period: str, value: Any, day: str = "2026-01-01", **of: str) -> dict[str, Any]:
    return event("target.set", day, measure=measure, period=period, value=value, **of)


def told(events: list[dict[str, Any]], since: str | None = None, until: str | None = None, *filters: Any) -> Any:
    low, high = (date.fromisoformat(one) if one else None for one in (since, until))
    return ask("targets", events, Query(KEYS, low, high, only=filters), today=TODAY)


def rows(answer: Any) -> dict[Any, list[Any]]:
    found = {}
    for row in answer.rows:
        of = (row[one] for one in ("campaign_id", "campaign_type", "channel", "owner", "team") if row[one])
        found[row["measure"], row["period"], *of] = [*only(row, *FIGURES).values()]
    return found


EVENTS = [
    event("campaign.registered", campaign_id="fair", name="Fair", campaign_type="event", channel="booth"),
    lead("L1", "fair", "2026-03-01", owner_id="ann"), lead("L2", "fair", "2026-03-31", channel="web"),
    lead("L3", day="2026-02-28"),
    cost("k", "fair", "300.00", "2026-03-02"), order("o1", "500.00", "2026-03-05", campaign_id="fair"),
    order("o2", "100.00", "2026-01-05"), invoice("i", "450.00", "2026-03-06", order_id="o1", cogs=money("150.00")),
    event("opportunity.opened", "2026-03-03", opportunity_id="p", lead_ids=["L1"], team="north"),
    event("opportunity.won", "2026-03-04", opportunity_id="p"),
    event("call.completed", "2026-03-02", call_id="c1", rep_id="ann", outcome="answered", duration_s=60),
    event("call.completed", "2026-03-02", call_id="c2", rep_id="bob", outcome="missed", duration_s=0),
    event("activity.completed", "2026-03-02", activity_id="v1", rep_id="ann", activity="demo"),
    event("activity.completed", "2026-03-03", activity_id="v2", rep_id="ann", activity="email"),
]  # fmt: skip


def test_each_measure_is_set_against_what_came_of_it() -> None:
    aims = [
        target("leads", "2026-03", 4), target("booked_revenue", "2026", money("1000.00")),
        target("actual_cost", "2026-03", money("600.00")),
        target("invoiced_revenue", "2026-Q1", money("400.00")), target("gross_margin", "2026-03", money("0.00")),
        target("roi.margin", "2026-03", 0.25), target("win_rate", "2026-03", 0.5), target("orders", "2026-04", 2.5),
        target("calls", "2026-03", 3), target("activities", "2026-03", 2), target("roi.booked", "2026-02", -1),
    ]  # fmt: skip
    assert rows(told([*EVENTS, *aims])) == {
        ("leads", "2026-03"): [4, 2, 0.5, 0.322581, 1.290323, True],  # 10 of 31 days
        ("booked_revenue", "2026"): ["1000.00", "600.00", 0.6, 0.189041, "189.04", True],  # 69 of 365
        ("actual_cost", "2026-03"): ["600.00", "300.00", 0.5, 0.322581, "193.55", False],
        ("invoiced_revenue", "2026-Q1"): ["400.00", "450.00", 1.125, 0.766667, "306.67", True],  # 69 of 90
        ("gross_margin", "2026-03"): ["0.00", "300.00", None, 0.322581, "0.00", True],
        ("roi.margin", "2026-03"): [0.25, 0.0, 0.0, 0.322581, 0.25, False],
        ("win_rate", "2026-03"): [0.5, 1.0, 2.0, 0.322581, 0.5, True],
        ("orders", "2026-04"): [2.5, 0, 0.0, 0.0, 0, True],
        ("calls", "2026-03"): [3, 2, 0.666667, 0.322581, 0.967742, True],
        ("activities", "2026-03"): [2, 2, 1.0, 0.322581, 0.645161, True],
        ("roi.booked", "2026-02"): [-1.0, None, None, 1.0, -1.0, None],
    }


def test_the_dimensions_of_a_target_choose_what_it_is_set_against() -> None:
    aims = [
        target("leads", "2026-03", 2, campaign_id="fair"), target("leads", "2026-03", 2, channel="web"),
        target("leads", "2026-03", 2, channel="booth", campaign_type="event"), target("leads", "2026", 2, owner_id="ann"),
        target("opportunities", "2026", 1, team="north"), target("calls", "2026-03", 1, owner_id="ann"),
        target("calls", "2026-03", 1, campaign_id="fair"), target("roi.booked", "2026-03", 1, owner_id="ann"),
        target("roi.booked", "2026-03", 0.5, campaign_type="event"),
    ]  # fmt: skip
    found = told([*EVENTS, *aims])
    assert {key: [one[1], one[2], one[5]] for key, one in rows(found).items()} == {
        ("leads", "2026-03", "fair"): [2, 1.0, True], ("leads", "2026-03", "web"): [1, 0.5, True],
        ("leads", "2026-03", "event", "booth"): [1, 0.5, True], ("leads", "2026", "ann"): [1, 0.5, True],
        ("opportunities", "2026", "north"): [1, 1.0, True], ("calls", "2026-03", "ann"): [1, 1.0, True],
        ("calls", "2026-03", "fair"): [None, None, None], ("roi.booked", "2026-03", "ann"): [None, None, None],
        ("roi.booked", "2026-03", "event"): [0.666667, 1.333333, True],
    }  # fmt: skip
    reasons = {row["measure"]: row["reasons"]["actual"] for row in found.rows if "actual" in row["reasons"]}
    assert reasons == {"calls": "calls have no campaign", "roi.booked": "costs have no owner"}
    assert found.rows[0]["reasons"]["ahead"] == "actual is not known"


def test_a_target_is_replaced_as_a_whole_by_the_last_statement_of_its_place() -> None:
    later = target("leads", "2026-03", 9, "2026-02-01")
    aims = [
        target("leads", "2026-03", 4),
        later,
        target("leads", "2026-03", 7, channel="web"),
        target("leads", "2026-Q1", 5),
    ]
    assert {key: one[0] for key, one in rows(told(aims)).items()} == {
        ("leads", "2026-03"): 9, ("leads", "2026-03", "web"): 7, ("leads", "2026-Q1"): 5
    }  # fmt: skip
    voided = [*aims, event("event.voided", "2026-03-01", source="/test", id=later["id"])]
    assert rows(told(voided))["leads", "2026-03"][0] == 4


def test_targets_are_those_whose_period_overlaps_the_window_and_that_have_what_is_asked_for() -> None:
    aims = [
        target("leads", "2026-03", 1), target("leads", "2026-Q2", 2), target("orders", "2026", 3, owner_id="ann"),
        target("leads", "2027", 4)
    ]  # fmt: skip

    def found(*asked: Any) -> list[Any]:
        return [row["target"] for row in told(aims, *asked).rows]

    assert found("2026-03-31", "2026-04-01") == [1, 3]
    assert found("2026-04-01", "2026-05-01") == [2, 3]
    assert found("2026-07-01") == [4, 3]
    assert found(None, "2026-04-01") == [1, 3]
    assert found(None, None, ("owner", ("ann",))) == [3]
    assert found(None, None, ("owner", ("",)), ("measure", ("leads",)), ("period", ("2027", "2026-03"))) == [1, 4]


def test_money_is_in_the_ledger_s_currency_and_waits_for_a_rate() -> None:
    aims = [
        target("booked_revenue", "2026-03", money("100.00", "USD"), "2026-02-01"),
        target("actual_cost", "2026-03", money("0.00", "USD")),
    ]
    rate = event("fx.rate_published", "2026-02-01", base="USD", quote="EUR", rate="0.5", rate_date="2026-02-01")
    waits, zero = told([*aims]).rows[1], told([*aims, rate]).rows[0]
    assert [*only(waits, *FIGURES).values()] == [None, "0.00", None, 0.322581, None, None]
    assert waits["reasons"]["target"] == "the target waits for an exchange rate"
    assert zero["target"] is None
    assert told([*aims, rate]).rows[1]["target"] == "50.00"
