"""Attribution against an independent reading of the SPEC, and what always holds of it, on generated deals."""

from __future__ import annotations

import asyncio
import random
from datetime import date
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.attribution.measures import AMOUNTS, DEALS, dealt, model_of, plain
from service.projections.attribution import dealing, explained
from service.projections.attribution.dealing import Grouping
from service.projections.attribution.deals import Deals, deals_of
from service.projections.attribution.kept import Dealt
from service.projections.attribution.lines import Line
from service.projections.attribution.moves import Replay
from service.projections.sums.selection import Query
from tests.reference.attribution import Attribution
from tests.reference.strategies import touched_sets
from tests.support.memory import MemorySnapshot, project

EXAMPLES = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
EVERYTHING = ("campaign", "owner", "team", "region", "day")
NOWHERE = dealing.campaigns({})
Events = list[dict[str, Any]]


def deals_from(events: Events, batches: tuple[int, ...] = ()) -> tuple[Deals, list[Line]]:
    async def run() -> list[Line]:
        view: Any = MemorySnapshot(await project(events, batches))
        found: list[Line] = view.told
        return found

    lines = asyncio.run(run())
    return deals_of(lines), lines


def sums_of(deals: Deals, model: str, basis: str = "event") -> dict[Any, dict[str, int]]:
    by_day: dict[Any, dict[str, int]] = {}
    for _, cell in dealing.all_cells(deals, [model], basis):
        of = by_day.setdefault(((cell.campaign, *cell.where), cell.day if basis == "event" else cell.cohort), {})
        of[cell.measure] = of.get(cell.measure, 0) + cell.amount
    kept = {key: {name: amount for name, amount in of.items() if amount} for key, of in by_day.items()}
    return {key: of for key, of in kept.items() if of}


def in_cents(sums: Any) -> dict[Any, dict[str, int]]:
    """Write what the reference says as the service does."""
    found = {}
    for (where, day), of in sums.items():
        told = {
            "booked_revenue": of.get("booked_revenue", 0) * 100, "invoiced_revenue_gross": of.get("gross", 0) * 100,
            "credited": (of.get("gross", 0) - of.get("net", 0)) * 100, "cogs": of.get("cogs", 0) * 100,
            DEALS: of.get("deals", 0) * 10**6,
        }  # fmt: skip
        assert all(Fraction(one).denominator == 1 for one in told.values())
        if kept := {name: int(amount) for name, amount in told.items() if amount}:
            found[where, day.toordinal()] = kept
    return found


@EXAMPLES
@given(events=touched_sets(), basis=st.sampled_from(("event", "cohort")))
def test_every_model_deals_what_an_independent_reading_of_the_spec_says(events: Events, basis: str) -> None:
    deals, _ = deals_from(events)
    expected = Attribution(events)
    assert deals.models().keys() == expected.models.keys()
    assert deals.official() == expected.official
    for model in expected.models:
        found = {
            key: kept
            for key, of in sums_of(deals, model, basis).items()
            if (kept := {name: amount for name, amount in of.items() if name != "invoiced_with_cogs"})
        }
        assert found == in_cents(expected.sums(model, basis)), model


@EXAMPLES
@given(events=touched_sets(), seed=st.integers())
def test_order_repetition_and_batches_do_not_matter(events: Events, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  not for secrets
    shuffled = [*events, *chance.choices(events, k=3)]
    chance.shuffle(shuffled)
    one, other = deals_from(events)[0], deals_from(shuffled, (3, 9))[0]
    for model in one.models():
        assert sums_of(one, model) == sums_of(other, model)


@EXAMPLES
@given(events=touched_sets(), basis=st.sampled_from(("event", "cohort")))
def test_at_every_position_what_is_dealt_is_the_ledgers_and_moves_add_up_to_it(events: Events, basis: str) -> None:
    whole, lines = deals_from(events)
    grouping = Grouping(Query(EVERYTHING, basis=basis), NOWHERE)
    wanted = {model: {*AMOUNTS, DEALS} for model in whole.models()}
    replay = Replay(Deals(), Deals(), wanted, grouping, basis)
    added: dict[Any, int] = {}
    for position in sorted({line.position for line in lines}):
        for move in replay.take([line for line in lines if line.position == position]):
            key = (move.model, move.key, move.cell.measure)
            added[key] = added.get(key, 0) + move.cell.amount
        then = deals_of([line for line in lines if line.position <= position])
        models = [model for model in then.models() if model in wanted]  # others were taken back later
        measures = [dealt(model, one) for model in models for one in (*AMOUNTS, DEALS)]
        sums = dealing.sums(then, Query(EVERYTHING, basis=basis), measures, NOWHERE)
        found = {(model_of(name), key, plain(name)): amount for key, of in sums.items() for name, amount in of.items()}
        assert {key: amount for key, amount in added.items() if amount} == found
        posted = {
            one: sum(line.amount for line in lines if line.position <= position and line.measure == one)
            for one in AMOUNTS
        }
        for model in models:
            for one in AMOUNTS:
                of_model = sum(of.get(dealt(model, one), 0) for of in sums.values())
                assert of_model == posted[one], (model, one)


@EXAMPLES
@given(events=touched_sets())
def test_a_deal_is_explained_as_it_is_dealt(events: Events) -> None:
    deals, _ = deals_from(events)
    for name in deals.said["order"]:
        told = explained.told(deals, name.partition(":")[2], "EUR")
        assert told is not None
        alone = [
            cell for model, cell in dealing.all_cells(deals, ["linear"], "event") if deals.deal_of(cell.entity) == name
        ]
        booked = {one["campaign_id"]: round(float(one["booked_revenue"]) * 100) for one in told["amounts"]["linear"]}
        for campaign, amount in booked.items():
            assert amount == sum(
                cell.amount for cell in alone if cell.campaign == campaign and cell.measure == "booked_revenue"
            )
        for touch in told["touches"]:
            assert touch["weights"].keys().isdisjoint(touch["why_not"])
            assert len(touch["weights"]) + len(touch["why_not"]) == sum(one.touched for one in deals.models().values())


def test_the_reference_deals_the_golden_numbers() -> None:
    reference = Attribution([])
    third: dict[str | None, Fraction] = dict.fromkeys("abc", Fraction(1, 3))
    assert reference.deal(Fraction(100), third, Fraction(1, 100)) == {
        "a": Fraction(3334, 100), "b": Fraction(3333, 100), "c": Fraction(3333, 100),
    }  # fmt: skip


@EXAMPLES
@given(
    events=touched_sets(), basis=st.sampled_from(("event", "cohort")), since=st.none() | st.just(date(2024, 2, 10)),
    by=st.sampled_from((EVERYTHING, ("campaign", "month"), ("region", "quarter"))),
    going=st.lists(st.integers(0, 99), max_size=4),
)  # fmt: skip
def test_what_is_kept_goes_on_and_back_to_what_is_worked_out_anew(
    events: Events, basis: str, since: date | None, by: tuple[str, ...], going: list[int]
) -> None:
    _, lines = deals_from(events)
    kept, query = Dealt(0, []), Query(by, since, None, basis)
    for position in (one % (max(line.position for line in lines) + 1) for one in going):
        low, high = sorted((kept.position, position))
        kept.go([line for line in lines if low < line.position <= high], position)
        then = deals_of([line for line in lines if line.position <= position])
        measures = [dealt(model, one) for model in then.models() for one in (*AMOUNTS, DEALS)]
        assert kept.sums(query, measures, NOWHERE) == dealing.sums(then, query, measures, NOWHERE)
