"""Service level agreements as they are defined (REPORTS sections 2 and 3): each definition holds from its time on.

An agreement that the catalogue refuses today defines nothing: releases before this one took `sla.defined` with any two texts.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

from service.domain.calendar import Zone
from service.domain.catalogue import check_data
from service.domain.facts import Fact
from service.domain.hours import Hours
from service.domain.registers import Lookup

MICROS_PER_HOUR = 3_600_000_000
ASKED = "sla"  # whoever may have a clock asks for it by the day of the last mark that may start one


class Terms(NamedTuple):
    """What a definition says: of which leads, within how many microseconds, and which hours count."""

    where: Mapping[str, str]
    within: int
    hours: Hours


class Agreements:
    """The definitions of a ledger's agreements, by id in event order."""

    def __init__(self, zone: Zone) -> None:
        self.by_id: dict[str, list[Fact]] = {}
        self._zone = zone
        self._terms: dict[tuple[str, str], Terms] = {}

    def add(self, fact: Fact) -> Iterable[Lookup]:
        """Take in a definition; return what to ask for whoever has marks since then."""
        if not usable(fact.data):
            return ()
        definitions = self.by_id.setdefault(fact.data["sla_id"], [])
        place = bisect_left(definitions, fact[:4], key=lambda one: one[:4])
        if definitions[place : place + 1] != [fact]:
            insort(definitions, fact)
        return self.concerned(fact)

    def concerned(self, fact: Fact) -> Iterable[Lookup]:
        """Return what to ask for whom a definition may concern."""
        return [(ASKED, self._zone.day(fact.micros))]

    def terms(self, definition: Fact) -> Terms:
        """Return what a definition says."""
        found = self._terms.get(definition[2:4])
        if found is None:
            found = self._terms[definition[2:4]] = terms_of(definition.data, self._zone.name)
        return found


def terms_of(data: Mapping[str, object], zone: str) -> Terms:
    """Read what a definition says, of a ledger in a time zone."""
    hours: Mapping[str, Sequence[Sequence[str]]] | None = data.get("hours")  # type: ignore[assignment]  # as checked
    where: Mapping[str, str] = data.get("where") or {}  # type: ignore[assignment]
    holidays: Sequence[str] = data.get("holidays") or ()  # type: ignore[assignment]
    within = floor(Fraction(str(data["within_hours"])) * MICROS_PER_HOUR)
    return Terms(where, within, Hours(zone, hours, holidays))


def usable(data: Mapping[str, object]) -> bool:
    """Tell whether a definition, as facts have it, is one."""
    within = data.get("within_hours")
    try:
        number = {"within_hours": Decimal(within)} if isinstance(within, str) else {}
    except ArithmeticError:
        return False
    return not any(check_data("sla.defined", {**data, **number}))
