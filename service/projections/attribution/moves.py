"""Moves: how events changed what is dealt, one after another. They add up to the sums."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from itertools import count
from typing import Any, NamedTuple

from service.projections.attribution import lines
from service.projections.attribution.dealing import Grouping
from service.projections.attribution.deals import Deals, deals_of
from service.projections.attribution.hands import Cell, Weighed, cells
from service.projections.attribution.lines import Line
from service.projections.sums.selection import Key
from service.projections.sums.threads import apart

_FIRST_LINE = 1_000_000  # behind those that are posted at the same position
_AT_ONCE = 500  # lines
Amounts = dict[tuple[str, Cell], int]  # by model and cell, its amount left out


class Move(NamedTuple):
    """What an event changed of a cell, under a model; `anew` tells whether it was dealt otherwise before."""

    position: int
    line: int
    model: str
    cell: Cell
    key: Key
    anew: bool


class Replay:
    """Takes lines in, in the order of their positions, and tells what moves."""

    def __init__(self, then: Deals, deals: Deals, wanted: dict[str, set[str]], grouping: Grouping, basis: str) -> None:
        """`then` and `deals` are twice the same, of the position before the first line."""
        self._then, self._deals = then, deals
        self._wanted, self._grouping, self._basis = wanted, grouping, basis
        self._known: dict[str, Amounts] = {}
        self._models = then.models()

    def take(self, several: Iterable[Line]) -> list[Move]:
        """Take in the lines of whole positions."""
        found: list[Move] = []
        position, told = 0, False
        for line in several:
            if line.position != position and told:
                found += self._moved(position)
            position, told = line.position, True
            self._deals.take(line)
        return found + self._moved(position) if told else found

    def _moved(self, position: int) -> list[Move]:
        moved: Collection[str] = self._deals.refresh()
        models = self._deals.models()
        if any(models.get(one) != self._models.get(one) for one in self._wanted):
            moved = {*moved, *self._deals.names()}
            for deal in moved:
                self._before(deal)
            self._models = models
        found, number = list[Move](), count(_FIRST_LINE)
        for deal in sorted(moved):
            before, now = self._before(deal), self._amounts(self._deals, deal)
            self._known[deal] = now
            for model, cell in sorted(before.keys() | now.keys(), key=repr):
                amount = now.get((model, cell), 0) - before.get((model, cell), 0)
                if amount and (key := self._grouping.key(cell)) is not None:
                    found.append(Move(position, next(number), model, cell._replace(amount=amount), key, bool(before)))
        return found

    def _before(self, deal: str) -> Amounts:
        if deal not in self._known:
            self._known[deal] = self._amounts(self._then, deal)
        return self._known[deal]

    def _amounts(self, deals: Deals, deal: str) -> Amounts:
        found: Amounts = {}
        weighed, models = Weighed(deals, deal), (self._models if deals is self._deals else deals.models())
        for model, measures in self._wanted.items():
            for cell in cells(deals, deal, weighed, models[model], self._basis) if model in models else ():
                if cell.measure in measures:
                    place = (model, cell._replace(amount=0))
                    found[place] = found.get(place, 0) + cell.amount
        return found


async def moves(
    connection: Any, key: tuple[int, int], positions: tuple[int, int], wanted: dict[str, set[str]], grouping: Grouping,
    basis: str,
) -> list[Move]:  # fmt: skip
    """Return what moved at positions (after, until], in order."""
    after, until = positions
    stood = await lines.standing(connection, key, after) if after else []
    then, deals = [await apart(len(stood), deals_of, stood) for _ in range(2)]
    replay, found = Replay(then, deals, wanted, grouping, basis), list[Move]()
    async for some in _by_positions(lines.moved(connection, key, after, until)):
        found += await apart(len(some), replay.take, some)
    return found


async def _by_positions(several: AsyncIterator[Line]) -> AsyncIterator[list[Line]]:
    """Yield lines many at once, those of one position together."""
    some: list[Line] = []
    async for line in several:
        if len(some) >= _AT_ONCE and line.position != some[-1].position:
            yield some
            some = []
        some.append(line)
    if some:
        yield some
