"""Opportunities (REPORTS section 3): what is in the pipeline, what it is worth, and what became of it.

All of an opportunity counts on the day on which it was opened, as it stands now, its orders too.
"""

from __future__ import annotations

import json
from fractions import Fraction

from service.domain.components.entities import Opportunity, Order
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.details import LISTED, ORDERED
from service.domain.figures import Mean, quotient, total
from service.domain.money import money_of
from service.domain.postings import Book, Remainder
from service.domain.report import Report
from service.domain.reports.conversion import outcome_of
from service.domain.stages import share_of
from service.domain.units import COUNT, DAYS, MONEY, half_even

OPPORTUNITIES = Cube("opportunities", by=(*Dimensions._fields, "account", "stage", "lost_reason"))


# What entities post


def contribute_opportunity(one: Opportunity, book: Book) -> None:
    """Post an opened opportunity as it stands: its outcome, what it is worth and how likely that is, how long it took."""
    if one.opened is None:
        return
    opened, (outcome, decided) = book.zone.day(one.opened.micros), outcome_of(one)
    segment, chance = _segment(one, book), chance_of(one, book)
    place = (one.name, segment, opened, opened)
    for measure in ("opened", outcome):
        book.put((f"opportunities.{measure}", *place, None, None))
    value = weighted = None
    if one.estimate is not None:
        estimate = money_of(one.estimate.data["estimated_value"])
        left, also = Remainder(book, estimate.currency, opened), {}
        if outcome == "open":
            also = {"opportunities.open_value": 1} | ({"opportunities.unweighted_value": 1} if chance is None else {})
        left.post({"opportunities.value": 1, **also}, one.name, one.where, opened, opened, estimate.minor, segment)
        value = left.remaining_converted if left.known else None
    if value is not None and chance is not None and outcome == "open":
        weighted = half_even(value * chance.numerator, chance.denominator)
        book.put(("opportunities.weighted_value", *place, None, None), weighted)
    ordered = one.marks.get("ordered")
    if ordered is not None and ordered[0][:2] >= one.opened[:2]:
        book.put(("opportunities.cycle", *place, ordered[0].micros - one.opened.micros, None))
    entered = next(one.entered(), None)
    told = {
        "name": one.title, "status": outcome, "stage": one.stage, "value": value, "weighted_value": weighted,
        "stage_since": entered and book.zone.day(entered.micros), "probability": None if chance is None else float(chance),
        "expected_close": one.expected_close, "decided": None if outcome == "open" else book.zone.day(decided),
        "contacts": one.linked_contacts(book.contact), "leads": sorted({identity for _, identity in one.names}),
    }  # fmt: skip
    book.put((LISTED, *place, None, json.dumps(told)))


def contribute_order(order: Order, book: Book) -> None:
    """Post a live order of an opened opportunity, with what it is worth now, on the day on which that was opened."""
    one = order.parent
    if one is None or one.opened is None or not order.live:
        return
    opened = book.zone.day(one.opened.micros)
    place = (order.name, _segment(one, book), opened, opened, None)
    book.put((ORDERED, *place, f"opportunity:{one.id}"))
    if order.standing is not None:
        book.put(("opportunities.booked_revenue", *place, None), order.standing)


def _segment(one: Opportunity, book: Book) -> int:
    labels = {"account": book.account(one.account), "stage": one.stage, "lost_reason": one.lost_reason}
    return book.at(OPPORTUNITIES, **one.where._asdict(), **labels)


def chance_of(one: Opportunity, book: Book) -> Fraction | None:
    """Return how probable it is: as it last stated itself, or as the last stage says that it entered and that has a probability.

    In one event its own statement wins.
    """
    own = one.own_chance
    for entered in one.entered():
        if own is not None and entered[:4] <= own[:4]:
            break
        probability = book.probability(entered.data["stage"])
        if probability is not None:
            return probability
    return share_of(own.data["probability"]) if own else None


# The figures

_NOW = "as they stand now"
POSTS = Posts(
    OPPORTUNITIES,
    counts=(*(f"opportunities.{one}" for one in ("opened", "open", "won", "lost")), ORDERED, LISTED),
    money=tuple(
        f"opportunities.{one}" for one in ("value", "open_value", "weighted_value", "unweighted_value", "booked_revenue")
    ),
    durations=("opportunities.cycle",),
    rules={"opportunity": contribute_opportunity},
    afterwards={"order": contribute_order},
)  # fmt: skip

REPORT = Report(
    "opportunities",
    "What is in the pipeline, what is it worth, and what became of it?",
    OPPORTUNITIES,
    {
        "opened": total("opportunities.opened", COUNT, "opportunities opened in the window"),
        "pipeline_value": total(
            "opportunities.value", MONEY, "Σ last estimated value of them", "at the rate of the day of the opening"
        ),
        "open": total("opportunities.open", COUNT, "those that are open", _NOW),
        "won": total("opportunities.won", COUNT, "those that are won", _NOW),
        "lost": total("opportunities.lost", COUNT, "those that are lost", _NOW),
        "open_value": total("opportunities.open_value", MONEY, "Σ value of the open ones"),
        "weighted_value": total(
            "opportunities.weighted_value", MONEY, "Σ value × probability of the open ones that have both",
            "each rounded half-even",
        ),
        "unweighted_value": total(
            "opportunities.unweighted_value", MONEY, "Σ value of the open ones without a probability"
        ),
        "booked_revenue": total("opportunities.booked_revenue", MONEY, "Σ value of their live orders", "won or not"),
        "win_rate": quotient("won", "won + lost"),
        "average_deal_size": quotient(
            "booked_revenue", ORDERED, MONEY, called="the number of their orders", note="rounded half-even"
        ),
        "mean_cycle_days": Mean(
            unit=DAYS, of="opportunities.cycle", definition="mean of their first live order − opened",
            note="negative ones left out",
        ),
    },
    group_by="owner",
)  # fmt: skip
