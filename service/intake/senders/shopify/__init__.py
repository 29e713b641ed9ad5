"""`shopify`: orders, refunds and customers of a Shopify shop, from the webhooks of its REST-shaped topics.

Facts, from Shopify's documentation (shopify.dev: "Webhooks", "Verify webhook deliveries", "Webhook topics", "Order", "Refund"):
- `X-Shopify-Hmac-SHA256` is base64 of HMAC-SHA256 over the raw body, by the app's client secret, or by the secret that
  Settings → Notifications → Webhooks shows. Nothing in it tells the time. A new client secret is used within an hour.
- `X-Shopify-Topic` names what happened; `X-Shopify-Webhook-Id` stays the same when a delivery is tried again,
  `X-Shopify-Event-Id` over all subscriptions that one action of the merchant sets off; `X-Shopify-Triggered-At` is when it
  was triggered; `X-Shopify-Test: true` marks the admin's test notifications, `"test": true` an order of the test gateway.
- Connected within one second and answered 2xx within five, else tried again eight times within four hours, with the
  payload as it was; after eight failures in a row a subscription made through the API is deleted. Order is not promised.
- An order stands whole in each of its messages, with its `refunds`; its `updated_at` counts seconds. Amounts are decimal
  texts in the shop's currency, and as `…_set` in that and in the customer's (`shop_money`, `presentment_money`).
- `total_price` is after discounts, with shipping, and with tax, whether `taxes_included` (prices are gross) or not. Editing
  an order adds to it; what is taken off the order comes as a refund without transactions. `orders/edited` has no amounts.
- A refund's line subtotals are gross where `taxes_included`. Its transactions are what was paid back, in the customer's
  currency; less than the lines, or more, where the merchant chose another amount (`order_adjustments`).
- `landing_site` is the path and query by which the customer came; `note_attributes` what the theme adds to the cart.
- A customers/merge of the status `completed` names the customer who is kept; customers/redact asks to erase one.

An order is placed with its net total; once paid it is an invoice as well (Shopify has no other), and refunds credit it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.domain.calendar import parse_instant
from service.domain.catalogue import shown
from service.intake.blanks import BLANKS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Request,
    Source,
    Statement,
    Waiting,
)
from service.intake.senders.fields import (
    blanks,
    dig,
    identifier,
    instant,
    json_of,
    object_of,
    padded,
    text,
    with_defaults,
)
from service.intake.senders.mappings import check_campaigns, check_choice, check_zone
from service.intake.senders.shopify.customers import customer
from service.intake.senders.shopify.orders import CREATED, DELETED, MERGED, ORDERED, REDACTED, REFUNDED, UPDATED, order
from service.intake.senders.shopify.reading import evidence, kept_order, kept_refund

HEADER = "X-Shopify-Hmac-SHA256"
DEFAULTS: dict[str, Any] = {
    "shop": None,  # whose messages count, such as northwind.myshopify.com: an app of several shops signs alike
    "timezone": "UTC",  # whose days posting dates are: that of the shop
    "money": "shop",  # the shop's currency, or "presentment": that of the customer
    "attributes": [
        "utm_campaign"
    ],  # of the cart (`note_attributes`): the first that is filled in names the campaign, …
    "parameters": ["utm_campaign"],  # … else the first parameter of the landing site's URL, …
    "discount_codes": {},  # … else the first discount code that stands here: code → campaign_id
    "blanks": list(BLANKS),  # values of attributes and parameters that state nothing
    "campaigns": {},  # what attributes and parameters say → campaign_id; what is not listed stands as it is
    "paid_orders_as_invoices": True,
    "customers_as_leads": False,  # a new customer is a captured lead, and the lead of their orders
    "deleted_orders": "keep",  # or "withdraw"
}
TABLES = ("discount_codes", "campaigns")
_OF_ORDERS = (
    "create",
    "updated",
    "paid",
    "cancelled",
    "fulfilled",
    "partially_fulfilled",
    "delete",
)  # whole, or its id
# Where a message has no topic, the id of what it holds tells: a refund names its order, an order itself.
_TOPICS = {"Refund": "refunds/create", "Order": "orders/updated", "Customer": "customers/update"}


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check names, types, choices and the time zone."""
    checked = with_defaults(mapping, DEFAULTS, TABLES)
    check_zone(checked)
    check_choice(checked, "money", "shop", "presentment")
    check_choice(checked, "deleted_orders", "keep", "withdraw")
    for key in ("attributes", "parameters"):
        if not all(isinstance(one, str) and one for one in checked[key]):
            raise ValueError(f"{key}: expected a list of names, got {shown(checked[key])}")
    for key in TABLES:
        checked[key] = {str(name): ours for name, ours in checked[key].items()}
        check_campaigns(checked, key)
    checked["discount_codes"] = {name.upper(): ours for name, ours in checked["discount_codes"].items()}
    return {**checked, "blanks": blanks(checked["blanks"])}


def sign(_: bytes, __: Source, now: datetime) -> dict[str, str]:
    """Return the headers that Shopify would send besides the signature."""
    return {"content-type": "application/json", "x-shopify-triggered-at": now.isoformat().replace("+00:00", "Z")}


def delivery_id(request: Request) -> str | None:
    """The id of the delivery, which all attempts share."""
    return request.headers.get("x-shopify-webhook-id")


def read(request: Request, source: Source) -> list[Statement | Ignored]:
    """An order states itself, a refund its order; a customer, a merge and a request to erase the customer."""
    body = object_of(json_of(request.body), "body")
    topic = request.headers.get("x-shopify-topic") or _topic(body)
    name, _, what = topic.partition("/")
    shop = request.headers.get("x-shopify-shop-domain")
    if request.headers.get("x-shopify-test", "").lower() == "true":
        return [Ignored(f"{topic}: a test notification, which tells of nothing that has happened")]
    if source.mapping["shop"] and shop and shop != source.mapping["shop"]:
        return [Ignored(f"{topic}: of the shop {shown(shop)}, not of the one that the mapping names")]
    if name == "orders" and what in _OF_ORDERS:
        return _order(body, what, request, source)
    if topic == "refunds/create":
        return _refund(body, request)
    if name == "customers":
        return _customer(body, what, request, source)
    reason = (
        ": orders/updated tells what the order is worth then" if what == "edited" else " states nothing for campaigns"
    )
    return [Ignored(f"{shown(topic)}{reason}")]


def _topic(body: Mapping[str, Any]) -> str:
    parts = str(body.get("admin_graphql_api_id") or "").split("/")
    topic = _TOPICS.get(parts[-2]) if len(parts) > 1 else None
    if topic is None:
        raise MalformedError("X-Shopify-Topic: expected such as orders/updated, got nothing: is this from Shopify?")
    return topic


def _triggered(request: Request) -> str:
    """Return when a message was triggered."""
    at = instant(request.headers.get("x-shopify-triggered-at"), "X-Shopify-Triggered-At")
    if at is None:
        raise MalformedError("X-Shopify-Triggered-At: expected a time such as 2026-03-01T09:30:00Z, got nothing")
    return at


def _at(body: Mapping[str, Any], *names: str) -> str:
    """Return the first of some times that is stated."""
    for name in names:
        if at := instant(body.get(name), name):
            return at
    raise MalformedError(f"{names[0]}: expected a time such as 2026-03-01T09:30:00-05:00, got nothing")


def _order_of(request: Request) -> str:
    """Return what orders the messages of one second: when each was triggered."""
    given = request.headers.get("x-shopify-triggered-at")
    return padded(parse_instant(_triggered(request)).micros, "X-Shopify-Triggered-At") if given else ""


def _order(body: Mapping[str, Any], what: str, request: Request, source: Source) -> list[Statement | Ignored]:
    record = f"order:{identifier(body.get('id'), 'id')}"
    if what == "delete":
        at = _triggered(request)
        return [Statement(record, f"{record}/deleted/{at}", at, "", DELETED, {})]
    if body.get("test") is True:
        return [Ignored("a test order: nobody has paid for it")]
    at = _at(body, "updated_at")
    key = hashlib.sha256(request.body).hexdigest()  # several topics tell one state of an order
    fields = kept_order(body, source)
    parts: list[Statement | Ignored] = [Statement(record, key, at, _order_of(request), UPDATED, fields)]
    if source.mapping["customers_as_leads"] and (buyer := dig(body, "customer.id")) is not None:
        first = instant(body.get("created_at"), "created_at") or at
        known = {**evidence(body, source), "created_at": dig(body, "customer.created_at")}
        parts.append(
            Statement(f"customer:{identifier(buyer, 'customer.id')}", f"{record}/ordered", first, "", ORDERED, known)
        )
    return parts


def _refund(body: Mapping[str, Any], request: Request) -> list[Statement | Ignored]:
    at = _at(body, "created_at", "processed_at")
    record, refund = f"order:{identifier(body.get('order_id'), 'order_id')}", kept_refund(body)
    key = f"refund/{identifier(body.get('id'), 'id')}/{hashlib.sha256(request.body).hexdigest()[:32]}"
    return [Statement(record, key, at, _order_of(request), REFUNDED, {"refund": refund})]


def _customer(body: Mapping[str, Any], what: str, request: Request, source: Source) -> list[Statement | Ignored]:
    if what == "redact":
        record, at = f"customer:{identifier(dig(body, 'customer.id'), 'customer.id')}", _triggered(request)
        return [Statement(record, f"{record}/redacted", at, "", REDACTED, {})]
    if what == "merge":
        if body.get("status") != "completed":
            return [Ignored(f"customers/merge: {shown(body.get('status'))}, so that nothing is merged yet")]
        ids = [f"admin_graphql_api_customer_{which}_id" for which in ("kept", "deleted")]
        kept, gone = (identifier(str(body.get(one) or "").rpartition("/")[2], one) for one in ids)
        fields = {"survivor": kept}
        return [Statement(f"customer:{gone}", f"merged/{kept}", _triggered(request), "", MERGED, fields)]
    if what not in ("create", "update", "enable", "disable"):
        return [Ignored(f"customers/{shown(what)} states nothing for campaigns")]
    if not source.mapping["customers_as_leads"]:
        return [Ignored("a customer is no lead here (customers_as_leads in the mapping)")]
    record = f"customer:{identifier(body.get('id'), 'id')}"
    at = _at(body, "updated_at", "created_at")
    key = hashlib.sha256(request.body).hexdigest()
    created = text(body.get("created_at"), "created_at")
    return [Statement(record, key, at, _order_of(request), CREATED, {"created_at": created})]


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Give the events of an order or a customer."""
    sort, _, identity = record.partition(":")
    return list((order if sort == "order" else customer)(identity, statements, source))


def unsaid(record: str, statements: Sequence[Statement], _: Source) -> str:
    """Say why an order or a customer gives no event."""
    if any(one.verb == DELETED for one in statements):
        return "the order was deleted, and deleted_orders in the mapping withdraws what it gave"
    sort = record.partition(":")[0]
    return f"a {sort} of which nothing counts here (customers_as_leads in the mapping)"


KIND = Kind(
    name="shopify",
    about="Shopify: orders, refunds and customers of a shop, from its webhooks",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    unsaid=unsaid,
    authentication={"scheme": "hmac", "header": HEADER, "encoding": "base64"},
    sign=sign,
    delivery_id=delivery_id,
)
