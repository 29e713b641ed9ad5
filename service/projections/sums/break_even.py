"""Break-even (SPEC section 4): the first day on which cumulative return reaches cumulative cost (> 0), within the window.

It takes every day's sums, so that it is worked out only where it is asked for. Where groups are what sums are kept by, months
are looked at first: the day cannot be later than the end of the first month that ends beyond break-even, and most of the days
need not be added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from service.domain.calendar import after, grain_start
from service.domain.figures import Parts
from service.projections.sums.selection import Key, Moment, Query, Selection


async def first_days(
    connection: Any, moment: Moment, query: Query, cost: Parts, returns: Mapping[str, Parts]
) -> dict[Key, dict[str, date | None]]:
    """Return by group, for each of the returns, the first day on which it comes up to the cost, added up since the first day."""
    measures = list(dict.fromkeys([*cost, *(one for of in returns.values() for one in of)]))
    sql = Selection(moment, query, measures, coarsest="day")
    names = ("cost", *(f"r{number}" for number in range(len(returns))))
    if sql.by_segment:  # whose numbers are quicker to sort by than their names
        last = await _last_days(
            connection, Selection(moment, query, measures, coarsest="month"), names, (cost, *returns.values())
        )
        keys = "segment"
        known = f"unnest({sql.parameter([*last])}::integer[], {sql.parameter([*last.values()])}::date[])"
        stated = f"""
            SELECT segment, start, {_moves(sql, names, (cost, *returns.values()))} FROM ({sql.rows()}) b
            JOIN {known} AS known (segment, until) USING (segment) WHERE start < until AND {_moved(sql)}"""
        answer = f"SELECT {sql.keys()}, {', '.join(names[1:])} FROM {sql.joined('SELECT * FROM first')}"
    else:
        keys = sql.key_names()
        moves = _moves(sql, names, (cost, *returns.values()))
        stated = f"SELECT {sql.keys()}, start, {moves} FROM {sql.source()} WHERE {_moved(sql)}"
        answer = "SELECT * FROM first"
    daily = ", ".join(f"sum({name}) AS {name}" for name in names)
    running = ", ".join(f"sum({name}) OVER days AS {name}" for name in names)
    first = ", ".join(f"min(start) FILTER (WHERE cost > 0 AND {name} >= cost) AS {name}" for name in names[1:])
    rows = await connection.fetch(
        f"""
        {sql.campaigns()}, stated AS ({stated}),
        daily AS (SELECT {keys}, start, {daily} FROM stated GROUP BY {keys}, start),
        running AS (SELECT {keys}, start, {running} FROM daily WINDOW days AS (PARTITION BY {keys} ORDER BY start)),
        first AS (SELECT {keys}, {first} FROM running GROUP BY {keys})
        {answer}
        """,
        *sql.values,
    )
    return {sql.key(row): dict(zip(returns, row[sql.width :], strict=True)) for row in map(tuple, rows)}


async def _last_days(connection: Any, sql: Selection, names: Sequence[str], parts: Sequence[Parts]) -> dict[int, date]:
    """Return by segment the day before which each return has come up to the cost; without end where one has not."""
    summed = ", ".join(f"sum({name})::text" for name in names)
    rows = await connection.fetch(
        f"""
        {sql.campaigns()}, moved AS (
            SELECT segment, start, {_moves(sql, names, parts)} FROM ({sql.rows()}) b WHERE {_moved(sql)}
        )
        SELECT segment, start, {summed} FROM moved GROUP BY segment, start ORDER BY segment, start
        """,
        *sql.values,
    )
    return {
        segment: _last_day(of_segment, len(names))
        for segment, of_segment in groupby(map(tuple, rows), lambda row: row[0])
    }


def _last_day(rows: Any, width: int) -> date:
    sums, waiting = [0] * width, set(range(1, width))
    for _, start, *texts in rows:
        sums = [known + int(text) for known, text in zip(sums, texts, strict=True)]
        waiting = {one for one in waiting if not (sums[0] > 0 and sums[one] >= sums[0])}
        if not waiting:
            return after(grain_start(start, "month")) if start > date.min else date.max
    return date.max


def _moved(sql: Selection) -> str:
    return f"coalesce({', '.join(sql.columns.values())}) IS NOT NULL"


def _moves(sql: Selection, names: Sequence[str], parts: Sequence[Parts]) -> str:
    return ", ".join(f"{_added(sql, of)} AS {name}" for name, of in zip(names, parts, strict=True))


def _added(sql: Selection, parts: Parts) -> str:
    return " ".join(
        f"{'+' if sign > 0 else '-'} coalesce({sql.columns[measure]}, 0)" for measure, sign in parts.items()
    )
