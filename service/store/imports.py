"""Imports of files: how far each has come, known by the content of the file and of its mapping; and what restates what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from service.store.log.by_identity import Identity, columns_of
from service.store.log.stored_events import COLUMNS, Stored

# What became of a file before, by whatever mapping, the newest first.
_OF_FILE = """
    SELECT mapping, name, events, begun_at, done_at FROM imports WHERE ledger = $1 AND file = $2
    ORDER BY begun_at DESC
"""

# How far a file has come by a mapping, noted after what is in: a crash in between imports some events again, as duplicates.
_WENT_ON = """
    INSERT INTO imports (ledger, file, mapping, name, events) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (ledger, file, mapping) DO UPDATE SET events = excluded.events, name = excluded.name
"""

_DONE = "UPDATE imports SET done_at = now() WHERE ledger = $1 AND file = $2 AND mapping = $3"

_FORGET_OTHERS = "DELETE FROM imports WHERE ledger = $1 AND file = $2 AND mapping <> $3"

# The last of the events that restate an identity: their ids are those from ID~0 on before ID~: (the character after 9), which is
# a range of the index, and their numbers are compared as numbers: ~10 comes after ~9.
_LAST_ISSUES = f"""
    SELECT u.n, e.* FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (source, id, n)
    CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM events
        WHERE ledger = $1 AND source = u.source AND id >= u.id || '~0' AND id < u.id || '~:'
        AND substr(id, length(u.id) + 2) ~ '^[1-9][0-9]{{0,8}}$'
        ORDER BY substr(id, length(u.id) + 2)::integer DESC LIMIT 1
    ) e
"""


class Import(NamedTuple):
    """How far a file came by a mapping: so many events, and when it was done, if it was."""

    mapping: str
    name: str
    events: int
    begun_at: datetime
    done_at: datetime | None


async def of_file(pool: asyncpg.Pool, ledger: int, file: str) -> list[Import]:
    """Return the imports of a file of this content (its SHA-256), the newest first."""
    rows = await pool.fetch(_OF_FILE, ledger, file)
    return [Import(*row) for row in rows]


async def went_on(pool: asyncpg.Pool, ledger: int, file: str, mapping: str, name: str, events: int) -> None:
    """Note how many events of a file are in, so that an interrupted import goes on there."""
    await pool.execute(_WENT_ON, ledger, file, mapping, name, events)


async def done(pool: asyncpg.Pool, ledger: int, file: str, mapping: str) -> None:
    """Note that a file is in as a whole; what other mappings made of it before is the past."""
    await pool.execute(_DONE, ledger, file, mapping)
    await pool.execute(_FORGET_OTHERS, ledger, file, mapping)


async def last_issues(pool: asyncpg.Pool, ledger: int, identities: Sequence[Identity]) -> dict[int, Stored]:
    """Return the last event `ID~1`, `ID~2` … that restates each (source, id), by its index, where there is one."""
    rows = await pool.fetch(_LAST_ISSUES, ledger, *columns_of(identities))
    return {number - 1: Stored(*stored) for number, *stored in rows}


async def stated_then(
    pool: asyncpg.Pool, ledger: int, things: Sequence[tuple[str, str, int]]
) -> list[tuple[int, int, str, str]]:  # fmt: skip
    """Return (index, position, id, data) of what was stated of (entity, source, microseconds), the last few of each."""
    rows = await pool.fetch(
        """
        SELECT u.n - 1, e.position, e.id, e.data FROM unnest($2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY
            AS u (entity, source, micros, n)
        CROSS JOIN LATERAL (
            SELECT position, id, data FROM events o
            WHERE o.ledger = $1 AND o.entity = u.entity COLLATE "C" AND o.source = u.source COLLATE "C" AND o.micros = u.micros
            ORDER BY position DESC LIMIT 10
        ) e ORDER BY 1, 2
        """,
        ledger, [entity for entity, _, _ in things], [source for _, source, _ in things], [micros for _, _, micros in things],
    )  # fmt: skip
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def voided(pool: asyncpg.Pool, ledger: int, identities: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of (source, id) pairs that any event voids. It looks through all voids of a ledger."""
    if not identities:
        return set()
    rows = await pool.fetch(
        """
        SELECT DISTINCT u.source, u.id FROM unnest($2::text[], $3::text[]) AS u (source, id) JOIN events v
            ON v.data ->> 'source' = u.source AND v.data ->> 'id' = u.id
        WHERE v.ledger = $1 AND v.type IN ('fx.rate_published', 'event.voided') AND v.type = 'event.voided'
        """,
        ledger, [source for source, _ in identities], [identity for _, identity in identities],
    )  # fmt: skip
    return {(row[0], row[1]) for row in rows}
