"""The engine against an independent reading of the SPEC, and the invariants of SPEC section 5, on generated event sets."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.calendar import parse_instant
from service.domain.contributions import REPORTS
from service.projections.sums.selection import Query
from tests.reference.facts import read
from tests.reference.oracle import REPORTS as KNOWN
from tests.reference.oracle import answer
from tests.reference.strategies import event_sets
from tests.support.memory import LEDGER, MemoryTables, answers, project
from tests.support.queries import queries

EXAMPLES = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
QUERIES = queries(REPORTS["roi"])


def comparable(value: Any) -> Any:
    """Leave out what the reference does not say: reasons, and the age of a cohort."""
    if isinstance(value, dict):
        return {name: comparable(one) for name, one in value.items() if name not in ("reasons", "maturity_days")}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    return value


def entries(found: list[tuple[str, str]]) -> set[tuple[str, str]]:
    return {
        (kind, identity.partition(" ")[0] if kind == "budget" else identity)
        for one, _ in found
        for kind, _, identity in [one.partition(":")]
    }


@EXAMPLES
@given(
    events=event_sets(), query=st.sampled_from([*REPORTS.values()]).flatmap(queries),
    timezone=st.sampled_from(("UTC", "America/New_York", "Pacific/Auckland")),
)  # fmt: skip
def test_every_figure_is_what_an_independent_reading_of_the_spec_says(
    events: list[dict[str, Any]], query: Query, timezone: str
) -> None:
    ledger = LEDGER._replace(timezone=timezone)

    async def run() -> dict[str, Any]:
        return await answers(await project(events, ledger=ledger), query, ledger)

    found = asyncio.run(run())
    assert found["campaigns"] == {one.data["campaign_id"] for one in read(events) if one.data.get("campaign_id")}
    for report in found.keys() & {*KNOWN}:
        expected = answer(
            events, report, currency="EUR", timezone=timezone, group_by=query.group_by, from_=query.since, to=query.until,
            date_basis=query.basis, only=dict(query.only),
        )  # fmt: skip
        assert comparable(found[report]["rows"]) == comparable(expected["rows"])
        assert comparable(found[report]["total"]) == comparable(expected["total"])
        assert found["pending_links"] == expected["pending_links"]
        assert entries(found["unconverted"]) == {(one["kind"], one["id"]) for one in expected["unconverted"]}


@EXAMPLES
@given(events=event_sets(), query=QUERIES, seed=st.integers(), cuts=st.lists(st.integers(0, 50), max_size=5))
def test_any_order_duplication_and_batching_gives_identical_read_models(
    events: list[dict[str, Any]], query: Query, seed: int, cuts: list[int]
) -> None:
    chance = random.Random(seed)  # noqa: S311  not for secrets
    shuffled = [*events, *chance.choices(events, k=3)] if events else []
    chance.shuffle(shuffled)

    async def run() -> tuple[dict[str, Any], dict[str, Any]]:
        return await answers(await project(events), query), await answers(await project(shuffled, cuts), query)

    one, other = asyncio.run(run())
    assert one == other


@EXAMPLES
@given(events=event_sets(), chance=st.none() | st.integers())
def test_taking_in_one_event_more_gives_at_each_position_what_folding_anew_gives(
    events: list[dict[str, Any]], chance: int | None
) -> None:
    arriving = sorted(events, key=lambda event: (parse_instant(event["time"]), event["source"], event["id"]))
    if chance is not None:
        random.Random(chance).shuffle(arriving)  # noqa: S311  not for secrets

    async def run() -> tuple[Any, Any]:
        on = await project(arriving)
        anew = await project(arriving, range(len(arriving)))  # every event finds its component as it was stored
        return on, anew

    on, anew = asyncio.run(run())
    assert posted(on) == posted(anew)


def posted(tables: MemoryTables) -> list[tuple[Any, ...]]:
    wheres = tables.segments.labels
    return sorted(
        ((position, *cell[:2], wheres[cell[2]], *cell[3:], amount) for position, cell, amount in tables.postings),
        key=repr,
    )


@EXAMPLES
@given(events=event_sets(), query=QUERIES)
def test_attributed_and_unattributed_add_up_to_the_total_at_every_position(
    events: list[dict[str, Any]], query: Query
) -> None:
    measures = (
        "budget",
        "actual_cost",
        "booked_revenue",
        "invoiced_revenue_gross",
        "credited",
        "cogs",
        "leads",
        "orders",
    )

    async def run(upto: int) -> dict[str, Any]:
        return await answers(await project(events[:upto]), query)

    for upto in range(1, len(events) + 1, 4):
        roi = asyncio.run(run(upto))["roi"]
        for measure in measures:
            assert sum(Decimal(row[measure]) for row in roi["rows"]) == Decimal(roi["total"][measure])


@pytest.mark.parametrize("size", [1, 7])
def test_a_working_set_dropped_between_batches_changes_nothing(size: int) -> None:
    @settings(EXAMPLES, max_examples=40)
    @given(events=event_sets())
    def run(events: list[dict[str, Any]]) -> None:
        async def both() -> tuple[dict[str, Any], dict[str, Any]]:
            cut = await project(events, range(0, len(events), size))
            return await answers(await project(events), Query()), await answers(cut, Query())

        whole, cut = asyncio.run(both())
        assert whole == cut

    run()


@pytest.mark.parametrize("cuts", [(), (1,), (2,), (4,)])
def test_a_component_that_asks_for_no_rate_any_more_may_be_absorbed(cuts: tuple[int, ...]) -> None:
    facts: list[tuple[str, dict[str, Any]]] = [
        ("invoice.posted", {"invoice_id": "i", "order_id": "o", "net_amount": {"amount": "9", "currency": "JPY"},
                            "posting_date": "2024-01-02"}),
        ("event.voided", {"source": "/t", "id": "0"}),
        ("quote.sent", {"quote_id": "q", "opportunity_id": "p"}),
        ("quote.accepted", {"quote_id": "q", "opportunity_id": "p"}),
        ("order.placed", {"order_id": "o", "opportunity_id": "p", "net_value": {"amount": "5", "currency": "EUR"}}),
        ("fx.rate_published", {"base": "EUR", "quote": "JPY", "rate": "150", "rate_date": "2024-01-01"}),
    ]  # fmt: skip
    events = [
        {"specversion": "1.0", "id": str(number), "source": "/t", "type": kind, "time": f"2024-01-0{number + 1}T00:00:00Z",
         "data": data}
        for number, (kind, data) in enumerate(facts)
    ]  # fmt: skip

    async def run() -> tuple[Any, Any]:
        return await answers(await project(events, cuts), Query()), await answers(await project(events[::-1]), Query())

    one, other = asyncio.run(run())
    assert one == other
