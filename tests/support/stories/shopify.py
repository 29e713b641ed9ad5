"""A fair in a Shopify shop: paid, cancelled, in francs, edited before it is paid; refunded in part; tests that do not count."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.sending import cost
from tests.support.stories import Message, Story

_SAMPLES = Path(__file__).parents[3] / "docs/senders/samples/shopify"
_SHOP = "northwind.myshopify.com"


def money(shop: str, presentment: str | None = None, code: str = "EUR") -> dict[str, Any]:
    """Return an amount in the shop's currency and in the customer's."""
    return {
        "shop_money": {"amount": shop, "currency_code": "EUR"},
        "presentment_money": {"amount": presentment or shop, "currency_code": code},
    }


def told(topic: str, body: dict[str, Any], triggered: str, number: int, **more: str) -> Message:
    """Return a message as Shopify posts it."""
    headers = {
        "X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": _SHOP, "X-Shopify-API-Version": "2026-01",
        "X-Shopify-Webhook-Id": f"b54557e4-bdd9-4b37-8a5f-bf7d70bcd{number:03}", "X-Shopify-Triggered-At": triggered,
        "X-Shopify-Event-Id": f"98880550-7158-44d4-b7cd-2c97c8a091b{number:03}", **more,
    }  # fmt: skip
    return Message(json.dumps(body).encode(), headers)


def sample(which: str, /, **changed: Any) -> dict[str, Any]:
    """Return a sample with some members changed."""
    whole: dict[str, Any] = json.loads((_SAMPLES / f"{which}.json").read_text("utf-8"))
    return whole | changed


def priced(net: str, tax: str, **more: Any) -> dict[str, Any]:
    """Return an order of a business that sees net prices."""
    gross = f"{Decimal(net) + Decimal(tax)}"
    return sample(
        "order-paid", id=77, name="#1004", admin_graphql_api_id="gid://shopify/Order/77", taxes_included=False,
        total_price=gross, total_price_set=money(gross), total_tax=tax, total_tax_set=money(tax),
        landing_site="https://northwind.example/?utm_campaign=spring-fair", processed_at="2026-04-01T08:00:00+02:00",
        created_at="2026-04-01T08:00:00+02:00", **more,
    )  # fmt: skip


def taken_off(subtotal: str, tax: str, at: str) -> dict[str, Any]:
    """Return the refund by which an edit removes an item: nothing is paid back."""
    line = {"id": 5, "subtotal_set": money(subtotal), "total_tax_set": money(tax), "restock_type": "cancel"}
    return {
        "id": 501,
        "order_id": 77,
        "created_at": at,
        "processed_at": at,
        "refund_line_items": [line],
        "transactions": [],
    }


_REFUND = sample("refund-created")
_FRANCS = {
    "id": 601, "order_id": 5842190467331, "created_at": "2026-03-25T09:00:00+01:00", "refund_line_items": [],
    "transactions": [{"kind": "refund", "status": "success", "amount": "190.00", "currency": "CHF"},
                     {"kind": "refund", "status": "failure", "amount": "190.00", "currency": "CHF"}],
    "order_adjustments": [{"kind": "refund_discrepancy", "amount": "-200.00", "tax_amount": "0.00"}],
}  # fmt: skip

STORY = Story(
    kind="shopify",
    messages=[
        told("orders/create", sample("order-paid"), "2026-03-02T09:15:43.120398114Z", 1),
        told("orders/paid", sample("order-paid"), "2026-03-02T09:15:43.220398114Z", 2),
        told("orders/create", sample("order-cancelled", cancelled_at=None, cancel_reason=None, financial_status="authorized",
                                     updated_at="2026-03-03T09:00:01+01:00"), "2026-03-03T08:00:01.5Z", 3),
        told("orders/cancelled", sample("order-cancelled"), "2026-03-04T15:20:31.100000001Z", 4),
        told("orders/create", sample("order-in-francs"), "2026-03-05T13:00:02.9Z", 5),
        told("refunds/create", _REFUND, "2026-03-20T10:00:05.4Z", 6),
        told("orders/updated", sample("order-paid", financial_status="partially_refunded", refunds=[_REFUND],
                                      updated_at="2026-03-20T11:00:06+01:00"), "2026-03-20T10:00:06.1Z", 7),
        told("refunds/create", _FRANCS, "2026-03-25T08:00:00.4Z", 8),
        # 500.00, edited to 700.00, an item of 100.00 taken off, then paid: all within the terms of payment.
        told("orders/create", priced("500.00", "95.00", financial_status="pending", updated_at="2026-04-01T08:00:01+02:00"),
             "2026-04-01T06:00:01.2Z", 9),
        told("orders/edited", {"order_edit": {"id": 1, "order_id": 77, "line_items": {"additions": [{"id": 2, "delta": 1}]}}},
             "2026-04-02T06:00:00.1Z", 10),
        told("orders/updated", priced("700.00", "133.00", financial_status="pending", updated_at="2026-04-02T08:00:00+02:00"),
             "2026-04-02T06:00:00.2Z", 11),
        told("orders/updated", priced("700.00", "133.00", financial_status="pending", updated_at="2026-04-03T08:00:00+02:00",
                                      refunds=[taken_off("100.00", "19.00", "2026-04-03T08:00:00+02:00")]),
             "2026-04-03T06:00:00.2Z", 12),
        told("orders/paid", priced("700.00", "133.00", financial_status="paid", updated_at="2026-04-20T08:00:00+02:00",
                                   refunds=[taken_off("100.00", "19.00", "2026-04-03T08:00:00+02:00")]),
             "2026-04-20T06:00:00.2Z", 13),
        told("orders/create", sample("order-paid", id=78, test=True), "2026-04-20T07:00:00.2Z", 14),
        told("orders/create", sample("order-paid", id=820982911946154508), "2026-04-20T07:00:00.3Z", 15,
             **{"X-Shopify-Test": "true"}),
        told("orders/create", sample("order-paid", id=79), "2026-04-20T07:00:00.4Z", 16,
             **{"X-Shopify-Shop-Domain": "another.myshopify.com"}),
        told("customers/redact", {"shop_id": 954889, "shop_domain": _SHOP, "orders_to_redact": [],
                                  "customer": {"id": 7263549108481, "email": "ida@northwind.example", "phone": None}},
             "2026-05-20T07:00:00.4Z", 17),
    ],
    campaign_id="spring-fair",
    # 1,010.08 + 2,000.00 + 600.00; the cancelled order is gone; 500.00 and 190.00 CHF (200.00) went back.
    roi={
        "actual_cost": "500.00", "booked_revenue": "3610.08", "invoiced_revenue_gross": "3610.08", "credited": "700.00",
        "invoiced_revenue": "2910.08", "roi": {"booked": 6.22016, "invoiced": 4.82016, "margin": None},
    },
    mapping={"shop": _SHOP, "timezone": "Europe/Berlin", "discount_codes": {"FAIR10": "spring-fair"}},
    events=[cost("fair-stand", "spring-fair", "500.00")],
)  # fmt: skip
