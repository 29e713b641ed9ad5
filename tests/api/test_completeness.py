"""Completeness over real HTTP: what waits, for how much money and since when, and which source has gone silent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.conftest import Api
from tests.support.hooks import connect
from tests.support.sending import cost, credit, event, invoice, lead, money, order
from tests.support.stories.hubspot import batch, changes, deal_event

SECRET = "a-secret-0123456789"


def test_what_waits_is_told_with_its_money_and_since_when(api: Api) -> None:
    assert api.read("/v1/completeness")["waiting"] == []
    api.post(
        order("SO-1", "100.00", opportunity_id="OP"), order("SO-2", "50.00", opportunity_id="OQ"), credit("CN", "IN", "20.00"),
        cost("C", "a", "30.00", currency="USD"), cost("D", "a", "12.00", currency="USD"),
        order("SO-1", "70.00", "2026-03-05", opportunity_id="OP"),
    )  # fmt: skip
    broken = api.http.post("/v1/events", json=[invoice("X", "9.00") | {"type": "invoice.post"}])
    assert broken.status_code == 207
    answer = api.read("/v1/completeness")
    waiting = {(one["kind"], one["waits_for"]): one for one in answer["waiting"]}
    assert {key: (one["count"], one["amounts"]) for key, one in waiting.items()} == {
        ("order", "opportunity"): (2, [money("120.00")]),
        ("credit_note", "invoice"): (1, [money("20.00")]),
        ("cost", "rate USD/EUR"): (2, [money("42.00", "USD")]),
        ("quarantined item", "a correction"): (1, [money("9.00")]),
    }
    assert waiting["order", "opportunity"]["since"]["position"] == 1
    assert waiting["order", "opportunity"]["examples"] == ["SO-1", "SO-2"]
    assert answer["complete"] is False
    earlier = api.read("/v1/completeness", as_of=2)["waiting"]
    assert [(one["kind"], one["count"], one["amounts"]) for one in earlier] == [("order", 2, [money("150.00")])]
    rate = event("fx.rate_published", base="USD", quote="EUR", rate="0.5", rate_date="2026-01-01")
    links = [event("opportunity.opened", opportunity_id=one) for one in ("OP", "OQ")]
    api.post(rate, *links, invoice("IN", "20.00"))
    assert [one["kind"] for one in api.read("/v1/completeness")["waiting"]] == ["quarantined item"]


def void(of: dict[str, Any]) -> dict[str, Any]:
    return event("event.voided", "2026-03-20", source=of["source"], id=of["id"])


def restated(key: str, first: str, then: str) -> list[dict[str, Any]]:
    later = credit(key, "IN", then) | {"time": "2026-03-10T12:00:00Z"}
    return [credit(key, "IN", first), later]


def amended(key: str, amount: str, day: str = "2026-03-05") -> dict[str, Any]:
    return event("order.amended", day, order_id=key, net_value=money(amount))


def reversal(of: str, amount: str) -> dict[str, Any]:
    return event("campaign.cost_reversed", "2026-03-09", cost_entry_id=of, amount=money(amount))


def opened(key: str, lead_id: str, value: str, day: str = "2026-03-01") -> dict[str, Any]:
    return event("opportunity.opened", day, opportunity_id=key, lead_ids=[lead_id], estimated_value=money(value))


PLACED = order("SO", "100.00", opportunity_id="OP")
WRONG = order("SO", "999.00", "2026-03-02", opportunity_id="OP")
BOOKED = cost("C", "a", "30.00")
OPENED = opened("OP", "L", "500.00", "2026-03-02")
ORDER = ("order", "opportunity")
LAST_STATEMENTS: dict[str, tuple[list[dict[str, Any]], tuple[str, str], list[str]]] = {
    "a credit note restated": (restated("CN", "10.00", "5.00"), ("credit_note", "invoice"), ["5.00"]),
    "an order whose restatement was voided": ([PLACED, WRONG, void(WRONG)], ORDER, ["100.00"]),
    "an amended order": ([PLACED, amended("SO", "80.00"), amended("SO", "70.00", "2026-03-06")], ORDER, ["70.00"]),
    "an order amended before its last placing": (
        [PLACED, amended("SO", "80.00"), order("SO", "90.00", "2026-03-08", opportunity_id="OP")], ORDER, ["80.00"]
    ),
    "a cancelled order": ([PLACED, event("order.cancelled", "2026-03-07", order_id="SO")], ORDER, []),
    "an invoice restated": (
        [invoice("IN", "8.00", order_id="X"), invoice("IN", "6.00", "2026-03-03", order_id="X")], ("invoice", "order"), ["6.00"]
    ),
    "a reversal whose cost was voided": (
        [BOOKED, void(BOOKED), reversal("C", "12.00")], ("campaign.cost_reversed", "cost"), ["12.00"]
    ),
    "an amendment of what was never placed": ([amended("SO", "7.00")], ("order.amended", "order"), ["7.00"]),
    "an opportunity whose last opening was voided": (
        [opened("OP", "L", "400.00"), OPENED, void(OPENED)], ("opportunity", "lead"), ["400.00"]
    ),
    "a quote": (
        [event("quote.sent", "2026-03-02", quote_id="Q", opportunity_id="OP", value=money("3.00")),
         event("quote.accepted", "2026-03-03", quote_id="Q", opportunity_id="OP", value=money("2.50"))],
        ("quote", "opportunity"), ["2.50"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LAST_STATEMENTS)
def test_what_waits_stands_for_its_last_live_statement_in_any_order_of_arrival(
    open_api: Callable[..., Api], what: str
) -> None:
    events, group, amounts = LAST_STATEMENTS[what]
    for seed in range(4):
        api = open_api()
        shuffled = list(events)
        random.Random(seed).shuffle(shuffled)  # noqa: S311  not for secrets
        for one in [*shuffled, *shuffled]:
            api.http.post("/v1/events", json=one).raise_for_status()
        answer = api.read("/v1/completeness")
        (found,) = (one for one in answer["waiting"] if (one["kind"], one["waits_for"]) == group)
        assert (found["count"], [one["amount"] for one in found["amounts"]]) == (1, amounts)


def test_what_stood_then_is_told_as_of_earlier_positions(api: Api) -> None:
    first, then = restated("CN", "10.00", "5.00")
    api.post(then, first, void(then))
    then_and_now = [api.read("/v1/completeness", as_of=at)["waiting"][0]["amounts"][0]["amount"] for at in (1, 2, 3)]
    assert then_and_now == ["5.00", "5.00", "10.00"]


def test_what_waits_for_longer_than_is_set_is_overdue(api: Api, dsn: str) -> None:
    api.post(credit("old", "IN", "20.00"))
    api.post(credit("new", "IN2", "3.00"))
    for number in range(2):
        api.http.post("/v1/events", json=invoice(f"X{number}", "9.00") | {"type": "invoice.post"})
    api.read("/v1/roi")

    async def aged() -> None:
        """Let the first of each have come 31 days ago: only a superuser's replica mode can change history."""
        connection = await asyncpg.connect(dsn)
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for table, column, number in (("events", "recorded_at", "position"), ("quarantine", "received_at", "item")):
                await connection.execute(
                    f"UPDATE {table} SET {column} = now() - interval '31 days' WHERE ledger = $1 AND {number} = 1",
                    api.ledger.ledger,
                )
        await connection.close()

    asyncio.run(aged())
    answer = api.read("/v1/completeness")
    assert answer["overdue_days"] == 30
    told = {one["kind"]: (one["count"], one["amounts"], one["overdue"]) for one in answer["waiting"]}
    assert told == {
        "credit_note": (2, [money("23.00")], {"count": 1, "amounts": [money("20.00")]}),
        "quarantined item": (2, [money("18.00")], {"count": 1, "amounts": [money("9.00")]}),
    }


def test_a_source_that_has_gone_silent_is_flagged(api: Api, dsn: str) -> None:
    api.post(*(lead(f"L{number}") for number in range(7)))
    api.read("/v1/roi")

    async def arrived(minutes: list[int]) -> None:
        """Let the events have arrived so many minutes ago: only a superuser's replica mode can change history."""
        connection = await asyncpg.connect(dsn)
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for number, minute in enumerate(minutes, 1):
                await connection.execute(
                    "UPDATE events SET recorded_at = $3 WHERE ledger = $1 AND position = $2",
                    api.ledger.ledger, number, datetime.now(UTC) - timedelta(minutes=minute),
                )  # fmt: skip
        await connection.close()

    asyncio.run(arrived([70, 60, 50, 40, 30, 20, 10]))
    (source,) = api.read("/v1/completeness")["sources"]
    assert (source["source"], source["events"], source["silent"]) == ("/test", 7, False)
    assert round(source["usual_interval_seconds"]) == round(source["longest_usual_interval_seconds"]) == 600
    assert 600 <= source["silent_seconds"] < 1200
    asyncio.run(arrived([100, 90, 80, 70, 60, 50, 40]))
    (source,) = api.read("/v1/completeness")["sources"]
    assert (source["silent"], source["last_event"]["position"]) == (True, 7)


def test_what_waits_in_records_of_senders_is_added_up(api: Api, dsn: str) -> None:
    """Six deals that were merged into one of which nobody has told, two of them long ago, and a message that says nothing."""
    sender = connect(api, "hubspot", SECRET)
    sender.post(b"[]")
    at, currencies = "2026-04-01T10:00:00Z", ("EUR", "USD")
    for number in range(1, 7):
        told = changes("deal", at, number, amount=f"{number}00.50", deal_currency_code=currencies[number % 2])
        sender.post(batch(deal_event("deal.creation", at, number), *told).body)
        merge = {"primaryObjectId": number, "mergedObjectIds": [number], "newObjectId": 99}
        sender.post(batch(deal_event("deal.merge", "2026-04-02T10:00:00Z", number, **merge)).body)
        sender.settled()

    async def aged() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "UPDATE records SET since = now() - interval '31 days' WHERE ledger = $1 AND record = ANY($2)",
            api.ledger.ledger, ["deal:5", "deal:6"],
        )  # fmt: skip
        await connection.close()

    asyncio.run(aged())
    deals, message = api.read("/v1/completeness")["waiting"]
    assert (deals["kind"], deals["waits_for"], deals["count"]) == ("deal of shop", "a message", 6)
    assert deals["amounts"] == [money("1201.50"), money("901.50", "USD")]
    assert deals["overdue"] == {"count": 2, "amounts": [money("600.50"), money("500.50", "USD")]}
    assert deals["examples"] == ["deal:5", "deal:6", "deal:1", "deal:2", "deal:3"]
    assert (message["kind"], message["waits_for"], message["count"]) == ("message of shop", "a correction", 1)
