"""A report: a question, the figures that answer it, and the dimensions that it may be grouped and filtered by.

All else about it follows from this declaration: how it is asked for and answered, how each figure opens down to its events, how
two moments of knowing or two rebuilds are compared, and its description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, TypeVar

from service.domain.cubes import COST, Cube
from service.domain.facets import Facets
from service.domain.figures import Age, Dealt, Figure, FirstDay, Formula, PastDue, Percentile, Sums, Total
from service.domain.given import NOTHING, Given, Values
from service.domain.standing import Earlier, Labels, Persons, Stock
from service.domain.units import MONEY, Exact

Samples = Mapping[str, Mapping[Any, int]]  # duration → length in microseconds → how often
_NOTHING: Mapping[Any, Any] = {}
F = TypeVar("F", bound=Figure)


@dataclass(frozen=True, eq=False)
class Report:
    """One report. `cube` is what it is mostly about; `group_by` is what it is grouped by unless that is said."""

    name: str
    question: str
    cube: Cube
    figures: Mapping[str, Figure]
    group_by: str = "campaign"
    on_request: frozenset[str] = frozenset()  # figures that rows have only if `include` asks for them
    sort: str = ""  # a figure that rows come by, `-` before it = falling, unless that is said; else by key
    facets: Facets | None = None  # what its entities may stand in several rows by
    shows: str = ""  # the figure that its chart shows, unless another is asked for
    notes: tuple[str, ...] = ()  # what else its readers should know, line by line
    keyed: str = ""  # a member whose own members are named by what is asked for, all alike
    paths: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: _NOTHING
    )  # where answers have figures, unless by name
    keys: tuple[str, ...] | None = None  # what its rows are by, if that is not asked; without any, it has a total alone
    has_total: bool = True
    basis: str = ""  # the basis that all of it is on, if that is not asked
    window: Callable[[date], tuple[date, date | None]] | None = None  # by today, where neither from nor to is asked
    compares: bool = True  # whether it can be compared with another window, and not with another moment of knowing only
    parts: Mapping[str, str] = field(default_factory=dict)  # what its total has of other reports: their rows, by name
    inner: Mapping[str, Figure] = field(default_factory=dict)  # figures that others are made of, and that are not told

    @cached_property
    def places(self) -> list[tuple[str, Figure, tuple[str, ...]]]:
        """Its figures with their names, and where answers have them."""
        return [(name, figure, self.paths.get(name) or tuple(name.split("."))) for name, figure in self.figures.items()]

    @cached_property
    def different(self) -> dict[str, Figure]:
        """Its figures without those that are like others: of a member whose own are all alike, those of the first."""
        of_keyed = [path[1] for _, _, path in self.places if path[0] == self.keyed]
        return {
            name: figure for name, figure, path in self.places if path[0] != self.keyed or path[1] == of_keyed[0]
        }  # fmt: skip

    @cached_property
    def bases(self) -> tuple[str, ...]:
        """The bases that it may be asked on, the usual one first: what does not come out of leads has its own day only."""
        return (self.basis,) if self.basis else ("event", "cohort") if self.cube.cohort else ("event",)

    @cached_property
    def known(self) -> Mapping[str, Figure]:
        """Its figures, with those that it does not tell."""
        return {**self.inner, **self.figures}

    def of_kind(self, kind: type[F]) -> dict[str, F]:
        """Return its figures of a kind."""
        return {name: figure for name, figure in self.figures.items() if isinstance(figure, kind)}

    @cached_property
    def drawn(self) -> str:
        """The figure that its chart shows: the one declared, else the first sum of money, of others, or figure at all."""
        sums = [name for name, figure in self.figures.items() if figure.additive]
        money = [name for name in sums if self.figures[name].unit == MONEY]
        return next(iter((*filter(None, [self.shows]), *money, *sums, *self.figures)))

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions of its cube that it may be asked by; none where its rows are by keys of their own."""
        if self.keys:
            return ()
        return tuple(one for one in self.cube.by if self.facets is None or one != self.facets.by)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The measures that its rows are made of, whatever they are by."""
        of_figures = self._measures(one for one in self.figures.values() if not isinstance(one, Formula))
        return tuple(dict.fromkeys((*of_figures, *(self.facets.measures.values() if self.facets else ()))))

    @cached_property
    def cohort_measures(self) -> tuple[str, ...]:
        """The measures that are summed on the cohort basis, whatever the basis of the rows."""
        return tuple(dict.fromkeys(self._measures(self.of_kind(Formula).values())))

    @cached_property
    def of_cost(self) -> frozenset[str]:
        """Its figures that are made of a cost, and not sums themselves; none where costs are dealt and have all dimensions."""
        if any(figure.of == COST for figure in self.of_kind(Dealt).values()):
            return frozenset()
        made = ((name, figure) for name, figure in self.figures.items() if not isinstance(figure, Total))
        return frozenset(name for name, figure in made if COST in self._measures([figure]))

    def measures_of(self, *names: str) -> tuple[str, ...]:
        """Return the measures that some of its figures are made of."""
        return tuple(dict.fromkeys(self._measures(self.known[name] for name in names)))

    def _measures(self, figures: Iterable[Figure]) -> Iterable[str]:
        for figure in figures:
            yield from figure.measures()
            for name in figure.operands():
                if name in self.known:
                    yield from self._measures([self.known[name]])
                else:
                    yield name

    def additive(self, name: str) -> dict[str, Mapping[str, int]] | None:
        """Return what a figure opens down to: sums by their names, with the measures of each; None if there is no such figure.

        A figure that is a sum, or a measure of the report, is its own; of others it is what they are made of.
        """
        figure = self.known.get(name)
        if isinstance(figure, Total | Stock):
            return {name: figure.of}
        if isinstance(figure, Dealt | PastDue | Persons):
            return {name: {figure.of: 1}}
        if figure is None:
            return {name: {name: 1}} if name in (*self.measures, *self.cohort_measures) else self._within(name)
        found: dict[str, Mapping[str, int]] = {}
        for one in figure.operands():
            found |= self.additive(one) or {}
        return found

    def _within(self, name: str) -> dict[str, Mapping[str, int]] | None:
        """Return what the first figure of a member with several figures opens down to."""
        first = next((one for one in self.figures if one.startswith(f"{name}.")), None)
        return None if first is None else self.additive(first)

    @cached_property
    def of_now(self) -> bool:
        """Whether an answer depends on what day it is."""
        return self.window is not None or bool(self.of_kind(Age) or self.of_kind(PastDue) or self.of_kind(Given))

    @cached_property
    def earlier(self) -> dict[str, str]:
        """The measures of which what was there before is told apart, each with the dimension that says since when."""
        return {figure.of: figure.since for figure in self.of_kind(Earlier).values()}

    @cached_property
    def stocks(self) -> tuple[str, ...]:
        """The measures whose sums since the beginning are needed."""
        return tuple(dict.fromkeys(one for figure in self.of_kind(Stock).values() for one in figure.of))

    @cached_property
    def moved(self) -> frozenset[str]:
        """The measures that a row is there for: those of which more is told than what stands."""
        others = (one for one in self.figures.values() if not isinstance(one, Formula | Stock | Persons))
        return frozenset(self._measures(others))


@dataclass(slots=True)
class Row:
    """One row of a report as it is worked out: the sums of its group, and what else its figures are made of."""

    report: Report
    currency: str
    sums: Sums
    cohort: Sums = field(default_factory=lambda: _NOTHING)
    samples: Samples = field(default_factory=lambda: _NOTHING)
    last_days: Mapping[str, date] = field(default_factory=lambda: _NOTHING)
    first_days: Mapping[str, date | None] = field(default_factory=lambda: _NOTHING)
    today: date | None = None
    missing: frozenset[str] = frozenset()  # measures that the generation does not have
    version: str = ""
    whole: Row | None = None  # the row of all together, of one group's
    lacking: str = ""  # a dimension that it is by, and that costs do not have
    opening: Sums = field(default_factory=lambda: _NOTHING)  # what stocks were before the period
    closing: Sums = field(default_factory=lambda: _NOTHING)  # and are by its end
    people: Mapping[str | None, int] = field(default_factory=lambda: _NOTHING)  # by what they are
    labels: Labels = frozenset()  # that the row is of
    earlier: Sums = field(default_factory=lambda: _NOTHING)  # of what was there before the period
    given: Values = NOTHING
    reasons: dict[str, str] = field(default_factory=dict)
    _values: dict[str, Exact | None] = field(default_factory=dict)

    def value(self, name: str) -> Exact | None:
        """Return the exact value of a figure, or of a measure."""
        values = self._values
        if name not in values:
            figure = self.report.known.get(name)
            if figure is not None and self._lacks(name):
                values[name] = None
            else:
                values[name] = self.sums.get(name, 0) if figure is None else figure.value(self, name)
        return values[name]

    def _lacks(self, name: str) -> bool:
        """Tell whether a figure is made of costs that cannot be told apart as the rows are; give that as the reason."""
        lacks = bool(self.lacking) and name in self.report.of_cost
        if lacks:
            self.unknown(name, f"costs have no {self.lacking}")
        return lacks

    def sum_of(self, parts: Mapping[str, int]) -> Exact | str:
        """Return a sum of figures and measures, or the name of one that is not known."""
        found: Exact = 0
        for name, sign in parts.items():
            value = self.value(name)
            if value is None:
                return name
            found += sign * value
        return found

    def unknown(self, name: str, reason: str) -> Exact | None:
        """Give the reason why a figure is null; return None, its value."""
        self.reasons[name] = reason
        return None

    def iso(self, day: Exact) -> str:
        """Write a day."""
        return date.fromordinal(int(day)).isoformat()

    def written(self, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return all figures as answers have them, with the reasons of those that are null."""
        row: dict[str, Any] = {}
        for name, figure, path in self.report.places:
            if name in leave_out:
                self.reasons.pop(name, None)  # rows may be sorted by it
                continue
            place = row
            for part in path[:-1]:
                place = place.setdefault(part, {})
            place[path[-1]] = None if self._lacks(name) else figure.write(self, name)
        for name in self.report.inner.keys() - self.report.figures.keys():
            self.reasons.pop(name, None)
        row["reasons"] = self.reasons
        return row


def percentiles_of(report: Report) -> list[str]:
    """Return the durations of which a report has percentiles."""
    return list(dict.fromkeys(one.of for one in report.of_kind(Percentile).values()))


def first_days_of(report: Report) -> dict[str, FirstDay]:
    """Return the figures of a report that are a day on which something is reached."""
    return report.of_kind(FirstDay)
