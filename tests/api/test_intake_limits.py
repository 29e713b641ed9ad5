"""The log back out page by page, the quarantine, and what a service with small limits refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Api, start_service, stop_service
from tests.support.sending import cost, event, lead, order

NDJSON = {"Content-Type": "application/x-ndjson"}
LIMITS = {
    "MAX_BODY_BYTES": 2_000, "MAX_LINE_BYTES": 1_200, "MAX_BATCH_ITEMS": 3, "MAX_JSON_DEPTH": 5, "MAX_STRING_LENGTH": 300,
}  # fmt: skip


@pytest.fixture(scope="module")
def small_url(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    environment = {f"CAMPAIGN_LEDGER_{name}": str(value) for name, value in LIMITS.items()}
    log = tmp_path_factory.mktemp("small") / "log"
    running = start_service([], {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, **environment}, log)
    yield running.url
    stop_service(running)


@pytest.fixture
def small(api: Api, small_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=small_url, headers=dict(api.http.headers), timeout=60) as http:
        yield http


def nested(depth: int) -> dict[str, Any]:
    """Return a lead whose deepest list is at `depth`, counting the event and its data."""
    inner: list[Any] = []
    for _ in range(depth - 3):
        inner = [inner]
    return lead("L-1", extra=inner)


def test_the_log_is_read_page_by_page_through_links(api: Api) -> None:
    api.post(*(lead(f"L-{number}") for number in range(7)))
    pages, path = [], "/v1/events?limit=3"
    while path:
        answer = api.http.get(path)
        assert answer.headers["content-type"] == "application/cloudevents-batch+json"
        pages.append([one["position"] for one in answer.json()])
        path = answer.links.get("next", {}).get("url", "")
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]
    assert api.http.get("/v1/events?after=7").json() == []


def test_the_log_can_be_read_for_some_types_only(api: Api) -> None:
    sent = [lead("L"), cost("C", "c", "1.00"), order("O", "1.00"), lead("M")]
    api.post(*sent)
    asked: dict[str, Any] = {"type": ["lead.captured", "order.placed"], "limit": 2}
    answer = api.http.get("/v1/events", params=asked)
    assert [one["position"] for one in answer.json()] == [1, 3]
    following = api.http.get(answer.links["next"]["url"])
    assert [one["position"] for one in following.json()] == [4]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=-1", "after"), ("after=x", "after"), ("after=99999999999999999999999", "after"), ("limit=0", "limit"),
        ("limit=1001", "limit"), ("type=lead.caught", "type"), ("type=%00", "type"), ("form=1", "form"),
    ],
)  # fmt: skip
def test_a_parameter_of_the_log_that_makes_no_sense_is_named(api: Api, query: str, field: str) -> None:
    answer = api.http.get(f"/v1/events?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(("position", "status"), [("1", 404), ("0", 422), ("x", 422), ("9223372036854775808", 422)])
def test_an_event_that_is_not_there_is_a_problem(api: Api, position: str, status: int) -> None:
    answer = api.http.get(f"/v1/events/{position}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_what_could_not_be_taken_waits_in_the_quarantine_until_it_is_corrected(api: Api) -> None:
    wrong = {**lead("L-1"), "type": "lead.caught"}
    for _ in range(3):
        assert api.http.post("/v1/events", json=wrong).status_code == 422
    api.http.post("/v1/events", content=b"not json", headers=NDJSON)
    kept, other = api.http.get("/v1/quarantine").json()["items"]
    assert (json.loads(kept["body"]), kept["state"], kept["position"]) == (wrong, "waiting", None)
    assert kept["problem"]["errors"][0].items() >= {"field": "type", "got": "lead.caught"}.items()
    assert other["body"] == "not json"
    retry = f"/v1/quarantine/{kept['id']}/retry"
    as_it_was = api.http.post(retry)
    assert (as_it_was.status_code, as_it_was.json()["type"]) == (422, "/problems/invalid-event")
    corrected = api.http.post(retry, json={**wrong, "type": "lead.captured"})
    assert corrected.status_code == 200
    assert corrected.json().items() >= {"item": kept["id"], "status": "accepted", "position": 1}.items()
    assert [one["id"] for one in api.http.get("/v1/quarantine").json()["items"]] == [other["id"]]
    resolved = api.http.get("/v1/quarantine", params={"state": "resolved"}).json()["items"]
    assert [(one["id"], one["position"]) for one in resolved] == [(kept["id"], 1)]
    again = api.http.post(retry, json=lead("L-2"))
    assert (again.status_code, again.json()["status"], again.json()["position"]) == (200, "duplicate", 1)
    assert api.http.get("/v1/ledger").json()["last_position"] == 1


def test_a_retry_that_conflicts_leaves_the_item_waiting(api: Api) -> None:
    first = lead("L-1")
    api.post(first)
    api.http.post("/v1/events", json={**first, "type": "lead.caught"})
    item = api.http.get("/v1/quarantine").json()["items"][0]["id"]
    answer = api.http.post(f"/v1/quarantine/{item}/retry", json={**first, "subject": "other"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    assert len(api.http.get("/v1/quarantine").json()["items"]) == 1
    assert api.http.post("/v1/quarantine/999999999/retry").status_code == 404


def test_an_event_of_binary_mode_is_kept_so_that_it_can_be_sent_again(api: Api) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "b",
        "ce-source": "/b",
        "ce-type": "lead.caught",
        "ce-time": "2026-03-01T12:00:00Z",
    }
    assert api.http.post("/v1/events", json={"lead_id": "L"}, headers=headers).status_code == 422  # fmt: skip
    kept = api.http.get("/v1/quarantine").json()["items"][0]
    body = json.loads(kept["body"])
    assert body["data"] == {"lead_id": "L"}
    answer = api.http.post(f"/v1/quarantine/{kept['id']}/retry", json={**body, "type": "lead.captured"})
    assert (answer.status_code, answer.json()["id"]) == (200, "b")


def test_the_quarantine_is_read_page_by_page(api: Api) -> None:
    api.http.post("/v1/events", json=[{"number": number} for number in range(5)])
    first = api.http.get("/v1/quarantine?limit=3")
    second = api.http.get(first.links["next"]["url"])
    assert [json.loads(one["body"])["number"] for page in (first, second) for one in page.json()["items"]] == [
        *range(5)
    ]
    assert "next" not in second.links


def test_nesting_up_to_the_limit_is_taken_and_not_one_deeper(small: httpx.Client) -> None:
    assert small.post("/v1/events", json=nested(5)).status_code == 201
    answer = small.post("/v1/events", json=nested(6))
    assert (answer.status_code, "5 deep" in answer.json()["detail"]) == (422, True)
    assert answer.json()["errors"][0]["field"].startswith("data.extra")


def test_strings_and_names_up_to_the_limit_are_taken_and_not_one_longer(small: httpx.Client) -> None:
    assert small.post("/v1/events", json=lead("L-1", note="é" * 300)).status_code == 201
    for extra in ({"note": "é" * 301}, {"n" * 301: 1}):
        answer = small.post("/v1/events", json=lead("L-1", **extra))
        assert (answer.status_code, "300 characters" in answer.json()["detail"]) == (422, True)


def test_a_batch_up_to_the_limit_is_taken_and_not_one_more(small: httpx.Client) -> None:
    assert small.post("/v1/events", json=[lead(f"L-{number}") for number in range(3)]).status_code == 200
    answer = small.post("/v1/events", json=[lead(f"M-{number}") for number in range(4)])
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/content-too-large")
    assert small.get("/v1/ledger").json()["last_position"] == 3


def test_a_body_over_the_limit_is_refused_whether_its_length_is_announced_or_not(small: httpx.Client) -> None:
    text = json.dumps(lead("L-1")).encode()
    fits = text + b" " * (2_000 - len(text))
    assert small.post("/v1/events", content=fits, headers={"Content-Type": "application/json"}).status_code == 201
    for content in (fits + b" ", iter([fits, b" "])):
        answer = small.post("/v1/events", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
    huge = small.post("/v1/events", content=b" " * 30_000_000, headers={"Content-Type": "application/json"})
    assert huge.status_code == 413
    small.post("/v1/events", json={"wrong": 1})
    item = small.get("/v1/quarantine").json()["items"][0]["id"]
    assert small.post(f"/v1/quarantine/{item}/retry", content=iter([fits, b" "])).status_code == 413


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_an_over_long_line_ends_the_bulk_and_what_came_before_is_stored(small: httpx.Client, ending: bytes) -> None:
    lines = [json.dumps(lead(f"L-{number}")).encode() for number in range(20)]
    body = b"\n".join([*lines[:9], lines[9] + b" " * 1_200, *(lines[10:] if ending else [])]) + ending
    answer = small.post("/v1/events", content=body, headers=NDJSON)
    assert answer.status_code == 207
    assert answer.json().items() >= {"accepted": 9, "invalid": 1, "last_position": 9}.items()
    assert answer.json()["problems"][0]["line"] == 10
    assert "1200 bytes" in answer.json()["problems"][0]["problem"]["detail"]


def test_ndjson_may_be_longer_than_a_body_and_hold_more_than_a_batch(small: httpx.Client) -> None:
    lines = [json.dumps(event("lead.captured", lead_id=f"L-{number}")).encode() + b"\n" for number in range(500)]
    assert small.post("/v1/events", content=iter(lines), headers=NDJSON).json()["accepted"] == 500
