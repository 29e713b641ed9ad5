"""Things that are told of under one id, and perhaps told of again: the last statement of each field holds (REPORTS section 2).

    KIND = statements.kind("call", identity="call_id", types={"call.completed": ("rep_id", "outcome")})

declares a kind of component that is one such thing. What it contributes is asked of a `Stated`. Where events have no id of their
own (identity=""), each is a thing of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from service.domain.calendar import Zone
from service.domain.components.entities import NO_DAY, Entity
from service.domain.components.kind import Kind
from service.domain.facts import Fact, Rule


class Stated(Entity):
    """What is known of one thing: `fields`, each as last stated, the `last` statement, and its day, which it counts on.

    `marked` are the types of events that say something of it without stating it, as that it is suppressed.
    """

    def __init__(self, kind: str, identity: str) -> None:
        self.kind = kind
        super().__init__(identity)
        self.fields: dict[str, Any] = {}
        self.day = NO_DAY
        self.marked: set[str] = set()
        self.last: Fact | None = None

    def take(self, fact: Fact, day: int) -> None:
        """Take in a statement of some of the fields, whenever it comes."""
        for name, value in fact.data.items():
            if name not in self.stated or self.stated[name] < fact:
                self.stated[name] = fact
                self.fields[name] = value
        if self.last is None or self.last < fact:
            self.last, self.day = fact, day


class Statements:
    """The fold of a component that is one thing."""

    def __init__(self, kind: str, identity: str, marks: frozenset[str], zone: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self._kind, self._identity, self._marks, self._zone = kind, identity, marks, zone
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
            own = fact.data[self._identity] if self._identity else f"{fact.source} {fact.id}"
            self._thing = Stated(self._kind, own)
        if fact.type in self._marks:
            self._thing.marked.add(fact.type)
        else:
            self._thing.take(fact, self._zone.day(fact.micros))
        self.touched[self._thing] = None

    def withdraw(self, _: Fact, __: Iterable[Fact]) -> bool:
        """Have it folded anew: a field may be as it was stated before."""
        return False


def kind(name: str, identity: str, types: Mapping[str, tuple[str, ...]], marks: frozenset[str] = frozenset()) -> Kind:
    """Declare a kind of things: the field that has their id, by type of event what is kept beside it, and what only marks."""
    rules = {event_type: Rule(((identity, name),), types.get(event_type, ())) for event_type in (*types, *marks)}
    fold: Callable[[Zone], Statements] = lambda zone: Statements(name, identity, marks, zone)  # noqa: E731  all there is to say
    return Kind(name, rules, fold, restates=True)
