"""The tables of one generation: what the engine loads and writes, set-wise, inside the transaction of a batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from service.domain.component import MEASURES
from service.domain.facts import Key
from service.domain.journey import Where
from service.domain.postings import Cell
from service.domain.velocity import bucket_of
from service.projections.state import Component, decode
from service.store import log

_to_date = lru_cache(maxsize=65_536)(date.fromordinal)


class Changes:
    """What a stretch of events has changed and not yet written."""

    def __init__(self) -> None:
        self.postings: list[tuple[int, Cell, int]] = []
        self.owners: dict[Key, int] = {}
        self.campaigns: list[tuple[str, int, dict[str, Any]]] = []
        self.kept: dict[int, Component] = {}
        self.removed: set[int] = set()

    def keep(self, component: Component) -> None:
        """Note a component to be stored."""
        self.kept[component.id] = component

    def remove(self, component: Component) -> None:
        """Note a component that another one has absorbed."""
        self.kept.pop(component.id, None)
        self.removed.add(component.id)


class Tables:
    """One generation of one ledger, on the connection of the current batch."""

    def __init__(self, ledger: int, generation: int) -> None:
        self.key = (ledger, generation)
        self.connection: Any = None
        self._segments: dict[Where, tuple[int, int]] | None = None

    async def owners(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Return the components that entities belong to, one index look-up each."""
        rows = await self.connection.fetch(
            """
            SELECT u.kind, u.id, e.component FROM unnest($3::text[], $4::text[]) AS u (kind, id)
            CROSS JOIN LATERAL (
                SELECT component FROM entities WHERE ledger = $1 AND generation = $2
                AND kind = u.kind COLLATE "C" AND id = u.id COLLATE "C" LIMIT 1
            ) e
            """,
            *self.key, [kind for kind, _ in keys], [identity for _, identity in keys],
        )  # fmt: skip
        return {(kind, identity): component for kind, identity, component in rows}

    async def components(self, identities: Collection[int]) -> list[Component]:
        """Load components."""
        rows = await self.connection.fetch(
            """
            SELECT c.component, c.kind, c.state FROM unnest($3::bigint[]) AS u (component)
            CROSS JOIN LATERAL (
                SELECT * FROM components WHERE ledger = $1 AND generation = $2 AND component = u.component LIMIT 1
            ) c
            """,
            *self.key, list(identities),
        )  # fmt: skip
        return [decode(*row) for row in rows]

    async def asking_for(self, currency: str, day: int) -> list[int]:
        """Return the components that asked for a rate of a currency on or after a day."""
        rows = await self.connection.fetch(
            """
            SELECT component FROM conversions WHERE ledger = $1 AND generation = $2 AND currency = $3 AND last_day >= $4
            ORDER BY component
            """,
            *self.key, currency, day,
        )  # fmt: skip
        return [row[0] for row in rows]

    async def event(self, identity: tuple[str, str], until: int) -> log.Stored | None:
        """Return the event of an identity, if it had arrived by a position."""
        return await log.read_identity(self.connection, self.key[0], identity, until)

    async def write(self, changes: Changes) -> None:
        """Write changes in a few set-wise statements."""
        if changes.postings:
            await self._write_postings(changes.postings)
        if changes.owners:
            await self._write_owners(changes.owners)
        if changes.kept or changes.removed:
            await self._write_components(list(changes.kept.values()), list(changes.removed))
        if changes.campaigns:
            last = {(campaign, position): attributes for campaign, position, attributes in changes.campaigns}
            await self.connection.executemany(
                "INSERT INTO campaigns VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                [(*self.key, *key, msgspec.json.encode(attributes).decode()) for key, attributes in last.items()],
            )

    async def _write_postings(self, postings: Iterable[tuple[int, Cell, int]]) -> None:
        segments = await self._segments_of({cell[2] for _, cell, _ in postings})
        ledger, generation = self.key
        records, line, last = [], 0, 0
        for position, (measure, entity, where, day, cohort, value, detail), amount in postings:
            line, last = (line + 1 if position == last else 1), position
            records.append((
                ledger, generation, position, line, *segments[where], _to_date(day), _to_date(cohort),
                0 if value is None else bucket_of(value), amount, value, measure, entity, detail,
            ))  # fmt: skip
        await self.connection.copy_records_to_table("postings", records=records)

    async def _write_owners(self, owners: dict[Key, int]) -> None:
        await self.connection.execute(
            """
            INSERT INTO entities SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::bigint[])
            ON CONFLICT (ledger, generation, kind, id) DO UPDATE SET component = excluded.component
            """,
            *self.key, [kind for kind, _ in owners], [identity for _, identity in owners], list(owners.values()),
        )  # fmt: skip

    async def _write_components(self, kept: list[Component], removed: list[int]) -> None:
        await self.connection.execute(
            """
            INSERT INTO components SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::bytea[])
            ON CONFLICT (ledger, generation, component) DO UPDATE SET state = excluded.state
            """,
            *self.key, [one.id for one in kept], [one.kind for one in kept], [one.encode() for one in kept],
        )  # fmt: skip
        asked = [(one.id, currency, day) for one in kept for currency, day in one.lookups.items()]
        if asked:
            await self.connection.execute(
                """
                INSERT INTO conversions (ledger, generation, component, currency, last_day)
                SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::integer[])
                ON CONFLICT (ledger, generation, currency, component) DO UPDATE SET last_day = excluded.last_day
                """,
                *self.key, *map(list, zip(*asked, strict=True)),
            )  # fmt: skip
        if removed:
            for table in ("components", "conversions"):
                await self.connection.execute(
                    f"DELETE FROM {table} WHERE ledger = $1 AND generation = $2 AND component = ANY($3)",
                    *self.key, removed,
                )  # fmt: skip

    async def _segments_of(self, wheres: set[Where]) -> dict[Where, tuple[int, int]]:
        """Return the numbers of segments, and of their campaigns' own segments, numbering new ones."""
        if self._segments is None:
            rows = await self.connection.fetch(
                """
                SELECT segment, campaign_segment, campaign, channel, source, medium, owner FROM segments
                WHERE ledger = $1 AND generation = $2
                """,
                *self.key,
            )
            self._segments = {Where(*row[2:]): (row[0], row[1]) for row in rows}
        segments, new = self._segments, []
        for where in wheres - segments.keys():
            campaign = Where(where.campaign)
            for one in (campaign, where):
                if one not in segments:
                    number = len(segments) + 1
                    segments[one] = (number, number if one == campaign else segments[campaign][0])
                    new.append((*self.key, *segments[one], *one))
        if new:
            await self.connection.executemany("INSERT INTO segments VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", new)
        return segments

    def forget(self) -> None:
        """Drop what a rolled-back transaction may have numbered."""
        self._segments = None


def column(measure: str) -> str:
    """Return the column of the balances that a measure adds up in."""
    return measure.replace(".", "_")


COLUMNS = tuple(column(measure) for measure in MEASURES)


def of_postings(measure: str) -> str:
    """Return the sum that a measure is of its postings; the total of a duration adds up the lengths it counts."""
    name, _, part = measure.rpartition(".")
    if part == "total":
        return f"sum(amount * value) FILTER (WHERE measure = '{name}') AS {column(measure)}"
    return f"sum(amount) FILTER (WHERE measure = '{measure}') AS {column(measure)}"


_OF_POSTINGS = ", ".join(of_postings(measure) for measure in MEASURES)
_OF_BALANCES = ", ".join(f"sum({name}) AS {name}" for name in COLUMNS)
_ALL = ", ".join(COLUMNS)
# For comparisons: a measure that has come back to 0 is as good as one that never was.
BALANCE = ", ".join(f"nullif({name}, 0) AS {name}" for name in COLUMNS)
SOME_BALANCE = f"coalesce({', '.join(f'nullif({name}, 0)' for name in COLUMNS)}) IS NOT NULL"

# What a balance is: postings by day of each basis, then by campaign alone, then by month and by year, each level adding up
# the one before. $1 ledger, $2 generation, ($3, $4] positions.
SUMMED = f"""
    fresh AS MATERIALIZED (
        SELECT measure, segment, campaign, day, cohort, amount, value::numeric AS value FROM postings
        WHERE ledger = $1 AND generation = $2 AND position > $3 AND position <= $4 AND measure NOT IN ('unconverted', 'flag')
    ),
    days AS (
        SELECT 'e'::"char" AS basis, day AS start, segment, campaign, {_OF_POSTINGS}
        FROM fresh GROUP BY day, segment, campaign
        UNION ALL SELECT 'c', cohort, segment, campaign, {_OF_POSTINGS} FROM fresh GROUP BY cohort, segment, campaign
    ),
    cubes AS (
        SELECT 's'::"char" AS cube, basis, start, segment, {_ALL} FROM days
        UNION ALL SELECT 'c', basis, start, campaign, {_OF_BALANCES} FROM days GROUP BY basis, start, campaign
    ),
    months AS (
        SELECT cube, basis, date_trunc('month', start::timestamp)::date AS start, segment, {_OF_BALANCES}
        FROM cubes GROUP BY 1, 2, 3, 4
    ),
    summed AS (
        SELECT 'd'::"char" AS grain, * FROM cubes
        UNION ALL SELECT 'm', * FROM months
        UNION ALL SELECT 'y', cube, basis, date_trunc('year', start::timestamp)::date, segment, {_OF_BALANCES}
        FROM months GROUP BY 2, 3, 4, 5
    )
"""

_FRESH_DURATIONS = """
    FROM postings
    WHERE ledger = $1 AND generation = $2 AND position > $3 AND position <= $4 AND value IS NOT NULL
    GROUP BY 2, 3, 4, 5, 6
"""
# The same for the histograms of durations, by month and year only: single days are read from the postings.
BUCKETED = f"""
    durations AS (
        SELECT 'e'::"char" AS basis, date_trunc('month', day::timestamp)::date AS start, segment, campaign, measure, bucket,
               sum(amount) AS amount
        {_FRESH_DURATIONS}
        UNION ALL
        SELECT 'c', date_trunc('month', cohort::timestamp)::date, segment, campaign, measure, bucket, sum(amount)
        {_FRESH_DURATIONS}
    ),
    cubed AS (
        SELECT 's'::"char" AS cube, basis, start, segment, measure, bucket, amount FROM durations
        UNION ALL SELECT 'c', basis, start, campaign, measure, bucket, sum(amount)
        FROM durations GROUP BY basis, start, campaign, measure, bucket
    ),
    bucketed AS (
        SELECT 'm'::"char" AS grain, * FROM cubed
        UNION ALL SELECT 'y', cube, basis, date_trunc('year', start::timestamp)::date, segment, measure, bucket, sum(amount)
        FROM cubed GROUP BY 2, 3, 4, 5, 6, 7
    )
"""

SETTLE = f"""
    WITH {SUMMED}
    INSERT INTO balances (ledger, generation, basis, cube, grain, start, segment, {_ALL})
    SELECT $1, $2, basis, cube, grain, start, segment, {_ALL} FROM summed
    ON CONFLICT (ledger, generation, basis, cube, grain, start, segment) DO UPDATE SET
    {", ".join(f"{c} = coalesce(balances.{c} + excluded.{c}, balances.{c}, excluded.{c})" for c in COLUMNS)}
"""

SETTLE_HISTOGRAMS = f"""
    WITH {BUCKETED}
    INSERT INTO histograms (ledger, generation, basis, cube, grain, start, segment, measure, bucket, amount)
    SELECT $1, $2, basis, cube, grain, start, segment, measure, bucket, amount FROM bucketed WHERE amount <> 0
    ON CONFLICT (ledger, generation, basis, cube, grain, start, segment, measure, bucket)
    DO UPDATE SET amount = histograms.amount + excluded.amount
"""
