"""Rows by facet: what is stated is summed, and the row of what states nothing is all there is less that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from service.domain.facets import Facets
from service.domain.postings import sum_by_key
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Key, Query, Sums


async def read(
    view: Snapshot, query: Query, facets: Facets, measures: Iterable[str]
) -> tuple[dict[Key, Sums], Sums]:  # fmt: skip
    """Return the sums by group, and those of all together, in which an entity counts once whatever it states."""
    by_facet = {*facets.measures.values()}
    measures = tuple(one for one in measures if one not in by_facet)
    facet = facets.asked(query.dimensions)
    if facet is None:
        found = await view.sums(query, measures)
        return found, sum_by_key(found.values())
    own = facets.groups[facet]
    plain = replace(
        query, group_by=tuple(one for one in query.group_by if one not in own),
        only=tuple(one for one in query.only if one[0] not in own),
    )  # fmt: skip
    of_facet = await _stated(view, plain, facets, facet, measures)
    base = {} if facet in facets.partial else await view.sums(plain, measures)
    rows = of_facet | _rest(of_facet, base, len(own), facets.rest[facet]) if facet in facets.rest else of_facet
    names = (*own, *plain.group_by)
    filters = [(names.index(name), values) for name, values in query.only if name in own]
    chosen = {key: sums for key, sums in rows.items() if all((key[place] or "") in values for place, values in filters)}
    found = {}
    for key, sums in chosen.items():
        group = tuple(key[names.index(name)] for name in query.group_by)
        found[group] = sum_by_key((found[group], sums)) if group in found else sums
    whole = facet not in facets.partial and _is_whole(chosen, len(own) - 1, [place for place, _ in filters])
    return found, sum_by_key((base if whole else chosen).values())


async def opened(
    view: Snapshot, query: Query, facets: Facets, made_of: Mapping[str, Mapping[str, int]]
) -> tuple[Query, dict[str, dict[str, int]]]:  # fmt: skip
    """Return the query and the measures, with their signs, whose postings make up figures by what is stated.

    What states nothing is made up of all that there is, less what states something.
    """
    plain = {name: {**of} for name, of in made_of.items()}
    facet = facets.asked(query.dimensions)
    if facet is None:
        return query, plain
    *heads, state = own = facets.groups[facet]
    of_facet = {name: values for name, values in query.only if name in own}
    without = [(name, values) for name, values in query.only if name not in own]
    chosen = of_facet.pop(state, None)
    of_heads = replace(query, only=(*without, *of_facet.items()))
    found = await _stated(view, of_heads, facets, facet, tuple(facets.measures))
    with_rest = facet in facets.rest and (chosen is None or (facets.rest[facet] or "") in chosen)
    if not with_rest or (heads and not found):
        asked, instead = stated(query, facets)
        return asked, {name: {instead.get(one, one): sign for one, sign in of.items()} for name, of in plain.items()}
    others = {str(key[len(heads)]) for key in found} - {*(chosen or ())} if chosen else ()
    if not others:
        return replace(query, only=tuple(without)), plain
    less = {state: tuple(sorted(others))} | of_facet | ({facets.by: (facet,)} if facets.by else {})
    # what is posted of an entity itself states nothing of any facet
    asked = replace(query, only=(*without, *((name, (*values, "")) for name, values in less.items())))
    by_facet = facets.measures
    return asked, {
        name: {**of, **{by_facet[one]: -sign for one, sign in of.items() if one in by_facet}}
        for name, of in plain.items()
    }


def stated(query: Query, facets: Facets) -> tuple[Query, Mapping[str, str]]:
    """Return a query for what is stated of the facet that it is by, if it is, and by measure the one to read instead."""
    facet = facets.asked(query.dimensions)
    if facet is None:
        return query, {}
    of_facet = ((facets.by, (facet,)),) if facets.by else ()
    return replace(query, only=(*query.only, *of_facet)), facets.measures


def _is_whole(chosen: Iterable[Key], state: int, filtered: list[int]) -> bool:
    """Tell whether rows are of all entities, perhaps several times each; `state` is the place of what is stated."""
    heads = {key[:state] for key in chosen}
    return not filtered or (len(heads) > 1 and state not in filtered)


async def _stated(
    view: Snapshot, plain: Query, facets: Facets, facet: str, measures: tuple[str, ...]
) -> dict[Key, Sums]:  # fmt: skip
    """Return what is stated, by the dimensions of the facet and the other groups."""
    asked, instead = stated(replace(plain, group_by=(*facets.groups[facet], *plain.group_by)), facets)
    called = {instead.get(one, one): one for one in measures}
    found = await view.sums(asked, tuple(called))
    return {key: {called[one]: amount for one, amount in sums.items()} for key, sums in found.items()}


def _rest(stated: Mapping[Key, Sums], base: Mapping[Key, Sums], width: int, label: str | None) -> dict[Key, Sums]:
    """Return what is left of each group without what it states, for each of the things that any of them states."""
    heads = dict.fromkeys(key[: width - 1] for key in stated) if width > 1 else {(): None}
    left: dict[Key, dict[str, int]] = {
        (*head, label, *group): dict(sums) for head in heads for group, sums in base.items()
    }
    for key, sums in stated.items():
        rest = left.setdefault((*key[: width - 1], label, *key[width:]), {})
        for measure, amount in sums.items():
            rest[measure] = rest.get(measure, 0) - amount
    kept = {key: {one: amount for one, amount in sums.items() if amount} for key, sums in left.items()}
    return {key: sums for key, sums in kept.items() if sums}
