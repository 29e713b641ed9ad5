"""The invariants on real PostgreSQL: what the fast property tests prove in memory holds for the tables and the SQL, too."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from datetime import date
from typing import Any
from unittest import mock

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain import contributions
from service.domain.contributions import LAYOUT, REPORTS
from service.domain.cubes import DEALS
from service.domain.events import read_event
from service.domain.layout import COLUMNS
from service.projections.engine import folding, lag, projector
from service.projections.engine.projector import LeaseLostError, take
from service.projections.generations import rebuild, verify
from service.projections.reports import reading
from service.projections.reports.answers import read
from service.projections.reports.stocks import TooManyPeriodsError
from service.projections.sums import closings, selection
from service.store import database, ledgers
from service.store.log import heads
from service.store.log.append import append_rows
from service.store.rows import row_of
from tests.conftest import RUN
from tests.reference.strategies import event_sets
from tests.support import memory
from tests.support.sending import invoice, order

EXAMPLES = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
QUERIES = [
    selection.Query(),
    selection.Query(("channel",), basis="cohort"),
    selection.Query(("campaign", "month"), date(2024, 1, 15), date(2024, 6, 10)),
    selection.Query(("owner",), None, date(2024, 3, 31)),
    selection.Query(("quarter",), date(2024, 2, 1)),
    selection.Query(("campaign_type", "source")),
]


def event(number: int, event_type: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": str(number), "source": "/t", "type": event_type, "time": "2024-01-02T00:00:00Z",
        "data": data,
    }  # fmt: skip


async def held(pool: asyncpg.Pool, name: str, currency: str = "EUR", timezone: str = "UTC") -> ledgers.Ledger:
    """Create a ledger that only these tests project: other tests' services share the database."""
    ledger = await ledgers.create_ledger(pool, name, currency, timezone)
    await pool.execute(
        "UPDATE generations SET holder = 'test', lease_until = 'infinity' WHERE ledger = $1", ledger.ledger
    )
    return ledger


async def append(pool: asyncpg.Pool, ledger: ledgers.Ledger, events: list[dict[str, Any]]) -> None:
    await append_rows(pool, ledger.ledger, [row_of(read_event(one)) for one in events])


async def project_all(pool: asyncpg.Pool, ledger: ledgers.Ledger, batch: int, most: int = 0) -> None:
    """Project everything, and leave at most so many postings of a batch to be added to the balances."""
    one = await take(pool, ledger, "test", 30, force=True)  # a service of other tests may have it
    assert one is not None
    head, _, _ = await heads.head(pool, ledger.ledger)
    with mock.patch.multiple(projector, _MOST_UNSETTLED=most, _MOST_BEHIND=most):
        while one.checkpoint < head:
            await one.step(batch)


async def answers(
    pool: asyncpg.Pool, ledger: ledgers.Ledger, query: selection.Query, as_of: int | None = None
) -> dict[str, Any]:
    async with reading.snapshot(pool, ledger, as_of) as view:
        found: dict[str, Any] = {}
        for name, report in REPORTS.items():
            if memory.answers_to(report, query) and (report.cube == DEALS or query.group_by == ("owner",)):
                with contextlib.suppress(TooManyPeriodsError):  # such windows are refused
                    answer = await read(view, report, query, memory.now(ledger), frozenset({"break_even_on"}))
                    assert answer is not None
                    found[name] = {"rows": answer.rows, "total": answer.total}
        measures = {one for report in REPORTS.values() for one in report.measures}
        unconverted, found["pending_links"] = await view.waiting(query, measures)
        found["unconverted"] = [(f"{one['kind']}:{one['id']}", one["amount"]) for one in unconverted]
    return found


def run(dsn: str, work: Any) -> None:
    async def opened() -> None:
        pool = await database.connect(dsn, size=4, statement_timeout=60)
        try:
            name = f"{RUN}-{secrets.token_hex(6)}"
            await work(pool, await held(pool, name))
        finally:
            await pool.close()

    asyncio.run(opened())


@EXAMPLES
@given(events=event_sets(), batch=st.sampled_from((1, 3, 1000)), most=st.sampled_from((0, 20, 1000)))
def test_postgresql_answers_what_memory_answers_whatever_is_settled(
    dsn: str, events: list[dict[str, Any]], batch: int, most: int
) -> None:
    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        await append(pool, ledger, events)
        await project_all(pool, ledger, batch, most)
        tables = await memory.project(events)
        for query in QUERIES:
            expected = await memory.answers(tables, query)
            found = await answers(pool, ledger, query)
            for name in ("roi", "conversion", "velocity", "pending_links"):
                assert found[name] == expected[name], (name, query)
        for finding in await verify.verify(pool, ledger):
            assert finding.good, finding

    run(dsn, work)


@EXAMPLES
@given(events=event_sets(), seed=st.integers())
def test_order_duplication_and_batching_do_not_matter_on_postgresql(
    dsn: str, events: list[dict[str, Any]], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  not for secrets
    shuffled = [*events, *chance.choices(events, k=2)] if events else []
    chance.shuffle(shuffled)

    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        other = await held(pool, f"{ledger.name}-other")
        await append(pool, ledger, events)
        await project_all(pool, ledger, 1000)
        for one in shuffled:
            await append(pool, other, [one])
            await project_all(pool, other, 2, 10)
        for query in QUERIES:
            assert await answers(pool, ledger, query) == await answers(pool, other, query)

    run(dsn, work)


@EXAMPLES
@given(events=event_sets(), batch=st.sampled_from((2, 1000)))
def test_replay_equals_live_and_balances_are_the_sums_of_postings(
    dsn: str, events: list[dict[str, Any]], batch: int
) -> None:
    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        for one in events:
            await append(pool, ledger, [one])
            await project_all(pool, ledger, 1, 10)
        for finding in await verify.verify(pool, ledger, deep=True, sample=1_000):
            assert finding.good, finding
        live = [await answers(pool, ledger, query) for query in QUERIES]
        done = await rebuild.rebuild(pool, ledger, batch=batch)
        assert done.differences == 0
        assert [await answers(pool, ledger, query) for query in QUERIES] == live
        for finding in await verify.verify(pool, ledger, deep=True):
            assert finding.good, finding

    run(dsn, work)


@settings(EXAMPLES, max_examples=6)
@given(events=event_sets(), data=st.data(), epoch=st.sampled_from((2, 3, 7, 1000)))
def test_as_of_gives_what_was_known_then_however_the_books_are_closed(
    dsn: str, events: list[dict[str, Any]], data: st.DataObject, epoch: int
) -> None:
    queries = data.draw(st.lists(st.sampled_from(QUERIES), min_size=2, max_size=3, unique=True))

    async def work(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
        known = []
        for one in events:
            await append(pool, ledger, [one])
            await project_all(pool, ledger, 1, 12)
            async with reading.snapshot(pool, ledger) as view:
                position = view.as_of.position
            known.append((position, [await answers(pool, ledger, query) for query in queries]))
        for to_close in (0, len(known) // epoch // 2, len(known)):
            for _ in range(to_close):
                await closings.close_next(pool, ledger.ledger)
            for position, expected in known:
                assert [await answers(pool, ledger, query, position) for query in queries] == expected
        for finding in await verify.verify(pool, ledger):
            assert finding.good, finding

    with mock.patch.object(closings, "EPOCH", epoch):
        run(dsn, work)


async def test_every_measure_has_its_column_in_the_balances(pool: asyncpg.Pool) -> None:
    for table, keys in (("balances", 7), ("closings", 8)):
        rows = await pool.fetch(
            """
            SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > $2 AND NOT attisdropped
            """,
            table, keys,
        )  # fmt: skip
        assert {row[0] for row in rows} == {f"m{number}" for number in range(1, COLUMNS + 1)}
    assert {*LAYOUT.columns} <= {row[0] for row in rows}


async def test_a_worker_that_lost_its_lease_writes_nothing(own_pool: asyncpg.Pool) -> None:
    ledger = await ledgers.create_ledger(own_pool, "lease")
    await append(own_pool, ledger, [event(1, "lead.captured", lead_id="L")])
    paused = await take(own_pool, ledger, "test", 0.0)
    other = await take(own_pool, ledger, "other", 30)
    assert paused is not None
    assert other is not None
    with pytest.raises(LeaseLostError):
        await paused.step(10)
    assert await other.step(10) == 1
    assert await take(own_pool, ledger, "third", 30) is None


async def test_what_a_crash_of_the_database_lost_is_projected_again(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-lost")
    await append(pool, ledger, [event(number, "lead.captured", lead_id=f"L{number}") for number in range(5)])
    one = await take(pool, ledger, "test", 30)
    assert one is not None
    assert await one.step(3) == 3
    for table in ("postings", "balances", "histograms", "segments", "components", "entities"):
        await pool.execute(f"DELETE FROM {table} WHERE ledger = $1", ledger.ledger)
    await pool.execute(
        "UPDATE generations SET checkpoint = 0, settled = 0, next_component = 1 WHERE ledger = $1", ledger.ledger
    )
    assert await one.step(10) == 5
    await one.settle()
    assert (await answers(pool, ledger, selection.Query()))["conversion"]["total"]["entered"]["captured"] == 5
    for finding in await verify.verify(pool, ledger, deep=True):
        assert finding.good, finding


async def test_one_late_rate_may_concern_thousands_of_orders(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-rate")

    usd = {"amount": "10.00", "currency": "USD"}
    orders = [event(number, "order.placed", order_id=f"O{number}", net_value=usd) for number in range(4_500)]
    await append(pool, ledger, orders)
    await project_all(pool, ledger, 5_000)
    rate = {"base": "USD", "quote": "EUR", "rate": "0.5", "rate_date": "2024-01-01"}
    await append(pool, ledger, [event(9_999, "fx.rate_published", **rate)])
    await project_all(pool, ledger, 5_000)
    found = await answers(pool, ledger, selection.Query())
    assert found["roi"]["total"]["booked_revenue"] == "22500.00"
    assert found["unconverted"] == []


async def test_sums_beyond_64_bits_are_exact(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-kwd", "KWD")
    most = {"amount": "999999999999999.999", "currency": "KWD"}
    posted = event(0, "invoice.posted", invoice_id="I", net_amount=most, posting_date="2024-01-02")
    notes = [
        event(
            number,
            "invoice.credited",
            credit_note_id=f"C{number}",
            invoice_id="I",
            net_amount=most,
            posting_date="2024-01-03",
        )
        for number in range(1, 31)
    ]
    orders = [event(100 + number, "order.placed", order_id=f"O{number}", net_value=most) for number in range(40)]
    await append(pool, ledger, [posted, *notes, *orders, event(900, "invoice.cancelled", invoice_id="I")])
    await project_all(pool, ledger, 7)
    total = (await answers(pool, ledger, selection.Query()))["roi"]["total"]
    assert total["booked_revenue"] == "39999999999999999.960"
    assert total["credited"] == total["invoiced_revenue_gross"] == "29999999999999999.970"
    assert total["invoiced_revenue"] == "0.000"
    assert all(finding.good for finding in await verify.verify(pool, ledger))


async def test_a_fold_that_takes_long_shows_the_database_that_it_is_alive(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "SHORTEST_IDLE", 0.4)
    monkeypatch.setattr(folding, "_LIFE_SECONDS", 0.1)

    def slowly(*arguments: Any) -> None:
        time.sleep(0.005)
        contributions.contribute(*arguments)

    ledger = await held(pool, f"{RUN}-slow-fold")
    invoices = [invoice(f"I{number}", "1.00", order_id="O") for number in range(300)]
    await append(pool, ledger, invoices)
    await project_all(pool, ledger, 1_000)
    await append(pool, ledger, [order("O", "9.00", campaign_id="c")])  # moves all of them, for a second and a half
    monkeypatch.setattr(folding, "contribute", slowly)
    one = await take(pool, ledger, "test", 0.1)
    assert one is not None
    assert await one.step(1_000) == 1
    rows = (await answers(pool, ledger, selection.Query(("campaign",))))["roi"]["rows"]
    assert {row["campaign_id"]: row["invoiced_revenue"] for row in rows}["c"] == "300.00"


async def test_a_batch_ends_in_time_and_the_next_goes_on_from_there(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-short-batches")
    await append(pool, ledger, [order(f"O{number}", "1.00") for number in range(10)])
    one = await take(pool, ledger, "test", 30)
    assert one is not None
    done = [await one.step(1_000, 0.0) for _ in range(11)]
    assert done == [1] * 10 + [0]
    assert (await answers(pool, ledger, selection.Query()))["roi"]["total"]["booked_revenue"] == "10.00"


async def test_lag_is_told_in_events_and_in_time_and_a_long_one_is_no_good_proof(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-lag")
    await append(pool, ledger, [order("O", "1.00")])
    (found,) = await lag.lags(pool, ledger.ledger)
    assert (found.events, found.head, found.checkpoint) == (1, 1, 0)
    assert 0 < found.seconds < 60
    await asyncio.sleep(0.01)
    assert (await lag.lags(pool, ledger.ledger))[0].seconds > found.seconds
    projection = next(one for one in await verify.verify(pool, ledger) if one.check == "projection")
    assert projection.good
    assert "up to position 0 of 1; the next one has waited" in projection.detail
    with mock.patch.object(verify, "LONGEST_WAIT", 0.001):
        assert not next(one for one in await verify.verify(pool, ledger) if one.check == "projection").good
    await project_all(pool, ledger, 10)
    (found,) = await lag.lags(pool, ledger.ledger)
    assert (found.events, found.seconds) == (0, 0.0)
