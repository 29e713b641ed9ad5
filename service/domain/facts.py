"""What the engine keeps of an event, and what the event ties together (SPEC section 2).

A `Fact` is an event without what no figure needs. It starts with its event order (time, source, id), so that sorting
facts is ordering events. `RULES` says for each type that moves a figure which component it belongs to, which entities
it names, and which fields it states. Those of `names` only make a campaign known. Events of other types are kept in the log and
move no figure here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Fact(NamedTuple):
    """One event as the fold sees it: event order first, then type and the stated fields."""

    micros: int
    rest: str
    source: str
    id: str
    type: str
    data: dict[str, Any]


class Rule(NamedTuple):
    """What is kept of a type: `ties` are (field, entity kind) pairs, its own first, that tell what hangs together; `fields`.

    A type whose events have no id of their own, so that each is a thing of its own, has the field "" for it. Of fields that say
    more of a person than any figure needs, only what `kept_as` makes of them is kept.
    """

    ties: tuple[tuple[str, str], ...]
    fields: tuple[str, ...] = ()
    kept_as: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})


Key = tuple[str, str]  # (entity kind, id)


class Merges:
    """The equivalence classes that merges form (SPEC section 7), and the id that each goes by.

    A class goes by the id that was never merged away, the least if several; where every id was (a circle), by the least of all.
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._standing: dict[str, set[str]] = {}  # by root: who was never merged away
        self._least: dict[str, str] = {}  # by root

    def __bool__(self) -> bool:
        return bool(self._parent)

    def take(self, fact: Fact) -> None:
        """Take in one merge."""
        survivor, merged = fact.data["survivor_id"], fact.data["merged_id"]
        large, small = self._root(survivor), self._root(merged)
        if survivor != merged:
            self._standing[small].discard(merged)
        if large != small:
            if len(self._standing[large]) < len(self._standing[small]):
                large, small = small, large
            self._parent[small] = large
            self._standing[large] |= self._standing.pop(small)
            self._least[large] = min(self._least[large], self._least.pop(small))

    def name(self, one: str) -> str:
        """Return the id that the class of an id goes by."""
        if one not in self._parent:
            return one
        root = self._root(one)
        standing = self._standing[root]
        return min(standing) if standing else self._least[root]

    def _root(self, one: str) -> str:
        parent = self._parent
        if one not in parent:
            parent[one] = self._least[one] = one
            self._standing[one] = {one}
            return one
        while (up := parent[one]) != one:
            parent[one] = one = parent[up]
        return one
