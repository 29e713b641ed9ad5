"""A component in memory, and its stored form (MessagePack): its facts and what it last contributed."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from service.domain.components.accounts import AccountOrder, Accounts
from service.domain.components.kind import Folded
from service.domain.facts import Fact, Key
from service.domain.kinds import keys_of
from service.domain.postings import Cells, sum_by_key


class _Cell(msgspec.Struct, array_like=True):
    measure: str
    entity: str
    segment: int
    day: int
    cohort: int
    value: int | None
    detail: str | None
    amount: int | str  # MessagePack has integers of 64 bits; a larger one is written out


class _State(msgspec.Struct, array_like=True):
    facts: list[Fact]
    cells: list[_Cell]
    orders: list[AccountOrder]
    exports: list[AccountOrder]
    attributes: dict[str, Any]


_LARGEST = 2**63
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_State)
_EMPTY: Mapping[str, Any] = MappingProxyType({})
_NO_CELLS: Cells = {}


class Component:
    """What hangs together: facts in event order, the orders that journeys told it of (accounts), and what it contributes.

    `folded` is what the live facts were folded into, None while they are not; `untaken` are facts that it has not taken in. Its
    entities know what they contribute; `cells` is what was contributed by others: before it was folded, or by a component that
    joined it. `exports` are the orders that it told accounts of; `attributes` are a campaign's; `lookups` are the currencies
    that it asked rates of, with the last day it asked for. `stored` tells whether there is a row of it.
    """

    __slots__ = (
        "attributes", "cells", "exports", "facts", "folded", "id", "kind", "lookups", "orders", "stored", "untaken"
    )  # fmt: skip

    def __init__(self, identity: int, kind: str, *, stored: bool = False) -> None:
        self.id = identity
        self.kind = kind
        self.stored = stored
        self.folded: Folded | None = None
        self.facts: list[Fact] = []
        self.untaken: list[Fact] = []
        # What is replaced and never changed is shared by the many components without any.
        self.cells: Cells = _NO_CELLS
        self.orders: dict[str, AccountOrder] = {}
        self.exports: dict[str, AccountOrder] = {}
        self.attributes: Mapping[str, Any] = _EMPTY
        self.lookups: Mapping[str, int] = _EMPTY

    def insert(self, fact: Fact) -> None:
        """Put a fact in its place in event order."""
        facts = self.facts
        if facts and fact < facts[-1]:
            insort(facts, fact, key=lambda one: one[:4])
        else:
            facts.append(fact)
        self.untaken.append(fact)

    def absorb(self, others: Sequence[Component]) -> None:
        """Take over everything of components that turned out to hang together with this one."""
        facts = self.facts
        more = [fact for other in others for fact in other.facts]
        if len(more) * 16 < len(facts):
            for fact in more:
                insort(facts, fact, key=lambda one: one[:4])
        else:
            facts += more
            facts.sort(key=lambda one: one[:4])
        self.untaken += more
        contributed = [cells for other in others if (cells := other.all_cells())]
        if contributed:
            self.cells = sum_by_key((self.cells, *contributed))
        for other in others:
            if other.orders:
                self.orders = {**self.orders, **other.orders}
                if isinstance(self.folded, Accounts):
                    for order_id, order in other.orders.items():
                        self.folded.tell(order_id, order)
            if other.exports:
                self.exports = {**self.exports, **other.exports}
            if other.attributes:
                self.attributes = {**self.attributes, **other.attributes}

    def unfold(self) -> None:
        """Let go of what the facts were folded into: they are to be folded anew."""
        self.cells, self.folded = self.all_cells(), None
        self.untaken = []

    def all_cells(self) -> Cells:
        """Return what it contributes, whichever entity does."""
        return self.cells if self.folded is None else sum_by_key(self._cells())

    def _cells(self) -> Iterator[Cells]:
        """Yield what each of its entities contributes, and what others have: several may have a share in a cell."""
        yield self.cells
        if self.folded is not None:
            entities = {**dict.fromkeys(self.folded.contributing()), **self.folded.touched}
            yield from (one.cells for one in entities if one.cells)

    def keys(self) -> Iterable[Key]:
        """Return every entity that belongs to this component."""
        for fact in self.facts:
            yield from keys_of(fact)
        for order in self.orders.values():
            yield "account", order.account_id

    def accounts(self) -> Iterable[Key]:
        """Return the accounts that a journey's orders name, now or in an earlier statement."""
        for fact in self.facts:
            if fact.type == "order.placed" and "account_id" in fact.data:
                yield "account", fact.data["account_id"]

    def encode(self) -> bytes:
        """Return the stored form."""
        # Not added up: that would take half as long again, and whoever decodes them does.
        cells: list[tuple[Any, ...]] = [
            (*cell, amount) for cells in self._cells() for cell, amount in cells.items() if amount
        ]
        others = (list(self.orders.values()), list(self.exports.values()), dict(self.attributes))
        try:
            return _encoder.encode((self.facts, cells, *others))
        except OverflowError:
            cells = [(*cell, amount if abs(amount) < _LARGEST else str(amount)) for *cell, amount in cells]
            return _encoder.encode((self.facts, cells, *others))


def decode(identity: int, kind: str, stored: bytes) -> Component:
    """Return a component from its stored form."""
    state = _decoder.decode(stored)
    component = Component(identity, kind, stored=True)
    component.facts = state.facts
    cells: Cells = {}
    for one in state.cells:
        cell = (one.measure, one.entity, one.segment, one.day, one.cohort, one.value, one.detail)
        cells[cell] = cells.get(cell, 0) + int(one.amount)
    component.cells = cells
    if state.orders:
        component.orders = {one.order_id: one for one in state.orders}
    if state.exports:
        component.exports = {one.order_id: one for one in state.exports}
    if state.attributes:
        component.attributes = state.attributes
    return component
