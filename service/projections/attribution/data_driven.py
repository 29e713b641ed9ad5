"""Attribution by data: sums of what is dealt by the paths of a window, by the groups that campaigns have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from service.domain.attribution import data_driven
from service.domain.attribution.data_driven import MODELS
from service.domain.attribution.measures import AMOUNTS, DEALS, by_model, dealt, model_of
from service.domain.attribution.paths import Path, Travelled
from service.domain.components.entities import NO_DAY
from service.projections.attribution.dealing import Campaigns, Grouping
from service.projections.attribution.hands import Cell
from service.projections.sums.selection import Key, Query, Sums

GROUPS = ("campaign", "campaign_type", "parent", "channel")  # that it may be asked by: those of campaigns
_ORDERS, _GROSS, _CREDITED = "entered.ordered", "invoiced_revenue_gross", "credited"
POSTED = (*AMOUNTS, _ORDERS)  # which it is made of
_NET = "net"  # gross less credited: it is dealt, and what was credited is the difference
_UNITS = {**dict.fromkeys((*AMOUNTS, _NET), 1), DEALS: 1_000_000}  # for one: of an order, there are parts
_NOBODY = (None, None, None)


def is_dealt(measure: str) -> bool:
    """Tell whether a measure is dealt by a data-driven model."""
    return model_of(measure) in MODELS


def sums(
    paths: Mapping[Path, Travelled], whole: Sums, query: Query, measures: Collection[str], of: Campaigns
) -> dict[Key, Sums]:  # fmt: skip
    """Return the sums of dealt measures by group; `whole` is all that stands on cohort days of the window.

    What no converted lead with touches brought is unattributed. Filters choose afterwards, so that the parts of a sum add up
    to it whatever is asked.
    """
    grouping, found = Grouping(query, of), dict[Key, dict[str, int]]()
    for model, wanted in by_model(measures).items():
        for campaign, measure, amount in _dealt(model, paths, whole):
            cell = Cell("", campaign, _NOBODY, _day(query), _day(query), measure, amount)
            if amount and measure in wanted and (key := grouping.key(cell)) is not None:
                of_group, name = found.setdefault(key, {}), dealt(model, measure)
                of_group[name] = of_group.get(name, 0) + amount
    standing = {key: {name: amount for name, amount in of_key.items() if amount} for key, of_key in found.items()}
    return {key: of_key for key, of_key in standing.items() if of_key}


def _dealt(model: str, paths: Mapping[Path, Travelled], whole: Sums) -> Iterator[tuple[str | None, str, int]]:
    """Yield (campaign, measure, amount) of all that there is, what is unattributed last."""
    paths = {path: replace(travelled, sums=_to_deal(travelled.sums)) for path, travelled in paths.items()}
    rest = {measure: amount * _UNITS[measure] for measure, amount in _to_deal(whole).items()}
    for campaign, amounts in data_driven.attributed(model, paths, _UNITS).items():
        for measure, amount in amounts.items():
            rest[measure] -= amount
        yield from _told(campaign, amounts)
    yield from _told(None, rest)


def _to_deal(sums: Sums) -> dict[str, int]:
    """Return what is dealt of what is posted."""
    found = {DEALS if name == _ORDERS else name: amount for name, amount in sums.items() if name != _CREDITED}
    return {**found, _NET: sums.get(_GROSS, 0) - sums.get(_CREDITED, 0)}


def _told(campaign: str | None, amounts: Sums) -> Iterator[tuple[str | None, str, int]]:
    for measure, amount in amounts.items():
        if measure != _NET:
            yield campaign, measure, amount
    yield campaign, _CREDITED, amounts.get(_GROSS, 0) - amounts.get(_NET, 0)


def _day(query: Query) -> int:
    """Return a day of the window: it is dealt as a whole."""
    return query.since.toordinal() if query.since else NO_DAY
