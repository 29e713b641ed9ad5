"""Erasure without change (SPEC 5.6): a person's data become unreadable everywhere, and no figure moves but reach."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.domain.contributions import REPORTS
from tests.conftest import MASTER_KEY, Api
from tests.support.dumping import holding

ANNA = [
    "anna.schmidt@example.com",
    "+49 151 23456789",
    "@anna_s",
    "Anna Schmidt",
    "wants-a-callback",
    "a-trace-of-anna",
]
GONE = {"erased": True}


def event(event_type: str, number: int, /, day: str = "2026-03-01", **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"e{number}", "source": "/crm", "type": event_type, "time": f"{day}T10:00:00Z", "data": data
    }  # fmt: skip


def anna(identity: str = "C1", lead: str = "L1") -> list[dict[str, Any]]:
    """Return what is said of Anna, and of somebody else, and what is said of nobody."""
    email, phone, handle, name, note, trace = ANNA
    cost: dict[str, Any] = {
        "cost_entry_id": "CE",
        "amount": {"amount": "10.00", "currency": "EUR"},
        "cost_date": "2026-03-01",
    }
    touch: dict[str, Any] = {"touchpoint_id": "T", "activity_type": "mail", "contact_id": identity, "ip": "192.0.2.77"}
    address: dict[str, Any] = {"emails": [email], "phones": [phone], "handles": {"x": handle}, "full_name": name}
    captured = event("lead.captured", 2, lead_id=lead, contact_id=identity, campaign_id="K1", channel="web", name=name)
    return [
        event("contact.registered", 1, contact_id=identity, **address),
        {**captured, "subject": email, "note": trace},
        event("lead.disqualified", 3, lead_id=lead, reason=f"{note}, says {name}"),
        event("lead.captured", 4, lead_id="L2", campaign_id="K1", comment="somebody else"),
        event("contact.consent_changed", 5, contact_id=identity, channel="email", granted=True),
        event("touchpoint.recorded", 6, campaign_id="K1", **touch),
        event("campaign.cost_booked", 7, campaign_id="K1", **cost),
    ]


def read_back(api: Api) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in api.http.get("/v1/events").json()}


def figures(api: Api) -> dict[str, Any]:
    names = list(REPORTS)
    answers = {}
    for name in names:
        answer = api.http.get(
            f"/v1/reports/{name}", params={"now": "2026-04-01T00:00:00Z", "min_position": position(api)}
        )
        if answer.status_code == 200:
            answers[name] = {key: answer.json().get(key) for key in ("rows", "total")}
    assert len(answers) > 10
    return answers


def position(api: Api) -> int:
    return int(api.http.get("/v1/ledger").json()["last_position"])


def held(dsn: str, api: Api, texts: list[str]) -> dict[str, list[str]]:
    return asyncio.run(holding(dsn, texts, api.ledger.ledger))


def test_what_is_said_of_a_person_is_sealed_and_read_back_as_it_came(api: Api, dsn: str) -> None:
    sent = anna()
    api.post(*sent)
    back = read_back(api)
    for one in sent:
        assert {name: back[one["id"]].get(name) for name in one} == one
    assert held(dsn, api, ANNA) == {}, "it is stored encrypted only"
    assert [one["status"] for one in api.post(*sent)["items"]] == ["duplicate"] * len(sent)
    other = {**sent[0], "data": {**sent[0]["data"], "emails": ["other@example.com"]}}
    assert api.http.post("/v1/events", json=other).status_code == 409


def test_an_erased_person_is_unreadable_and_no_figure_moves_but_reach(api: Api, dsn: str) -> None:
    api.post(*anna())
    before = figures(api)
    answer = api.http.post("/v1/erasures", json={"subject_id": "C1", "legal_basis": "GDPR, article 17"})
    assert answer.status_code == 201, answer.text
    receipts = answer.json()["erasures"]
    assert [one["subjects"] for one in receipts] == [["contact:C1", "lead:C1"], ["contact:L1", "lead:L1"]]
    assert all(one["done_at"] and one["destroyed"]["keys"] for one in receipts)
    prove(receipts[0])
    after = figures(api)
    assert before.pop("reach")["total"]["contacts"] == 1
    assert after.pop("reach")["total"]["contacts"] == 0
    for answers in (before, after):
        del answers["revenue-performance"]["total"]["reach"]  # which is that report
    assert after == before
    back = read_back(api)
    assert back["e1"]["data"] == {
        "contact_id": "C1",
        "emails": GONE,
        "phones": GONE,
        "handles": GONE,
        "full_name": GONE,
    }
    assert back["e1"]["erased"] is True
    assert back["e2"]["data"] == {
        "lead_id": "L1",
        "contact_id": "C1",
        "campaign_id": "K1",
        "channel": "web",
        "name": GONE,
    }
    assert {"subject", "note"}.isdisjoint(back["e2"])
    assert back["e3"]["data"] == {"lead_id": "L1", "reason": GONE}
    assert back["e4"]["data"]["comment"] == "somebody else"
    assert held(dsn, api, ANNA) == {}
    assert api.http.get("/v1/erasures").json()["erasures"] == receipts
    journey = api.read("/v1/journeys/lead/L1")
    assert journey["events"][0]["data"]["name"] == GONE
    told = api.http.get("/v1/subjects/C1").json()
    assert (told["erased"], [one["id"] for one in told["events"]][:2]) == (True, ["e1", "e2"])


def prove(receipt: dict[str, Any]) -> None:
    names = ("position", "subjects", "asked_at", "done_at", "destroyed", "log")
    text = json.dumps({name: receipt[name] for name in names}, separators=(",", ":"), ensure_ascii=False)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(receipt["public_key"]))
    key.verify(base64.b64decode(receipt["signature"]), text.encode())


def test_repeats_later_events_and_voids_after_an_erasure(api: Api, dsn: str) -> None:
    sent = anna()
    api.post(*sent)
    erased = event("subject.erased", 90, subject_id="C1")
    api.post(erased)
    assert [one["status"] for one in api.post(*sent)["items"]] == ["duplicate"] * len(sent)
    other = {**sent[0], "data": {**sent[0]["data"], "account_id": "A"}}
    assert api.http.post("/v1/events", json=other).status_code == 409, "what is open tells them apart"
    api.post(event("event.voided", 91, source="/crm", id="e90"))
    late = event(
        "contact.registered", 92, day="2026-05-01", contact_id="C1", emails=["anna.new@example.com"], city="Annaberg"
    )
    assert api.post(late)["items"][0]["status"] == "accepted"
    assert read_back(api)["e92"]["data"] == {"contact_id": "C1", "emails": GONE, "city": GONE}
    assert api.post(late)["items"][0]["status"] == "duplicate"
    assert held(dsn, api, ["anna.new@", "Annaberg"]) == {}
    assert api.read("/v1/reports/reach")["total"]["contacts"] == 0
    assert api.post(erased)["items"][0]["status"] == "duplicate"


@pytest.mark.parametrize("merged_first", [True, False])
def test_merges_carry_an_erasure_along_and_voided_ones_do_not(api: Api, *, merged_first: bool) -> None:
    people = [
        event("contact.registered", number, contact_id=f"C{number}", emails=[f"c{number}@example.com"])
        for number in (1, 2, 3)
    ]
    merges = [
        event("contact.merged", 11, survivor_id="C1", merged_id="C2"),
        event("contact.merged", 12, survivor_id="C2", merged_id="C3"),
        event("event.voided", 13, source="/crm", id="e12"),
    ]  # fmt: skip
    erased = event("subject.erased", 20, subject_id="C1")
    several = [*merges, erased] if merged_first else [erased, merges[2], *merges[:2]]
    for one in (*people, *several):
        api.post(one)
    back = read_back(api)
    assert [back[f"e{number}"].get("erased", False) for number in (1, 2, 3)] == [True, True, False]
    api.post(
        {**event("event.voided", 14, source="/crm", id="e13"), "time": "2026-06-01T00:00:00Z"}
    )  # the merge stands again
    deadline = time.monotonic() + 15
    while not read_back(api)["e3"].get("erased") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert read_back(api)["e3"]["erased"] is True


def test_an_event_about_several_people_is_unreadable_once_any_of_them_is_erased(api: Api, dsn: str) -> None:
    people: dict[str, Any] = {"lead_ids": ["L1", "L2"], "contact_ids": ["C1"]}
    about = event("opportunity.opened", 1, opportunity_id="O", name="Roof for Anna", team="T", note="secret", **people)
    alone = event("lead.captured", 2, lead_id="L2", note="of L2")
    api.post(about, alone)
    assert read_back(api)["e1"]["data"] == about["data"]
    assert [one["name"] for one in api.read("/v1/opportunities")["rows"]] == ["Roof for Anna"]
    assert held(dsn, api, ["Roof for Anna"]) == {}
    api.post(event("subject.erased", 3, subject_id="L1"))
    back = read_back(api)
    assert (back["e1"]["data"]["note"], back["e2"]["data"]["note"]) == (GONE, "of L2")
    assert back["e1"]["data"]["name"] == GONE
    (listed,) = api.read("/v1/opportunities")["rows"]
    assert (listed["name"], listed["leads"], listed["team"]) == (None, ["L1", "L2"], "T")
    assert api.post(about)["items"][0]["status"] == "duplicate"


def test_what_could_not_be_taken_goes_too_before_and_after(api: Api, dsn: str) -> None:
    api.post(*anna())
    bad = {**anna()[0], "id": "bad", "time": "yesterday"}
    by_address = event("order.placed", 33, order_id="", customer=ANNA[0])
    other = event("order.placed", 34, order_id="", customer="bob@example.com")
    for one in (bad, by_address, other):
        assert api.http.post("/v1/events", json=one).status_code == 422
    assert "quarantine" in held(dsn, api, ANNA)
    api.post(event("subject.erased", 90, subject_id="C1"))
    assert held(dsn, api, ANNA) == {}
    assert [one["event"]["id"] for one in api.http.get("/v1/quarantine").json()["items"]] == ["e34"]
    late = {**bad, "id": "late"}
    assert api.http.post("/v1/events", json=late).status_code == 422
    assert held(dsn, api, ANNA) == {}


def test_the_command_line_erases_and_tells(api: Api, run: Callable[..., Any]) -> None:
    api.post(*anna())
    told = run("subject", "C1", "--ledger", api.ledger.name, CAMPAIGN_LEDGER_MASTER_KEY=MASTER_KEY)
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert (lines[0]["leads"], lines[1]["data"]["emails"]) == (["L1"], [ANNA[0]])
    erased = run("erase", "C1", "--ledger", api.ledger.name, CAMPAIGN_LEDGER_MASTER_KEY=MASTER_KEY)
    assert erased.returncode == 0, erased.stderr
    assert [json.loads(line)["destroyed"]["keys"] for line in erased.stdout.splitlines()] == [1, 1]
    assert read_back(api)["e1"]["data"]["emails"] == GONE


def test_ids_that_are_addresses_are_told(api: Api) -> None:
    api.post(
        event("contact.registered", 1, contact_id="anna@example.com"), event("lead.captured", 2, lead_id="+49 151 2345678"),
        event("lead.captured", 3, lead_id="L1"), event("contact.registered", 4, contact_id="4915123456"),
    )  # fmt: skip
    assert api.read("/v1/completeness")["addresses_as_ids"] == {"contact": 1, "lead": 1}


def test_an_exported_log_is_the_same_elsewhere(api: Api, open_api: Callable[..., Api]) -> None:
    people: dict[str, Any] = {"lead_ids": ["L1"]}
    api.post(*anna(), event("opportunity.opened", 8, opportunity_id="O", name="Roof for Anna", **people))
    api.post(event("subject.erased", 9, subject_id="C1"))
    log = api.http.get("/v1/events").json()
    other = open_api()
    other.post(*log)
    moved = other.http.get("/v1/events").json()
    for one in (*log, *moved):
        del one["recorded_at"]
    assert moved == log
    before, after = figures(api), figures(other)
    assert after == before
    assert [one["status"] for one in api.post(*log)["items"]] == ["duplicate"] * len(log)
