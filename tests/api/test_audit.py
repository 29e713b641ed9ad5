"""Who did what is noted and never changed; keys end, hold for some addresses, and tell when they were used."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from service.store import audit, ledgers
from service.store.uses import Uses
from tests.conftest import Api
from tests.support.commands import Run, good, refused


def entries(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    answer = api.http.get("/v1/audit", params={"limit": 1000, **parameters})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def own_key(api: Api) -> str:
    (found,) = [one["id"] for one in api.http.get("/v1/keys").json()["items"] if api.key.startswith(one["id"][:11])]
    return str(found)


def test_what_is_done_over_the_api_is_noted_with_actor_address_and_request(api: Api) -> None:
    actor = own_key(api)
    made = api.http.post(
        "/v1/keys", json={"scopes": ["read"], "name": "bi"}, headers={"X-Request-Id": "asked-1"}
    ).json()
    source = {"kind": "cloudevents", "name": "shop", "path_secret": True}
    created = api.http.post("/v1/sources", json=source).json()
    api.http.patch(f"/v1/sources/{created['id']}", json={"rate_per_minute": 7}).raise_for_status()
    api.http.delete(f"/v1/sources/{created['id']}").raise_for_status()
    rebuild = api.http.post("/v1/rebuilds", json={"dry_run": True}).json()["id"]
    api.http.post("/v1/events", json={"id": "no event"})
    api.http.post("/v1/quarantine/1/dismiss", json={"reason": "a test"}).raise_for_status()
    api.http.post("/v1/quarantine/1/dismiss", json={"reason": "a test"}).raise_for_status()  # changes nothing any more
    event = {
        "specversion": "1.0", "id": "m", "source": "/t", "type": "attribution.model_published", "time": "2026-01-01T00:00:00Z",
        "data": {"model_id": "ours", "version": "1", "definition": {"kind": "linear"}},
    }  # fmt: skip
    assert [api.http.post("/v1/events", json=event).json()["status"] for _ in range(2)] == ["accepted", "duplicate"]
    grant = api.http.post("/v1/grants", json={"issuer": "proxy", "group": "finance", "scopes": ["read"]})
    assert grant.status_code == 201, grant.text
    again = api.http.post("/v1/grants", json={"issuer": "proxy", "group": "finance", "scopes": ["admin"]})
    assert again.status_code == 409
    assert api.http.delete(f"/v1/grants/{grant.json()['id']}").status_code == 204
    assert api.http.delete(f"/v1/grants/{grant.json()['id']}").status_code == 404
    api.http.delete(f"/v1/keys/{made['id']}").raise_for_status()
    assert api.http.delete(f"/v1/keys/{made['id']}").status_code == 404
    found = [one for one in reversed(entries(api)) if one["actor"] == actor and one["action"] != "key.first_used"]
    assert [(one["action"], one["object"]) for one in found] == [
        ("key.created", made["id"]), ("source.created", created["id"]), ("source.changed", created["id"]),
        ("source.deleted", created["id"]), ("rebuild.begun", f"rebuild {rebuild}"), ("quarantine.dismissed", "item 1"),
        ("model.published", "event 1"), ("grant.created", grant.json()["id"]), ("grant.revoked", grant.json()["id"]),
        ("key.revoked", made["id"]),
    ]  # fmt: skip
    assert {one["address"] for one in found} == {"127.0.0.1"}
    assert found[0]["request_id"] == "asked-1"
    assert found[0]["details"] == {"name": "bi", "scopes": ["read"]}
    assert found[2]["details"] == {"name": "shop", "changed": ["rate_per_minute"]}
    assert found[5]["details"] == {"items": 1, "reason": "a test"}
    assert made["key"] not in json.dumps(entries(api))


def test_the_numbers_have_no_gap_and_pages_lead_on(api: Api) -> None:
    for number in range(4):
        api.http.post("/v1/keys", json={"scopes": ["read"], "name": str(number)}).raise_for_status()
    seen, url = [], "/v1/audit?limit=2&action=key.created"
    while url:
        answer = api.http.get(url)
        seen += [one["id"] for one in answer.json()["items"]]
        url = answer.json()["next"]
        assert ("Link" in answer.headers) == bool(url)
    assert len(seen) == 5  # the first one made at the start of this test's ledger
    everything = [one["id"] for one in entries(api)]
    assert everything == list(range(len(everything), 0, -1))
    assert set(seen) < set(everything)
    assert api.http.get("/v1/audit", params={"action": "key.eaten"}).status_code == 422


def test_one_ledger_sees_nothing_of_another_and_a_reader_nothing_at_all(open_api: Callable[..., Api]) -> None:
    one, other, reader = open_api(), open_api(), open_api(scopes=("read", "ingest", "figures"))
    made = one.http.post("/v1/keys", json={"scopes": ["read"]}).json()
    assert made["id"] not in json.dumps(entries(other))
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", "")):
        assert other.http.request(method, f"/v1/keys/{made['id']}{path}", json={}).status_code in {404, 422}
    for path in ("/v1/audit", "/v1/keys", "/v1/grants", "/v1/sessions"):
        assert reader.http.get(path).status_code == 403, path


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entries SET actor = 'nobody'", "DELETE FROM audit_entries", "TRUNCATE audit_entries"]
)
async def test_the_database_refuses_to_change_an_entry(
    pool: asyncpg.Pool, ledger: ledgers.Ledger, statement: str
) -> None:
    await audit.note(pool, ledger.ledger, "key.created", "k")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="audit_entries are append-only"):
        await pool.execute(statement)


async def test_an_entry_is_not_there_without_what_it_tells_of(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    before = await audit.listed(pool, ledger.ledger, 2**62, 10)
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        await audit.note(connection, ledger.ledger, "key.created", "k")
        await undone.rollback()
    assert await audit.listed(pool, ledger.ledger, 2**62, 10) == before
    with pytest.raises(ValueError, match="audited"):
        await audit.note(pool, ledger.ledger, "key.eaten")


def test_a_key_ends_when_it_is_said_to(api: Api) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=1.2)
    made = api.http.post("/v1/keys", json={"scopes": ["read"], "expires_at": ends.isoformat()}).json()
    key = {"Authorization": f"Bearer {made['key']}"}
    assert api.http.get("/v1/ledger", headers=key).status_code == 200
    assert made["state"] == "in force"
    time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + 0.05)
    answer = api.http.get("/v1/ledger", headers=key)
    assert (answer.status_code, "expired" in answer.text) == (401, True)
    assert api.http.get(f"/v1/keys/{made['id']}").json()["state"] == "expired"
    past = api.http.post("/v1/keys", json={"scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["errors"][0]["field"]) == (422, "expires_at")


def test_a_key_holds_for_its_addresses_only_and_can_be_changed(api: Api) -> None:
    made = api.http.post("/v1/keys", json={"scopes": ["read"], "addresses": ["192.0.2.0/24", "2001:db8::/32"]}).json()
    assert made["addresses"] == ["192.0.2.0/24", "2001:db8::/32"]
    url = str(api.http.base_url)
    refused_ = httpx.get(f"{url}/v1/ledger", headers={"Authorization": f"Bearer {made['key']}"})
    assert (refused_.status_code, "127.0.0.1" in refused_.json()["detail"]) == (403, True)
    told = {"Authorization": f"Bearer {made['key']}", "X-Forwarded-For": "192.0.2.7"}  # which no proxy has said
    assert httpx.get(f"{url}/v1/ledger", headers=told).status_code == 403
    changed = api.http.patch(f"/v1/keys/{made['id']}", json={"addresses": ["127.0.0.1"], "name": "here"})
    assert (changed.json()["addresses"], changed.json()["name"]) == (["127.0.0.1/32"], "here")
    assert httpx.get(f"{url}/v1/ledger", headers=told).status_code == 200
    assert api.http.patch(f"/v1/keys/{made['id']}", json={"name": "still"}).json()["addresses"] == ["127.0.0.1/32"]
    wrong = api.http.patch(f"/v1/keys/{made['id']}", json={"addresses": ["127.0.0.1/8"]})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "addresses")
    assert api.http.post("/v1/keys", json={"scopes": ["all"]}).status_code == 422


async def test_first_and_last_uses_are_written_together_and_the_first_is_noted_once(
    pool: asyncpg.Pool, ledger: ledgers.Ledger
) -> None:
    made, _ = await ledgers.make_key(pool, ledger, ("read",))
    one, other = Uses(pool), Uses(pool)
    one.of_key(audit.Actor(made.key_id, "192.0.2.1", "first"))
    one.of_key(audit.Actor(made.key_id, "192.0.2.2", "second"))
    other.of_key(audit.Actor(made.key_id, "192.0.2.3", "third"))
    await other.write()
    await one.write()  # of an earlier time: it changes nothing
    found = await ledgers.key(pool, ledger, made.key_id)
    assert (found.last_used_from, found.first_used_at) == ("192.0.2.3", found.last_used_at)
    one.of_key(audit.Actor(made.key_id, "192.0.2.4", "last"))
    await one.write()
    later = await ledgers.key(pool, ledger, made.key_id)
    assert (later.last_used_from, later.first_used_at) == ("192.0.2.4", found.first_used_at)
    noted = [one for one in await audit.listed(pool, ledger.ledger, 2**62, 9) if one.action == "key.first_used"]
    assert [(entry.actor, entry.address, entry.request_id) for entry in noted] == [(made.key_id, "192.0.2.3", "third")]


def test_a_key_tells_within_seconds_that_it_was_used(api: Api) -> None:
    deadline = time.monotonic() + 10
    while not (used := api.http.get(f"/v1/keys/{own_key(api)}").json())["last_used_at"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert used["last_used_from"] == "127.0.0.1"
    assert [one["object"] for one in entries(api, action="key.first_used")] == [own_key(api)]


def test_the_command_line_makes_changes_lists_and_tells_of_keys(run: Run, api: Api) -> None:
    name = api.ledger.name
    secret = good(
        run("keys", "create", "--ledger", name, "--name", "crm", "--expires", "2090-01-01", "--address", "10.0.0.0/8")
    )
    (line,) = [one for one in good(run("keys", "list", "--ledger", name)).splitlines() if "\tcrm\t" in one]
    key_id, _, scopes, state, used, ends, places = line.split("\t")
    assert secret.startswith(key_id[:11])
    assert (scopes, state, used) == ("ingest,read", "in force", "never used")
    assert (ends, places) == ("until 2090-01-01 00:00", "10.0.0.0/8")
    good(run("keys", "change", key_id, "--ledger", name, "--anywhere", "--endless"))
    assert "addresses" in refused(run("keys", "change", key_id, "--ledger", name, "--address", "10.0.0.1/8"))
    good(run("grants", "create", "--ledger", name, "--issuer", "https://id.example", "--subject", "ada"))
    told = json.loads(good(run("audit", name, "--json")))
    assert [one["action"] for one in told[:3]] == ["grant.created", "key.changed", "key.created"]
    assert all(one["actor"].startswith("cli:") and one["address"] is None for one in told[:3])
    assert told[1]["details"] == {"name": "crm", "addresses": []}
