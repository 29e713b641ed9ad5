"""Closing the books: what every balance stood at, at the end of each epoch of positions.

A read as known at an earlier position starts from the closing next to it and adds the few postings in between, so that it
costs about as much as a read of now, however long the log is. A closing is derived from postings alone, which never change:
anyone may make it at any time, and making it again gives the same. Workers do so once they have caught up, an epoch at a time;
a rebuild does so as it goes, so that it has the books of the generation that it replaces.
"""

from __future__ import annotations

import asyncio
import math
from functools import lru_cache
from typing import Any

import asyncpg

from service.domain import layout as layouts
from service.domain.layout import Layout
from service.projections.sums.balance_sql import PLACE, balance, some_balance, summed, without_days
from service.projections.sums.selection import Base, Selection
from service.supervision import Part, Parts

EPOCH = 4096  # positions; closings are at its multiples, so another number needs a new generation
_AT_ONCE = 16  # closings made without another look at whether the worker has something better to do


def _last_closing(place: str, until: str) -> str:
    """The last closing of a place up to a position, as SQL; `place` is what has the place's columns."""
    same = " AND ".join(f"c.{one} = {place}.{one}" for one in PLACE.split(", "))
    return f"""
        SELECT * FROM closings c WHERE c.ledger = $1 AND c.generation = $2 AND {same} AND c.position <= {until}
        ORDER BY c.position DESC LIMIT 1
    """


@lru_cache(maxsize=16)
def _closing(layout: Layout) -> str:
    """Return what makes closings: the balances that the epoch ($3, $4] moved, as they stand at its end.

    Days of all dimensions together have none: they would be most of all rows, and only windows that cut a month ask for them.
    """
    sums = ", ".join(f"coalesce(last.{one} + s.{one}, last.{one}, s.{one})" for one in layout.columns)
    return f"""
        WITH {summed(layout)}
        INSERT INTO closings (ledger, generation, {PLACE}, position, {", ".join(layout.columns)})
        SELECT $1, $2, {", ".join(f"s.{one}" for one in PLACE.split(", "))}, $4, {sums}
        FROM summed s LEFT JOIN LATERAL ({_last_closing("s", "$3")}) last ON true
        WHERE s.grain <> 'd' OR s.cube NOT IN ({without_days(layout)}) ON CONFLICT DO NOTHING
    """


def wrong(layout: Layout) -> str:
    """Return how many balances stand otherwise in the last closings than postings up to there ($4) say; $3 is 0."""
    some, columns = some_balance(layout), balance(layout)
    return f"""
        WITH {summed(layout)}, last AS (
            SELECT DISTINCT ON ({PLACE}) * FROM closings WHERE ledger = $1 AND generation = $2 AND position <= $4
            ORDER BY {PLACE}, position DESC
        ), pair AS (
            SELECT {PLACE}, {columns} FROM summed
            WHERE (grain <> 'd' OR cube NOT IN ({without_days(layout)})) AND {some}
            UNION ALL SELECT {PLACE}, {columns} FROM last WHERE {some}
        )
        SELECT count(*) FROM (SELECT FROM pair GROUP BY {PLACE}, {", ".join(layout.columns)} HAVING count(*) <> 2) apart
    """


async def close_next(pool: asyncpg.Pool, ledger: int | None = None, generation: int | None = None) -> bool:
    """Make the next closing of a generation that has a complete epoch; False if none has.

    Of one that serves (of a ledger), unless a rebuild of its ledger is under way, which wants the machine for itself; or of a
    `generation` that is built.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = off")  # what a crash loses here is made again
        await connection.execute(
            """
            INSERT INTO closed (ledger, generation) SELECT ledger, generation FROM generations
            WHERE coalesce(ledger = $2, true) AND coalesce(generation = $3, state = 'serving') AND settled >= $1
            AND (ledger, generation) NOT IN (SELECT ledger, generation FROM closed)
            ON CONFLICT DO NOTHING
            """,
            EPOCH, ledger, generation,
        )  # fmt: skip
        row = await connection.fetchrow(
            """
            SELECT closed.*, g.layout::text FROM closed JOIN generations g USING (ledger, generation)
            WHERE settled >= closed.position + $1 AND coalesce(ledger = $2, true)
            AND coalesce(generation = $3, state = 'serving' AND NOT EXISTS (
                SELECT FROM generations b WHERE b.ledger = g.ledger AND b.state = 'building' AND b.lease_until > now()
            ))
            LIMIT 1 FOR UPDATE OF closed SKIP LOCKED
            """,
            EPOCH, ledger, generation,
        )  # fmt: skip
        if row is None:
            return False
        await _close(connection, (row[0], row[1]), row[2], row[2] + EPOCH, layouts.read(row[3]))
    return True


async def _close(connection: Any, key: tuple[int, int], low: int, high: int, layout: Layout) -> None:
    await connection.execute(_closing(layout), *key, low, high, timeout=600)
    await connection.execute("UPDATE closed SET position = $3 WHERE ledger = $1 AND generation = $2", *key, high)
    if high % (64 * (high - low)) == 0:
        await connection.execute("ANALYZE closings")


async def closed(connection: Any, key: tuple[int, int]) -> int:
    """Return the position up to which the books are closed."""
    found: int | None = await connection.fetchval(
        "SELECT position FROM closed WHERE ledger = $1 AND generation = $2", *key
    )
    return found or 0


def nearest(done: int, position: int, settled: int) -> Base:
    """Return where a read as of a position should start: the closing before it or after it, or the balances.

    The books are closed up to `done`, and the balances made up to `settled`.
    """
    before = min(position, done) // EPOCH * EPOCH
    bases = [Base("closings" if before else "", before), Base("balances", settled)]
    if before + EPOCH <= done:
        bases.append(Base("closings", before + EPOCH))
    return min(bases, key=lambda base: abs(base.position - position))


def moved_after(sql: Selection) -> str:
    """Return a position up to which nothing moved a window, as SQL: closings tell in which epochs something did."""
    return f"""coalesce(
        (SELECT min(position) - {EPOCH} FROM closings WHERE {sql.places(sql.campaign_letter, sql.pieces)}
         AND segment = ANY({sql.segments("campaign_segment")})),
        (SELECT position FROM closed WHERE ledger = $1 AND generation = $2), 0)"""


async def reopen(connection: Any, key: tuple[int, int], position: int) -> None:
    """Take back the closings that a posting made afterwards at a position would be missing from; they are made again."""
    await connection.execute(
        "UPDATE closed SET position = $3 WHERE ledger = $1 AND generation = $2 AND position > $3",
        *key, (position - 1) // EPOCH * EPOCH,
    )  # fmt: skip
    await connection.execute(
        "DELETE FROM closings WHERE ledger = $1 AND generation = $2 AND position >= $3", *key, position
    )


class Bookkeeper:
    """Makes closings beside whoever projects: of what serves, or of one generation that is built."""

    def __init__(
        self, pool: asyncpg.Pool, ledger: int | None = None, generation: int | None = None, part: Part | None = None
    ) -> None:
        self._of = (pool, ledger, generation)
        self._part = part or Parts().beside("closings of a rebuild")
        self._resting = 0.0
        self._task: asyncio.Task[None] | None = None

    def tend(self) -> None:
        """Make the next closings, unless some are being made."""
        over = self._resting <= asyncio.get_running_loop().time()
        if over and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._close(_AT_ONCE))

    async def finish(self) -> None:
        """Make every closing that there can be."""
        if self._task is not None:
            await self._task
        await self._close()

    async def _close(self, most: float = math.inf) -> None:
        try:
            made = 0
            while made < most and await close_next(*self._of):
                made += 1
        except Exception as error:  # noqa: BLE001  what is not closed now is closed later, and reads do without
            self._resting = asyncio.get_running_loop().time() + self._part.failed(error)
        else:
            self._part.works()

    async def stop(self) -> None:
        """Let go of the closing in hand: it will be made again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
