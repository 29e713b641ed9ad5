"""The registers: exchange rates, voids and others that concern so many events that the engine keeps them in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

from service.store.database import Connection, Queryable
from service.store.log.heads import BEYOND_ALL
from service.store.log.stored_events import BRIEF_COLUMNS, COLUMNS, Brief, Stored

# All of them up to a position: by two partial indexes of their types, and stages by their entity, so that nothing else of the log
# is read.
_REGISTERS = f"""
    SELECT {COLUMNS} FROM events
    WHERE ledger = $1 AND position <= $2 AND type IN ('fx.rate_published', 'event.voided')
    UNION ALL SELECT {COLUMNS} FROM events
    WHERE ledger = $1 AND position <= $2 AND type IN ('sla.defined', 'account.merged', 'contact.merged')
    UNION ALL SELECT {COLUMNS} FROM events WHERE ledger = $1 AND position <= $2 AND entity = 'stage.defined'
    ORDER BY position
"""

# The voids among them, by the same index.
_VOIDS = f"SELECT {BRIEF_COLUMNS} FROM events WHERE ledger = $1 AND position <= $2 AND type = 'event.voided'"


async def read(connection: Queryable, ledger: int, until: int = BEYOND_ALL) -> list[Stored]:
    """Return the events up to a position that the engine keeps in memory."""
    rows = await connection.fetch(_REGISTERS, ledger, until)
    return [Stored(*row) for row in rows]


async def voids(connection: Connection, ledger: int, until: int) -> AsyncIterator[Brief]:
    """Yield the voids up to a position; only within a transaction."""
    async for row in connection.cursor(_VOIDS, ledger, until):
        yield Brief._make(row)
