"""A kind of component: the types of events that it is made of, what is kept of them, and how they are folded.

A module of `components` or of `reports` that has a `KIND` is found (`kinds`); there is no list of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from service.domain.calendar import Zone
from service.domain.components.entities import Entity
from service.domain.facts import Fact, Rule


class Folded(Protocol):
    """What the facts of a component have been folded into, and which of its entities may contribute something else now."""

    touched: dict[Entity, None]

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""

    def touch_all(self) -> None:
        """Have everything contribute anew: a rate may have changed."""

    def take(self, fact: Fact) -> None:
        """Take in one live fact, whenever it comes."""

    def withdraw(self, fact: Fact, others: Iterable[Fact]) -> bool:
        """Take back a fact that was voided; False where only a new fold of the live facts that remain will do."""


class Kind(NamedTuple):
    """One kind: its name, its rules by event type, what begins a fold, and whether a later event restates what one has told."""

    name: str
    rules: Mapping[str, Rule]
    fold: Callable[[Zone], Folded]
    restates: bool = False
