"""`/v1/hooks`: what is posted is kept, verified, answered, and then translated; over real HTTP and PostgreSQL."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import Request
from service.store import inbox
from tests.conftest import OPERATOR, Api
from tests.support.hooks import Sender, connect
from tests.support.stories import Story, all_stories
from tests.support.stories.business_central import guid, notice
from tests.support.stories.generic import MAPPING

SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
OTHER = "whsec_YW5vdGhlci1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NQ=="
KIND = "standard-webhooks"


def message(kind: str, **data: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-03-02T09:30:00Z", "data": data}).encode()


def lead(key: str, campaign: str = "c") -> bytes:
    return message("lead.captured", lead_id=key, campaign_id=campaign)


def order(key: str, version: int, net: object = None, status: str = "open", **more: Any) -> bytes:
    """Return what the shop of the generic sample posts about an order."""
    total = {} if net is None else {"total": {"net": net, "currency": "EUR"}}
    times = {"created_at": "2026-04-01T10:00:00Z", "updated_at": f"2026-04-01T10:{version:02}:00Z"}
    record = {"id": key, "version": version, **times, "status": status, **total, **more}
    return json.dumps({"kind": "order", "object": record}).encode()


def shop(api: Api, mapping: dict[str, Any] = MAPPING) -> Sender:
    return connect(api, "generic", "a-secret-0123456789", mapping=mapping)


def overseen(api: Api) -> str:
    """Return the metrics as the operator sees them: counts of deliveries are of all ledgers."""
    return api.http.get("/metrics", headers={"Authorization": f"Bearer {OPERATOR}"}).text


def states(sender: Sender) -> list[str]:
    return [one["state"] for one in sender.settled()]


@contextmanager
def held(dsn: str, table: str) -> Iterator[None]:
    """Hold up whoever writes to a table."""
    loop = asyncio.new_event_loop()
    connection: asyncpg.Connection = loop.run_until_complete(asyncpg.connect(dsn))
    try:
        loop.run_until_complete(connection.execute(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE"))
        yield
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


def test_a_signed_message_is_answered_202_and_becomes_an_event_once(api: Api) -> None:
    sender = connect(api, KIND, SECRET)
    assert [sender.post(lead("L-1")).status_code for _ in range(2)] == [202, 202]
    assert sorted(states(sender)) == ["accepted", "duplicate"]  # whichever is translated first
    (event,) = sender.events()
    assert (event["source"], event["type"]) == ("/sources/shop", "lead.captured")
    assert event["data"] == {"lead_id": "L-1", "campaign_id": "c"}


def test_the_answer_comes_before_the_translation(api: Api, dsn: str) -> None:
    sender = connect(api, KIND, SECRET)
    with held(dsn, "statements"):
        assert sender.post(lead("L-1")).status_code == 202
        assert [one["state"] for one in sender.deliveries()] == ["received"]
        assert sender.events() == []
    assert states(sender) == ["accepted"]
    assert len(sender.events()) == 1


def test_a_bad_signature_is_rejected_kept_counted_and_never_translated(api: Api) -> None:
    sender = connect(api, KIND, SECRET)
    wrong = sender._replace(source=sender.source._replace(secrets=(OTHER,)))
    answer = wrong.post(lead("L-1"))
    assert answer.status_code == 401
    assert sender.post(lead("L-2"), {"webhook-timestamp": "1700000000"}).status_code == 401
    assert httpx.post(sender.url, content=lead("L-3")).status_code == 401
    found = sender.deliveries()
    assert [one["state"] for one in found] == ["rejected"] * 3
    assert [one["next_try"] for one in found] == [None] * 3
    assert SECRET not in answer.text + json.dumps(found)
    assert sender.call("POST", "/retranslate").json() == {"deliveries": 0, "records": 0}
    assert sender.call("POST", f"/deliveries/{found[0]['id']}/retranslate").status_code == 404
    metrics = overseen(api)
    assert 'campaign_ledger_deliveries_total{kind="standard-webhooks",state="rejected"}' in metrics
    assert sender.events() == []


def test_a_foreign_notification_is_rejected_and_counted_and_the_others_count(api: Api) -> None:
    """Business Central posts those of several subscriptions at once, and drops a subscription for a wrong answer."""
    state, other = "a-client-state-0123456789", "another-client-state-0123456789"
    sender = connect(api, "business-central", state, credentials={"client_id": "i", "client_secret": "s-0123456789"})
    resource = f"salesOrders({guid('S-ORD101001')})"
    own = {**notice(resource, "deleted", "2026-05-08T11:00:00Z"), "clientState": state}
    foreign = {**notice(resource, "deleted", "2026-05-09T11:00:00Z"), "clientState": other}
    counted = 'campaign_ledger_deliveries_total{kind="business-central",state="rejected"}'

    def rejected() -> float:
        lines = overseen(api).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(counted))

    before = rejected()
    assert sender.post(json.dumps({"value": [foreign, own, foreign]}).encode()).status_code == 200
    ours, theirs = sender.settled()
    assert (ours["state"], theirs["state"]) == ("ignored", "rejected")  # of an order that nobody has placed
    assert theirs["reason"].startswith("2 of 3 notifications")
    assert rejected() == before + 1
    assert [one["record"] for one in sender.call("GET", "/records").json()["items"]] == [
        f"salesOrder:{guid('S-ORD101001')}"
    ]
    assert sender.post(json.dumps({"value": [foreign]}).encode()).status_code == 503
    bodies = [sender.call("GET", f"/deliveries/{one['id']}").json()["body"] for one in sender.deliveries()]
    assert len(bodies) == 3
    assert state not in "".join(bodies)
    assert other not in "".join(bodies)


def test_secrets_are_rotated_by_having_two_for_a_while(api: Api) -> None:
    sender = connect(api, KIND, SECRET)
    new = sender._replace(source=sender.source._replace(secrets=(OTHER,)))
    assert new.post(lead("L-1")).status_code == 401
    before = sender.call("GET").json()["secrets"]
    changed = sender.call("PATCH", json={"secrets": [OTHER, SECRET]}).json()
    assert len(changed["secrets"]) == 2
    assert changed["secrets"][1] == before[0]
    assert [one.post(lead("L-1")).status_code for one in (sender, new)] == [202, 202]
    sender.call("PATCH", json={"secrets": [OTHER]})
    assert [one.post(lead("L-2")).status_code for one in (sender, new)] == [401, 202]


def test_a_secret_in_the_url_stands_for_authentication(api: Api) -> None:
    sender = connect(api, KIND, path_secret=True)
    assert sender.source.path_secret
    headers = {"webhook-id": "m-1"}
    assert httpx.post(sender.url, content=lead("L-1"), headers=headers).status_code == 202
    bare, _, secret = sender.url.rpartition("/")
    for url in (bare, f"{bare}/wrong", f"{bare}/{secret[:-1]}"):
        assert httpx.post(url, content=lead("L-1"), headers=headers).status_code == 401, url
    assert states(sender) == ["accepted", "rejected", "rejected", "rejected"]
    shown = sender.call("GET").json()
    assert shown["url"].endswith("/{path_secret}")
    assert secret not in json.dumps(shown) + json.dumps(sender.deliveries())
    again = sender.call("PATCH", json={"path_secret": True}).json()["url"]
    assert httpx.post(sender.url, content=lead("L-2"), headers=headers).status_code == 401
    new = f"{bare}/{again.rpartition('/')[2]}"
    assert httpx.post(new, content=lead("L-2"), headers={"webhook-id": "m-2"}).status_code == 202


def test_a_key_that_stands_twice_in_the_url_opens_nothing(api: Api) -> None:
    mapping = {**MAPPING, "authentication": {"scheme": "token", "query": "key"}}
    sender = connect(api, "generic", SECRET, mapping=mapping)
    key = f"key={quote(SECRET)}"
    queries = (key, f"key=other&{key}", f"{key}&{key}", f"{key}&tag=a&tag=b")
    assert [httpx.post(f"{sender.url}?{one}", content=b"{}").status_code for one in queries] == [202, 401, 401, 202]


def test_the_cloudevents_handshake_names_origin_and_rate(api: Api) -> None:
    mapping = {"origins": ["emitter.example.com"]}
    sender = connect(api, "cloudevents", SECRET, mapping=mapping, rate_per_minute=120)
    answer = httpx.options(sender.url, headers={"WebHook-Request-Origin": "emitter.example.com"})
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "emitter.example.com"
    assert answer.headers["webhook-allowed-rate"] == "120"
    refused = httpx.options(sender.url, headers={"WebHook-Request-Origin": "other.example.com"})
    assert "webhook-allowed-origin" not in refused.headers
    assert sender.deliveries() == []
    assert httpx.get(sender.url).status_code == 405


def test_what_is_unknown_waits_and_what_is_corrected_is_voided_and_given_anew(api: Api) -> None:
    sender = shop(api)
    sender.post(order("SO-1", 1))
    (first,) = sender.settled()
    assert (first["state"], first["reason"]) == ("accepted", "order:SO-1: order.placed: net_value unknown")
    assert sender.call("GET", "/records", params={"state": "waiting"}).json()["items"] == [
        {"record": "order:SO-1", "state": "waiting", "reasons": ["order:SO-1: order.placed: net_value unknown"]}
    ]
    for version, net in ((2, "50.00"), (4, 70), (3, 60)):  # the last one comes too late to matter
        sender.post(order("SO-1", version, net))
        sender.settled()
    assert states(sender) == ["accepted", "accepted", "accepted", "duplicate"]
    assert sender.call("GET", "/records", params={"state": "waiting"}).json()["items"] == []
    events = [(one["type"], one["id"]) for one in sender.events()]
    assert events == [
        ("order.placed", "order:SO-1/order.placed"), ("event.voided", "void/order:SO-1/order.placed"),
        ("order.placed", "order:SO-1/order.placed~1"),
    ]  # fmt: skip
    assert api.read("/v1/roi")["total"]["booked_revenue"] == "70.00"


def test_retranslating_after_a_change_of_mapping_voids_what_changes_and_leaves_the_rest(api: Api) -> None:
    sender = shop(api)
    sender.post(order("SO-1", 1, 100, tax=19))
    sender.post(order("SO-2", 1, 200, status="paid"))
    sender.settled()
    mapping = copy.deepcopy(MAPPING)
    rule = next(one for one in mapping["events"] if one["type"] == "order.placed")
    rule["when"]["equals"] = ["paid"]
    assert sender.call("PATCH", json={"mapping": mapping}).status_code == 200
    assert sender.call("POST", "/retranslate").json() == {"deliveries": 2, "records": 0}
    assert states(sender) == ["accepted", "duplicate"]
    assert api.read("/v1/roi")["total"]["booked_revenue"] == "200.00"
    sender.call("PATCH", json={"mapping": MAPPING})
    sender.call("POST", "/retranslate")
    assert states(sender) == ["accepted", "duplicate"]
    assert api.read("/v1/roi")["total"]["booked_revenue"] == "300.00"
    assert [one["id"] for one in sender.events()][-1] == "order:SO-1/order.placed~1"


def test_one_delivery_is_translated_again_by_itself(api: Api) -> None:
    sender = shop(api)
    sender.post(order("SO-1", 1, 100))
    (one,) = sender.settled()
    assert sender.call("POST", f"/deliveries/{one['id']}/retranslate").status_code == 202
    assert states(sender) == ["duplicate"]


def test_what_cannot_be_read_is_kept_listed_and_tried_again(api: Api) -> None:
    sender = shop(api)
    sender.post(b'{"kind": "order"')
    sender.post(order("SO-1", 1, "12,50"))
    broken, wrong = sender.settled()
    assert [one["state"] for one in (broken, wrong)] == ["failed", "failed"]
    assert "valid JSON" in broken["reason"]
    assert "object.total.net: expected a number such as 1234.50" in wrong["reason"]
    assert broken["next_try"] > broken["settled_at"]
    assert sender.call("GET", f"/deliveries/{broken['id']}").json()["body"] == '{"kind": "order"'
    mapping = json.loads(json.dumps(MAPPING).replace("{object.total.net|decimal}", "{object.total.net|comma|decimal}"))
    sender.call("PATCH", json={"mapping": mapping})
    sender.call("POST", "/retranslate")
    assert states(sender) == ["failed", "accepted"]
    assert api.read("/v1/roi")["total"]["booked_revenue"] == "12.50"


def test_a_part_that_cannot_be_read_does_not_stop_the_others(api: Api) -> None:
    sender = connect(api, "cloudevents", "a-token-0123456789")
    good = {
        "specversion": "1.0", "id": "1", "source": "/crm", "type": "lead.captured", "time": "2026-03-01T00:00:00Z",
        "data": {"lead_id": "L-1"},
    }  # fmt: skip
    sender.post(json.dumps([{**good, "id": "2", "data": {}}, good, 7]).encode())
    (one,) = sender.settled()
    assert one["state"] == "failed"
    assert "data.lead_id" in one["reason"]
    assert [event["id"] for event in sender.events()] == ["1"]


def test_an_event_that_the_log_has_with_other_content_fails_and_is_listed(api: Api) -> None:
    sender = shop(api)
    data = {"order_id": "SO-1", "net_value": {"amount": "1.00", "currency": "EUR"}}
    there = {
        "specversion": "1.0", "id": "order:SO-1/order.placed", "source": "/sources/shop", "type": "order.placed",
        "time": "2026-01-01T00:00:00Z", "data": data,
    }  # fmt: skip
    api.post(there)
    sender.post(order("SO-1", 1, 100))
    (one,) = sender.settled()
    assert one["state"] == "failed"
    assert "the event at position 1 has the same source and id but other content" in one["reason"]
    assert sender.call("GET", "/records", params={"state": "failed"}).json()["items"][0]["record"] == "order:SO-1"
    assert len(sender.events()) == 1


def test_more_than_a_source_may_send_is_answered_429_with_the_time_to_wait(api: Api) -> None:
    sender = connect(api, KIND, SECRET, rate_per_minute=1)
    assert sender.post(lead("L-1")).status_code == 202
    answer = sender.post(lead("L-2"))
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert len(sender.deliveries()) == 1


def test_a_body_beyond_the_limit_is_refused_and_deep_nesting_fails(api: Api) -> None:
    sender = connect(api, "generic", "a-secret-0123456789", mapping=MAPPING)
    assert sender.post(b" " * (8 * 1024 * 1024 + 1)).status_code == 413
    sender.post(b'{"a":' * 65 + b"1" + b"}" * 65)
    sender.post(b"[" * 100_000)
    assert [(one["state"], "deep" in one["reason"]) for one in sender.settled()] == [("failed", True)] * 2


def test_deliveries_are_listed_in_pages_by_state_newest_first(api: Api) -> None:
    sender = connect(api, KIND, SECRET)
    for number in range(5):
        sender.post(lead(f"L-{number}"))
    sender.post(message("user.deleted"))
    everything = [one["id"] for one in reversed(sender.settled())]
    path, seen = f"/v1/sources/{sender.source.id}/deliveries?limit=2", []
    while path:
        answer = api.http.get(path)
        seen += [one["id"] for one in answer.json()["items"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == everything
    (ignored,) = sender.deliveries(state="ignored")
    assert ignored["reason"] == "type user.deleted is none of the catalogue, nor in the mapping's types"


@pytest.mark.parametrize("story", all_stories(), ids=lambda one: one.kind)
def test_garbage_is_never_an_error_of_ours_and_never_lost(api: Api, story: Story) -> None:
    mapping = json.loads(json.dumps(story.mapping).replace("{api}", "http://127.0.0.1:1"))
    sender = connect(
        api, story.kind, *story.secrets, mapping=mapping, path_secret=story.path_secret, credentials=dict(story.credentials)
    )  # fmt: skip
    bodies = [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\x00",
        b"[[[]]]",
        b'{"type": 1}',
        b"<a/>",
        b'"\\u0000"',
        b'{"a": 1e999}',
    ]
    answers = [sender.post(body).status_code for body in bodies]
    assert 500 not in answers  # some kinds answer 503 to what is not verified, so that their sender goes on
    found = sender.settled()
    requests = [Request("POST", sender.url, {}, {}, body, datetime.now(UTC)) for body in bodies]
    tries = [one.body for one in requests if KINDS[story.kind].handshake(one, sender.source)]  # of a URL: no message
    assert len(found) == len(bodies) - len(tries)
    assert tries in ([], [b""])
    assert {one["state"] for one in found} <= {"failed", "ignored", "rejected"}
    assert sender.events() == []


def test_a_body_that_has_a_secret_in_it_is_shown_without(api: Api) -> None:
    sender = connect(api, KIND, SECRET)
    sender.post(message("lead.captured", lead_id="L-1", channel=SECRET))
    (one,) = sender.settled()
    assert '"channel": "***"' in sender.call("GET", f"/deliveries/{one['id']}").json()["body"]


async def test_bodies_go_after_their_time_and_what_translating_needs_stays(
    open_api: Callable[..., Api], pool: asyncpg.Pool
) -> None:
    api = await asyncio.to_thread(open_api)
    sender = await asyncio.to_thread(shop, api)

    def talk() -> list[str]:
        sender.post(order("SO-1", 1, 100))
        sender.post(b"{")
        httpx.post(sender.url, content=b"{}")
        return states(sender)

    assert await asyncio.to_thread(talk) == ["accepted", "failed", "rejected"]
    await pool.execute(
        "UPDATE deliveries SET received_at = now() - interval '91 days' WHERE ledger = $1", api.ledger.ledger
    )
    await inbox.forget(pool, 90, 24)
    rows = await pool.fetch("SELECT state, body FROM deliveries WHERE ledger = $1 ORDER BY delivery", api.ledger.ledger)
    assert [(row["state"], row["body"]) for row in rows] == [("accepted", None), ("failed", b"{")]

    def change() -> str:
        mapping = json.loads(json.dumps(MAPPING).replace('"open", "paid"', '"paid"'))
        sender.call("PATCH", json={"mapping": mapping})
        assert sender.call("POST", "/retranslate").json() == {"deliveries": 1, "records": 1}
        while len(sender.events()) < 2:  # the void
            sender.settled()
        return str(api.read("/v1/roi")["total"]["booked_revenue"])

    assert await asyncio.to_thread(change) == "0.00"
