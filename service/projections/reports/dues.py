"""What is past due: sums of what has its day before today, told on reading, for nothing happens on the day that it falls due."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from service.domain.figures import PastDue
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Key, Query


async def past_due(view: Snapshot, query: Query, figure: PastDue, today: date | None) -> dict[Key, int]:
    """Return what is past due by group; a group without any is not there."""
    groups = tuple(dict.fromkeys((*query.group_by, figure.by)))
    found: dict[Key, int] = {}
    for key, sums in (await view.sums(replace(query, group_by=groups), (figure.of,))).items():
        due = key[groups.index(figure.by)]
        if due is not None and today is not None and due < today.isoformat():
            group = key[: len(query.group_by)]
            found[group] = found.get(group, 0) + sums[figure.of]
    return found


async def only_past_due(view: Snapshot, query: Query, figure: PastDue, today: date | None) -> Query:
    """Return the query of what is past due alone."""
    days = await past_due(view, replace(query, group_by=(figure.by,)), figure, today)
    return replace(query, only=(*query.only, (figure.by, tuple(day for (day,) in days if day) or ("none",))))
