"""The first date in a journey (SPEC section 7): the cohort day of what no captured lead gives one.

It is the least of the captured, qualified, opened, accepted, placed days and posting dates of what hangs together. Ids tie
entities together whether or not the entities behind them have arrived. A component may hold more than one journey (a link may
have been restated or voided), so that this is worked out for the exact one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from service.domain.components.entities import NO_DAY, Entity
from service.domain.facts import Key

State = tuple[Sequence[Key], int]  # what an entity is tied to, and its own least day


class FirstDates:
    """The first dates of the journeys of one component, kept as facts come in.

    Ties that come, and days, are taken in at once. A tie that goes is told by `note`: then it is all to be worked out anew.
    """

    def __init__(self) -> None:
        self._parent: dict[Key, Key] = {}
        self._size: dict[Key, int] = {}
        self._days: dict[Key, Counter[int]] = {}  # by root: the days of its entities, and of how many
        self._first: dict[Key, int] = {}  # by root: the least of them
        self._dated: dict[Key, dict[Entity, None]] = {}  # by root: the entities that go by the date
        self._states: dict[Key, State] = {}
        self._tied: dict[Key, int] = {}  # how many others are tied to it
        self._empty: set[Key] = set()  # what is still tied though it states nothing any more

    def of(self, entity: Entity) -> int:
        """Return the first date in the journey of an entity, which goes by it from now on."""
        root = self._root((entity.kind, entity.id))
        self._dated.setdefault(root, {})[entity] = None
        return self._first.get(root, NO_DAY)

    def leave(self, entity: Entity) -> None:
        """Note that an entity does not go by the date any more."""
        self._dated.get(self._root((entity.kind, entity.id)), {}).pop(entity, None)

    def dated(self) -> list[Entity]:
        """Return all entities that go by the date."""
        return [entity for some in self._dated.values() for entity in some]

    def note(self, node: Key, state: State) -> list[Entity] | None:
        """Take in what an entity is tied to and its day; return the entities whose first date this moves.

        None if that cannot be told from what is known.
        """
        before = self._states.get(node)
        if before == state:
            return []
        ties, day = state
        if before is not None and not ties and day == NO_DAY and not self._tied.get(node) and len(set(before[0])) == 1:
            # A leaf without a day: that it stays tied changes no date until something else hangs on it.
            ties = before[0]
            self._empty.add(node)
        else:
            self._empty.discard(node)
        self._states[node] = ties, day
        if not self._empty.isdisjoint(ties):
            return None
        if before is not None and not set(before[0]) <= set(ties):
            return None
        moved: list[Entity] = []
        for other in ties:
            if before is None or other not in before[0]:
                self._tied[other] = self._tied.get(other, 0) + 1
                self._tie(node, other, moved)
        root, was = self._root(node), NO_DAY if before is None else before[1]
        if day != was:
            days = self._days.setdefault(root, Counter())
            days.update(() if day == NO_DAY else (day,))
            if was != NO_DAY:
                days[was] -= 1
                if not days[was]:
                    del days[was]
            self._begin(root, moved)
        return moved

    def _begin(self, root: Key, moved: list[Entity]) -> None:
        """Find the first day of a journey anew; what goes by it is `moved` if it is another."""
        first = min(self._days.get(root, ()), default=NO_DAY)
        if first != self._first.get(root, NO_DAY):
            self._first[root] = first
            moved += self._dated.get(root, ())

    def _root(self, node: Key) -> Key:
        parent = self._parent
        while (up := parent.setdefault(node, node)) != node:
            parent[node] = node = parent[up]
        return node

    def _tie(self, node: Key, other: Key, moved: list[Entity]) -> None:
        """Make one journey of two: the smaller joins the larger."""
        large, small = self._root(node), self._root(other)
        if large == small:
            return
        if self._size.get(large, 1) < self._size.get(small, 1):
            large, small = small, large
        self._parent[small] = large
        self._size[large] = self._size.get(large, 1) + self._size.pop(small, 1)
        if small in self._days:
            self._days.setdefault(large, Counter()).update(self._days.pop(small))
        self._begin(large, moved)
        if self._first.pop(small, NO_DAY) != self._first.get(large, NO_DAY):
            moved += self._dated.get(small, ())
        self._dated.setdefault(large, {}).update(self._dated.pop(small, {}))
