"""Which clocks the marks of a lead start and stop, worked out on paper."""

from __future__ import annotations

from service.domain.clocks import clocks
from service.domain.facts import Fact

Told = list[tuple[int, str]]


def marks(told: Told) -> list[Fact]:
    return [Fact(at, "", "/t", f"{at}", kind, {}) for at, kind in told]


def agreed(at: int, start: str, end: str) -> Fact:
    return Fact(at, "", "/t", f"d{at}", "sla.defined", {"from_event": start, "to_event": end})


def ran(told: Told, *definitions: Fact) -> list[tuple[int, int | None]]:
    def of_type(name: str) -> list[Fact]:
        return [one for one in marks(told) if one.type == name]

    return [(one.start.micros, one.stop.micros if one.stop else None) for one in clocks(of_type, definitions)]


FIRST = agreed(0, "lead.captured", "lead.followed_up")
EACH = agreed(0, "lead.handed_over", "lead.accepted")


def test_a_capture_starts_a_clock_once_and_any_later_follow_up_stops_it() -> None:
    told = [(1, "lead.followed_up"), (2, "lead.captured"), (3, "lead.captured"), (5, "lead.followed_up")]
    assert ran([*told, (6, "lead.captured"), (7, "lead.followed_up")], FIRST) == [(2, 5)]


def test_other_events_start_one_each_time_that_none_runs() -> None:
    told = [
        (1, "lead.handed_over"),
        (2, "lead.handed_over"),
        (3, "lead.accepted"),
        (4, "lead.accepted"),
        (5, "lead.handed_over"),
    ]
    assert ran(told, EACH) == [(1, 3), (5, None)]


def test_a_clock_runs_by_the_definition_at_its_start_and_before_any_there_is_none() -> None:
    told = [
        (1, "lead.captured"),
        (4, "lead.accepted"),
        (6, "lead.handed_over"),
        (8, "lead.accepted"),
        (9, "lead.followed_up"),
    ]
    later = agreed(2, "lead.handed_over", "lead.accepted")
    assert ran(told, FIRST, later) == [(1, 9)]
    assert ran(told, later) == [(6, 8)]
    assert ran(told, agreed(7, "lead.captured", "lead.accepted")) == []
