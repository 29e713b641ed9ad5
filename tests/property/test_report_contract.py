"""What every report has to keep (SPEC section 5, REPORTS section 1), whatever it is about: a new one is held to it unasked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.api import parameters, report_schemas
from service.domain.contributions import REPORTS
from service.domain.report import Report
from service.projections.reports import answers
from service.projections.reports.answers import Page, read
from service.projections.sums.selection import Query
from tests.reference.strategies import event_sets
from tests.support import contract, memory
from tests.support.queries import queries

EXAMPLES = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
OF_EACH = pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))
Events = list[dict[str, Any]]


def holds(check: Callable[..., Awaitable[None]], events: Events, *arguments: Any) -> None:
    """Check something of the view that there is once some events are projected."""

    async def run() -> None:
        await check(memory.MemorySnapshot(await memory.project(events)), *arguments)

    asyncio.run(run())


@OF_EACH
@EXAMPLES
@given(events=event_sets(), data=st.data())
def test_rows_add_up_to_the_total(report: Report, events: Events, data: st.DataObject) -> None:
    holds(contract.check_rows, events, report, data.draw(queries(report)))


@OF_EACH
@EXAMPLES
@given(events=event_sets(), data=st.data(), fine=st.sampled_from(("day", "month")))
def test_shorter_periods_add_up_to_longer_ones(
    report: Report, events: Events, data: st.DataObject, fine: str
) -> None:  # fmt: skip
    coarse = data.draw(st.sampled_from(("month", "quarter", "year", *(["week"] if fine == "day" else []))))
    holds(contract.check_periods, events, report, data.draw(queries(report)), fine, coarse)


@OF_EACH
@EXAMPLES
@given(events=event_sets(), data=st.data())
def test_a_filter_chooses_what_the_rows_of_its_values_have(report: Report, events: Events, data: st.DataObject) -> None:
    if report.keys is not None:
        return
    dimension = data.draw(st.sampled_from(parameters.dimensions_of(report)))
    holds(contract.check_filters, events, report, data.draw(queries(report)), dimension)


@OF_EACH
@EXAMPLES
@given(events=event_sets(), data=st.data(), falling=st.booleans(), limit=st.integers(1, 4))
def test_rows_come_sorted_and_in_pages_that_make_up_all_of_them(
    report: Report, events: Events, data: st.DataObject, falling: bool, limit: int
) -> None:
    sort = data.draw(st.none() | st.sampled_from([*report.figures]))
    holds(contract.check_pages, events, report, data.draw(queries(report)), Page(sort, falling, None, limit))


@pytest.mark.parametrize(
    ("report", "sort"),
    [pytest.param(one, name, id=f"{one.name}-{name}") for one in REPORTS.values() for name in sorted(one.on_request)],
)
@EXAMPLES
@given(events=event_sets(), data=st.data())
def test_rows_are_sorted_by_a_figure_on_request_also_where_they_do_not_show_it(
    report: Report, sort: str, events: Events, data: st.DataObject
) -> None:
    query, page = data.draw(queries(report).filter(lambda one: not one.one_campaign)), Page(sort, falling=True)

    async def check(view: Any) -> None:
        shown, hidden = await memory.answer(view, report, query, page), await read(view, report, query, None, page=page)
        assert hidden is not None
        assert [contract.key_of(row, query) for row in hidden.rows] == [
            contract.key_of(row, query) for row in shown.rows
        ]
        assert not any(sort in row or sort in row["reasons"] for row in hidden.rows)

    holds(check, events)


@OF_EACH
@EXAMPLES
@given(events=event_sets() | st.just([]), data=st.data())
def test_an_answer_says_why_what_is_null_and_fits_its_description(
    report: Report, events: Events, data: st.DataObject
) -> None:
    query = data.draw(queries(report))
    frame: dict[str, Any] = {
        "currency": "EUR", "date_basis": query.basis, "as_of": {"position": len(events), "recorded_at": None},
        "read_model_version": "1", "unconverted": [], "pending_links": 0, "names": {}, "next": None,
        **({"now": {"at": "2030-01-01T00:00:00Z", "from": "clock"}} if report.of_now else {}),
    }  # fmt: skip

    async def check(view: Any) -> None:
        rows, total, _ = await memory.answer(view, report, query)
        for row in (*rows, total):
            contract.assert_reasons(report, row)
        more = await answers.beside(view, report, query, memory.now(memory.LEDGER))
        answer = {"rows": rows, **({"total": total} if report.has_total else {}), **frame, **more}
        text = msgspec.json.encode(answer)
        read_back = report_schemas.answer_of(report).model_validate_json(text, strict=True)
        assert read_back.model_dump(mode="json", by_alias=True, exclude_unset=True) == answer

    holds(check, events)


@OF_EACH
@EXAMPLES
@given(events=event_sets(), data=st.data(), seed=st.integers(), cuts=st.lists(st.integers(0, 50), max_size=5))
def test_order_duplication_and_batching_do_not_matter(
    report: Report, events: Events, data: st.DataObject, seed: int, cuts: list[int]
) -> None:
    query, chance = data.draw(queries(report)), random.Random(seed)  # noqa: S311  not for secrets
    shuffled = [*events, *chance.choices(events, k=3)]
    chance.shuffle(shuffled)

    async def run() -> tuple[Any, Any]:
        tables = await memory.project(events), await memory.project(shuffled, cuts)
        one, other = [await memory.answer(memory.MemorySnapshot(of), report, query) for of in tables]
        return one, other

    one, other = asyncio.run(run())
    assert one == other


@OF_EACH
def test_every_figure_opens_down_to_measures(report: Report) -> None:
    for name in (*report.figures, *report.measures, *report.cohort_measures):
        made_of = report.additive(name)
        assert made_of or not report.has_total  # what came of a target opens where it is reported
        assert made_of is not None
        assert {measure for of in made_of.values() for measure in of} <= {*report.measures, *report.cohort_measures}
    assert report.additive("no such figure") is None


@pytest.mark.parametrize(("falling", "order"), [(False, ["b", "c", "a", None]), (True, ["c", "b", "a", None])])
def test_rows_without_the_figure_that_they_are_sorted_by_come_last_either_way(
    falling: bool, order: list[str | None]
) -> None:
    facts: list[tuple[str, dict[str, Any]]] = [("lead.captured", {"lead_id": "L", "campaign_id": "a"})]
    for campaign, value in (("b", "1.00"), ("c", "2.00")):
        cost = {"cost_entry_id": campaign, "amount": {"amount": "1.00", "currency": "EUR"}, "cost_date": "2024-01-01"}
        facts.append(("campaign.cost_booked", {"campaign_id": campaign, **cost}))
        of_order = {"order_id": campaign, "net_value": {"amount": value, "currency": "EUR"}}
        facts.append(("order.placed", {"campaign_id": campaign, **of_order}))
    events = [
        {
            "specversion": "1.0",
            "id": str(number),
            "source": "/t",
            "type": kind,
            "time": "2024-01-01T00:00:00Z",
            "data": data,
        }
        for number, (kind, data) in enumerate(facts)
    ]

    async def check(view: Any) -> None:
        found = await memory.answer(view, REPORTS["roi"], Query(), Page("roi.booked", falling))
        assert [row["campaign_id"] for row in found.rows] == order

    holds(check, events)
