"""Exchange rates (SPEC sections 3 and 7, "Money"): the greatest rate_date ≤ the date, direct before inverse.

The last statement per pair and date holds, whoever provides it. Nothing is triangulated, and nothing is guessed.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from service.domain.calendar import recorded_day
from service.domain.facts import Fact
from service.domain.money import parse_rate
from service.domain.registers import Lookup


class Converted(NamedTuple):
    """A rate as used: `rate` units of the ledger's currency per unit, stated for `day`."""

    rate: Fraction
    day: int


class Rates:
    """The published rates of a ledger, to be asked for one currency and day at a time."""

    def __init__(self, currency: str, facts: Iterable[Fact] = ()) -> None:
        """Take the ledger's `currency` and its live `fx.rate_published` facts in any order."""
        self.currency = currency
        self._stated: dict[tuple[str, bool, int], Fact] = {}  # (foreign currency, direct, day) → last statement
        self._rates: dict[str, dict[int, Converted]] = {}
        self._days: dict[str, list[int]] = {}
        for fact in facts:
            self.add(fact)

    def add(self, fact: Fact) -> Iterable[Lookup]:
        """Take in one statement; return the (currency, first day) whose conversions it may change."""
        base, quote = fact.data["base"], fact.data["quote"]
        if base == quote or self.currency not in (base, quote):
            return ()
        direct, day = quote == self.currency, recorded_day(fact.data["rate_date"])
        foreign = base if direct else quote
        last = self._stated.get((foreign, direct, day))
        if last is not None and last[:4] > fact[:4]:
            return ()
        rate = parse_rate(fact.data["rate"])  # first: one that cannot be read must not stand in for the one before
        self._stated[(foreign, direct, day)] = fact
        if not direct and (foreign, True, day) in self._stated:
            return ()
        rates = self._rates.setdefault(foreign, {})
        if day not in rates:
            insort(self._days.setdefault(foreign, []), day)
        rates[day] = Converted(rate if direct else 1 / rate, day)
        return [(foreign, day)]

    def concerned(self, fact: Fact) -> Iterable[Lookup]:
        """Return the conversions that a statement may ever have changed."""
        day = recorded_day(fact.data["rate_date"])
        return [(currency, day) for currency in {fact.data["base"], fact.data["quote"]} - {self.currency}]

    def at(self, currency: str, day: int) -> Converted | None:
        """Return the rate of a foreign currency on a day, or None while there is none."""
        days = self._days.get(currency, [])
        index = bisect_right(days, day)
        return self._rates[currency][days[index - 1]] if index else None
