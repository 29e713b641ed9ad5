"""Stages (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from typing import Any

from service.projections.sums.selection import Query
from tests.support.asking import ask, only
from tests.support.sending import event, money

DEFINED = [
    event("stage.defined", "2026-01-01", stage=name, order=number)
    for number, name in enumerate(("new", "offer", "end"))
]


def opened(key: str, stage: str | None = None, **more: Any) -> dict[str, Any]:
    stated = {"stage": stage} if stage else {}
    return event("opportunity.opened", "2026-03-01", opportunity_id=key, **stated, **more)


def moved(key: str, day: str, stage: str) -> dict[str, Any]:
    return event("opportunity.stage_changed", day, opportunity_id=key, stage=stage)


EVENTS = [
    *DEFINED,
    opened("O1", "new", estimated_value=money("100.00")), moved("O1", "2026-03-03", "offer"), moved("O1", "2026-03-09", "new"),
    opened("O2", "offer", owner_id="bob"), event("opportunity.won", "2026-03-05", opportunity_id="O2"),
    opened("O3", "new"), event("opportunity.lost", "2026-03-02", opportunity_id="O3"), moved("O3", "2026-03-04", "end"),
    opened("O4"),
]  # fmt: skip


def test_an_opportunity_counts_in_each_stage_that_it_ever_entered_and_once_in_all() -> None:
    rows, total, _ = ask("stages", EVENTS)
    assert [row["stage"] for row in rows] == ["end", "new", "offer"]
    end, new, offer = rows
    counts = ("entered", "moved_on", "won", "lost", "open", "open_value")
    assert [*only(end, *counts).values()] == [1, 0, 0, 1, 0, "0.00"]
    assert [*only(new, *counts).values()] == [2, 2, 0, 1, 1, "100.00"]
    assert [*only(offer, *counts).values()] == [2, 1, 1, 0, 1, "100.00"]
    assert [*only(total, *counts).values()] == [3, 3, 1, 1, 1, "100.00"]
    assert (offer["rate_on"], offer["win_rate"], total["rate_on"]) == (0.5, 1.0, 1.0)


def test_a_visit_ends_with_the_next_stage_or_the_outcome_if_that_comes_after_it_began() -> None:
    end, new, offer = ask("stages", EVENTS).rows
    assert (end["mean_days"], new["mean_days"], offer["mean_days"]) == (None, 1.5, 5.0)  # new: 2 and 1; offer: 6 and 4
    assert (offer["p50_days"], offer["p90_days"]) == (5.0, 5.8)


def test_rows_that_are_not_by_stage_count_an_opportunity_once() -> None:
    rows, total, _ = ask("stages", EVENTS, Query(("owner",)))
    assert [(row["owner"], row["entered"]) for row in rows] == [("bob", 1), (None, 2)]
    assert total["entered"] == 3
    filtered = ask("stages", EVENTS, Query(("owner",), only=(("stage", ("offer",)),)))
    assert (filtered.total["entered"], filtered.total["moved_on"]) == (2, 1)


def test_stages_defined_otherwise_move_opportunities_on_in_the_past() -> None:
    later = event("stage.defined", "2026-05-01", stage="new", order=7)
    by_stage = {row["stage"]: row["moved_on"] for row in ask("stages", [*EVENTS, later]).rows}
    assert by_stage == {"end": 1, "new": 0, "offer": 2}
