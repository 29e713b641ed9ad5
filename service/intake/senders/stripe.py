"""`stripe`: invoices, payments, credit notes, quotes, customers and checkouts of Stripe Billing, from snapshot events.

Facts, from Stripe's documentation (docs.stripe.com):
- `Stripe-Signature: t=<Unix seconds>,v1=<hex>[,v1=…][,v0=…]`. v1 is HMAC-SHA256 over `t.body` with the endpoint's secret
  (`whsec_…`, as it stands); while a secret is rolled there are several. Each attempt is signed anew. The libraries
  refuse what is more than 300 seconds old. [/webhooks/signature, /webhooks#verify-official-libraries]
- Any 2xx is success; all else is sent again for up to three days, with growing pauses. Order is not promised, and an
  event may come twice, with the same `id` (evt_…). [/webhooks#retries, #event-ordering, #handle-duplicate-events]
- A snapshot event holds the whole object as it was then, in the API version of the endpoint; `created` counts seconds, so
  several events of one object share an instant. [/api/events/object]
- `data.previous_attributes` of an `….updated` event has the values before it of what has changed, so that events of one second
  can be told apart; a new member of a nested object (metadata) was null. [/api/events/object#event_object-data]
- Thin events (`"object": "v2.core.event"`) name an object and hold nothing of it. [/event-destinations#thin-events]
- Amounts are whole minor units: none for BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF, three for BHD JOD
  KWD OMR TND. ISK and UGX have none by ISO 4217 but are sent as if they had two. [/currencies#special-cases]
- `total_excluding_tax` is after discounts and without tax, of invoices and credit notes. Without it: `total` less
  `total_taxes` (since 2025-03-31.basil), `total_tax_amounts` or `tax_amounts` (before). The metadata of a subscription
  stands in `parent.subscription_details` (since basil) or `subscription_details`. [/api/invoices/object,
  /api/credit_notes/object, /changelog/basil]
- A quote is a draft, open once it is finalized, accepted, or canceled, by whoever or because it has expired; `amount_total`
  is with `total_details.amount_tax`. [/api/quotes/object, /quotes/overview]
- A draft is final once finalized: open, paid, uncollectible, void. A credit note is issued or void. [/invoicing/overview]

An invoice is posted with its net total and cancelled when it is void. Stripe knows no orders and no campaigns: `metadata`
ties its invoices to those of the CRM, or says which campaign, lead or opportunity a sale without an order belongs to. A checkout
session is open, complete or expired, and has the metadata that whoever made it gave it [/api/checkout/sessions/object].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.domain.catalogue import shown
from service.intake.blanks import BLANKS
from service.intake.senders.contract import (
    Ignored,
    Kind,
    MalformedError,
    Request,
    Source,
    Statement,
    Wanted,
)
from service.intake.senders.fields import (
    blanks,
    dig,
    from_epoch,
    identifier,
    json_of,
    object_of,
    text,
    unless_blank,
    with_defaults,
)
from service.intake.senders.mappings import check_zone
from service.intake.senders.ordering import BEFORE
from service.intake.senders.signatures import check_any, check_fresh, header, hmac_hex
from service.intake.senders.stripe_rules import CHECKOUT, METADATA, translate

TOLERANCE = 300  # seconds
# The later state of an object has the greater rank: events of one second are ordered by it.
RANKS = {"open": "1", "uncollectible": "2", "accepted": "2", "paid": "3", "canceled": "3", "void": "4", "issued": "1"}
_FINAL = {
    "invoice": ("open", "uncollectible", "paid", "void"), "quote": ("open", "accepted", "canceled"), CHECKOUT: ("complete",),
}  # fmt: skip
_NEEDS = {  # what metadata has to name, or else
    "quote": ("opportunity_id", "a quote that names no opportunity in its metadata belongs to no deal"),
    CHECKOUT: ("campaign_id", "a checkout that names no campaign in its metadata is no campaign's touch"),
}

DEFAULTS: dict[str, Any] = {
    "timezone": "UTC",  # whose days posting dates are: that of the Stripe account
    # Where the metadata of an invoice, or of its subscription, names what it belongs to.
    "metadata": {one: one for one in (*METADATA, "contact_id")},
    "blanks": list(BLANKS),  # what stands in metadata where nothing is stated
    "customers_as_leads": False,  # a new customer is a captured lead, and the lead of its invoices
    "invoices_as_orders": True,  # an invoice with a campaign, a lead or an opportunity but no order is an order too
    "uncollectible_cancels": False,  # an invoice written off is cancelled; else it stays invoiced, as in bookkeeping
}
_EVENT_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*"(evt_\w{1,195})"', re.ASCII)
# What translation needs of an object; the rest, which is personal in part, stays in the inbox.
_KEPT = (
    "id", "number", "status", "currency", "customer", "invoice", "reason", "total", "total_excluding_tax", "total_taxes",
    "total_tax_amounts", "tax_amounts", "tax", "created", "effective_at", "due_date", "status_transitions",
    "pre_payment_credit_notes_amount", "amount_total", "total_details", "expires_at",
)  # fmt: skip
# The nearer metadata counts.
_METADATA = ("subscription_details.metadata", "parent.subscription_details.metadata", "metadata")


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check names, types and the time zone."""
    checked = with_defaults(mapping, DEFAULTS)
    check_zone(checked)
    return {**checked, "blanks": blanks(checked["blanks"])}


def verify(request: Request, source: Source, now: datetime) -> None:
    """Check one of the v1 signatures over time and raw body, and that it is of these minutes."""
    parts = [one.strip().partition("=") for one in header(request, "Stripe-Signature").split(",")]
    timestamp = next((value for name, _, value in parts if name == "t"), "")
    check_fresh(timestamp, now, tolerance=TOLERANCE)
    given = [value for name, _, value in parts if name == "v1"]
    check_any(given, [_signature(secret, timestamp, request.body) for secret in source.secrets])


def _signature(secret: str, timestamp: str, body: bytes) -> str:
    return hmac_hex(secret, b"%b.%b" % (timestamp.encode(), body))


def sign(body: bytes, source: Source, now: datetime) -> dict[str, str]:
    """Return the headers that Stripe would send."""
    timestamp = str(int(now.timestamp()))
    signature = _signature(source.secrets[0], timestamp, body) if source.secrets else ""
    return {"content-type": "application/json; charset=utf-8", "stripe-signature": f"t={timestamp},v1={signature}"}


def delivery_id(request: Request) -> str | None:
    """The id of the event, which all attempts share; found without reading a body that nobody vouches for."""
    match = _EVENT_ID.match(request.body)
    return match[1].decode() if match else None


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """A snapshot event states how an invoice, a credit note or a customer is."""
    event = object_of(json_of(request.body), "body")
    if event.get("object") == "v2.core.event":
        return [Ignored("a thin event holds no amounts: let the endpoint send snapshot events")]
    if event.get("object") != "event":
        raise MalformedError(f'object: expected "event", got {shown(event.get("object"))}: is this from Stripe?')
    name, key = text(event.get("type"), "type") or "", identifier(event.get("id"), "id")
    at = from_epoch(event.get("created"), "created", unit=1)
    if at is None:
        raise MalformedError("created: expected Unix seconds, got nothing")
    thing = object_of(dig(event, "data.object"), "data.object")
    if reason := _ignored(name, thing, source):
        return [Ignored(f"{shown(name)}: {reason}")]
    kept = {one: thing[one] for one in _KEPT if one in thing}
    record = f"{thing['object']}:{identifier(kept.get('id'), 'data.object.id')}"
    rank = RANKS.get(str(thing.get("status")), "0")
    fields = {**kept, "metadata": _metadata(thing, source)}
    if before := _before(event, thing, source):
        fields[BEFORE] = before
    return [Statement(record, key, at, rank, name, fields)]


def _before(event: Mapping[str, Any], thing: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Return what of an object was otherwise before an update, by our names; of a nested one, all that it was."""
    previous = object_of(dig(event, "data.previous_attributes") or {}, "data.previous_attributes")
    whole = {**thing, **{name: _merged(thing.get(name), value) for name, value in previous.items()}}
    before = {name: whole[name] for name in _KEPT if name in previous}
    if any(path.partition(".")[0] in previous for path in _METADATA):
        before["metadata"] = _metadata(whole, source)
    return before


def _merged(now: Any, before: Any) -> Any:
    """Return how a nested object was: what is not told to have changed was the same; null was not there."""
    if not (isinstance(now, dict) and isinstance(before, dict)):
        return before
    return {**now, **{name: _merged(now.get(name), value) for name, value in before.items()}}


def _ignored(name: str, thing: Mapping[str, Any], source: Source) -> str:
    """Return why an event states nothing for us, or nothing."""
    what, status = thing.get("object"), thing.get("status")
    if what not in ("invoice", "credit_note", "customer", "quote", CHECKOUT):
        return f"an object of the kind {shown(what)} gives no event"
    if what == "invoice" and not thing.get("id"):
        return "a preview is no invoice yet"
    if what in _FINAL and status not in _FINAL[what]:
        return f"{'an' if what == 'invoice' else 'a'} {what} with the status {shown(status)} is not final: it may still change"
    if what in _NEEDS and not _metadata(thing, source).get(_NEEDS[what][0]):
        return _NEEDS[what][1]
    if what == "customer" and not source.mapping["customers_as_leads"]:
        return "a customer is no lead here (customers_as_leads in the mapping)"
    return "a customer who is deleted was a lead all the same" if name == "customer.deleted" else ""


def _metadata(thing: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Return what metadata says under the mapped names, by our names."""
    found: dict[str, Any] = {}
    for path in _METADATA:
        values = object_of(dig(thing, path) or {}, path)
        for ours, theirs in source.mapping["metadata"].items():
            if unless_blank(text(values.get(theirs), theirs), source.mapping):
                found[ours] = values[theirs]
    return found


KIND = Kind(
    name="stripe",
    about="Stripe Billing: invoices, payments, quotes, credit notes, customers and checkouts from snapshot events",
    check_mapping=check_mapping,
    verify=verify,
    read=read,
    translate=translate,
    sign=sign,
    delivery_id=delivery_id,
)
