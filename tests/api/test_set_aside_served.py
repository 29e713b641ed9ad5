"""Poison in a real service: it goes on, says so everywhere, and processes what waited after the fix is deployed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import Api, start_service, stop_service
from tests.support.sending import cost, event, lead, order

KEY = "a-bootstrap-key-0123456789"
# Python imports this by itself at its start: a release with a bug in one rule.
FAULTY = """
from service.domain import contributions

def failing(order, book):
    if order.id == "POISON":
        raise KeyError("planted")

contributions.RULES_OF["order"] += (failing,)
"""


def waited(http: httpx.Client, path: str, position: int) -> dict[str, Any]:
    answer = http.get(path, params={"min_position": position})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_faulty_release_sets_the_poison_aside_and_the_next_one_processes_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAULTY, encoding="utf-8")
    data = ["--data-dir", str(tmp_path / "data")]
    settings = {"CAMPAIGN_LEDGER_BOOTSTRAP_KEY": KEY, "CAMPAIGN_LEDGER_MIN_POSITION_TIMEOUT": "30"}
    headers = {"Authorization": f"Bearer {KEY}"}
    running = start_service(data, {**settings, "PYTHONPATH": str(tmp_path)}, tmp_path / "faulty")
    try:
        with httpx.Client(base_url=running.url, headers=headers, timeout=60) as http:
            sent = [order("POISON", "10.00"), cost("C", "c", "5.00"), order("O", "2.00", campaign_id="c")]
            assert http.post("/v1/events", json=sent).status_code == 200
            total = waited(http, "/v1/roi", 3)["total"]
            assert (total["actual_cost"], total["booked_revenue"]) == ("5.00", "2.00")
            (item,) = http.get("/v1/set-aside").json()["items"]
            assert (item["entities"], item["error"]) == (["order:POISON"], "KeyError: 'planted'")
            assert http.get("/readyz").json()["set_aside"] == 1
            assert 'campaign_ledger_set_aside{ledger="default"} 1.0' in http.get("/metrics").text
            assert http.post("/v1/set-aside/retry").json() == {"cleared": 0, "remaining": 1}
    finally:
        stop_service(running)
    running = start_service(data, settings, tmp_path / "fixed")
    try:
        with httpx.Client(base_url=running.url, headers=headers, timeout=60) as http:
            before = http.get("/v1/roi")
            assert http.post("/v1/set-aside/retry").json() == {"cleared": 1, "remaining": 0}
            after = http.get("/v1/roi", headers={"If-None-Match": before.headers["etag"]})
            assert after.json()["total"]["booked_revenue"] == "12.00"
            assert http.get("/v1/set-aside").json() == {"items": [], "next": None}
            http.post("/v1/events", json=order("next", "1.00"))
            assert waited(http, "/v1/roi", 4)["total"]["booked_revenue"] == "13.00"
    finally:
        stop_service(running)


def test_an_event_of_a_newer_version_is_taken_and_listed_as_set_aside(api: Api) -> None:
    newer = [
        {**lead("L"), "dataschema": "https://example.org/lead.captured/9", "data": {"who": ["L"]}},
        {**order("O", "1.00"), "dataschema": "v2", "data": {"order_id": ["O"], "net_value": "1 EUR"}},
        {**event("order.amended"), "dataschema": "v3", "data": {"net_value": 7}},
    ]
    api.post(*newer, lead("M"))
    assert api.read("/v1/conversion")["total"]["entered"]["captured"] == 1
    items = api.http.get("/v1/set-aside", params={"limit": 2})
    assert [one["position"] for one in items.json()["items"]] == [1, 2]
    rest = api.http.get(items.links["next"]["url"]).json()["items"]
    assert [(one["position"], one["event"]["type"]) for one in rest] == [(3, "order.amended")]
    assert "payload version 9 is newer than 1" in items.json()["items"][0]["error"]
    assert api.http.get("/v1/events").json()[0]["type"] == "lead.captured"


def test_only_an_admin_key_may_retry(open_api: Callable[..., Api]) -> None:
    reader = open_api(scopes=("read",))
    assert reader.http.get("/v1/set-aside").status_code == 200
    assert reader.http.post("/v1/set-aside/retry").status_code == 403
    assert reader.http.get("/v1/set-aside", params={"after": "x"}).status_code == 422
