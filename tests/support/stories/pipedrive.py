"""A fair in Pipedrive: a lead becomes a deal and is won; others are lost, deleted, reopened; persons are merged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.sending import cost, invoice
from tests.support.stories import Message, Story

_SAMPLES = Path(__file__).parents[3] / "docs/senders/samples/pipedrive"
CAMPAIGN = "e41e5d2e1b0a4a4c9f4f6d0a7e2f1b3c5d6e7f80"  # the hash of the field "Campaign"


def sample(which: str, at: str | None = None, /, meta: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Return a sample at another time, with members of `meta` and `data` changed."""
    whole: dict[str, Any] = json.loads((_SAMPLES / f"{which}.json").read_text("utf-8"))
    whole["meta"] |= {**(meta or {}), **({"timestamp": at} if at else {})}
    if changed:
        whole["data"] |= changed
    return whole


def _told(body: dict[str, Any], **meta: Any) -> Message:
    return Message(json.dumps({**body, "meta": {**body["meta"], **meta}}).encode())


def _deal(number: int, action: str, at: str, **changed: Any) -> Message:
    about = {"entity_id": str(number), "action": action}
    return _told(sample("deal-created", at, about, id=number, update_time=at, **changed))


def _gone(entity: str, identity: str, at: str) -> Message:
    about = {"action": "delete", "entity": entity, "entity_id": identity}
    return _told({**sample("deal-created", at, about), "data": None, "previous": {"id": identity}})


_OTHER = {"person_id": 20, "org_id": None, "add_time": "2026-03-06T09:00:00Z", "value": 900}
STORY = Story(
    kind="pipedrive",
    messages=[
        _told(sample("lead-created")),
        _told(sample("lead-created"), attempt=2),
        # It becomes a deal, and is gone from the leads inbox.
        _told(sample("deal-created")),
        _gone("lead", "3f1c8a52-6b0d-4f6e-9d3a-8f2b1c7e5a90", "2026-03-05T09:00:00.400Z"),
        _deal(901, "change", "2026-03-20T14:00:00.100Z", stage_id=4, probability=80),
        _told(sample("deal-won")),
        # The same person twice: 20 becomes 19.
        _deal(902, "create", "2026-03-06T09:00:00.000Z", **_OTHER),
        _told(sample("person-merged", "2026-03-07T08:00:00.003Z")),
        _deal(902, "change", "2026-03-25T09:00:00.000Z", **_OTHER, status="lost", lost_time="2026-03-25T09:00:00Z",
              lost_reason="too small"),
        # Won by mistake, and opened again.
        _deal(903, "create", "2026-03-08T09:00:00.000Z", value=5000, add_time="2026-03-08T09:00:00Z"),
        _deal(903, "change", "2026-03-09T09:00:00.000Z", value=5000, add_time="2026-03-08T09:00:00Z", status="won",
              won_time="2026-03-09T09:00:00Z"),
        _deal(903, "change", "2026-03-10T09:00:00.000Z", value=5000, add_time="2026-03-08T09:00:00Z"),
        # Won, and deleted: it never was.
        _deal(904, "change", "2026-03-10T10:00:00.000Z", value=7000, status="won", won_time="2026-03-10T10:00:00Z"),
        _gone("deal", "904", "2026-03-11T10:00:00.000Z"),
        # Deleted, and restored.
        _gone("deal", "905", "2026-03-11T10:00:00.000Z"),
        _deal(905, "create", "2026-03-10T11:00:00.000Z", value=10000),
        _deal(905, "change", "2026-04-12T10:00:00.000Z", value=10000, status="won", won_time="2026-04-12T09:59:59Z"),
        _told({**sample("deal-won"), "data": {"id": 5}}, entity="note", entity_id="5"),
        _told(sample("deal-won", value=1), host="another.pipedrive.com"),
    ],
    campaign_id="spring-fair",
    # 75,000.50 and 10,000.00 were ordered; the accounting department has invoiced the first.
    roi={
        "actual_cost": "12000.00", "booked_revenue": "85000.50", "invoiced_revenue": "75000.50", "credited": "0.00",
        "roi": {"booked": 6.083375, "invoiced": 5.250042, "margin": None},
    },
    mapping={
        "host": "northwind.pipedrive.com",
        "fields": {"deal": {"campaign": CAMPAIGN}, "lead": {"campaign": CAMPAIGN}},
        "campaigns": {"12": "spring-fair"},
        "stages": {"1": "Qualified", "4": "Proposal"},
        "events": {"deal": {"won": ["opportunity.won", "order.placed"], "lost": "opportunity.lost"}},
    },
    secrets=["ledger:a-password-of-the-story-0123456789"],
    events=[
        cost("fair-stand", "spring-fair", "12000.00"),
        invoice("RE-2026-77", "75000.50", "2026-04-20", order_id="901"),
    ],
)  # fmt: skip
