"""Continuous proof: the hash chain, dense positions, balances = sums of postings, conservation, and journeys folded afresh."""

from __future__ import annotations

import json
from datetime import datetime
from typing import NamedTuple

import asyncpg

from service.domain.contributions import READ_MODEL_VERSION
from service.domain.layout import Layout
from service.domain.postings import LISTS
from service.projections.engine.lag import lags
from service.projections.generations.refold_proof import fold_afresh
from service.projections.reports.reading import serving
from service.projections.sums import closings
from service.projections.sums.balance_sql import BUCKETED, PLACE, balance, quoted, some_balance, summed
from service.store.ledgers import Ledger
from service.store.log import feed, heads
from service.store.log.chain import Chain


class Finding(NamedTuple):
    """The outcome of one check."""

    check: str
    good: bool
    detail: str


class Anchor(NamedTuple):
    """The head of a ledger's chain at some moment: whoever keeps it can hold the log to it later."""

    ledger: str
    position: int
    chain: str
    recorded_at: str | None


async def anchor(pool: asyncpg.Pool, ledger: Ledger) -> Anchor:
    """Return the head of a ledger's chain."""
    position, recorded_at, chain = await heads.head(pool, ledger.ledger)
    return Anchor(ledger.name, position, chain.hex(), recorded_at.isoformat() if recorded_at else None)


async def verify(
    pool: asyncpg.Pool,
    ledger: Ledger,
    *,
    against: Anchor | None = None,
    deep: bool = False,
    sample: int | None = None,
) -> list[Finding]:
    """Check one ledger; every finding says what was checked and, where it is bad, what is wrong.

    `against` is an earlier anchor that the log has to go through. `deep` folds journeys afresh: those of `sample` events
    chosen at random, or all (None).
    """
    findings = [
        *await _log(pool, ledger, against),
        await _projected(pool, ledger),
        await _balances(pool, ledger),
        await _conserved(pool, ledger),
    ]
    version = (await serving(pool, ledger)).version
    if deep and version != READ_MODEL_VERSION:
        told = f"journeys are not folded: the figures are of definitions {version}, and this release has {READ_MODEL_VERSION}"
        findings.append(Finding("definitions", True, told))
    elif deep:
        folded = await fold_afresh(pool, ledger, sample)
        findings.append(Finding("fresh fold", not folded.wrong, folded.detail))
    return findings


async def record(pool: asyncpg.Pool, ledger: Ledger, findings: list[Finding]) -> None:
    """Keep a proof as the last one of its ledger."""
    await pool.execute(
        """
        INSERT INTO proofs (ledger, position, good, deep, findings) SELECT $1, position, $2, $3, $4 FROM heads WHERE ledger = $1
        ON CONFLICT (ledger) DO UPDATE SET checked_at = now(), position = excluded.position, good = excluded.good,
            deep = excluded.deep, findings = excluded.findings
        """,
        ledger.ledger, all(one.good for one in findings), any(one.check == "fresh fold" for one in findings),
        json.dumps([one._asdict() for one in findings]),
    )  # fmt: skip


class Proof(NamedTuple):
    """The last proof of a ledger."""

    ledger: str
    checked_at: datetime
    position: int
    good: bool
    deep: bool
    findings: list[Finding]


async def last_proofs(pool: asyncpg.Pool, ledger: int | None = None) -> list[Proof]:
    """Return the last proof of each ledger, or of one, that has one."""
    rows = await pool.fetch(
        """
        SELECT l.name, p.checked_at, p.position, p.good, p.deep, p.findings FROM proofs p JOIN ledgers l USING (ledger)
        WHERE coalesce(l.ledger = $1, true) ORDER BY l.ledger
        """,
        ledger,
    )
    found = [(*row[:5], [Finding(**one) for one in json.loads(row[5])]) for row in rows]
    return [Proof._make(one) for one in found]


async def _log(pool: asyncpg.Pool, ledger: Ledger, against: Anchor | None) -> list[Finding]:
    head, _, chain = await heads.head(pool, ledger.ledger)
    computed, expected, hole = Chain(), 0, None
    anchored = computed.value() if against and against.position == 0 else None
    async for row in feed.read_all(pool, ledger.ledger):
        expected += 1
        if row.position != expected and hole is None:
            hole = expected
        computed.add(row)
        if against and row.position == against.position:
            anchored = computed.value()
        if row.position >= head:
            break
    dense = hole is None and expected == head
    detail = (
        f"{head} events, positions 1 to {head}"
        if dense
        else f"position {hole or expected + 1} is missing, head is {head}"
    )
    good = computed.value() == chain
    findings = [
        Finding("density", dense, detail),
        Finding(
            "hash chain", good, chain.hex() if good else f"stored {chain.hex()}, computed {computed.value().hex()}"
        ),
    ]
    return [*findings, _anchored(against, anchored)] if against else findings


def _anchored(against: Anchor, computed: bytes | None) -> Finding:
    if computed is None:
        return Finding("anchor", False, f"the log ends before position {against.position}, which the anchor has seen")
    if computed.hex() != against.chain:
        told = f"the events up to position {against.position} are not those of the anchor: {computed.hex()}, not {against.chain}"
        return Finding("anchor", False, told)
    return Finding("anchor", True, f"the log goes through position {against.position} as anchored")


async def _balances(pool: asyncpg.Pool, ledger: Ledger) -> Finding:
    """Compare every balance and histogram with the sum of its postings."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        served = await serving(connection, ledger)
        generation = served.generation
        kept = served.layout
        wrong = await connection.fetchval(_wrong(kept), ledger.ledger, generation, 0, served.settled, timeout=3600)
        cells = await connection.fetchval(
            "SELECT count(*) FROM balances WHERE ledger = $1 AND generation = $2", ledger.ledger, generation
        )
        closed = await closings.closed(connection, (ledger.ledger, generation))
        wrong += await connection.fetchval(closings.wrong(kept), ledger.ledger, generation, 0, closed, timeout=3600)
    good = f"{cells} balances are the sums of their postings, up to position {served.settled}"
    return Finding("balances", not wrong, f"{wrong} cells differ from their postings" if wrong else good)


async def _conserved(pool: asyncpg.Pool, ledger: Ledger) -> Finding:
    """Compare the postings of the whole ledger with the sums over campaigns, unattributed included."""
    wrong = await pool.fetch(_conserving((await serving(pool, ledger)).layout), ledger.ledger, timeout=3600)
    names = ", ".join(row[0] for row in wrong)
    return Finding("conservation", not wrong, f"differs for {names}" if wrong else "attributed + unattributed = total")


async def _projected(pool: asyncpg.Pool, ledger: Ledger) -> Finding:
    """Tell how far the figures go, which is how far they can be proven; bad if an event waits for long."""
    (found,) = await lags(pool, ledger.ledger)
    told = f"the figures are made of the events up to position {found.checkpoint} of {found.head}"
    waits = f"; the next one has waited for {found.seconds:,.0f} s" if found.events else ""
    if found.events and found.version != READ_MODEL_VERSION:
        waits += f", as figures of definitions {found.version} stand still until they are rebuilt"
    return Finding("projection", found.seconds < LONGEST_WAIT, told + waits)


LONGEST_WAIT = 60.0  # seconds
_BUCKETS = "basis, start, segment, measure, bucket, amount"


def _apart(measures: str, some: str, stored: str, computed: str) -> str:
    pair = [f"SELECT {measures} FROM {stored} AND {some}", f"SELECT {measures} FROM {computed} WHERE {some}"]
    return " + ".join(f"(SELECT count(*) FROM ({one} EXCEPT {other}) missing)" for one, other in (pair, reversed(pair)))


def _wrong(layout: Layout) -> str:
    """Return what counts the balances, and the buckets of histograms, that are not what their postings add up to."""
    stored = "balances WHERE ledger = $1 AND generation = $2"
    return f"""
        WITH {summed(layout)}, {BUCKETED}
        SELECT {_apart(f"{PLACE}, {balance(layout)}", some_balance(layout), stored, "summed")}
             + {_apart(_BUCKETS, "amount <> 0", "histograms WHERE ledger = $1 AND generation = $2", "bucketed")}
    """


def _conserving(layout: Layout) -> str:
    """Return what finds measures of which the balances, at any grain and roll-up, do not add up to all postings of the ledger."""
    cells = " UNION ALL ".join(
        f"""SELECT m.measure, basis, cube, grain, sum(m.amount) AS amount FROM balances JOIN serving USING (ledger, generation)
        CROSS JOIN LATERAL (VALUES {", ".join(f"('{one}', {layout.column(one)})" for one in cube.measures)}) m (measure, amount)
        WHERE cube IN ({quoted([*cube.letters])}) AND NOT m.measure LIKE '%.total' GROUP BY 1, 2, 3, 4"""
        for cube in layout.cubes.values()
    )
    return f"""
        WITH serving AS (
            SELECT ledger, generation, settled FROM generations WHERE ledger = $1 AND state = 'serving'
        ),
        balanced AS ({cells}),
        posted AS (
            SELECT measure, sum(postings.amount) AS amount FROM postings JOIN serving USING (ledger, generation)
            WHERE position <= settled AND measure NOT IN ({quoted(LISTS)}) GROUP BY 1
        )
        SELECT DISTINCT measure FROM posted FULL JOIN balanced USING (measure)
        WHERE coalesce(posted.amount, 0) <> coalesce(balanced.amount, 0) ORDER BY 1
    """
