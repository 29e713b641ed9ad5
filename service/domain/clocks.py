"""Clocks of service level agreements (REPORTS section 3, sla): which ones the marks of a lead start, and what stops them.

A clock runs by the last definition at or before its start in event order, so that a new definition leaves earlier clocks as they
were. A lead's capture, its qualification and the opening of an opportunity start one by their first mark only, other events each
while none runs; any later event of the other type stops it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from service.domain.facts import Fact

FIRST_ONLY = frozenset(("lead.captured", "lead.qualified", "opportunity.opened"))
Marks = Callable[[str], Sequence[Fact]]  # the marks of a type, in event order


class Clock(NamedTuple):
    """A clock that a mark started, by a definition; `stop` is the mark that stopped it, if one has."""

    definition: Fact
    start: Fact
    stop: Fact | None


def clocks(marks: Marks, definitions: Sequence[Fact]) -> Iterator[Clock]:
    """Yield the clocks of one lead under one agreement, whose definitions are in event order."""
    free: tuple[object, ...] = ()  # from where on in event order no clock runs
    for definition, following in pairwise((*definitions, None)):
        assert definition is not None  # noqa: S101  only the last of all is none
        starts, stops = marks(definition.data["from_event"]), marks(definition.data["to_event"])
        if definition.data["from_event"] in FIRST_ONLY:
            starts = starts[:1]
        until = len(starts) if following is None else _place(starts, following[:4])
        while (at := _place(starts, max(free, definition[:4]))) < until:
            after = bisect_right(stops, _order(starts[at]), key=_order)
            if after == len(stops):
                yield Clock(definition, starts[at], None)
                return
            yield Clock(definition, starts[at], stops[after])
            free = stops[after][:4]


def _place(marks: Sequence[Fact], at: tuple[object, ...]) -> int:
    return bisect_left(marks, at, key=_order)


def _order(mark: Fact) -> tuple[object, ...]:
    return mark[:4]
