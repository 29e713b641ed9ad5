"""Reads: sums of balances by group and period (now), or of postings up to a position (as it was known then).

One snapshot answers one request: position, sums, lists and attributes all come from the same moment of the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

import asyncpg

from service.domain.calendar import covering, grain_label
from service.domain.postings import PENDING_LINKS, UNCONVERTED
from service.store import log
from service.store.ledgers import Ledger

TIME_GROUPS = {
    "day": "day",
    "month": "month",
    "quarter": "month",
    "year": "year",
}  # → the coarsest grain that serves it
# Groups by a dimension: how a row names it, and where it is found (s = segment, k = campaign attributes).
DIMENSIONS = {
    "campaign": ("campaign_id", "s.campaign"),
    "campaign_type": ("campaign_type", "k.attributes->>'campaign_type'"),
    "parent": ("parent_id", "k.attributes->>'parent_id'"),
    "channel": ("channel", "coalesce(s.channel, nullif(k.attributes->>'channel', ''))"),
    "source": ("source", "s.source"),
    "medium": ("medium", "s.medium"),
    "owner": ("owner", "s.owner"),
}
GROUPS = (*DIMENSIONS, *TIME_GROUPS)
_OF_CAMPAIGN = {"campaign", "campaign_type", "parent"}  # groups that need no more than the campaign
_MOST_LISTED = 1_000

Key = tuple[str | None, ...]


@dataclass(frozen=True)
class Query:
    """What a read asks for: [since, until) in days, grouped, on a date basis, perhaps for one campaign."""

    group_by: tuple[str, ...] = ("campaign",)
    since: date | None = None
    until: date | None = None
    basis: str = "event"
    campaign: str | None = None

    @property
    def names(self) -> list[str]:
        """The members that name a row's group."""
        return [DIMENSIONS[one][0] if one in DIMENSIONS else one for one in self.group_by]


class AsOf(NamedTuple):
    """The moment of knowing that an answer is for."""

    position: int
    recorded_at: datetime | None


class Sum(NamedTuple):
    """A sum of one group, measure and bucket: `total` adds up the durations that `amount` counts."""

    key: Key
    measure: str
    bucket: int
    amount: int
    total: int


@dataclass
class Snapshot:
    """One consistent view of a ledger's serving generation, at a position."""

    connection: Any
    ledger: Ledger
    generation: int
    as_of: AsOf
    current: bool  # whether that is all there is: then balances answer, else postings do
    _where: list[Any] = field(default_factory=list)

    async def sums(self, query: Query, measures: Sequence[str], *, buckets: bool = False) -> list[Sum]:
        """Return the sums that are not zero, by group (and histogram bucket)."""
        sql = _Sql(self, query, list(measures))
        keys, bucket = sql.keys(), "bucket" if buckets else "0"
        groups = ", ".join(str(number + 1) for number in range(len(query.group_by) + 2))
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}
            SELECT {keys}, measure, {bucket} AS bucket, sum(amount), sum(total) FROM {sql.source()}
            GROUP BY {groups} HAVING sum(amount) <> 0 OR sum(total) <> 0
            """,  # noqa: S608  names from the tables above, values as parameters
            *sql.values,
        )
        width = len(query.group_by)
        return [Sum(self._labels(query, row[:width]), *row[width:]) for row in map(tuple, rows)]

    async def last_day(self, query: Query, measure: str) -> dict[Key | None, date]:
        """Return the last day with a positive sum of a measure, by group; None is the key of all groups together."""
        sql = _Sql(self, query, [measure], by_day=True)
        keys = sql.keys()
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}, daily AS (
                SELECT {keys}, start FROM {sql.source()} GROUP BY {sql.key_numbers()}, start HAVING sum(amount) > 0
            )
            SELECT {sql.key_names()}, max(start) FROM daily GROUP BY {sql.key_names()}
            """,  # noqa: S608  as above
            *sql.values,
        )
        found: dict[Key | None, date] = {self._labels(query, tuple(row)[:-1]): row[-1] for row in rows}
        if found:
            found[None] = max(found.values())
        return found

    async def break_even(self, query: Query) -> dict[Key | None, tuple[date | None, date | None]]:
        """Return the first day on which cumulative return reaches cumulative cost (> 0): on invoiced, on margin basis.

        By group; None is the key of all groups together.
        """
        measures = ["actual_cost", "invoiced_revenue_gross", "credited", "cogs"]
        sql = _Sql(self, query, measures, by_day=True)
        keys, names = sql.keys(), sql.key_names()
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}, lines AS (
                SELECT {keys}, start, measure, amount FROM {sql.source()}
            ), daily AS (
                SELECT {names}, grouping({names}) AS level, start,
                       sum(amount) FILTER (WHERE measure = 'actual_cost') AS cost,
                       sum(CASE measure WHEN 'invoiced_revenue_gross' THEN amount WHEN 'credited' THEN -amount END) AS invoiced,
                       sum(amount) FILTER (WHERE measure = 'cogs') AS cogs
                FROM lines GROUP BY GROUPING SETS (({names}, start), (start))
            ), running AS (
                SELECT {names}, level, start, sum(cost) OVER w AS cost, sum(invoiced) OVER w AS invoiced,
                       coalesce(sum(cogs) OVER w, 0) AS cogs
                FROM daily WINDOW w AS (PARTITION BY level, {names} ORDER BY start)
            )
            SELECT {names}, level, min(start) FILTER (WHERE cost > 0 AND invoiced >= cost),
                   min(start) FILTER (WHERE cost > 0 AND invoiced - cogs >= cost)
            FROM running GROUP BY {names}, level
            """,  # noqa: S608  as above
            *sql.values,
        )
        found: dict[Key | None, tuple[date | None, date | None]] = {}
        for row in map(tuple, rows):
            *key, level, invoiced, margin = row
            found[self._labels(query, tuple(key)) if level == 0 else None] = (invoiced, margin)
        return found

    async def samples(self, query: Query, wanted: Sequence[tuple[Key, str]]) -> list[tuple[Key, str, int, int]]:
        """Return (group, measure, length, how often) of the exact durations of the groups and measures wanted."""
        if not wanted:
            return []
        sql = _Sql(self, query, sorted({measure for _, measure in wanted}), by_day=True, exact=True)
        keys, width = sql.keys(), len(query.group_by)
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}
            SELECT {keys}, measure, value, sum(amount)::bigint FROM {sql.source()}
            GROUP BY {sql.key_numbers()}, measure, value HAVING sum(amount) <> 0
            """,  # noqa: S608  as above
            *sql.values,
        )
        asked = set(wanted)
        found = [(self._labels(query, row[:width]), *row[width:]) for row in map(tuple, rows)]
        return [one for one in found if (one[0], one[1]) in asked]

    async def unconverted(self, query: Query) -> list[dict[str, Any]]:
        """Return the amounts of the window that wait for an exchange rate (the first thousand)."""
        sql = _Sql(self, query, [UNCONVERTED], by_day=True, listed=True)
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}
            SELECT entity, detail, s.campaign, start, sum(amount)::bigint FROM {sql.source()}
            GROUP BY entity, detail, s.campaign, start HAVING sum(amount) <> 0 ORDER BY start, entity, detail
            LIMIT {_MOST_LISTED}
            """,  # noqa: S608  as above
            *sql.values,
        )
        return [_waiting(*row) for row in rows]

    async def pending_links(self) -> int:
        """Return how many links wait for what has not arrived."""
        sums = await self.sums(Query(), [PENDING_LINKS])
        return sum(one.amount for one in sums)

    def _labels(self, query: Query, key: tuple[Any, ...]) -> Key:
        return tuple(
            (None if value == date.min else grain_label(value, group)) if group in TIME_GROUPS else value
            for group, value in zip(query.group_by, key, strict=True)
        )


def _waiting(entity: str, detail: str, campaign: str | None, day: date, times: int) -> dict[str, Any]:
    kind, _, identity = entity.partition(":")
    measure, currency, amount, rate_day = detail.split(" ")
    return {
        "kind": kind, "id": identity, "campaign_id": campaign, "measure": measure, "amount": amount, "currency": currency,
        "day": None if day == date.min else day.isoformat(), "rate_date": date.fromordinal(int(rate_day)).isoformat(),
        "entries": times,
    }  # fmt: skip


class _Sql:
    """Builds the parts that all reads share; every value is a parameter."""

    def __init__(
        self, snapshot: Snapshot, query: Query, measures: list[str], *, by_day: bool = False, exact: bool = False,
        listed: bool = False,
    ) -> None:  # fmt: skip
        self.query = query
        self.current = snapshot.current and not exact and not listed
        self.by_day = by_day
        self.exact = exact
        self.cube = "c" if set(query.group_by) - TIME_GROUPS.keys() <= _OF_CAMPAIGN else "s"
        self.values: list[Any] = [snapshot.ledger.ledger, snapshot.generation, snapshot.as_of.position, measures]
        grains = [TIME_GROUPS[one] for one in query.group_by if one in TIME_GROUPS]
        self.coarsest = "day" if by_day else min(grains, key=("day", "month", "year").index, default="year")

    def _parameter(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"

    def keys(self) -> str:
        """The expressions of the groups, named k0, k1, …"""
        expressions = []
        for number, group in enumerate(self.query.group_by):
            if group in DIMENSIONS:
                expressions.append(f"{DIMENSIONS[group][1]} AS k{number}")
            else:
                expressions.append(f"date_trunc('{group}', start)::date AS k{number}")
        return ", ".join(expressions)

    def key_names(self) -> str:
        """The names of the groups."""
        return ", ".join(f"k{number}" for number in range(len(self.query.group_by)))

    def key_numbers(self) -> str:
        """The places of the groups in the output."""
        return ", ".join(str(number + 1) for number in range(len(self.query.group_by)))

    def campaigns(self) -> str:
        """The attributes of campaigns as known then."""
        return """
            WITH known AS (
                SELECT DISTINCT ON (campaign) campaign, attributes FROM campaigns
                WHERE ledger = $1 AND generation = $2 AND position <= $3 ORDER BY campaign, position DESC
            )"""

    def source(self) -> str:
        """The balances or postings of the window, with their segments and campaigns."""
        rows = self._balances() if self.current else self._postings()
        only = f" AND s.campaign = {self._parameter(self.query.campaign)}" if self.query.campaign is not None else ""
        return f"""({rows}) b
            JOIN segments s ON s.ledger = $1 AND s.generation = $2 AND s.segment = b.segment{only}
            LEFT JOIN known k ON k.campaign = s.campaign"""

    def _balances(self) -> str:
        ranges = covering(self.query.since, self.query.until, self.coarsest)
        windows = [f"(grain = '{grain[0]}' AND {self._window('start', low, high)})" for grain, low, high in ranges]
        windows.append(f"(grain = '{self.coarsest[0]}' AND start = '0001-01-01')")  # what has no day is never windowed
        basis = self.query.basis[0]
        return f"""
            SELECT measure, segment, bucket, start, amount, total FROM balances
            WHERE ledger = $1 AND generation = $2 AND $3::bigint IS NOT NULL AND basis = '{basis}' AND cube = '{self.cube}'
            AND measure = ANY($4) AND ({" OR ".join(windows)})"""  # noqa: S608  constants and parameters

    def _postings(self) -> str:
        day = "day" if self.query.basis == "event" else "cohort"
        window = (
            f"({self._window(day, self.query.since or date.min, self.query.until or date.max)} OR day = '0001-01-01')"
        )
        exact = " AND value IS NOT NULL" if self.exact else ""
        return f"""
            SELECT measure, segment, bucket, value, entity, detail, {day} AS start, amount,
                   amount * coalesce(value, 0)::numeric AS total
            FROM postings
            WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = ANY($4) AND {window}{exact}"""  # noqa: S608  as above

    def _window(self, column: str, low: date, high: date) -> str:
        return f"{column} >= {self._parameter(low)} AND {column} < {self._parameter(high)}"


@asynccontextmanager
async def snapshot(pool: asyncpg.Pool, ledger: Ledger, as_of: int | datetime | None = None) -> AsyncIterator[Snapshot]:
    """Open a consistent view of a ledger, now or as known at a position or time."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        generation, checkpoint = await connection.fetchrow(
            "SELECT generation, settled FROM generations WHERE ledger = $1 AND state = 'serving'", ledger.ledger
        )
        position = await log.position_at(connection, ledger.ledger, as_of) if isinstance(as_of, datetime) else as_of
        current = position is None or position >= checkpoint
        at = checkpoint if position is None or current else max(0, position)
        recorded = await connection.fetchval(
            "SELECT recorded_at FROM events WHERE ledger = $1 AND position = $2", ledger.ledger, at
        )
        yield Snapshot(connection, ledger, generation, AsOf(at, recorded), current)


async def checkpoint(pool: asyncpg.Pool, ledger: Ledger) -> tuple[int, int]:
    """Return the serving generation and the position up to which it answers."""
    row = await pool.fetchrow(
        "SELECT generation, settled FROM generations WHERE ledger = $1 AND state = 'serving'", ledger.ledger
    )
    if row is None:
        raise LookupError(f"ledger {ledger.name} has no read models")
    return row[0], row[1]
