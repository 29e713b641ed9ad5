"""The rebuild: read models from position 1, beside the serving ones, which go on being kept up to date and read.

It is the ordinary projector with another target. What it has done is stored with every step, so whoever takes its lease goes
on from there: after a pause, or after its process was killed. When it has reached the serving generation, that one's lease
is taken away for a moment: nobody projects, appends and reads go on. Both are compared at the same position; then either the
new one serves, in one transaction that both fencing tokens have to allow, or it is kept as it is.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg

from service.projections.engine.projector import (
    LeaseLostError,
    Projector,
    fence_off,
    release,
    spare_the_collector,
    take,
)
from service.projections.generations import lifecycle
from service.projections.generations.compare import Comparison, compare
from service.projections.generations.lifecycle import Generation
from service.projections.sums.closings import Bookkeeper
from service.store.ledgers import Ledger

BATCH = 50_000
LEASE_SECONDS = 10.0
_POLL = 0.2


class Rebuilt(NamedTuple):
    """A finished rebuild. `differences` counts figures that the old generation had otherwise."""

    generation: int
    events: int
    differences: int


Progress = Callable[[int, int], None]  # (events projected, events to project)


async def rebuild(
    pool: asyncpg.Pool, ledger: Ledger, *, serve: str = "always", batch: int = BATCH, progress: Progress | None = None
) -> Rebuilt:
    """Rebuild a ledger's read models and, by `serve`, swap them in; NotPossibleError while another rebuild is under way."""
    holder = new_holder()
    generation = await lifecycle.begin(pool, ledger, serve, holder, LEASE_SECONDS)
    done = await run(pool, ledger, generation, holder=holder, batch=batch, progress=progress)
    return Rebuilt(generation, done.checkpoint, (done.report or {}).get("differences", 0))


def new_holder() -> str:
    """Return a name to hold leases by."""
    return f"rebuild:{secrets.token_hex(8)}"


async def run(
    pool: asyncpg.Pool,
    ledger: Ledger,
    generation: int,
    *,
    holder: str,
    batch: int = BATCH,
    lease_seconds: float = LEASE_SECONDS,
    stopping: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> Generation:
    """Build a generation until it is done, paused or cancelled, or until `stopping`; return what it is then.

    While somebody else builds it, this only looks on; and takes it up if they end.
    """
    spare_the_collector()
    async with _kept_alive(pool, ledger.ledger, holder, lease_seconds):
        while (found := await lifecycle.one(pool, ledger, generation)).state == "building" and not stopping():
            projector = await take(pool, ledger, holder, lease_seconds, generation)
            if projector is None:
                await asyncio.sleep(_POLL)
                continue
            books = Bookkeeper(pool, ledger.ledger, generation)
            try:
                await _build(pool, projector, books, batch, stopping, progress)
                if not stopping():
                    await _finish(pool, projector, holder, batch)
            except LeaseLostError:  # paused, cancelled or taken over: the next look tells
                continue
            finally:
                await books.stop()
    await release(pool, holder)
    return found


@asynccontextmanager
async def _kept_alive(pool: asyncpg.Pool, ledger: int, holder: str, lease_seconds: float) -> AsyncIterator[None]:
    """Renew a holder's leases for as long as its process is alive: a comparison takes longer than a lease may last."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(lease_seconds / 3)
            await pool.execute(
                """
                UPDATE generations SET lease_until = now() + make_interval(secs => $3)
                WHERE ledger = $1 AND generation IN (
                    SELECT generation FROM generations WHERE ledger = $1 AND holder = $2 FOR UPDATE SKIP LOCKED
                )
                """,
                ledger, holder, lease_seconds,
            )  # fmt: skip

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _build(
    pool: asyncpg.Pool,
    projector: Projector,
    books: Bookkeeper,
    batch: int,
    stopping: Callable[[], bool],
    progress: Progress | None,
) -> None:
    """Project until the serving generation is reached; it is never overtaken, so that both can be compared."""
    while not stopping():
        target: int = await pool.fetchval(
            "SELECT checkpoint FROM generations WHERE ledger = $1 AND state = 'serving'", projector.ledger.ledger
        )
        if projector.checkpoint >= target:
            await projector.settle()
            await books.finish()
            return
        begun = time.monotonic()
        await projector.step(min(batch, target - projector.checkpoint))
        books.tend()
        await pool.execute(
            "UPDATE generations SET seconds = seconds + $3 WHERE ledger = $1 AND generation = $2",
            projector.ledger.ledger, projector.generation, time.monotonic() - begun,
        )  # fmt: skip
        if progress:
            progress(projector.checkpoint, target)


async def _finish(pool: asyncpg.Pool, projector: Projector, holder: str, batch: int) -> None:
    """Compare with the serving generation at its position and, as the rebuild says, serve."""
    ledger, new = projector.ledger, projector.generation
    analyzing = asyncio.create_task(projector.analyze())
    old = await fence_off(pool, ledger, holder, LEASE_SECONDS)
    try:
        while projector.checkpoint < old.checkpoint:
            await projector.step(min(batch, old.checkpoint - projector.checkpoint))
        for one in (projector, Projector(pool, ledger, old.generation, old.fence, LEASE_SECONDS)):
            await one.settle()
        async with pool.acquire() as connection, connection.transaction():
            compared = await compare(connection, ledger.ledger, old.generation, new)
            report = _report(compared, old.generation, old.version, old.checkpoint)
            serve = await connection.fetchval(
                "UPDATE generations SET report = $3 WHERE ledger = $1 AND generation = $2 RETURNING serve",
                ledger.ledger, new, json.dumps(report),
            )  # fmt: skip
        await analyzing
        if serve == "always" or (serve == "identical" and compared.identical):
            await _swap(pool, ledger.ledger, (old.generation, old.fence), (new, projector.fence))
        else:
            await _keep(pool, ledger.ledger, (new, projector.fence))
    finally:
        await asyncio.gather(analyzing, return_exceptions=True)
        await pool.execute(
            """
            UPDATE generations SET holder = NULL, lease_until = '-infinity'
            WHERE ledger = $1 AND generation = $2 AND holder = $3
            """,
            ledger.ledger, old.generation, holder,
        )  # fmt: skip


def _report(compared: Comparison, old: int, old_version: str, position: int) -> dict[str, Any]:
    digests = {name: {"old": one, "new": other} for name, (one, other) in compared.digests.items()}
    return {
        "compared_with": old, "compared_version": old_version, "position": position, "identical": compared.identical,
        "differences": compared.differences, "digests": digests,
    }  # fmt: skip


_CHANGE = """
    UPDATE generations SET state = $4, retired_at = CASE WHEN $4 = 'retired' THEN now() END, fence = fence + 1,
        holder = NULL, lease_until = '-infinity'
    WHERE ledger = $1 AND generation = $2 AND fence = $3 AND state = $5
"""


async def _swap(pool: asyncpg.Pool, ledger: int, old: tuple[int, int], new: tuple[int, int]) -> None:
    """Retire one generation and serve the other, if both (generation, fence) still hold."""
    async with pool.acquire() as connection, connection.transaction():
        retired = await connection.execute(_CHANGE, ledger, *old, "retired", "serving")
        served = await connection.execute(_CHANGE, ledger, *new, "serving", "building") if retired == "UPDATE 1" else ""
        if served != "UPDATE 1":
            raise LeaseLostError("somebody else has taken over, or the rebuild was paused or cancelled")


async def _keep(pool: asyncpg.Pool, ledger: int, new: tuple[int, int]) -> None:
    """Keep a generation that is built and does not serve."""
    if await pool.execute(_CHANGE, ledger, *new, "built", "building") != "UPDATE 1":
        raise LeaseLostError("somebody else has taken over, or the rebuild was paused or cancelled")
