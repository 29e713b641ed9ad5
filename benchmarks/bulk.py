"""NDJSON bulk over HTTP, against raw COPY of the same rows into a table of the same shape."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from statistics import median

import asyncpg
import httpx
import msgspec
from msgspec.structs import astuple

from benchmarks import setting
from service.domain.events import read_event
from service.store.rows import Row, row_of


def measure(events: int = 60_000, rounds: int = 5) -> list[tuple[str, str]]:
    """Return the rows of the table."""
    ours: list[float] = []
    again: list[float] = []
    theirs: list[float] = []
    with setting.database() as place, setting.served(place, "--no-projector") as port:
        bodies = setting.lines(setting.journeys(events))
        rows = [row_of(read_event(msgspec.json.decode(body))) for body in bodies]
        for number in range(rounds):
            ledger, key = setting.new_ledger(place)
            theirs.append(len(rows) / asyncio.run(_copy(place.dsn, rows, number)))
            for rates, status in ((ours, "accepted"), (again, "duplicate")):
                started = time.perf_counter()
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/v1/events", content=b"\n".join(bodies), timeout=600,
                    headers={"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"},
                )  # fmt: skip
                rates.append(len(rows) / (time.perf_counter() - started))
                if answer.json()[status] != len(rows):
                    raise RuntimeError(answer.text[:500])
            del ledger
    table = [(f"NDJSON bulk, {events:,} events", ours), ("the same once more: duplicates", again)]
    return [(name, _against(rates, theirs)) for name, rates in table]


def _against(rates: list[float], copied: list[float]) -> str:
    ratio = median(a / b for a, b in zip(rates, copied, strict=True))
    return f"{ratio:.0%} of COPY ({median(rates):,.0f} events/s against {median(copied):,.0f} rows/s)"


async def _copy(dsn: str, rows: list[Row], number: int) -> float:
    """COPY the rows into a table like `events`, indexes included; return the seconds it took."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS events_copied (LIKE events INCLUDING ALL)")
    moment = datetime.now(UTC)
    names = ("ledger", "position", "recorded_at", *Row.__struct_fields__[:-1])
    records = [
        (-number - 1, position, moment, *astuple(row)[:9], row.data.decode(), row.extensions, row.entity)
        for position, row in enumerate(rows, 1)
    ]
    started = time.perf_counter()
    await connection.copy_records_to_table("events_copied", records=records, columns=names)
    elapsed = time.perf_counter() - started
    await connection.close()
    return elapsed


if __name__ == "__main__":
    for name, text in measure():
        print(f"{name}: {text}")
