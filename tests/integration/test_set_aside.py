"""An event whose processing raises is set aside with its component; everything else goes on."""

from __future__ import annotations

import random
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain import contributions
from service.domain import events as catalogue
from service.domain.components.entities import Order
from service.domain.postings import Book
from service.projections.engine import folding, lag
from service.projections.engine.components import Component
from service.projections.engine.working_set import WorkingSet
from service.projections.generations import rebuild, retry, verify
from service.projections.reports import completeness, reading
from service.projections.sums import closings, selection
from service.store import ledgers
from tests.conftest import RUN
from tests.integration.test_engine import answers, append, held, project_all
from tests.reference.strategies import event_sets
from tests.support import memory
from tests.support.sending import cost, event, invoice, lead, money, order

POISON = "an order that no rule foresaw"


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A rule that fails at every journey with the order POISON, until the patch is undone."""

    def failing(one: Order, _: Book) -> None:
        if one.id == POISON:
            raise ZeroDivisionError("a rule\x00 that cannot")

    monkeypatch.setitem(contributions.RULES_OF, "order", (*contributions.RULES_OF["order"], failing))
    return monkeypatch


async def revenue(pool: asyncpg.Pool, ledger: ledgers.Ledger, as_of: int | None = None) -> str:
    found = await answers(pool, ledger, selection.Query(), as_of)
    return str(found["roi"]["total"]["booked_revenue"])


async def proven(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    for finding in await verify.verify(pool, ledger, deep=True):
        assert finding.good, finding


async def test_a_poison_event_is_set_aside_with_its_component_and_processed_after_the_fix(
    pool: asyncpg.Pool, planted: pytest.MonkeyPatch
) -> None:
    ledger = await held(pool, f"{RUN}-poison")
    opened = event("opportunity.opened", opportunity_id="P", campaign_id="c")
    await append(pool, ledger, [opened, order("sound", "1.00"), order("first", "2.00", opportunity_id="P")])
    poison = order(POISON, "10.00", opportunity_id="P")
    await append(pool, ledger, [poison, order("other", "4.00"), invoice("I", "3.00", order_id=POISON)])
    await project_all(pool, ledger, 2)
    await append(pool, ledger, [cost("after", "c", "1.00")])
    await project_all(pool, ledger, 2)
    planted.setattr(closings, "EPOCH", 2)
    while await closings.close_next(pool, ledger.ledger):
        pass
    assert await revenue(pool, ledger) == "7.00"
    assert await revenue(pool, ledger, 6) == "7.00"
    (found,) = await retry.listed(pool, ledger.ledger)
    assert found["position"] == 4
    assert found["last_position"] == 6
    assert found["attempts"] == 2
    assert found["error"] == "ZeroDivisionError: a rule that cannot"
    assert {"opportunity:P", f"order:{POISON}", "invoice:I"} <= set(found["entities"])
    assert found["event"]["id"] == poison["id"]
    assert [one.set_aside for one in await lag.lags(pool, ledger.ledger)] == [1]
    async with reading.snapshot(pool, ledger) as view:
        waiting = {(one["kind"], one["waits_for"]): one for one in (await completeness.read(view))["waiting"]}
    assert waiting["order.placed", "a fix"]["amounts"] == [{"amount": "10.00", "currency": "EUR"}]
    await proven(pool, ledger)

    still = await retry.retry(pool, ledger)
    assert still == (0, 1)
    read_model_tag = (await reading.serving(pool, ledger)).read_model_tag
    planted.undo()
    planted.setattr(closings, "EPOCH", 2)
    assert await retry.retry(pool, ledger) == (1, 0)
    assert (await reading.serving(pool, ledger)).read_model_tag != read_model_tag
    assert await revenue(pool, ledger) == "17.00"
    for _ in range(2):
        assert [await revenue(pool, ledger, position) for position in (4, 5, 6)] == ["3.00", "7.00", "17.00"]
        while await closings.close_next(pool, ledger.ledger):
            pass
    assert await retry.listed(pool, ledger.ledger) == []
    await proven(pool, ledger)
    live = await answers(pool, ledger, selection.Query())
    assert (await rebuild.rebuild(pool, ledger)).differences == 0
    assert await answers(pool, ledger, selection.Query()) == live


@pytest.mark.usefixtures("planted")
async def test_a_void_of_the_poison_event_lets_its_component_go_on(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-voided-poison")
    poison = order(POISON, "10.00", opportunity_id="P")
    await append(pool, ledger, [order("first", "2.00", opportunity_id="P"), poison])
    await project_all(pool, ledger, 1)
    assert len(await retry.listed(pool, ledger.ledger)) == 1
    void = event("event.voided", source=poison["source"], id=poison["id"])
    await append(pool, ledger, [order("second", "1.00", opportunity_id="P"), void])
    await project_all(pool, ledger, 1)
    assert await retry.listed(pool, ledger.ledger) == []
    assert await revenue(pool, ledger) == "3.00"


async def test_an_event_of_a_newer_version_is_kept_and_processed_after_an_upgrade(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await held(pool, f"{RUN}-newer")
    newer = {
        **lead("L"),
        "dataschema": "https://example.org/lead.captured/2",
        "data": {"lead_id": "L", "consent": True},
    }
    unused = {**event("case.opened", case_id="C"), "dataschema": "v3"}
    voided = {**lead("M"), "dataschema": "v2"}
    void = event("event.voided", source=voided["source"], id=voided["id"])
    await append(pool, ledger, [newer, cost("C", "c", "5.00"), unused, voided, void])
    await project_all(pool, ledger, 2)
    first, second = await retry.listed(pool, ledger.ledger)
    assert "payload version 2 is newer than 1" in first["error"]
    assert (first["position"], first["component"], first["entities"]) == (1, 0, [])
    assert second["event"]["type"] == "case.opened"
    assert (await answers(pool, ledger, selection.Query()))["roi"]["total"]["actual_cost"] == "5.00"

    monkeypatch.setitem(catalogue.NEWEST_VERSION, "lead.captured", 2)
    monkeypatch.setitem(catalogue.NEWEST_VERSION, "case.opened", 3)
    monkeypatch.setitem(catalogue.UPCASTERS, ("lead.captured", 1), lambda data: {**data, "consent": False})
    assert await retry.retry(pool, ledger) == (2, 0)
    assert (await answers(pool, ledger, selection.Query()))["conversion"]["total"]["entered"]["captured"] == 1
    await proven(pool, ledger)
    await append(pool, ledger, [event("event.voided", "2026-04-01", source=void["source"], id=void["id"])])
    await project_all(pool, ledger, 2)  # the void is void: what nobody could read when it came counts now
    assert (await answers(pool, ledger, selection.Query()))["conversion"]["total"]["entered"]["captured"] == 2
    await proven(pool, ledger)


async def test_what_is_voided_between_an_upgrade_and_a_retry_counts_once_when_the_void_is_void(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await held(pool, f"{RUN}-once")
    newer = [
        {**one, "dataschema": "v2"}
        for one in (
            event("campaign.cost_reversed", cost_entry_id="C", amount=money("5.00")),
            event("fx.rate_published", base="USD", quote="EUR", rate="0.5", rate_date="2026-01-01"),
            event("touchpoint.recorded", touchpoint_id="T", campaign_id="known", activity_type="mail", contact_id="P"),
        )
    ]
    await append(pool, ledger, [cost("C", "c", "20.00"), cost("D", "c", "8.00", currency="USD"), *newer])
    await project_all(pool, ledger, 2)
    assert len(await retry.listed(pool, ledger.ledger)) == 3

    for one in newer:
        monkeypatch.setitem(catalogue.NEWEST_VERSION, one["type"], 2)
        monkeypatch.setitem(catalogue.UPCASTERS, (one["type"], 1), dict)
    voids = [event("event.voided", source=one["source"], id=one["id"]) for one in newer]
    again = [event("event.voided", "2026-04-01", source=one["source"], id=one["id"]) for one in voids]
    await append(pool, ledger, voids)
    await project_all(pool, ledger, 10)
    await append(pool, ledger, again)
    await project_all(pool, ledger, 10)
    await retry.retry(pool, ledger)
    assert await retry.listed(pool, ledger.ledger) == []
    assert (await answers(pool, ledger, selection.Query()))["roi"]["total"]["actual_cost"] == "19.00"
    await proven(pool, ledger)
    await append(
        pool, ledger, [event("event.voided", "2026-05-01", source=one["source"], id=one["id"]) for one in again]
    )
    await project_all(pool, ledger, 10)
    assert (await answers(pool, ledger, selection.Query()))["roi"]["total"]["actual_cost"] == "20.00"
    await proven(pool, ledger)
    assert (await rebuild.rebuild(pool, ledger)).differences == 0


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(events=event_sets(), seed=st.integers(), batches=st.lists(st.integers(0, 50), max_size=4))
async def test_whatever_failed_and_is_retried_gives_what_never_failed(
    monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]], seed: int, batches: list[int]
) -> None:
    chance = random.Random(seed)  # noqa: S311  not for secrets

    def failing(contribute: Any) -> Any:
        def maybe(*arguments: Any) -> Any:
            if chance.random() < 0.3:
                raise ValueError(POISON)
            return contribute(*arguments)

        return maybe

    with monkeypatch.context() as patch:
        patch.setattr(folding, "contribute", failing(contributions.contribute))
        tables = await memory.project(events, batches)
    await memory.retry(tables)
    assert tables.aside == {}
    sound = await memory.project(events)
    for query in (selection.Query(), selection.Query(("channel", "month"), basis="cohort")):
        assert await memory.answers(tables, query) == await memory.answers(sound, query)


async def test_an_event_at_which_the_engine_itself_fails_is_found_and_set_aside_and_the_ledger_goes_on(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await held(pool, f"{RUN}-engine-fails")
    await append(pool, ledger, [order(f"O{number}", "1.00") for number in range(40)])
    bad = order(POISON, "10.00")
    await append(pool, ledger, [bad, *(order(f"P{number}", "1.00") for number in range(40))])
    with monkeypatch.context() as patch:
        component_of = WorkingSet.component

        def failing(working_set: WorkingSet, kind: str, keys: Any) -> Component:
            if keys[0] == ("order", POISON):
                raise KeyError(POISON)
            return component_of(working_set, kind, keys)

        patch.setattr(WorkingSet, "component", failing)
        await project_all(pool, ledger, 1_000)
        assert await revenue(pool, ledger) == "80.00"
        (found,) = await retry.listed(pool, ledger.ledger)
        assert (found["position"], found["component"]) == (41, 0)
        await proven(pool, ledger)
    assert await retry.retry(pool, ledger) == (1, 0)
    assert await revenue(pool, ledger) == "90.00"
    await proven(pool, ledger)
    assert (await rebuild.rebuild(pool, ledger)).differences == 0
