"""The contract of every report on real PostgreSQL and over HTTP: `tests/property/test_report_contract.py` has many more examples.

What only the database has is held to here, too: entries, what was known then, restatements, rebuilds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from service.api import parameters
from service.domain.contributions import REPORTS
from service.domain.figures import Dealt, Total
from service.domain.report import Report
from service.projections.generations import rebuild, verify
from service.projections.reports import answers as answers_of
from service.projections.reports import reading, restatement
from service.projections.reports.answers import Page
from service.projections.sums import closings
from service.projections.sums.selection import OF_WHOLE_CAMPAIGNS, Query, column_of
from service.store import ledgers
from tests.conftest import Api
from tests.integration.test_engine import append, project_all, run
from tests.reference.strategies import event_sets
from tests.support import contract, lineage, memory
from tests.support.description import Description
from tests.support.queries import queries

EXAMPLES = settings(
    deadline=None, max_examples=8, suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink on a database takes longer than anybody waits
)  # fmt: skip
SEVERAL = [[*REPORTS.values()][first::3] for first in range(3)]  # what is projected serves several reports
OF_EACH = pytest.mark.parametrize("reports", SEVERAL, ids=["+".join(one.name for one in some) for some in SEVERAL])
Events = list[dict[str, Any]]
Reports = list[Report]


@OF_EACH
@EXAMPLES
@given(events=event_sets(), data=st.data(), batch=st.sampled_from((1, 3, 1000)), most=st.sampled_from((0, 20, 1000)))
def test_postgresql_answers_what_memory_does_and_keeps_the_contract(
    dsn: str, reports: Reports, events: Events, data: st.DataObject, batch: int, most: int
) -> None:
    asked = [data.draw(st.lists(queries(report), min_size=2, max_size=4)) for report in reports]
    dimensions = [data.draw(st.sampled_from(parameters.dimensions_of(report))) for report in reports]
    sorts = [data.draw(st.none() | st.sampled_from([*report.figures])) for report in reports]
    falling = data.draw(st.booleans())

    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        await append(pool, ledger, events)
        await project_all(pool, ledger, batch, most)
        expected = memory.MemorySnapshot(await memory.project(events))
        async with reading.snapshot(pool, ledger) as view:
            for report, several, dimension, sort in zip(reports, asked, dimensions, sorts, strict=True):
                for query in several:
                    assert await memory.answer(view, report, query) == await memory.answer(expected, report, query)
                    await contract.check_rows(view, report, query)
                await contract.check_periods(view, report, several[0], "day", "week")
                await contract.check_periods(view, report, several[0], "month", "year")
                await contract.check_filters(view, report, several[0], dimension)
                await contract.check_pages(view, report, several[1], Page(sort, falling, limit=2))

    run(dsn, work)


@OF_EACH
@settings(EXAMPLES, max_examples=5)
@given(events=event_sets(), data=st.data(), limit=st.sampled_from((3, 1000)))
def test_every_figure_opens_down_to_entries_that_add_up_to_it(
    dsn: str, reports: Reports, events: Events, data: st.DataObject, limit: int
) -> None:
    asked = [data.draw(queries(report)) for report in reports]

    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        await append(pool, ledger, events)
        await project_all(pool, ledger, 1000)
        async with reading.snapshot(pool, ledger) as view:
            for report, query in zip(reports, asked, strict=True):
                of_entries = parameters.of_entries(report).model_json_schema()
                for name in filter(report.additive, of_entries["properties"]["measure"]["enum"]):
                    await lineage.check_entries(view, report, query, name, limit)

    run(dsn, work)


@OF_EACH
@EXAMPLES
@given(events=event_sets(), data=st.data(), epoch=st.sampled_from((2, 7, 1000)))
def test_what_was_known_then_is_answered_and_restated_and_a_rebuild_gives_the_same(
    dsn: str, reports: Reports, events: Events, data: st.DataObject, epoch: int
) -> None:
    asked = [
        (report, query) for report in reports for query in data.draw(st.lists(queries(report), min_size=2, max_size=3))
    ]
    restated = []
    for report in reports:
        groups = st.lists(st.sampled_from(restatement.groups(report)), min_size=1, max_size=3, unique=True)
        if report.keys is not None or report.name in answers_of.READERS:
            continue  # whose rows are not those of postings
        query = replace(data.draw(queries(report)), group_by=tuple(data.draw(groups)), only=())
        figure = data.draw(st.none() | st.sampled_from(sorted(restatement.measures(report, None))))
        restated.append((report, query, figure))

    async def answers(view: reading.Snapshot) -> list[Any]:
        return [await memory.answer(view, report, query) for report, query in asked]

    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        known = []
        for some in (events[:3], *([one] for one in events[3:10]), events[10:]):
            await append(pool, ledger, some)
            await project_all(pool, ledger, 2, 12)
            async with reading.snapshot(pool, ledger) as view:
                known.append((view.as_of.position, await answers(view)))
        for _ in range(len(events) // epoch):
            await closings.close_next(pool, ledger.ledger)
        for position, expected in known:
            async with reading.snapshot(pool, ledger, position) as view:
                assert await answers(view) == expected
        async with reading.snapshots(pool, ledger, known[1][0], known[-1][0]) as (then, now):
            for report, query, figure in restated:
                await lineage.check_restatement(then, now, report, query, figure)
        assert (await rebuild.rebuild(pool, ledger, batch=3)).differences == 0
        async with reading.snapshot(pool, ledger) as view:
            assert await answers(view) == known[-1][1]
        for finding in await verify.verify(pool, ledger, deep=True):
            assert finding.good, finding

    with mock.patch.object(closings, "EPOCH", epoch):
        run(dsn, work)


@OF_EACH
@settings(EXAMPLES, max_examples=5)
@given(events=event_sets(), data=st.data())
def test_all_that_is_answered_of_a_report_fits_the_description_of_the_service(
    open_api: Callable[[], Api], reports: Reports, events: Events, data: st.DataObject
) -> None:
    api, asked = open_api(), [data.draw(queries(report)) for report in reports]
    last = api.http.post("/v1/events", json=events).json()["last_position"]
    description = Description(api.http.get("/openapi.json").json())

    def read(path: str, **more: Any) -> Any:
        answer = api.http.get(path, params={"min_position": last, **more})
        assert answer.status_code == 200, answer.text
        assert not list(description.faults(description.answer(path, "get", 200), answer.json()))
        return answer.json()

    for report, query in zip(reports, asked, strict=True):
        path, told = f"/v1/reports/{report.name}", parameters_of(query)
        groups_asked = {"group_by": ",".join(query.group_by)} if report.keys is None else {}
        include = {"include": sorted(report.on_request)} if report.on_request else {}
        body = read(path, **groups_asked, **include, **told)
        for row in (*body["rows"], body.get("total", {})):
            contract.assert_reasons(report, row)
        of_leads = any(name not in OF_WHOLE_CAMPAIGNS for name, _ in query.only)
        for figure in report.figures:
            if not report.additive(figure):
                continue  # it opens where it is reported
            if report.facets is not None and report.facets.to_name(query.only) is not None:
                continue  # several things of which nothing is stated: such a filter is refused
            if of_leads and not report.of_kind(Dealt).keys().isdisjoint(report.additive(figure) or ()):
                continue  # its entries are those of campaigns: such a filter is refused
            read(f"{path}/entries", **{**told, "measure": figure})
        for groups in ({}, {"group_by": "day,week"}) if report.of_kind(Total) else ():
            read("/v1/restatement", report=report.name, from_as_of=0, **groups)


def parameters_of(query: Query) -> dict[str, Any]:
    """Write a window and filters as they are asked for."""
    window = {"from": query.since, "to": query.until}
    return {
        "date_basis": query.basis,
        **{name: str(day) for name, day in window.items() if day is not None},
        **{column_of(name): list(values) for name, values in query.only},
    }  # fmt: skip
