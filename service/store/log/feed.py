"""The feed: the log in the order of positions, a page at a time. Whoever follows it asks for what is after the last position.

Positions are dense and become visible in order – an append holds the head of its ledger until it has committed – so that
nobody who follows ever has to look back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from service.store.database import Queryable
from service.store.log.stored_events import BRIEF_COLUMNS, COLUMNS, Brief, Stored

PAGE_BYTES = 8 * 2**20  # of data with which a page ends: a thousand events of a megabyte do not fit into memory


def _page_of(which: str) -> str:
    """Return the statement for a page of events.

    Their sizes are added up in the database first and only what fits is read: else a page of large events would already be in
    memory when it turns out to be too large.
    """
    found = f"FROM events WHERE ledger = $1 AND position > $2{which}"
    return f"""
        SELECT {COLUMNS} {found} AND position <= (
            SELECT max(position) FROM (
                SELECT position, sum(size) OVER (ORDER BY position) - size AS before FROM (
                    SELECT position, octet_length(data::text) AS size {found} ORDER BY position LIMIT $3
                ) AS page
            ) AS sized WHERE before < {PAGE_BYTES}
        ) ORDER BY position
    """


# The next page, whole or of some types. Two statements, because one with "or no types are given" is planned for both at once.
_PAGE, _PAGE_OF_TYPES = _page_of(""), _page_of(" AND type = ANY($4)")

# The next events for the projector, which limits its pages itself and needs a few columns only.
_BRIEF_PAGE = f"SELECT {BRIEF_COLUMNS} FROM events WHERE ledger = $1 AND position > $2 ORDER BY position LIMIT $3"


async def read(
    connection: Queryable, ledger: int, after: int, limit: int, types: Sequence[str] = ()
) -> list[Stored]:  # fmt: skip
    """Return up to `limit` events after a position, in order, of the given types only (none given = all).

    The last one is that with which they have PAGE_BYTES of data: there may be more even where there are fewer than `limit`.
    """
    if types:
        rows = await connection.fetch(_PAGE_OF_TYPES, ledger, after, limit, list(types))
    else:
        rows = await connection.fetch(_PAGE, ledger, after, limit)
    return [Stored(*row) for row in rows]


def is_full(rows: Sequence[Stored], limit: int) -> bool:
    """Tell whether `read` may have left out more."""
    return len(rows) == limit or sum(len(row.data.encode()) for row in rows) >= PAGE_BYTES


async def read_one(connection: Queryable, ledger: int, position: int) -> Stored | None:
    """Return the event at a position, if there is one."""
    rows = await read(connection, ledger, position - 1, 1)
    return rows[0] if rows and rows[0].position == position else None


async def read_all(connection: Queryable, ledger: int, page: int = 5_000, after: int = 0) -> AsyncIterator[Stored]:
    """Yield all events after a position in order, a page in memory at a time."""
    async for rows in read_pages(connection, ledger, page, after):
        for row in rows:
            yield row


async def read_pages(
    connection: Queryable, ledger: int, page: int = 5_000, after: int = 0
) -> AsyncIterator[list[Stored]]:  # fmt: skip
    """Yield all events after a position in order, by pages."""
    while rows := await read(connection, ledger, after, page):
        yield rows
        after = rows[-1].position


async def read_brief(connection: Queryable, ledger: int, after: int, limit: int) -> list[Brief]:
    """Return up to `limit` events after a position, in order."""
    rows = await connection.fetch(_BRIEF_PAGE, ledger, after, limit)
    return list(map(Brief._make, rows))
