"""Facets: what an entity may have several of, like the criteria of a lead, so that it stands in a row for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facets:
    """What a report may be told by, one facet at a time.

    `groups` are the dimensions of each: the last has what is stated, and those before it say of what. `measures` has by measure
    of the entities themselves what it is by facet. `by` is the dimension that says which facet a posting is of, where there are
    several. `rest` is, of the facets that an entity need not state, what the row of those is called that do not; `partial` are
    the facets that only some entities have to do with, so that the total by them is of those.
    """

    groups: Mapping[str, tuple[str, ...]]
    measures: Mapping[str, str]
    by: str | None = None
    rest: Mapping[str, str | None] = field(default_factory=dict)
    partial: frozenset[str] = frozenset()

    @property
    def dimensions(self) -> frozenset[str]:
        """The dimensions of all facets."""
        return frozenset(name for names in self.groups.values() for name in names)

    @property
    def not_posted(self) -> frozenset[str]:
        """The dimensions of facets by which more, or less, is told than what is posted."""
        return frozenset(name for facet in (*self.rest, *self.partial) for name in self.groups[facet])

    def asked(self, dimensions: Iterable[str]) -> str | None:
        """Return the facet that groups and filters are of, None if of none; ValueError says which are of several."""
        names = {*dimensions}
        found = [facet for facet, own in self.groups.items() if not names.isdisjoint(own)]
        if len(found) > 1:
            raise ValueError(" and ".join(found))
        return found[0] if found else None

    def to_name(self, only: Iterable[tuple[str, tuple[str, ...]]]) -> str | None:
        """Return the dimension of which filters have to name one value, so that what states nothing of it can be opened."""
        filters = dict(only)
        facet = self.asked(filters)
        if facet is None or facet not in self.rest:
            return None
        *heads, state = self.groups[facet]
        rest = (self.rest[facet] or "") in filters.get(state, ())
        return next((head for head in heads if rest and len(filters.get(head, ())) != 1), None)
