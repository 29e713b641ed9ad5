"""Connections: what a process leaves behind that was stopped in the middle of a command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.store import database


async def test_what_waits_for_a_silent_process_is_ended_and_nothing_that_goes_on(pool: asyncpg.Pool, dsn: str) -> None:
    own = await database.connect(dsn, size=3, statement_timeout=60)
    stop, ended = asyncio.Event(), asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        yield b"1\n"
        await stop.wait()

    async def slow() -> AsyncIterator[bytes]:
        while not ended.is_set():
            yield b"1\n" * 10_000
            await asyncio.sleep(0.01)

    async def copy(source: AsyncIterator[bytes]) -> str:
        async with own.acquire() as connection, connection.transaction():
            await connection.execute("CREATE TEMP TABLE stopped (n integer) ON COMMIT DROP")
            status: str = await connection.copy_to_table("stopped", source=source)
            return status

    stopped, going_on = asyncio.create_task(copy(silent())), asyncio.create_task(copy(slow()))
    busy = asyncio.create_task(own.fetchval("SELECT 'done' FROM pg_sleep(1.5)"))
    found: set[database.Silence] = set()
    for _ in range(100):
        await asyncio.sleep(0.05)
        before = await database.silent(pool)
        await asyncio.sleep(0.5)
        found = before & await database.silent(pool)
        if len(found) == 1:  # more, if all of this machine stood still meanwhile
            break
    assert await database.end(pool, found) == len(found) == 1
    stop.set()
    ended.set()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await stopped
    assert (await going_on).startswith("COPY")
    assert await busy == "done"
    assert await own.fetchval("SELECT 1") == 1  # the pool has made a new connection
    await own.close()
