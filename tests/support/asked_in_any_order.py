"""Asks a report of a few events, in memory: what comes out has to be the same in any order, batched anyhow."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from service.domain.contributions import REPORTS
from service.projections.reports.answers import read
from service.projections.reports.dues import now_at
from service.projections.sums.selection import Query
from service.store.ledgers import Ledger
from tests.support.memory import LEDGER, MemorySnapshot, project

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Events = list[dict[str, Any]]


def ask(
    name: str, events: Iterable[dict[str, Any]], group_by: str = "", since: str | None = None, until: str | None = None,
    *, now: datetime = NOW, ledger: Ledger = LEDGER, only: dict[str, tuple[str, ...]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the rows, without reasons, and the total of a report of events."""
    report, known = REPORTS[name], [*events]
    low, high = (date.fromisoformat(one) if one else None for one in (since, until))
    groups = tuple((group_by or report.group_by).split(","))
    query = Query(groups, low, high, "event", tuple((only or {}).items()))

    async def run(order: Events, cuts: list[int]) -> dict[str, Any]:
        view: Any = MemorySnapshot(await project(order, cuts, ledger), ledger)
        answer = await read(view, report, query, now_at(now, ledger.timezone))
        assert answer is not None
        return {"rows": answer.rows, "total": answer.total}

    found, chance = asyncio.run(run(known, [])), random.Random(1)  # noqa: S311  not for secrets
    for cut in range(4):
        shuffled = known[::-1] if cut == 0 else chance.sample(known, len(known))
        again = asyncio.run(run([*shuffled, *known[:1]], [cut, 2 * cut]))
        assert again == found, [one["id"] for one in shuffled]
    return found


def figures(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    """Return some figures of a row."""
    return tuple(row[name] for name in names)


def by_key(answer: dict[str, Any], key: str, *names: str) -> dict[Any, tuple[Any, ...]]:
    """Return some figures of each row, by a member."""
    return {row[key]: figures(row, *names) for row in answer["rows"]}
