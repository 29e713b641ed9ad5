"""Clocks of service level agreements (REPORTS section 3, sla): which ones the marks of a lead start, and what stops them.

A clock runs by the last definition at or before its start in event order, so that a new definition leaves earlier clocks as they
were. A lead's capture, its qualification and the opening of an opportunity start one by their first mark only, other events each
while none runs; any later event of the other type stops it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from service.domain.facts import Fact

FIRST_ONLY = frozenset(("lead.captured", "lead.qualified", "opportunity.opened"))


class Clock(NamedTuple):
    """A clock that a mark started, by a definition; `stop` is the mark that stopped it, if one has."""

    definition: Fact
    start: Fact
    stop: Fact | None


def clocks(marks: Sequence[Fact], definitions: Sequence[Fact]) -> Iterator[Clock]:
    """Yield the clocks of one lead under one agreement: its marks and the agreement's definitions are in event order."""
    running: Clock | None = None
    seen: set[str] = set()
    for mark in marks:
        if running is not None and mark.type == running.definition.data["to_event"]:
            yield running._replace(stop=mark)
            running = None
        first = mark.type not in seen
        seen.add(mark.type)
        definition = _in_force(definitions, mark)
        if definition is None or mark.type != definition.data["from_event"] or running is not None:
            continue
        if first or mark.type not in FIRST_ONLY:
            running = Clock(definition, mark, None)
    if running is not None:
        yield running


def _in_force(definitions: Sequence[Fact], mark: Fact) -> Fact | None:
    place = bisect_right(definitions, mark[:4], key=lambda one: one[:4])
    return definitions[place - 1] if place else None
