"""Who is one: the classes that merges of leads and contacts form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Party = tuple[str, str]  # lead or contact, id


class Classes:
    """The classes of parties, each with all of its members; one that was never merged is a class of its own."""

    def __init__(self, pairs: Iterable[tuple[str, Sequence[str]]] = ()) -> None:
        """Take (kind, ids of two that are one) in any order."""
        self._members: dict[Party, frozenset[Party]] = {}
        for kind, ids in pairs:
            whole = frozenset[Party]().union(*(self.members((kind, one)) for one in ids))
            self._members.update(dict.fromkeys(whole, whole))

    def members(self, party: Party) -> frozenset[Party]:
        """Return all who are one with somebody."""
        return self._members.get(party) or frozenset({party})

    @property
    def merged(self) -> Iterable[Party]:
        """All who were merged with another."""
        return self._members
