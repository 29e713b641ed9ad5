"""Events found by what names them: their identity (source, id), or the entity that later events can correct."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from service.store.database import Queryable
from service.store.log.feed import PAGE_BYTES
from service.store.log.heads import BEYOND_ALL
from service.store.log.stored_events import COLUMNS, Brief, Stored

Identity = tuple[str, str]  # source, id

# Many identities are looked up by LATERAL with LIMIT 1, one index look-up each: a join is planned by statistics, and while a
# new table has none, it scans the whole log.

# The event of one identity up to a position.
_ONE = f"SELECT {COLUMNS} FROM events WHERE ledger = $1 AND source = $2 AND id = $3 AND position <= $4"

# The events of identities up to a position, in no order.
_UNTIL = f"""
    SELECT e.* FROM unnest($2::text[], $3::text[]) AS u (source, id)
    CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM events
        WHERE ledger = $1 AND source = u.source AND id = u.id AND position <= $4 LIMIT 1
    ) e
"""

# Their positions only: no event's data leave the database.
_POSITIONS_UNTIL = """
    SELECT e.* FROM unnest($2::text[], $3::text[]) AS u (source, id)
    CROSS JOIN LATERAL (
        SELECT source, id, position FROM events
        WHERE ledger = $1 AND source = u.source AND id = u.id AND position <= $4 LIMIT 1
    ) e
"""

# The events of identities in the order in which those are given, until a page is full: what is beyond stays in the database.
_PAGE_IN_ORDER = f"""
    SELECT {COLUMNS} FROM (
        SELECT e.*, n, sum(octet_length(data::text)) OVER (ORDER BY n) - octet_length(data::text) AS before
        FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (u_source, u_id, n)
        CROSS JOIN LATERAL (
            SELECT {COLUMNS} FROM events WHERE ledger = $1 AND source = u_source AND id = u_id LIMIT 1
        ) e
    ) sized WHERE before < {PAGE_BYTES} ORDER BY n
"""

# The events that state entities: the index has only those with one.
_STATING = f"SELECT {COLUMNS} FROM events WHERE ledger = $1 AND entity = ANY($2)"


async def read_identity(connection: Queryable, ledger: int, identity: Identity, until: int) -> Stored | None:
    """Return the event of a (source, id), if it has a position up to `until`."""
    row = await connection.fetchrow(_ONE, ledger, *identity, until)
    return Stored(*row) if row else None


async def read_identities(
    connection: Queryable, ledger: int, identities: Sequence[Identity], until: int = BEYOND_ALL
) -> list[Stored]:
    """Return the events of (source, id) pairs that have a position up to `until`."""
    rows = await connection.fetch(_UNTIL, ledger, *columns_of(identities), until)
    return [Stored(*row) for row in rows]


async def read_page(connection: Queryable, ledger: int, identities: Sequence[Identity]) -> list[Stored]:
    """Return the events of (source, id) pairs in their order, until those so far have PAGE_BYTES of data."""
    rows = await connection.fetch(_PAGE_IN_ORDER, ledger, *columns_of(identities))
    return [Stored(*row) for row in rows]


async def positions(
    connection: Queryable, ledger: int, identities: Sequence[Identity], until: int
) -> dict[Identity, int]:  # fmt: skip
    """Return the positions of the events of (source, id) pairs, those up to `until`."""
    rows = await connection.fetch(_POSITIONS_UNTIL, ledger, *columns_of(identities), until)
    return {(source, identity): position for source, identity, position in rows}


async def targets(connection: Queryable, ledger: int, voids: Sequence[Brief]) -> list[Stored]:
    """Return the events that voids name, as far as they have arrived."""
    if not voids:
        return []
    named = (msgspec.json.decode(void.data) for void in voids)
    return await read_identities(connection, ledger, [(one["source"], one["id"]) for one in named])


async def statements(connection: Queryable, ledger: int, entities: Iterable[str]) -> list[Stored]:
    """Return the events that state correctable entities (`type:id`)."""
    rows = await connection.fetch(_STATING, ledger, list(entities))
    return [Stored(*row) for row in rows]


def columns_of(identities: Sequence[Identity]) -> tuple[list[str], list[str]]:
    """Return the sources and the ids, as statements take them: an array each."""
    return [source for source, _ in identities], [identity for _, identity in identities]
