"""What accounts or contacts go by that were merged (SPEC section 1): an alias stands for its class, backwards and forwards."""

from __future__ import annotations

from collections.abc import Iterable

from service.domain.facts import Fact, Merges
from service.domain.registers import Lookup, lookup


class Names:
    """The merges of a ledger's entities of one kind."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._merges = Merges()
        self._classes: dict[str, set[str]] = {}  # by name: all that go by it

    def name(self, identity: str) -> str:
        """Return what an entity goes by."""
        return self._merges.name(identity)

    def lookup(self, identity: str) -> Lookup:
        """Return what whoever asks for the name of an entity is found by."""
        return lookup(self._kind, identity)

    def add(self, fact: Fact) -> Iterable[Lookup]:
        """Take in a merge; return what to ask for those who go by another name now."""
        pair = (fact.data["survivor_id"], fact.data["merged_id"])
        before = {name: self._classes.pop(name, {name}) for name in {*map(self.name, pair)}}
        self._merges.take(fact)
        after = self.name(pair[0])
        self._classes[after] = set().union(*before.values())
        return [self.lookup(one) for name, members in before.items() if name != after for one in sorted(members)]

    def concerned(self, fact: Fact) -> Iterable[Lookup]:
        """Return what to ask for all that are of the same class."""
        name = self.name(fact.data["survivor_id"])
        return map(self.lookup, sorted(self._classes.get(name, {name})))
