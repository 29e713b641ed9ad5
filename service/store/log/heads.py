"""How far a log is: the head of a ledger now, and its last position at a moment of the past."""

from __future__ import annotations

from datetime import datetime

from service.store.database import Queryable

BEYOND_ALL = 2**62  # a position that no log comes to: an `until` for all that there is

# The head: the row that appends lock. It tells the last position without looking at an event.
_HEAD = "SELECT position, recorded_at, chain FROM heads WHERE ledger = $1"

# The last position at a moment, by a binary search over the primary key. An index on recorded_at would cost every append.
_POSITION_AT = """
    WITH RECURSIVE search (low, high) AS (
        SELECT 0::bigint, position FROM heads WHERE ledger = $1
        UNION ALL
        SELECT CASE WHEN recorded_at <= $2 THEN position ELSE low END,
               CASE WHEN recorded_at <= $2 THEN high ELSE position - 1 END
        FROM search JOIN events ON ledger = $1 AND position = (low + high + 1) / 2 WHERE low < high
    )
    SELECT low FROM search WHERE low = high
"""


async def head(connection: Queryable, ledger: int) -> tuple[int, datetime | None, bytes]:
    """Return the last position, when it was recorded (None before the first), and the chain over all events."""
    row = await connection.fetchrow(_HEAD, ledger)
    if row is None:
        raise LookupError(f"there is no ledger {ledger}")
    return row[0], row[1] if row[0] else None, row[2]


async def position_at(connection: Queryable, ledger: int, moment: datetime) -> int:
    """Return the last position recorded at or before a moment; recorded_at never decreases with position.

    A dozen or two single-row look-ups, however long the log is.
    """
    found: int = await connection.fetchval(_POSITION_AT, ledger, moment)
    return found
