"""NDJSON in one request, against raw COPY of the same rows into a table of the same shape, indexes included.

The rows that COPY gets are those that the service has stored: by the driver, as a Python program would, and from bytes
that were ready before, which is all that the database can do.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator

import asyncpg

from benchmarks import setting
from benchmarks.setting import Stage
from benchmarks.table import Row, compare

_EVENTS_PER_REQUEST = 5  # so many times an effort's requests
_DRIVER, _READY = "COPY of the same rows", "ready bytes by COPY"


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows; what is posted stays in the ledger."""
    amount = stage.effort.requests * _EVENTS_PER_REQUEST
    last: list[bytes] = []
    with setting.served(stage.dsn, "--no-projector") as server:

        def ours() -> float:
            last[:] = stage.take(amount)
            return amount / stage.bulk(server, last)

        def again() -> float:
            """Send what is there already: another kind of answer, and a sender's usual way after an interruption."""
            started = time.perf_counter()
            answer = stage.http(server).post(
                "/v1/events", content=b"\n".join(last), headers={"Content-Type": "application/x-ndjson"}
            )
            if answer.json()["duplicate"] != amount:
                raise RuntimeError(answer.text[:500])
            return amount / (time.perf_counter() - started)

        ours()  # warms up
        copies = {
            _DRIVER: lambda: asyncio.run(_copy(stage, amount)),
            _READY: lambda: asyncio.run(_copy_ready(stage, amount)),
        }
        found = compare(stage.effort.rounds, {"ours": ours, "again": again, **copies})
    yield Row("bulk NDJSON", stage.size, found["ours"], "/s", _DRIVER, found[_DRIVER])
    yield Row("bulk NDJSON", stage.size, found["ours"], "/s", _READY, found[_READY])
    yield Row("bulk NDJSON once more: duplicates", stage.size, found["again"], "/s", _DRIVER, found[_DRIVER])


_LAST = "FROM events WHERE ledger = $1 AND position > (SELECT position FROM heads WHERE ledger = $1) - $2"


async def _emptied(connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TABLE IF NOT EXISTS copied (LIKE events INCLUDING ALL); TRUNCATE copied")


async def _copy(stage: Stage, amount: int) -> float:
    """COPY the last events by the driver; return the rate."""
    connection = await asyncpg.connect(stage.dsn)
    await _emptied(connection)
    rows = list(map(tuple, await connection.fetch(f"SELECT * {_LAST}", stage.ledger.ledger, amount)))
    started = time.perf_counter()
    await connection.copy_records_to_table("copied", records=rows)
    rate = len(rows) / (time.perf_counter() - started)
    await connection.close()
    return rate


async def _copy_ready(stage: Stage, amount: int) -> float:
    """COPY the last events from bytes in the database's own form; return the rate."""
    connection, ready = await asyncpg.connect(stage.dsn), io.BytesIO()
    await _emptied(connection)
    await connection.copy_from_query(f"SELECT * {_LAST}", stage.ledger.ledger, amount, output=ready, format="binary")
    ready.seek(0)
    started = time.perf_counter()
    await connection.copy_to_table("copied", source=ready, format="binary")
    rate = amount / (time.perf_counter() - started)
    await connection.close()
    return rate
