"""Connections: what a process leaves behind that was stopped in the middle of a command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.store import database


async def test_what_waits_for_a_silent_process_is_ended_and_nothing_else(pool: asyncpg.Pool, dsn: str) -> None:
    own = await database.connect(dsn, size=2, statement_timeout=60)
    silent, copying = asyncio.Event(), asyncio.Event()

    async def rows() -> AsyncIterator[bytes]:
        yield b"1\n"
        copying.set()
        await silent.wait()

    async def copy() -> None:
        async with own.acquire() as connection, connection.transaction():
            await connection.execute("CREATE TEMP TABLE stopped (n integer)")
            await connection.copy_to_table("stopped", source=rows())

    stopped, busy = asyncio.create_task(copy()), asyncio.create_task(own.fetchval("SELECT 'done' FROM pg_sleep(1.5)"))
    await copying.wait()
    assert await database.end_stalled(pool, 60.0) == 0
    await asyncio.sleep(0.5)
    assert await database.end_stalled(pool, 0.4) == 1
    silent.set()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await stopped
    assert await busy == "done"  # takes longer, but works
    assert await own.fetchval("SELECT 1") == 1  # the pool has made a new connection
    await own.close()
