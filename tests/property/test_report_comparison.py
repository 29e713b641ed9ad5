"""A comparison is two answers of a report side by side, and nothing else, whatever the report is about."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.contributions import REPORTS
from service.domain.figures import Total
from service.domain.report import Report
from service.projections.reports import answers, comparison
from service.projections.reports.answers import Page
from service.projections.reports.dues import now_at
from service.projections.sums.selection import TIME_GROUPS, Query
from tests.reference.strategies import event_sets
from tests.support import contract, memory
from tests.support.queries import queries

EXAMPLES = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
OF_EACH = pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))
NOW = now_at(datetime(2030, 1, 1, tzinfo=UTC), "UTC")


def bare(row: dict[str, Any], query: Query) -> dict[str, Any]:
    """Return the figures of a row alone."""
    return {name: one for name, one in row.items() if name not in (*query.names, "compared", "change")}


@OF_EACH
@EXAMPLES
@given(
    events=event_sets(), data=st.data(), first=st.dates(date(2023, 12, 1), date(2024, 12, 31)), days=st.integers(0, 200),
    shift=st.integers(-100, 100), other_days=st.integers(0, 200),
)  # fmt: skip
def test_a_comparison_has_the_answers_of_both_windows(
    report: Report, events: list[dict[str, Any]], data: st.DataObject, first: date, days: int, shift: int, other_days: int,
) -> None:  # fmt: skip
    query = replace(data.draw(queries(report)), since=first, until=first + timedelta(days))
    start = first + timedelta(shift)
    other = replace(query, since=start, until=start + timedelta(other_days))

    async def run() -> Any:
        view: Any = memory.MemorySnapshot(await memory.project(events))
        beside = comparison.Other(view, other)
        both = [await answers.read(view, report, one, NOW, report.on_request) for one in (query, other)]
        return *both, await comparison.read(view, beside, report, query, NOW, report.on_request, Page())

    now, then, compared = asyncio.run(run())
    assert bare(compared.total, query) == now.total
    assert compared.total["compared"] == then.total
    rows = {contract.key_of(row, query): bare(row, query) for row in now.rows}
    own: dict[Any, dict[str, Any]] = {}
    for row in compared.rows:  # those that the other window alone has come after
        own.setdefault(contract.key_of(row, query), bare(row, query))
    assert {key: own[key] for key in rows} == rows
    beside = [row["compared"] for row in compared.rows if row["compared"]]
    assert all(bare(row, query) in beside for row in then.rows)
    for name in report.of_kind(Total):
        known = [contract.figure_in(one, name) for one in beside]
        there = [contract.figure_in(row, name) for row in then.rows]
        if None not in (*known, *there):
            assert sorted(map(Decimal, filter(float, known))) == sorted(map(Decimal, filter(float, there)))
    if TIME_GROUPS.keys().isdisjoint(query.group_by):
        both = {contract.key_of(row, query) for row in (*now.rows, *then.rows)}
        assert [contract.key_of(row, query) for row in compared.rows] == sorted(
            both, key=lambda key: [(one is None, one or "") for one in key]
        )
    for row in (*compared.rows, *([compared.total] if report.has_total else [])):
        assert row["change"] is None or row["change"].keys() == report.figures.keys()
