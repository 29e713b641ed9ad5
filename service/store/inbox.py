"""The inbox: every delivery as it came, and what became of it; given again, discarded, and forgotten after its time.

Who takes deliveries in hand and settles them is in `inbox_work`.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import asyncpg

from service.store import audit
from service.store.database import Queryable

STATES = ("received", "accepted", "duplicate", "ignored", "rejected", "failed", "discarded")
_LONGEST_REASON = 2_000


class Delivery(NamedTuple):
    """What was posted and what became of it. `head` is encrypted; `head` and `body` go after the retention time."""

    ledger: int
    delivery: int
    source: str
    received_at: datetime
    state: str
    reason: str | None
    attempts: int
    next_try: datetime | None
    settled_at: datetime | None
    sender_id: str | None
    size: int
    head: bytes | None
    body: bytes | None
    leased_until: datetime | None  # while it is in the hands of who asks its sender's API


COLUMNS = ", ".join(Delivery._fields)

# A delivery with its verdict in one write: it is due for translation at once, or rejected and never due.
_PUT = """
    INSERT INTO deliveries (ledger, source, sender_id, size, head, body, state, reason, next_try)
    VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::text IS NULL THEN 'received' ELSE 'rejected' END, $7,
            CASE WHEN $7::text IS NULL THEN now() END)
    RETURNING delivery
"""

# A page of a source's deliveries, newest first, without what was posted: a page of bodies may be too much for the memory.
_LISTED = f"""
    SELECT {COLUMNS.replace("head, body", "NULL::bytea, NULL::bytea")} FROM deliveries
    WHERE ledger = $1 AND source = $2 AND delivery < $3 AND ($5::text IS NULL OR state = $5)
    ORDER BY delivery DESC LIMIT $4
"""

# One delivery with what was posted.
_ONE = f"SELECT {COLUMNS} FROM deliveries WHERE ledger = $1 AND source = $2 AND delivery = $3"

# Deliveries with a body are due again, all of a source or one. Whoever has leased one now finds that it is theirs no longer.
_AGAIN = """
    UPDATE deliveries SET next_try = now(), attempts = 0, leased_until = NULL
    WHERE ledger = $1 AND source = $2 AND ($3::bigint IS NULL OR delivery = $3) AND body IS NOT NULL
          AND state <> 'rejected' AND (state <> 'discarded' OR delivery = $3)
"""

# A delivery is taken out, and out of the hands of who may have leased it.
_DISCARD = """
    UPDATE deliveries SET state = 'discarded', reason = $4, next_try = NULL, leased_until = NULL, settled_at = now()
    WHERE ledger = $1 AND source = $2 AND delivery = $3 AND state <> 'rejected'
"""

# What a discarded delivery stated goes, and the records that it spoke of are due, with those that looked them up.
_UNSTATE = """
    WITH gone AS (DELETE FROM statements WHERE ledger = $1 AND delivery = $3 RETURNING record)
    UPDATE records SET due = CASE WHEN record IN (SELECT record FROM gone) THEN '-infinity' ELSE now() END
    WHERE ledger = $1 AND source = $2
          AND (record IN (SELECT record FROM gone) OR lookups && ARRAY(SELECT record FROM gone))
"""

_WAITING = "SELECT count(*) FROM deliveries WHERE next_try <= now()"

# Bodies past their source's retention time, of what is settled: nothing else has what still waits or failed.
_FORGET = """
    UPDATE deliveries d SET head = NULL, body = NULL FROM sources s
    WHERE d.ledger = s.ledger AND d.source = s.source AND d.body IS NOT NULL
          AND d.state IN ('accepted', 'duplicate', 'ignored', 'discarded') AND d.next_try IS NULL
          AND d.received_at < now() - coalesce(s.retention_days, $1) * interval '1 day'
"""

# What was rejected goes as a whole, and sooner: nobody vouches for it.
_FORGET_REJECTED = """
    DELETE FROM deliveries
    WHERE state = 'rejected' AND body IS NOT NULL AND received_at < now() - $1 * interval '1 hour'
"""


async def put(
    pool: asyncpg.Pool, ledger: int, source: str, sender_id: str | None, size: int, head: bytes, body: bytes, reason: str | None
) -> int:  # fmt: skip
    """Store a delivery and return its number. With a `reason` it is rejected: kept, never translated."""
    number: int = await pool.fetchval(
        _PUT, ledger, source, storable(sender_id), size, head, body, storable(reason)
    )  # fmt: skip
    return number


async def listed(
    pool: asyncpg.Pool, ledger: int, source: str, before: int, limit: int, state: str | None
) -> list[Delivery]:
    """Return deliveries of a source before a number, newest first, without what was posted."""
    rows = await pool.fetch(_LISTED, ledger, source, before, limit, state)
    return [Delivery(*row) for row in rows]


async def one(pool: asyncpg.Pool, ledger: int, source: str, delivery: int) -> Delivery | None:
    """Return one delivery with what was posted."""
    row = await pool.fetchrow(_ONE, ledger, source, delivery)
    return Delivery(*row) if row else None


async def again(pool: asyncpg.Pool, ledger: int, source: str, delivery: int | None = None) -> int:
    """Have deliveries of a source translated again, as far as their bodies are there; return how many.

    What was discarded stays so, unless it is asked for by itself.
    """
    done = await pool.execute(_AGAIN, ledger, source, delivery)
    return int(done.split()[1])


async def discard(pool: asyncpg.Pool, ledger: int, source: str, delivery: int, reason: str) -> bool:
    """Take a delivery out: what it stated is stated no longer, and its records are translated again without it.

    The body and the reason are kept. The records are due since ever, by which the translator knows that a person has decided:
    what they give no longer is taken back, even where something else of them cannot be read. Returns whether there is such a
    delivery; one that was rejected states nothing anyway.
    """
    async with pool.acquire() as connection, connection.transaction():
        done = await connection.execute(_DISCARD, ledger, source, delivery, storable(reason))
        found = bool(done != "UPDATE 0")
        if found:
            await connection.execute(_UNSTATE, ledger, source, delivery)
            await audit.note(connection, ledger, "delivery.discarded", f"{source} {delivery}")
    return found


_COUNTS = """
    SELECT source, state, count(*), max(received_at) FROM deliveries WHERE ledger = $1
    GROUP BY source, state ORDER BY source, state
"""


class Count(NamedTuple):
    """How many deliveries of a source are in a state, and when the last of them came."""

    source: str
    state: str
    deliveries: int
    last: datetime


async def counts(connection: Queryable, ledger: int) -> list[Count]:
    """Return how many deliveries the sources of a ledger have in each state."""
    return [Count(*row) for row in await connection.fetch(_COUNTS, ledger)]


async def waiting(connection: Queryable) -> int:
    """Return how many deliveries are due."""
    count: int = await connection.fetchval(_WAITING)
    return count


async def forget(pool: asyncpg.Pool, days: int, rejected_hours: int) -> None:
    """Drop what was posted after its source's retention time, and what was rejected after a shorter one.

    What is not translated yet, and what failed, keeps its body: nothing else has it.
    """
    await pool.execute(_FORGET, days)
    await pool.execute(_FORGET_REJECTED, rejected_hours)


def storable(text: str | None) -> str | None:
    """Return a text as the database can hold it: a reason may quote what was posted."""
    return text and text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:_LONGEST_REASON]
