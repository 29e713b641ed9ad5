"""Where a ledger stands is asked once for many; what is kept is bounded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api.response_cache import Answers, Standing
from service.domain.contributions import LAYOUT
from service.projections.reports.reading import AsOf, Serving, Snapshot
from service.projections.sums.selection import Base
from service.store.ledgers import Ledger

LEDGER, OTHER = Ledger(1, "one", "EUR", "UTC"), Ledger(2, "other", "EUR", "UTC")


class Database:
    """Answers with how often it was asked before, once it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.open = asyncio.Event()

    async def fetchrow(self, _: str, ledger: int) -> tuple[int, int, int, int, str]:
        self.asked += 1
        number = self.asked
        await self.open.wait()
        if number == 3:
            raise ConnectionError("gone")
        return ledger, number, number, 0, "1"


async def test_one_query_answers_all_that_came_before_it_began_and_nobody_who_came_later() -> None:
    database: Any = Database()
    standing = Standing(database)
    early = [asyncio.create_task(standing.of(LEDGER)) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert database.asked == 1
    late = [asyncio.create_task(standing.of(LEDGER)) for _ in range(20)]
    late[0].cancel()
    other = asyncio.create_task(standing.of(OTHER))
    await asyncio.sleep(0.01)
    assert database.asked == 2  # the other ledger's
    database.open.set()
    assert {one.checkpoint for one in await asyncio.gather(*early)} == {1}
    assert (await other).generation == OTHER.ledger
    told = await asyncio.gather(*late[1:], return_exceptions=True)
    assert [type(one) for one in told] == [ConnectionError] * len(told)
    assert late[0].cancelled()
    assert (await standing.of(LEDGER)).checkpoint == 4


def keep(answers: Answers, path: str, size: int, minute: datetime | None = None) -> tuple[int, bytes, bytes, str]:
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    view = Snapshot(None, LEDGER, 1, AsOf(1, datetime.now(UTC)), True, Base("balances", 1), "1.1.0", "1", LAYOUT)
    answers.keep(Request(scope), view, "read", 'W/"1"', Response(b"x" * size), Response(None, 304), minute)
    return LEDGER.ledger, path.encode(), b"", ""


def test_what_was_not_asked_for_longest_is_forgotten_first_and_what_is_too_large_at_once() -> None:
    answers = Answers(100_000)
    keys = [keep(answers, f"/{number}", 9_000) for number in range(9)]
    assert all(answers.get(key) for key in keys)
    assert answers.get(keys[0])
    more = [keep(answers, f"/more{number}", 9_000) for number in range(2)]
    assert [bool(answers.get(key)) for key in (*keys[:4], *more)] == [True, False, False, True, True, True]
    again = [keep(answers, "/more0", 9_000) for _ in range(50)]
    assert answers.get(again[0])
    assert answers.get(keys[3])
    large = keep(answers, "/more0", 20_000)
    assert answers.get(large) is None
    assert answers.get(keep(Answers(0), "/", 1)) is None


def test_an_answer_that_was_told_by_the_clock_holds_for_its_minute() -> None:
    answers, now = Answers(100_000), Serving(1, 1, 1, 0, "1", LAYOUT.as_json())
    always, then = (
        answers.get(keep(answers, path, 1, minute))
        for path, minute in (("/a", None), ("/b", datetime(2026, 3, 1, tzinfo=UTC)))
    )
    assert always
    assert then
    assert (always.holds(now), then.holds(now)) == (True, False)
