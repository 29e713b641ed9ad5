"""The connection pool. One driver, asyncpg, everywhere at run time; SQLAlchemy serves the migrations only."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import asyncpg

Connection = asyncpg.pool.PoolConnectionProxy
OLDEST_SERVER = 15
_NAME = "campaign-ledger"


async def connect(dsn: str, *, size: int, statement_timeout: float) -> asyncpg.Pool:
    """Open a pool on any PostgreSQL ≥ 15; RuntimeError says so when the server is older."""
    pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
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


async def _no_reset(_: Any) -> None:
    """Skip the reset that asyncpg would send on every release: no session state is ever changed here."""


Silence = tuple[
    int, datetime, int
]  # a server process, since when its command is under way, how much of a COPY has come


async def silent(pool: asyncpg.Pool) -> set[Silence]:
    """Return the commands that wait for their client at this moment. One that is the same after a while has lost it.

    A process that is stopped between the parts of a statement, in a COPY or while it takes in rows leaves the server waiting.
    None of the server's timeouts ends that: it is not idle, and nothing is cancelled while the client has the word.
    """
    rows = await pool.fetch(
        """
        SELECT a.pid, a.state_change, coalesce(c.bytes_processed, 0)
        FROM pg_stat_activity a LEFT JOIN pg_stat_progress_copy c USING (pid)
        WHERE a.datname = current_database() AND a.application_name = $1 AND a.backend_type = 'client backend'
        AND a.state = 'active' AND a.wait_event IN ('ClientRead', 'ClientWrite')
        """,
        _NAME,
    )
    return {(pid, since, come) for pid, since, come in rows}


async def end(pool: asyncpg.Pool, commands: Collection[Silence]) -> int:
    """End the connections of commands, if they are still under way; return how many."""
    ended: int = await pool.fetchval(
        """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        JOIN unnest($1::integer[], $2::timestamptz[]) AS silent (pid, state_change) USING (pid, state_change)
        """,
        [pid for pid, _, _ in commands], [since for _, since, _ in commands],
    )  # fmt: skip
    return ended


async def head_of_migrations(pool: asyncpg.Pool | asyncpg.Connection) -> str | None:
    """Return the migration that the database is at, or None before the first."""
    if await pool.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    version: str | None = await pool.fetchval("SELECT version_num FROM alembic_version")
    return version
