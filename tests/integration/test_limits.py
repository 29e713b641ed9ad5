"""What amounts, rates and days come to is bounded: beyond that a component is set aside, and everything else goes on."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import asyncpg
import pytest

from service.domain import calendar, contributions
from service.domain.components.entities import Order
from service.domain.contributions import REPORTS
from service.domain.fields import MAX_NUMBER
from service.domain.postings import Book
from service.projections.generations import rebuild, retry, verify
from service.projections.reports import completeness, entries, reading, restatement, timeline
from service.projections.sums import selection
from service.store import ledgers
from tests.conftest import RUN
from tests.integration.test_engine import answers, append, held, project_all
from tests.support import earlier
from tests.support.sending import cost, event, invoice, lead, money, order

MOST = "999999999999999.99"


def rate(value: str, day: str = "2026-01-01", base: str = "USD", quote: str = "EUR") -> dict[str, Any]:
    return event("fx.rate_published", base=base, quote=quote, rate=value, rate_date=day)


def void(of: dict[str, Any]) -> dict[str, Any]:
    return event("event.voided", source=of["source"], id=of["id"])


async def total(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> dict[str, Any]:
    found: dict[str, Any] = (await answers(pool, ledger, selection.Query()))["roi"]["total"]
    return found


async def errors(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> dict[int, str]:
    return {one["position"]: one["error"] for one in await retry.listed(pool, ledger.ledger)}


async def proven(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    for finding in await verify.verify(pool, ledger, deep=True):
        assert finding.good, finding


async def test_an_amount_that_its_rate_makes_too_large_is_set_aside_until_the_rate_is_corrected(
    pool: asyncpg.Pool,
) -> None:
    ledger = await held(pool, f"{RUN}-too-large")
    wrong = rate("1000000")
    await append(pool, ledger, [wrong, order("O", MOST, currency="USD"), order("P", "10.00", currency="USD")])
    await project_all(pool, ledger, 10)
    assert "booked_revenue of order:O comes to more than 92233720368547758.07 EUR" in (await errors(pool, ledger))[2]
    assert (await total(pool, ledger))["booked_revenue"] == "10000000.00"
    async with reading.snapshot(pool, ledger) as view:
        assert await timeline.read(view, "order", "O") is not None
    await proven(pool, ledger)
    assert (await rebuild.rebuild(pool, ledger)).differences == 0
    await append(pool, ledger, [rate("0.9", "2026-02-01")])
    await project_all(pool, ledger, 10)
    assert await errors(pool, ledger) == {}
    assert (await total(pool, ledger))["booked_revenue"] == "900000000000008.99"
    await proven(pool, ledger)


@pytest.mark.parametrize("which", ["rate", "order"])
async def test_a_void_of_either_clears_what_the_two_came_to(pool: asyncpg.Pool, which: str) -> None:
    ledger = await held(pool, f"{RUN}-void-{which}")
    both = {"rate": rate("1000000"), "order": order("O", MOST, currency="USD")}
    await append(pool, ledger, list(both.values()))
    await project_all(pool, ledger, 1)
    assert list(await errors(pool, ledger)) == [2]
    await append(pool, ledger, [void(both[which])])
    await project_all(pool, ledger, 1)
    assert await errors(pool, ledger) == {}
    assert len((await answers(pool, ledger, selection.Query()))["unconverted"]) == (which == "rate")
    await proven(pool, ledger)


@pytest.mark.parametrize("value", ["1000000000", "999999999999999", "0.000000000000000001"])
async def test_a_rate_that_was_taken_before_there_were_limits_is_set_aside_alone(
    pool: asyncpg.Pool, value: str
) -> None:
    ledger = await held(pool, f"{RUN}-old-rate-{value}")
    beyond = rate(value, "2026-02-01")
    await earlier.append(pool, ledger, [rate("0.5"), beyond, order("O", MOST, currency="USD")])
    await project_all(pool, ledger, 1)
    assert f"below 1000000000, at most 18 decimal places, got {value}" in (await errors(pool, ledger))[2]
    assert (await total(pool, ledger))["booked_revenue"] == "500000000000000.00"
    await proven(pool, ledger)
    taken_back = void(beyond)
    await append(pool, ledger, [taken_back])
    await project_all(pool, ledger, 1)
    assert await errors(pool, ledger) == {}
    await append(pool, ledger, [void(taken_back) | {"time": "2026-03-02T12:00:00Z"}])
    await project_all(pool, ledger, 1)
    assert list(await errors(pool, ledger)) == [2]
    assert await retry.retry(pool, ledger) == (0, 1)
    await proven(pool, ledger)


async def test_running_out_of_memory_at_one_component_concerns_that_one_alone(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(one: Order, _: Book) -> None:
        if one.id == "O":
            raise MemoryError

    monkeypatch.setitem(contributions.RULES_OF, "order", (*contributions.RULES_OF["order"], greedy))
    ledger = await held(pool, f"{RUN}-memory")
    await append(pool, ledger, [order("O", "1.00"), order("P", "2.00")])
    await project_all(pool, ledger, 10)
    assert await errors(pool, ledger) == {1: "MemoryError"}
    assert (await total(pool, ledger))["booked_revenue"] == "2.00"


async def test_a_credit_note_that_takes_back_more_cogs_than_any_business_has_is_set_aside(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-cogs")
    thin = event(
        "invoice.posted", invoice_id="J", net_amount=money("0.01"), cogs=money(MOST), posting_date="2026-03-01"
    )
    note = event(
        "invoice.credited", credit_note_id="N", invoice_id="J", net_amount=money(MOST), posting_date="2026-03-01"
    )
    await append(pool, ledger, [thin, note, cost("C", "c", "1.00")])
    await project_all(pool, ledger, 1000)
    assert (await errors(pool, ledger))[2].startswith("OverflowError: cogs of credit_note:N comes to more than")
    assert (await total(pool, ledger))["actual_cost"] == "1.00"
    await proven(pool, ledger)


@pytest.mark.parametrize("rated", [True, False])
async def test_what_adds_up_to_more_than_one_event_may_state_can_be_read(pool: asyncpg.Pool, rated: bool) -> None:
    ledger = await held(pool, f"{RUN}-adds-up-{rated}")
    notes = [
        event("invoice.credited", credit_note_id=f"N{n}", invoice_id="I", net_amount=money(MOST, "USD"),
              posting_date="2026-03-01")
        for n in range(200)
    ]  # fmt: skip
    cancelled = event("invoice.cancelled", invoice_id="I")
    rates = [rate("0.5")] if rated else []
    await append(pool, ledger, [*rates, invoice("I", MOST, currency="USD"), *notes, cancelled])
    await project_all(pool, ledger, 1000)
    assert await errors(pool, ledger) == {}
    async with reading.snapshot(pool, ledger) as view:
        figure = await entries.asked(view, selection.Query(), REPORTS["roi"], "invoiced_revenue")
        found, _ = await entries.read(view, figure, (0, 0), 300)
        assert found["sum"] == "0.00"
        assert (found["count"] > 200) is rated
        page = await timeline.read(view, "invoice", "I")
        assert page is not None
        assert page.body["pending_links"] == []
        waiting = (await completeness.read(view))["waiting"]
        assert bool(waiting) is not rated
    await proven(pool, ledger)


async def test_sums_beyond_64_bits_are_exact_in_balances_and_in_verify(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-sums")
    many = [order(f"O{n}", MOST, f"2026-0{1 + n % 3}-01", "USD", campaign_id=f"c{n % 2}") for n in range(40)]
    costs = [cost(f"C{n}", "c0", MOST, currency="USD") for n in range(40)]
    spans = [one for n in range(40) for one in (lead(f"L{n}", "c1", "1900-01-02"), event(
        "lead.qualified", "9998-12-30", lead_id=f"L{n}"))]  # fmt: skip
    await append(pool, ledger, [rate("40", "2025-01-01"), *many[:20], *costs, *spans])
    await project_all(pool, ledger, 1000, most=30)
    await append(pool, ledger, [*many[20:]])
    await project_all(pool, ledger, 1000)
    assert await errors(pool, ledger) == {}
    found = await answers(pool, ledger, selection.Query())
    assert found["roi"]["total"]["booked_revenue"] == f"{40 * 40 * 99999999999999999 // 100}.00"
    assert found["roi"]["rows"][0]["roi"]["booked"] == -0.5
    assert (
        found["velocity"]["total"]["captured_to_qualified"]["mean_days"] == (date(9998, 12, 30) - date(1900, 1, 2)).days
    )
    await proven(pool, ledger)
    assert (await rebuild.rebuild(pool, ledger)).differences == 0
    assert await answers(pool, ledger, selection.Query()) == found
    await proven(pool, ledger)


async def test_numbers_of_any_size_in_fields_that_nobody_asked_for_are_no_poison(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-huge")
    sized = event("campaign.registered", campaign_id="c", name="C", target_audience_size=10**30)
    sent = event("campaign.messages_sent", campaign_id="c", count=10**30)
    with_more = event("order.placed", order_id="O", net_value={**money("1.00"), "net_minor_units": 10**30})
    await earlier.append(
        pool, ledger, [sized, sent, lead("L", utm={"term": "t", "x": -(10**25)}), with_more, order("P", "2.00")]
    )
    await project_all(pool, ledger, 10)
    assert await errors(pool, ledger) == {}
    assert (await total(pool, ledger))["booked_revenue"] == "3.00"


def at_the_ends() -> list[dict[str, Any]]:
    """Return what earlier releases took at the ends of the calendar."""
    ends = ["9999-12-01", "9999-12-29", "0001-01-03"]
    days = [*ends, "9999-12-31", "0001-01-02", "1899-12-31", "9999-01-01"]
    found = [event("campaign.registered", campaign_id="c", name="C", start_date="0001-01-02", end_date="9999-12-31")]
    for n, day in enumerate(days):
        found.append(cost(f"C{n}", "c", "10.00") | {})
        found[-1]["data"]["cost_date"] = day
        found.append(invoice(f"I{n}", "30.00", order_id="O"))
        found[-1]["data"]["posting_date"] = day
        found.append(rate("0.5", day))
        found.append(event("invoice.credited", credit_note_id=f"N{n}", invoice_id=f"I{n}", net_amount=money("1.00"),
                           posting_date=day))  # fmt: skip
    for n, day in enumerate(ends):
        found.append(lead(f"L{n}", "c", day))
        found.append(event("lead.qualified", day, lead_id=f"L{n}"))
        found.append(event("opportunity.opened", day, opportunity_id=f"P{n}", lead_ids=[f"L{n}"]))
        found.append(order(f"O{n}", "7.00", day, "USD", opportunity_id=f"P{n}"))
    return [*found, order("O", "5.00"), order("USD", "6.00", currency="USD")]


WINDOWS = [
    (None, None), (date(2026, 1, 1), None), (None, date(2026, 1, 1)), (date(1900, 1, 1), date(9999, 1, 1)),
    (date(9998, 12, 31), None), (date(9998, 12, 1), date(9999, 1, 1)), (None, date(1900, 1, 2)),
    (date(1900, 5, 3), date(9998, 2, 4)),
]  # fmt: skip


async def read_everything(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    """Read everything that has days in it, now and as known earlier."""
    head = (await reading.serving(pool, ledger)).checkpoint
    groups = [("campaign",), ("month",), ("year", "channel"), ("day",), ("quarter",), ("owner",)]
    for as_of, basis, by in itertools.product((None, head - 1, head // 2), ("event", "cohort"), groups):
        for since, until in WINDOWS:
            await answers(pool, ledger, selection.Query(by, since, until, basis), as_of)
    async with reading.snapshots(pool, ledger, 1, None) as (then, now):
        for since, until in WINDOWS:
            query = selection.Query(("campaign", "month"), since, until)
            await restatement.read(then, now, query, restatement.measures(REPORTS["roi"], None), (0, 0), 100)
            for report, measure in (
                ("roi", "roi.margin"),
                ("conversion", "entered.captured"),
                ("velocity", "sales_cycle"),
            ):
                await entries.read(now, await entries.asked(now, query, REPORTS[report], measure), (0, 0), 100)
        for kind, identity in (("lead", "L0"), ("invoice", "I3"), ("order", "O")):
            assert await timeline.read(now, kind, identity) is not None


@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
async def test_what_was_taken_at_the_ends_of_the_calendar_breaks_no_read_and_no_proof(
    pool: asyncpg.Pool, timezone: str
) -> None:
    ledger = await held(pool, f"{RUN}-ends-{timezone}", timezone=timezone)
    await earlier.append(pool, ledger, at_the_ends())
    await project_all(pool, ledger, 10)
    assert await errors(pool, ledger) == {}
    await read_everything(pool, ledger)
    known = await answers(pool, ledger, selection.Query())
    for report, figure in (("roi", "actual_cost"), ("roi", "invoiced_revenue"), ("roi", "booked_revenue")):
        for window in ((None, None), (date(1900, 1, 1), date(9999, 1, 1))):
            rows = (await answers(pool, ledger, selection.Query(("month",), *window)))[report]["rows"]
            assert all(row["month"] for row in rows)
            assert round(sum(float(row[figure]) for row in rows), 2) == float(known[report]["total"][figure])
    assert known["roi"]["total"]["actual_cost"] == "70.00"
    assert known["conversion"]["total"]["funnel"]["ordered"]["count"] == 3
    await proven(pool, ledger)
    assert (await rebuild.rebuild(pool, ledger)).differences == 0
    await proven(pool, ledger)


async def test_read_models_of_an_earlier_release_with_such_days_can_be_read_until_they_are_rebuilt(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await held(pool, f"{RUN}-ends-before")
    await earlier.append(pool, ledger, at_the_ends())
    with monkeypatch.context() as before:
        before.setattr(calendar, "FIRST_DAY", date(1, 1, 2).toordinal())
        before.setattr(calendar, "LAST_DAY", date.max.toordinal())
        await project_all(pool, ledger, 10)
    await read_everything(pool, ledger)
    assert (await rebuild.rebuild(pool, ledger, serve="always")).differences > 0
    await read_everything(pool, ledger)
    await proven(pool, ledger)


async def test_calls_as_long_as_a_number_may_be_add_up_exactly(pool: asyncpg.Pool) -> None:
    ledger = await held(pool, f"{RUN}-long-calls")
    most = {"rep_id": "R", "outcome": "answered", "duration_s": MAX_NUMBER}
    await append(pool, ledger, [event("call.completed", call_id=f"C{number}", **most) for number in range(3)])
    await project_all(pool, ledger, 2)
    found = (await answers(pool, ledger, selection.Query(("owner",))))["calls"]["total"]
    assert (found["talk_s"], found["mean_talk_s"]) == (3 * MAX_NUMBER, MAX_NUMBER)
    await proven(pool, ledger)
    assert (await rebuild.rebuild(pool, ledger)).differences == 0
