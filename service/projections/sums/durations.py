"""Lengths of durations, exact or in logarithmic buckets, by group and measure: what percentiles are made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from service.domain.calendar import covering
from service.domain.durations import SHARES
from service.projections.sums.selection import Key, Moment, Query, Selection
from service.projections.sums.threads import apart

Lengths = dict[tuple["Key | None", str], dict[int, int]]  # (group, measure) → length → how often; None = all groups

# Of a group's lengths, only those at the ranks that a percentile is interpolated between are read; each counts for itself and
# for the shorter ones that were left out, the longest for the longer ones too, so that ranks and count stay what they are.
_RANKS = [
    rank
    for share in SHARES
    for rank in (
        f"((count - 1) * {share.numerator}) / {share.denominator}",
        f"((count - 1) * {share.numerator} + {share.denominator - 1}) / {share.denominator}",
    )
]
_AT_A_RANK = " OR ".join(f"(upto - times <= {rank} AND {rank} < upto)" for rank in _RANKS)


async def samples(
    connection: Any, moment: Moment, query: Query, measures: Sequence[str], below: int, keys: Collection[Key | None]
) -> Lengths:
    """Return exact lengths in microseconds, of the groups that have fewer than `below`; `keys` are those that may."""
    sql = Selection(moment, query, measures)
    source = _of_postings(sql, "value")
    if query.group_by == ("campaign",) and sql.stored.rollups and None not in keys:  # the rest need not be read
        source += f""" AND campaign = ANY(ARRAY(
            SELECT segment FROM segments WHERE ledger = $1 AND generation = $2 AND segment = campaign_segment
            AND (campaign = ANY({sql.parameter([key[0] for key in keys if key and key[0] is not None])})
                 OR (campaign IS NULL AND {"true" if (None,) in keys else "false"}))))"""
    return await _lengths(connection, sql, source, f"count < {below}", together=None in keys)


async def histograms(connection: Any, moment: Moment, query: Query, measures: Sequence[str], least: int) -> Lengths:
    """Return buckets, of the groups that have `least` or more: whole months of campaigns from histograms, else from postings."""
    sql = Selection(moment, query, measures)
    base = moment.base
    stored = base.table == "balances" and base.position <= moment.position and sql.rolled_up and sql.coarsest != "day"
    return await _lengths(
        connection, sql, _stored(sql) if stored else _of_postings(sql, "bucket"), f"count >= {least}", together=True
    )


async def _lengths(connection: Any, sql: Selection, source: str, some: str, *, together: bool) -> Lengths:
    if not sql.measures:
        return {}
    names = sql.key_names()
    rows = await connection.fetch(
        f"""
        {sql.campaigns()}, lines AS (
            SELECT {sql.keys()}, measure, length, amount FROM {sql.joined(source)}
        ), lengths AS (
            SELECT {names}, measure, length, grouping({names}) AS level, sum(amount)::bigint AS times FROM lines
            GROUP BY GROUPING SETS (({names}, measure, length){", (measure, length)" if together else ""})
            HAVING sum(amount) <> 0
        ), counted AS (
            SELECT *, sum(times) OVER (PARTITION BY level, {names}, measure)::bigint AS count,
                   sum(times) OVER (PARTITION BY level, {names}, measure ORDER BY length)::bigint AS upto
            FROM lengths
        )
        SELECT {names}, level, measure, length, upto, count FROM counted WHERE {some} AND ({_AT_A_RANK})
        ORDER BY level, {names}, measure, length
        """,
        *sql.values,
    )
    return await apart(len(rows), _by_key, sql, rows)


def _by_key(sql: Selection, rows: Sequence[Any]) -> Lengths:
    found: Lengths = {}
    counts: dict[tuple[Key | None, str], int] = {}
    for row in map(tuple, rows):
        level, measure, length, upto, count = row[sql.width :]
        key = (sql.key(row) if level == 0 else None, measure)
        lengths = found.setdefault(key, {})
        lengths[length] = upto - sum(lengths.values())
        counts[key] = count
    for key, lengths in found.items():
        lengths[max(lengths)] += counts[key] - sum(lengths.values())
    return found


def _of_postings(sql: Selection, length: str) -> str:
    """The durations of the window, each with its exact `value` or its `bucket` as its length."""
    return (
        f"SELECT segment, start, measure, {length} AS length, amount FROM ({sql.postings()}) p WHERE value IS NOT NULL"
    )


def _stored(sql: Selection) -> str:
    measures, parts = sql.parameter(list(sql.measures)), []
    settled = sql.moment.base.position
    for grain, low, high in covering(sql.query.since, sql.query.until, "month"):
        after = 0
        if grain != "day":
            after = settled
            parts.append(f"""
                SELECT segment, start, measure, bucket AS length, amount FROM histograms
                WHERE ledger = $1 AND generation = $2 AND basis = '{sql.query.basis[0]}'
                AND measure = ANY({measures}) AND {sql.window("start", low, high)}""")
        if after < sql.moment.position:
            parts.append(f"""
                SELECT segment, {sql.day()} AS start, measure, bucket AS length, amount FROM postings
                WHERE ledger = $1 AND generation = $2 AND position > {sql.parameter(after)} AND position <= $3
                AND measure = ANY({measures}) AND value IS NOT NULL AND {sql.window(sql.day(), low, high)}""")
    return " UNION ALL ".join(parts)
