"""What is past due: sums of what has its day or instant before now, told on reading, for nothing happens when it falls due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from service.domain import details
from service.domain.calendar import Zone
from service.domain.figures import PastDue
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Key, Query

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Now(NamedTuple):
    """The time by which what depends on it is told: microseconds since 1970, and the ledger's local day."""

    micros: int
    today: date


def now_at(moment: datetime, timezone: str) -> Now:
    """Return a time in a ledger's zone."""
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    return Now(micros, date.fromordinal(Zone(timezone).day(micros)))


async def past_due(view: Snapshot, query: Query, figure: PastDue, now: Now | None) -> dict[Key, int]:
    """Return what is past due, or is not, by group; a group without any is not there."""
    groups = tuple(dict.fromkeys((*query.group_by, figure.by)))
    day = None if now is None else details.day_of(now.micros) if figure.exact else now.today.isoformat()
    found: dict[Key, int] = {}
    for key, sums in (await view.sums(replace(query, group_by=groups), (figure.of,))).items():
        due, group = key[groups.index(figure.by)], key[: len(query.group_by)]
        if not (figure.exact and due == day) and (due is not None and day is not None and due < day) == figure.past:
            found[group] = found.get(group, 0) + sums[figure.of]
    if figure.exact and now is not None and day is not None:
        for one in await view.posted(replace(query, only=(*query.only, (figure.by, (day,)))), figure.of):
            if details.waiting(one.detail).overdue(now.micros) == figure.past:
                found[one.key] = found.get(one.key, 0) + one.amount
    return {key: amount for key, amount in found.items() if amount}


async def only_past_due(view: Snapshot, query: Query, figure: PastDue, now: Now | None) -> Query:
    """Return the query of what is past due, or is not, alone."""
    if figure.exact:
        return replace(query, overdue=None if now is None else (figure.past, now.micros))
    days = await past_due(view, replace(query, group_by=(figure.by,)), figure, now)
    return replace(query, only=(*query.only, (figure.by, tuple(day for (day,) in days if day) or ("none",))))
