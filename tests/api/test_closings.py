"""The running service closes its books by itself, and what was known then stays what it was."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import asyncpg

from service.projections.sums.closings import EPOCH
from tests.conftest import Api
from tests.support.sending import lead

NOW = "2026-07-01T00:00:00Z"  # the age of a cohort is told by it, whatever is known


def closed(dsn: str, api: Api) -> int:
    async def ask() -> int:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval("SELECT position FROM closed WHERE ledger = $1", api.ledger.ledger) or 0
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_a_worker_closes_the_books_and_earlier_answers_stay_the_same(api: Api, dsn: str) -> None:
    def post(numbers: range) -> None:
        events = [lead(f"L{number}", f"c{number % 3}", f"2026-0{number % 5 + 1}-11") for number in numbers]
        body = "\n".join(map(json.dumps, events))
        assert api.http.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"}).is_success

    known: list[dict[str, Any]] = []
    for part in (range(1_000), range(1_000, 3_500), range(3_500, EPOCH + 200)):
        post(part)
        known.append(api.read("/v1/conversion", now=NOW))
    deadline = time.monotonic() + 60
    while closed(dsn, api) < EPOCH:
        assert time.monotonic() < deadline, "nobody has closed the books"
        time.sleep(0.05)
    for then in known:
        assert api.read("/v1/conversion", as_of=then["as_of"]["position"], now=NOW) == then
