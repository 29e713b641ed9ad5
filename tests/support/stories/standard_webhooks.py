"""A shop that sends events of the catalogue, signed by Standard Webhooks."""

from __future__ import annotations

import json
from typing import Any

from tests.support.stories import Message, Story


def _message(kind: str, at: str, **data: Any) -> Message:
    return Message(json.dumps({"type": kind, "timestamp": at, "data": data}).encode())


def _eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


STORY = Story(
    kind="standard-webhooks",
    secrets=("whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk=",),
    campaign_id="fair-2026",
    mapping={"types": {"order.created": "order.placed"}},
    messages=(
        _message("campaign.cost_booked", "2026-03-01T08:00:00Z", cost_entry_id="C-1", campaign_id="fair-2026",
                 cost_date="2026-03-01", amount=_eur("12000.00")),
        _message("lead.captured", "2026-03-02T09:30:00+01:00", lead_id="L-1", campaign_id="fair-2026"),
        _message("opportunity.opened", "2026-03-09T11:00:00Z", opportunity_id="O-1", lead_ids=["L-1"]),
        _message("order.created", "2026-04-01T10:00:00Z", order_id="SO-1", opportunity_id="O-1",
                 net_value=_eur("100000.00")),
        _message("invoice.posted", "2026-04-20T10:00:00Z", invoice_id="I-1", order_id="SO-1", posting_date="2026-04-20",
                 net_amount=_eur("100000.00"), cogs=_eur("20000.00")),
        _message("invoice.credited", "2026-05-02T10:00:00Z", credit_note_id="CN-1", invoice_id="I-1",
                 posting_date="2026-05-02", net_amount=_eur("4000.00"), cogs=_eur("1000.00")),
        _message("user.deleted", "2026-05-02T10:00:00Z"),
    ),
    roi={
        "actual_cost": "12000.00", "booked_revenue": "100000.00", "invoiced_revenue": "96000.00", "credited": "4000.00",
        "roi": {"booked": 7.333333, "invoiced": 7.0, "margin": 5.416667},
    },
)  # fmt: skip
