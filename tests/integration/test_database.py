"""Connections: what a process leaves behind that was stopped in the middle of a command, and what breaks one. Migrations."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.store import database, faults, migrate
from tests.support import databases


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


async def test_a_connection_that_broke_is_closed_and_never_goes_back_to_the_pool(dsn: str) -> None:
    own = await database.connect(dsn, size=1, statement_timeout=60)
    async with own.acquire() as connection:
        sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.1)
        with pytest.raises(asyncpg.InterfaceError, match="another operation is in progress"):
            await connection.fetchval("SELECT 1")
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await sleeping
    assert await own.fetchval("SELECT 1") == 1
    with pytest.raises(asyncpg.UniqueViolationError):
        await own.execute("CREATE TEMP TABLE one (n integer PRIMARY KEY); INSERT INTO one VALUES (1), (1)")
    kept = await own.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(asyncpg.DataError):  # a plain error leaves it as it is
        await own.fetchval("SELECT '{' ::json")
    assert await own.fetchval("SELECT pg_backend_pid()") == kept
    await database.close(own)


async def test_terminated_connections_give_faults_of_the_database_only_and_then_new_connections(
    pool: asyncpg.Pool, dsn: str
) -> None:
    own = await database.connect(dsn, size=4, statement_timeout=60)
    errors: list[Exception] = []
    done = 0

    async def rows() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"1\n"
            await asyncio.sleep(0)

    async def work() -> None:
        nonlocal done
        async with own.acquire() as connection, connection.transaction():
            await connection.execute("CREATE TEMP TABLE few (n integer) ON COMMIT DROP")
            await connection.copy_to_table("few", source=rows())
            await connection.fetchval("SELECT count(*) FROM few WHERE n > $1", 0)
        done += 1

    async def tried(times: int) -> None:
        for _ in range(times):
            try:
                await work()
            except Exception as error:  # noqa: BLE001  all of them are looked at below
                errors.append(error)

    busy = asyncio.gather(*(tried(150) for _ in range(4)))
    while not busy.done():
        await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311
        await pool.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE (query LIKE '%TABLE few%' OR query LIKE 'COPY%few%') AND pid <> pg_backend_pid()
            """
        )
    await busy
    assert errors
    assert done
    assert [one for one in errors if not faults.is_fault(one)] == []
    assert [await own.fetchval("SELECT 1") for _ in range(8)] == [1] * 8
    await database.close(own)


async def test_a_migration_that_fails_tells_its_cause(dsn: str) -> None:
    async with databases.migrated(dsn) as own:
        before = sorted(path.name.partition("_")[0] for path in (migrate.place() / "versions").glob("[0-9]*.py"))[-2]
        connection = await asyncpg.connect(own)
        at = "UPDATE alembic_version SET version_num = $1"
        await connection.execute(at, before)  # what comes next is there already
        with pytest.raises(RuntimeError, match=f"the migration from {before} to .* failed: .* already exists$"):
            await migrate.migrate(own)
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == before
        await connection.close()
