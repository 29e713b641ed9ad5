"""The quarantine over real HTTP: what leaves it, by itself, by a retry or by a dismissal; counts; numbers; retention."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from service.store import quarantine
from tests.conftest import Api
from tests.support.sending import cost, lead, money, order

WRONG = {"type": "order.place"}


def refuse(api: Api, *events: dict[str, Any]) -> None:
    for one in events:
        assert api.http.post("/v1/events", json=one).status_code == 422


def listed(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    answer = api.http.get("/v1/quarantine", params=parameters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def within(dsn: str, work: Callable[[asyncpg.Pool], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            return await work(pool)

    return asyncio.run(run())


def test_an_event_recorded_later_under_the_same_identity_resolves_an_item(api: Api, dsn: str) -> None:
    good = order("SO", "5.00")
    refuse(api, good | WRONG, order("other", "7.00") | WRONG)
    assert api.read("/v1/completeness")["waiting"][0]["amounts"] == [money("12.00")]
    before = api.post(lead("L"))["last_position"]
    position = api.post(good)["last_position"]
    (waiting,), (resolved,) = listed(api), listed(api, state="resolved")
    assert (resolved["position"], resolved["event"]["id"], resolved["state"]) == (position, good["id"], "resolved")
    assert api.http.get(f"/v1/quarantine/{resolved['id']}").json()["state"] == "resolved"
    assert waiting["event"]["id"] != good["id"]
    assert api.read("/v1/completeness")["waiting"][0]["amounts"] == [money("7.00")]
    for at, count in ((before, 2), (position, 1)):
        assert api.read("/v1/completeness", as_of=at)["waiting"][0]["count"] == count
    within(dsn, lambda pool: quarantine.settle(pool, 365))  # which notes it, and changes nothing
    assert listed(api, state="resolved") == [resolved]
    for at, count in ((before, 2), (position, 1)):
        assert api.read("/v1/completeness", as_of=at)["waiting"][0]["count"] == count
    assert api.http.post(f"/v1/quarantine/{resolved['id']}/retry").json()["position"] == position


def test_the_ledger_is_complete_again_when_the_last_item_has_become_an_event(api: Api) -> None:
    good = order("SO", "5.00")
    refuse(api, good | WRONG)
    assert api.read("/v1/completeness")["complete"] is False
    api.post(good)
    assert api.read("/v1/completeness")["complete"] is True


def test_what_was_there_before_resolves_nothing_but_what_comes_along_does(api: Api) -> None:
    first, second = lead("L-1"), lead("L-2")
    api.post(first)
    refuse(api, first | WRONG)
    assert [one["event"]["id"] for one in listed(api)] == [first["id"]]
    answer = api.http.post("/v1/events", json=[second | WRONG, second])
    assert [one["status"] for one in answer.json()["items"]] == ["invalid", "accepted"]
    assert [one["event"]["id"] for one in listed(api, state="resolved")] == [second["id"]]


def test_an_item_is_dismissed_with_a_reason_that_is_kept(open_api: Callable[..., Api]) -> None:
    api = open_api()
    refuse(api, order("SO", "5.00") | WRONG)
    (item,) = listed(api)
    path = f"/v1/quarantine/{item['id']}/dismiss"
    for wrong in ({}, {"reason": ""}, {"reason": "  "}, {"reason": 1}, {"reason": "a\x00"}, {"reason": "x", "more": 1}):
        assert api.http.post(path, json=wrong).status_code == 422, wrong
    assert api.read("/v1/completeness")["complete"] is False
    done = api.http.post(path, json={"reason": " a test order "})
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["dismissed"]["reason"]) == ("dismissed", "a test order")
    assert done.json()["dismissed"]["by"]
    assert api.http.post(path, json={"reason": "another"}).json() == done.json()
    assert (listed(api), listed(api, state="dismissed")) == ([], [done.json() | {"problem": item["problem"]}])
    assert api.read("/v1/completeness")["complete"] is True
    corrected = api.http.post(f"/v1/quarantine/{item['id']}/retry", json=order("SO", "5.00"))
    assert (corrected.status_code, listed(api, state="resolved")[0]["position"]) == (200, 1)
    late = api.http.post(path, json={"reason": "too late"})
    assert (late.status_code, "it is the event at position 1" in late.json()["detail"]) == (409, True)
    assert api.http.post("/v1/quarantine/999/dismiss", json={"reason": "x"}).status_code == 404


@pytest.mark.parametrize("path", ["/v1/quarantine/1/dismiss", "/v1/quarantine/dismiss?type=order.place"])
def test_only_an_admin_key_may_dismiss(open_api: Callable[..., Api], path: str) -> None:
    sender = open_api(scopes=("ingest", "read"))
    refuse(sender, order("SO", "5.00") | WRONG)
    assert sender.http.post(path, json={"reason": "x"}).status_code == 403
    assert len(listed(sender)) == 1


def test_what_was_dismissed_later_waited_then(api: Api) -> None:
    refuse(api, order("SO", "5.00") | WRONG)
    position = api.post(lead("L"))["last_position"]
    api.http.post("/v1/quarantine/1/dismiss", json={"reason": "a test"}).raise_for_status()
    api.post(lead("M"))
    assert api.read("/v1/completeness", as_of=position)["waiting"][0]["amounts"] == [money("5.00")]
    assert api.read("/v1/completeness")["complete"] is True


def test_items_are_counted_and_dismissed_by_type_source_and_reason(api: Api) -> None:
    shop = [order(f"S-{n}", "1.00") | WRONG | {"source": "/shop"} for n in range(3)]
    bad = [cost(f"C-{n}", "a", "0.00") for n in range(2)]
    refuse(api, *shop, *bad, {"no": "envelope"})

    def counts(by: str, **more: Any) -> dict[str | None, int]:
        answer = api.http.get("/v1/quarantine/counts", params={"by": by, **more}).json()
        assert answer["total"] == sum(one["count"] for one in answer["counts"])
        return {one["value"]: one["count"] for one in answer["counts"]}

    assert counts("type") == {"order.place": 3, "campaign.cost_booked": 2, None: 1}
    assert counts("source") == {"/shop": 3, "/test": 2, None: 1}
    reasons = counts("reason")
    assert sorted(reasons.values()) == [1, 2, 3]
    reason = next(one for one, count in reasons.items() if count == 2)
    assert {one["event"]["type"] for one in listed(api, reason=reason)} == {"campaign.cost_booked"}
    assert len(listed(api, type="order.place", limit=2)) == 2
    assert [one["event"]["source"] for one in listed(api, source="")] == [None]
    nothing = api.http.post("/v1/quarantine/dismiss", json={"reason": "all of it"})
    assert (nothing.status_code, "say which items" in nothing.json()["detail"]) == (422, True)
    done = api.http.post("/v1/quarantine/dismiss", params={"source": "/shop"}, json={"reason": "a test shop"})
    assert done.json() == {"dismissed": 3}
    assert counts("type") == {"campaign.cost_booked": 2, None: 1}
    assert counts("source", state="dismissed") == {"/shop": 3}
    done = api.http.post("/v1/quarantine/dismiss", params={"reason": reason}, json={"reason": "free"})
    assert done.json() == {"dismissed": 2}


def test_several_items_are_tried_again_page_by_page(api: Api, dsn: str) -> None:
    refuse(api, *(order(f"S-{n}", "1.00") | WRONG for n in range(7)), *(cost(f"C-{n}", "a", "0.00") for n in range(2)))

    async def mended(pool: asyncpg.Pool) -> None:
        """Let the items be what this release can take, as after an upgrade that knows their type."""
        for item, body in await pool.fetch(
            "SELECT item, body FROM quarantine WHERE ledger = $1 AND type = 'order.place'", api.ledger.ledger
        ):
            good = json.dumps(json.loads(body) | {"type": "order.placed"}).encode()
            await pool.execute(
                "UPDATE quarantine SET body = $3 WHERE ledger = $1 AND item = $2", api.ledger.ledger, item, good
            )

    within(dsn, mended)
    first = api.http.post("/v1/quarantine/retry", params={"limit": 4}).json()
    assert first == {"tried": 4, "resolved": 4, "waiting": 0, "next_after": 4}
    second = api.http.post("/v1/quarantine/retry", params={"limit": 100, "after": first["next_after"]}).json()
    assert second == {"tried": 5, "resolved": 3, "waiting": 2, "next_after": None}
    assert [one["position"] for one in listed(api, state="resolved")] == list(range(1, 8))
    assert {one["event"]["type"] for one in listed(api)} == {"campaign.cost_booked"}


def test_items_are_numbered_by_ledger_and_no_number_is_given_twice(open_api: Callable[..., Api], dsn: str) -> None:
    one, other = open_api(), open_api()
    for number in range(3):
        refuse(one, lead(f"L-{number}") | WRONG)
        refuse(other, lead(f"L-{number}") | WRONG)
    both = one.http.post("/v1/events", json=[{"a": 1}, {"b": 2}, {"a": 1}])
    assert both.status_code == 207
    assert [item["id"] for item in listed(one)] == [1, 2, 3, 4, 5]
    assert [item["id"] for item in listed(other)] == [1, 2, 3]
    other.http.post("/v1/quarantine/dismiss", params={"source": "/test"}, json={"reason": "x"}).raise_for_status()

    async def aged(pool: asyncpg.Pool) -> None:
        await pool.execute(
            "UPDATE quarantine SET settled_at = settled_at - interval '366 days' WHERE ledger = $1", other.ledger.ledger
        )
        await pool.execute(
            "UPDATE quarantine SET received_at = received_at - interval '9 years' WHERE ledger = $1", one.ledger.ledger
        )
        await quarantine.settle(pool, 365)

    within(dsn, aged)
    assert listed(other, state="dismissed") == []  # past its time
    assert [item["id"] for item in listed(one)] == [1, 2, 3, 4, 5]  # what waits is never dropped
    refuse(other, lead("L-9") | WRONG)
    assert [item["id"] for item in listed(other)] == [4]


def test_a_problem_that_an_earlier_release_has_kept_is_answered_as_a_whole_one(api: Api, dsn: str) -> None:
    refuse(api, order("SO", "5.00") | WRONG)
    (now,) = listed(api)
    kept = {name: value for name, value in now["problem"].items() if name != "status"}
    statement = "UPDATE quarantine SET problem = $2 WHERE ledger = $1"
    within(dsn, lambda pool: pool.execute(statement, api.ledger.ledger, json.dumps(kept)))
    assert [one["problem"] for one in listed(api)] == [now["problem"]]
