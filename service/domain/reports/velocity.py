"""Velocity (SPEC section 4): how long the steps take; means are exact, percentiles exact or within 1 %."""

from __future__ import annotations

from fractions import Fraction

from service.domain.calendar import MICROS_PER_DAY
from service.domain.components.entities import Entity, Lead, Opportunity, Order
from service.domain.cubes import DEALS, Posts, total_of
from service.domain.durations import SHARES
from service.domain.facts import Fact
from service.domain.figures import Figure, Formula, Mean, Percentile, Sums, total
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.units import COUNT, DAYS, MONEY, Exact

DURATIONS = {
    "captured_to_qualified": "per lead: qualified − captured",
    "qualified_to_opened": "per lead: its first opened opportunity − qualified",
    "opened_to_accepted": "per opportunity: its first accepted quote − opened",
    "accepted_to_ordered": "per live order: placed − its quote accepted, else the first of its opportunity",
    "ordered_to_invoiced": "per live order: its first live invoice − placed",
    "sales_cycle": "per opportunity: its first live order − opened",
    "full_cycle": "per lead: the first live order of its branch − captured",
    "lead_to_cash": "per lead: the first live invoice of its branch − captured",
}


# What entities post


def contribute_lead(lead: Lead, book: Book) -> None:
    """Post the durations that begin with a lead; each belongs to the entity that ends it, on that end's day."""
    captured, qualified = lead.captured, lead.qualified
    if captured and qualified:
        _post(book, "captured_to_qualified", captured, qualified, lead, lead)
    if lead.marks:
        _post_first(book, "qualified_to_opened", qualified, "opened", lead)
        _post_first(book, "full_cycle", captured, "ordered", lead)
        _post_first(book, "lead_to_cash", captured, "invoiced", lead)


def contribute_opportunity(one: Opportunity, book: Book) -> None:
    """Post the durations that begin with an opened opportunity."""
    _post_first(book, "opened_to_accepted", one.opened, "accepted", one)
    _post_first(book, "sales_cycle", one.opened, "ordered", one)


def contribute_order(order: Order, book: Book) -> None:
    """Post the durations that end and begin with a live order."""
    if not order.live or order.placed is None:
        return
    accepted = order.quote.accepted if order.quote else None
    if accepted is None and order.parent and "accepted" in order.parent.marks:
        accepted = order.parent.marks["accepted"][0]
    if accepted:
        _post(book, "accepted_to_ordered", accepted, order.placed, order, order)
    _post_first(book, "ordered_to_invoiced", order.placed, "invoiced", order)


def _post_first(book: Book, name: str, start: Fact | None, end: str, entity: Entity) -> None:
    """Post a duration of an entity that ends with its first mark of a name, if both ends are there."""
    mark = entity.marks.get(end)
    if start is not None and mark is not None:
        _post(book, name, start, *mark, entity)


def _post(book: Book, name: str, start: Fact, end: Fact, ending: Entity, entity: Entity) -> None:
    """Post a duration of an entity that ends with another one's first mark."""
    day = book.zone.day(end[0])
    if end[:2] < start[:2]:
        book.put((f"{name}.out_of_sequence", entity.name, book.segments[ending.where], day, ending.cohort, None, None))
        book.flag(f"{name} ends before it starts", entity.name, ending.where, day, ending.cohort)
    else:
        book.put((name, entity.name, book.segments[ending.where], day, ending.cohort, end[0] - start[0], None))


# The figures


def _durations() -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for name, what in DURATIONS.items():
        found |= {
            f"{name}.count": total(name, COUNT, f"how many {what}"),
            f"{name}.mean_days": Mean(unit=DAYS, of=name, definition=what),
            f"{name}.p50_days": Percentile(unit=DAYS, of=name, share=SHARES[0], definition=f"median {what}"),
            f"{name}.p90_days": Percentile(unit=DAYS, of=name, share=SHARES[1], definition=f"90th percentile {what}"),
            f"{name}.out_of_sequence": total(f"{name}.out_of_sequence", COUNT, "how many of them are negative"),
        }
    return found


def _pipeline(sums: Sums) -> Exact | str:
    """Return opportunities × win rate × average deal size / mean sales cycle: money per day, all of one cohort."""
    won, lost = sums.get("won", 0), sums.get("lost", 0)
    orders, cycles = sums.get("entered.ordered", 0), sums.get("sales_cycle", 0)
    length = sums.get(total_of("sales_cycle"), 0)
    for below, called in (
        (cycles, "the number of sales cycles"), (orders, "the number of orders"), (won + lost, "won + lost"),
        (length, "the mean sales cycle"),
    ):  # fmt: skip
        if below <= 0:
            return f"{called} is {'0' if below == 0 else 'negative'}"
    opportunities, booked = sums.get("entered.opportunity", 0), sums.get("booked_revenue", 0)
    per_micro = Fraction(opportunities * won * booked * cycles, (won + lost) * orders * length)
    return per_micro * MICROS_PER_DAY


POSTS = Posts(
    DEALS,
    durations=tuple(DURATIONS),
    counts=tuple(f"{name}.out_of_sequence" for name in DURATIONS),
    rules={"lead": contribute_lead, "opportunity": contribute_opportunity, "order": contribute_order},
)

REPORT = Report(
    "velocity",
    "How long does it take from one step to the next, and how much money comes through per day?",
    DEALS,
    {
        **_durations(),
        "pipeline_velocity": Formula(
            unit=MONEY, made=_pipeline,
            of=(
                "entered.opportunity", "won", "lost", "booked_revenue", "entered.ordered", "sales_cycle",
                total_of("sales_cycle"),
            ),
            definition="opportunities × win_rate × average_deal_size / mean sales_cycle days",
            note="per day, all of the same cohort",
        ),
    },
    notes=(
        "Percentiles are exact below 1,000 durations, and within 1 % from there on. One that ends before it begins is not",
        "averaged, but counted in `out_of_sequence`.",
    ),
)  # fmt: skip
