"""The connection pool. One driver, asyncpg, everywhere at run time; SQLAlchemy serves the migrations only."""

from __future__ import annotations

from typing import Any

import asyncpg

Connection = asyncpg.pool.PoolConnectionProxy
OLDEST_SERVER = 15


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
            "application_name": "campaign-ledger",
            "statement_timeout": str(int(statement_timeout * 1000)),
            "jit": "off",  # compiling costs more than these short queries take
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


async def head_of_migrations(pool: asyncpg.Pool) -> str | None:
    """Return the migration that the database is at, or None before the first."""
    if await pool.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    version: str | None = await pool.fetchval("SELECT version_num FROM alembic_version")
    return version
