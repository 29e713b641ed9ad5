"""A shop of its own make: whole records, posted whenever something has changed; mapped by docs/senders/samples/generic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.support.stories import Message, Story

MAPPING: dict[str, Any] = yaml.safe_load(Path("docs/senders/samples/generic/mapping.yaml").read_text(encoding="utf-8"))


def _message(kind: str, key: str, version: int, created: str, updated: str, **fields: Any) -> Message:
    record = {"id": key, "version": version, "created_at": created, "updated_at": updated, **fields}
    return Message(json.dumps({"kind": kind, "object": record}).encode())


ORDERED = "2026-04-01T10:00:00Z"
STORY = Story(
    kind="generic",
    campaign_id="fair-2026",
    mapping=MAPPING,
    messages=(
        _message("expense", "C-1", 1, "2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z", campaign="Fair 2026", date="2026-03-01",
                 net=4000.5, currency="EUR"),
        _message("lead", "L-1", 1, "2026-03-02T09:30:00Z", "2026-03-02T09:30:00Z", utm_campaign="fair_2026"),
        _message("lead", "L-1", 2, "2026-03-02T09:30:00Z", "2026-03-03T09:30:00Z", utm_campaign="fair_2026", channel="event"),
        _message("visit", "V-1", 1, "2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z", utm_campaign="fair_2026", customer="K-1"),
        _message("deal", "D-1", 1, "2026-03-05T09:30:00Z", "2026-03-05T09:30:00Z", lead="L-1"),
        # the amount is not known at first, then wrong, then right
        _message("order", "SO-1", 1, ORDERED, "2026-04-01T10:00:00Z", status="open", deal="D-1"),
        _message("order", "SO-1", 2, ORDERED, "2026-04-01T10:00:00Z", status="open", deal="D-1",
                 total={"net": "50000", "currency": "EUR"}),
        _message("order", "SO-1", 3, ORDERED, "2026-04-01T10:00:00Z", status="paid", deal="D-1",
                 total={"net": 40005.0, "currency": "EUR"}),
        _message("order", "SO-2", 1, ORDERED, "2026-04-02T10:00:00Z", status="open", deal="D-1",
                 total={"net": 7000, "currency": "EUR"}),
        _message("order", "SO-2", 2, ORDERED, "2026-04-04T10:00:00Z", status="cancelled", deal="D-1",
                 total={"net": 7000, "currency": "EUR"}),
        _message("invoice", "I-1", 1, "2026-04-20T10:00:00Z", "2026-04-20T10:00:00Z", order="SO-1", date="2026-04-20",
                 net=40005, currency="EUR"),
        _message("ping", "P-1", 1, "2026-04-20T10:00:00Z", "2026-04-20T10:00:00Z"),
    ),
    roi={
        "actual_cost": "4000.50", "booked_revenue": "40005.00", "invoiced_revenue": "40005.00", "credited": "0.00",
        "roi": {"booked": 9.0, "invoiced": 9.0},
    },
)  # fmt: skip

# Another shop: lists of orders in cents, epoch times, the campaign in a landing page; signed as Standard Webhooks says.
_SHOP: dict[str, Any] = {
    "authentication": {"scheme": "standard-webhooks"},
    "each": "orders", "record": "order:{number}", "at": "{changed}", "order": "{rev}",
    "fields": {
        "number": {"path": "name", "match": "^#([0-9]+)$"},
        "changed": {"path": "changed_ms", "epoch": "milliseconds"},
        "made": {"path": "made_ms", "epoch": "milliseconds"},
        "campaign": {"path": "landing", "query": "utm_campaign"},
        "status": {"path": "state", "map": {"paid": "live", "authorized": "live", "refunded": "gone", "*": "other"}},
        "net": {"path": "net_cents", "times": "0.01"},
        "account": {"parent": "shop.id"},
        "topic": {"header": "x-topic"},
    },
    "events": [
        {
            "type": "order.placed", "time": "{made}", "when": {"column": "status", "equals": ["live", "gone"]},
            "data": {
                "order_id": "{number}", "campaign_id": "{campaign|slug}", "account_id": "{account}", "topic": "{topic}",
                "net_value": {"amount": "{net|decimal}", "currency": "EUR"},
            },
        },
        {
            "type": "order.cancelled", "time": "{changed}", "when": {"column": "status", "equals": "gone"},
            "data": {"order_id": "{number}"},
        },
    ],
}  # fmt: skip


def _orders(*orders: dict[str, Any]) -> Message:
    return Message(json.dumps({"shop": {"id": "S-1"}, "orders": orders}).encode(), {"x-topic": "orders/changed"})


def _sold(number: int, rev: str, state: str, cents: Any, landing: str = "/?utm_campaign=Fair_2026") -> dict[str, Any]:
    changed = 1775037600000 + 60_000 * int(rev.removeprefix("v"))
    return {"name": f"#{number}", "rev": rev, "state": state, "net_cents": cents, "landing": landing,
            "made_ms": 1775037600000, "changed_ms": changed}  # fmt: skip


SHOP = Story(
    kind="generic",
    campaign_id="fair-2026",
    mapping=_SHOP,
    secrets=("whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk=",),
    messages=(
        _orders(_sold(1001, "v9", "paid", 4000000), _sold(1002, "v1", "paid", 500000)),
        _orders(_sold(1001, "v10", "paid", 4000050)),
        _orders(_sold(1002, "v2", "refunded", 500000), _sold(1003, "v1", "draft", None)),
        _orders(_sold(1004, "v1", "paid", 100, landing="/?utm_campaign=(not set)")),
    ),
    roi={"actual_cost": "0.00", "booked_revenue": "40000.50"},
)
STORIES = (STORY, SHOP)
