"""Figures: what a report answers, made on reading of the sums that are stored (SPEC section 4).

    total("invoiced_revenue_gross - credited", MONEY, "invoices less credit notes")
    quotient("booked_revenue - actual_cost", "actual_cost", RATIO)

A figure is declared once, in its report. Its value, how it is written, the reason where it is null, what it opens down to, its
description and its formula follow from that. Values are exact until they are written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from service.domain.cubes import total_of
from service.domain.durations import percentile
from service.domain.units import (
    COUNT,
    RATIO,
    Exact,
    written,
    written_quotient,
)

if TYPE_CHECKING:
    from service.domain.report import Row

Sums = Mapping[str, int]  # measure → what it adds up to: minor units, a count, or microseconds
Unless = Callable[[Sums], "str | None"]  # the reason why there is no such figure of these sums
Parts = Mapping[str, int]  # measure → sign


def terms(expression: str) -> dict[str, int]:
    """Return the names of an expression like `won + lost` with their signs."""
    words = expression.split()
    signs = [1, *(1 if one == "+" else -1 for one in words[1::2])]
    return dict(zip(words[::2], signs, strict=True))


@dataclass(frozen=True, kw_only=True)
class Figure(ABC):
    """One figure: its unit, what it means (its formula where `definition` is empty), and perhaps what else there is to know."""

    unit: str
    definition: str = ""
    note: str = ""

    @abstractmethod
    def value(self, row: Row, name: str) -> Exact | None:
        """Return the exact value of the figure in a row, or None with a reason."""

    def write(self, row: Row, name: str) -> Any:
        """Return the figure as answers write it."""
        value = row.value(name)
        return None if value is None else written(value, self.unit, row.currency)

    def operands(self) -> tuple[str, ...]:
        """Return what it is made of: other figures of its report, or measures."""
        return ()

    def measures(self) -> tuple[str, ...]:
        """Return the measures that it reads besides those of its operands."""
        return ()

    @property
    def formula(self) -> str:
        """How it is made, in words."""
        return self.definition

    @property
    def additive(self) -> bool:
        """Whether rows of it add up to the total."""
        return False


@dataclass(frozen=True, kw_only=True)
class Total(Figure):
    """A sum of measures; null where `unless`, which goes by those and by `beside`, gives a reason.

    `once`: by version of older definitions, what held instead of it.
    """

    of: Parts
    unless: Unless | None = None
    once: Mapping[str, Unless] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    def value(self, row: Row, name: str) -> Exact | None:
        sums, missing = row.sums, row.missing
        if missing and not missing.isdisjoint(self.of):
            return not_read(row, name)
        if self.unless is not None and (reason := self.without(sums, row.version)) is not None:
            return row.unknown(name, reason)
        return sum([sign * sums.get(measure, 0) for measure, sign in self.of.items()])

    def without(self, sums: Sums, version: str) -> str | None:
        """Return why there is no such figure of sums that definitions of a version have made."""
        unless = self.once.get(version, self.unless)
        return None if unless is None else unless(sums)

    def write(self, row: Row, name: str) -> Any:
        value = row.value(name)
        if value is None or self.unit == COUNT:
            return value
        return written(value, self.unit, row.currency)

    def measures(self) -> tuple[str, ...]:
        return (*self.of, *self.beside)

    @property
    def additive(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Dealt(Figure):
    """A measure that campaigns alone have, dealt on reading: equally to those of each campaign that another measure counts.

    It is dealt period by period, where rows are by period, and added up by what they are grouped and filtered by.
    """

    of: str
    to: str

    def value(self, row: Row, name: str) -> Exact | None:
        return row.sums.get(name, 0)

    def measures(self) -> tuple[str, ...]:
        return (self.of, self.to)

    @property
    def additive(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class PastDue(Figure):
    """What a measure adds up to where the day that a dimension names is before today; with `past` False, where it is not.

    Where it is `exact`, details have the instant, whose day (UTC) it is, and now has to be after that.
    """

    of: str
    by: str
    past: bool = True
    exact: bool = False

    def value(self, row: Row, name: str) -> Exact | None:
        return row.sums.get(name, 0)

    def measures(self) -> tuple[str, ...]:
        return (self.of,)

    @property
    def additive(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Quotient(Figure):
    """One expression of figures or measures by another, which is `called` something; null where that is not positive."""

    above: Parts
    below: Parts
    called: str
    text: str
    both: bool = False  # whether the dividend has to be positive, too

    def value(self, row: Row, name: str) -> Exact | None:
        parts = self._divide(row, name)
        return None if parts is None else Fraction(*parts)

    def write(self, row: Row, name: str) -> Any:
        parts = self._divide(row, name)
        return None if parts is None else written_quotient(*parts, self.unit, row.currency)

    def _divide(self, row: Row, name: str) -> tuple[int, int] | None:
        above = row.sum_of(self.above)
        below = row.sum_of(self.below)
        if isinstance(above, str) or isinstance(below, str):
            row.unknown(name, f"{above if isinstance(above, str) else below} is not known")
        elif self.both and above <= 0:
            row.unknown(name, f"{' '.join(self.above)} is {'0' if above == 0 else 'negative'}")
        elif below <= 0:
            row.unknown(name, f"{self.called} is {'0' if below == 0 else 'negative'}")
        else:
            return above.numerator * below.denominator, above.denominator * below.numerator
        return None

    def operands(self) -> tuple[str, ...]:
        return (*self.above, *self.below)

    @property
    def formula(self) -> str:
        return self.definition or self.text


def _member(name: str, duration: str) -> str:
    """Return what a reason is given for once: the member of a duration with all its figures, else the figure."""
    return duration if name.startswith(f"{duration}.") else name


@dataclass(frozen=True, kw_only=True)
class Mean(Figure):
    """The mean length of a duration."""

    of: str

    def value(self, row: Row, name: str) -> Exact | None:
        count = row.sums.get(self.of, 0)
        if not count:
            return row.unknown(_member(name, self.of), "no such duration yet")
        return Fraction(row.sums.get(total_of(self.of), 0), count)

    def operands(self) -> tuple[str, ...]:
        return (total_of(self.of), self.of)


@dataclass(frozen=True, kw_only=True)
class Percentile(Figure):
    """The length below which a share of a duration's lengths lie."""

    of: str
    share: Fraction

    def value(self, row: Row, name: str) -> Exact | None:
        lengths = row.samples.get(self.of)
        return (
            percentile(lengths, self.share) if lengths else row.unknown(_member(name, self.of), "no such duration yet")
        )

    def operands(self) -> tuple[str, ...]:
        return (self.of,)


@dataclass(frozen=True, kw_only=True)
class Age(Figure):
    """How many days before today the youngest day with something of a measure is; `nothing` is the reason where none has."""

    of: str
    nothing: str

    def value(self, row: Row, name: str) -> Exact | None:
        last = row.last_days.get(self.of)
        if last is None or row.today is None:
            return row.unknown(name, self.nothing)
        return max(0, (row.today - last).days)

    def write(self, row: Row, name: str) -> Any:
        return row.value(name)

    def operands(self) -> tuple[str, ...]:
        return (self.of,)


@dataclass(frozen=True, kw_only=True)
class FirstDay(Figure):
    """The first day on which the cumulative `result` reaches the cumulative `cost`, which is positive; else see `reason`.

    `instead` is the result to take where a figure of that name is not known.
    """

    cost: str
    result: str
    instead: str

    def value(self, row: Row, name: str) -> Exact | None:
        result = self.result if row.value(self.result) is not None else self.instead
        day = row.first_days.get(result)
        if day is not None:
            return day.toordinal()
        cost = row.value(self.cost)
        if isinstance(cost, int) and cost > 0:
            return row.unknown(name, "cumulative return has not reached cumulative cost")
        amount = "not known" if cost is None else "0" if cost == 0 else "negative"
        return row.unknown(name, f"{self.cost} is {amount}: there is nothing to break even on")

    def write(self, row: Row, name: str) -> Any:
        value = row.value(name)
        return None if value is None else row.iso(value)

    def operands(self) -> tuple[str, ...]:
        return (self.cost, self.result, self.instead)


@dataclass(frozen=True, kw_only=True)
class Share(Figure):
    """The part that a row has of a figure's total."""

    of: str

    def value(self, row: Row, name: str) -> Exact | None:
        mine, whole = row.value(self.of), (row.whole or row).value(self.of)
        if mine is None or whole is None:
            return row.unknown(name, f"{self.of} is not known")
        if whole <= 0:
            return row.unknown(name, f"{self.of} of all rows is {'0' if whole == 0 else 'negative'}")
        return Fraction(mine) / whole

    def operands(self) -> tuple[str, ...]:
        return (self.of,)

    @property
    def formula(self) -> str:
        return self.definition or f"{self.of} / {self.of} of all rows"


@dataclass(frozen=True, kw_only=True)
class Formula(Figure):
    """What a function makes of sums on the cohort basis: `made` gets them, and says None with a reason."""

    of: tuple[str, ...]
    made: Callable[[Sums], Exact | str]

    def value(self, row: Row, name: str) -> Exact | None:
        made = self.made(row.cohort)
        return row.unknown(name, made) if isinstance(made, str) else made

    def operands(self) -> tuple[str, ...]:
        return self.of


@dataclass(frozen=True, kw_only=True)
class Absent(Figure):
    """What there is only for symmetry: null, with a reason; `of` is what it would be made of."""

    of: str
    reason: str

    def value(self, row: Row, name: str) -> Exact | None:
        return row.unknown(name, self.reason)

    def operands(self) -> tuple[str, ...]:
        return (self.of,)


def not_read(row: Row, name: str) -> Exact | None:
    """Give the reason where the generation that answers does not have a measure."""
    return row.unknown(name, f"is in no read model of version {row.version}: have the ledger rebuilt")


# How reports declare them


def total(
    of: str, unit: str, definition: str, note: str = "", unless: Unless | None = None,
    once: Mapping[str, Unless] | None = None, beside: tuple[str, ...] = (),
) -> Total:  # fmt: skip
    """Declare a sum of measures, as `invoiced_revenue_gross - credited`."""
    once = once or {}
    return Total(unit=unit, definition=definition, note=note, of=terms(of), unless=unless, once=once, beside=beside)


def quotient(
    above: str, below: str, unit: str = RATIO, *, called: str = "", note: str = "", both: bool = False
) -> Quotient:  # fmt: skip
    """Declare a ratio, or with MONEY a price; `called` is what reasons call the divisor."""
    over, under = (f"({one})" if " " in one else one for one in (above, below))
    text = f"{over} / {under}".replace(" - ", " − ")
    return Quotient(
        unit=unit, note=note, above=terms(above), below=terms(below), called=called or below, text=text, both=both
    )


def counts(names: Iterable[str], words: Mapping[str, str], prefix: str = "", note: str = "") -> dict[str, Figure]:
    """Declare a count per measure of the same name behind a prefix."""
    return {f"{prefix}{name}": total(f"{prefix}{name}", COUNT, words[name], note) for name in names}
