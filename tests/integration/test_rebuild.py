"""A rebuild runs beside the serving generation, proves what it gives, and can be stopped, resumed, applied and undone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from service.domain import contributions
from service.domain.contributions import READ_MODEL_VERSION, REPORTS
from service.domain.reports import conversion, roi
from service.projections.engine.projector import LeaseLostError, release, take
from service.projections.generations import compare, lifecycle, rebuild, verify
from service.projections.reports import reading
from service.projections.sums import closings, selection
from service.store import ledgers
from tests.conftest import RUN
from tests.integration.test_engine import answers, append, held, project_all
from tests.support.sending import cost, invoice, lead, order


async def filled(pool: asyncpg.Pool, name: str, orders: int = 40) -> ledgers.Ledger:
    ledger = await held(pool, f"{RUN}-{name}")
    events = [cost("C", "c", "100.00"), cost("D", "d", "7.00", "2026-04-02"), lead("L", "c")]
    events += [order(f"O{number}", "2.50", campaign_id="c") for number in range(orders)]
    await append(pool, ledger, [*events, invoice("I", "30.00", order_id="O1")])
    await project_all(pool, ledger, 1_000)
    return ledger


async def state(pool: asyncpg.Pool, ledger: ledgers.Ledger, generation: int) -> lifecycle.Generation:
    return await lifecycle.one(pool, ledger, generation)


async def run(pool: asyncpg.Pool, ledger: ledgers.Ledger, generation: int, **more: Any) -> lifecycle.Generation:
    return await rebuild.run(pool, ledger, generation, holder=rebuild.new_holder(), **more)


async def test_a_rebuild_has_a_digest_per_read_model_and_serves_if_all_are_the_same(pool: asyncpg.Pool) -> None:
    ledger = await filled(pool, "identical")
    before = await answers(pool, ledger, selection.Query())
    number = await lifecycle.begin(pool, ledger, "identical")
    done = await run(pool, ledger, number, batch=7)
    assert (done.state, done.checkpoint, done.version) == ("serving", 44, READ_MODEL_VERSION)
    assert done.report is not None
    assert done.report["identical"] is True
    assert {*done.report["digests"]} == {*REPORTS, "campaigns"}
    assert done.rate is not None
    assert done.as_dict()["progress"] == 1.0
    assert (await reading.serving(pool, ledger)).generation == number
    assert await answers(pool, ledger, selection.Query()) == before


async def test_a_rebuild_has_the_books_closed_before_it_serves(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(closings, "EPOCH", 10)
    ledger = await filled(pool, "books")
    number = await lifecycle.begin(pool, ledger, "identical")
    assert (await run(pool, ledger, number, batch=7)).state == "serving"
    assert await closings.closed(pool, (ledger.ledger, number)) == 40
    for finding in await verify.verify(pool, ledger):
        assert finding.good, finding


async def test_a_changed_definition_shows_exactly_which_figures_move_before_anyone_serves_them(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await filled(pool, "changed")
    before = await answers(pool, ledger, selection.Query())

    def changed(entry: Any, book: Any) -> None:
        roi.contribute_cost(entry, book)
        for cell, amount in book.cells.items():
            if cell[1] == "cost:D":
                book.cells[cell] = amount * 2

    monkeypatch.setitem(contributions.RULES_OF, "cost", (changed,))
    monkeypatch.setattr(contributions, "READ_MODEL_VERSION", "next")
    assert await take(pool, ledger, "test", 10) is None  # nobody goes on with figures of other definitions
    for serve in ("never", "identical"):
        done = await run(pool, ledger, await lifecycle.begin(pool, ledger, serve))
        assert done.state == "built"
        assert done.report is not None
        assert done.report["compared_version"] == READ_MODEL_VERSION
        assert done.version == "next"
        moved = {name for name, pair in done.report["digests"].items() if pair["old"] != pair["new"]}
        assert moved == {"roi", "revenue", "profitability", "leads", "attribution", "revenue-performance"}
    rows = await compare.listed(pool, ledger.ledger, done.generation, "EUR")
    shown = {
        (row["campaign_id"], row["period"], row["date_basis"], row["measure"], row["old"], row["new"]) for row in rows
    }
    assert shown == {("d", "2026-04", basis, "actual_cost", "7.00", "14.00") for basis in ("event", "cohort")}
    assert await answers(pool, ledger, selection.Query()) == before

    await lifecycle.ask(pool, ledger, done.generation, "apply")
    await append(pool, ledger, [cost("E", "d", "1.00")])  # not projected by the old definitions any more
    done = await run(pool, ledger, done.generation)
    assert done.state == "serving"
    await project_all(pool, ledger, 10)
    total = (await answers(pool, ledger, selection.Query()))["roi"]["total"]
    assert total["actual_cost"] == "115.00"
    monkeypatch.undo()
    monkeypatch.setattr(contributions, "READ_MODEL_VERSION", "next")
    with pytest.raises(lifecycle.NotPossibleError, match=f"definitions {READ_MODEL_VERSION}"):
        await lifecycle.roll_back(pool, ledger)


async def test_what_only_finer_cells_show_is_listed_beside_what_campaigns_show(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await held(pool, f"{RUN}-finer")
    await append(pool, ledger, [cost("C", "c", "100.00"), lead("L", "c", channel="email"), lead("M", "d")])
    await project_all(pool, ledger, 10)

    def half(entry: Any, book: Any) -> None:
        roi.contribute_cost(entry, book)
        for cell, amount in book.cells.items():
            book.cells[cell] = amount // 2

    def by_post(one: Any, book: Any) -> None:
        one.where = one.where._replace(channel=one.where.channel and "post")
        conversion.contribute_lead(one, book)

    monkeypatch.setitem(contributions.RULES_OF, "cost", (half,))
    monkeypatch.setitem(contributions.RULES_OF, "lead", (by_post,))
    done = await run(pool, ledger, await lifecycle.begin(pool, ledger, "never"))
    rows = await compare.listed(pool, ledger.ledger, done.generation, "EUR")
    assert [row["line"] for row in rows] == list(range(1, len(rows) + 1))
    shown = {
        (
            row["campaign_id"],
            row["period"],
            row["measure"],
            row["old"],
            row["new"],
            json.loads(row["where"] or "{}").get("channel"),
        )
        for row in rows
        if not row["measure"].startswith("leads.standing")  # which only other rules contribute
    }
    assert shown == {
        ("c", "2026-03", "actual_cost", "100.00", "50.00", None),
        *(("c", "2026-03-01", f"{step}.captured", "1", "0", "email") for step in ("entered", "funnel")),
        *(("c", "2026-03-01", f"{step}.captured", "0", "1", "post") for step in ("entered", "funnel")),
    }


async def test_what_an_earlier_release_has_not_finished_or_served_can_only_be_cancelled(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await filled(pool, "unfinished")
    built = await run(pool, ledger, await lifecycle.begin(pool, ledger, "never"))
    paused = await lifecycle.begin(pool, ledger)
    await lifecycle.ask(pool, ledger, paused, "pause")
    monkeypatch.setattr(contributions, "READ_MODEL_VERSION", "next")
    for number, action in ((paused, "resume"), (paused, "apply"), (built.generation, "apply")):
        with pytest.raises(lifecycle.NotPossibleError, match=f"rebuilds cancel {number} --ledger {ledger.name}"):
            await lifecycle.ask(pool, ledger, number, action)
        assert (await lifecycle.ask(pool, ledger, number, "cancel")).state == "cancelled"


async def test_a_rebuild_is_paused_resumed_and_cancelled_and_goes_on_where_it_was(pool: asyncpg.Pool) -> None:
    ledger = await filled(pool, "paused")
    number = await lifecycle.begin(pool, ledger)
    with pytest.raises(lifecycle.NotPossibleError, match="resume it"):
        await lifecycle.begin(pool, ledger)
    steps: list[int] = []

    def pause(position: int, _: int) -> None:
        steps.append(position)
        asking.append(asyncio.create_task(lifecycle.ask(pool, ledger, number, "pause")))

    asking: list[asyncio.Task[Any]] = []
    paused = await run(pool, ledger, number, batch=5, progress=pause)
    await asyncio.gather(*asking)
    assert paused.state == "paused"
    assert paused.checkpoint == steps[-1] < 44
    at = steps[-1]
    await lifecycle.ask(pool, ledger, number, "resume")
    done = await run(pool, ledger, number, batch=5, progress=lambda position, _: steps.append(position))
    assert done.state == "serving"
    assert steps[steps.index(at) + 1] == at + 5
    with pytest.raises(lifecycle.NotPossibleError, match="too late"):
        await lifecycle.ask(pool, ledger, number, "cancel")
    other = await lifecycle.begin(pool, ledger)
    assert (await lifecycle.ask(pool, ledger, other, "cancel")).state == "cancelled"
    assert (await run(pool, ledger, other)).checkpoint == 0
    assert await lifecycle.prune(pool, ledger) == [1, other]
    assert [one.generation for one in await lifecycle.listed(pool, ledger)] == [number]
    for finding in await verify.verify(pool, ledger):
        assert finding.good, finding


async def test_a_rollback_serves_the_old_generation_again_brought_up_to_date(pool: asyncpg.Pool) -> None:
    ledger = await filled(pool, "rollback")
    with pytest.raises(lifecycle.NotPossibleError, match="no earlier"):
        await lifecycle.roll_back(pool, ledger)
    await rebuild.rebuild(pool, ledger)
    await append(pool, ledger, [order("later", "5.00"), cost("later", "d", "1.00")])
    await project_all(pool, ledger, 10)
    before = await answers(pool, ledger, selection.Query())
    number = await lifecycle.roll_back(pool, ledger)
    done = await run(pool, ledger, number)
    assert (number, done.state, done.checkpoint) == (1, "serving", 46)
    served = await reading.serving(pool, ledger)
    assert (served.generation, served.checkpoint) == (1, 46)
    assert await answers(pool, ledger, selection.Query()) == before
    assert [one.state for one in await lifecycle.listed(pool, ledger)] == ["serving", "retired"]


async def test_who_was_replaced_in_a_rebuild_or_at_its_end_changes_nothing(own_pool: asyncpg.Pool) -> None:
    ledger = await filled(own_pool, "fenced")
    number = await lifecycle.begin(own_pool, ledger)
    stale = await take(own_pool, ledger, "stale", 0.0, number)
    assert stale is not None
    assert await stale.step(10) == 10
    live = await take(own_pool, ledger, "worker", 30, force=True)
    assert live is not None
    done = await run(own_pool, ledger, number, batch=10)
    assert (done.state, done.checkpoint) == ("serving", 44)
    for one in (stale, live):
        with pytest.raises(LeaseLostError):
            await one.step(10)


async def test_appends_and_reads_go_on_during_rebuilds_and_no_figure_goes_back(pool: asyncpg.Pool) -> None:
    ledger = await filled(pool, "loaded", orders=300)
    ended = asyncio.Event()
    positions: list[int] = []
    costs: list[str] = []

    async def write() -> int:
        number = 0
        while not ended.is_set():
            await append(pool, ledger, [cost(f"w{number}-{item}", "c", "1.00") for item in range(5)])
            number += 1
        return number

    async def follow() -> None:
        while not ended.is_set():
            projector = await take(pool, ledger, "follower", 10)
            try:
                while projector is not None and not ended.is_set():
                    await projector.step(50)
            except LeaseLostError:
                continue
        await release(pool, "follower")

    async def read() -> None:
        while not ended.is_set():
            async with reading.snapshot(pool, ledger) as view:
                sums = await view.sums(selection.Query(), ("actual_cost",))
                positions.append(view.as_of.position)
                costs.append(str(sum(one["actual_cost"] for one in sums.values())))

    others = [asyncio.create_task(work()) for work in (write, follow, read)]
    try:
        for _ in range(3):
            done = await rebuild.rebuild(pool, ledger, serve="identical", batch=200)
            found = await state(pool, ledger, done.generation)
            assert found.report is not None
            assert found.report["identical"], found
    finally:
        ended.set()
        results = await asyncio.gather(*others)
    assert (await reading.serving(pool, ledger)).generation == 4
    assert positions == sorted(positions)
    assert len(set(positions)) > 3
    amounts = [int(one) for one in costs]
    assert amounts == sorted(amounts)
    written: Any = results[0]
    await project_all(pool, ledger, 10_000)
    total = (await answers(pool, ledger, selection.Query()))["roi"]["total"]
    assert total["actual_cost"] == f"{107 + 5 * written}.00"
