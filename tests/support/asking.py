"""Asks a report of a few events, which has to say the same whatever came first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from service.domain.contributions import REPORTS
from service.projections.reports.answers import Answer, Page, read
from service.projections.reports.dues import now_at
from service.projections.sums.selection import Query
from service.store.ledgers import Ledger
from tests.support.memory import LEDGER, MemorySnapshot, project

TODAY = date(2026, 7, 1)


def ask(
    name: str, events: Sequence[dict[str, Any]], query: Query | None = None, *, today: date | datetime = TODAY,
    page: Page = Page(), ledger: Ledger = LEDGER,
) -> Answer:  # fmt: skip
    """Return a report's answer, by what it is grouped by unless a query says otherwise."""
    report, moment = REPORTS[name], today if isinstance(today, datetime) else datetime.combine(today, time(), UTC)
    asked = query or Query((report.group_by,))

    async def answer(order: Sequence[dict[str, Any]], batches: Sequence[int]) -> Answer | None:
        view: Any = MemorySnapshot(await project(order, batches, ledger), ledger)
        return await read(view, report, asked, now_at(moment, ledger.timezone), page=page)

    found = asyncio.run(answer(events, ()))
    assert asyncio.run(answer([*events[::-1], events[0]], range(len(events)))) == found
    assert asyncio.run(answer([*events[1::2], *events[::2]], (1,))) == found
    assert found is not None
    return found


def only(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return some members of a row."""
    return {name: row[name] for name in names}
