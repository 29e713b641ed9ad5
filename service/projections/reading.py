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
import msgspec

from service.domain.calendar import GRAINS, covering, grain_label
from service.domain.component import MEASURES
from service.domain.postings import PENDING_LINKS, UNCONVERTED
from service.projections.balances import column
from service.projections.definition import of_postings
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


Sums = dict[str, int]  # measure → amount; what is 0 is not there


@dataclass
class Snapshot:
    """One consistent view of a ledger's serving generation, at a position."""

    connection: Any
    ledger: Ledger
    generation: int
    as_of: AsOf
    current: bool  # whether that is all there is: then balances answer, else postings do
    edition: str  # whatever it answers is the same as long as this and the position are
    version: str  # of the definitions behind the figures
    _where: list[Any] = field(default_factory=list)

    async def sums(self, query: Query, measures: Sequence[str]) -> dict[Key, Sums]:
        """Return the sums of measures by group; a group without any is not there."""
        sql = _Sql(self, query, measures)
        summed = ", ".join(f"sum({column(measure)})" for measure in measures)
        rows = await self.connection.fetch(
            f"{sql.campaigns()} SELECT {sql.keys()}, {summed} FROM {sql.source()} GROUP BY {sql.key_numbers()}",
            *sql.values,
        )
        width, found = len(query.group_by), {}
        for row in map(tuple, rows):
            sums = {name: int(amount) for name, amount in zip(measures, row[width:], strict=True) if amount}
            if sums:
                found[self._labels(query, row[:width])] = sums
        return found

    async def last_day(self, query: Query, measure: str) -> dict[Key | None, date]:
        """Return the last day with a positive sum of a measure, by group; None is the key of all groups together."""
        sql = _Sql(self, query, [measure], by_day=True)
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}, daily AS (
                SELECT {sql.keys()}, start FROM {sql.source()}
                GROUP BY {sql.key_numbers()}, start HAVING sum({column(measure)}) > 0
            )
            SELECT {sql.key_names()}, max(start) FROM daily GROUP BY {sql.key_names()}
            """,
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
        sql = _Sql(self, query, ["actual_cost", "invoiced_revenue_gross", "credited", "cogs"], by_day=True)
        keys, names = sql.keys(), sql.key_names()
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}, lines AS (
                SELECT {keys}, start, actual_cost, invoiced_revenue_gross, credited, cogs FROM {sql.source()}
            ), daily AS (
                SELECT {names}, grouping({names}) AS level, start, sum(actual_cost) AS cost,
                       coalesce(sum(invoiced_revenue_gross), 0) - coalesce(sum(credited), 0) AS invoiced,
                       coalesce(sum(cogs), 0) AS cogs
                FROM lines GROUP BY GROUPING SETS (({names}, start), (start))
            ), running AS (
                SELECT {names}, level, start, sum(cost) OVER w AS cost, sum(invoiced) OVER w AS invoiced,
                       sum(cogs) OVER w AS cogs
                FROM daily WINDOW w AS (PARTITION BY level, {names} ORDER BY start)
            )
            SELECT {names}, level, min(start) FILTER (WHERE cost > 0 AND invoiced >= cost),
                   min(start) FILTER (WHERE cost > 0 AND invoiced - cogs >= cost)
            FROM running GROUP BY {names}, level
            """,
            *sql.values,
        )
        found: dict[Key | None, tuple[date | None, date | None]] = {}
        for row in map(tuple, rows):
            *key, level, invoiced, margin = row
            found[self._labels(query, tuple(key)) if level == 0 else None] = (invoiced, margin)
        return found

    async def samples(self, query: Query, measures: Sequence[str], below: int) -> dict[tuple[Key, str], dict[int, int]]:
        """Return exact durations, length in microseconds → how often, of the groups that have fewer than `below`."""
        sql = _Sql(self, query, measures)
        return await self._lengths(sql, sql.durations("value"), below)

    async def histograms(self, query: Query, measures: Sequence[str]) -> dict[tuple[Key, str], dict[int, int]]:
        """Return durations in histogram buckets: bucket → how often."""
        sql = _Sql(self, query, measures)
        return await self._lengths(sql, sql.histograms(), None)

    async def _lengths(self, sql: _Sql, source: str, below: int | None) -> dict[tuple[Key, str], dict[int, int]]:
        if not sql.measures:
            return {}
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}, lengths AS (
                SELECT {sql.keys()}, measure, length, sum(amount)::bigint AS times FROM {sql.joined(source)}
                GROUP BY {sql.key_numbers()}, measure, length HAVING sum(amount) <> 0
            ), counted AS (
                SELECT *, sum(times) OVER (PARTITION BY {sql.key_names()}, measure) AS count FROM lengths
            )
            SELECT {sql.key_names()}, measure, length, times FROM counted
            {"" if below is None else f"WHERE count < {below}"}
            """,
            *sql.values,
        )
        width = len(sql.query.group_by)
        found: dict[tuple[Key, str], dict[int, int]] = {}
        for row in map(tuple, rows):
            measure, length, times = row[width:]
            found.setdefault((self._labels(sql.query, row[:width]), measure), {})[length] = times
        return found

    async def unconverted(self, query: Query) -> list[dict[str, Any]]:
        """Return the amounts of the window that wait for an exchange rate (the first thousand)."""
        sql = _Sql(self, query, [UNCONVERTED])
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}
            SELECT entity, detail, s.campaign, start, sum(amount)::bigint FROM {sql.joined(sql.postings())}
            WHERE detail IS NOT NULL  -- as the index of lists has it
            GROUP BY entity, detail, s.campaign, start HAVING sum(amount) <> 0 ORDER BY start, entity, detail
            LIMIT {_MOST_LISTED}
            """,
            *sql.values,
        )
        return [_waiting(*row) for row in rows]

    async def pending_links(self) -> int:
        """Return how many links wait for what has not arrived."""
        return sum(sums[PENDING_LINKS] for sums in (await self.sums(Query(), [PENDING_LINKS])).values())

    async def listed(
        self, measure: str, after: tuple[str, str] = ("", ""), limit: int = 100
    ) -> list[tuple[str, str, str | None, int]]:
        """Return (entity, detail, campaign, since position) of what is posted to be listed, in that order, after a pair."""
        rows = await self.connection.fetch(
            """
            SELECT entity, detail, s.campaign, max(position) FROM postings p JOIN segments s USING (ledger, generation, segment)
            WHERE p.ledger = $1 AND p.generation = $2 AND p.position <= $3 AND measure = $4 AND detail IS NOT NULL
            AND (entity, detail) > ($5, $6)
            GROUP BY entity, detail, s.campaign HAVING sum(amount) <> 0 ORDER BY entity, detail LIMIT $7
            """,
            self.ledger.ledger, self.generation, self.as_of.position, measure, *after, limit,
        )  # fmt: skip
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    async def campaigns(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of every campaign that is registered or has a figure, by id."""
        rows = await self.connection.fetch(
            """
            SELECT DISTINCT ON (campaign) campaign, attributes FROM campaigns
            WHERE ledger = $1 AND generation = $2 AND position <= $3 ORDER BY campaign, position DESC
            """,
            self.ledger.ledger, self.generation, self.as_of.position,
        )  # fmt: skip
        known = {row[0]: msgspec.json.decode(row[1]) for row in rows}
        named: dict[str, dict[str, Any]] = {
            key[0]: {} for key in await self.sums(Query(), MEASURES) if key[0] is not None
        }
        return dict(sorted((named | {one: attributes for one, attributes in known.items() if attributes}).items()))

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

    def __init__(self, snapshot: Snapshot, query: Query, measures: Sequence[str], *, by_day: bool = False) -> None:
        self.query = query
        self.current = snapshot.current
        self.measures = measures
        self.cube = "c" if set(query.group_by) - TIME_GROUPS.keys() <= _OF_CAMPAIGN else "s"
        self.values: list[Any] = [snapshot.ledger.ledger, snapshot.generation, snapshot.as_of.position]
        grains = [TIME_GROUPS[one] for one in query.group_by if one in TIME_GROUPS]
        self.coarsest = "day" if by_day else min(grains, key=GRAINS.index, default="year")

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
                expressions.append(f"date_trunc('{group}', start::timestamp)::date AS k{number}")
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
        """The sums of the window by segment and period, one column per measure: of balances now, of postings for as_of."""
        return self.joined(self._balances() if self.current else self._summed_postings())

    def joined(self, rows: str) -> str:
        """Join rows with their segments and campaigns, perhaps of one campaign only."""
        only = f" AND s.campaign = {self._parameter(self.query.campaign)}" if self.query.campaign is not None else ""
        return f"""({rows}) b
            JOIN segments s ON s.ledger = $1 AND s.generation = $2 AND s.segment = b.segment{only}
            LEFT JOIN known k ON k.campaign = s.campaign"""

    def _balances(self) -> str:
        windows = [
            f"(grain = '{grain[0]}' AND {self._window('start', low, high)})"
            for grain, low, high in covering(self.query.since, self.query.until, self.coarsest)
        ]
        windows.append(f"(grain = '{self.coarsest[0]}' AND start = '-infinity')")  # what has no day is never windowed
        return f"""
            SELECT segment, start, {", ".join(map(column, self.measures))} FROM balances
            WHERE ledger = $1 AND generation = $2 AND basis = '{self.query.basis[0]}' AND cube = '{self.cube}'
            AND ({" OR ".join(windows)})"""

    def _summed_postings(self) -> str:
        sums = ", ".join(of_postings(measure) for measure in self.measures)
        return f"SELECT segment, start, {sums} FROM ({self.postings()}) p GROUP BY segment, start"

    def postings(self) -> str:
        """The postings of the window for the measures, up to the position."""
        day = "day" if self.query.basis == "event" else "cohort"
        window = self._window(day, self.query.since or date.min, self.query.until or date.max)
        measures = self._parameter([one.removesuffix(".total") for one in self.measures])
        return f"""
            SELECT measure, segment, value, bucket, entity, detail, {day} AS start, amount FROM postings
            WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = ANY({measures})
            AND ({window} OR day = '-infinity')"""

    def durations(self, length: str) -> str:
        """The durations of the window, each with its exact `value` or its `bucket` as its length."""
        return f"SELECT segment, start, measure, {length} AS length, amount FROM ({self.postings()}) p WHERE value IS NOT NULL"

    def histograms(self) -> str:
        """The durations of the window by bucket: whole months of campaigns from histograms, the rest from postings."""
        if not self.current or self.cube == "s" or self.coarsest == "day":
            return self.durations("bucket")
        day = "day" if self.query.basis == "event" else "cohort"
        measures, parts = self._parameter(list(self.measures)), []
        for grain, low, high in covering(self.query.since, self.query.until, "month"):
            if grain == "day":
                parts.append(f"""
                    SELECT segment, {day} AS start, measure, bucket AS length, amount FROM postings
                    WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = ANY({measures})
                    AND value IS NOT NULL AND {self._window(day, low, high)}""")
            else:
                parts.append(f"""
                    SELECT segment, start, measure, bucket AS length, amount FROM histograms
                    WHERE ledger = $1 AND generation = $2 AND basis = '{self.query.basis[0]}'
                    AND measure = ANY({measures}) AND {self._window("start", low, high)}""")
        return " UNION ALL ".join(parts)

    def _window(self, column: str, low: date, high: date) -> str:
        return f"{column} >= {self._parameter(low)} AND {column} < {self._parameter(high)}"


@asynccontextmanager
async def snapshot(pool: asyncpg.Pool, ledger: Ledger, as_of: int | datetime | None = None) -> AsyncIterator[Snapshot]:
    """Open a consistent view of a ledger, now or as known at a position or time."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        served = await serving(connection, ledger)
        position = await log.position_at(connection, ledger.ledger, as_of) if isinstance(as_of, datetime) else as_of
        current = position is None or position >= served.checkpoint
        at = served.checkpoint if position is None or current else max(0, position)
        recorded = await connection.fetchval(
            "SELECT recorded_at FROM events WHERE ledger = $1 AND position = $2", ledger.ledger, at
        )
        moment = AsOf(at, recorded)
        yield Snapshot(connection, ledger, served.generation, moment, current, served.edition, served.version)


class Serving(NamedTuple):
    """The serving generation: the position up to which it answers, and what its figures are made by."""

    generation: int
    checkpoint: int
    revision: int
    version: str

    @property
    def edition(self) -> str:
        """What changes whenever a figure does at the same position."""
        return f"{self.version}.{self.generation}.{self.revision}"


async def serving(pool: Any, ledger: Ledger) -> Serving:
    """Return the serving generation."""
    row = await pool.fetchrow(
        """
        SELECT generation, checkpoint, revision, version FROM generations WHERE ledger = $1 AND state = 'serving'
        """,
        ledger.ledger,
    )
    if row is None:
        raise LookupError(f"ledger {ledger.name} has no read models")
    return Serving(*row)
