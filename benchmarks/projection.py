"""The projector: live (in batches, as it follows) and rebuild, in events per second on this machine."""

from __future__ import annotations

import asyncio
import time

from benchmarks import setting
from service.demo.portfolio import portfolio
from service.domain.events import read_event
from service.projections import rebuild
from service.projections.worker import Worker
from service.settings import Settings
from service.store import database, ledgers, log
from service.store.rows import row_of


async def _fill(pool: object, ledger: ledgers.Ledger, events: int) -> None:
    """Fill a ledger with the demo's portfolio: late, corrected, merged, voided and foreign-currency events included."""
    known = {(event["source"], event["id"]): event for event in portfolio(leads=events // 4)}
    rows = [row_of(read_event(event)) for event in known.values()][:events]
    for start in range(0, len(rows), 2_000):
        await log.store(pool, ledger.ledger, rows[start : start + 2_000])  # type: ignore[arg-type]  # a pool


async def _measure(dsn: str, ledger: ledgers.Ledger, events: int) -> tuple[float, float]:
    pool = await database.connect(dsn, size=10, statement_timeout=600)
    await _fill(pool, ledger, events)
    worker = Worker(pool, Settings())
    started = time.perf_counter()
    running = asyncio.create_task(worker.run())
    while True:
        done = await pool.fetchval("SELECT checkpoint FROM generations WHERE ledger = $1", ledger.ledger)
        if done >= events:
            break
        await asyncio.sleep(0.02)
    live = events / (time.perf_counter() - started)
    started = time.perf_counter()
    done_at = 0.0

    def progress(done: int, head: int) -> None:
        nonlocal done_at
        if done == head:
            done_at = time.perf_counter()

    result = await rebuild.rebuild(pool, ledger, progress=progress)
    if result.differences:
        raise RuntimeError(f"replay differs from live in {result.differences} cells")
    whole = time.perf_counter() - started
    worker.stop()
    await running
    await pool.close()
    print(f"  (rebuild: postings after {done_at - started:.1f} s, compared and swapped after {whole:.1f} s)")
    return live, events / whole


def measure(events: int = 100_000) -> list[tuple[str, str]]:
    """Return the rows of the table."""
    with setting.database() as place:
        ledger, _ = setting.new_ledger(place)
        live, rebuilt = asyncio.run(_measure(place.dsn, ledger, events))
    return [
        (f"live projection, {events:,} events", f"{live:,.0f} events/s"),
        (f"rebuild, {events:,} events", f"{rebuilt:,.0f} events/s, compared with the live one and identical"),
    ]


if __name__ == "__main__":
    for name, text in measure():
        print(f"{name}: {text}")
