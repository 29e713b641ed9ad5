"""Completeness over real HTTP: what waits, for how much money and since when, and which source has gone silent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from tests.conftest import Api
from tests.support.sending import cost, event, invoice, lead, money, order


def credit(key: str, of: str, amount: str) -> dict[str, object]:
    return event(
        "invoice.credited", credit_note_id=key, invoice_id=of, net_amount=money(amount), posting_date="2026-03-09"
    )


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
