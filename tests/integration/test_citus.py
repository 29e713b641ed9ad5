from __future__ import annotations

import os

import asyncpg
import pytest

from service.store import citus, ledgers

DISTRIBUTED = pytest.mark.skipif(
    "CAMPAIGN_LEDGER_CITUS_URL" not in os.environ,
    reason="the embedded server has no Citus, and no package brings it: name a server that has, in CAMPAIGN_LEDGER_CITUS_URL",
)
SHARED = {"api_keys", "bi_grants", "grants", "ledgers", "parts", "sessions", "tickets"}


async def test_every_table_but_ledgers_and_keys_can_be_distributed_by_ledger(pool: asyncpg.Pool) -> None:
    found = await citus.placements(pool)
    assert {one.table for one in found if one.reference} == SHARED
    assert {"events", "heads", "postings", "balances"} <= {one.table for one in found if not one.reference}


async def test_nothing_in_one_ledger_refers_to_another_table_than_ledgers(pool: asyncpg.Pool) -> None:
    rows = await pool.fetch("SELECT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'")
    assert {row[0] for row in rows} <= SHARED


@pytest.mark.skipif(
    "CAMPAIGN_LEDGER_CITUS_URL" in os.environ,
    reason="shows the error of a server without the extension, which that one has",
)
async def test_without_the_extension_the_error_says_what_to_install(pool: asyncpg.Pool) -> None:
    with pytest.raises(RuntimeError, match="CREATE EXTENSION citus"):
        await citus.distribute(pool)


@DISTRIBUTED
async def test_with_citus_every_table_is_placed_and_a_second_run_changes_nothing(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        again = await citus.distribute(connection)
    assert all(one.done for one in again)
    places = await pool.fetch("SELECT DISTINCT colocation_id FROM citus_tables WHERE citus_table_type = 'distributed'")
    assert len(places) == 1


@DISTRIBUTED
async def test_with_citus_history_still_cannot_be_changed(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await pool.execute("DELETE FROM events WHERE ledger = $1", ledger.ledger)
