"""What an order of Shopify becomes: placed, amended and cancelled; once paid, an invoice that refunds credit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from service.intake.senders.contract import Draft, Source, Statement, Waiting
from service.intake.senders.fields import day, identifier, instant, minor, money, stated, text
from service.intake.senders.shopify.amounts import Money, credited, order_total, pays_back, removed
from service.intake.senders.shopify.reading import campaign_of

CREATED, UPDATED, ORDERED, REFUNDED = "created", "updated", "ordered", "refunded"
DELETED, MERGED, REDACTED = "deleted", "merged", "redacted"
_PAID = ("paid", "partially_refunded", "refunded")
Order = Mapping[str, Any]
Refunds = dict[str, Mapping[str, Any]]


class View(NamedTuple):
    """An order as it stood from an instant on, with what was refunded of it until then."""

    at: str
    order: Order
    refunds: Refunds

    def value(self, source: Source, without: Refunds) -> Money | None:
        """Return its net total less what was removed from it by the refunds `without`; None if it is not known."""
        total = order_total(self.order, source)
        if total is None:
            return None
        gone = sum(removed(one, self.order, source) for one in without.values())
        return money(total.net - gone, total.code, "total_price")

    @property
    def paid(self) -> bool:
        """Whether all of it has been paid, then or before."""
        return self.order.get("financial_status") in _PAID or any(pays_back(one) for one in self.refunds.values())


def views(statements: Sequence[Statement]) -> tuple[list[View], Refunds]:
    """Return how an order stood after each instant, and all its refunds; a refund that comes before its order is kept."""
    seen: dict[str, View] = {}
    refunds: Refunds = {}
    order: Order | None = None
    for one in statements:
        if one.verb == UPDATED:
            order = one.fields
        several = (
            one.fields["refunds"] if one.verb == UPDATED else [one.fields["refund"]] if one.verb == REFUNDED else []
        )
        refunds = {**refunds, **{identifier(each.get("id"), "id of a refund"): each for each in several}}
        if order is not None and one.verb in (UPDATED, REFUNDED):
            seen[one.at] = View(one.at, order, refunds)
    return list(seen.values()), refunds


def order(identity: str, statements: Sequence[Statement], source: Source) -> Iterator[Draft | Waiting]:
    """Give the events of an order."""
    seen, refunds = views(statements)
    if any(one.verb == DELETED for one in statements):
        if source.mapping["deleted_orders"] == "withdraw":
            return
        yield Waiting("deleted in Shopify: what it gave stands (deleted_orders in the mapping)")
    if not seen:
        yield Waiting("no message has stated the order itself yet: subscribe to orders/create and orders/updated")
        return
    values = [(view.at, view.value(source, view.refunds)) for view in seen]
    known = [(at, value) for at, value in values if value is not None]
    if not known:
        yield Waiting("amount unknown: no total_price with total_tax and a currency is stated yet")
        return
    yield from _placed(identity, seen, known, source)
    if source.mapping["paid_orders_as_invoices"]:
        yield from _invoiced(identity, seen, refunds, source)


def _placed(
    identity: str, seen: Sequence[View], known: Sequence[tuple[str, Money]], source: Source
) -> Iterator[Draft | Waiting]:
    last, at = seen[-1].order, _placed_at(seen)
    campaign, buyer = campaign_of(last, source), _buyer(last)
    deal = identity if buyer and source.mapping["customers_as_leads"] else None
    if deal:
        data = stated(opportunity_id=deal, lead_ids=[buyer], account_id=buyer, campaign_id=campaign)
        yield Draft("opened", "opportunity.opened", at, data)
    value = known[0][1]
    yield Draft("placed", "order.placed", at, stated(
        order_id=identity, net_value=value, opportunity_id=deal, account_id=buyer, campaign_id=campaign,
        number=text(last.get("name"), "name"), utm=last.get("utm") or None,
    ))  # fmt: skip
    for moment, now in known[1:]:
        if now != value:
            yield Draft(f"amended/{moment}", "order.amended", moment, {"order_id": identity, "net_value": now})
            value = now
    if cancelled := instant(last.get("cancelled_at"), "cancelled_at"):
        reason = text(last.get("cancel_reason"), "cancel_reason")
        yield Draft("cancelled", "order.cancelled", cancelled, stated(order_id=identity, reason=reason))


def _placed_at(seen: Sequence[View]) -> str:
    """Return when an order was placed: imported ones say it in processed_at."""
    last = seen[-1].order
    named = [instant(last.get(one), one) for one in ("processed_at", "created_at")]
    return next((one for one in named if one), seen[0].at)


def _buyer(order: Order) -> str | None:
    value = order.get("customer")
    return None if value is None or value == "" else identifier(value, "customer.id")


def _invoiced(identity: str, seen: Sequence[View], refunds: Refunds, source: Source) -> Iterator[Draft | Waiting]:
    """Post an order when it is paid, less what was removed before, and credit what was paid back."""
    paid = next((view for view in seen if view.paid), None)
    if paid is None:
        return
    # The first message that there is knows no other time than that of the order, which is paid when it is placed.
    at = _placed_at(seen) if paid is seen[0] else paid.at
    zone, last = source.mapping["timezone"], seen[-1]
    net = last.value(source, {key: one for key, one in paid.refunds.items() if not pays_back(one)})
    if net is None:
        yield Waiting("amount unknown: no total_price with total_tax and a currency is stated yet")
        return
    yield Draft("posted", "invoice.posted", at, stated(
        invoice_id=identity, order_id=identity, account_id=_buyer(last.order), net_amount=net,
        posting_date=day(at, "time", zone), number=text(last.order.get("name"), "name"),
    ))  # fmt: skip
    for key, one in sorted(refunds.items()):
        if not pays_back(one):
            continue
        amount = credited(one, last.order, source)
        moment = instant(one.get("processed_at"), "processed_at") or instant(one.get("created_at"), "created_at")
        if amount is None or moment is None:
            yield Waiting(f"amount or time of the refund {key} unknown: its currency is not the order's")
        elif minor(amount) > 0:
            yield Draft(f"credited/{key}", "invoice.credited", moment, {
                "credit_note_id": key, "invoice_id": identity, "net_amount": amount,
                "posting_date": day(moment, "processed_at", zone),
            })  # fmt: skip
