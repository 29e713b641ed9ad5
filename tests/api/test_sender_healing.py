"""A value that cannot be read, or a message that never should have come, stops nothing else – and can be made good."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.conftest import Api
from tests.support.hooks import Sender, connect
from tests.support.stories import dataverse, salesforce
from tests.support.stories.generic import MAPPING
from tests.support.stories.hubspot import batch, changes, deal_event

SECRET = "a-secret-0123456789"


def order(key: str, version: int, net: object = None, status: str = "open") -> bytes:
    """Return what the shop of the generic sample posts about an order."""
    times = {"created_at": "2026-04-01T10:00:00Z", "updated_at": f"2026-04-01T10:{version:02}:00Z"}
    total = {} if net is None else {"total": {"net": net, "currency": "EUR"}}
    return json.dumps(
        {"kind": "order", "object": {"id": key, "version": version, **times, "status": status, **total}}
    ).encode()


def states(sender: Sender) -> list[str]:
    return [one["state"] for one in sender.settled()]


def booked(api: Api) -> Any:
    return api.read("/v1/roi")["total"]["booked_revenue"]


def test_a_bad_amount_stops_neither_what_came_before_it_nor_what_comes_after(api: Api) -> None:
    sender = connect(api, "generic", SECRET, mapping=MAPPING)
    for version, net, status in ((1, "100.00", "open"), (2, "99.999", "open")):
        sender.post(order("SO-1", version, net, status))
        sender.settled()
    assert booked(api) == "100.00"
    first, second = sender.settled()
    assert (first["state"], second["state"]) == ("accepted", "failed")
    assert "order:SO-1: object.total.net: expected a number of at most 2 decimal places" in second["reason"]
    (record,) = sender.call("GET", "/records", params={"state": "failed"}).json()["items"]
    assert record["reasons"] == [second["reason"]]
    sender.post(order("SO-1", 3, "100.00", "cancelled"))
    assert states(sender)[2] == "accepted"
    assert booked(api) == "0.00"
    assert sender.call("GET", "/records", params={"state": "failed"}).json()["items"] == []
    while sender.settled()[1]["state"] == "failed":  # it is settled again, now that it is made good
        pass
    assert "a later message says it anew" in sender.settled()[1]["reason"]


def test_a_cancellation_counts_while_a_bad_amount_still_stands(api: Api) -> None:
    sender = connect(api, "generic", SECRET, mapping={**MAPPING, "partial": True})
    sender.post(order("SO-1", 1, "100.00"))
    sender.post(order("SO-1", 2, "99.999"))
    sender.post(order("SO-1", 3, None, "cancelled"))
    assert states(sender) == ["accepted", "failed", "accepted"]
    assert booked(api) == "0.00"
    assert [one["type"] for one in sender.events()] == ["order.placed", "order.cancelled"]


def test_the_order_of_arrival_makes_no_difference_to_what_is_healed(api: Api) -> None:
    sender = connect(api, "generic", SECRET, mapping=MAPPING)
    for version, net in ((3, "70.00"), (2, "nonsense"), (1, "100.00")):
        sender.post(order("SO-1", version, net))
        sender.settled()
    assert booked(api) == "70.00"
    assert "failed" not in states(sender)


def test_a_lead_whose_campaign_was_once_unreadable_is_captured_and_healed(api: Api) -> None:
    def lead(version: int, campaign: str) -> bytes:
        times = {"created_at": "2026-03-01T10:00:00Z", "updated_at": f"2026-03-01T10:{version:02}:00Z"}
        return json.dumps(
            {"kind": "lead", "object": {"id": "L", "version": version, **times, "utm_campaign": campaign}}
        ).encode()

    sender = connect(api, "generic", SECRET, mapping=MAPPING)
    sender.post(lead(1, "!!!"))
    assert states(sender) == ["failed"]
    assert [one["data"] for one in sender.events()] == [{"lead_id": "L"}]
    sender.post(lead(2, "Fair 2026"))
    sender.settled()
    assert sender.events()[-1]["data"] == {"lead_id": "L", "campaign_id": "fair-2026"}
    assert sender.call("GET", "/records", params={"state": "failed"}).json()["items"] == []


def _hubspot(at: str, **properties: str) -> bytes:
    return batch(deal_event("deal.creation", "2026-03-05T09:00:00Z", 901), *changes("deal", at, 901, **properties)).body


def _salesforce(at: str, **fields: Any) -> bytes:
    kind = "CREATE" if at.startswith("2026-03-05") else "UPDATE"
    return json.dumps(salesforce.change("Opportunity", salesforce.OPPORTUNITY, kind, at, **fields)).encode()


def _dataverse(at: str, **columns: Any) -> bytes:
    make = dataverse.created if at.startswith("2026-03-05") else dataverse.updated
    return json.dumps(make("opportunity", "A", at.removesuffix("Z"), **columns)).encode()


def _erpnext(at: str, **fields: Any) -> bytes:
    document = {
        "doctype": "Opportunity", "name": "OPP-1", "docstatus": 0, "creation": "2026-03-05 09:00:00", "currency": "EUR",
        "modified": at.replace("T", " ").removesuffix("Z"), "status": "Open", **fields,
    }  # fmt: skip
    return json.dumps(document).encode()


DEALS: list[tuple[str, dict[str, Any], Any, list[dict[str, Any]]]] = [
    ("hubspot", {"currency": "EUR"}, _hubspot,
     [{"amount": "100"}, {"amount": "a lot", "dealstage": "closedlost"}, {"amount": "300"}]),
    ("salesforce", {"currency": "EUR"}, _salesforce,
     [{"Amount": 100}, {"Amount": "a lot", "StageName": "Closed Lost"}, {"Amount": 300}]),
    ("dataverse", {"currency": "EUR"}, _dataverse,
     [{"estimatedvalue": dataverse.amount(100)},
      {"estimatedvalue": {"__type": "Money", "Value": "a lot"}, "statecode": dataverse.option(2)},
      {"estimatedvalue": dataverse.amount(300)}]),
    ("erpnext", {}, _erpnext,
     [{"opportunity_amount": 100.0}, {"opportunity_amount": "a lot", "status": "Lost"},
      {"opportunity_amount": 300.0, "status": "Lost"}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "mapping", "message", "said"), DEALS, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_deal_with_a_bad_value_is_lost_all_the_same_and_healed_by_a_good_one(
    api: Api, kind: str, mapping: dict[str, Any], message: Any, said: list[dict[str, Any]]
) -> None:
    sender = connect(api, kind, SECRET, mapping=mapping)
    for at, values in zip(("2026-03-05T09:00:00Z", "2026-03-06T09:00:00Z"), said, strict=False):
        sender.post(message(at, **values))
        sender.settled()
    assert states(sender) == ["accepted", "failed"]
    assert "a lot" in sender.settled()[1]["reason"]
    types = [one["type"] for one in sender.events()]
    assert types.count("opportunity.lost") == 1
    assert "event.voided" not in types
    sender.post(message("2026-03-07T09:00:00Z", **said[2]))
    sender.settled()
    assert sender.call("GET", "/records", params={"state": "failed"}).json()["items"] == []
    assert sender.events()[-1]["data"]["estimated_value"] == {"amount": "300.00", "currency": "EUR"}


def test_a_discarded_delivery_counts_as_if_it_had_never_come_and_its_reason_is_kept(api: Api) -> None:
    sender = connect(api, "generic", SECRET, mapping=MAPPING)
    for version, net in ((1, "100.00"), (2, "5.00"), (3, None)):
        sender.post(order("SO-1", version, net, "open" if version < 3 else "new"))
        sender.settled()
    assert booked(api) == "5.00"
    wrong = sender.deliveries()[1]["id"]
    answer = sender.call("POST", f"/deliveries/{wrong}/discard", json={"reason": "typed by hand"})
    assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (200, "discarded", "typed by hand")
    while len(sender.events()) < 5:
        sender.settled()
    assert booked(api) == "100.00"
    sender.call("POST", "/retranslate")
    assert states(sender) == ["duplicate", "discarded", "duplicate"]
    assert sender.deliveries(state="discarded")[0]["reason"] == "typed by hand"
    assert sender.call("POST", f"/deliveries/{wrong}/retranslate").status_code == 202  # taken back in
    assert states(sender)[1] == "accepted"
    assert booked(api) == "5.00"


def test_what_is_discarded_is_taken_back_though_another_message_cannot_be_read(api: Api) -> None:
    sender = connect(api, "generic", SECRET, mapping=MAPPING)
    for version, net, status in ((1, "100.00", "open"), (2, "99.999", "open"), (3, "70.00", "cancelled")):
        sender.post(order("SO-1", version, net, status))
        sender.settled()
    assert booked(api) == "0.00"
    cancelled = sender.deliveries()[2]["id"]
    sender.call("POST", f"/deliveries/{cancelled}/discard", json={"reason": "of another order"})
    while len(sender.events()) < 7:  # placed; placed anew and cancelled; placed anew, and not cancelled
        sender.settled()
    assert booked(api) == "100.00"
    (failed,) = sender.call("GET", "/records", params={"state": "failed"}).json()["items"]
    assert "at most 2 decimal places" in failed["reasons"][0]


def test_what_cannot_be_discarded_is_said(api: Api) -> None:
    sender = connect(api, "generic", SECRET, mapping=MAPPING)
    sender.post(b"{", {"x-shop-signature": "wrong"})
    (rejected,) = sender.settled()
    for number in (rejected["id"], 10**9):
        answer = sender.call("POST", f"/deliveries/{number}/discard", json={"reason": "x"})
        assert answer.status_code == 404, answer.text
    for body in ({}, {"reason": ""}, {"reason": "x", "more": 1}):
        assert sender.call("POST", f"/deliveries/{rejected['id']}/discard", json=body).status_code == 422


def test_what_was_merged_into_a_record_that_nobody_has_told_of_waits_with_its_money(api: Api) -> None:
    mapping = {
        "currency": "EUR", "amounts_include_tax": False,
        "events": {"deal": {"closedwon": ["opportunity.won", "order.placed"], "closedlost": "opportunity.lost"}},
    }  # fmt: skip
    sender = connect(api, "hubspot", SECRET, mapping=mapping)
    at = "2026-04-01T10:00:00Z"
    for identity, amount in ((51, "600"), (52, "400")):
        created = deal_event("deal.creation", at, identity)
        sender.post(batch(created, *changes("deal", at, identity, amount=amount, dealstage="closedwon")).body)
    sender.settled()
    assert booked(api) == "1000.00"
    assert api.read("/v1/completeness")["complete"] is True
    merge = {"primaryObjectId": 51, "mergedObjectIds": [51, 52], "newObjectId": 99}
    sender.post(batch(deal_event("deal.merge", "2026-04-02T10:00:00Z", 51, **merge)).body)
    sender.settled()
    assert booked(api) == "0.00"
    waiting = sender.call("GET", "/records", params={"state": "waiting"}).json()["items"]
    assert [one["record"] for one in waiting] == ["deal:51", "deal:52"]
    assert [one["amounts"] for one in waiting] == [
        [{"amount": "600.00", "currency": "EUR"}], [{"amount": "400.00", "currency": "EUR"}]
    ]  # fmt: skip
    told = api.read("/v1/completeness")
    assert told["complete"] is False
    (row,) = told["waiting"]
    assert (row["kind"], row["count"]) == ("deal of shop", 2)
    assert row["amounts"] == [{"amount": "1000.00", "currency": "EUR"}]
    later = "2026-04-02T10:00:01Z"
    created = deal_event("deal.creation", later, 99)
    sender.post(batch(created, *changes("deal", later, 99, amount="1000", dealstage="closedwon")).body)
    sender.settled()
    deadline = time.monotonic() + 20
    while sender.call("GET", "/records", params={"state": "waiting"}).json()["items"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert booked(api) == "1000.00"
    assert api.read("/v1/completeness")["complete"] is True


def test_what_gives_no_event_says_why_and_what_would_make_it(api: Api) -> None:
    sender = connect(api, "hubspot", SECRET)
    sender.post(batch(deal_event("contact.creation", "2026-03-02T09:30:00Z", 51)).body)
    (one,) = sender.settled()
    assert one["state"] == "ignored"
    assert "no message has stated its lifecyclestage" in one["reason"]
    assert "give the source a token" in one["reason"]
    (record,) = sender.call("GET", "/records").json()["items"]
    assert (record["state"], record["reasons"]) == ("translated", [one["reason"]])


def test_any_signature_goes_with_any_mapping_over_http(api: Api) -> None:
    key = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
    sender = connect(api, "generic", key, mapping={**MAPPING, "authentication": {"scheme": "standard-webhooks"}})
    assert sender.post(order("SO-1", 1, "100.00")).status_code == 202
    assert sender.post(order("SO-2", 1, "5.00"), {"webhook-signature": "v1,AAAA"}).status_code == 401
    assert states(sender) == ["accepted", "rejected"]
    body = json.dumps(
        {"kind": "order", "token": SECRET, "object": json.loads(order("SO-3", 1, "7.00"))["object"]}
    ).encode()
    hidden = connect(
        api,
        "generic",
        SECRET,
        name="other",
        mapping={**MAPPING, "authentication": {"scheme": "token", "field": "token"}},
    )
    assert hidden.post(body).status_code == 202
    (kept,) = hidden.settled()
    assert SECRET not in hidden.call("GET", f"/deliveries/{kept['id']}").text
    assert booked(api) == "107.00"


async def test_what_comes_while_a_mapping_no_longer_fits_is_verified_kept_and_translated_later(
    open_api: Callable[..., Api], pool: asyncpg.Pool
) -> None:
    api = await asyncio.to_thread(open_api)
    sender = await asyncio.to_thread(connect, api, "generic", SECRET, mapping=MAPPING)
    former = json.dumps({**MAPPING, "fields_of_an_earlier_release": {}})
    await pool.execute("UPDATE sources SET mapping = $2 WHERE source = $1", sender.source.id, former)

    def talk() -> list[tuple[str, bool]]:
        while True:  # a changed source is in force a moment later
            assert sender.post(order("SO-1", 1, "100.00")).status_code == 202
            if "failed" in states(sender):
                break
        assert sender.post(order("SO-2", 1, "1.00"), {"x-shop-signature": "wrong"}).status_code == 401
        found = sender.settled()[-2:]
        sender.call("PATCH", json={"mapping": MAPPING})
        sender.call("POST", "/retranslate")
        assert "failed" not in states(sender)
        return [(one["state"], "the mapping does not fit" in one["reason"]) for one in found]

    assert await asyncio.to_thread(talk) == [("failed", True), ("rejected", False)]
    assert await asyncio.to_thread(booked, api) == "100.00"


def test_a_message_that_cannot_be_read_is_not_complete_until_it_is_discarded(api: Api) -> None:
    sender = connect(api, "generic", SECRET, mapping=MAPPING)
    sender.post(b"{")
    (broken,) = sender.settled()
    (row,) = api.read("/v1/completeness")["waiting"]
    assert (row["kind"], row["waits_for"], row["examples"]) == ("message of shop", "a correction", [str(broken["id"])])
    assert sender.source.id not in json.dumps(row)
    sender.call("POST", f"/deliveries/{broken['id']}/discard", json={"reason": "cut off"})
    assert api.read("/v1/completeness")["complete"] is True


async def test_records_that_were_merged_into_each_other_come_to_rest(
    open_api: Callable[..., Api], pool: asyncpg.Pool
) -> None:
    api = await asyncio.to_thread(open_api)

    def talk() -> None:
        sender = connect(api, "hubspot", SECRET, mapping={"currency": "EUR"})
        for one, other in ((51, 52), (52, 51)):
            merge = {"primaryObjectId": one, "mergedObjectIds": [one], "newObjectId": other}
            sender.post(batch(deal_event("deal.merge", "2026-04-02T10:00:00Z", one, **merge)).body)
        sender.settled()

    async def due() -> int:
        count = "SELECT count(*) FROM records WHERE ledger = $1 AND due IS NOT NULL"
        return int(await pool.fetchval(count, api.ledger.ledger))

    await asyncio.to_thread(talk)
    deadline = time.monotonic() + 20
    while await due():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    for _ in range(30):
        assert await due() == 0
        await asyncio.sleep(0.05)


def test_an_event_that_the_log_refuses_fails_its_own_message_and_not_those_after_it(api: Api) -> None:
    def sold(at: str, kind: str, **fields: Any) -> bytes:
        return json.dumps(salesforce.change("Order", salesforce.ORDER, kind, at, **fields)).encode()

    sender = connect(api, "salesforce", SECRET)
    euros, dollars = {"CurrencyIsoCode": "EUR"}, {"CurrencyIsoCode": "USD"}
    sender.post(sold("2026-04-01T10:00:00Z", "CREATE", Status="Activated", TotalAmount=100, **euros))
    sender.settled()  # the log knows what is corrected only when it has it
    sender.post(sold("2026-04-02T10:00:00Z", "UPDATE", TotalAmount=900, **dollars))
    assert states(sender) == ["accepted", "failed"]
    assert "the currency of what it corrects, EUR" in sender.settled()[1]["reason"]
    assert booked(api) == "100.00"
    sender.post(sold("2026-04-03T10:00:00Z", "UPDATE", TotalAmount=120, **euros))
    sender.settled()
    assert states(sender)[2] == "accepted"
    assert booked(api) == "120.00"
    assert sender.call("GET", "/records", params={"state": "failed"}).json()["items"] == []
    deadline = time.monotonic() + 20
    while "failed" in states(sender):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_amount_whose_currency_cannot_be_read_is_not_one_in_the_currency_before(api: Api) -> None:
    sender = connect(api, "salesforce", SECRET)
    first: dict[str, Any] = {"Status": "Activated", "TotalAmount": 100, "CurrencyIsoCode": "EUR"}
    second: dict[str, Any] = {"TotalAmount": 900, "CurrencyIsoCode": "XQX"}
    for at, kind, fields in (("2026-04-01T10:00:00Z", "CREATE", first), ("2026-04-02T10:00:00Z", "UPDATE", second)):
        sender.post(json.dumps(salesforce.change("Order", salesforce.ORDER, kind, at, **fields)).encode())
        sender.settled()
    assert states(sender) == ["accepted", "failed"]
    assert booked(api) == "100.00"
