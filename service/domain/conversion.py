"""Conversion (SPEC section 4): how many entered each step, the cohort funnel of leads, and outcomes."""

from __future__ import annotations

from typing import Any

from service.domain.journey import Invoice, Journey, Lead, Opportunity
from service.domain.postings import Book
from service.domain.ratios import Figures, Sums

STEPS = ("captured", "qualified", "opportunity", "quote_accepted", "ordered", "invoiced")
OUTCOMES = ("won", "lost", "open")
MEASURES = (
    *(f"entered.{step}" for step in STEPS),
    *(f"funnel.{step}" for step in STEPS),
    *OUTCOMES,
    "booked_revenue",
)


# What journeys contribute


def contribute(journey: Journey, book: Book) -> None:
    """Post what a journey's leads, opportunities, quotes, orders and invoices count for."""
    for lead in journey.leads.values():
        _lead(lead, book)
    if journey.only_leads:
        return
    for opportunity in journey.opportunities.values():
        if opportunity.opened:
            _opportunity(opportunity, book)
    for quote in journey.quotes.values():
        if quote.accepted:
            day = book.zone.day(quote.accepted.micros)
            book.add("entered.quote_accepted", f"quote:{quote.id}", quote.where, day, quote.cohort)
    for order in journey.orders.values():
        if order.placed and order.base is not None:
            entity, placed = f"order:{order.id}", book.zone.day(order.placed.micros)
            book.add("entered.ordered", entity, order.where, placed, order.cohort)
            if order.cancelled is not None:
                day = max(placed, book.zone.day(order.cancelled))
                book.add("entered.ordered", entity, order.where, day, order.cohort, -1)
    for invoice in journey.invoices.values():
        if invoice.posted and invoice.amount is not None:
            entity = f"invoice:{invoice.id}"
            book.add("entered.invoiced", entity, invoice.where, invoice.day, invoice.cohort)
            if invoice.cancelled is not None:
                day = max(invoice.day, book.zone.day(invoice.cancelled))
                book.add("entered.invoiced", entity, invoice.where, day, invoice.cohort, -1)


def _lead(lead: Lead, book: Book) -> None:
    entity, segment, cohort = f"lead:{lead.id}", book.segments[lead.where], lead.cohort
    if lead.captured:
        book.put(("entered.captured", entity, segment, cohort, cohort, None, None))
        for measure in _reached(lead):
            book.put((measure, entity, segment, cohort, cohort, None, None))
    if lead.qualified:
        day = book.zone.day(lead.qualified.micros)
        book.put(("entered.qualified", entity, segment, day, cohort, None, None))


def _reached(lead: Lead) -> list[str]:
    """Return the funnel steps that a captured lead's branch has reached, whether or not the steps before were seen."""
    reached = ["funnel.captured"]
    if lead.qualified:
        reached.append("funnel.qualified")
    if lead.branch:
        reached.append("funnel.opportunity")
        if any(quote.accepted for one in lead.branch for quote in one.quotes):
            reached.append("funnel.quote_accepted")
        orders = [order for one in lead.branch for order in one.orders]
        if any(order.live for order in orders):
            reached.append("funnel.ordered")
        if any(_counts(invoice) for order in orders for invoice in order.invoices):
            reached.append("funnel.invoiced")
    return reached


def _counts(invoice: Invoice) -> bool:
    """Tell whether an invoice is live and not fully credited."""
    if not invoice.live or invoice.amount is None:
        return False
    notes = [note.amount.minor for note in invoice.credits if note.amount.currency == invoice.amount.currency]
    return not notes or sum(notes) < invoice.amount.minor


def _opportunity(one: Opportunity, book: Book) -> None:
    assert one.opened is not None  # noqa: S101  the caller's condition, for the types
    entity, opened = f"opportunity:{one.id}", book.zone.day(one.opened.micros)
    book.add("entered.opportunity", entity, one.where, opened, one.cohort)
    outcome, micros = _outcome(one)
    book.add(outcome, entity, one.where, opened if outcome == "open" else book.zone.day(micros), one.cohort)


def _outcome(one: Opportunity) -> tuple[str, int]:
    """Return won, lost or open, and the instant at which it came about."""
    if one.outcome is not None:
        outcome = one.outcome.type.partition(".")[2]
        return ("open" if outcome == "reopened" else outcome), one.outcome.micros
    first = min((order.placed[:4] for order in one.orders if order.live and order.placed), default=None)
    return ("open", 0) if first is None else ("won", first[0])


# The figures


def figures(sums: Sums, currency: str, maturity_days: int | None) -> dict[str, Any]:
    """Return the conversion row of the given sums; `maturity_days` is the age of the youngest lead of the cohort."""
    make = Figures(currency)
    won, lost = sums.get("won", 0), sums.get("lost", 0)
    funnel, start, previous = {}, sums.get("funnel.captured", 0), None
    for step in STEPS:
        count = sums.get(f"funnel.{step}", 0)
        funnel[step] = {
            "count": count,
            "rate_from_previous": make.ratio(f"funnel.{step}.rate_from_previous", count, previous, _before(step)),
            "rate_from_start": make.ratio(
                f"funnel.{step}.rate_from_start", count, start, "the number of leads captured"
            ),
        }
        previous = count
    if maturity_days is None:
        make.reasons["maturity_days"] = "no lead was captured"
    return make.row({
        "entered": {step: sums.get(f"entered.{step}", 0) for step in STEPS},
        "funnel": funnel,
        "won": won,
        "lost": lost,
        "open": sums.get("open", 0),
        "win_rate": make.ratio("win_rate", won, won + lost, "won + lost"),
        "average_deal_size": make.price(
            "average_deal_size", sums.get("booked_revenue", 0), sums.get("entered.ordered", 0), "the number of orders"
        ),
        "maturity_days": maturity_days,
    })  # fmt: skip


def _before(step: str) -> str:
    index = STEPS.index(step)
    return f"the count of {STEPS[index - 1]}" if index else "the step before captured"
