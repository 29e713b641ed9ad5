"""The inbox: every delivery as it came, until it is translated; and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from service.store.database import Connection

STATES = ("received", "accepted", "duplicate", "ignored", "rejected", "failed", "discarded")
MOST_ATTEMPTS = 12  # over some hours; a failed delivery is listed before and after
_LONGEST_REASON = 2_000
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 3600.0  # seconds

Pool = asyncpg.Pool | Connection


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


class Settled(NamedTuple):
    """What became of a delivery; `again` says whether it is worth trying later."""

    ledger: int
    delivery: int
    state: str
    reason: str | None = None
    again: bool = False


_COLUMNS = ", ".join(Delivery._fields)
_LISTED = _COLUMNS.replace("head, body", "NULL::bytea, NULL::bytea")


async def put(
    pool: asyncpg.Pool, ledger: int, source: str, sender_id: str | None, size: int, head: bytes, body: bytes, reason: str | None
) -> int:  # fmt: skip
    """Store a delivery and return its number. With a `reason` it is rejected: kept, never translated."""
    number: int = await pool.fetchval(
        """
        INSERT INTO deliveries (ledger, source, sender_id, size, head, body, state, reason, next_try)
        VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::text IS NULL THEN 'received' ELSE 'rejected' END, $7,
                CASE WHEN $7::text IS NULL THEN now() END)
        RETURNING delivery
        """,
        ledger, source, _storable(sender_id), size, head, body, _storable(reason),
    )  # fmt: skip
    return number


_FREE = "next_try <= now() AND (leased_until IS NULL OR leased_until <= now())"


async def ledgers_due(pool: asyncpg.Pool, *, asks: bool) -> list[int]:
    """Return the ledgers that have deliveries due – those that ask a sender's API, or the others – longest waiting first."""
    rows = await pool.fetch(
        f"SELECT ledger FROM deliveries WHERE asks = $1 AND {_FREE} GROUP BY ledger ORDER BY min(next_try)",
        asks,
    )
    return [row[0] for row in rows]


# Deliveries of a ledger that nobody has in hand, those that came first first, up to a number and about so many bytes.
_DUE = f"""
    SELECT {{columns}} FROM (
        SELECT *, sum(size) OVER (ORDER BY next_try, delivery) - size AS before FROM (
            SELECT * FROM deliveries WHERE ledger = $1 AND {{which}} AND {_FREE} ORDER BY next_try, delivery LIMIT $2
            FOR UPDATE SKIP LOCKED
        ) locked
    ) d WHERE before < $3
"""


async def claim(connection: Connection, ledger: int, limit: int, size: int) -> list[Delivery]:
    """Lock deliveries of a ledger that are due and ask nobody. The transaction ends the claim, and so does a crash."""
    rows = await connection.fetch(
        f"{_DUE.format(columns=_COLUMNS, which='NOT asks')} ORDER BY next_try, delivery", ledger, limit, size
    )
    return [Delivery(*row) for row in rows]


async def set_asking(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Note that the API of their sender has to be asked for deliveries: they are due as before, to whoever asks."""
    if not deliveries:
        return
    await connection.execute(
        """
        UPDATE deliveries d SET asks = true FROM unnest($1::integer[], $2::bigint[]) AS a (ledger, delivery)
        WHERE d.ledger = a.ledger AND d.delivery = a.delivery
        """,
        [one.ledger for one in deliveries], [one.delivery for one in deliveries],
    )  # fmt: skip


async def lease(pool: asyncpg.Pool, ledger: int, limit: int, size: int, seconds: float) -> list[Delivery]:
    """Take deliveries of one source of a ledger that ask its API, without a lock, for so many seconds.

    Whoever holds them and ends, loses them then, and whoever is too late finds that they are not theirs (`held`).
    """
    which = f"""
        asks AND source = (
            SELECT source FROM deliveries WHERE ledger = $1 AND asks AND {_FREE} ORDER BY next_try, delivery LIMIT 1
        )
    """
    rows = await pool.fetch(
        f"""
        UPDATE deliveries d SET leased_until = now() + $4 * interval '1 second'
        FROM ({_DUE.format(columns="delivery AS number", which=which)}) due
        WHERE d.ledger = $1 AND d.delivery = due.number
        RETURNING {_COLUMNS}
        """,
        ledger, limit, size, seconds,
    )  # fmt: skip
    return sorted((Delivery(*row) for row in rows), key=lambda one: one.delivery)


async def held(connection: Connection, leased: Sequence[Delivery]) -> list[Delivery]:
    """Lock those of leased deliveries whose lease still holds, and return them."""
    rows = await connection.fetch(
        """
        SELECT d.delivery FROM deliveries d
        JOIN unnest($2::bigint[], $3::timestamptz[]) AS l (delivery, until)
        ON d.delivery = l.delivery AND d.leased_until = l.until WHERE d.ledger = $1 ORDER BY d.delivery FOR UPDATE OF d
        """,
        leased[0].ledger, [one.delivery for one in leased], [one.leased_until for one in leased],
    )  # fmt: skip
    still = {row[0] for row in rows}
    return [one for one in leased if one.delivery in still]


async def give_back(pool: asyncpg.Pool, leased: Sequence[Delivery]) -> None:
    """End leases: the deliveries are due at once, as if nobody had taken them."""
    if leased:
        await pool.execute(
            """
            UPDATE deliveries d SET leased_until = NULL
            FROM unnest($2::bigint[], $3::timestamptz[]) AS l (delivery, until)
            WHERE d.ledger = $1 AND d.delivery = l.delivery AND d.leased_until = l.until
            """,
            leased[0].ledger, [one.delivery for one in leased], [one.leased_until for one in leased],
        )  # fmt: skip


async def settle(connection: Connection, settled: Sequence[Settled]) -> None:
    """Note what became of deliveries; those worth another try come back after a pause that doubles."""
    if not settled:
        return
    await connection.execute(
        f"""
        UPDATE deliveries d SET state = s.state, reason = s.reason, attempts = d.attempts + 1, settled_at = now(),
               leased_until = NULL,
               next_try = CASE WHEN s.again AND d.attempts + 1 < {MOST_ATTEMPTS} THEN
                   now() + least({_FIRST_PAUSE} * 2 ^ d.attempts, {_LONGEST_PAUSE}) * interval '1 second' END
        FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::boolean[])
             AS s (ledger, delivery, state, reason, again)
        WHERE d.ledger = s.ledger AND d.delivery = s.delivery
        """,
        *zip(*(one._replace(reason=_storable(one.reason)) for one in settled), strict=True),
    )


def _storable(text: str | None) -> str | None:
    """Return a text as the database can hold it: a reason may quote what was posted."""
    return text and text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:_LONGEST_REASON]


async def listed(
    pool: asyncpg.Pool, ledger: int, source: str, before: int, limit: int, state: str | None
) -> list[Delivery]:
    """Return deliveries of a source before a number, newest first, without what was posted."""
    rows = await pool.fetch(
        f"""
        SELECT {_LISTED} FROM deliveries
        WHERE ledger = $1 AND source = $2 AND delivery < $3 AND ($5::text IS NULL OR state = $5)
        ORDER BY delivery DESC LIMIT $4
        """,
        ledger, source, before, limit, state,
    )  # fmt: skip
    return [Delivery(*row) for row in rows]


async def one(pool: asyncpg.Pool, ledger: int, source: str, delivery: int) -> Delivery | None:
    """Return one delivery with what was posted."""
    row = await pool.fetchrow(
        f"SELECT {_COLUMNS} FROM deliveries WHERE ledger = $1 AND source = $2 AND delivery = $3",
        ledger,
        source,
        delivery,
    )
    return Delivery(*row) if row else None


async def again(pool: asyncpg.Pool, ledger: int, source: str, delivery: int | None = None) -> int:
    """Have deliveries of a source translated again, as far as their bodies are there; return how many.

    What was discarded stays so, unless it is asked for by itself.
    """
    done = await pool.execute(
        """
        UPDATE deliveries SET next_try = now(), attempts = 0, leased_until = NULL
        WHERE ledger = $1 AND source = $2 AND ($3::bigint IS NULL OR delivery = $3) AND body IS NOT NULL
              AND state <> 'rejected' AND (state <> 'discarded' OR delivery = $3)
        """,
        ledger, source, delivery,
    )  # fmt: skip
    return int(done.split()[1])


async def discard(pool: asyncpg.Pool, ledger: int, source: str, delivery: int, reason: str) -> bool:
    """Take a delivery out: what it stated is stated no longer, and its records are translated again without it.

    The body and the reason are kept. The records are due since ever, by which the translator knows that a person has decided:
    what they give no longer is taken back, even where something else of them cannot be read. Returns whether there is such a
    delivery; one that was rejected states nothing anyway.
    """
    async with pool.acquire() as connection, connection.transaction():
        done = await connection.execute(
            """
            UPDATE deliveries SET state = 'discarded', reason = $4, next_try = NULL, leased_until = NULL, settled_at = now()
            WHERE ledger = $1 AND source = $2 AND delivery = $3 AND state <> 'rejected'
            """,
            ledger, source, delivery, _storable(reason),
        )  # fmt: skip
        await connection.execute(
            """
            WITH gone AS (DELETE FROM statements WHERE ledger = $1 AND delivery = $3 AND $4 RETURNING record)
            UPDATE records SET due = CASE WHEN record IN (SELECT record FROM gone) THEN '-infinity' ELSE now() END
            WHERE ledger = $1 AND source = $2
                   AND (record IN (SELECT record FROM gone) OR lookups && ARRAY(SELECT record FROM gone))
            """,
            ledger, source, delivery, done != "UPDATE 0",
        )  # fmt: skip
    return bool(done != "UPDATE 0")


async def healed(connection: Connection, ledger: int, source: str, names: Collection[str]) -> None:
    """Have failed deliveries settled again whose records failed and do so no longer. Those in work are left to their worker."""
    await connection.execute(
        """
        UPDATE deliveries SET next_try = now() WHERE ledger = $1 AND delivery IN (
            SELECT d.delivery FROM deliveries d
            WHERE d.ledger = $1 AND d.source = $2 AND d.state = 'failed' AND d.body IS NOT NULL AND d.delivery IN (
                SELECT s.delivery FROM records r JOIN statements s USING (ledger, source, record)
                WHERE r.ledger = $1 AND r.source = $2 AND r.record = ANY($3) AND r.state = 'failed'
            )
            ORDER BY d.delivery FOR UPDATE OF d SKIP LOCKED
        )
        """,
        ledger, source, list(names),
    )  # fmt: skip


async def waiting(pool: asyncpg.Pool) -> int:
    """Return how many deliveries are due."""
    count: int = await pool.fetchval("SELECT count(*) FROM deliveries WHERE next_try <= now()")
    return count


async def forget(pool: asyncpg.Pool, days: int, rejected_hours: int) -> None:
    """Drop what was posted after its source's retention time, and what was rejected after a shorter one.

    What is not translated yet, and what failed, keeps its body: nothing else has it.
    """
    await pool.execute(
        """
        UPDATE deliveries d SET head = NULL, body = NULL FROM sources s
        WHERE d.ledger = s.ledger AND d.source = s.source AND d.body IS NOT NULL
              AND d.state IN ('accepted', 'duplicate', 'ignored', 'discarded') AND d.next_try IS NULL
              AND d.received_at < now() - coalesce(s.retention_days, $1) * interval '1 day'
        """,
        days,
    )
    await pool.execute(
        """
        DELETE FROM deliveries
        WHERE state = 'rejected' AND body IS NOT NULL AND received_at < now() - $1 * interval '1 hour'
        """,
        rejected_hours,
    )
