"""Facets: things that an entity may state several of, as the criteria of a lead, so that it stands in a row for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Facets:
    """What a report may be told by, one facet at a time.

    `by` is the dimension that says which facet a posting is of. `groups` are the dimensions of each: the last has what is stated,
    and those before it say of what. `measures` has by measure of the entities themselves what it is by facet. `rest` is, of the
    facets that an entity need not state, what the row of those is called that do not.
    """

    by: str
    groups: Mapping[str, tuple[str, ...]]
    measures: Mapping[str, str]
    rest: Mapping[str, str | None]

    @property
    def dimensions(self) -> frozenset[str]:
        """The dimensions of all facets."""
        return frozenset(name for names in self.groups.values() for name in names)

    def asked(self, dimensions: Iterable[str]) -> str | None:
        """Return the facet that groups and filters are of, None if of none; ValueError says which are of several."""
        names = {*dimensions}
        found = [facet for facet, own in self.groups.items() if not names.isdisjoint(own)]
        if len(found) > 1:
            raise ValueError(" and ".join(found))
        return found[0] if found else None
