"""Several workers in processes of their own: killed, stopped past their lease and woken again, and rebuilding."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.domain.contributions import LAYOUT
from service.domain.events import read_event
from service.projections.generations import lifecycle, verify
from service.store import database, ledgers
from service.store.log.append import append_rows
from service.store.rows import row_of
from tests.support import commands, databases
from tests.support.sending import cost

PATIENCE = 90.0
SETTINGS = {
    "CAMPAIGN_LEDGER_LEASE_SECONDS": "1", "CAMPAIGN_LEDGER_PROJECTION_POLL": "0.05",
    "CAMPAIGN_LEDGER_PROJECTION_BATCH": "50", "CAMPAIGN_LEDGER_REBUILD_BATCH": "50",
}  # fmt: skip


@pytest.fixture(scope="module")
async def own_dsn(dsn: str) -> AsyncIterator[str]:
    """A database that no other test's service projects."""
    async with databases.migrated(dsn) as own:
        yield own


@pytest.fixture
async def own(own_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await database.connect(own_dsn, size=8, statement_timeout=120)
    yield opened
    await opened.close()


@pytest.fixture
def start(own_dsn: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a command as an operator would; what is left of them at the end is ended."""
    running: list[subprocess.Popen[bytes]] = []
    environment = commands.environment(**SETTINGS, CAMPAIGN_LEDGER_DATABASE_URL=own_dsn)

    def start_one(*arguments: str) -> subprocess.Popen[bytes]:
        log_of = tmp_path / f"log-{len(running)}"
        with log_of.open("wb") as stream:
            process = subprocess.Popen(  # noqa: S603  the command itself
                [*commands.COMMAND, *arguments], env=environment, stdout=stream, stderr=stream
            )
        running.append(process)
        while (
            arguments == ("worker",) and b'"projecting"' not in log_of.read_bytes()
        ):  # it has its signal handlers then
            assert process.poll() is None
            time.sleep(0.01)
        return process

    yield start_one
    for one in running:
        if one.poll() is None:
            one.send_signal(signal.SIGCONT)
            one.kill()
        one.wait(30)


async def append(pool: asyncpg.Pool, ledger: ledgers.Ledger, count: int) -> None:
    for _ in range(0, count, 500):
        events = [cost(f"C{time.monotonic_ns()}-{item}", "c", "1.00") for item in range(min(500, count))]
        await append_rows(pool, ledger.ledger, [row_of(read_event(one)) for one in events])


async def until(pool: asyncpg.Pool, query: str, *values: Any) -> Any:
    """Wait until a query answers with something; that is all that these tests wait for."""
    deadline = time.monotonic() + PATIENCE
    while not (found := await pool.fetchval(query, *values)):
        assert time.monotonic() < deadline, query
        await asyncio.sleep(0.01)
    return found


async def caught_up(pool: asyncpg.Pool) -> None:
    await until(
        pool,
        "SELECT bool_and(h.position = g.settled) FROM heads h JOIN generations g USING (ledger) WHERE g.state = 'serving'",
    )


async def projecting(pool: asyncpg.Pool, process: subprocess.Popen[bytes], ledger: ledgers.Ledger) -> None:
    """Give a ledger more to project, and wait until it is this process that projects it."""
    await append(pool, ledger, 500)
    await until(
        pool,
        "SELECT checkpoint > 0 AND split_part(holder, ':', 2) = $2::text FROM generations WHERE ledger = $1",
        ledger.ledger, str(process.pid),
    )  # fmt: skip


async def proven(pool: asyncpg.Pool, ledger: ledgers.Ledger, costs: int) -> None:
    for finding in await verify.verify(pool, ledger):
        assert finding.good, finding
    booked = await pool.fetchval(
        f"""
        SELECT sum({LAYOUT.column("actual_cost")}) FROM balances JOIN generations USING (ledger, generation)
        WHERE ledger = $1 AND state = 'serving' AND basis = 'e' AND cube = 'c' AND grain = 'y'
        """,
        ledger.ledger,
    )
    assert booked == costs * 100


@pytest.mark.timeout(250)
async def test_a_killed_worker_is_replaced_and_one_that_was_stopped_past_its_lease_writes_nothing(
    own: asyncpg.Pool, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    shared = [await ledgers.create_ledger(own, f"shared-{number}") for number in range(3)]
    for one in shared:
        await append(own, one, 2_500)
    killed = start("worker")
    await projecting(own, killed, shared[0])
    killed.kill()
    stopped = start("worker")
    await projecting(own, stopped, shared[0])
    stopped.send_signal(signal.SIGSTOP)
    fence = await own.fetchval("SELECT fence FROM generations WHERE ledger = $1", shared[0].ledger)
    third = start("worker")
    await projecting(own, third, shared[0])
    assert await own.fetchval("SELECT fence FROM generations WHERE ledger = $1", shared[0].ledger) > fence
    stopped.send_signal(signal.SIGCONT)
    fourth = start("worker")
    for one in shared:
        await append(own, one, 1_000)
    await caught_up(own)
    for one, costs in zip(shared, (5_000, 3_500, 3_500), strict=True):
        await proven(own, one, costs)
    for process in (stopped, third, fourth):
        assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 0
    holders = await own.fetch("SELECT holder FROM generations WHERE holder IS NOT NULL")
    assert holders == []  # whoever ends in order gives its leases back


@pytest.mark.timeout(250)
async def test_a_rebuild_survives_kill_9_and_goes_on_by_command_or_in_a_worker(
    own: asyncpg.Pool, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    ledger = await ledgers.create_ledger(own, "rebuilt")
    await append(own, ledger, 6_000)
    first = start("worker")
    await caught_up(own)
    first.terminate()
    assert first.wait(30) == 0
    under_way = "SELECT checkpoint FROM generations WHERE ledger = $1 AND state = 'building' AND checkpoint > 0"
    for number in (2, 3):
        replay = start("replay", "--ledger", "rebuilt")
        await until(own, under_way, ledger.ledger)
        replay.kill()
        replay.wait(30)
        at = await own.fetchval(under_way, ledger.ledger)
        assert 0 < at < 6_000
        resumed = start("replay", "--ledger", "rebuilt", "--resume") if number == 2 else start("worker")
        done = "SELECT seconds FROM generations WHERE ledger = $1 AND generation = $2 AND state = 'serving'"
        await until(own, done, ledger.ledger, number)
        if number == 2:
            assert resumed.wait(60) == 0
            said = (tmp_path / "log-2").read_text(encoding="utf-8")
            assert "6000 events replayed, generation 2 serves now, identical" in said
    found = await lifecycle.listed(own, ledger)
    assert [(one.generation, one.state) for one in found] == [(1, "retired"), (2, "retired"), (3, "serving")]
    assert all(json.dumps(one.as_dict(), default=str) for one in found)
    await proven(own, ledger, 6_000)
