"""The clocks of agreements that are overdue (REPORTS section 3, sla), the oldest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from service.domain import details
from service.domain.agreements import Terms, terms_of
from service.domain.details import WAITING, Waiting
from service.domain.units import HOURS, written
from service.projections.engine.logged_facts import fact_of
from service.projections.reports.dues import Now
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Query, Selection
from service.store.log import by_identity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Definition = tuple[str, str]


class Place(NamedTuple):
    """Where a clock stands in the list."""

    started: int
    sla: str
    lead: str


class Page(NamedTuple):
    """Some of the overdue clocks, how many there are in `all`, and the place of the last one where others follow."""

    rows: list[dict[str, Any]]
    all: int
    last: Place | None


async def read(view: Snapshot, query: Query, now: Now, after: Place | None, limit: int | None) -> Page:
    """Return the clocks that started in the window and are overdue."""
    if WAITING not in view.layout:
        return Page([], 0, None)
    query = replace(query, overdue=(True, now.micros))
    sql = Selection(await view.moment(query), query, [WAITING])
    by = {name: f"labels[{number}]" for number, name in enumerate(sql.stored.by, 1)}
    postings = f"{sql.postings()} AND campaign = ANY({sql.segments('campaign_segment')})"
    order = f"""split_part(detail, ' ', 1)::bigint, {by["sla"]}, entity COLLATE "C\""""
    behind = Place(-(2**62), "", "") if after is None else after._replace(lead=f"lead:{after.lead}")
    place = ", ".join(map(sql.parameter, behind))
    rows = await view.connection.fetch(
        f"""
        {sql.campaigns()}, running AS (
            SELECT entity, detail, s.labels FROM {sql.joined(postings)}
            GROUP BY entity, detail, s.labels HAVING sum(amount) <> 0
        )
        SELECT (SELECT count(*) FROM running), entity, detail, {by["sla"]}, {by["owner"]}, {by["campaign"]} FROM running
        WHERE ({order}) > ({place}) ORDER BY {order} LIMIT {sql.parameter(None if limit is None else limit + 1)}
        """,
        *sql.values,
    )
    clocks = [(row[1].partition(":")[2], details.waiting(row[2]), *row[3:]) for row in rows[:limit]]
    terms = await _terms(view, {(waiting.source, waiting.id) for _, waiting, *_ in clocks})
    shown = [_row(view.ledger.currency, now, terms, *clock) for clock in clocks]
    more = limit is not None and len(rows) > limit
    last = Place(clocks[-1][1].started, clocks[-1][2], clocks[-1][0]) if more else None
    return Page(shown, rows[0][0] if rows else 0, last)


async def _terms(view: Snapshot, definitions: Iterable[Definition]) -> dict[Definition, Terms]:
    """Return what definitions say that clocks run by."""
    rows = await by_identity.read_identities(view.connection, view.ledger.ledger, sorted(definitions))
    return {(row.source, row.id): terms_of(fact_of(row).data, view.ledger.timezone) for row in rows}


def _row(
    currency: str, now: Now, terms: Mapping[Definition, Terms], lead: str, waiting: Waiting, sla: str, owner: str | None,
    campaign: str | None,
) -> dict[str, Any]:  # fmt: skip
    took = terms[waiting.source, waiting.id].hours.between(waiting.started, now.micros)
    return {
        "sla": sla, "lead_id": lead, "owner": owner, "campaign_id": campaign,
        "started": _EPOCH + timedelta(microseconds=waiting.started), "hours": written(took, HOURS, currency),
    }  # fmt: skip
