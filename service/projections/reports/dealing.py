"""Dealing: a campaign's cost goes to its leads in equal parts, so that it can be told by what these have (REPORTS section 3).

It is dealt per campaign and period; what is dealt is added up by the dimensions of groups and filters before it is rounded, and
filters choose afterwards, so that the parts of a cost add up to it whatever is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from service.domain.figures import Dealt
from service.domain.money import dealt
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import OF_WHOLE_CAMPAIGNS, TIME_GROUPS, Key, Query, Sums


async def deal(view: Snapshot, query: Query, figure: Dealt) -> dict[Key, int]:
    """Return what is dealt to each group."""
    of_campaigns = tuple(one for one in query.only if one[0] in OF_WHOLE_CAMPAIGNS)
    groups = tuple(dict.fromkeys((*query.group_by, *(name for name, _ in query.only), "campaign")))
    found = await view.sums(replace(query, group_by=groups, only=of_campaigns), (figure.of, figure.to))
    pot = [place for place, name in enumerate(groups) if name == "campaign" or name in TIME_GROUPS]
    pots: dict[Key, dict[Key, Sums]] = {}
    for key, sums in found.items():
        pots.setdefault(tuple(key[place] for place in pot), {})[key] = sums
    chosen = [(groups.index(name), values) for name, values in query.only]
    total: dict[Key, int] = {}
    for parts in pots.values():
        for key, amount in _shares(parts, figure).items():
            if all((key[place] or "") in values for place, values in chosen):
                group = key[: len(query.group_by)]
                total[group] = total.get(group, 0) + amount
    return total


def _shares(parts: Mapping[Key, Sums], figure: Dealt) -> Mapping[Key, int]:
    """Deal what a campaign has to what is its own; where there is nothing of its own, it keeps it."""
    heads = sorted((key for key, sums in parts.items() if sums.get(figure.to)), key=_nulls_last)
    if not heads:
        return {key: sums.get(figure.of, 0) for key, sums in parts.items()}
    amount = sum(sums.get(figure.of, 0) for sums in parts.values())
    return dict(zip(heads, dealt(amount, [parts[key][figure.to] for key in heads]), strict=True))


def _nulls_last(key: Key) -> list[tuple[bool, str]]:
    return [(label is None, label or "") for label in key]


def in_place(sums: Mapping[Key, Sums], measure: str, name: str, amounts: Mapping[Key, int]) -> dict[Key, Sums]:
    """Put what is dealt, under a name, in the place of the measure that it is dealt from."""
    found = {key: {one: amount for one, amount in of.items() if one != measure} for key, of in sums.items()}
    for key, amount in amounts.items():
        if amount:
            found.setdefault(key, {})[name] = amount
    return {key: of for key, of in found.items() if of}
