"""Pending links (SPEC sections 2 and 7): which entity waits for which other that has not arrived."""

from __future__ import annotations

from service.domain.journey import Journey
from service.domain.postings import Book, event_name


def contribute(journey: Journey, book: Book) -> None:
    """List each distinct (from, to) whose target has not arrived."""
    for one in journey.opportunities.values():
        if one.opened:
            for identity in {journey.names.get(lead_id, lead_id) for lead_id in one.lead_ids}:
                lead = journey.leads.get(identity)
                if lead is None or not lead.captured:
                    book.pending(f"opportunity:{one.id}", f"lead:{identity}")
    for quote in journey.quotes.values():
        if quote.parent is None:
            book.pending(f"quote:{quote.id}", f"opportunity:{quote.opportunity_id}")
    for order in journey.orders.values():
        entity = f"order:{order.id}"
        if not order.placed:
            for change in order.changes:
                book.pending(event_name(change), entity)
            continue
        if order.quote_id is not None and order.quote_id not in journey.quotes:
            book.pending(entity, f"quote:{order.quote_id}")
        named = journey.opportunities.get(order.opportunity_id or "")
        if order.opportunity_id is not None and (named is None or not named.opened):
            book.pending(entity, f"opportunity:{order.opportunity_id}")
    for invoice in journey.invoices.values():
        if not invoice.posted:
            for change in invoice.changes:
                book.pending(event_name(change), f"invoice:{invoice.id}")
        elif invoice.order_id is not None and invoice.parent is None:
            book.pending(f"invoice:{invoice.id}", f"order:{invoice.order_id}")
    for note in journey.credit_notes.values():
        invoice_ = journey.invoices.get(note.invoice_id)
        if invoice_ is None or not invoice_.posted:
            book.pending(f"credit_note:{note.id}", f"invoice:{note.invoice_id}")
