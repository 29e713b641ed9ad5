"""Work on the inbox: deliveries that are due are taken in hand, by a lock or by a lease, and settled.

    what asks nobody        claim (row locks, until the transaction ends) → settle
    what asks an API        lease (a time in the row, no transaction)     → held → settle, or give_back

A lock ends with its process and costs a connection meanwhile. A lease costs nothing while a slow API is asked; after a crash
it runs out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from service.store.database import Connection
from service.store.inbox import COLUMNS, Delivery, storable

MOST_ATTEMPTS = 12  # over some hours; a failed delivery is listed before and after
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 3600.0  # seconds


class Settled(NamedTuple):
    """What became of a delivery; `again` says whether it is worth trying later."""

    ledger: int
    delivery: int
    state: str
    reason: str | None = None
    again: bool = False


_FREE = "next_try <= now() AND (leased_until IS NULL OR leased_until <= now())"

# The ledgers with free deliveries, of those that ask an API or of the others, the one that has waited longest first.
_LEDGERS_DUE = f"SELECT ledger FROM deliveries WHERE asks = $1 AND {_FREE} GROUP BY ledger ORDER BY min(next_try)"


def _due(columns: str, which: str) -> str:
    """Return the statement for free deliveries of a ledger, those that came first first, up to a number and so many bytes.

    SKIP LOCKED passes over what another process has in hand: without it, each one would wait for whoever came first, only to
    find its deliveries settled.
    """
    return f"""
        SELECT {columns} FROM (
            SELECT *, sum(size) OVER (ORDER BY next_try, delivery) - size AS before FROM (
                SELECT * FROM deliveries WHERE ledger = $1 AND {which} AND {_FREE} ORDER BY next_try, delivery LIMIT $2
                FOR UPDATE SKIP LOCKED
            ) locked
        ) d WHERE before < $3
    """


# Deliveries that ask nobody, locked until the transaction ends: a crash gives them back at once.
_CLAIM = f"{_due(COLUMNS, 'NOT asks')} ORDER BY next_try, delivery"

# Deliveries whose sender's API has to be asked wait in a line of their own, so that a slow one holds up nobody else.
_SET_ASKING = """
    UPDATE deliveries d SET asks = true FROM unnest($1::integer[], $2::bigint[]) AS a (ledger, delivery)
    WHERE d.ledger = a.ledger AND d.delivery = a.delivery
"""

# Deliveries of the source that has waited longest are marked with the end of their lease. No lock stays behind: one kept for
# as long as an API may take would keep a connection too.
_OF_NEXT_SOURCE = f"""
    asks AND source = (
        SELECT source FROM deliveries WHERE ledger = $1 AND asks AND {_FREE} ORDER BY next_try, delivery LIMIT 1
    )
"""
_LEASE = f"""
    UPDATE deliveries d SET leased_until = now() + $4 * interval '1 second'
    FROM ({_due("delivery AS number", _OF_NEXT_SOURCE)}) due
    WHERE d.ledger = $1 AND d.delivery = due.number
    RETURNING {COLUMNS}
"""

# Those of leased deliveries that still have the very lease, locked until they are settled. Whoever comes after the lease has run
# out would else overwrite what the next one has made of them, or what an administrator has decided meanwhile.
_HELD = """
    SELECT d.delivery FROM deliveries d
    JOIN unnest($2::bigint[], $3::timestamptz[]) AS l (delivery, until)
    ON d.delivery = l.delivery AND d.leased_until = l.until WHERE d.ledger = $1 ORDER BY d.delivery FOR UPDATE OF d
"""

# Leases end before their time, those that are still the same.
_GIVE_BACK = """
    UPDATE deliveries d SET leased_until = NULL
    FROM unnest($2::bigint[], $3::timestamptz[]) AS l (delivery, until)
    WHERE d.ledger = $1 AND d.delivery = l.delivery AND d.leased_until = l.until
"""

# What became of deliveries, and when the next attempt is: after a pause that doubles, so that what cannot work yet costs little.
_SETTLE = f"""
    UPDATE deliveries d SET state = s.state, reason = s.reason, attempts = d.attempts + 1, settled_at = now(),
           leased_until = NULL,
           next_try = CASE WHEN s.again AND d.attempts + 1 < {MOST_ATTEMPTS} THEN
               now() + least({_FIRST_PAUSE} * 2 ^ d.attempts, {_LONGEST_PAUSE}) * interval '1 second' END
    FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::boolean[])
         AS s (ledger, delivery, state, reason, again)
    WHERE d.ledger = s.ledger AND d.delivery = s.delivery
"""

# Failed deliveries of records that do so no longer are due. SKIP LOCKED, because the deliveries that are just being translated
# are locked by another connection, which goes on when this one, with its records, is done: to wait for them would be a
# deadlock that the database cannot see, for ever.
_HEALED = """
    UPDATE deliveries SET next_try = now() WHERE ledger = $1 AND delivery IN (
        SELECT d.delivery FROM deliveries d
        WHERE d.ledger = $1 AND d.source = $2 AND d.state = 'failed' AND d.body IS NOT NULL AND d.delivery IN (
            SELECT s.delivery FROM records r JOIN statements s USING (ledger, source, record)
            WHERE r.ledger = $1 AND r.source = $2 AND r.record = ANY($3) AND r.state = 'failed'
        )
        ORDER BY d.delivery FOR UPDATE OF d SKIP LOCKED
    )
"""


async def ledgers_due(pool: asyncpg.Pool, *, asks: bool) -> list[int]:
    """Return the ledgers that have deliveries due – those that ask a sender's API, or the others – longest waiting first."""
    return [row[0] for row in await pool.fetch(_LEDGERS_DUE, asks)]


async def claim(connection: Connection, ledger: int, limit: int, size: int) -> list[Delivery]:
    """Lock deliveries of a ledger that are due and ask nobody. The transaction ends the claim, and so does a crash."""
    rows = await connection.fetch(_CLAIM, ledger, limit, size)
    return [Delivery(*row) for row in rows]


async def set_asking(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Note that the API of their sender has to be asked for deliveries: they are due as before, to whoever asks."""
    if deliveries:
        await connection.execute(
            _SET_ASKING, [one.ledger for one in deliveries], [one.delivery for one in deliveries]
        )  # fmt: skip


async def lease(pool: asyncpg.Pool, ledger: int, limit: int, size: int, seconds: float) -> list[Delivery]:
    """Take deliveries of one source of a ledger that ask its API, without a lock, for so many seconds.

    Whoever holds them and ends, loses them then, and whoever is too late finds that they are not theirs (`held`).
    """
    rows = await pool.fetch(_LEASE, ledger, limit, size, seconds)
    return sorted((Delivery(*row) for row in rows), key=lambda one: one.delivery)


async def held(connection: Connection, leased: Sequence[Delivery]) -> list[Delivery]:
    """Lock those of leased deliveries whose lease still holds, and return them."""
    rows = await connection.fetch(_HELD, leased[0].ledger, *_leases(leased))
    still = {row[0] for row in rows}
    return [one for one in leased if one.delivery in still]


async def give_back(pool: asyncpg.Pool, leased: Sequence[Delivery]) -> None:
    """End leases: the deliveries are due at once, as if nobody had taken them."""
    if leased:
        await pool.execute(_GIVE_BACK, leased[0].ledger, *_leases(leased))


def _leases(leased: Sequence[Delivery]) -> tuple[list[int], list[datetime | None]]:
    return [one.delivery for one in leased], [one.leased_until for one in leased]


async def settle(connection: Connection, settled: Sequence[Settled]) -> None:
    """Note what became of deliveries; those worth another try come back after a pause that doubles."""
    if settled:
        told = [one._replace(reason=storable(one.reason)) for one in settled]
        await connection.execute(_SETTLE, *zip(*told, strict=True))


async def healed(connection: Connection, ledger: int, source: str, names: Collection[str]) -> None:
    """Have failed deliveries settled again whose records failed and do so no longer. Those in work are left to their worker."""
    await connection.execute(_HEALED, ledger, source, list(names))
