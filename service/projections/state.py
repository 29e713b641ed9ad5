"""A component in memory, and its stored form (MessagePack): its facts and what it last contributed."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from service.domain.entities import Journey
from service.domain.facts import Fact, Key, keys_of
from service.domain.postings import Cells, together
from service.domain.roi import AccountOrder


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


class Component:
    """What hangs together: facts in event order, the orders that journeys told it of (accounts), and its last cells.

    `cells` are by the name of the entity that contributes them, "" where that is not known (any more). `exports` are the orders
    that it told accounts of; `attributes` are a campaign's; `lookups` are the currencies that it asked rates of, with the
    last day it asked for. `journey` is what the live facts folded into, to be folded on; `stored` tells whether there is a
    row of it.
    """

    __slots__ = ("attributes", "cells", "exports", "facts", "id", "journey", "kind", "lookups", "orders", "stored")

    def __init__(self, identity: int, kind: str, *, stored: bool = False) -> None:
        self.id = identity
        self.kind = kind
        self.stored = stored
        self.journey: Journey | None = None
        self.facts: list[Fact] = []
        self.cells: dict[str, Cells] = {}
        # These are replaced, never changed, so that the many components without any share one that is empty.
        self.orders: Mapping[str, AccountOrder] = _EMPTY
        self.exports: Mapping[str, AccountOrder] = _EMPTY
        self.attributes: Mapping[str, Any] = _EMPTY
        self.lookups: Mapping[str, int] = _EMPTY

    def insert(self, fact: Fact) -> bool:
        """Put a fact in its place in event order; tell whether that is the end, as it is nearly always."""
        facts = self.facts
        if facts and fact < facts[-1]:
            insort(facts, fact, key=lambda one: one[:4])
            return False
        facts.append(fact)
        return True

    def absorb(self, other: Component) -> None:
        """Take over everything of another component that turned out to hang together with this one."""
        self.journey = None
        self.facts = sorted([*self.facts, *other.facts], key=lambda one: one[:4])
        for name, cells in other.cells.items():
            self.cells[name] = together((self.cells.get(name, {}), cells))
        self.orders = {**self.orders, **other.orders}
        self.exports = {**self.exports, **other.exports}
        self.attributes = {**self.attributes, **other.attributes}

    def all_cells(self) -> Cells:
        """Return what it contributes, whichever entity does."""
        return together(self.cells.values())

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
        cells: list[tuple[Any, ...]] = [
            (*cell, amount) for some in self.cells.values() for cell, amount in some.items()
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
    component.cells[""] = {
        (one.measure, one.entity, one.segment, one.day, one.cohort, one.value, one.detail): int(one.amount)
        for one in state.cells
    }
    if state.orders:
        component.orders = {one.order_id: one for one in state.orders}
    if state.exports:
        component.exports = {one.order_id: one for one in state.exports}
    if state.attributes:
        component.attributes = state.attributes
    return component
