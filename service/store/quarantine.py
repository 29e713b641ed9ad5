"""The quarantine: items that could not be taken as they came, kept with the problem until they are retried."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
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
    size: int
    body: bytes


SHOWN = 2_000  # bytes of a body in a list
_LOOKED_AT = 65_536  # bytes of a body that are looked at for what it may stand for
_SMALL = f"CASE WHEN octet_length(body) <= {_LOOKED_AT} THEN body ELSE '' END"
_PAGE_BYTES = 8 * 2**20  # of problems and bodies with which a page ends
_COLUMNS = "item, received_at, state, position, problem, octet_length(body), body"


def _with(body: str) -> str:
    """The columns with something else for the body."""
    return _COLUMNS.removesuffix("body") + body


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
    """Return kept items after an item number, oldest first, each with the beginning of its body."""
    rows = await pool.fetch(
        f"""
        SELECT {_with(f"substr(body, 1, {SHOWN})")} FROM quarantine WHERE ledger = $1 AND item > $2 AND state = $4
        AND item <= (
            SELECT max(item) FROM (
                SELECT item, sum(size) OVER (ORDER BY item) - size AS before FROM (
                    SELECT item, octet_length(problem::text) + least(octet_length(body), {SHOWN}) AS size
                    FROM quarantine WHERE ledger = $1 AND item > $2 AND state = $4 ORDER BY item LIMIT $3
                ) AS page
            ) AS sized WHERE before < {_PAGE_BYTES}
        ) ORDER BY item
        """,
        ledger, after, limit, state,
    )  # fmt: skip
    return [Kept(*row) for row in rows]


def is_full(kept: Sequence[Kept], limit: int) -> bool:
    """Tell whether `listed` may have left out more."""
    return len(kept) == limit or sum(len(one.problem.encode()) + len(one.body) for one in kept) >= _PAGE_BYTES


async def waiting(
    connection: Any, ledger: int, then: tuple[int, datetime | None] | None = None
) -> AsyncIterator[Kept]:  # fmt: skip
    """Yield all items that wait, oldest first; or those that waited `then`, at a position and its time.

    A large body is left out: a few of them together may not fit into memory.
    """
    position, moment = then or (None, None)
    rows = connection.cursor(
        f"""
        SELECT {_with(_SMALL)} FROM quarantine WHERE ledger = $1 AND (state = 'waiting' OR position > $2)
        AND coalesce(received_at <= $3, $2 IS NULL) ORDER BY item
        """,
        ledger, position, moment,
    )  # fmt: skip
    async for row in rows:
        yield Kept(*row)


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
