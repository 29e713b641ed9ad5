"""Service cases, worked out on paper."""

from __future__ import annotations

from typing import Any

from tests.support.asked_in_any_order import ask, by_key, figures
from tests.support.memory import LEDGER
from tests.support.sending import event


def opened(case: str, time: str, agent: str | None = None) -> dict[str, Any]:
    return event("case.opened", time, case_id=case, **({"agent_id": agent} if agent else {}))


def resolved(case: str, time: str, agent: str | None = None) -> dict[str, Any]:
    return event("case.resolved", time, case_id=case, **({"agent_id": agent} if agent else {}))


EVENTS = [
    opened("C1", "2026-01-05T08:00:00Z", "kim"),
    resolved("C1", "2026-01-05T14:00:00Z"),  # 6 hours, on one day
    opened("C2", "2026-01-20T08:00:00Z", "kim"),
    resolved("C2", "2026-02-01T08:00:00Z"),
    opened("C2", "2026-02-03T08:00:00Z", "lee"),  # the last agent has all of it
    resolved("C2", "2026-03-01T08:00:00Z"),  # 40 days
    opened("C3", "2026-02-10T08:00:00Z", "lee"),
    event("csat.recorded", "2026-01-06", case_id="C1", score=3),
    event("csat.recorded", "2026-02-06", case_id="C1", score=4.5),
    event("csat.recorded", "2026-03-06", case_id="C2", score=2),
]


def test_cases_count_on_their_days_and_belong_to_their_last_agent() -> None:
    found = ask("service", EVENTS)
    rows = by_key(found, "owner", "opened", "resolved", "reopened", "open", "backlog", "same_day", "same_day_rate")
    assert rows == {"kim": (1, 1, 0, 0, 0, 1, 1.0), "lee": (2, 1, 1, 1, 1, 0, 0.0)}
    times = by_key(found, "owner", "mean_hours", "p50_hours", "p90_hours")
    assert times == {"kim": (6.0, 6.0, 6.0), "lee": (960.0, 960.0, 960.0)}
    total = figures(found["total"], "mean_hours", "p50_hours", "p90_hours", "backlog")
    assert total == (483.0, 483.0, 864.6, 1)


def test_a_case_is_scored_once_on_the_day_of_its_last_score() -> None:
    found = ask("service", EVENTS, "month")
    scores = by_key(found, "month", "csat_count", "csat_mean", "csat_satisfied")
    assert scores["2026-01"] == (0, None, None)
    assert scores["2026-02"] == (1, 4.5, 1.0)
    assert figures(found["total"], "csat_count", "csat_mean", "csat_satisfied") == (2, 3.25, 0.5)


def test_the_backlog_is_what_is_open_when_a_period_ends_and_has_a_row_where_it_is_all_there_is() -> None:
    found = ask("service", EVENTS, "month", "2026-01-01", "2026-07-01")
    assert by_key(found, "month", "opened", "backlog") == {
        "2026-01": (2, 1), "2026-02": (1, 2), "2026-03": (0, 1), "2026-04": (0, 1), "2026-05": (0, 1), "2026-06": (0, 1)
    }  # fmt: skip
    assert found["total"]["backlog"] == 1


def test_the_backlog_at_the_windows_end_counts_what_was_opened_before_it() -> None:
    found = ask("service", EVENTS, "owner,month", "2026-02-05", "2026-02-20")
    assert [figures(row, "owner", "month", "opened", "backlog") for row in found["rows"]] == [
        ("kim", "2026-02", 0, 0), ("lee", "2026-02", 1, 2)
    ]  # fmt: skip
    assert figures(found["total"], "opened", "backlog") == (1, 2)


def test_without_an_end_periods_go_on_until_the_last_in_which_anything_happens() -> None:
    found = ask("service", [*EVENTS, event("csat.recorded", "2026-08-01", case_id="C3", score=1)], "quarter")
    assert by_key(found, "quarter", "backlog") == {"2026-Q1": (1,), "2026-Q2": (1,), "2026-Q3": (1,)}


def test_what_was_resolved_and_reopened_is_open_and_a_resolution_before_any_opening_makes_that_a_reopening() -> None:
    events = [resolved("C", "2026-01-01T00:00:00Z"), opened("C", "2026-01-02T00:00:00Z")]
    total = ask("service", events)["total"]
    assert figures(total, "opened", "resolved", "reopened", "open", "backlog") == (1, 0, 1, 1, 1)
    total = ask("service", events[:1])["total"]
    assert figures(total, "opened", "resolved", "same_day", "mean_hours", "backlog") == (0, 1, 0, None, 0)


def test_a_voided_resolution_leaves_a_case_open_and_days_are_those_of_the_ledger() -> None:
    away = {**resolved("C", "2026-01-02T03:00:00Z"), "id": "away"}
    events = [opened("C", "2026-01-01T12:00:00Z"), away]
    ledger = LEDGER._replace(timezone="America/New_York")
    assert figures(ask("service", events, ledger=ledger)["total"], "resolved", "same_day", "mean_hours") == (1, 1, 15.0)
    void = event("event.voided", "2026-01-03", source="/test", id="away")
    assert figures(ask("service", [*events, void])["total"], "resolved", "open", "backlog") == (0, 1, 1)
