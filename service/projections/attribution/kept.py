"""What is dealt, kept in memory from one read to the next: only deals that have moved since are dealt again.

Lines add up, so that what is kept goes on by the lines in between, and back by the same lines taken off: a read as of an earlier
position that is near is as cheap as one of now. One that is far off is worked out for itself.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from functools import lru_cache
from typing import Any

from service.domain.attribution.measures import AMOUNTS, DEALS, by_model, dealt
from service.domain.attribution.models import Model
from service.domain.calendar import covering, grain_start
from service.projections.attribution import lines
from service.projections.attribution.dealing import Campaigns, Grouping
from service.projections.attribution.deals import Deals, deals_of
from service.projections.attribution.hands import Cell, Weighed, Where, cells
from service.projections.attribution.lines import Line
from service.projections.sums.selection import TIME_GROUPS, Key, Query, Sums
from service.projections.sums.threads import apart

_MEASURES = {name: number for number, name in enumerate((*AMOUNTS, DEALS))}
_MOST_LINES = 2_000_000  # that are kept of all ledgers together: half a gigabyte, about
_NEAR = 2_000  # positions, which are gone over rather than read anew
_MANY = 1_000  # what is done apart, however much it is
Place = tuple["str | None", Where]
Amounts = dict[Place, list[int]]


@lru_cache(maxsize=65_536)
def _month(day: int) -> int:
    return grain_start(date.fromordinal(day), "month").toordinal()


class Totals:
    """What a model deals on one date basis, by month and by day."""

    def __init__(self, model: Model, basis: str) -> None:
        self.model, self.basis = model, basis
        self._by: dict[str, dict[int, Amounts]] = {"month": {}, "day": {}}
        self._starts: dict[str, list[int]] = {}

    def add(self, cell: Cell, sign: int) -> None:
        """Add what a campaign has, or take it off."""
        day = cell.day if self.basis == "event" else cell.cohort
        for grain, start in (("month", _month(day)), ("day", day)):
            places = self._by[grain].get(start)
            if places is None:
                places = self._by[grain][start] = {}
                self._starts.pop(grain, None)
            amounts = places.setdefault((cell.campaign, cell.where), [0] * len(_MEASURES))
            amounts[_MEASURES[cell.measure]] += sign * cell.amount

    def within(self, grain: str, low: date, high: date) -> Iterator[tuple[int, Amounts]]:
        """Yield (first day, amounts) of the months or days in [low, high)."""
        starts = self._starts.get(grain)
        if starts is None:
            starts = self._starts[grain] = sorted(self._by[grain])
        for start in starts[bisect_left(starts, low.toordinal()) : bisect_left(starts, high.toordinal())]:
            yield start, self._by[grain][start]


def _add(several: Collection[Totals], deals: Deals, names: Iterable[str], sign: int = 1) -> None:
    """Add what is dealt of some deals to totals, or take it off."""
    for name in names if several else ():
        weighed = Weighed(deals, name)
        for totals in several:
            for cell in cells(deals, name, weighed, totals.model, totals.basis):
                totals.add(cell, sign)


class Dealt:
    """The deals of a ledger at a position, and what models deal of them."""

    def __init__(self, position: int, found: Collection[Line]) -> None:
        self.position, self.size = position, len(found)
        self.deals = deals_of(found)
        self._totals: dict[tuple[str, str], Totals] = {}

    def go(self, between: Collection[Line], position: int) -> None:
        """Go on to a position, or back, by the lines in between."""
        sign = 1 if position > self.position else -1
        there = [line._replace(amount=sign * line.amount) for line in between]
        back = [line._replace(amount=-line.amount) for line in there]
        moved, totals = self._take(there), self._totals.values()
        if totals:
            self._take(back)
            _add(totals, self.deals, moved, -1)
            self._take(there)
            _add(totals, self.deals, moved)
        self.position, self.size = position, self.size + sign * len(there)

    def _take(self, some: Iterable[Line]) -> set[str]:
        for line in some:
            self.deals.take(line)
        return self.deals.refresh()

    def sums(self, query: Query, measures: Collection[str], of: Campaigns) -> dict[Key, Sums]:
        """Return the sums of dealt measures by group; a group without any is not there."""
        models, found = self.deals.models(), dict[Key, Sums]()
        asked = {name: wanted for name, wanted in by_model(measures).items() if name in models}
        self._work_out({name: models[name] for name in asked}, query.basis)
        for name, wanted in asked.items():
            _add_up(found, self._totals[name, query.basis], name, wanted, query, of)
        standing = {key: {one: amount for one, amount in sums.items() if amount} for key, sums in found.items()}
        return {key: sums for key, sums in standing.items() if sums}

    def _work_out(self, models: Mapping[str, Model], basis: str) -> None:
        """Deal all deals by models of which there are no totals yet, or those of another definition."""
        new: dict[tuple[str, str], Totals] = {}
        for name, model in models.items():
            known = self._totals.get((name, basis))
            if known is None or known.model != model:
                new[name, basis] = Totals(model, basis)
        _add(new.values(), self.deals, self.deals.names())
        self._totals |= new


def _add_up(
    found: dict[Key, Sums], totals: Totals, model: str, wanted: Collection[str], query: Query, of: Campaigns
) -> None:  # fmt: skip
    grouping = Grouping(query, of)
    grains = [TIME_GROUPS[one] for one in query.group_by if one in TIME_GROUPS]
    columns = [(dealt(model, one), _MEASURES[one]) for one in wanted]
    for grain, low, high in covering(query.since, query.until, "day" if "day" in grains else "month"):
        for start, places in totals.within(grain, low, high):
            for (campaign, where), amounts in places.items():
                key = grouping.place(campaign, where, start)
                if key is not None:
                    of_group = found.setdefault(key, {})
                    for name, number in columns:
                        of_group[name] = of_group.get(name, 0) + amounts[number]


class Kept:
    """The ledgers that were asked for last, for one process."""

    def __init__(self, most_lines: int = _MOST_LINES) -> None:
        self._most = most_lines
        self._ledgers: OrderedDict[tuple[int, str], Dealt] = OrderedDict()
        self._making: defaultdict[tuple[int, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def at(
        self, connection: Any, key: tuple[int, int], tag: str, position: int
    ) -> AsyncIterator[tuple[Dealt, bool]]:
        """Give a ledger's deals at a position, to nobody else meanwhile, and whether they are kept.

        `tag` changes with whatever else figures rest on.
        """
        name = (key[0], tag)
        async with self._making[name]:
            kept = self._ledgers.get(name)
            if kept is None or abs(kept.position - position) * 2 > max(position, _NEAR):
                found = await lines.standing(connection, key, position)
                made = await apart(_MANY, Dealt, position, found)
                if kept is None or position > kept.position:
                    self._keep(name, made)
                kept = made
            else:
                low, high = sorted((kept.position, position))
                if low < high:
                    between = [line async for line in lines.moved(connection, key, low, high)]
                    with self._whole(name):
                        await apart(len(between) * _MANY, kept.go, between, position)
                self._ledgers.move_to_end(name)
            with self._whole(name):
                yield kept, self._ledgers.get(name) is kept

    @contextmanager
    def _whole(self, name: tuple[int, str]) -> Iterator[None]:
        """Forget a ledger when work on it fails, or is given up while a thread goes on with it: it may be in any state."""
        try:
            yield
        except BaseException:
            self._ledgers.pop(name, None)
            raise

    def _keep(self, name: tuple[int, str], made: Dealt) -> None:
        for other in [one for one in self._ledgers if one[0] == name[0] and one != name]:  # of another generation
            del self._ledgers[other]
            self._making.pop(other, None)
        self._ledgers[name] = made
        while sum(one.size for one in self._ledgers.values()) > self._most:
            self._ledgers.popitem(last=False)
