"""Continuous proof: the hash chain over the log, dense positions, and balances that are the sums of their postings."""

from __future__ import annotations

from typing import NamedTuple

import asyncpg

from service.domain.component import MEASURES
from service.projections.balances import column
from service.projections.definition import BALANCE, BUCKETED, SOME_BALANCE, SUMMED
from service.projections.reading import serving
from service.store import log
from service.store.ledgers import Ledger


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
    computed, expected, hole = log.Chain(), 0, None
    async for row in log.read_all(pool, ledger.ledger):
        expected += 1
        if row.position != expected and hole is None:
            hole = expected
        computed.add(row)
        if row.position >= head:
            break
    dense = hole is None and expected == head
    detail = (
        f"{head} events, positions 1 to {head}"
        if dense
        else f"position {hole or expected + 1} is missing, head is {head}"
    )
    good = computed.value() == chain
    return [
        Finding("density", dense, detail),
        Finding(
            "hash chain", good, chain.hex() if good else f"stored {chain.hex()}, computed {computed.value().hex()}"
        ),
    ]


async def _balances(pool: asyncpg.Pool, ledger: Ledger) -> Finding:
    """Compare every balance and histogram with the sum of its postings."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        generation, checkpoint = await serving(connection, ledger)
        wrong = await connection.fetchval(WRONG, ledger.ledger, generation, 0, checkpoint, timeout=3600)
        cells = await connection.fetchval(
            "SELECT count(*) FROM balances WHERE ledger = $1 AND generation = $2", ledger.ledger, generation
        )
    good = f"{cells} balances are the sums of their postings, up to position {checkpoint}"
    return Finding("balances", not wrong, f"{wrong} cells differ from their postings" if wrong else good)


async def _conserved(pool: asyncpg.Pool, ledger: Ledger) -> Finding:
    """Compare the postings of the whole ledger with the sums over campaigns, unattributed included."""
    wrong = await pool.fetch(CONSERVED, ledger.ledger, timeout=3600)
    names = ", ".join(row[0] for row in wrong)
    return Finding("conservation", not wrong, f"differs for {names}" if wrong else "attributed + unattributed = total")


_KEY = "basis, cube, grain, start, segment"
_BUCKETS = "basis, start, segment, measure, bucket, amount"


def _apart(measures: str, some: str, stored: str, computed: str) -> str:
    pair = [f"SELECT {measures} FROM {stored} AND {some}", f"SELECT {measures} FROM {computed} WHERE {some}"]
    return " + ".join(f"(SELECT count(*) FROM ({one} EXCEPT {other}) missing)" for one, other in (pair, reversed(pair)))


WRONG = f"""
    WITH {SUMMED}, {BUCKETED}
    SELECT {_apart(f"{_KEY}, {BALANCE}", SOME_BALANCE, "balances WHERE ledger = $1 AND generation = $2", "summed")}
         + {_apart(_BUCKETS, "amount <> 0", "histograms WHERE ledger = $1 AND generation = $2", "bucketed")}
"""

# By measure: all postings of the ledger against what its campaigns' and unattributed balances add up to.
CONSERVED = f"""
    WITH serving AS (
        SELECT ledger, generation, checkpoint FROM generations WHERE ledger = $1 AND state = 'serving'
    ),
    balanced AS (
        SELECT m.measure, sum(m.amount) AS amount FROM balances JOIN serving USING (ledger, generation)
        CROSS JOIN LATERAL (VALUES {", ".join(f"('{measure}', {column(measure)})" for measure in MEASURES)}) m (measure, amount)
        WHERE cube = 'c' AND grain = 'y' AND basis = 'e' GROUP BY 1
    ),
    posted AS (
        SELECT measure, sum(postings.amount) AS amount FROM postings JOIN serving USING (ledger, generation)
        WHERE position <= checkpoint GROUP BY 1
    )
    SELECT measure FROM posted JOIN balanced USING (measure) WHERE posted.amount <> coalesce(balanced.amount, 0)
"""
