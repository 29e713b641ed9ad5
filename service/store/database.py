"""The connection pool. One driver, asyncpg, everywhere at run time; SQLAlchemy serves the migrations only."""

from __future__ import annotations

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
            "tcp_keepalives_idle": "30",  # a machine that is gone gives its locks back within a minute
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


async def end_stalled(pool: asyncpg.Pool, seconds: float) -> int:
    """End what holds locks for a process that fell silent in the middle of a command so long ago; return how many there were.

    A process that is stopped between the parts of a statement, or in a COPY, leaves the server waiting for the rest. Neither
    of the server's timeouts ends that: it is not idle, and a statement is not cancelled while the client has the word.
    """
    ended: int = await pool.fetchval(
        """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = $1 AND backend_type = 'client backend'
        AND state = 'active' AND wait_event = 'ClientRead' AND state_change < now() - make_interval(secs => $2)
        """,
        _NAME, seconds,
    )  # fmt: skip
    return ended


async def head_of_migrations(pool: asyncpg.Pool | asyncpg.Connection) -> str | None:
    """Return the migration that the database is at, or None before the first."""
    if await pool.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    version: str | None = await pool.fetchval("SELECT version_num FROM alembic_version")
    return version
