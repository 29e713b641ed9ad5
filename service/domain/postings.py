"""Postings: what components contribute to the figures (DESIGN: "an accounting journal for marketing").

A component contributes cells: (measure, entity, where, day, cohort day, value, detail) → amount. The engine posts the
difference between what a component contributed before an event and after it, so that corrections, re-attributions and late
links come out as reversals, as in bookkeeping. Amounts of money are minor units of the ledger's currency, counts are
counts; for a duration the amount counts it and `value` holds its length in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from service.domain.agreements import Agreements
from service.domain.calendar import Zone
from service.domain.components.entities import NO_DAY, Entity
from service.domain.cubes import DEALS, NOWHERE, Cube, Dimensions
from service.domain.details import ASIDE, FLAG, PENDING_LINKS, UNCONVERTED, Converted, Reason, Target, Unconverted
from service.domain.facts import Fact
from service.domain.layout import Layout
from service.domain.money import convert, format_minor, format_rate
from service.domain.names import Names
from service.domain.rates import Rates
from service.domain.registers import Lookup, lookup
from service.domain.stages import Stages

# (measure, entity, segment, day, cohort day, value, detail); a segment is the number of a Dimensions
Cell = tuple[str, str, int, int, int, "int | None", "str | None"]
Cells = dict[Cell, int]
Labels = tuple["str | None", ...]  # what a cell or a row says of each dimension of its cube

Minor = Fraction | int
K = TypeVar("K")

Beside = tuple[Mapping[str, tuple[str, int]], int]  # measure → (what it is in another cube, sign), and a segment there

LISTS = (UNCONVERTED, FLAG, *ASIDE)  # posted to be listed: they add up to no figure
LARGEST = 2**63 - 1  # minor units of one entry: 64 bits


class Segment(NamedTuple):
    """A numbered combination of a cube's dimensions; `campaign` is the number of its first roll-up, or its own."""

    number: int
    campaign: int
    cube: str
    labels: Labels


class Segments:
    """Numbers combinations of the dimensions of cubes: a cell is hashed often, and a number is hashed faster than many texts.

    `campaigns` has, by number, that of the first roll-up, which is the campaign alone; `new` is what is numbered and not stored.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.campaigns: dict[int, int] = {}
        self.labels: dict[int, tuple[str, Labels]] = {}  # by number: the cube, and what it says of its dimensions
        self.new: list[Segment] = []
        self._numbers = {name: _Numbers(self, name) for name in layout.cubes}
        self._levels: dict[int, tuple[tuple[str, int], ...]] = {}
        self._above: dict[tuple[str, int], tuple[str, int] | None] = {}

    def of(self, cube: str) -> dict[Labels, int]:
        """Return the numbers of a cube's combinations; looking up a new one numbers it."""
        return self._numbers[cube]

    def add(self, segment: Segment) -> None:
        """Take in a segment that is already numbered."""
        self._numbers[segment.cube][segment.labels] = segment.number
        self.campaigns[segment.number] = segment.campaign
        self.labels[segment.number] = (segment.cube, segment.labels)

    def levels(self, number: int) -> tuple[tuple[str, int], ...]:
        """Return (letter, number) of all that a segment adds up to, itself first."""
        found = self._levels.get(number)
        if found is None:
            cube, labels = self.labels[number]
            rolled = self._rolled(cube, labels)
            letters = self.layout.cubes[cube].letters
            found = self._levels[number] = tuple(
                zip(letters, (number, *(one or number for one in rolled)), strict=True)
            )
            self._above |= {**dict(pairwise(found)), found[-1]: None}
        return found

    def above(self, letter: str, number: int) -> tuple[str, int] | None:
        """Return (letter, number) of the next roll-up of a segment's sums, as `levels` has them; None after the last."""
        return self._above[letter, number]

    def on_cohort_days(self, number: int) -> bool:
        """Tell whether what is posted under a segment counts on cohort days, too."""
        return self.layout.cubes[self.labels[number][0]].cohort

    def campaign_of(self, segment: Segment) -> str | None:
        """Return the campaign of a segment; None where it has none, or its cube knows none."""
        by = self.layout.cubes[segment.cube].by
        return segment.labels[by.index("campaign")] if "campaign" in by else None

    def number(self, cube: str, labels: Labels) -> int:
        """Number a new combination, after those of its roll-ups."""
        rolled = self._rolled(cube, labels)
        number = len(self.labels) + 1
        segment = Segment(number, (rolled[0] or number) if rolled else number, cube, labels)
        self.add(segment)
        self.new.append(segment)
        return number

    def _rolled(self, cube: str, labels: Labels) -> list[int]:
        """Return the numbers of the roll-ups of a combination; 0 for one that is that combination itself."""
        stored, found = self.layout.cubes[cube], []
        for kept in stored.rollups:
            alone = tuple(label if name in kept else None for name, label in zip(stored.by, labels, strict=True))
            found.append(0 if alone == labels else self._numbers[cube][alone])
        return found


class _Numbers(dict[Labels, int]):
    """The numbers of one cube's combinations."""

    def __init__(self, segments: Segments, cube: str) -> None:
        super().__init__()
        self._segments = segments
        self._cube = cube

    def __missing__(self, labels: Labels) -> int:
        return self._segments.number(self._cube, labels)


class Book:
    """Collects what the entities of one component contribute, and what they asked registers for.

    `found` is what each has contributed since `begin`, and `cells` that of the one whose turn it is. `campaigns` is what is known
    of each campaign.
    """

    __slots__ = (
        "_all_segments", "accounts", "agreements", "campaigns", "cells", "contacts", "found", "lookups", "rates", "segments",
        "stages", "zone",
    )  # fmt: skip

    def __init__(self, zone: Zone, rates: Rates, segments: Segments) -> None:
        self.zone = zone
        self.rates = rates
        self.stages = Stages()
        self.agreements = Agreements(zone)
        self.accounts, self.contacts = Names("account"), Names("contact")
        self.campaigns: dict[str, Mapping[str, Any]] = {}
        self.segments = segments.of(DEALS.name)
        self._all_segments = segments
        self.begin()

    def begin(self) -> None:
        """Begin with another component."""
        self.found: dict[Entity, Cells] = {}
        self.cells: Cells = {}
        self.lookups: set[Lookup] = set()

    def open(self, entity: Entity) -> Cells:
        """Have what comes be contributed by an entity, whatever it contributed before."""
        self.cells = self.found[entity] = {}
        return self.cells

    def add(self, measure: str, entity: Entity, day: int, amount: int = 1) -> None:
        """Contribute `amount` to a measure, under an entity's dimensions."""
        self.put((measure, entity.name, self.segments[entity.where], day, entity.cohort, None, None), amount)

    def at(self, cube: Cube, **labels: str | None) -> int:
        """Return the number of a combination of a cube's dimensions; those not named have none."""
        return self._all_segments.of(cube.name)[tuple(map(labels.get, cube.by))]

    def probability(self, stage: str) -> Fraction | None:
        """Return how probable a deal is in a stage; whoever asked is asked again when that is defined otherwise."""
        self.lookups.add(lookup("stage", stage))
        return self.stages.probability(stage)

    def order(self, stage: str) -> int | None:
        """Return which place a stage has among others, as `probability`."""
        self.lookups.add(lookup("stage", stage))
        return self.stages.order(stage)

    def account(self, identity: str | None) -> str | None:
        """Return what an account goes by, as `probability`."""
        return None if identity is None else self._name(self.accounts, identity)

    def contact(self, identity: str) -> str:
        """Return what a contact goes by, as `probability`."""
        return self._name(self.contacts, identity)

    def _name(self, names: Names, identity: str) -> str:
        self.lookups.add(names.lookup(identity))
        return names.name(identity)

    def described(self, campaign: str) -> Mapping[str, Any]:
        """Return what is known of a campaign, as `probability`."""
        self.lookups.add(lookup("campaign", campaign))
        return self.campaigns.get(campaign, {})

    def put(self, cell: Cell, amount: int = 1) -> None:
        """Contribute `amount` to a cell."""
        cells = self.cells
        if cell in cells:
            amount += cells[cell]
        cells[cell] = amount

    def pending(self, origin: str, target: Target) -> None:
        """Note that `origin` waits for `target`; the same pair waits once."""
        self.cells[(PENDING_LINKS, origin, self.segments[NOWHERE], NO_DAY, NO_DAY, None, str(target))] = 1

    def flag(self, reason: str, entity: str, where: Dimensions, day: int, cohort: int) -> None:
        """Note something that a person should look at; it moves no figure."""
        self.cells[(FLAG, entity, self.segments[where], day, cohort, None, str(Reason(reason)))] = 1


class Remainder:
    """What is left of an amount in its own currency and in the ledger's, entry by entry.

    Each entry is converted at the rate date of what it corrects and rounded on its own, but the entry that takes out all
    that is left takes out all that is left in the ledger's currency too, so that nothing remains of rounding.

    What is posted to deals also stands `beside`, on its cohort day. Where `listed` is false, what waits for a rate is not listed:
    it is of something that is.
    """

    def __init__(
        self, book: Book, currency: str, rate_day: int, beside: tuple[Beside, ...] = (), *, listed: bool = True
    ) -> None:
        self.currency = currency
        self.beside = beside
        self._listed = listed
        self.remaining: Fraction | int = 0
        self.remaining_converted = 0
        self._book = book
        self._day = rate_day
        self._rate: Fraction | None = Fraction(1)
        self._used: tuple[str, str] | None = None  # the rate and its day
        if currency != book.rates.currency:
            book.lookups.add((currency, rate_day))
            used = book.rates.at(currency, rate_day)
            self._rate = used.rate if used else None
            self._used = (format_rate(used.rate), date.fromordinal(used.day).isoformat()) if used else None

    @property
    def known(self) -> bool:
        """Whether there is a rate to convert with."""
        return self._rate is not None

    @property
    def terms(self) -> tuple[object, ...]:
        """What the conversion of an entry depends on, apart from the entry."""
        return *self.conversion, self.remaining, self.remaining_converted, self.beside

    @property
    def conversion(self) -> tuple[object, ...]:
        """What is converted, and how."""
        return self.currency, self._rate, self._used

    def post(
        self, measures: Mapping[str, int], entity: str, where: Dimensions, day: int, cohort: int, minor: Minor,
        segment: int | None = None,
    ) -> None:  # fmt: skip
        """Add an entry of `minor` units to each of the measures, times its sign; without a rate, list it instead.

        It is of the dimensions of deals, unless the `segment` of another cube is given; what waits is listed under those.

        OverflowError where it comes to more than any business has; what takes out all that is left only adds up such entries.
        """
        if not minor:
            return
        self.remaining += minor
        amount = self._convert(minor)
        if amount is None:
            if not self._listed:
                return
            measure, sign = next(iter(measures.items()))
            waits = Unconverted(measure, self.currency, self._written(minor * sign), date.fromordinal(self._day))
            self._book.put((UNCONVERTED, entity, self._book.segments[where], day, cohort, None, str(waits)))
            return
        if self.remaining and not -LARGEST <= amount <= LARGEST:
            most = f"{format_minor(LARGEST, self._book.rates.currency)} {self._book.rates.currency}"
            told = f"{next(iter(measures))} of {entity} comes to more than {most}"
            raise OverflowError(f"{told}: void or correct the amount, or the exchange rate that it is converted at")
        self.remaining_converted += amount
        if segment is None:
            segment = self._book.segments[where]
        for measure, sign in measures.items():
            used = str(Converted(self.currency, self._written(minor * sign), *self._used)) if self._used else None
            self._book.put((measure, entity, segment, day, cohort, None, used), amount * sign)
            for named, place in self.beside:
                if measure in named:
                    name, turned = named[measure]
                    self._book.put((name, entity, place, cohort, cohort, None, used), amount * sign * turned)

    def _written(self, minor: Minor) -> str:
        return format_minor(round(minor), self.currency)

    def _convert(self, minor: Minor) -> int | None:
        if self._rate is None:
            return None
        if self.remaining == 0:
            return -self.remaining_converted
        if self.currency == self._book.rates.currency:
            return round(minor)
        return convert(minor, self.currency, self._rate, self._book.rates.currency)


def difference(old: Cells, new: Cells) -> list[tuple[Cell, int]]:
    """Return what has to be posted so that `old` becomes `new`; a cell of 0 is as good as none."""
    if not old:
        return [line for line in new.items() if line[1]]
    before = old.get
    lines = [(cell, amount - was) for cell, amount in new.items() if amount != (was := before(cell, 0))]
    if not old.keys() <= new.keys():
        lines += [(cell, -amount) for cell, amount in old.items() if amount and cell not in new]
    return lines


def sum_by_key(several: Iterable[Mapping[K, int]]) -> dict[K, int]:
    """Return the sum of several sets of amounts: of cells, or of measures."""
    total: dict[K, int] = {}
    for amounts in several:
        for name, amount in amounts.items():
            total[name] = total.get(name, 0) + amount
    return total


def event_name(fact: Fact) -> str:
    """Name an event by its identity, where it has no entity of its own."""
    return f"{fact.type}:{fact.source} {fact.id}"
