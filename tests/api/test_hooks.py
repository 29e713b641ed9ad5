"""`/v1/sources` and `/v1/hooks`: connect a system, post to it, see what became of it; over real HTTP and PostgreSQL."""

from __future__ import annotations

import json

from tests.conftest import Api
from tests.support.hooks import connect

SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="


def lead(key: str, campaign: str = "c") -> bytes:
    data = {"lead_id": key, "campaign_id": campaign}
    return json.dumps({"type": "lead.captured", "timestamp": "2026-03-02T09:30:00Z", "data": data}).encode()


def test_a_signed_message_is_answered_202_and_becomes_an_event_once(api: Api) -> None:
    sender = connect(api, "standard-webhooks", SECRET)
    assert [sender.post(lead("L-1")).status_code for _ in range(2)] == [202, 202]
    assert sorted(one["state"] for one in sender.settled()) == ["accepted", "duplicate"]
    (event,) = sender.events()
    assert (event["source"], event["type"]) == ("/sources/shop", "lead.captured")
    assert event["data"] == {"lead_id": "L-1", "campaign_id": "c"}
