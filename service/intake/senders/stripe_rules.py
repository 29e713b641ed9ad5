"""What the objects of Stripe become: each from its last state, since each snapshot is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.calendar import parse_instant
from service.domain.catalogue import check_data, shown
from service.intake.senders.contract import Draft, MalformedError, Source, Statement, Waiting
from service.intake.senders.fields import (
    currency,
    day,
    dig,
    from_epoch,
    identifier,
    list_of,
    minor,
    minor_money,
    object_of,
    stated,
    text,
)
from service.intake.senders.ordering import by_previous

MINOR_DIGITS = {"MGA": 0, "ISK": 2, "UGX": 2}  # where Stripe counts otherwise than ISO 4217
CHECKOUT = "checkout.session"
METADATA = ("order_id", "campaign_id", "opportunity_id", "lead_id")  # what an invoice may belong to


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Give the events of an object from its last state: each snapshot is whole."""
    rules = {
        "invoice": _invoice,
        "credit_note": _credit_note,
        "customer": _customer,
        "quote": _quote,
        CHECKOUT: _checkout,
    }
    ordered = by_previous(statements)
    # An event about the making says when that was; any other says it in the object, or not at all.
    made = next((one.at for one in ordered if one.verb.rpartition(".")[2] in ("created", "finalized")), None)
    drafts = rules[record.partition(":")[0]](ordered[-1].fields, made, source)
    for one in drafts:
        for problem in check_data(one.type, one.data) if isinstance(one, Draft) else ():
            raise MalformedError(f"{problem.field}: expected {problem.expected}, got {problem.got}")
    return drafts


def _invoice(invoice: Mapping[str, Any], made: str | None, source: Source) -> list[Draft | Waiting]:
    net, tax = _amounts(invoice, "total_taxes", "total_tax_amounts")
    if net is None:
        return [Waiting("amount unknown: neither total_excluding_tax nor total and taxes are stated")]
    identity, account = identifier(invoice.get("id"), "id"), _id(invoice.get("customer"), "customer")
    finalized = from_epoch(dig(invoice, "status_transitions.finalized_at"), "finalized_at", unit=1) or made
    if finalized is None:
        return [Waiting("no message has stated when the invoice was finalized")]
    posted = from_epoch(invoice.get("effective_at"), "effective_at", unit=1) or finalized
    order, own = _order(invoice, identity, account, net, finalized, source)
    due = from_epoch(invoice.get("due_date"), "due_date", unit=1)
    drafts: list[Draft | Waiting] = [*own, Draft("posted", "invoice.posted", finalized, stated(
        invoice_id=identity, order_id=order, account_id=account, net_amount=net, tax=tax,
        posting_date=day(posted, "effective_at", source.mapping["timezone"]),
        due_date=day(due, "due_date", source.mapping["timezone"]), number=text(invoice.get("number"), "number"),
    ))]  # fmt: skip
    if (cancelled := _cancelled(invoice, finalized, source)) is not None:
        reason = {"reason": text(invoice.get("status"), "status")}
        drafts.append(Draft("cancelled", "invoice.cancelled", cancelled, {"invoice_id": identity, **reason}))
        if own:
            drafts.append(Draft("order-cancelled", "order.cancelled", cancelled, {"order_id": identity, **reason}))
    return drafts + _paid(invoice, identity)


def _paid(invoice: Mapping[str, Any], identity: str) -> list[Draft | Waiting]:
    """A paid invoice was settled whole: by whom and how – a card, a transfer, the customer's balance – Stripe has checked."""
    total, noted = (_units(invoice.get(one), one) for one in ("total", "pre_payment_credit_notes_amount"))
    if invoice.get("status") != "paid" or total is None or noted is None or total == noted:
        return []
    at = from_epoch(dig(invoice, "status_transitions.paid_at"), "paid_at", unit=1)
    if at is None:
        return [Waiting("no message has stated when the invoice was paid")]
    amount = _money(total - noted, currency(invoice.get("currency"), "currency"), "total")
    return [Draft("paid", "payment.received", at, stated(payment_id=identity, invoice_id=identity, amount=amount))]


def _quote(quote: Mapping[str, Any], made: str | None, _: Source) -> list[Draft | Waiting]:
    """A quote is sent when it is finalized; cancelled before it expires it was rejected, else it has expired."""
    code = currency(quote.get("currency"), "currency")
    total, tax = (
        _units(quote.get("amount_total"), "amount_total"),
        _units(dig(quote, "total_details.amount_tax"), "amount_tax"),
    )
    value = None if total is None or tax is None else _money(total - tax, code, "amount_total")
    identity, opportunity = (
        identifier(quote.get("id"), "id"),
        _id(dig(quote, "metadata.opportunity_id"), "opportunity_id"),
    )
    if opportunity is None:
        return []
    sent, accepted, ended = (
        from_epoch(dig(quote, f"status_transitions.{one}"), one, unit=1)
        for one in ("finalized_at", "accepted_at", "canceled_at")
    )
    expires = from_epoch(quote.get("expires_at"), "expires_at", unit=1)
    late = ended and expires and parse_instant(ended) >= parse_instant(expires)
    steps = (("sent", sent or made), ("accepted", accepted), ("expired" if late else "rejected", sent and ended))
    data = stated(quote_id=identity, opportunity_id=opportunity, value=value)
    return [Draft(step, f"quote.{step}", at, data) for step, at in steps if at]


def _cancelled(invoice: Mapping[str, Any], finalized: str, source: Source) -> str | None:
    """Return when an invoice was cancelled; None where it stands."""
    name = {"void": "voided_at"}
    if source.mapping["uncollectible_cancels"]:
        name["uncollectible"] = "marked_uncollectible_at"
    field = name.get(str(invoice.get("status")))
    return field and (from_epoch(dig(invoice, f"status_transitions.{field}"), field, unit=1) or finalized)


def _order(
    invoice: Mapping[str, Any], identity: str, account: str | None, net: Mapping[str, str], at: str, source: Source
) -> tuple[str | None, list[Draft]]:
    """Return the order of an invoice, and what makes the sale an order of its own where only a campaign or so is named."""
    metadata = object_of(invoice.get("metadata") or {}, "metadata")
    order, campaign, opportunity, lead = (_id(metadata.get(one), one) for one in METADATA)
    if lead is None and source.mapping["customers_as_leads"]:
        lead = account
    if order or not source.mapping["invoices_as_orders"] or not (campaign or opportunity or lead):
        return order, []
    drafts = []
    if lead and not opportunity:
        opportunity = identity
        opened = stated(opportunity_id=identity, lead_ids=[lead], account_id=account, campaign_id=campaign)
        drafts.append(Draft("opened", "opportunity.opened", at, opened))
    placed = stated(
        order_id=identity, net_value=net, opportunity_id=opportunity, account_id=account, campaign_id=campaign
    )
    return identity, [*drafts, Draft("placed", "order.placed", at, placed)]


def _credit_note(note: Mapping[str, Any], made: str | None, source: Source) -> list[Draft | Waiting]:
    if note.get("status") == "void":
        return []
    net, _ = _amounts(note, "total_taxes", "tax_amounts")
    if net is None:
        return [Waiting("amount unknown: neither total_excluding_tax nor total and taxes are stated")]
    invoice = _id(note.get("invoice"), "invoice")
    if invoice is None:
        return [Waiting("the credit note names no invoice")]
    if minor(net) == 0:
        return []
    created = from_epoch(note.get("created"), "created", unit=1) or made
    if created is None:
        return [Waiting("no message has stated when the credit note was made")]
    posted = from_epoch(note.get("effective_at"), "effective_at", unit=1) or created
    return [Draft("credited", "invoice.credited", created, stated(
        credit_note_id=identifier(note.get("id"), "id"), invoice_id=invoice, net_amount=net,
        posting_date=day(posted, "effective_at", source.mapping["timezone"]), reason=text(note.get("reason"), "reason"),
    ))]  # fmt: skip


def _customer(customer: Mapping[str, Any], made: str | None, _: Source) -> list[Draft | Waiting]:
    """A customer is a lead of its own, or the lead that its metadata names."""
    identity = identifier(customer.get("id"), "id")
    metadata = object_of(customer.get("metadata") or {}, "metadata")
    at = from_epoch(customer.get("created"), "created", unit=1) or made
    if at is None:
        return [Waiting("no message has stated when the customer was made")]
    lead = _id(metadata.get("lead_id"), "lead_id")
    if lead and lead != identity:
        return [Draft("merged", "lead.merged", at, {"survivor_id": lead, "merged_id": identity})]
    campaign = _id(metadata.get("campaign_id"), "campaign_id")
    return [Draft("captured", "lead.captured", at, stated(lead_id=identity, campaign_id=campaign, account_id=identity))]


def _checkout(session: Mapping[str, Any], made: str | None, source: Source) -> list[Draft | Waiting]:
    """A checkout that names a campaign is a touch of whom it names, else of its customer where customers are leads."""
    metadata = object_of(session.get("metadata") or {}, "metadata")
    campaign, lead, contact = (_id(metadata.get(one), one) for one in ("campaign_id", "lead_id", "contact_id"))
    if lead is None and source.mapping["customers_as_leads"]:
        lead = _id(session.get("customer"), "customer")
    if campaign is None:
        return []
    if lead is None and contact is None:
        return [Waiting("the checkout names neither lead_id nor contact_id in its metadata")]
    at = from_epoch(session.get("created"), "created", unit=1) or made
    if at is None:
        return [Waiting("no message has stated when the checkout began")]
    return [Draft("touched", "touchpoint.recorded", at, stated(
        touchpoint_id=identifier(session.get("id"), "id"), campaign_id=campaign, activity_type="checkout",
        interaction="response", lead_id=lead, contact_id=contact,
    ))]  # fmt: skip


def _amounts(thing: Mapping[str, Any], *taxes: str) -> tuple[dict[str, str] | None, dict[str, str] | None]:
    """Return net amount and tax, None where they are not stated. `taxes` are the lists that may name the tax."""
    code = currency(thing.get("currency"), "currency")
    net, total, tax = (_units(thing.get(one), one) for one in ("total_excluding_tax", "total", "tax"))
    if (parts := next((thing[one] for one in taxes if thing.get(one) is not None), None)) is not None:
        units = [_units(dig(one, "amount"), "amount of tax") for one in list_of(parts, taxes[0])]
        tax = None if None in units else sum(one for one in units if one is not None)
    if net is None and total is not None and tax is not None:
        net = total - tax
    tax = None if net is None or total is None else total - net
    return _money(net, code, "total_excluding_tax"), _money(tax, code, "tax")


def _units(value: Any, what: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise MalformedError(f"{what}: expected a whole number of minor units, got {shown(value)}")


def _money(value: Any, code: str, what: str) -> dict[str, str] | None:
    return minor_money(value, code, what, MINOR_DIGITS.get(code))


def _id(value: Any, what: str) -> str | None:
    """Return an id, or that of an object that stands in its place; None where nothing is stated."""
    if isinstance(value, dict):
        value = value.get("id")
    return None if value is None or value == "" else identifier(value, what)
