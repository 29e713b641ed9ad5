"""A broker that delivers CloudEvents: one by one in both modes, and in a batch."""

from __future__ import annotations

import json
from typing import Any

from tests.support.stories import Message, Story


def _event(number: int, kind: str, at: str, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"e-{number}", "source": "/crm", "type": kind, "time": at, "data": data}


def _eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def _structured(event: dict[str, Any]) -> Message:
    return Message(json.dumps(event).encode())


def _binary(event: dict[str, Any]) -> Message:
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    return Message(json.dumps(event["data"]).encode(), {"content-type": "application/json", **attributes})


COST = _event(
    1,
    "campaign.cost_booked",
    "2026-03-01T08:00:00Z",
    cost_entry_id="C-1",
    campaign_id="fair-2026",
    cost_date="2026-03-01",
    amount=_eur("1000.00"),
)
LEAD = _event(2, "com.crm.lead", "2026-03-02T09:30:00+01:00", lead_id="L-1", campaign_id="fair-2026")
DEAL = _event(3, "opportunity.opened", "2026-03-09T11:00:00Z", opportunity_id="O-1", lead_ids=["L-1"])
ORDER = _event(
    4, "order.placed", "2026-04-01T10:00:00Z", order_id="SO-1", opportunity_id="O-1", net_value=_eur("11000.00")
)
AMENDED = _event(5, "order.amended", "2026-04-05T10:00:00Z", order_id="SO-1", net_value=_eur("12000.00"))
INVOICE = _event(
    6,
    "invoice.posted",
    "2026-04-20T10:00:00Z",
    invoice_id="I-1",
    order_id="SO-1",
    posting_date="2026-04-20",
    net_amount=_eur("12000.00"),
)
CREDIT = _event(
    7,
    "invoice.credited",
    "2026-05-02T10:00:00Z",
    credit_note_id="CN-1",
    invoice_id="I-1",
    posting_date="2026-05-02",
    net_amount=_eur("1000.00"),
)

STORY = Story(
    kind="cloudevents",
    campaign_id="fair-2026",
    mapping={"types": {"com.crm.lead": "lead.captured"}},
    messages=(
        _structured(COST), _binary(LEAD), _binary(DEAL), Message(json.dumps([ORDER, AMENDED]).encode()),
        _structured(INVOICE), _binary(CREDIT),
    ),
    roi={
        "actual_cost": "1000.00", "booked_revenue": "12000.00", "invoiced_revenue": "11000.00", "credited": "1000.00",
        "roi": {"booked": 11.0, "invoiced": 10.0},
    },
)  # fmt: skip
