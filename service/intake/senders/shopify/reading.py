"""What is kept of Shopify's messages, and where an order came from; the rest, mostly personal, stays in the inbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from service.intake.senders.contract import Source
from service.intake.senders.fields import dig, list_of, object_of, text, unless_blank

_ORDER = (
    "id", "name", "created_at", "processed_at", "cancelled_at", "cancel_reason", "financial_status", "currency",
    "taxes_included", "total_price", "total_price_set", "total_tax", "total_tax_set",
)  # fmt: skip
_LINE = ("subtotal", "subtotal_set", "total_tax", "total_tax_set")
_SHIPPING = ("subtotal_amount_set", "tax_amount_set")
_ADJUSTMENT = ("kind", "amount", "amount_set", "tax_amount", "tax_amount_set")
_TRANSACTION = ("kind", "status", "amount", "currency")
_UTM = ("source", "medium", "campaign", "term", "content")


def kept_order(body: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Return what an order says of its amounts, states, refunds and origin."""
    fields = _some(body, _ORDER)
    fields["customer"] = dig(body, "customer.id")
    fields["refunds"] = [
        kept_refund(object_of(one, "refunds")) for one in list_of(body.get("refunds") or [], "refunds")
    ]
    return {**fields, **evidence(body, source)}


def kept_refund(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a refund says of what was taken back and paid back."""
    parts = {
        "refund_line_items": _LINE, "refund_shipping_lines": _SHIPPING, "order_adjustments": _ADJUSTMENT,
        "transactions": _TRANSACTION,
    }  # fmt: skip
    tables = {
        name: [_some(object_of(one, name), fields) for one in list_of(body.get(name) or [], name)]
        for name, fields in parts.items()
    }
    return {**_some(body, ("id", "created_at", "processed_at")), **tables}


def evidence(body: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Return what tells the campaign of an order: the mapped attributes and parameters, discount codes and UTM parameters."""
    query = _query(text(body.get("landing_site"), "landing_site") or "")
    attributes = {
        text(one.get("name"), "name"): text(one.get("value"), "value")
        for one in (
            object_of(one, "note_attributes") for one in list_of(body.get("note_attributes") or [], "note_attributes")
        )
        if not isinstance(one.get("value"), dict | list)
    }
    codes = [dig(one, "code") for one in list_of(body.get("discount_codes") or [], "discount_codes")]
    return {
        "attributes": {name: attributes[name] for name in source.mapping["attributes"] if attributes.get(name)},
        "parameters": {name: query[name] for name in source.mapping["parameters"] if query.get(name)},
        "codes": [one for one in codes if isinstance(one, str) and one],
        "utm": {name: value for name in _UTM if (value := query.get(f"utm_{name}"))},
    }


def campaign_of(known: Mapping[str, Any], source: Source) -> str | None:
    """Return the campaign that an order names: by an attribute of the cart, the landing site, or a discount code."""
    mapping = source.mapping
    for kind in ("attributes", "parameters"):
        for name in mapping[kind]:
            if found := unless_blank(known.get(kind, {}).get(name), mapping):
                return str(mapping["campaigns"].get(found, found))
    return next(
        (found for one in known.get("codes", ()) if (found := mapping["discount_codes"].get(one.upper()))), None
    )


def _query(url: str) -> dict[str, str]:
    try:
        return {name: values[0].strip() for name, values in parse_qs(urlsplit(url).query).items()}
    except ValueError:  # what a browser was sent to need not be a URL
        return {}


def _some(thing: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {one: thing[one] for one in names if one in thing}
