"""`standard-webhooks`: signatures, the replay window, and messages that are events already."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import Draft, Ignored, MalformedError, RejectedError, Request, Source, Statement

KIND = KINDS["standard-webhooks"]
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
NEW, OLD = "whsec_bmV3LXNlY3JldC0wMTIzNDU2Nzg5", "whsec_b2xkLXNlY3JldC0wMTIzNDU2Nzg5"
SOURCE = Source("s", KIND.name, "shop", (NEW, OLD), KIND.check_mapping({"types": {"order.created": "order.placed"}}))
SAMPLES = Path("docs/senders/samples/standard-webhooks")


def request(body: bytes, headers: dict[str, str] | None = None) -> Request:
    return Request("POST", "https://x.test/h", headers or KIND.sign(body, SOURCE, NOW), {}, body, NOW)


def test_the_example_of_the_specification_verifies() -> None:
    # Secret, id, timestamp, body and signature as the specification's libraries test them.
    source = SOURCE._replace(secrets=("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",))
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip
    one = request(b'{"test": 2432232314}', headers)
    KIND.verify(one, source, datetime.fromtimestamp(1614265330, UTC))
    with pytest.raises(RejectedError, match="does not fit"):
        KIND.verify(one._replace(body=b'{"test": 2432232315}'), source, datetime.fromtimestamp(1614265330, UTC))


def test_any_of_several_signatures_by_any_of_several_secrets_is_enough() -> None:
    body = b"{}"
    headers = KIND.sign(body, SOURCE._replace(secrets=(OLD,)), NOW)
    several = {**headers, "webhook-signature": f"v1a,x v1,bm8= {headers['webhook-signature']}"}
    KIND.verify(request(body, several), SOURCE, NOW)


@pytest.mark.parametrize("off", [-301, 301])
def test_a_signature_of_more_than_five_minutes_from_now_is_refused(off: int) -> None:
    one = request(b"{}")
    KIND.verify(one, SOURCE, NOW + timedelta(seconds=300))
    with pytest.raises(RejectedError, match="300 seconds"):
        KIND.verify(one, SOURCE, NOW + timedelta(seconds=off))


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(missing: str) -> None:
    headers = {name: value for name, value in KIND.sign(b"{}", SOURCE, NOW).items() if name != missing}
    with pytest.raises(RejectedError, match=missing):
        KIND.verify(request(b"{}", headers), SOURCE, NOW)


def test_a_sample_becomes_the_event_that_it_is() -> None:
    one = request((SAMPLES / "order-placed.json").read_bytes())
    (statement,) = KIND.read(one, SOURCE)
    assert isinstance(statement, Statement)
    data = {
        "order_id": "SO-1",
        "campaign_id": "fair-2026",
        "net_value": {"amount": "100000.00", "currency": "EUR"},
    }
    drafts = KIND.translate(statement.record, [statement], SOURCE)
    assert drafts == [Draft("event", "order.placed", "2026-04-01T10:00:00Z", data)]


def test_types_are_renamed_and_unknown_ones_ignored_with_the_reason() -> None:
    body = b'{"type": "order.created", "timestamp": "2026-03-02T09:30:00Z", "data": {"order_id": "O"}}'
    (statement,) = KIND.read(request(body), SOURCE)
    assert isinstance(statement, Statement)
    assert statement.verb == "order.placed"
    with pytest.raises(MalformedError, match=r"data\.net_value"):
        KIND.translate(statement.record, [statement], SOURCE)
    (ignored,) = KIND.read(request(b'{"type": "user.deleted"}'), SOURCE)
    assert isinstance(ignored, Ignored)
    assert "user.deleted" in ignored.reason


def test_a_mapping_to_a_type_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"types\.a: expected an event type"):
        KIND.check_mapping({"types": {"a": "order.plced"}})


@pytest.mark.parametrize("blank", [False, "", "NULL", "(not set)", "--", "–"])
def test_a_campaign_that_is_a_word_for_nothing_is_none(blank: Any) -> None:
    body = json.dumps({"type": "lead.captured", "timestamp": "2026-03-02T09:30:00Z",
                       "data": {"lead_id": "L", "campaign_id": blank, "channel": blank}}).encode()  # fmt: skip
    (one,) = KIND.read(request(body), SOURCE)
    assert isinstance(one, Statement)
    (draft,) = KIND.translate(one.record, [one], SOURCE)
    assert isinstance(draft, Draft)
    assert draft.data == {"lead_id": "L"}
