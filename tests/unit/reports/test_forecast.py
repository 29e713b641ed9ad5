"""Forecast and its accuracy (REPORTS section 4), worked out on paper."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any

from service.domain.contributions import REPORTS
from service.projections.reports.answers import read
from service.projections.reports.dues import Now
from service.projections.sums.selection import Query
from tests.support.asking import ask, only
from tests.support.memory import LEDGER, MemorySnapshot, project
from tests.support.sending import event, lead, money, order

TODAY = date(2026, 5, 15)
FIGURES = ("count", "value", "weighted", "empirical", "booked", "target")


def opened(key: str, close: str = "", value: str = "", chance: float | None = None, **more: Any) -> dict[str, Any]:
    stated = {"expected_close": close, "estimated_value": value and money(value), "probability": chance}
    return event("opportunity.opened", "2026-03-01", opportunity_id=key, **(stated | more))


def decided(outcome: str, times: int, day: str, stage: str) -> list[dict[str, Any]]:
    return [
        one
        for number in range(times)
        for one in (
            opened(f"{outcome}-{stage}-{day}-{number}", stage=stage),
            event(f"opportunity.{outcome}", day, opportunity_id=f"{outcome}-{stage}-{day}-{number}"),
        )
    ]


OPEN = [
    opened("late", "2026-05-14", "100.00", 0.5), opened("today", "2026-05-15", "200.00", 0.25, stage="offer", owner_id="ann"),
    opened("june", "2026-06-30", "400.00", 1, stage="offer"), opened("june too", "2026-06-01"),
    opened("some day", value="10.00"),
    opened("gone", "2026-06-02", "9999.00", 1), event("opportunity.lost", "2024-05-14", opportunity_id="gone"),
    order("o1", "70.00", "2026-05-02"), order("o2", "5.00", "2026-05-15"), order("o3", "900.00", "2026-05-16"),
    order("o4", "8.00", "2026-04-30"),
    event("target.set", measure="booked_revenue", period="2026-05", value=money("50.00")),
    event("target.set", measure="booked_revenue", period="2026-07", value=money("60.00")),
    event("target.set", measure="booked_revenue", period="2026-Q3", value=money("999.00")),
    event("target.set", measure="booked_revenue", period="2026-06", value=money("999.00"), owner_id="ann"),
]  # fmt: skip


def rows(answer: Any, *keys: str) -> dict[Any, list[Any]]:
    key = itemgetter(*keys)
    return {key(row): [*only(row, *FIGURES).values()] for row in answer.rows}


def test_what_is_open_stands_in_its_month_beside_what_is_booked_and_aimed_at() -> None:
    # the only decision is before the 24 months
    found = ask("forecast", OPEN, today=TODAY)
    assert rows(found, "month") == {
        "2026-05": [1, "200.00", "50.00", None, "75.00", "50.00"],
        "2026-06": [2, "400.00", "400.00", None, "0.00", None],
        "2026-07": [0, "0.00", "0.00", "0.00", "0.00", "60.00"],
        "overdue": [1, "100.00", "50.00", None, None, None],
        None: [1, "10.00", "0.00", None, None, None],
    }
    assert [*only(found.total, *FIGURES).values()] == [5, "710.00", "500.00", None, "75.00", "110.00"]


def test_the_win_rate_of_a_stage_is_that_of_all_while_few_were_ever_in_it() -> None:
    # offer: 4 won and 6 lost of the last 24 months; new: 9 won; so that of all: 13 of 19
    past = [
        *decided("won", 4, "2025-01-01", "offer"), *decided("lost", 6, "2024-05-15", "offer"),
        *decided("won", 9, "2026-05-14", "new"),
        *decided("won", 5, "2024-05-14", "offer"), *decided("won", 5, "2026-05-15", "offer"),  # too early, and not before today
    ]  # fmt: skip
    found = ask("forecast", [*OPEN, *past], today=TODAY)
    by_month = {row["month"]: row["empirical"] for row in found.rows}
    assert by_month == {"2026-05": "80.00", "2026-06": "160.00", "2026-07": "0.00", "overdue": "68.42", None: "6.84"}
    assert found.total["empirical"] == "315.26"  # 0.4 · 600 + 13/19 · 110, rounded once


def test_a_window_chooses_months_and_what_is_overdue_or_undated_is_there_always() -> None:
    found = ask("forecast", OPEN, Query(("month",), date(2026, 4, 1), date(2026, 6, 1)), today=TODAY)
    assert {month: [one[0], one[4]] for month, one in rows(found, "month").items()} == {
        "2026-04": [0, "8.00"], "2026-05": [1, "75.00"], "overdue": [1, None], None: [1, None]
    }  # fmt: skip
    later = ask("forecast", OPEN, Query(("month",), date(2026, 6, 15), date(2026, 8, 1)), today=TODAY)
    assert {month: one[:2] for month, one in rows(later, "month").items()} == {
        "2026-06": [1, "400.00"], "2026-07": [0, "0.00"], "overdue": [1, "100.00"], None: [1, "10.00"]
    }  # fmt: skip
    assert [row["month"] for row in ask("forecast", [lead("L")], today=TODAY).rows] == ["overdue", None]


def test_other_groups_and_filters_have_no_target_and_stages_no_booked_revenue() -> None:
    found = ask("forecast", OPEN, Query(("month", "owner")), today=TODAY)
    assert rows(found, "month", "owner") == {
        ("2026-05", "ann"): [1, "200.00", "50.00", None, "0.00", None],
        ("2026-05", None): [0, "0.00", "0.00", "0.00", "75.00", None],
        ("2026-06", None): [2, "400.00", "400.00", None, "0.00", None],
        ("overdue", None): [1, "100.00", "50.00", None, None, None],
        (None, None): [1, "10.00", "0.00", None, None, None],
    }  # fmt: skip
    filtered = ask("forecast", OPEN, Query(("month",), only=(("stage", ("offer",)),)), today=TODAY)
    assert (filtered.total["count"], filtered.total["booked"], filtered.total["target"]) == (2, None, None)
    by_owner = ask("forecast", OPEN, Query(("owner",)), today=TODAY)
    assert rows(by_owner, "owner") == {
        "ann": [1, "200.00", "50.00", None, "0.00", None], None: [4, "510.00", "450.00", None, "75.00", None]
    }  # fmt: skip


def test_value_converts_at_the_day_of_the_opening_and_what_was_decided_otherwise_is_open_again() -> None:
    events = [
        opened("a", "2026-06-01", chance=0.5, estimated_value=money("10.00", "USD")),
        event("opportunity.won", "2026-04-01", opportunity_id="a"),
        event("opportunity.reopened", "2026-04-02", opportunity_id="a"),
        event("fx.rate_published", "2026-02-01", base="USD", quote="EUR", rate="0.335", rate_date="2026-02-01"),
    ]  # fmt: skip
    found = ask("forecast", events, today=TODAY)
    assert (found.total["value"], found.total["weighted"]) == ("3.35", "1.68")  # 1.675 half-even
    assert ask("forecast", events[:2] + events[3:], today=TODAY).total["count"] == 0


def known(events: list[dict[str, Any]], recorded: list[datetime], query: Query, timezone: str = "UTC") -> Any:
    async def run() -> Any:
        ledger = LEDGER._replace(timezone=timezone)
        view: Any = MemorySnapshot(await project(events, (), ledger), ledger, recorded)
        return await read(view, REPORTS["forecast-accuracy"], query, Now(0, TODAY))

    return asyncio.run(run())


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def test_accuracy_sets_what_was_known_when_a_month_began_against_what_was_booked() -> None:
    log = [
        (at(2, 1), opened("some day", "", "7000.00", 1)),
        (at(2, 27), opened("a", "2026-03-31", "100.00", 0.5)),
        (at(2, 28, 23), opened("b", "2026-03-10", "40.00", 1)),  # in Berlin it is March by half an hour later
        (at(3, 2), opened("c", "2026-03-10", "900.00", 1)),  # March has begun
        (at(3, 5), order("o1", "75.00", "2026-03-05")),
        (
            at(3, 6),
            event("opportunity.value_changed", "2026-03-06", opportunity_id="a", estimated_value=money("200.00")),
        ),
        (at(3, 7), event("opportunity.lost", "2026-03-07", opportunity_id="b")),
        (at(5, 1), event("order.amended", "2026-03-20", order_id="o1", net_value=money("80.00"))),
        (at(5, 2), order("o2", "10.00", "2026-05-02")),  # May is not over
    ]
    events, recorded = [one for _, one in log], [when for when, _ in log]
    found = known(events, recorded, Query(("month",)))
    assert [row["month"] for row in found.rows] == [f"2025-{n:02}" for n in range(5, 13)] + [
        f"2026-{n:02}" for n in range(1, 5)
    ]
    march = found.rows[10]
    names = ("weighted", "booked", "error", "error_rate")
    assert [*only(march, *names).values()] == ["90.00", "80.00", "10.00", 0.125]
    assert [*only(found.total, *names).values()] == ["90.00", "80.00", "10.00", 0.125]
    assert [*only(found.rows[9], *names).values()] == ["0.00", "0.00", "0.00", None]
    recorded[2] = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert known(events, recorded, Query(("month",)), "Europe/Berlin").rows[10]["weighted"] == "50.00"
    part = known(events, recorded, Query(("month",), date(2026, 2, 2), date(2026, 4, 30)))
    assert [row["month"] for row in part.rows] == ["2026-03"]  # the only full one


def test_a_lead_gives_its_campaign_to_the_forecast() -> None:
    events = [lead("L", "fair"), opened("a", "2026-06-01", "10.00", lead_ids=["L"])]
    found = ask("forecast", events, Query(("campaign",)), today=TODAY)
    assert [(row["campaign_id"], row["count"]) for row in found.rows] == [("fair", 1), (None, 0)]
