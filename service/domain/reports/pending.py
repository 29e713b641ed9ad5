"""Pending links (SPEC sections 2 and 7): which entity waits for which other that has not arrived.

Each distinct (from, to) counts once; a change of what has not arrived is named by its event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.domain.components.billing import CreditNote, Invoice
from service.domain.components.entities import Awaited, Change, Order, Quote
from service.domain.cubes import DEALS, Posts
from service.domain.details import PENDING_LINKS, Target
from service.domain.postings import Book, event_name


def contribute_awaited(one: Awaited, book: Book) -> None:
    """An opened opportunity waits for the leads that it lists."""
    if not one.withdrawn:
        book.pending(one.name, Target("lead", one.lead_id))


def contribute_quote(one: Quote, book: Book) -> None:
    """A quote waits for its opportunity."""
    if one.parent is None and one.stated:
        book.pending(one.name, Target("opportunity", one.opportunity_id))


def contribute_order(one: Order, book: Book) -> None:
    """An order waits for the quote and the opportunity that it names."""
    if not one.placed:
        return
    if one.quote_id is not None and one.quote is None:
        book.pending(one.name, Target("quote", one.quote_id))
    if one.opportunity_id is not None and (one.stated_opportunity is None or not one.stated_opportunity.opened):
        book.pending(one.name, Target("opportunity", one.opportunity_id))


def contribute_invoice(one: Invoice, book: Book) -> None:
    """An invoice waits for the order that it names."""
    if one.posted and one.order_id is not None and one.parent is None:
        book.pending(one.name, Target("order", one.order_id))


def contribute_credit_note(one: CreditNote, book: Book) -> None:
    """A credit note waits for its invoice."""
    if one.invoice is None and one.known:
        book.pending(one.name, Target("invoice", one.fact.data["invoice_id"]))


def contribute_change(change: Change, book: Book) -> None:
    """What changes an order, an invoice or a cost entry waits for it, until it is placed, posted or booked."""
    if not change.of.arrived and not change.withdrawn:
        book.pending(event_name(change.fact), Target(change.of.kind, change.of.id))


# By kind of entity: what a journey waits for can be told alone, also where its amounts cannot be worked out.
RULES: dict[str, Callable[[Any, Book], None]] = {
    "awaited": contribute_awaited, "quote": contribute_quote, "order": contribute_order,
    "invoice": contribute_invoice, "credit_note": contribute_credit_note, "change": contribute_change,
}  # fmt: skip
POSTS = Posts(DEALS, RULES, counts=(PENDING_LINKS,))
