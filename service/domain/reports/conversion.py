"""Conversion (SPEC section 4): how many entered each step, the cohort funnel of leads, and outcomes."""

from __future__ import annotations

from itertools import pairwise

from service.domain.components.billing import Invoice
from service.domain.components.entities import Lead, Opportunity, Order, Quote
from service.domain.cubes import DEALS, Posts
from service.domain.facts import Fact
from service.domain.figures import Absent, Age, Figure, quotient, total
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.units import COUNT, MONEY, RATIO, WHOLE_DAYS

STEPS = {
    "captured": "leads captured",
    "qualified": "leads qualified",
    "opportunity": "opportunities opened",
    "quote_accepted": "quotes accepted",
    "ordered": "orders placed, less those cancelled",
    "invoiced": "invoices posted, less those cancelled",
}
_REACHED_BY = {
    "captured": "",
    "qualified": " that were qualified",
    "opportunity": " with an opportunity opened in their branch",
    "quote_accepted": " with a quote accepted in their branch",
    "ordered": " with a live order in their branch",
    "invoiced": " with a live invoice in their branch that is not fully credited",
}
OUTCOMES = ("won", "lost", "open")


# What entities post


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
    outcome, micros = outcome_of(one)
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


def outcome_of(one: Opportunity) -> tuple[str, int]:
    """Return won, lost or open, and the instant at which it came about."""
    if one.outcome is not None:
        outcome = one.outcome.type.partition(".")[2]
        return ("open" if outcome == "reopened" else outcome), one.outcome.micros
    first = one.marks.get("ordered")
    return ("open", 0) if first is None else ("won", first[0].micros)


def decided_by(one: Opportunity) -> Fact | None:
    """Return the event by which an opportunity is won or lost; None while it is open."""
    if one.outcome is not None:
        return None if one.outcome.type == "opportunity.reopened" else one.outcome
    first = one.marks.get("ordered")
    return first[0] if first else None


# The figures


def _funnel() -> dict[str, Figure]:
    """The figures of each step: its count, and the rates from the step before and from the start."""
    found: dict[str, Figure] = {}
    for before, step in pairwise((None, *STEPS)):
        name = f"funnel.{step}"
        found[f"{name}.count"] = total(name, COUNT, f"leads captured in the window{_REACHED_BY[step or '']}")
        found[f"{name}.rate_from_previous"] = (
            quotient(name, f"funnel.{before}", called=f"the count of {before}")
            if before
            else Absent(
                unit=RATIO,
                of=name,
                reason="the step before captured is not known",
                definition="there is no step before",
            )
        )
        found[f"{name}.rate_from_start"] = quotient(name, "funnel.captured", called="the number of leads captured")
    return found


POSTS = Posts(
    DEALS,
    counts=(*(f"entered.{step}" for step in STEPS), *(f"funnel.{step}" for step in STEPS), *OUTCOMES),
    rules={
        "lead": contribute_lead, "opportunity": contribute_opportunity, "quote": contribute_quote,
        "order": contribute_order, "invoice": contribute_invoice,
    },
)  # fmt: skip

REPORT = Report(
    "conversion",
    "How many leads become customers, and where do the others stay behind?",
    DEALS,
    {
        **{
            f"entered.{step}": total(f"entered.{step}", COUNT, f"Σ {what}", "on their own days")
            for step, what in STEPS.items()
        },
        **_funnel(),
        "won": total("won", COUNT, "opportunities won", "without won, lost or reopened, a live order wins it"),
        "lost": total("lost", COUNT, "opportunities lost"),
        "open": total("open", COUNT, "opportunities opened in the window that are open now"),
        "win_rate": quotient("won", "won + lost"),
        "average_deal_size": quotient(
            "booked_revenue", "entered.ordered", MONEY, called="the number of orders", note="rounded half-even"
        ),
        "maturity_days": Age(
            unit=WHOLE_DAYS, of="funnel.captured", nothing="no lead was captured",
            definition="today − the day of the youngest lead captured in the window",
        ),
    },
    notes=(
        "What came out of a lead is its branch: the opportunities that list it, and their quotes, orders and invoices.",
    ),
)  # fmt: skip
