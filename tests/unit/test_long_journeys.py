"""Work on a component grows with its facts about as n log n does, in whatever order they come, and never as n²."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable

import pytest

from service.domain import contributions
from service.projections.engine import folding
from tests.support import memory
from tests.support.long_journeys import SHAPES, Events
from tests.support.sending import event, invoice, order

FEW, MANY = 250, 3_000  # twelve times as many: n² would take 144 times as long


async def worked(shape: Callable[[int], Events], count: int, *, shuffled: bool) -> float:
    events = list(shape(count))
    if shuffled:
        random.Random(1).shuffle(events)  # noqa: S311  not for secrets
    gc.collect()
    gc.disable()  # what other tests left in memory would be gone through while this one is timed
    try:
        begun = time.process_time()
        tables = await memory.project(events)
        took = time.process_time() - begun
    finally:
        gc.enable()
    assert tables.aside == {}
    return took


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
async def test_twelve_times_as_many_facts_take_nothing_like_the_square_of_that(
    shape: Callable[[int], Events], shuffled: bool
) -> None:
    few = min([await worked(shape, FEW, shuffled=shuffled) for _ in range(3)])
    assert await worked(shape, MANY, shuffled=shuffled) < 50 * few


async def test_a_component_of_more_facts_than_can_be_worked_on_is_set_aside_and_comes_back_when_it_falls_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "MOST_FACTS", 6)
    monkeypatch.setattr(folding, "_LARGE", 3)
    placed = order("O", "5.00", campaign_id="c")
    events = [placed, *(invoice(f"I{number}", "1.00", order_id="O") for number in range(9)), order("other", "1.00")]
    tables = await memory.project(events, [3, 8])
    (entry,) = tables.aside.values()
    assert (entry.position, entry.last_position) == (7, 10)
    assert "more than 6 events" in entry.error
    booked = sum(amount for _, cell, amount in tables.postings if cell[0] == "booked_revenue")
    invoiced = sum(amount for _, cell, amount in tables.postings if cell[0] == "invoiced_revenue_gross")
    assert (booked, invoiced) == (600, 500)
    monkeypatch.setattr(folding, "MOST_FACTS", 100)
    await memory.retry(tables)
    assert tables.aside == {}
    assert sum(amount for _, cell, amount in tables.postings if cell[0] == "invoiced_revenue_gross") == 900


async def test_a_large_component_that_fails_is_not_folded_in_vain_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "_LARGE", 3)
    tried = 0

    def failing(entity: object, book: object, contribute: Callable[..., None] = contributions.contribute) -> None:
        nonlocal tried
        if getattr(entity, "id", "") == "bad":
            tried += 1
            raise ZeroDivisionError
        contribute(entity, book)

    monkeypatch.setattr(folding, "contribute", failing)
    bad = invoice("bad", "1.00", order_id="O")
    events = [order("O", "5.00"), *(invoice(f"I{number}", "1.00", order_id="O") for number in range(4)), bad]
    later = [invoice(f"J{number}", "1.00", order_id="O") for number in range(20)]
    void = event("event.voided", "2026-04-01", source=bad["source"], id=bad["id"])
    tables = await memory.project([*events, *later, void])
    assert tried == 1
    assert tables.aside == {}
    assert sum(amount for _, cell, amount in tables.postings if cell[0] == "invoiced_revenue_gross") == 2400
