"""Lengths of durations, exact or in logarithmic buckets, by group and measure: what percentiles are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.domain.calendar import covering
from service.projections.selection import Key, Moment, Query, Selection

Lengths = dict[tuple[Key, str], dict[int, int]]  # (group, measure) → length → how often


async def samples(connection: Any, moment: Moment, query: Query, measures: Sequence[str], below: int) -> Lengths:
    """Return exact lengths in microseconds, of the groups that have fewer than `below`."""
    sql = Selection(moment, query, measures)
    return await _lengths(connection, sql, _of_postings(sql, "value"), f"WHERE count < {below}")


async def histograms(connection: Any, moment: Moment, query: Query, measures: Sequence[str]) -> Lengths:
    """Return buckets: whole months of campaigns from histograms, the rest from postings."""
    sql = Selection(moment, query, measures)
    stored = moment.base == ("balances", moment.position) and query.by_campaign and sql.coarsest != "day"
    return await _lengths(connection, sql, _stored(sql) if stored else _of_postings(sql, "bucket"))


async def _lengths(connection: Any, sql: Selection, source: str, some: str = "") -> Lengths:
    if not sql.measures:
        return {}
    rows = await connection.fetch(
        f"""
        {sql.campaigns()}, lengths AS (
            SELECT {sql.keys()}, measure, length, sum(amount)::bigint AS times FROM {sql.joined(source)}
            GROUP BY {sql.key_numbers()}, measure, length HAVING sum(amount) <> 0
        ), counted AS (
            SELECT *, sum(times) OVER (PARTITION BY {sql.key_names()}, measure) AS count FROM lengths
        )
        SELECT {sql.key_names()}, measure, length, times FROM counted {some}
        """,
        *sql.values,
    )
    width = len(sql.query.group_by)
    found: Lengths = {}
    for row in map(tuple, rows):
        measure, length, times = row[width:]
        found.setdefault((sql.query.labels(row[:width]), measure), {})[length] = times
    return found


def _of_postings(sql: Selection, length: str) -> str:
    """The durations of the window, each with its exact `value` or its `bucket` as its length."""
    return (
        f"SELECT segment, start, measure, {length} AS length, amount FROM ({sql.postings()}) p WHERE value IS NOT NULL"
    )


def _stored(sql: Selection) -> str:
    measures, parts = sql.parameter(list(sql.measures)), []
    for grain, low, high in covering(sql.query.since, sql.query.until, "month"):
        if grain == "day":
            parts.append(f"""
                SELECT segment, {sql.day()} AS start, measure, bucket AS length, amount FROM postings
                WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = ANY({measures})
                AND value IS NOT NULL AND {sql.window(sql.day(), low, high)}""")
        else:
            parts.append(f"""
                SELECT segment, start, measure, bucket AS length, amount FROM histograms
                WHERE ledger = $1 AND generation = $2 AND basis = '{sql.query.basis[0]}'
                AND measure = ANY({measures}) AND {sql.window("start", low, high)}""")
    return " UNION ALL ".join(parts)
