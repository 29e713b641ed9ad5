"""What it costs to write balances: numbered columns, a row per place, against a narrow table, a row per place and measure.

Both get the same additions, those that a projector makes of a ledger's events, batch by batch, each by COPY and one upsert.

    python -m benchmarks.storage
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from statistics import median
from typing import Any
from unittest import mock

import asyncpg

from benchmarks import journeys, setting
from service.domain.events import read_event
from service.projections.engine.projector import take
from service.projections.sums import balances
from service.store import ledgers
from service.store.log.append import append_rows
from service.store.rows import row_of

_EVENTS, _BATCH = 30_000, 500
_PLACE = "basis, cube, grain, start, segment"
_TYPES = 'basis "char", cube "char", grain "char", start date, segment integer'
_NARROW = f"""
    CREATE TABLE narrow (
        ledger integer, generation integer, {_TYPES}, measure text COLLATE "C", amount numeric NOT NULL,
        PRIMARY KEY (ledger, generation, {_PLACE}, measure)
    ) WITH (fillfactor = 70)
"""
_ROOM = f"CREATE TEMP TABLE IF NOT EXISTS fresh_narrow ({_TYPES}, measure text, amount bigint) ON COMMIT DELETE ROWS"
_ADD = f"""
    INSERT INTO narrow SELECT 1, 1, {_PLACE}, measure, amount FROM fresh_narrow
    ON CONFLICT (ledger, generation, {_PLACE}, measure) DO UPDATE SET amount = narrow.amount + excluded.amount
"""


async def _additions(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> list[balances.Addition]:
    """Project a ledger in batches, and return what each adds to its balances."""
    lines = [*islice(journeys.lines(), _EVENTS)]
    for start in range(0, _EVENTS, 5_000):
        events = [read_event(json.loads(line)) for line in lines[start : start + 5_000]]
        await append_rows(pool, ledger.ledger, [row_of(event) for event in events])
    found: list[balances.Addition] = []

    async def kept(_: Any, __: Any, addition: balances.Addition, **___: Any) -> None:
        found.append(addition)

    projector = await take(pool, ledger, "benchmark", 600, force=True)
    assert projector is not None
    with mock.patch.object(balances, "write", kept):
        while await projector.step(_BATCH):
            await projector.settle()
    return found


async def _wide(connection: Any, addition: balances.Addition) -> None:
    await balances.write(connection, (0, 0), addition._replace(histograms=[]))


async def _narrow(connection: Any, addition: balances.Addition) -> None:
    width = len(_PLACE.split(", "))
    records = [
        (*record[:width], column, amount)
        for record in addition.balances
        for column, amount in zip(addition.columns, record[width:], strict=True)
        if amount is not None
    ]
    await connection.execute(_ROOM)
    await connection.copy_records_to_table("fresh_narrow", records=records)
    await connection.execute(_ADD)


async def _seconds(pool: asyncpg.Pool, write: Callable[..., Awaitable[None]], addition: balances.Addition) -> float:
    async with pool.acquire() as connection, connection.transaction():
        begun = time.perf_counter()
        await write(connection, addition)
        return time.perf_counter() - begun


async def measure(dsn: str, ledger: ledgers.Ledger) -> None:
    """Print the medians of both per batch, their ratio, and the rows and bytes that each has in the end."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)
    await pool.execute(_NARROW)
    took: dict[str, list[float]] = {"wide": [], "narrow": []}
    for addition in await _additions(pool, ledger):
        took["wide"].append(await _seconds(pool, _wide, addition))
        took["narrow"].append(await _seconds(pool, _narrow, addition))
    for name, table in (("wide", "balances"), ("narrow", "narrow")):
        ((rows, size),) = await pool.fetch(f"SELECT count(*), pg_total_relation_size('{table}') FROM {table}")
        print(f"{name}: median {median(took[name]) * 1000:.1f} ms a batch, {rows:,} rows, {size / 1e6:.1f} MB")
    middle, whole = median(took["narrow"]) / median(took["wide"]), sum(took["narrow"]) / sum(took["wide"])
    print(f"narrow / wide: {middle:.2f} by medians, {whole:.2f} in all")
    await pool.close()


if __name__ == "__main__":
    with setting.database() as dsn:
        asyncio.run(measure(dsn, setting.new_ledger(dsn)[0]))
