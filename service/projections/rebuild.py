"""The rebuild: read models from position 1, beside the serving ones, which go on serving until the swap.

It is the ordinary projector with another target. When it has caught up, appends are held for a moment, the rest is
projected, both generations are compared cell for cell, and the new one serves.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

import asyncpg

from service.domain import component
from service.projections.definition import BALANCE, SOME_BALANCE
from service.projections.projector import Projector, spare_the_collector, take
from service.projections.reading import serving
from service.store import log
from service.store.ledgers import Ledger

_TABLES = (
    "balances", "histograms", "postings", "campaigns", "segments", "conversions", "components", "entities", "generations",
)  # fmt: skip


class Rebuilt(NamedTuple):
    """A finished rebuild. `differences` counts cells that the old generation had otherwise; None = it lagged behind."""

    generation: int
    events: int
    differences: int | None


Progress = Callable[[int, int], None]  # (events projected, events in the log)


async def rebuild(
    pool: asyncpg.Pool,
    ledger: Ledger,
    *,
    batch: int = 50_000,
    lease_seconds: float = 60.0,
    progress: Progress | None = None,
) -> Rebuilt:
    """Rebuild a ledger's read models and swap them in; RuntimeError if another rebuild is running."""
    spare_the_collector()
    generation = await _begin(pool, ledger)
    holder = f"rebuild:{secrets.token_hex(8)}"
    projector = await take(pool, ledger, holder, lease_seconds, generation)
    if projector is None:
        raise RuntimeError("another rebuild took this generation over")
    head = (await log.head(pool, ledger.ledger))[0]
    while projector.checkpoint < head:
        await projector.step(batch)
        if progress:
            progress(projector.checkpoint, head)
        head = (await log.head(pool, ledger.ledger))[0]
    await _drain(projector, batch)
    await projector.analyze()
    differences = await _swap(pool, ledger, projector, batch)
    return Rebuilt(generation, projector.checkpoint, differences)


async def _begin(pool: asyncpg.Pool, ledger: Ledger) -> int:
    """Drop what earlier rebuilds left behind and open a new generation."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM heads WHERE ledger = $1 FOR UPDATE", ledger.ledger)
        running = await connection.fetchval(
            "SELECT count(*) FROM generations WHERE ledger = $1 AND state = 'building' AND lease_until > now()",
            ledger.ledger,
        )
        if running:
            raise RuntimeError(f"a rebuild of ledger {ledger.name} is running")
        newest = await connection.fetchval("SELECT max(generation) FROM generations WHERE ledger = $1", ledger.ledger)
        left = await connection.fetch(
            "SELECT generation FROM generations WHERE ledger = $1 AND state <> 'serving'", ledger.ledger
        )
        for table in _TABLES if left else ():
            await connection.execute(
                f"DELETE FROM {table} WHERE ledger = $1 AND generation = ANY($2)",
                ledger.ledger, [row[0] for row in left],
                timeout=3600,
            )  # fmt: skip
        await connection.execute(
            "INSERT INTO generations (ledger, generation, state, version) VALUES ($1, $2, 'building', $3)",
            ledger.ledger,
            newest + 1,
            component.READ_MODEL_VERSION,
        )
        return int(newest) + 1


async def _drain(projector: Projector, batch: int) -> None:
    while await projector.step(batch):
        pass


async def _swap(pool: asyncpg.Pool, ledger: Ledger, projector: Projector, batch: int) -> int | None:
    """Hold appends, project the rest, compare and swap."""
    await _let_serving_catch_up(pool, ledger)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM heads WHERE ledger = $1 FOR UPDATE", ledger.ledger)
        await _drain(projector, batch)
        await _let_serving_catch_up(pool, ledger)
        await connection.execute(
            "SELECT FROM generations WHERE ledger = $1 AND state = 'serving' FOR UPDATE", ledger.ledger
        )
        old, checkpoint, *_ = await serving(connection, ledger)
        differences = None
        if checkpoint == projector.checkpoint:
            differences = await _differences(connection, ledger.ledger, old, projector.generation)
        await connection.execute(
            "UPDATE generations SET state = 'retired' WHERE ledger = $1 AND generation = $2", ledger.ledger, old
        )
        await connection.execute(
            """
            UPDATE generations SET state = 'serving', holder = NULL, lease_until = '-infinity'
            WHERE ledger = $1 AND generation = $2
            """,
            ledger.ledger, projector.generation,
        )  # fmt: skip
    return differences


async def _let_serving_catch_up(pool: asyncpg.Pool, ledger: Ledger, patience: float = 5.0) -> None:
    """Wait a little for the live projector, so that both generations can be compared at the same position."""
    for _ in range(int(patience / 0.05)):
        lag = await pool.fetchval(
            """
            SELECT h.position - g.checkpoint FROM generations g JOIN heads h USING (ledger)
            WHERE ledger = $1 AND state = 'serving'
            """,
            ledger.ledger,
        )
        if not lag:
            return
        await asyncio.sleep(0.05)


def _cells(table: str, measures: str, some: str, generation: str) -> str:
    return f"""
        SELECT basis, start, campaign, channel, source, medium, owner, {measures}
        FROM {table} JOIN segments USING (ledger, generation, segment)
        WHERE ledger = $1 AND generation = {generation} AND {some}
    """


_COMPARED = (
    ("balances", f"cube, grain, {BALANCE}", SOME_BALANCE),
    ("histograms", "measure, bucket, amount", "amount <> 0"),
)
_DIGESTS = ", ".join(
    f"(SELECT sum(hash_record_extended(cell, 0)) FROM ({_cells(*which, '$2')}) cell)" for which in _COMPARED
)
_DIFFERENT = " + ".join(
    f"(SELECT count(*) FROM ({_cells(*which, one)} EXCEPT {_cells(*which, other)}) missing)"
    for which in _COMPARED
    for one, other in (("$2", "$3"), ("$3", "$2"))
)
# A digest of each read model's cells, in whatever order they are found; and how many cells two generations have otherwise.
DIGESTS = f"SELECT {_DIGESTS}"
DIFFERENCES = f"SELECT {_DIFFERENT}"


async def _differences(connection: Any, ledger: int, old: int, new: int) -> int:
    """Compare two generations: by digest, and cell for cell where that differs."""
    digests = [tuple(await connection.fetchrow(DIGESTS, ledger, one, timeout=3600)) for one in (old, new)]
    if digests[0] == digests[1]:
        return 0
    return int(await connection.fetchval(DIFFERENCES, ledger, old, new, timeout=3600))
