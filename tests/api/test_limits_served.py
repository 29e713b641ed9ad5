"""Limits of amounts, rates, numbers and days, as whoever posts meets them; and a ledger that was poisoned before them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from service.store import ledgers
from tests.conftest import RUN, Api
from tests.support import earlier
from tests.support.sending import cost, event, invoice, lead, money, order


def rate(value: str, day: str = "2026-01-01") -> dict[str, Any]:
    return event("fx.rate_published", base="USD", quote="EUR", rate=value, rate_date=day)


@pytest.mark.parametrize(
    ("sent", "field", "expected"),
    [
        (rate("1000000000"), "data.rate", "from 0.000000001 to below 1000000000"),
        (rate("0.000000000999"), "data.rate", "from 0.000000001 to below 1000000000"),
        (order("O", "1000000000000000.00"), "data.net_value", "at most 15 digits before the point"),
        (event("campaign.messages_sent", campaign_id="c", count=2**53), "data.count", "from 0 to 9007199254740991"),
        (event("call.completed", call_id="C", rep_id="R", duration_s=1e17, outcome="answered"), "data.duration_s",
         "a number from 0 to"),
        (cost("C", "c", "1.00") | {"data": {"cost_entry_id": "C", "campaign_id": "c", "amount": money("1.00"),
                                            "cost_date": "9999-12-31"}},
         "data.cost_date", "a day from 1900-01-01 to 9998-12-31"),
        (event("opportunity.opened", opportunity_id="P", expected_close="0001-01-02"), "data.expected_close",
         "a day from 1900-01-01 to 9998-12-31"),
        (lead("L", day="9999-12-01"), "time", "a time on a day from 1900-01-01 to 9998-12-31, in the time zone UTC"),
        (lead("L", day="1899-12-31T23:59:59.999999Z"), "time", "in the time zone UTC"),
        (lead("L", day="0001-01-02"), "time", ""),
    ],
)  # fmt: skip
def test_what_is_beyond_the_limits_is_refused_with_what_it_may_be(
    module_api: Api, sent: dict[str, Any], field: str, expected: str
) -> None:
    answer = module_api.http.post("/v1/events", json=sent)
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["errors"]
    assert problem["field"] == field
    assert expected in problem["expected"]
    batch = module_api.http.post("/v1/events", json=[sent]).json()
    assert [one["status"] for one in batch["items"]] == ["invalid"]
    assert batch["last_position"] == 0


@pytest.mark.parametrize(
    ("timezone", "good", "bad"),
    [
        ("UTC", ("1900-01-01T00:00:00Z", "9998-12-31T23:59:59.999999Z"), ("1899-12-31T23:59:59Z", "9999-01-01T00:00:00Z")),
        ("America/New_York", ("1900-01-01T05:00:00Z", "9999-01-01T04:59:59Z"), ("1900-01-01T04:59:59Z", "9999-01-01T05:00:00Z")),
        ("Pacific/Kiritimati", ("1900-01-02T00:00:00Z", "9998-12-31T09:59:59Z"), ("9998-12-31T10:00:00Z", "1899-12-31T00:00:00Z")),  # noqa: E501
    ],
)  # fmt: skip
def test_the_ends_of_the_calendar_are_local_days(
    open_api: Callable[..., Api], timezone: str, good: tuple[str, str], bad: tuple[str, str]
) -> None:
    api = open_api(timezone=timezone)
    sent = [lead(f"L{moment}", "c", moment) for moment in (*good, *bad)]
    items = api.http.post("/v1/events", json=sent).json()["items"]
    assert [one["status"] for one in items] == ["accepted", "accepted", "invalid", "invalid"]
    assert f"in the time zone {timezone}" in items[2]["problem"]["detail"]
    rows = api.read("/v1/conversion", group_by="day", **{"from": "1900-01-01", "to": "9999-01-01"})["rows"]
    assert [row["entered"]["captured"] for row in rows] == [1, 1]


def test_a_window_may_end_with_the_last_day_and_has_to_lie_within_the_calendar(module_api: Api) -> None:
    for name, day in (("from", "1899-12-31"), ("from", "9999-01-01"), ("to", "9999-01-02"), ("to", "9999-12-31")):
        answer = module_api.http.get("/v1/roi", params={name: day})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["expected"].startswith("a day from 1900-01-01 to 999")
    assert module_api.http.get("/v1/roi?from=1900-01-01&to=9999-01-01").status_code == 200


@pytest.mark.parametrize(
    "name", ["localtime", "Factory", "posixrules", "posix/Europe/Berlin", "../etc/passwd", "CEST", ""]
)
def test_a_ledger_is_in_a_time_zone_of_iana_and_not_of_the_machine(dsn: str, name: str) -> None:
    async def create() -> None:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            await ledgers.create_ledger(pool, f"{RUN}-zone-{name}", timezone=name)

    with pytest.raises(ValueError, match="is not an IANA time zone"):
        asyncio.run(create())


def set_aside(api: Api) -> list[int]:
    return [one["position"] for one in api.http.get("/v1/set-aside").json()["items"]]


def test_what_was_taken_beyond_the_limits_is_set_aside_while_every_ledger_goes_on(
    open_api: Callable[..., Api], dsn: str
) -> None:
    poisoned, other = open_api(), open_api()
    huge = order("O", "999999999999999.99", currency="USD")
    beyond = rate("999999999999999", "2026-02-01")
    earlier.stored(dsn, poisoned.ledger, rate("1000000"), huge, beyond, order("P", "10.00", currency="USD"))
    begun = time.monotonic()
    for number in range(20):
        other.post(order(f"O{number}", "1.00"))
        assert other.read("/v1/roi")["total"]["booked_revenue"] == f"{number + 1}.00"
    assert time.monotonic() - begun < 60  # it stood still for as long as the other one was looked at
    assert poisoned.read("/v1/roi")["total"]["booked_revenue"] == "10000000.00"
    assert set_aside(poisoned) == [2, 3]
    assert poisoned.http.get("/v1/journeys/order/O").status_code == 200
    waiting = {one["kind"]: one for one in poisoned.read("/v1/completeness")["waiting"]}
    assert waiting["order.placed"]["amounts"] == [{"amount": "999999999999999.99", "currency": "USD"}]
    for one in (beyond, huge):
        poisoned.post(event("event.voided", source=one["source"], id=one["id"]))
    assert poisoned.read("/v1/roi")["total"]["booked_revenue"] == "10000000.00"
    assert set_aside(poisoned) == []


@pytest.mark.parametrize("day", ["0001-01-03", "1899-12-31", "9999-12-01", "9999-12-29"])
def test_a_day_that_was_taken_beyond_the_calendar_breaks_no_read_and_is_in_a_row(api: Api, dsn: str, day: str) -> None:
    won = [
        event("opportunity.opened", day, opportunity_id="P", lead_ids=["L"]),
        order("O", "5.00", day, opportunity_id="P"),
    ]
    earlier.stored(
        dsn, api.ledger, lead("L", "a", day), *won, invoice("I", "5.00", day, order_id="O"), cost("C", "a", "1.00", day),
        cost("D", "a", "4.00", day, currency="USD"), rate("0.5", day), cost("E", "a", "2.00"),
    )  # fmt: skip
    total = api.read("/v1/roi")["total"]["actual_cost"]
    assert total == "5.00"
    for report, group, basis in itertools.product(
        ("roi", "conversion", "velocity"), ("campaign", "day", "quarter"), ("event", "cohort")
    ):
        for window in ({}, {"from": "9998-12-01"}, {"to": "1900-01-02"}):
            api.read(f"/v1/{report}", group_by=group, date_basis=basis, **window)
    rows = api.read("/v1/roi", group_by="day")["rows"]
    assert sorted(row["actual_cost"] for row in rows if row["day"]) == ["2.00", "3.00"]
    for path in ("campaigns/a/roi", "journeys/order/O", "completeness", "flags"):
        assert api.http.get(f"/v1/{path}").status_code == 200, path
