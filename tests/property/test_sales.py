"""Opportunities, stages, quotes, leads, payments and response against a plain reading of REPORTS, on generated events."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.contributions import REPORTS
from service.projections.reports import opportunities
from service.projections.reports.answers import read
from service.projections.reports.dues import now_at
from service.projections.sums.selection import Query
from tests.reference import sales
from tests.reference.facts import Facts
from tests.reference.ledger import Ledger
from tests.reference.strategies import event_sets
from tests.support.memory import LEDGER, MemorySnapshot, project
from tests.support.queries import queries

NOW = datetime(2024, 6, 30, 12, tzinfo=UTC)
NAMES = ("opportunities", "stages", "quotes", "leads", "payments", "response", "lead-quality")
ASKED = st.fixed_dictionaries({name: queries(REPORTS[name]) for name in NAMES})


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(
    events=event_sets(), asked=ASKED, timezone=st.sampled_from(("UTC", "America/New_York", "Pacific/Auckland")),
    cuts=st.lists(st.integers(0, 30), max_size=2),
)  # fmt: skip
def test_figures_are_what_a_plain_reading_says(
    events: list[dict[str, Any]], asked: dict[str, Query], timezone: str, cuts: list[int]
) -> None:
    ledger = LEDGER._replace(timezone=timezone)

    async def run() -> dict[str, Any]:
        view: Any = MemorySnapshot(await project(events, cuts, ledger), ledger)
        answers = {name: await read(view, REPORTS[name], query, now_at(NOW, timezone)) for name, query in asked.items()}
        rows, _ = await opportunities.read(view, Query(()), opportunities.Chosen(), now_at(NOW, timezone).today)
        return {**answers, "list": [opportunities.written(row, "EUR") for row in rows]}

    found = asyncio.run(run())
    plain = sales.Sales(Ledger(Facts(events, ZoneInfo(timezone)), "EUR"), now_at(NOW, timezone).today)
    assert found["list"] == sales.listed(plain)
    for name, query in asked.items():
        if unlike(name, query):
            continue
        rows, total = sales.answer(plain, name, query.group_by, query.since, query.until, dict(query.only))
        expected = {key: row for key, row in rows.items() if any(map(told, row.values()))}
        told_rows = {
            tuple(row[one] for one in query.names): {figure: row[figure] for figure in total}
            for row in found[name].rows
        }
        assert {key: row for key, row in told_rows.items() if any(map(told, row.values()))} == expected, name
        if not (name == "lead-quality" and any(one in sales.FACETS for one, _ in query.only)):
            assert {figure: found[name].total[figure] for figure in total} == total, name


def unlike(name: str, query: Query) -> bool:
    """Tell whether a query is of what the reference does not know: due dates, and stages that rows are not by."""
    by_due = name == "payments" and "due_date" in query.dimensions
    return by_due or (name == "stages" and (query.group_by.count("stage") == 0 or "stage" in dict(query.only)))


def told(value: Any) -> bool:
    """Tell whether a figure is not nothing."""
    return value not in (0, None, 0.0) and str(value).strip("-0.") != ""
