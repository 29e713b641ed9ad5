"""Conversion (SPEC section 4): how many entered each step, the cohort funnel of leads, and outcomes."""

from __future__ import annotations

from typing import Any

from service.domain.components.entities import Invoice, Lead, Opportunity, Order, Quote
from service.domain.figures import Figures, Sums
from service.domain.postings import Book

STEPS = ("captured", "qualified", "opportunity", "quote_accepted", "ordered", "invoiced")
OUTCOMES = ("won", "lost", "open")
MEASURES = (
    *(f"entered.{step}" for step in STEPS),
    *(f"funnel.{step}" for step in STEPS),
    *OUTCOMES,
    "booked_revenue",
)


# What entities contribute


def contribute_lead(one: Lead, book: Book) -> None:
    """Count a lead where it was captured and qualified, and each step of the funnel that its branch has reached."""
    segment, cohort = book.segments[one.where], one.cohort
    if one.captured:
        book.put(("entered.captured", one.name, segment, cohort, cohort, None, None))
        for measure in _reached(one):
            book.put((measure, one.name, segment, cohort, cohort, None, None))
    if one.qualified:
        book.put(("entered.qualified", one.name, segment, book.zone.day(one.qualified.micros), cohort, None, None))


def contribute_opportunity(one: Opportunity, book: Book) -> None:
    """Count an opportunity where it was opened, and its outcome."""
    if one.opened is None:
        return
    opened = book.zone.day(one.opened.micros)
    book.add("entered.opportunity", one, opened)
    outcome, micros = _outcome(one)
    book.add(outcome, one, opened if outcome == "open" else book.zone.day(micros))


def contribute_quote(one: Quote, book: Book) -> None:
    """Count an accepted quote."""
    if one.accepted:
        book.add("entered.quote_accepted", one, book.zone.day(one.accepted.micros))


def contribute_order(one: Order, book: Book) -> None:
    """Count a placed order, and take a cancelled one out again."""
    if one.placed and one.base is not None:
        placed = book.zone.day(one.placed.micros)
        book.add("entered.ordered", one, placed)
        if one.cancelled is not None:
            book.add("entered.ordered", one, max(placed, book.zone.day(one.cancelled.micros)), -1)


def contribute_invoice(one: Invoice, book: Book) -> None:
    """Count a posted invoice, and take a cancelled one out again."""
    if one.posted and one.amount is not None:
        book.add("entered.invoiced", one, one.day)
        if one.cancelled is not None:
            book.add("entered.invoiced", one, max(one.day, book.zone.day(one.cancelled.micros)), -1)


def _reached(lead: Lead) -> list[str]:
    """Return the funnel steps that a captured lead's branch has reached, whether or not the steps before were seen."""
    reached = ["funnel.captured"]
    if lead.qualified:
        reached.append("funnel.qualified")
    marks = lead.marks
    if marks:
        reached += [step for step, mark in _REACHED if mark in marks]
    return reached


# Steps of the funnel by what has to have come out of a lead: an invoice that counts is live and not fully credited.
_REACHED = (
    ("funnel.opportunity", "opened"), ("funnel.quote_accepted", "accepted"), ("funnel.ordered", "ordered"),
    ("funnel.invoiced", "counted"),
)  # fmt: skip


def _outcome(one: Opportunity) -> tuple[str, int]:
    """Return won, lost or open, and the instant at which it came about."""
    if one.outcome is not None:
        outcome = one.outcome.type.partition(".")[2]
        return ("open" if outcome == "reopened" else outcome), one.outcome.micros
    first = one.marks.get("ordered")
    return ("open", 0) if first is None else ("won", first[0].micros)


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
