"""What has been told: by notice, of what, and to whom; so that a state is told once, and a report once in its period."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

import asyncpg

_TOLD = "SELECT subject, state, told_at FROM notices WHERE ledger = $1 AND name = $2 AND receiver = $3"
_TELL = """
    INSERT INTO notices (ledger, name, receiver, subject, state) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (ledger, name, receiver, subject) DO UPDATE SET state = excluded.state, told_at = now()
"""
_LOCK = 726_190_517  # beside the number of a ledger


class Told(NamedTuple):
    """What a receiver was last told, and when."""

    state: str
    at: datetime | None


@asynccontextmanager
async def turn(pool: asyncpg.Pool, ledger: int) -> AsyncIterator[None]:
    """Be the only one who sends notices of a ledger while the block lasts; RuntimeError if another one is."""
    async with pool.acquire() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK, ledger):
            raise RuntimeError("another process is sending notices of this ledger: this one leaves it to that")
        try:
            yield
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1, $2)", _LOCK, ledger)


async def told(pool: asyncpg.Pool, ledger: int, name: str, receiver: str) -> dict[str, Told]:
    """Return what a receiver was last told, by subject."""
    return {row[0]: Told(row[1], row[2]) for row in await pool.fetch(_TOLD, ledger, name, receiver)}


async def tell(pool: asyncpg.Pool, ledger: int, name: str, receiver: str, subject: str, state: str) -> None:
    """Note what a receiver has been told."""
    await pool.execute(_TELL, ledger, name, receiver, subject, state)
