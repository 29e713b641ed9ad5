"""Lineage: the postings that make up a figure, each with the event that caused it and why.

The figure itself is read as the report reads it; its entries add up to it, which is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from service.domain import details, lineage
from service.domain.calendar import MICROS_PER_DAY
from service.domain.catalogue import CATALOGUE
from service.domain.lineage import Line, Parts
from service.domain.money import format_minor
from service.domain.postings import sum_by_key
from service.domain.reports import roi
from service.projections.reports.reading import Snapshot
from service.projections.sums.closings import moved_after
from service.projections.sums.selection import OF_SEGMENT, Key, Query, Selection, Sums

Place = tuple[int, int]  # position, line: where an entry stands in the journal
MOST_COUNTED = 10_000
_json = msgspec.json.Decoder()

# What an entry tells of its event comes from short members of `data` that the catalogue knows. Of large data only those are
# read: a page of a thousand events of a megabyte would not fit into memory.
_FIELDS = sorted({field for entry in CATALOGUE.values() for field in (*entry.required, *entry.optional)})
_TOLD = f"""CASE WHEN octet_length(data::text) <= 16384 THEN data ELSE (
    SELECT coalesce(json_object_agg(key, value), '{{}}') FROM json_each(data)
    WHERE key IN ({", ".join(f"'{field}'" for field in _FIELDS)}) AND octet_length(value::text) <= 2000
) END"""


class Event(NamedTuple):
    """The event that caused an entry."""

    position: int
    type: str
    time: str
    source: str
    id: str
    recorded_at: datetime
    data: Mapping[str, Any]
    micros: int


class Entry(NamedTuple):
    """One posting of one figure: `key` is its group, `line` what was posted, with the sign that it has in the figure."""

    place: Place
    key: Key
    line: Line
    event: Event
    why: str


class Range(NamedTuple):
    """Positions (after, until] that entries are from."""

    after: int
    until: int


def figure(sums: Mapping[Key, Sums], parts: Parts) -> dict[Key, int]:
    """Return a figure by group, made of the sums of its parts as the reports make it; what is 0 is not there."""
    found = {key: sum(sign * of.get(name, 0) for name, sign in parts.items()) for key, of in sums.items()}
    return {key: amount for key, amount in found.items() if amount}


async def page(
    view: Snapshot, query: Query, parts: Parts, positions: Range, after: Place = (0, 0), limit: int = 100
) -> tuple[list[Entry], int | None]:  # fmt: skip
    """Return entries in the order in which they were posted, after one of them, and how many there are in all pages.

    None where there are more than can be counted while somebody waits.
    """
    asked = (view, query, tuple(parts), positions, after, limit)
    rows = await _rows(*asked)
    counted: int | None = rows[0][0]
    if rows[0][0] > MOST_COUNTED:
        rows, counted = await _rows(*asked, in_order=True), None
    lines = [
        ((row[1], row[2]), _line(row[3:15]), query.labels(row[15:])) for row in map(tuple, rows) if row[1] is not None
    ]
    events = await _events(view, [place[0] for place, _, _ in lines])
    others = await _others(view, lines)
    entries = []
    for place, line, key in lines:
        event = events[place[0]]
        reason = lineage.why(event.type, event.data, line, others[place[0], line.entity])
        entries.append(Entry(place, key, line._replace(amount=parts[line.measure] * line.amount), event, reason))
    return entries, counted


async def _rows(
    view: Snapshot, query: Query, names: tuple[str, ...], positions: Range, after: Place, limit: int,
    *, in_order: bool = False,
) -> Sequence[Any]:  # fmt: skip
    """Return (how many match, place, line, key) of a page; one row without a place if nothing is on it.

    What matches is looked up by campaign, measure and day, counted and sorted; or it is come across `in_order`, from where the
    window was first moved until the page is full, and not counted.
    """
    sql = Selection(view.moment, query, names)
    place = f"({sql.parameter(after[0])}::bigint, {sql.parameter(after[1])}::integer)"
    following = f"(position, line) > {place} ORDER BY position, line LIMIT {int(limit)}"
    if in_order:
        low = max(positions.after, after[0] - 1)
        matching = f"{_matching(sql, low, positions.until)} AND position > {moved_after(sql)} AND {following}"
    else:
        matching = f"""{_matching(sql, *positions)} AND campaign = ANY({sql.segments("campaign_segment")})
            LIMIT {MOST_COUNTED + 1}"""
    rows: Sequence[Any] = await view.connection.fetch(
        f"""
        {sql.campaigns()}, matching AS MATERIALIZED ({matching}),
        page AS (SELECT * FROM matching WHERE {following}),
        found AS (
            SELECT b.position, b.line, measure, entity, s.campaign, s.channel, s.source, s.medium, s.owner, b.day, b.cohort,
                   amount, value, detail, {sql.keys()}
            FROM {sql.joined("SELECT * FROM page")}
        )
        SELECT counted, found.* FROM (SELECT count(*) AS counted FROM matching) all_of_it LEFT JOIN found ON true
        ORDER BY position, line
        """,
        *sql.values,
    )
    return rows


def _matching(sql: Selection, low: int, until: int) -> str:
    """The postings of the selection at positions (low, until]."""
    query, day = sql.query, sql.day()
    window = sql.window(day, query.since or date.min, query.until or date.max)
    return f"""
        SELECT *, {day} AS start FROM postings WHERE ledger = $1 AND generation = $2 AND position > {sql.parameter(low)}
        AND position <= {sql.parameter(until)} AND measure = ANY({sql.parameter(list(sql.measures))})
        AND segment = ANY({sql.segments("segment")}) AND ({window} OR {day} = '-infinity')"""


def _line(row: tuple[Any, ...]) -> Line:
    measure, entity, *where, day, cohort, amount, value, detail = row
    return Line(measure, entity, tuple(where), day, cohort, amount, value, detail)


async def _events(view: Snapshot, positions: Sequence[int]) -> dict[int, Event]:
    rows = await view.connection.fetch(
        f"""
        SELECT position, type, time, source, id, recorded_at, {_TOLD}, micros FROM events
        WHERE ledger = $1 AND position = ANY($2)
        """,
        view.ledger.ledger, sorted(set(positions)),
    )  # fmt: skip
    return {row[0]: Event(row[0], row[1], row[2], row[3], row[4], row[5], _json.decode(row[6]), row[7]) for row in rows}


async def _others(
    view: Snapshot, lines: Sequence[tuple[Place, Line, Key]]
) -> dict[tuple[int, str], list[Line]]:  # fmt: skip
    """Return all lines of the same events about the same entities."""
    positions, entities = {place[0] for place, _, _ in lines}, {line.entity for _, line, _ in lines}
    rows = await view.connection.fetch(
        f"""
        SELECT position, measure, entity, s.campaign, s.channel, s.source, s.medium, s.owner, day, cohort, amount, value, detail
        FROM postings p {OF_SEGMENT}
        WHERE p.ledger = $1 AND p.generation = $2 AND position = ANY($3) AND entity = ANY($4)
        ORDER BY position, line
        """,
        view.ledger.ledger, view.generation, sorted(positions), sorted(entities),
    )  # fmt: skip
    found: dict[tuple[int, str], list[Line]] = {}
    for row in map(tuple, rows):
        line = _line(row[1:])
        found.setdefault((row[0], line.entity), []).append(line)
    return found


def described(entry: Entry, query: Query, currency: str) -> dict[str, Any]:
    """Return an entry as answers write it."""
    line, event = entry.line, entry.event
    kind, identity = lineage.split_entity(line.entity)
    original = details.converted(line.measure, line.detail)
    groups = {name: value for name, value in zip(query.names, entry.key, strict=True) if name != "campaign_id"}
    return {
        "campaign_id": line.where[0],
        **dict(zip(("channel", "source", "medium", "owner"), line.where[1:], strict=True)),
        **groups,
        "measure": line.measure,
        "amount": amount(line.measure, line.amount, currency),
        "day": written(line.day if query.basis == "event" else line.cohort),
        "event_day": written(line.day),
        "cohort_day": written(line.cohort),
        "entity": {"kind": kind, "id": identity},
        "event": {
            "position": event.position, "type": event.type, "time": event.time, "source": event.source, "id": event.id,
            "recorded_at": event.recorded_at,
        },
        "why": entry.why,
        **({"days": round(line.value / MICROS_PER_DAY, 4)} if line.value is not None else {}),
        **({"original": {"amount": original.amount, "currency": original.currency}} if original else {}),
        **({"rate": original.rate, "rate_day": original.rate_day} if original else {}),
    }  # fmt: skip


def amount(measure: str, minor: int, currency: str) -> str | int:
    """Write an amount of money as a decimal string, a count as a number."""
    return format_minor(minor, currency) if lineage.is_money(measure) else minor


def written(day: date) -> str | None:
    """Write a day; what has none is null."""
    return None if day == date.min else day.isoformat()


async def read(
    view: Snapshot, query: Query, report: str, measure: str, after: Place, limit: int
) -> tuple[dict[str, Any], Place | None]:  # fmt: skip
    """Return a page of the entries of a figure, with the figure itself, and where the next page begins."""
    figures, currency = lineage.parts_of(report, measure), view.ledger.currency
    parts = {name: sign for of in reversed(figures.values()) for name, sign in of.items()}
    positions = Range(0, view.as_of.position)
    by_group = await view.sums(query, tuple(parts))
    sums = {name: amount(name, sum(figure(by_group, of).values()), currency) for name, of in figures.items()}
    found, counted = await page(view, query, parts, positions, after, limit + 1)
    answer: dict[str, Any] = {
        "measure": measure,
        "sum": sums.get(measure),
        **({"sums": sums} if measure not in sums else {}),
        "count": counted,
        "entries": [described(one, query, currency) for one in found[:limit]],
    }
    if measure == "gross_margin":
        by_year = await view.sums(replace(query, group_by=("year",)), roi.MEASURES)
        if reason := roi.no_margin(sum_by_key(by_year.values())):
            answer["reasons"] = {"gross_margin": reason}
    return answer, found[limit - 1].place if len(found) > limit else None
