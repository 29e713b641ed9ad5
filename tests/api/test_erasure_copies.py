"""Erasure reaches what senders posted: it keeps nothing of a person, and gives the same events as before."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from tests.conftest import Api
from tests.support.dumping import holding
from tests.support.hooks import Sender, connect
from tests.support.stories.generic import MAPPING

ANNA = ["anna.schmidt@example.com", "Anna Schmidt", "Lindenweg 17", "asks for a roof"]
PERSON = {
    "type": "contact.registered", "when": {"column": "kind", "equals": "person"}, "time": "{object.created_at}",
    "data": {"contact_id": "{object.id}", "emails": ["{object.email}"], "full_name": "{object.name}"},
}  # fmt: skip
ASKED = {
    "type": "lead.captured", "when": {"column": "kind", "equals": "person"}, "time": "{object.created_at}",
    "data": {"lead_id": "{object.id}", "contact_id": "{object.id}", "campaign_id": "{object.campaign|slug}"},
}  # fmt: skip


def posts(sender: Sender, kind: str, key: str, version: int, **fields: Any) -> None:
    times = {"created_at": "2026-04-01T10:00:00Z", "updated_at": f"2026-04-01T10:{version:02}:00Z"}
    body = json.dumps({"kind": kind, "object": {"id": key, "version": version, **times, **fields}}).encode()
    assert sender.post(body).status_code < 300
    sender.settled()


def person(sender: Sender, version: int, **more: Any) -> None:
    email, name, street, note = ANNA
    fields = {"email": email, "name": name, "street": street, "note": note, "campaign": "Fair", **more}
    posts(sender, "person", "P-1", version, **fields)


def gone(dsn: str, api: Api, texts: list[str]) -> dict[str, list[str]]:
    """Return what is held of texts, once what is done in the background has had its time."""
    deadline = time.monotonic() + 20
    while (found := asyncio.run(holding(dsn, texts, api.ledger.ledger))) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found


def test_what_a_sender_posted_of_a_person_goes_and_gives_the_same_events(api: Api, dsn: str) -> None:
    mapping = {**MAPPING, "events": [*MAPPING["events"], PERSON, ASKED]}
    sender = connect(api, "generic", "a-secret-0123456789", mapping=mapping)
    person(sender, 1)
    posts(sender, "person", "P-2", 1, email="bob@example.com", name="Bob", campaign="Fair")
    posts(sender, "order", "SO-1", 1, status="open", total={"net": 10, "currency": "EUR"}, sent_to=ANNA[0])
    posts(sender, "nothing", "X", 1, note=ANNA[0])  # gives no event
    assert {"deliveries", "statements", "drafts"} <= asyncio.run(holding(dsn, ANNA, api.ledger.ledger)).keys()
    assert api.http.post("/v1/erasures", json={"subject_id": "P-1"}).status_code == 201
    assert gone(dsn, api, ANNA) == {}
    given = [(one["id"], one["type"]) for one in sender.events()]

    assert sender.call("POST", "/retranslate").status_code < 300
    person(sender, 2, campaign="Fair", note="asks for a roof, again")
    person(sender, 3, campaign="Other")
    assert gone(dsn, api, ANNA) == {}
    later = [(one["id"], one["type"]) for one in sender.events()][len(given) :]
    assert [one[1] for one in later] == ["event.voided", "lead.captured"], "what is open has changed, and only that"
    assert "bob@example.com" in str(sender.events())
    bodies = [sender.call("GET", f"/deliveries/{one['id']}").text for one in sender.deliveries()]
    assert sum("Bob" in one for one in bodies) == 1
