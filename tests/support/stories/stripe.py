"""A sale through Stripe: a customer from a webinar, an invoice in several states, a mistake voided, a partial credit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.stories import Message, Story

_SAMPLES = Path(__file__).parents[3] / "docs/senders/samples/stripe"


def _sample(name: str, **changed: Any) -> Message:
    """Return a sample, with members of the event (`id`, `created`, `type`) or of its object (`o_…`) changed."""
    event = json.loads((_SAMPLES / f"{name}.json").read_text("utf-8"))
    for member, value in changed.items():
        if member.startswith("o_"):
            event["data"]["object"][member[2:]] = value
        else:
            event[member] = value
    return Message(json.dumps(event, indent=2).encode())


STORY = Story(
    kind="stripe",
    messages=[
        _sample("customer-created"),
        _sample("checkout-completed"),
        _sample(
            "invoice-finalized", id="evt_1T8QLkdIwHu7ixdraft001", created=1775030400, type="invoice.created",
            o_status="draft", o_total=0, o_total_excluding_tax=0,
        ),
        _sample("invoice-finalized"),
        # The mistake: finalized in the same second, voided later.
        _sample(
            "invoice-voided", id="evt_1T8RrLLkdIwHu7ixfina0002", created=1775034000, type="invoice.finalized",
            o_status="open", o_status_transitions={"finalized_at": 1775034000, "voided_at": None},
        ),
        _sample("invoice-paid"),
        _sample("invoice-voided"),
        _sample("credit-note-created"),
        _sample(
            "credit-note-voided", id="evt_1TcVvRLkdIwHu7ixcred0002", created=1777305000, type="credit_note.created",
            o_status="issued", o_voided_at=None,
        ),
        _sample("credit-note-voided"),
        Message(
            b'{"id": "evt_test_65R2GpwD", "object": "v2.core.event", "type": "v1.billing.meter.no_meter_found",'
            b' "created": "2026-04-28T20:54:12.051Z", "livemode": true}'
        ),
    ],
    campaign_id="webinar-2026-03",
    # 10,000.00 invoiced, 2,000.00 credited, what was voided is gone; VAT never counts. The webinar cost 2,000.00.
    roi={
        "actual_cost": "2000.00",
        "booked_revenue": "10000.00",
        "invoiced_revenue_gross": "10000.00",
        "credited": "2000.00",
        "invoiced_revenue": "8000.00",
        "roi": {"booked": 4.0, "invoiced": 3.0, "margin": None},
    },
    mapping={"timezone": "Europe/Berlin", "customers_as_leads": True},
    secrets=["whsec_a-secret-of-the-story-0123456789"],
    events=[
        {
            "specversion": "1.0", "id": "webinar-cost", "source": "/ads", "type": "campaign.cost_booked",
            "time": "2026-03-01T09:00:00Z",
            "data": {
                "cost_entry_id": "webinar-cost", "campaign_id": "webinar-2026-03", "cost_date": "2026-03-01",
                "amount": {"amount": "2000.00", "currency": "EUR"},
            },
        }
    ],
)  # fmt: skip
