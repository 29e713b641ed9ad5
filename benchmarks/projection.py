"""The projector, live and in a rebuild, against reading and decoding the same rows alone; each in a process of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import asyncpg
import msgspec

from benchmarks import setting
from benchmarks.setting import Stage
from benchmarks.table import Row, compare
from service.bootstrap import run as run_fast
from service.projections.generations import rebuild
from service.projections.sums import closings
from service.projections.worker import Worker
from service.settings import Settings
from service.store import database
from service.store.ledgers import Ledger

_PAGE = 5_000


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows of a rebuild."""
    decode = setting.apart(timed, decoded, stage.dsn, stage.ledger)[0]
    del decode  # that was to warm up
    found = compare(
        stage.effort.rounds,
        {
            name: lambda work=work: setting.apart(timed, work, stage.dsn, stage.ledger)  # type: ignore[misc]
            for name, work in (("rebuild", rebuilt), ("decode", decoded))
        },
    )
    ours, decode_alone = ([one[0] for one in found[name]] for name in ("rebuild", "decode"))
    yield Row("rebuild", stage.size, ours, "/s", "reading and decoding the same rows alone", decode_alone)
    yield Row("memory of a rebuild", stage.size, [one[1] for one in found["rebuild"]], "MB", "reading and decoding alone",
              [one[1] for one in found["decode"]])  # fmt: skip


def grow(stage: Stage, until: int) -> Iterator[Row]:
    """Fill the ledger up in as many parts as there are rounds, have each projected as a worker does, and yield the rate.

    A worker closes the books whenever it has nothing better to do. Here that is done at the end, so that no read has to wait
    beside it.
    """
    begin, rates = stage.sent, []
    if begin >= until:
        raise ValueError(
            f"the ledger has {begin:,} events before it is measured at {until:,}: choose sizes further apart"
        )
    for part in range(1, stage.effort.rounds + 1):
        with setting.served(stage.dsn, "--no-projector") as server:
            stage.fill(server, begin + (until - begin) * part // stage.effort.rounds)
        rates.append(setting.apart(timed, followed, stage.dsn, stage.ledger)[0])
    yield Row("live projection", stage.size, rates)
    if books := setting.apart(timed, closed, stage.dsn, stage.ledger)[0]:
        yield Row("closing the books", stage.size, [books])


def timed(work: Callable[[asyncpg.Pool, Ledger], Awaitable[int]], dsn: str, ledger: Ledger) -> float:
    """Do work on a ledger; return events per second."""

    async def run() -> float:
        pool = await database.connect(dsn, size=10, statement_timeout=3600)
        started = time.perf_counter()
        events = await work(pool, ledger)
        took = time.perf_counter() - started
        await pool.close()
        return events / took

    return run_fast(run())


async def followed(pool: asyncpg.Pool, ledger: Ledger) -> int:
    """Project what is not projected yet, as the worker does."""
    lag = """
        SELECT h.position - g.checkpoint FROM generations g JOIN heads h USING (ledger)
        WHERE ledger = $1 AND state = 'serving'
    """
    events: int = await pool.fetchval(lag, ledger.ledger)
    worker = Worker(pool, Settings())
    running = asyncio.create_task(worker.run())
    while await pool.fetchval(lag, ledger.ledger):  # noqa: ASYNC110  the worker tells nobody where it is
        await asyncio.sleep(0.005)
    worker.stop()
    await running
    return events


async def closed(pool: asyncpg.Pool, ledger: Ledger) -> int:
    """Close the books of all complete epochs."""
    made = 0
    while await closings.close_next(pool, ledger.ledger):
        made += 1
    return made * closings.EPOCH


async def rebuilt(pool: asyncpg.Pool, ledger: Ledger) -> int:
    """Rebuild the read models: project all, compare with the serving ones, and swap."""
    done = await rebuild.rebuild(pool, ledger)
    if done.differences:
        raise RuntimeError(f"a rebuild differs in {done.differences} cells")
    return done.events


async def decoded(pool: asyncpg.Pool, ledger: Ledger) -> int:
    """Read the same columns of all events in pages and decode their data, and do nothing with it."""
    decode, at = msgspec.json.decode, 0
    while rows := await pool.fetch(
        """
        SELECT position, micros, rest, source, id, type, version, data FROM events
        WHERE ledger = $1 AND position > $2 ORDER BY position LIMIT $3
        """,
        ledger.ledger, at, _PAGE,
    ):  # fmt: skip
        for row in rows:
            decode(row["data"])
        at = rows[-1]["position"]
    return at
