"""Service level agreements for leads (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.projections.sums.selection import Query
from tests.support.asking import ask, only
from tests.support.memory import LEDGER
from tests.support.sending import event, lead, order

Events = list[dict[str, Any]]
WEEK = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
NAMES = ("started", "met", "late", "running", "overdue")


def agreed(
    within: float, start: str = "lead.captured", end: str = "lead.followed_up", at: str = "2026-01-01", **more: Any
) -> Any:
    return event("sla.defined", at, sla_id="S", from_event=start, to_event=end, within_hours=within, **more)


def done(kind: str, time: str, key: str = "L", **more: Any) -> dict[str, Any]:
    return event(f"lead.{kind}", time, lead_id=key, **more)


def figures(events: Events, now: str = "2026-07-01T00:00:00", zone: str = "UTC", **only_of: str) -> tuple[Any, ...]:
    query = Query(("sla",), only=tuple((name, (value,)) for name, value in only_of.items()))
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    total = ask("sla", events, query, today=moment, ledger=LEDGER._replace(timezone=zone)).total
    return tuple(total[name] for name in NAMES)


CAPTURED = lead("L", "c", "2026-03-02T09:00:00Z")  # a Monday


def test_a_clock_is_met_at_most_within_the_hours_agreed_and_overdue_beyond_them() -> None:
    def stopped(time: str) -> Events:
        return [agreed(4), CAPTURED, done("followed_up", time)]

    assert figures(stopped("2026-03-02T13:00:00Z")) == (1, 1, 0, 0, 0)
    assert figures(stopped("2026-03-02T13:00:00.000001Z")) == (1, 0, 1, 0, 0)
    running = [agreed(4), CAPTURED]
    assert figures(running, "2026-03-01T00:00:00") == (1, 0, 0, 1, 0)
    assert figures(running, "2026-03-02T13:00:00") == (1, 0, 0, 1, 0)
    assert figures(running, "2026-03-02T13:00:00.000001") == (1, 0, 0, 0, 1)
    assert figures(running, "2026-03-03T00:00:00") == (1, 0, 0, 0, 1)


def test_only_business_hours_count_on_the_local_clock_and_no_holidays() -> None:
    friday = lead("L", "c", "2026-03-27T15:00:00Z")  # 16:00 in Berlin; the clocks change on Sunday
    hours = agreed(3, hours=WEEK, holidays=["2026-03-30"])
    rows = ask(
        "sla",
        [hours, friday, done("followed_up", "2026-03-31T09:00:00Z")],
        ledger=LEDGER._replace(timezone="Europe/Berlin"),
    ).rows  # an hour on Friday, none on Monday, and on Tuesday from 9 to 11
    assert [only(row, "met", "late", "mean_hours") for row in rows] == [{"met": 1, "late": 0, "mean_hours": 3.0}]
    two = agreed(1, hours=WEEK)
    assert figures([two, friday], "2026-03-30T07:00:00", "Europe/Berlin")[3:] == (
        1,
        0,
    )  # nothing more until Monday at 9
    assert figures([two, friday], "2026-03-30T07:00:01", "Europe/Berlin")[3:] == (0, 1)


def test_windows_that_overlap_count_once_and_may_last_until_midnight() -> None:
    hours = {"mon": [["22:00", "24:00"], ["08:00", "12:00"], ["10:00", "13:00"]]}
    (row,) = ask("sla", [agreed(7, hours=hours), CAPTURED, done("followed_up", "2026-03-03T00:00:00Z")]).rows
    assert only(row, "met", "mean_hours") == {"met": 1, "mean_hours": 6.0}


def test_the_definition_in_force_at_its_start_is_what_a_clock_runs_by_whenever_it_arrives() -> None:
    events = [
        CAPTURED, done("followed_up", "2026-03-02T12:00:00Z"), lead("M", "c", "2026-04-02T09:00:00Z"),
        done("followed_up", "2026-04-02T12:00:00Z", "M"), lead("N", "c", "2025-12-02"),
    ]  # fmt: skip
    strict = agreed(1, at="2026-04-01")
    assert figures([*events, agreed(4), strict]) == (2, 1, 1, 0, 0)
    void = event("event.voided", "2026-06-01", source="/test", id=strict["id"])
    assert figures([*events, agreed(4), strict, void]) == (2, 2, 0, 0, 0)


def test_clocks_that_run_count_nowhere_while_the_lead_is_disqualified_or_has_a_live_order() -> None:
    out = [agreed(4), CAPTURED, done("disqualified", "2026-03-03")]
    assert figures(out) == (0, 0, 0, 0, 0)
    assert figures([*out, done("reopened", "2026-03-04")]) == (1, 0, 0, 0, 1)
    assert figures([*out, done("followed_up", "2026-03-05")]) == (1, 0, 1, 0, 0)
    deal = event("opportunity.opened", "2026-03-03", opportunity_id="O", lead_ids=["L"])
    sold = [agreed(4), CAPTURED, deal, order("S", "1.00", "2026-03-04", opportunity_id="O")]
    assert figures(sold) == (0, 0, 0, 0, 0)
    assert figures([*sold, event("order.cancelled", "2026-03-05", order_id="S")]) == (1, 0, 0, 0, 1)


def test_an_opening_stops_and_starts_clocks_of_the_leads_that_the_opportunity_lists() -> None:
    def opened(key: str, day: str, *leads: str) -> dict[str, Any]:
        return event("opportunity.opened", day, opportunity_id=key, lead_ids=[*leads])

    until = agreed(48, end="opportunity.opened")
    assert figures([until, CAPTURED, opened("O", "2026-03-04", "L")]) == (1, 0, 1, 0, 0)
    assert figures([until, CAPTURED, opened("O", "2026-03-04", "L"), opened("P", "2026-03-03", "L", "M")]) == (
        1,
        1,
        0,
        0,
        0,
    )
    moved = [until, CAPTURED, opened("O", "2026-03-03", "L"), opened("O", "2026-03-04", "M")]
    assert figures(moved) == (1, 0, 0, 0, 1)  # it lists the lead no more
    since = agreed(24, "opportunity.opened", "lead.accepted")
    again = [
        since,
        CAPTURED,
        opened("O", "2026-03-04", "L"),
        opened("P", "2026-03-08", "L"),
        done("accepted", "2026-03-05"),
    ]
    assert figures(again) == (1, 1, 0, 0, 0)  # the second opening starts none


def test_merged_leads_have_the_clocks_of_one() -> None:
    events = [
        agreed(4),
        CAPTURED,
        lead("M", "c", "2026-03-02T08:00:00Z"),
        done("followed_up", "2026-03-02T12:30:00Z", "M"),
    ]
    assert figures(events) == (2, 0, 1, 0, 1)
    assert figures([*events, event("lead.merged", "2026-05-01", survivor_id="L", merged_id="M")]) == (1, 0, 1, 0, 0)


def test_an_agreement_is_for_leads_that_have_all_its_dimensions_their_campaigns_too() -> None:
    fair = event("campaign.registered", "2026-01-01", campaign_id="c", name="C", campaign_type="fair", parent_id="top")
    of = [CAPTURED, lead("M", None, "2026-03-02", source="web"), lead("N", "d", "2026-03-02", channel="phone")]
    for where, expected in (
        ({"campaign_type": "fair"}, 1), ({"parent": "top"}, 1), ({"parent": "d"}, 1), ({"campaign_id": ""}, 1),
        ({"campaign_type": ""}, 2), ({"channel": "phone"}, 1), ({"channel": "events"}, 0), ({"source": "web", "owner": ""}, 1),
    ):  # fmt: skip
        assert figures([*of, fair, agreed(4, where=where)])[0] == expected, where
    renamed = event("campaign.updated", "2026-02-01", campaign_id="c", channel="events")
    assert figures([*of, fair, renamed, agreed(4, where={"channel": "events"})])[0] == 1


def test_rows_are_by_agreement_and_the_last_owner_of_the_lead_on_the_day_of_the_start() -> None:
    events = [
        agreed(4), lead("L", "c", "2026-03-31T23:30:00Z", owner_id="ada"), done("handed_over", "2026-04-02", owner_id="bob"),
    ]  # fmt: skip
    found = ask("sla", events, Query(("sla", "owner", "month")), ledger=LEDGER._replace(timezone="Europe/Berlin")).rows
    assert [only(row, "sla", "owner", "month", "overdue") for row in found] == [
        {"sla": "S", "owner": "bob", "month": "2026-04", "overdue": 1}
    ]
