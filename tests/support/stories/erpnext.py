"""A fair in ERPNext: costs, a lead, a deal, an order that grows after it was submitted, a return, mistakes cancelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.stories import Message, Story

_SAMPLES = Path(__file__).parents[3] / "docs/senders/samples/erpnext"


def _sample(sample: str, /, **changed: Any) -> Message:
    """Return a sample with some of its fields changed, as Frappe posts it."""
    document = json.loads((_SAMPLES / f"{sample}.json").read_text("utf-8")) | changed
    return Message(json.dumps(document).encode())


_PRESS = {"doctype": "Sales Order Item", "item_code": "PRESS-40", "prevdoc_docname": "SAL-QTN-2026-00012"}
STORY = Story(
    kind="erpnext",
    messages=[
        _sample("campaign"),
        _sample("purchase-invoice", docstatus=0, status="Draft", modified="2026-03-02 09:12:44.310522", net_total=9000.0),
        _sample("purchase-invoice"),
        # Two thousand came back, at the same supplier.
        _sample(
            "purchase-invoice", name="ACC-PINV-2026-00035", is_return=1, return_against="ACC-PINV-2026-00031",
            creation="2026-03-20 08:00:00.000000", modified="2026-03-20 08:01:00.000000", posting_date="2026-03-20",
            net_total=-2000.0, base_net_total=-2000.0, items=[],
        ),
        # Booked to the wrong campaign's invoice, and cancelled.
        _sample(
            "purchase-invoice", name="ACC-PINV-2026-00032", creation="2026-03-03 08:00:00.000000", net_total=500.0,
            modified="2026-03-03 08:01:00.000000", posting_date="2026-03-03", items=[],
        ),
        _sample(
            "purchase-invoice", name="ACC-PINV-2026-00032", creation="2026-03-03 08:00:00.000000", net_total=500.0,
            modified="2026-03-04 08:01:00.000000", posting_date="2026-03-03", items=[], docstatus=2, status="Cancelled",
        ),
        # A purchase that has nothing to do with any campaign.
        _sample("purchase-invoice", name="ACC-PINV-2026-00033", utm_campaign=None, items=[]),
        _sample("lead"),
        _sample(
            "lead", modified="2026-03-12 15:00:00.500000", qualification_status="Qualified", qualified_on="2026-03-12",
            qualified_by="anna@erp.example", status="Interested",
        ),
        _sample("email-campaign"),
        _sample("communication"),
        _sample("opportunity"),
        _sample("quotation"),
        _sample("sales-order"),
        _sample("quotation", modified="2026-04-01 10:16:31.000000", status="Ordered"),
        _sample("opportunity", modified="2026-04-01 10:16:31.500000", status="Converted", probability=100.0),
        # "Update Items" after the order was submitted: one more machine.
        _sample(
            "sales-order", modified="2026-04-08 13:30:00.000000", net_total=99000.0, base_net_total=99000.0,
            items=[{**_PRESS, "name": "d4f1", "idx": 1, "qty": 6.0, "net_amount": 99000.0, "base_net_amount": 99000.0}],
        ),
        # Amended: the first order is cancelled, its copy takes its place.
        _sample(
            "sales-order", name="SAL-ORD-2026-00022", creation="2026-04-09 09:00:00.000000", net_total=7000.0,
            modified="2026-04-09 09:01:00.000000", transaction_date="2026-04-09", items=[],
        ),
        _sample(
            "sales-order", name="SAL-ORD-2026-00022", creation="2026-04-09 09:00:00.000000", net_total=7000.0,
            modified="2026-04-10 09:01:00.000000", transaction_date="2026-04-09", items=[], docstatus=2, status="Cancelled",
        ),
        _sample(
            "sales-order", name="SAL-ORD-2026-00022-1", creation="2026-04-10 09:05:00.000000", net_total=6000.0,
            modified="2026-04-10 09:06:00.000000", transaction_date="2026-04-09", items=[],
            amended_from="SAL-ORD-2026-00022",
        ),
        _sample("sales-invoice"),
        _sample("sales-invoice", modified="2026-05-18 12:00:00.000000", status="Paid"),
        _sample("sales-invoice-return"),
        # A return that was a mistake.
        _sample(
            "sales-invoice-return", name="ACC-SINV-2026-00052", modified="2026-05-05 09:02:11.000000", net_total=-33000.0,
        ),
        _sample(
            "sales-invoice-return", name="ACC-SINV-2026-00052", modified="2026-05-05 09:30:00.000000", net_total=-33000.0,
            docstatus=2, status="Cancelled",
        ),
        _sample("lead", doctype="Customer", name="Kunde KG"),
    ],
    campaign_id="Hannover Fair 2026",
    # Costs 12,000 − 2,000, and 500 booked and cancelled. Orders 99,000 + 6,000. Invoices 99,000 − 16,500. Never VAT.
    roi={
        "actual_cost": "10000.00",
        "booked_revenue": "105000.00",
        "invoiced_revenue_gross": "99000.00",
        "credited": "16500.00",
        "invoiced_revenue": "82500.00",
        "roi": {"booked": 9.5, "invoiced": 7.25, "margin": None},
    },
    mapping={"timezone": "Europe/Berlin"},
)  # fmt: skip
