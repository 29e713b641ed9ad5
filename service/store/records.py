"""The records of senders' systems: how each stands, which is locked while it is translated, and which is due again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec

from service.store.database import Connection
from service.store.rows import encode_json

_LEASE = "30 seconds"


class Noted(NamedTuple):
    """How a record stands: translated, waiting or failed, why, with what money, and with which others it was translated."""

    record: str
    state: str
    reasons: list[str]
    amounts: Sequence[Mapping[str, str]] = ()
    lookups: Sequence[str] = ()


# Records locked until the transaction ends. An upsert, because those not known yet have to be locked too: two processes would
# else both give the first events of a new record. In one order for everybody: two that each hold what the other one waits for
# would be a deadlock.
_LOCK = """
    INSERT INTO records (ledger, source, record) SELECT $1, $2, r FROM unnest($3::text[]) AS r ORDER BY r COLLATE "C"
    ON CONFLICT (ledger, source, record) DO UPDATE SET due = records.due
"""

# How records stand, and since when: a state that stays keeps its beginning.
_NOTE = """
    UPDATE records r SET state = n.state, reasons = n.reasons::json, amounts = n.amounts::json,
           lookups = ARRAY(SELECT json_array_elements_text(n.lookups::json)),
           since = CASE WHEN r.state = n.state THEN r.since ELSE now() END
    FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
         AS n (record, state, reasons, amounts, lookups)
    WHERE r.ledger = $1 AND r.source = $2 AND r.record = n.record
"""

# Records that were translated with others are due. They are locked in the order of _LOCK, or the two could be a deadlock.
# `lookups <> '{}'` follows from what stands behind it, but is by what PostgreSQL finds the partial index.
_WAKE = """
    UPDATE records r SET due = least(due, now()) FROM (
        SELECT ledger, source, record FROM records
        WHERE ledger = $1 AND source = $2 AND lookups <> '{}' AND lookups && $3::text[] AND record <> ALL ($3::text[])
        ORDER BY record FOR UPDATE
    ) c
    WHERE r.ledger = c.ledger AND r.source = c.source AND r.record = c.record
"""

_DUE = "UPDATE records SET due = least(due, now()) WHERE ledger = $1 AND source = $2 AND record = ANY($3)"

_LISTED = """
    SELECT record, state, reasons, amounts FROM records
    WHERE ledger = $1 AND source = $2 AND record > $3 AND ($5::text IS NULL OR state = $5) ORDER BY record LIMIT $4
"""

# Records whose deliveries have lost their bodies: no delivery will bring them up, so that they are due themselves.
_AGAIN = """
    UPDATE records r SET due = least(due, now()) WHERE ledger = $1 AND source = $2 AND NOT EXISTS (
        SELECT FROM statements s JOIN deliveries d ON d.ledger = s.ledger AND d.delivery = s.delivery
        WHERE s.ledger = r.ledger AND s.source = r.source AND s.record = r.record AND d.body IS NOT NULL
    )
"""

_LEDGERS_DUE = "SELECT ledger FROM records WHERE due <= now() GROUP BY ledger ORDER BY min(due)"

# Records that are due, leased by making them due again soon: after a crash they come back by themselves. SKIP LOCKED, or each
# process would wait for what another one is just taking, only to find it taken.
_CLAIM = f"""
    UPDATE records r SET due = now() + interval '{_LEASE}' FROM (
        SELECT source, record, due FROM records WHERE ledger = $1 AND due <= now() ORDER BY due LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) c
    WHERE r.ledger = $1 AND r.source = c.source AND r.record = c.record
    RETURNING r.ledger, r.source, r.record, r.due, c.due = '-infinity'
"""

# Claimed records are due no longer – if it is the claim that made them due last: what was woken since would else sleep on.
_DONE = """
    UPDATE records r SET due = NULL
    FROM unnest($1::integer[], $2::text[], $3::text[], $4::timestamptz[]) AS c (ledger, source, record, lease)
    WHERE r.ledger = c.ledger AND r.source = c.source AND r.record = c.record AND r.due = c.lease
"""


async def lock(connection: Connection, ledger: int, source: str, records: Collection[str]) -> None:
    """Lock records until the transaction ends, in one order for everybody; those not known yet are made."""
    await connection.execute(_LOCK, ledger, source, sorted(set(records)))


async def note(connection: Connection, ledger: int, source: str, notes: Sequence[Noted]) -> None:
    """Note how records stand."""
    if notes:
        await connection.execute(
            _NOTE, ledger, source, [one.record for one in notes], [one.state for one in notes],
            _json(one.reasons for one in notes), _json(one.amounts for one in notes), _json(one.lookups for one in notes),
        )  # fmt: skip


def _json(values: Iterable[Sequence[object]]) -> list[str]:
    return [encode_json(list(value)).decode() for value in values]


async def wake(pool: asyncpg.Pool, ledger: int, source: str, names: Collection[str]) -> None:
    """Have the records translated again that were translated with others of these names."""
    await pool.execute(_WAKE, ledger, source, list(names))


async def due(pool: asyncpg.Pool, ledger: int, source: str, names: Collection[str]) -> None:
    """Have records translated again."""
    await pool.execute(_DUE, ledger, source, sorted(names))


async def listed(
    pool: asyncpg.Pool, ledger: int, source: str, after: str, limit: int, state: str | None
) -> list[Noted]:
    """Return how records of a source stand, those after a name, in the order of names."""
    rows = await pool.fetch(_LISTED, ledger, source, after, limit, state)
    return [Noted(row[0], row[1], msgspec.json.decode(row[2]), msgspec.json.decode(row[3])) for row in rows]


async def again(pool: asyncpg.Pool, ledger: int, source: str) -> int:
    """Have those records translated again that no delivery with a body will bring up; return how many."""
    done = await pool.execute(_AGAIN, ledger, source)
    return int(done.split()[1])


async def ledgers_due(pool: asyncpg.Pool) -> list[int]:
    """Return the ledgers that have records to be translated again, longest waiting first."""
    return [row[0] for row in await pool.fetch(_LEDGERS_DUE)]


class Claimed(NamedTuple):
    """A record that is to be translated again. Whoever takes it and fails, loses it when the lease ends.

    `discarded`: a person has taken out something that was stated of it.
    """

    ledger: int
    source: str
    record: str
    lease: datetime
    discarded: bool


async def claim(pool: asyncpg.Pool, ledger: int, limit: int) -> list[Claimed]:
    """Claim records that are due."""
    return [Claimed(*row) for row in await pool.fetch(_CLAIM, ledger, limit)]


async def done(pool: asyncpg.Pool, claimed: Sequence[Claimed]) -> None:
    """Make claimed records due no longer, unless they were made due again meanwhile."""
    await pool.execute(_DONE, *zip(*(one[:4] for one in claimed), strict=True))
