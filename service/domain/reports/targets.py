"""Targets (REPORTS section 3): what was aimed at, what came of it, and whether that is ahead of time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from service.domain.calendar import parse_period
from service.domain.components.entities import NO_DAY
from service.domain.components.targets import DIMENSIONS, Target
from service.domain.cubes import COST, DEALS, Cube, Dimensions, Posts
from service.domain.definitions import MONEY_MEASURES, RATIO_MEASURES, SHARE_MEASURES
from service.domain.figures import total
from service.domain.given import Given, Values
from service.domain.money import money_of
from service.domain.postings import Book, Remainder
from service.domain.report import Report, Row
from service.domain.reports import conversion, roi
from service.domain.reports.activities import ACTIVITIES
from service.domain.units import COUNT, MONEY, OF_MEASURE, RATIO, TRUTH, Exact

# What a target states, in the order of its cube; its number, which is no money, as a decimal.
STATED = ("measure", "period", *DIMENSIONS)
TARGETS = Cube("targets", by=(*(f"target_{name}" for name in STATED), "number"))
SET, WAITING, AMOUNT = "targets.set", "targets.waiting", "targets.money"
_OF_CALLS = ("calls", "activities")  # which know nothing but their owner
_DECIMALS = 40


# What entities post


def contribute_target(target: Target, book: Book) -> None:
    """Post a target as it was last set: it has no day. Money is converted at the local day of the event, like a budget."""
    fact = target.fact
    if fact is None:
        return
    said, value = fact.data, fact.data["value"]
    stated = {
        "measure": said["measure"],
        "period": said["period"],
        **{one: said.get(field) for one, field in DIMENSIONS.items()},
    }
    number = None if type(value) is dict else _number(value)
    segment = book.at(TARGETS, **{f"target_{name}": label for name, label in stated.items()}, number=number)
    known = True
    if number is None:
        money = money_of(value)
        left = Remainder(book, money.currency, book.zone.day(fact.micros))
        left.post({AMOUNT: 1}, target.name, Dimensions(stated["campaign"]), NO_DAY, NO_DAY, money.minor, segment)
        known = left.known
    book.put((SET if known else WAITING, target.name, segment, NO_DAY, NO_DAY, None, None))


def _number(value: object) -> str:
    """Write a number as a decimal, always the same way; digits beyond the fortieth move no figure."""
    text = f"{Decimal(str(value)):.{_DECIMALS}f}"
    return text.rstrip("0").rstrip(".")


POSTS = Posts(TARGETS, {"target": contribute_target}, counts=(SET, WAITING), money=(AMOUNT,))


# What came of it: figures of other reports

ACTUALS = Report(
    "actuals",
    "What came of the measures that targets are set for?",
    DEALS,
    {
        **roi.REPORT.figures,
        **{name: conversion.REPORT.figures[name] for name in ("won", "lost", "win_rate")},
        "calls": total("calls.made", COUNT, "calls"),
        "activities": total(" + ".join(f"activities.{kind}" for kind in ACTIVITIES.values()), COUNT, "activities"),
    },
)


class Aim(NamedTuple):
    """A target as it stands: what it is of, by dimension, and what it comes to; None while it waits for a rate."""

    measure: str
    period: str
    of: Mapping[str, str]
    value: Exact | None

    @property
    def unit(self) -> str:
        """The unit of its measure."""
        if self.measure in MONEY_MEASURES:
            return MONEY
        return RATIO if self.measure in (*SHARE_MEASURES, *RATIO_MEASURES) else COUNT

    @property
    def grain(self) -> str:
        """How long its period is: a year, a quarter or a month."""
        return "year" if "-" not in self.period else "quarter" if "Q" in self.period else "month"

    @property
    def days(self) -> tuple[date, date]:
        """The first day of its period, and the day after the last."""
        return parse_period(self.period)

    def overlaps(self, since: date | None, until: date | None) -> bool:
        """Tell whether its period and a window have a day in common."""
        first, end = self.days
        return (since is None or since < end) and (until is None or first < until)

    def elapsed(self, today: date) -> Fraction:
        """Return the share of its period's days that are up to and with today."""
        first, end = self.days
        return Fraction(min(max((today - first).days + 1, 0), (end - first).days), (end - first).days)

    def set_against(self, actual: Row, today: date) -> Values:
        """Return its figures beside what came of it."""
        found: dict[str, Exact | str] = {"elapsed": self.elapsed(today)}
        value = actual.value(self.measure) if (unknown := self._unknown()) is None else None
        reason = unknown or actual.reasons.get(self.measure, "")
        found["actual"] = reason if value is None else value
        if self.value is None:
            waits = "the target waits for an exchange rate"
            return Values({**dict.fromkeys(FIGURES, waits), **found}, self.unit)
        expected = self.value if self.unit == RATIO else self.value * self.elapsed(today)
        found |= {"target": self.value, "expected_by_now": expected}
        if value is None:
            found |= dict.fromkeys(("attainment", "ahead"), "actual is not known")
        else:
            found["ahead"] = int(value <= expected if self.measure == COST else value >= expected)
            below = "0" if self.value == 0 else "negative"
            found["attainment"] = Fraction(value) / self.value if self.value > 0 else f"target is {below}"
        return Values(found, self.unit)

    def _unknown(self) -> str | None:
        """Return why its measure is not told by its dimensions."""
        if self.measure in _OF_CALLS and (others := self.of.keys() - {"owner"}):
            return f"{self.measure} have no {min(others)}"
        return None


REPORT = Report(
    "targets",
    "What was aimed at, what came of it, and is that ahead of time?",
    TARGETS,
    {
        "target": Given(unit=OF_MEASURE, of=(SET,), definition="what was aimed at, as last set"),
        "actual": Given(unit=OF_MEASURE, definition="that measure in that period, of those dimensions"),
        "attainment": Given(unit=RATIO, definition="actual / target"),
        "elapsed": Given(unit=RATIO, definition="share of the period's days up to and with today"),
        "expected_by_now": Given(unit=OF_MEASURE, definition="target × elapsed", note="ratios are expected whole"),
        "ahead": Given(unit=TRUTH, definition="actual ≥ expected_by_now", note="of actual_cost: ≤"),
    },
    group_by="",
    keys=STATED,
    has_total=False,
    compares=False,
    notes=(
        "Of targets whose period overlaps the window. What came of one is the figure of the report that has it, where it opens",
        "down to its entries; `target` opens down to the events that set it.",
    ),
)  # fmt: skip
FIGURES = tuple(REPORT.figures)
