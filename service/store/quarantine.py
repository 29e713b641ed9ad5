"""The quarantine: items that could not be taken as they came, kept with the problem until they are retried."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec


class Kept(NamedTuple):
    """A quarantined item: the bytes as they were sent, and why they could not be taken."""

    item: int
    received_at: datetime
    state: str
    position: int | None
    problem: str
    body: bytes


_COLUMNS = "item, received_at, state, position, problem, body"


async def keep(pool: asyncpg.Pool, ledger: int, items: Sequence[tuple[bytes, dict[str, object]]]) -> None:
    """Keep (body, problem) pairs; the same body waits only once, however often its sender tries."""
    await pool.execute(
        """
        INSERT INTO quarantine (ledger, fingerprint, body, problem)
        SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::text[]::json[])
        ON CONFLICT (ledger, fingerprint) WHERE state = 'waiting' DO NOTHING
        """,
        ledger,
        [hashlib.sha256(body).digest() for body, _ in items],
        [body for body, _ in items],
        [msgspec.json.encode(problem).decode() for _, problem in items],
    )


async def listed(pool: asyncpg.Pool, ledger: int, after: int, limit: int, state: str) -> list[Kept]:
    """Return kept items after an item number, oldest first."""
    rows = await pool.fetch(
        f"SELECT {_COLUMNS} FROM quarantine WHERE ledger = $1 AND item > $2 AND state = $4 ORDER BY item LIMIT $3",
        ledger, after, limit, state,
    )  # fmt: skip
    return [Kept(*row) for row in rows]


async def waiting(
    connection: Any, ledger: int, then: tuple[int, datetime | None] | None = None
) -> list[Kept]:  # fmt: skip
    """Return all items that wait, oldest first; or those that waited `then`, at a position and its time."""
    position, moment = then or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM quarantine WHERE ledger = $1 AND (state = 'waiting' OR position > $2)
        AND coalesce(received_at <= $3, $2 IS NULL) ORDER BY item
        """,
        ledger, position, moment,
    )  # fmt: skip
    return [Kept(*row) for row in rows]


async def one(pool: asyncpg.Pool, ledger: int, item: int) -> Kept | None:
    """Return one kept item."""
    row = await pool.fetchrow(f"SELECT {_COLUMNS} FROM quarantine WHERE ledger = $1 AND item = $2", ledger, item)
    return Kept(*row) if row else None


async def resolve(pool: asyncpg.Pool, ledger: int, item: int, position: int) -> None:
    """Note that an item has become the event at a position."""
    await pool.execute(
        "UPDATE quarantine SET state = 'resolved', position = $3 WHERE ledger = $1 AND item = $2",
        ledger,
        item,
        position,
    )
