"""Lineage: the postings that make up a figure, each with the event that caused it and why.

The figure itself is read as the report reads it; its entries add up to it, which is tested.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from service.domain import details, lineage, units
from service.domain.attribution.measures import DEALS, by_model, dealt, model_of, plain
from service.domain.calendar import MICROS_PER_DAY, grain_label, grain_start
from service.domain.catalogue import CATALOGUE
from service.domain.components.campaigns import topmost
from service.domain.contributions import DIMENSIONS, UNITS
from service.domain.figures import Formula, Parts, PastDue, Total
from service.domain.lineage import Line
from service.domain.postings import sum_by_key
from service.domain.report import Report
from service.domain.standing import Persons, Stock
from service.projections.attribution.dealing import Grouping
from service.projections.attribution.dealing import campaigns as campaigns_of
from service.projections.attribution.moves import moves
from service.projections.reports import answers, dues, faceted, forecast, forecast_accuracy, targets
from service.projections.reports.dues import Now
from service.projections.reports.reading import Snapshot
from service.projections.sums.closings import moved_after
from service.projections.sums.selection import OF_CAMPAIGN, OF_SEGMENT, TIME_GROUPS, Key, Moment, Query, Selection, Sums
from service.projections.sums.threads import apart

Place = tuple[int, int]  # position, line: where an entry stands in the journal
MOST_COUNTED = 10_000
_OF_DEALS = {DEALS: units.NUMBER}
_AT_ONCE, _ALL = 1_000, 2**31 - 1  # entries of a stretch where all are read; more than there are
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


def figure_of(sums: Sums, parts: Parts) -> int:
    """Return what the sums of measures make of a figure."""
    return sum(sign * sums.get(name, 0) for name, sign in parts.items())


async def page(
    view: Snapshot, query: Query, parts: Parts, positions: Range, after: Place = (0, 0), limit: int = 100
) -> tuple[list[Entry], int | None]:  # fmt: skip
    """Return entries in the order in which they were posted, after one of them, and how many there are in all pages.

    None where there are more than can be counted while somebody waits.
    """
    posted = {measure: sign for measure, sign in parts.items() if model_of(measure) is None}
    if len(posted) < len(parts):
        return await _with_dealt(view, query, parts, posted, positions, after, limit)
    asked = (view, query, tuple(parts), positions, after, limit)
    rows = await _rows(*asked)
    counted: int | None = rows[0][0]
    if rows[0][0] > MOST_COUNTED:
        rows, counted = await _rows(*asked, in_order=True), None
    lines = [((row[1], row[2]), line_of(view, row[3:])) for row in map(tuple, rows) if row[1] is not None]
    return await _entries(view, query, parts, lines), counted


async def _entries(
    view: Snapshot, query: Query, parts: Parts, lines: Sequence[tuple[Place, Line]]
) -> list[Entry]:  # fmt: skip
    """Return lines as entries, each with its event and why."""
    events = await _events(view, [place[0] for place, _ in lines])
    others = await _others(view, lines)
    campaigns = {} if {"channel", *OF_CAMPAIGN}.isdisjoint(query.group_by) else await view.campaigns()
    found: list[Entry] = await apart(len(lines), _told, view, query, parts, lines, events, others, campaigns)
    return found


def _told(
    view: Snapshot, query: Query, parts: Parts, lines: Sequence[tuple[Place, Line]], events: Sequence[Any],
    others: Sequence[Any], campaigns: Mapping[str, Mapping[str, Any]],
) -> list[Entry]:  # fmt: skip
    """Return entries of lines: `events` and `others` are what is known of their events, and other lines of these."""
    by_position = _by_position(events)
    of_entity: dict[tuple[int, str], list[Line]] = {}
    for row in map(tuple, others):
        line = line_of(view, row[1:])
        of_entity.setdefault((row[0], line.entity), []).append(line)
    tops = topmost({one: known.get("parent_id") for one, known in campaigns.items()})
    found = []
    for place, line in lines:
        event = by_position[place[0]]
        reason = lineage.why(event.type, event.data, line, of_entity[place[0], line.entity])
        signed = line._replace(amount=parts[line.measure] * line.amount)
        found.append(Entry(place, _key(query, line, campaigns, tops), signed, event, reason))
    return found


def _by_position(events: Sequence[Any]) -> dict[int, Event]:
    return {row[0]: Event._make((*row[:6], _json.decode(row[6]), row[7])) for row in map(tuple, events)}


async def every(view: Snapshot, figure: Asked, after: Place) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield all entries of a figure after one of them, as answers write them, a stretch at a time."""
    query, currency = figure.query, view.ledger.currency
    if any(model_of(measure) is not None for measure in figure.parts):  # what is dealt is in memory as a whole
        found, _ = await page(view, query, figure.parts, Range(0, view.as_of.position), after, _ALL)
        yield await apart(len(found), _described, found, query, currency)
        return
    sql, *more = _by_cube(await view.moment(query), query, tuple(figure.parts))
    place = f"({sql.parameter(after[0])}::bigint, {sql.parameter(after[1])}::integer)"
    matching = _matching([sql, *more], after[0] - 1, view.as_of.position)
    statement = f"""
        {sql.campaigns()}, matching AS ({matching} AND (position, line) > {place} ORDER BY position, line)
        SELECT p.position, p.line, measure, entity, s.cube, s.labels, p.day, p.cohort, amount, value, detail
        FROM matching p {OF_SEGMENT} ORDER BY position, line
    """
    cursor = await view.connection.cursor(statement, *sql.values)
    while rows := await cursor.fetch(_AT_ONCE):
        lines = await apart(len(rows), _lines, view, rows)
        found = await _entries(view, query, figure.parts, lines)
        yield await apart(len(found), _described, found, query, currency)


def _lines(view: Snapshot, rows: Sequence[Any]) -> list[tuple[Place, Line]]:
    return [((row[0], row[1]), line_of(view, row[2:])) for row in map(tuple, rows)]


def _described(found: Sequence[Entry], query: Query, currency: str) -> list[dict[str, Any]]:
    return [described(one, query, currency) for one in found]


async def _with_dealt(
    view: Snapshot, query: Query, parts: Parts, posted: Parts, positions: Range, after: Place, limit: int
) -> tuple[list[Entry], int | None]:  # fmt: skip
    """Return a page of entries of which some are what events changed of what is dealt."""
    found, counted = await page(view, query, posted, positions, after, limit) if posted else ([], 0)
    grouping = Grouping(query, campaigns_of(await view.campaigns()))
    key = (view.ledger.ledger, view.generation)
    moved = await moves(view.connection, key, positions, by_model(parts), grouping, query.basis)
    following = [one for one in moved if (one.position, one.line) > after][:limit]
    events = _by_position(await _events(view, [one.position for one in following]))
    for move in following:
        event, cell, name = events[move.position], move.cell, dealt(move.model, move.cell.measure)
        where = dict(zip(("campaign", "owner", "team", "region"), (cell.campaign, *cell.where), strict=True))
        line = Line(
            name,
            cell.entity,
            where,
            date.fromordinal(cell.day),
            date.fromordinal(cell.cohort),
            parts[name] * cell.amount,
        )
        reason = lineage.why_dealt(event.type, event.data, anew=move.anew)
        found.append(Entry((move.position, move.line), move.key, line, event, reason))
    found.sort(key=lambda one: one.place)
    whole = None if counted is None or counted + len(moved) > MOST_COUNTED else counted + len(moved)
    return found[:limit], whole


async def _rows(
    view: Snapshot, query: Query, names: tuple[str, ...], positions: Range, after: Place, limit: int,
    *, in_order: bool = False,
) -> Sequence[Any]:  # fmt: skip
    """Return (how many match, place, line) of a page; one row without a place if nothing is on it.

    What matches is looked up by campaign, measure and day, counted and sorted; or it is come across `in_order`, from where the
    window was first moved until the page is full, and not counted.
    """
    sql, *more = _by_cube(await view.moment(query), query, names)
    place = f"({sql.parameter(after[0])}::bigint, {sql.parameter(after[1])}::integer)"
    following = f"(position, line) > {place} ORDER BY position, line LIMIT {int(limit)}"
    if in_order:
        low = max(positions.after, after[0] - 1)
        first = ", ".join(moved_after(one) for one in (sql, *more))
        matching = f"{_matching([sql, *more], low, positions.until)} AND position > least({first}) AND {following}"
    else:
        matching = f"""{_matching([sql, *more], *positions)}
            AND campaign = ANY({" || ".join(one.segments("campaign_segment") for one in (sql, *more))})
            LIMIT {MOST_COUNTED + 1}"""
    rows: Sequence[Any] = await view.connection.fetch(
        f"""
        {sql.campaigns()}, matching AS MATERIALIZED ({matching}),
        page AS (SELECT * FROM matching WHERE {following}),
        found AS (
            SELECT p.position, p.line, measure, entity, s.cube, s.labels, p.day, p.cohort, amount, value, detail
            FROM page p {OF_SEGMENT}
        )
        SELECT counted, found.* FROM (SELECT count(*) AS counted FROM matching) all_of_it LEFT JOIN found ON true
        ORDER BY position, line
        """,
        *sql.values,
    )
    return rows


def _by_cube(moment: Moment, query: Query, names: Sequence[str]) -> list[Selection]:
    """Return a selection per cube that measures are posted to, for one statement."""
    of_cubes: dict[str | None, list[str]] = {}
    for name in names:
        of_cubes.setdefault(moment.layout.cube_of(name), []).append(name)
    first, *others = of_cubes.values()
    sql = Selection(moment, query, first)
    return [sql, *(sql.beside(query, one) for one in others)]


def _matching(several: Sequence[Selection], low: int, until: int) -> str:
    """The postings of the selections, which are of one window, at positions (low, until]."""
    sql, measures = several[0], [name for one in several for name in one.measures]
    return f"""
        SELECT * FROM postings WHERE ledger = $1 AND generation = $2 AND position > {sql.parameter(low)}
        AND position <= {sql.parameter(until)} AND measure = ANY({sql.parameter(measures)})
        AND segment = ANY({" || ".join(one.segments("segment") for one in several)}) AND ({sql.within()}) {sql.overdue()}"""


def line_of(view: Snapshot, row: Sequence[Any]) -> Line:
    """Return a line from (measure, entity, cube, labels, day, cohort, amount, value, detail)."""
    measure, entity, cube, labels, day, cohort, amount, value, detail = row
    where = dict(zip(view.layout.cubes[cube].by, labels, strict=True))
    return Line(measure, entity, where, day, cohort, amount, value, detail)


def _key(query: Query, line: Line, campaigns: Mapping[str, Mapping[str, Any]], tops: Mapping[str, str]) -> Key:
    """Return the group of a line, as rows have it; `campaigns` are what is known of them, if a group needs that."""
    day = line.day if query.basis == "event" else line.cohort
    campaign = line.where.get("campaign") or ""
    known = campaigns.get(campaign, {})
    of_campaign = {
        "campaign_type": known.get("campaign_type"), "parent": tops.get(campaign, campaign or None),
        "channel": line.where.get("channel") or known.get("channel") or None,
    }  # fmt: skip
    return tuple(
        (None if day == date.min else grain_label(grain_start(day, group), group))
        if group in TIME_GROUPS
        else of_campaign.get(group, line.where.get(group))
        for group in query.group_by
    )


async def _events(view: Snapshot, positions: Sequence[int]) -> Sequence[Any]:
    """Return the events at positions, column by column."""
    rows: Sequence[Any] = await view.connection.fetch(
        f"""
        SELECT position, type, time, source, id, recorded_at, {_TOLD}, micros FROM events
        WHERE ledger = $1 AND position = ANY($2)
        """,
        view.ledger.ledger, sorted(set(positions)),
    )  # fmt: skip
    return rows


async def _others(view: Snapshot, lines: Sequence[tuple[Place, Line]]) -> Sequence[Any]:
    """Return all lines of the same events about the same entities."""
    positions, entities = {place[0] for place, _ in lines}, {line.entity for _, line in lines}
    rows: Sequence[Any] = await view.connection.fetch(
        f"""
        SELECT position, measure, entity, s.cube, s.labels, day, cohort, amount, value, detail FROM postings p {OF_SEGMENT}
        WHERE p.ledger = $1 AND p.generation = $2 AND position = ANY($3) AND entity = ANY($4) AND measure <> ALL($5)
        ORDER BY position, line
        """,
        view.ledger.ledger, view.generation, sorted(positions), sorted(entities), [*details.ASIDE],
    )  # fmt: skip
    return rows


def described(entry: Entry, query: Query, currency: str) -> dict[str, Any]:
    """Return an entry as answers write it."""
    line, event = entry.line, entry.event
    kind, identity = lineage.split_entity(line.entity)
    original = details.converted(line.measure, line.detail)
    groups = {name: value for name, value in zip(query.names, entry.key, strict=True) if name != "campaign_id"}
    return {
        "campaign_id": line.where.get("campaign"),
        **{name: label for name, label in line.where.items() if name in DIMENSIONS - {"campaign"}},
        **groups,
        "measure": plain(line.measure),
        **({} if (model := model_of(line.measure)) is None else {"model": model}),
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


def amount(measure: str, minor: int, currency: str, unit: str | None = None) -> str | int | float:
    """Write what was posted to a measure, or a sum in a unit: money as a decimal string, all else as a number."""
    found: str | int | float = units.written(
        minor, unit or UNITS.get(plain(measure), _OF_DEALS.get(plain(measure), units.COUNT)), currency
    )
    return found


def written(day: date) -> str | None:
    """Write a day; what has none is null."""
    return None if day == date.min else day.isoformat()


async def opened(view: Snapshot, report: Report, query: Query, name: str, now: Now | None) -> Query:
    """Return the query of what a figure opens down to, of a report that is not about the window alone."""
    query = answers.within(report, query, now)
    if report.name == "targets":
        return targets.opened(query)
    if report.name == "forecast-accuracy" and now:
        return await forecast_accuracy.opened(view, query, now.today)
    return forecast.opened(query, name, now.today) if report.name == "forecast" and now else query


async def _summed(view: Snapshot, query: Query, measures: Sequence[str]) -> Sums:
    """Return the sums of measures, those of a span as they were known then."""
    if query.undated:
        return sum_by_key((await view.sums(replace(query, group_by=()), measures)).values())
    found: list[Sums] = []
    for span in query.spans:
        known = view if span.position is None else await view.at(span.position)
        of_span = replace(query, group_by=("year",), since=span.since, until=span.until, spans=())
        sums = await known.sums(of_span, [one for one in measures if one == span.measure])
        found += (of for (year,), of in sums.items() if year is not None)
    return sum_by_key(found)


class Asked(NamedTuple):
    """A figure whose entries are asked for: by which query, its measures with their signs, and what the entries add up to.

    `sums` are by figure: its own, or those of the figures that it is made of.
    """

    name: str
    query: Query
    parts: Parts
    sums: dict[str, str | int | float]
    reason: str | None = None  # why the report has no such figure, though entries add up


async def asked(view: Snapshot, query: Query, report: Report, name: str, now: Now | None = None) -> Asked:
    """Return what a figure of a report is to its entries; KeyError if it is unknown."""
    found_of, figure = report.additive(name), report.figures.get(name)
    if found_of is None:
        raise KeyError(name)
    made_of = {one: {**of} for one, of in found_of.items()}
    query = await opened(view, report, query, name, now)
    if isinstance(figure, Formula):
        query = replace(query, basis="cohort")
    past_due = {one: report.of_kind(PastDue)[one] for one in made_of.keys() & report.of_kind(PastDue).keys()}
    for of_now in past_due.values():
        query = await dues.only_past_due(view, query, of_now, now)
    if isinstance(figure, Persons) and figure.how == "all":
        query = replace(query, only=())
    if isinstance(figure, Stock):  # all that came before makes it up
        query = replace(query, since=None, until=(query.since or date.min) if figure.opening else query.until)
    if report.facets:
        query, made_of = await faceted.opened(view, query, report.facets, made_of)
    parts = {measure: sign for of in reversed(made_of.values()) for measure, sign in of.items()}
    summed = await _summed(view, query, tuple({*parts, *report.measures}))
    sums = {
        one: amount(
            one,
            figure_of(summed, of),
            view.ledger.currency,
            report.known[one].unit if one in report.known else None,
        )
        for one, of in made_of.items()
    }
    for one, of_now in past_due.items():
        due = await dues.past_due(view, replace(query, group_by=()), of_now, now)
        sums[one] = amount(one, sum(due.values()), view.ledger.currency, of_now.unit)
    reason = figure.without(summed, view.version) if isinstance(figure, Total) else None
    return Asked(name, query, parts, sums, reason)


def told(figure: Asked) -> dict[str, Any]:
    """Return what an answer says of a figure, beside its entries."""
    return {
        "measure": figure.name,
        "sum": figure.sums.get(figure.name),
        **({"sums": figure.sums} if figure.name not in figure.sums else {}),
        **({"reasons": {figure.name: figure.reason}} if figure.reason else {}),
    }


async def read(view: Snapshot, figure: Asked, after: Place, limit: int) -> tuple[dict[str, Any], Place | None]:
    """Return a page of the entries of a figure, with the figure itself, and where the next page begins."""
    positions = Range(0, view.as_of.position)
    found, counted = await page(view, figure.query, figure.parts, positions, after, limit + 1)
    currency = view.ledger.currency
    entries = [described(one, figure.query, currency) for one in found[:limit]]
    answer = {**told(figure), "count": counted, "entries": entries}
    return answer, found[limit - 1].place if len(found) > limit else None
