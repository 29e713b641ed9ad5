"""Things that are told of under one id, and perhaps told of again: the last statement of each field holds (REPORTS section 2).

    KIND = statements.kind("call", identity="call_id", types={"call.completed": ("rep_id", "outcome")})

declares a kind of component that is one such thing. What it contributes is asked of a `Stated`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from service.domain.calendar import Zone
from service.domain.components.entities import NO_DAY, Entity
from service.domain.components.kind import Kind
from service.domain.facts import Fact, Rule


class Stated(Entity):
    """What is known of one thing: `fields`, each as last stated, and the day of the last statement, which it counts on."""

    def __init__(self, kind: str, identity: str) -> None:
        self.kind = kind
        super().__init__(identity)
        self.fields: dict[str, Any] = {}
        self.day = NO_DAY
        self._last: Fact | None = None

    def take(self, fact: Fact, day: int) -> None:
        """Take in a statement of some of the fields, whenever it comes."""
        for name, value in fact.data.items():
            if name not in self.stated or self.stated[name] < fact:
                self.stated[name] = fact
                self.fields[name] = value
        if self._last is None or self._last < fact:
            self._last, self.day = fact, day


class Statements:
    """The fold of a component that is one thing."""

    def __init__(self, kind: str, identity: str, zone: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self._kind, self._identity, self._zone = kind, identity, zone
        self._thing: Stated | None = None

    def contributing(self) -> Iterator[Entity]:
        """Return the thing, if anything is known of it."""
        if self._thing is not None:
            yield self._thing

    def touch_all(self) -> None:
        """Have everything contribute anew: a rate may have changed."""
        self.touched.update(dict.fromkeys(self.contributing()))

    def take(self, fact: Fact) -> None:
        """Take in one live fact."""
        if self._thing is None:
            self._thing = Stated(self._kind, fact.data[self._identity])
        self._thing.take(fact, self._zone.day(fact.micros))
        self.touched[self._thing] = None

    def withdraw(self, _: Fact, __: Iterable[Fact]) -> bool:
        """Have it folded anew: a field may be as it was stated before."""
        return False


def kind(name: str, identity: str, types: Mapping[str, tuple[str, ...]]) -> Kind:
    """Declare a kind of things: the field that has their id, and by type of event what is kept beside it."""
    rules = {event_type: Rule(((identity, name),), fields) for event_type, fields in types.items()}
    fold: Callable[[Zone], Statements] = lambda zone: Statements(name, identity, zone)  # noqa: E731  it is all there is to say
    return Kind(name, rules, fold, restates=True)
