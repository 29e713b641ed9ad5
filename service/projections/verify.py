"""Continuous proof: the hash chain over the log, dense positions, and balances that are the sums of their postings."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg

from service.projections.tables import LISTS, SUMMED
from service.store import log
from service.store.ledgers import Ledger

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Finding(NamedTuple):
    """The outcome of one check."""

    check: str
    good: bool
    detail: str


async def verify(pool: asyncpg.Pool, ledger: Ledger) -> list[Finding]:
    """Check one ledger; every finding says what was checked and, where it is bad, what is wrong."""
    return [*await _log(pool, ledger), await _balances(pool, ledger), await _conserved(pool, ledger)]


async def _log(pool: asyncpg.Pool, ledger: Ledger) -> list[Finding]:
    head, _, chain = await log.head(pool, ledger.ledger)
    computed, expected, hole = hashlib.sha256(b"").digest(), 0, None
    async for row in log.read_all(pool, ledger.ledger):
        expected += 1
        if row.position != expected and hole is None:
            hole = expected
        stamp = (row.recorded_at - _EPOCH) // timedelta(microseconds=1)
        digest = log.digest_of(
            row.source, row.id, row.type, row.time, row.subject, row.dataschema, row.fingerprint, row.data.encode(),
            row.extensions.encode() if row.extensions else None,
        )  # fmt: skip
        computed = hashlib.sha256(computed + digest + stamp.to_bytes(8, "big", signed=True)).digest()
        if row.position >= head:
            break
    dense = hole is None and expected == head
    detail = (
        f"{head} events, positions 1 to {head}"
        if dense
        else f"position {hole or expected + 1} is missing, head is {head}"
    )
    good = computed == chain
    return [
        Finding("density", dense, detail),
        Finding("hash chain", good, chain.hex() if good else f"stored {chain.hex()}, computed {computed.hex()}"),
    ]


async def _balances(pool: asyncpg.Pool, ledger: Ledger) -> Finding:
    """Compare every balance with the sum of its postings."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(
            "SELECT generation, settled, checkpoint FROM generations WHERE ledger = $1 AND state = 'serving'",
            ledger.ledger,
        )
        generation, settled, checkpoint = row
        wrong = await connection.fetchval(
            WRONG_BALANCES, ledger.ledger, generation, 0, settled, list(LISTS), timeout=3600
        )
        cells = await connection.fetchval(
            "SELECT count(*) FROM balances WHERE ledger = $1 AND generation = $2", ledger.ledger, generation
        )
    detail = f"{cells} cells are the sums of their postings, up to position {checkpoint}"
    return Finding(
        "balances", not wrong, detail if not wrong else f"{wrong} of {cells} cells differ from their postings"
    )


async def _conserved(pool: asyncpg.Pool, ledger: Ledger) -> Finding:
    """Compare the sums over segments with those over campaigns, unattributed included, for every measure."""
    wrong = await pool.fetch(
        """
        SELECT measure FROM balances JOIN generations USING (ledger, generation)
        WHERE ledger = $1 AND state = 'serving' AND grain = 'y'
        GROUP BY measure HAVING sum(CASE cube WHEN 'c' THEN amount ELSE -amount END) <> 0
        """,
        ledger.ledger,
    )
    names = ", ".join(row[0] for row in wrong)
    return Finding("conservation", not wrong, f"differs for {names}" if wrong else "attributed + unattributed = total")


WRONG_BALANCES = f"""
    WITH {SUMMED},
    stored AS (
        SELECT basis, cube, grain, measure, start, segment, bucket, amount, total FROM balances
        WHERE ledger = $1 AND generation = $2 AND (amount <> 0 OR total <> 0)
    ),
    computed AS (
        SELECT basis, cube, grain, measure, start, segment, bucket, amount, total FROM summed WHERE amount <> 0 OR total <> 0
    )
    SELECT (SELECT count(*) FROM (SELECT * FROM stored EXCEPT SELECT * FROM computed) a)
         + (SELECT count(*) FROM (SELECT * FROM computed EXCEPT SELECT * FROM stored) b)
"""  # noqa: S608  constant text
