"""`cloudevents`: the three modes, the handshake, and events that keep their identity."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.cloudevents import BATCH, STRUCTURED
from service.intake.senders.contract import (
    Draft,
    Ignored,
    MalformedError,
    RejectedError,
    Request,
    Source,
    Statement,
    Unreadable,
)

KIND = KINDS["cloudevents"]
NOW = datetime(2026, 3, 2, tzinfo=UTC)
TOKEN = "a-token-0123456789"
SOURCE = Source("s", KIND.name, "broker", (TOKEN, "old-token-0123456789"), KIND.check_mapping({}))
SAMPLE = json.loads(Path("docs/senders/samples/cloudevents/lead-captured.json").read_bytes())
DATA = SAMPLE["data"]
DRAFT = Draft("event", "lead.captured", SAMPLE["time"], DATA, None, "/crm", "crm-4711")


def request(body: Any, headers: dict[str, str] | None = None, query: dict[str, str] | None = None) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": STRUCTURED} if headers is None else headers
    return Request("POST", "https://x.test/h", given, query or {}, raw, NOW)


def drafts(one: Request, source: Source = SOURCE) -> list[Any]:
    found: list[Any] = []
    for part in KIND.read(one, source):
        found += KIND.translate(part.record, [part], source) if isinstance(part, Statement) else [part]
    return found


def test_structured_binary_and_batched_modes_give_the_same_event() -> None:
    attributes = {f"ce-{name}": value for name, value in SAMPLE.items() if name != "data"}
    binary = {"content-type": "application/json; charset=utf-8", **attributes}
    assert drafts(request(SAMPLE)) == [DRAFT]
    assert drafts(request(DATA, binary)) == [DRAFT]
    assert drafts(request([SAMPLE, SAMPLE], {"content-type": BATCH})) == [DRAFT, DRAFT]
    encoded = base64.b64encode(json.dumps(DATA).encode()).decode()
    as_base64 = {name: value for name, value in SAMPLE.items() if name != "data"} | {"data_base64": encoded}
    assert drafts(request(as_base64)) == [DRAFT]


def test_extensions_subject_and_schema_are_kept_and_headers_are_decoded() -> None:
    attributes = {f"ce-{name}": value for name, value in SAMPLE.items() if name != "data"}
    more = {"ce-subject": "M%C3%BCller", "ce-tenant": '"a \\"b\\""', "ce-dataschema": "https://x.test/v1"}
    (draft,) = drafts(request(DATA, {"content-type": "application/json", **attributes, **more}))
    assert draft.subject == "Müller"
    assert draft.extensions == {"tenant": 'a "b"', "dataschema": "https://x.test/v1"}


def test_types_are_renamed_others_ignored_and_a_bad_item_fails_alone() -> None:
    source = SOURCE._replace(mapping=KIND.check_mapping({"types": {"crm.lead": "lead.captured"}}))
    batch = [{**SAMPLE, "type": "crm.lead"}, {**SAMPLE, "type": "crm.user"}, {**SAMPLE, "time": None}, 7]
    good, ignored, timeless, number = drafts(request(batch, {"content-type": BATCH}), source)
    assert good == DRAFT
    assert isinstance(ignored, Ignored)
    assert all(isinstance(one, Unreadable) for one in (timeless, number))
    assert "time" in timeless.reason


def test_one_identity_with_two_contents_is_a_conflict_and_a_repeat_is_none() -> None:
    one, again, other = (
        KIND.read(request(event), SOURCE)[0] for event in (SAMPLE, SAMPLE, {**SAMPLE, "data": {"lead_id": "L-2"}})
    )
    assert isinstance(one, Statement)
    assert isinstance(other, Statement)
    assert one == again
    assert one.record == other.record
    with pytest.raises(MalformedError, match="crm-4711 of /crm"):
        KIND.translate(one.record, [one, other], SOURCE)


def test_the_token_may_come_as_bearer_or_in_the_query() -> None:
    for headers, query in (
        ({"authorization": f"Bearer {TOKEN}"}, {}), ({"authorization": "bearer old-token-0123456789"}, {}),
        ({}, {"access_token": TOKEN}),
    ):  # fmt: skip
        KIND.verify(request({}, headers, query), SOURCE, NOW)
    for headers, query in (
        ({"authorization": "Bearer wrong"}, {"access_token": TOKEN}), ({"authorization": TOKEN}, {}), ({}, {}),
        ({}, {"access_token": ""}), ({}, {"access_token": TOKEN[:-1]}),
    ):  # fmt: skip
        with pytest.raises(RejectedError):
            KIND.verify(request({}, headers, query), SOURCE, NOW)


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_an_hmac_of_the_body_is_checked_where_the_mapping_says_so(encoding: str) -> None:
    how = {"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256=", "encoding": encoding}
    source = SOURCE._replace(mapping=KIND.check_mapping({"authentication": how}))
    headers = KIND.sign(b"{}", source, NOW)
    assert headers["x-hub-signature-256"].startswith("sha256=")
    KIND.verify(request(b"{}", headers), source, NOW)
    with pytest.raises(RejectedError):
        KIND.verify(request(b"{ }", headers), source, NOW)
    with pytest.raises(RejectedError):
        KIND.verify(request(b"{}", {}, {"access_token": TOKEN}), source, NOW)


@pytest.mark.parametrize(
    ("mapping", "named"),
    [
        ({"authentication": {"scheme": "magic"}}, "authentication.scheme"), ({"origins": "x"}, "origins"),
        ({"authentication": {"encoding": "hexx"}}, "authentication.encoding"), ({"origins": [1]}, "origins"),
        ({"types": {"a": 1}}, "types.a"), ({"authentication": {"header": ""}}, "authentication.header"),
    ],
)  # fmt: skip
def test_a_mapping_that_is_wrong_is_named(mapping: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        KIND.check_mapping(mapping)


def grid(**changed: Any) -> dict[str, Any]:
    """Return an event in the schema of Azure Event Grid."""
    return {
        "id": "g-1", "topic": "/subscriptions/1/topics/crm", "subject": "leads/L-1", "eventType": "lead.captured",
        "eventTime": "2026-03-01T09:30:00.1234567Z", "data": {"lead_id": "L-1"}, "dataVersion": "1.0",
        "metadataVersion": "1", **changed,
    }  # fmt: skip


def test_event_grid_gets_its_validation_code_back() -> None:
    kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
    body = [grid(eventType=kind, data={"validationCode": "512d38b6", "validationUrl": "https://x"})]
    headers = {"aeg-event-type": "SubscriptionValidation"}
    reply = KIND.handshake(request(body, headers), SOURCE)
    assert reply is not None
    assert (reply.status, json.loads(reply.body)) == (200, {"validationResponse": "512d38b6"})
    refused = KIND.handshake(request({}, headers), SOURCE)
    assert refused is not None
    assert refused.status == 400
    assert KIND.handshake(request(body, {"aeg-event-type": "Notification"}), SOURCE) is None


def test_events_in_event_grids_own_schema_are_read() -> None:
    one, other = KIND.read(
        request([grid(), grid(id="g-2", eventType="Microsoft.EventGrid.SubscriptionDeletedEvent")]), SOURCE
    )
    assert isinstance(one, Statement)
    (draft,) = KIND.translate(one.record, [one], SOURCE)
    assert isinstance(draft, Draft)
    assert (draft.source, draft.id, draft.subject, draft.data) == (
        "/subscriptions/1/topics/crm", "g-1", "leads/L-1", {"lead_id": "L-1"},
    )  # fmt: skip
    assert isinstance(other, Ignored)


def test_a_bad_event_of_a_batch_is_named() -> None:
    parts = KIND.read(request([grid(data={}), {"id": "x"}, 7, grid(id="g-3", data={})]), SOURCE)
    reasons = [one.reason for one in parts if isinstance(one, Unreadable)]
    assert reasons[0].startswith("item 0 (/subscriptions/1/topics/crm g-1): data.lead_id")
    assert reasons[1].startswith("item 2 (without an id): the event: expected an object")
    assert "g-3" in reasons[2]


def test_words_for_nothing_are_those_that_the_mapping_names() -> None:
    event = {**SAMPLE, "data": {**DATA, "campaign_id": "(not set)"}}
    assert drafts(request(event))[0].data["campaign_id"] == "(not set)"
    mapped = SOURCE._replace(mapping=KIND.check_mapping({"blanks": ["(not set)"]}))
    assert "campaign_id" not in drafts(request(event), mapped)[0].data
