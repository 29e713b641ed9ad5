"""Lineage on generated event sets: every additive figure is the sum of its entries, and every difference that of its lines."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any
from unittest import mock

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.contributions import REPORTS
from service.domain.figures import Total
from service.domain.report import Report
from service.projections.reports import answers, entries, reading, restatement
from service.projections.sums import closings, selection
from service.store import ledgers
from tests.integration.test_engine import QUERIES, append, project_all, run
from tests.reference.strategies import event_sets
from tests.support.memory import answers_to

EXAMPLES = settings(deadline=None, max_examples=4, suppress_health_check=list(HealthCheck))


def figure(row: dict[str, Any], measure: str) -> str | float | None:
    """Find a figure by its name in a row of its report."""
    found: Any = row
    for part in measure.split("."):
        found = found[part]
    assert found is None or isinstance(found, str | int | float)
    return found


async def all_pages(
    view: reading.Snapshot, query: selection.Query, report: Report, measure: str
) -> tuple[Any, list[Any]]:
    figure = await entries.asked(view, query, report, measure)
    answer, after = await entries.read(view, figure, (0, 0), 7)
    found = list(answer["entries"])
    while after is not None:
        more, after = await entries.read(view, figure, after, 7)
        found += more["entries"]
    return answer, found


def exact(amount: str | float) -> Decimal:
    return Decimal(str(amount))


@EXAMPLES
@given(events=event_sets(), query=st.sampled_from(QUERIES), data=st.data())
def test_every_additive_figure_is_the_sum_of_its_entries_at_any_position(
    dsn: str, events: list[dict[str, Any]], query: selection.Query, data: st.DataObject
) -> None:
    until = data.draw(st.integers(0, len(events)))
    to_close = data.draw(st.integers(0, len(events)))
    epoch = data.draw(st.sampled_from((1, 3)))
    most = data.draw(st.sampled_from((entries.MOST_COUNTED, 2, 0)))  # counted; those of more are come across in order

    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        await append(pool, ledger, events)
        await project_all(pool, ledger, 1000)
        for _ in range(to_close):
            await closings.close_next(pool, ledger.ledger)
        async with reading.snapshot(pool, ledger, until) as view:
            for report in [one for one in REPORTS.values() if answers_to(one, query)]:
                answer = await answers.read(view, report, query, None)
                assert answer is not None
                for measure in report.of_kind(Total):
                    found, lines = await all_pages(view, query, report, measure)
                    assert found["count"] == (len(lines) if len(lines) <= most else None)
                    assert sum(exact(one["amount"]) for one in lines) == exact(found["sum"])
                    total = figure(answer.total, measure)
                    assert total == found["sum"] or (
                        measure.endswith("gross_margin") and total is None and found["reasons"]
                    )
                    assert all(one["why"] and 0 < one["event"]["position"] <= until for one in lines)
                    by_group: dict[Any, Decimal] = defaultdict(Decimal)
                    for one in lines:
                        by_group[tuple(one[name] for name in query.names)] += exact(one["amount"])
                    for row in answer.rows:
                        shown = figure(row, measure)
                        if shown is not None:
                            key = tuple(row[name] for name in query.names)
                            assert by_group[key] == exact(shown), (measure, key)

    with mock.patch.object(closings, "EPOCH", epoch), mock.patch.object(entries, "MOST_COUNTED", most):
        run(dsn, work)


@EXAMPLES
@given(events=event_sets(), basis=st.sampled_from(("event", "cohort")), data=st.data())
def test_a_restatement_s_lines_add_up_to_its_differences(
    dsn: str, events: list[dict[str, Any]], basis: str, data: st.DataObject
) -> None:
    low = data.draw(st.integers(0, len(events)))
    high = data.draw(st.integers(low, len(events)))
    query = selection.Query(("campaign", "month"), basis=basis)
    compared = restatement.measures(REPORTS["roi"], None)

    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        await append(pool, ledger, events)
        await project_all(pool, ledger, 1000)
        async with reading.snapshots(pool, ledger, low, high) as (then, now):
            answer, after = await restatement.read(then, now, query, compared, (0, 0), 5)
            lines = list(answer["lines"])
            while after is not None:
                more, after = await restatement.read(then, now, query, compared, after, 5)
                lines += more["lines"]
        assert len(lines) == answer["count"]
        names = {posted: name for name, figure in compared.items() for posted in figure.of}
        moved: dict[Any, Decimal] = defaultdict(Decimal)
        for line in lines:
            assert low < line["event"]["position"] <= high
            moved[line["campaign_id"], line["month"], names[line["measure"]]] += exact(line["amount"])
        rows = {(row["campaign_id"], row["month"], row["measure"]): exact(row["difference"]) for row in answer["rows"]}
        assert rows == {key: amount for key, amount in moved.items() if amount}
        for row in answer["rows"]:
            assert exact(row["now"]) - exact(row["then"]) == exact(row["difference"])

    run(dsn, work)
