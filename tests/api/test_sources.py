"""`/v1/sources`: connecting, changing and closing systems; secrets go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.conftest import MASTER_KEY, Api, start_service, stop_service
from tests.support.hooks import connect

SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
KIND = "standard-webhooks"


def new(**more: Any) -> dict[str, Any]:
    return {"kind": KIND, "name": "shop", "secrets": [SECRET], **more}


def test_a_source_is_made_found_changed_and_closed(api: Api) -> None:
    answer = api.http.post("/v1/sources", json=new(mapping={"types": {"a": "lead.captured"}}))
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/v1/sources/{made['id']}"
    assert made["url"] == f"{str(api.http.base_url).rstrip('/')}/v1/hooks/{made['id']}"
    assert (made["event_source"], made["path_secret"]) == ("/sources/shop", False)
    assert api.http.get(f"/v1/sources/{made['id']}").json() == made
    assert api.http.get("/v1/sources").json() == {"items": [made]}
    changed = api.http.patch(f"/v1/sources/{made['id']}", json={"rate_per_minute": 60, "retention_days": 7}).json()
    assert (changed["rate_per_minute"], changed["retention_days"], changed["mapping"]) == (60, 7, made["mapping"])
    assert api.http.delete(f"/v1/sources/{made['id']}").status_code == 204
    for call in (api.http.get, api.http.delete):
        assert call(f"/v1/sources/{made['id']}").status_code == 404
    assert httpx.post(made["url"]).status_code == 404
    again = api.http.post("/v1/sources", json=new())
    assert (again.status_code, "shop" in again.json()["detail"]) == (409, True)


def test_answers_have_the_members_that_the_description_promises(api: Api) -> None:
    schemas = api.http.get("/openapi.json").json()["components"]["schemas"]
    sender = connect(api, KIND, SECRET)
    sender.post(b"{}")
    (delivery,) = sender.settled()
    single = sender.call("GET", f"/deliveries/{delivery['id']}").json()
    retranslation = sender.call("POST", "/retranslate").json()
    for name, answer in (
        ("Source", sender.call("GET").json()), ("Delivery", single), ("Delivery", {**delivery, "body": None}),
        ("Retranslation", retranslation),
    ):  # fmt: skip
        assert set(answer) == set(schemas[name]["properties"])


def test_an_error_never_repeats_the_secret_of_a_url(service_url: str) -> None:
    answers = [
        httpx.delete(f"{service_url}/v1/hooks/src_x/hush-hush"),
        httpx.get(f"{service_url}/v1/hooks/src_x/hush-hush/y"),
    ]
    assert [one.status_code for one in answers] == [405, 404]
    assert "hush" not in "".join(one.text for one in answers)


def test_what_came_before_closing_is_translated_and_stays(api: Api) -> None:
    sender = connect(api, KIND, SECRET)
    body = {"type": "lead.captured", "timestamp": "2026-03-02T09:30:00Z", "data": {"lead_id": "L"}}
    sender.post(json.dumps(body).encode())
    sender.settled()
    sender.call("DELETE")
    assert [one["type"] for one in sender.events()] == ["lead.captured"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "standart-webhooks"}, "kind"),
        ({"secrets": []}, "secrets"),
        ({"secrets": SECRET}, "secrets"),
        ({"secrets": ["short"]}, "secrets.0"),
        ({"secrets": [""]}, "secrets.0"),
        ({"secrets": [SECRET, " " * 12]}, "secrets.1"),
        ({"secrets": ["no-base64-behind-it!"]}, "secrets.0"),
        ({"mapping": {"authentication": {"scheme": "magic"}}}, "mapping"),
        ({"secrets": [SECRET, 5]}, "secrets.1"),
        ({"name": "with space"}, "name"),
        ({"mapping": {"typs": {}}}, "mapping"),
        ({"mapping": {"types": {"a": "lead.captred"}}}, "mapping"),
        ({"credentials": {"token": SECRET}}, "credentials.token"),
        ({"rate_per_minute": 0}, "rate_per_minute"),
        ({"colour": SECRET}, "colour"),
    ],
)
def test_what_is_wrong_is_named_without_showing_a_secret(api: Api, wrong: dict[str, Any], field: str) -> None:
    answer = api.http.post("/v1/sources", json=new(**wrong))
    assert answer.status_code == 422, answer.text
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert SECRET not in answer.text
    nameless = api.http.post("/v1/sources", json={"kind": KIND, "secrets": [SECRET]})
    assert (nameless.status_code, SECRET in nameless.text) == (422, False)


def test_only_admins_of_the_ledger_see_its_sources(open_api: Callable[..., Api]) -> None:
    one, other, reader = open_api(), open_api(), open_api(scopes=("ingest", "read"))
    made = connect(one, KIND, SECRET).source.id
    for method, path in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/deliveries"), ("GET", "/deliveries/1"), ("GET", "/records"),
        ("POST", "/retranslate"), ("POST", "/deliveries/1/retranslate"),
        ("POST", "/deliveries/1/discard"),
    ):  # fmt: skip
        body = b"{}" if method == "PATCH" else b'{"reason": "x"}' if path.endswith("discard") else None
        for api, status in ((other, 404), (reader, 403)):
            headers = {"Content-Type": "application/json"}
            answer = api.http.request(method, f"/v1/sources/{made}{path}", content=body, headers=headers)
            assert answer.status_code == status, (method, path)
    assert [two.http.get("/v1/sources").status_code for two in (other, reader)] == [200, 403]
    assert other.http.get("/v1/sources").json() == {"items": []}


def test_secrets_are_in_no_answer_and_in_no_table_as_they_are(open_api: Callable[..., Api], dsn: str) -> None:
    import asyncio  # noqa: PLC0415  only here

    api = open_api()
    token = "a-token-for-the-broker-0123456789"
    sender = connect(api, "cloudevents", token)
    answers = [
        sender.call("GET").text, sender.call("PATCH", json={"secrets": [token, "another-0123456789"]}).text,
        api.http.get("/v1/sources").text, sender.post(b"{}", {"x-more": token}).text, json.dumps(sender.settled()),
    ]  # fmt: skip
    assert token not in "".join(answers)

    async def tables() -> str:
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch("SELECT * FROM sources WHERE ledger = $1", api.ledger.ledger)
        rows += await connection.fetch("SELECT * FROM deliveries WHERE ledger = $1", api.ledger.ledger)
        await connection.close()
        return repr([tuple(row) for row in rows])

    found = asyncio.run(tables())
    assert sender.source.id in found
    assert token not in found


def test_without_the_master_key_it_says_so_and_nothing_is_lost(
    open_api: Callable[..., Api], dsn: str, tmp_path: Path
) -> None:
    api = open_api()
    sender = connect(api, KIND, SECRET)
    environment = {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_KEY_RATE_PER_MINUTE": "12"}
    running = start_service(["--no-projector"], environment, tmp_path / "log")
    try:
        with httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {api.key}"}) as http:
            refused = [
                http.post("/v1/sources", json=new(name="other")),
                http.post(f"/v1/hooks/{sender.source.id}", content=b"{}"),
            ]
            for answer in refused:
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
                assert "CAMPAIGN_LEDGER_MASTER_KEY is not set" in answer.json()["detail"]
            limited = http.get("/v1/ledger"), http.get("/v1/ledger")
            assert [one.status_code for one in limited] == [200, 429]
            assert int(limited[1].headers["retry-after"]) > 0
    finally:
        stop_service(running)
    assert MASTER_KEY not in (tmp_path / "log").read_text(encoding="utf-8")
