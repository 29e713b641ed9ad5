"""Paths of the leads captured in a window, read from what is listed of leads and told of touches and merges."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from service.domain.attribution import touches as of_touches
from service.domain.attribution.paths import Path, Travelled, by_path, way
from service.domain.attribution.touches import Touch
from service.domain.details import BROUGHT, LED
from service.projections.attribution.merged import Classes, Party
from service.projections.sums.selection import Moment, Query
from service.projections.sums.threads import apart


class _Led(NamedTuple):
    id: str
    contact: str | None
    ordered: of_touches.Moment | None

    @property
    def whom(self) -> Iterable[Party]:
        """Whose touches are its own: it, and its contact."""
        yield "lead", self.id
        if self.contact is not None:
            yield "contact", self.contact


class _Told(msgspec.Struct, array_like=True):
    reached: Party
    at: of_touches.Moment
    campaign: str
    activity: str
    interaction: str | None
    suppressed: bool


class _Merged(msgspec.Struct):
    kind: str
    ids: list[str]


_led = msgspec.json.Decoder(tuple[str | None, of_touches.Moment | None])
_touch, _merging = msgspec.json.Decoder(_Told), msgspec.json.Decoder(_Merged)
# Whom a touch reached, as the index of touches has it.
_REACHED = "((detail::json -> 0 ->> 0) || ':' || (detail::json -> 0 ->> 1))"


class View(Protocol):
    """Where paths are read: what is posted with details, and stood at the moment of a snapshot."""

    connection: Any

    async def posted(self, query: Query, measure: str) -> Sequence[Any]:
        """Return what is posted to a measure with details, and stands."""

    async def moment(self, query: Query) -> Moment:
        """Where its reads look."""


async def read(view: View, query: Query, measures: Sequence[str]) -> dict[Path, Travelled]:
    """Return what the leads captured in the window of a query come to, path by path, with the sums of measures of deals."""
    listed = await view.posted(query, LED)
    leads = await apart(len(listed), _leads, listed)
    pairs = [_merging.decode(one.detail) for one in await view.posted(Query(()), "told.merging")]
    classes = Classes((pair.kind, pair.ids) for pair in pairs)
    reached = {member for lead in leads for party in lead.whom for member in classes.members(party)}
    touches = await _touches(view, query, reached)
    brought = await _brought(view, query, measures)
    return await apart(len(leads) + len(touches), _by_path, leads, classes, touches, brought)


def _leads(listed: Iterable[Any]) -> list[_Led]:
    return [_Led(one.entity.partition(":")[2], *_led.decode(one.detail)) for one in listed]


def _by_path(
    leads: Iterable[_Led], classes: Classes, rows: Iterable[Sequence[str]], brought: Mapping[str, Mapping[str, int]]
) -> dict[Path, Travelled]:  # fmt: skip
    touches: dict[frozenset[Party], list[Touch]] = {}
    for entity, detail in rows:
        told = _touch.decode(detail)
        if not told.suppressed:
            touch = Touch(told.at, entity.partition(":")[2], told.campaign, told.activity, told.interaction)
            touches.setdefault(classes.members(told.reached), []).append(touch)
    for of_one in touches.values():
        of_one.sort()

    def ways() -> Iterable[tuple[Path, Travelled]]:
        for lead in leads:
            own, *of_contact = (touches.get(classes.members(party), ()) for party in lead.whom)
            yield way(lead.ordered, own, of_contact[0] if of_contact else (), brought.get(lead.id, {}))

    return by_path(ways())


async def _touches(view: View, query: Query, reached: Collection[Party]) -> list[Sequence[str]]:
    """Return (touch, what is told of it) of the touches that reached leads and contacts, by the index that they have."""
    moment = await view.moment(query)
    rows: list[Sequence[str]] = await view.connection.fetch(
        f"""
        SELECT entity, detail FROM postings WHERE ledger = $1 AND generation = $2 AND position <= $3
        AND measure = 'told.touch' AND {_REACHED} = ANY($4) GROUP BY entity, detail HAVING sum(amount) <> 0
        """,
        *moment[:3], [":".join(party) for party in reached],
    )  # fmt: skip
    return rows


async def _brought(view: View, query: Query, measures: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return by lead what the orders, invoices and credit notes add up to that it gave their cohort day."""
    lead_of = {one.entity: one.detail.partition(":")[2] for one in await view.posted(query, BROUGHT)}
    moment = await view.moment(query)
    rows = await view.connection.fetch(
        """
        SELECT entity, measure, sum(amount)::text FROM postings
        WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = ANY($4) AND entity = ANY($5)
        AND campaign = ANY(ARRAY(
            SELECT DISTINCT campaign_segment FROM segments WHERE ledger = $1 AND generation = $2 AND cube = 'deals'
        )) GROUP BY entity, measure
        """,
        *moment[:3], list(measures), [*lead_of],
    )  # fmt: skip
    found: dict[str, dict[str, int]] = {}
    for entity, measure, amount in rows:
        sums = found.setdefault(lead_of[entity], {})
        sums[measure] = sums.get(measure, 0) + int(amount)
    return found
