"""Reads: sums of balances by group and period (now), or of postings up to a position (as it was known then).

One snapshot answers one request: position, sums, lists and attributes all come from the same moment of the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, NamedTuple

import asyncpg

from service.domain import details
from service.domain import layout as layouts
from service.domain.attribution.measures import model_of
from service.domain.calendar import after
from service.domain.components.campaigns import topmost
from service.domain.details import PENDING_LINKS, UNCONVERTED
from service.domain.figures import Parts
from service.domain.layout import Layout
from service.domain.reports.told import EVERYWHERE
from service.projections.attribution import data_driven, dealing, lines, paths
from service.projections.attribution.deals import Deals, deals_of
from service.projections.attribution.kept import Dealt, Kept
from service.projections.reports import aliases
from service.projections.sums import break_even, closings, durations, known_campaigns
from service.projections.sums.selection import Base, Key, Moment, Query, Selection, Sums, amounts
from service.projections.sums.threads import apart
from service.store.ledgers import Ledger
from service.store.log import heads

_MOST_LISTED = 1_000
_MANY = 1_000  # rows: what is done apart, however many there are


class AsOf(NamedTuple):
    """The moment of knowing that an answer is for."""

    position: int
    recorded_at: datetime | None


class Posted(NamedTuple):
    """What is posted of an entity with a detail: the group that it is in, its labels by dimension, and its day."""

    key: Key
    entity: str
    detail: str
    where: Mapping[str, str | None]
    day: date
    amount: int


@dataclass
class Snapshot:
    """One consistent view of a ledger's serving generation, at a position."""

    connection: Any
    ledger: Ledger
    generation: int
    as_of: AsOf
    current: bool  # whether that is all there is
    base: Base
    read_model_tag: str  # whatever it answers is the same as long as this and the position are
    version: str  # of the definitions behind the figures
    layout: Layout
    _tops: dict[str, str] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)
    _alone: Dealt | None = None  # what is dealt, where that is not kept

    async def at(self, as_of: int | datetime | None) -> Snapshot:
        """The same books as known at another moment, from the same moment of the database."""
        return await _view(self.connection, self.ledger, as_of, self.kept)

    async def moment(self, query: Query) -> Moment:
        """Where its reads look."""
        if "parent" in query.dimensions and not self._tops:
            self._tops = topmost({one: known.get("parent_id") for one, known in (await self.campaigns()).items()})
        accounts = [one for name, values in query.only if name == "account" for one in values]
        named = await self.aliases("account", accounts) if accounts else {}
        return Moment(
            self.ledger.ledger, self.generation, self.as_of.position, self.base, self.layout, self._tops, named
        )

    async def aliases(self, kind: str, identities: Iterable[str]) -> dict[str, str]:
        """Return by id what accounts or contacts go by that were merged."""
        key = (self.ledger.ledger, self.generation)
        return await aliases.read(self.connection, key, self.as_of.position, kind, identities)

    async def sums(self, query: Query, measures: Sequence[str]) -> dict[Key, Sums]:
        """Return the sums of measures by group, whichever cubes they are in; a group without any is not there."""
        by_cube: dict[str, list[str]] = {}
        dealt: dict[Key, Sums] = {}
        if by_touches := [one for one in measures if model_of(one) and not data_driven.is_dealt(one)]:
            dealt = await self._dealt(query, by_touches)
        if by_paths := [one for one in measures if data_driven.is_dealt(one)]:
            for key, sums in (await self._by_paths(query, by_paths)).items():
                dealt[key] = {**dealt.get(key, {}), **sums}
        for measure in measures:
            if (cube := self.layout.cube_of(measure)) is not None:
                by_cube.setdefault(cube, []).append(measure)
        found: dict[Key, Sums] = dealt
        for cube, of_cube in by_cube.items():
            on = query.basis if self.layout.cubes[cube].cohort else "event"  # of others both are the same
            asked = Selection(await self.moment(query), replace(query, basis=on), of_cube)
            for key, sums in (await self._sums(asked)).items():
                found[key] = {**found.get(key, {}), **sums}
        return found

    async def _dealt(self, query: Query, measures: Sequence[str]) -> dict[Key, Sums]:
        """Return the sums of dealt measures by group."""
        classed = await self._classed()
        if self._alone is not None:
            return await apart(_MANY, self._alone.sums, query, measures, classed)
        key = (self.ledger.ledger, self.generation)
        async with self.kept.at(self.connection, key, self.read_model_tag, self.as_of.position) as (deals, is_kept):
            if not is_kept:
                self._alone = deals
            return await apart(_MANY, deals.sums, query, measures, classed)

    async def _by_paths(self, query: Query, measures: Sequence[str]) -> dict[Key, Sums]:
        """Return the sums of what is dealt by the paths of the leads captured in the window."""
        window = replace(query, group_by=(), only=(), basis="cohort")
        whole = (await self.sums(window, data_driven.POSTED)).get((), {})
        found = await paths.read(self, window, data_driven.POSTED)
        return await apart(len(found), data_driven.sums, found, whole, query, measures, await self._classed())

    async def _classed(self) -> dealing.Campaigns:
        return dealing.campaigns(await self.campaigns())

    async def models(self) -> Deals:
        """Return the models that were known then, and who is one with whom."""
        key = (self.ledger.ledger, self.generation)
        told = await lines.standing(
            self.connection, key, self.as_of.position, parts=(EVERYWHERE,), measures=("told.model",)
        )
        return deals_of(told)

    async def _sums(self, sql: Selection) -> dict[Key, Sums]:
        summed = ", ".join(f"sum({column})::text" for column in sql.columns.values())
        rows = await self.connection.fetch(
            f"{sql.campaigns()} SELECT {sql.keys()}, {summed} FROM {sql.source()} GROUP BY {sql.key_numbers()}",
            *sql.values,
        )
        return await apart(len(rows), _by_key, sql, rows)

    async def posted(self, query: Query, measure: str) -> list[Posted]:
        """Return what is posted to a measure with details, and stands."""
        if measure not in self.layout:
            return []
        sql = Selection(await self.moment(query), query, [measure])
        postings = f"{sql.postings()} AND campaign = ANY({sql.segments('campaign_segment')})"
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}
            SELECT {sql.keys()}, entity, detail, s.labels, start, sum(amount)::bigint FROM {sql.joined(postings)}
            GROUP BY {sql.key_numbers()}, entity, detail, s.labels, start HAVING sum(amount) <> 0
            """,
            *sql.values,
        )
        return [
            Posted(sql.key(row), row[-5], row[-4], dict(zip(sql.stored.by, row[-3], strict=True)), row[-2], row[-1])
            for row in map(tuple, rows)
        ]

    async def last_day(self, query: Query, measure: str) -> dict[Key | None, date]:
        """Return the last day with a positive sum of a measure that no day has less than 0 of, by group.

        None is the key of all groups together. The months are read first, then the days of the last ones.
        """
        moment = await self.moment(query)
        months = await self._last(Selection(moment, query, [measure], coarsest="month"), "month")
        pieces = [
            ("day", max(month, query.since or month), min(after(month), query.until or date.max))
            for month in sorted({*months.values()})
        ]
        days = Selection(moment, query, [measure], coarsest="day", pieces=pieces)
        found = await self._last(days, "day") if pieces else {}
        return {**found, None: max(found.values())} if found else {}

    async def _last(self, sql: Selection, grain: str) -> dict[Key | None, date]:
        (column,) = sql.columns.values()
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}, periods AS (
                SELECT {sql.keys()}, date_trunc('{grain}', start::timestamp)::date AS period FROM {sql.source()}
                GROUP BY {sql.key_numbers()}, period HAVING sum({column}) > 0
            )
            SELECT {sql.key_names()}, max(period) FROM periods GROUP BY {sql.key_names()}
            """,
            *sql.values,
        )
        return {sql.key(row): row[-1] for row in map(tuple, rows)}

    async def first_days(
        self, query: Query, cost: Parts, returns: Mapping[str, Parts]
    ) -> dict[Key, dict[str, date | None]]:
        """Return by group, for each of the returns, the first day on which it comes up to the cost, both cumulative."""
        if any(model_of(one) for of in returns.values() for one in of):
            return await dealing.first_days(self.sums, query, cost, returns)
        return await break_even.first_days(self.connection, await self.moment(query), query, cost, returns)

    async def samples(
        self, query: Query, measures: Sequence[str], below: int, keys: Collection[Key | None]
    ) -> durations.Lengths:
        """Return exact durations, length in microseconds → how often, of the groups `keys` that have fewer than `below`."""
        return await durations.samples(self.connection, await self.moment(query), query, measures, below, keys)

    async def histograms(self, query: Query, measures: Sequence[str], least: int) -> durations.Lengths:
        """Return durations in histogram buckets, bucket → how often, of the groups that have `least` or more."""
        return await durations.histograms(self.connection, await self.moment(query), query, measures, least)

    async def waiting(self, query: Query, measures: Collection[str]) -> tuple[list[dict[str, Any]], int]:
        """Return what waits: how many links, and the amounts of measures in the window without a rate (the first thousand)."""
        sql = Selection(await self.moment(query), query, [UNCONVERTED])
        links = sql.beside(Query(()), [PENDING_LINKS])
        (waiting,) = links.columns.values()
        wanted = sql.parameter([*measures])
        rows = await self.connection.fetch(
            f"""
            {sql.campaigns()}
            SELECT links, found.* FROM (SELECT sum({waiting})::bigint AS links FROM ({links.rows()}) rows) pending
            LEFT JOIN (
                SELECT entity, detail, s.campaign, start, sum(amount)::bigint FROM {sql.joined(sql.postings())}
                WHERE measure IN ('pending_links', 'unconverted', 'flag')  -- as the index of lists has it
                AND split_part(detail, ' ', 1) = ANY({wanted})
                GROUP BY entity, detail, s.campaign, start HAVING sum(amount) <> 0 ORDER BY start, entity, detail
                LIMIT {_MOST_LISTED}
            ) found ON true ORDER BY start, entity, detail
            """,
            *sql.values,
        )
        return [_waiting(*one) for _, *one in rows if one[0] is not None], rows[0][0] or 0

    async def listed(
        self, measure: str, after: tuple[str, str] = ("", ""), limit: int = 100
    ) -> list[tuple[str, str, str | None, int]]:
        """Return (entity, detail, campaign, since position) of what is posted to be listed, in that order, after a pair."""
        rows = await self.connection.fetch(
            """
            SELECT entity, detail, s.campaign, max(position) FROM postings p JOIN segments s USING (ledger, generation, segment)
            WHERE p.ledger = $1 AND p.generation = $2 AND p.position <= $3 AND measure = $4
            AND measure IN ('pending_links', 'unconverted', 'flag')  -- as the index of lists has it
            AND (entity, detail) > ($5, $6)
            GROUP BY entity, detail, s.campaign HAVING sum(amount) <> 0 ORDER BY entity, detail LIMIT $7
            """,
            self.ledger.ledger, self.generation, self.as_of.position, measure, *after, limit,
        )  # fmt: skip
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    async def campaigns(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of every known campaign, by id."""
        return await known_campaigns.read(self.connection, (self.ledger.ledger, self.generation), self.as_of.position)


def _by_key(sql: Selection, rows: Sequence[Any]) -> dict[Key, Sums]:
    found = {sql.key(row): amounts(sql.measures, row[sql.width :]) for row in map(tuple, rows)}
    return {key: sums for key, sums in found.items() if sums}


def _waiting(entity: str, detail: str, campaign: str | None, day: date, times: int) -> dict[str, Any]:
    kind, _, identity = entity.partition(":")
    waits = details.unconverted(detail)
    return {
        "kind": kind, "id": identity, "campaign_id": campaign, "measure": waits.measure, "amount": waits.amount,
        "currency": waits.currency, "day": None if day == date.min else day.isoformat(),
        "rate_date": waits.rate_day.isoformat(),
        "entries": times,
    }  # fmt: skip


@asynccontextmanager
async def snapshot(
    pool: asyncpg.Pool, ledger: Ledger, as_of: int | datetime | None = None
) -> AsyncIterator[Snapshot]:  # fmt: skip
    """Open a consistent view of a ledger, now or as known at a position or time."""
    async with snapshots(pool, ledger, as_of) as (view,):
        yield view


@asynccontextmanager
async def snapshots(
    pool: asyncpg.Pool, ledger: Ledger, *moments: int | datetime | None, kept: Kept | None = None
) -> AsyncIterator[list[Snapshot]]:  # fmt: skip
    """Open views of several moments of knowing, all from the same moment of the database; `kept` is what others have dealt."""
    kept = kept or Kept()
    async with pool.acquire() as connection, _transaction(connection):
        yield [await _view(connection, ledger, one, kept) for one in moments]


@asynccontextmanager
async def _transaction(connection: Any) -> AsyncIterator[None]:
    """Read from one moment of the database; nothing is written, so that it may end the same way whatever happens.

    A plan for any window, campaign and position would be a poor one for each: it costs a millisecond to make one anew.
    """
    try:
        await connection.execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan"
        )
        yield
    finally:
        await connection.execute("COMMIT")


class Serving(NamedTuple):
    """The serving generation: the positions up to which it answers and has balances, and what its figures are made by."""

    generation: int
    checkpoint: int
    settled: int
    revision: int
    version: str
    kept_layout: str = "{}"
    epoch: str = ""

    @property
    def layout(self) -> Layout:
        """Where its sums are stored."""
        return layouts.read(self.kept_layout)

    @property
    def read_model_tag(self) -> str:
        """What changes whenever a figure does at the same position."""
        return f"{self.version}.{self.generation}.{self.revision}{self.epoch[:8] and '.' + self.epoch[:8]}"


async def _view(connection: Any, ledger: Ledger, as_of: int | datetime | None, kept: Kept) -> Snapshot:
    position = await heads.position_at(connection, ledger.ledger, as_of) if isinstance(as_of, datetime) else as_of
    row = await connection.fetchrow(
        """
        SELECT g.generation, g.checkpoint, g.settled, g.revision, g.version, g.layout::text, l.epoch::text,
            e.recorded_at, coalesce(c.position, 0)
        FROM generations g JOIN ledgers l USING (ledger)
        LEFT JOIN events e ON e.ledger = $1 AND e.position = least(g.checkpoint, $2)
        LEFT JOIN closed c ON c.ledger = $1 AND c.generation = g.generation
        WHERE g.ledger = $1 AND g.state = 'serving'
        """,
        ledger.ledger, position,
    )  # fmt: skip
    if row is None:
        raise LookupError(f"ledger {ledger.name} has no read models")
    *serving_now, recorded, closed = row
    served = Serving(*serving_now)
    current = position is None or position >= served.checkpoint
    at = served.checkpoint if position is None or current else max(0, position)
    base = Base("balances", served.settled) if current else closings.nearest(closed, at, served.settled)
    return Snapshot(
        connection,
        ledger,
        served.generation,
        AsOf(at, recorded),
        current,
        base,
        served.read_model_tag,
        served.version,
        served.layout,
        kept=kept,
    )


async def serving(pool: Any, ledger: Ledger) -> Serving:
    """Return the serving generation."""
    row = await pool.fetchrow(
        """
        SELECT generation, checkpoint, settled, revision, version, layout::text, epoch::text
        FROM generations JOIN ledgers USING (ledger) WHERE ledger = $1 AND state = 'serving'
        """,
        ledger.ledger,
    )
    if row is None:
        raise LookupError(f"ledger {ledger.name} has no read models")
    return Serving(*row)
