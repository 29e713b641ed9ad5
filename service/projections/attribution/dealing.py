"""Sums of what is dealt: by group and window, under the models that are asked for.

A dealt measure is named by its model: `linear:booked_revenue`. It stands with the touched campaign, whose dimensions it has, and
with the owner, team and region of its order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple

from service.domain.attribution.measures import by_model, dealt
from service.domain.attribution.models import Model
from service.domain.calendar import grain_label, grain_start
from service.domain.components.campaigns import topmost
from service.domain.figures import Parts
from service.projections.attribution.deals import Deals
from service.projections.attribution.hands import Cell, Weighed, Where, cells
from service.projections.sums.selection import TIME_GROUPS, Key, Query, Sums


class Campaigns(NamedTuple):
    """What is known of campaigns: their attributes, and their topmost ancestors."""

    known: Mapping[str, Mapping[str, Any]]
    tops: Mapping[str, str]


def campaigns(known: Mapping[str, Mapping[str, Any]]) -> Campaigns:
    """Return what is known of campaigns, by their attributes."""
    return Campaigns(known, topmost({one: attributes.get("parent_id") for one, attributes in known.items()}))


class Grouping:
    """Where what is dealt stands among the groups of a query, if it is of its filters and its window."""

    def __init__(self, query: Query, of: Campaigns) -> None:
        self._query, self._of = query, of
        self._since = (query.since or date.min).toordinal()
        self._until = (query.until or date.max).toordinal()
        self._labels: dict[Any, dict[str, str | None] | None] = {}
        self._periods: dict[int, dict[str, str]] = {}

    def key(self, cell: Cell) -> Key | None:
        """Return the group of a cell; None if the query is not about it."""
        day = cell.day if self._query.basis == "event" else cell.cohort
        return self.place(cell.campaign, cell.where, day) if self._since <= day < self._until else None

    def place(self, campaign: str | None, where: Where, day: int) -> Key | None:
        """Return the group of what stands somewhere, on a day of the window; None if the query is not about it."""
        labels = self._labelled(campaign, where)
        if labels is None:
            return None
        return tuple(
            self._period(day, group) if group in TIME_GROUPS else labels.get(group) for group in self._query.group_by
        )

    def _labelled(self, campaign: str | None, where: Where) -> dict[str, str | None] | None:
        place = (campaign, where)
        if place not in self._labels:
            owner, team, region = where
            known = self._of.known.get(campaign or "", {})
            labels = {
                "campaign": campaign, "campaign_type": known.get("campaign_type"),
                "parent": self._of.tops.get(campaign or "", campaign), "channel": known.get("channel") or None,
                "owner": owner, "team": team, "region": region,
            }  # fmt: skip
            chosen = all((labels.get(name) or "") in values for name, values in self._query.only)
            self._labels[place] = labels if chosen else None
        return self._labels[place]

    def _period(self, day: int, group: str) -> str:
        periods = self._periods.setdefault(day, {})
        if group not in periods:
            periods[group] = grain_label(grain_start(date.fromordinal(day), group), group)
        return periods[group]


def all_cells(deals: Deals, wanted: Collection[str], basis: str) -> Iterator[tuple[str, Cell]]:
    """Yield (model, cell) of all deals under some models."""
    models: dict[str, Model] = {name: model for name, model in deals.models().items() if name in wanted}
    for deal in deals.names():
        weighed = Weighed(deals, deal)
        for name, model in models.items():
            for cell in cells(deals, deal, weighed, model, basis):
                yield name, cell


def sums(deals: Deals, query: Query, measures: Collection[str], of: Campaigns) -> dict[Key, Sums]:
    """Return the sums of dealt measures by group; a group without any is not there."""
    wanted, grouping = by_model(measures), Grouping(query, of)
    found: dict[Key, Sums] = {}
    for model, cell in all_cells(deals, wanted, query.basis):
        if cell.measure in wanted[model] and (key := grouping.key(cell)) is not None:
            of_group, name = found.setdefault(key, {}), dealt(model, cell.measure)
            of_group[name] = of_group.get(name, 0) + cell.amount
    standing = {key: {name: amount for name, amount in sums.items() if amount} for key, sums in found.items()}
    return {key: sums for key, sums in standing.items() if sums}


async def first_days(
    sums_of: Callable[[Query, Sequence[str]], Awaitable[dict[Key, Sums]]], query: Query, cost: Parts, returns: Mapping[str, Parts]
) -> dict[Key, dict[str, date | None]]:  # fmt: skip
    """Return by group, for each of the returns, the first day on which it comes up to the cost, added up since the first day."""
    measures = dict.fromkeys([*cost, *(one for of in returns.values() for one in of)])
    daily: dict[Key, dict[str, Sums]] = {}
    for key, moved in (await sums_of(replace(query, group_by=(*query.group_by, "day")), list(measures))).items():
        daily.setdefault(key[:-1], {})[key[-1] or ""] = moved
    return {key: {name: _first_day(days, cost, of) for name, of in returns.items()} for key, days in daily.items()}


def _first_day(days: Mapping[str, Sums], cost: Parts, result: Parts) -> date | None:
    spent = returned = 0
    for day in sorted(days):
        spent += sum(sign * days[day].get(one, 0) for one, sign in cost.items())
        returned += sum(sign * days[day].get(one, 0) for one, sign in result.items())
        if returned >= spent > 0:
            return date.fromisoformat(day) if day else date.min
    return None
