"""The connection pool. One driver, asyncpg, everywhere at run time; SQLAlchemy serves the migrations only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from datetime import datetime
from typing import Any, TypeVar

import asyncpg

from service.store import faults

Connection = asyncpg.pool.PoolConnectionProxy
Queryable = asyncpg.Pool | asyncpg.Connection | Connection  # whatever answers a statement by itself
OLDEST_SERVER = 15
_NAME = "campaign-ledger"
_CLOSING_SECONDS = 10.0  # a server that stands still does not answer to a good-bye
_T = TypeVar("_T")


class _Guarded(asyncpg.Connection):  # all that it sends goes by one of these five ways
    """A connection that is closed by whatever breaks it, so that nobody gets it from the pool again.

    After a lost connection, the driver may for a moment believe that its connection is good while its protocol is in the
    middle of something: the next one to use it would be told `got result for unknown protocol state`, and so on for ever.
    """

    async def execute(self, *arguments: Any, **named: Any) -> str:
        return await self._guarded(super().execute(*arguments, **named))

    async def _get_statement(self, *arguments: Any, **named: Any) -> Any:
        return await self._guarded(super()._get_statement(*arguments, **named))  # type: ignore[misc]  # not in the stubs

    async def _do_execute(self, *arguments: Any, **named: Any) -> Any:
        return await self._guarded(super()._do_execute(*arguments, **named))  # type: ignore[misc]

    async def _copy_in(self, *arguments: Any, **named: Any) -> str:
        return await self._guarded(super()._copy_in(*arguments, **named))  # type: ignore[misc]

    async def _copy_out(self, *arguments: Any, **named: Any) -> str:
        return await self._guarded(super()._copy_out(*arguments, **named))  # type: ignore[misc]

    async def _guarded(self, work: Awaitable[_T]) -> _T:
        try:
            return await work
        except AttributeError as error:  # the driver's own, if the connection is closed while it is between two steps
            if not self.is_closed():
                raise
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation") from error
        except Exception as error:
            if faults.is_connection_broken(error):
                self.terminate()
            raise


async def connect(dsn: str, *, size: int, statement_timeout: float) -> asyncpg.Pool:
    """Open a pool on any PostgreSQL ≥ 15; RuntimeError says so when the server is older."""
    pool = await asyncpg.create_pool(
        dsn,
        min_size=0,  # a pool that keeps some would try by itself, and log each time
        max_size=size,
        connection_class=_Guarded,
        reset=_no_reset,
        timeout=10,
        command_timeout=statement_timeout * 2,  # the server's own timeout speaks first
        server_settings={
            "application_name": _NAME,
            "statement_timeout": str(int(statement_timeout * 1000)),
            "jit": "off",  # compiling costs more than these short queries take
            "tcp_keepalives_idle": "30",  # a machine that is gone gives its locks back
            "tcp_keepalives_interval": "10",
            "tcp_keepalives_count": "3",
        },
    )
    async with pool.acquire() as connection:
        version = connection.get_server_version().major
    if version < OLDEST_SERVER:
        await pool.close()
        raise RuntimeError(f"PostgreSQL {version} is too old: Campaign Ledger needs {OLDEST_SERVER} or newer")
    return pool


async def within(seconds: float, work: Awaitable[_T]) -> _T:
    """Return what `work` gives; TimeoutError if that takes longer, and it is left to itself.

    A server that stands still answers neither a statement nor its cancellation, so that whoever cancels waits just as long.
    """
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.add_done_callback(lambda one: one.cancelled() or one.exception())  # nobody waits for what it comes to
        raise TimeoutError(f"no answer within {seconds:g} s")
    return task.result()


async def close(pool: asyncpg.Pool) -> None:
    """Close a pool, in order if the server still listens."""
    try:
        async with asyncio.timeout(_CLOSING_SECONDS):
            await pool.close()
    except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        pool.terminate()


async def _no_reset(_: object) -> None:
    """Skip the reset that asyncpg would send on every release: no session state is ever changed here."""


# A server process, since when its command is under way, and how much of a COPY has come.
Silence = tuple[int, datetime, int]

# The commands of our own connections that wait for what the client sends next, or for it to take what it was sent.
_SILENT = """
    SELECT a.pid, a.state_change, coalesce(c.bytes_processed, 0)
    FROM pg_stat_activity a LEFT JOIN pg_stat_progress_copy c USING (pid)
    WHERE a.datname = current_database() AND a.application_name = $1 AND a.backend_type = 'client backend'
    AND a.state = 'active' AND a.wait_event IN ('ClientRead', 'ClientWrite')
"""

# A process that is still at the very same command: one that has gone on meanwhile lives, and the pid may be another's by now.
_END = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    JOIN unnest($1::integer[], $2::timestamptz[]) AS silent (pid, state_change) USING (pid, state_change)
"""


async def silent(pool: asyncpg.Pool) -> set[Silence]:
    """Return the commands that wait for their client at this moment. One that is the same after a while has lost it.

    A process that is stopped between the parts of a statement, in a COPY or while it takes in rows leaves the server waiting.
    None of the server's timeouts ends that: it is not idle, and nothing is cancelled while the client has the word.
    """
    return {(pid, since, come) for pid, since, come in await pool.fetch(_SILENT, _NAME)}


async def end(pool: asyncpg.Pool, commands: Collection[Silence]) -> int:
    """End the connections of commands, if they are still under way; return how many."""
    ended: int = await pool.fetchval(
        _END, [pid for pid, _, _ in commands], [since for _, since, _ in commands]
    )  # fmt: skip
    return ended


async def head_of_migrations(pool: Queryable) -> str | None:
    """Return the migration that the database is at, or None before the first."""
    if await pool.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    version: str | None = await pool.fetchval("SELECT version_num FROM alembic_version")
    return version
