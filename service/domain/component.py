"""One component: the facts that hang together, and what they contribute to every read model.

This is the engine's only entry to the rules: `contributions` is a pure function from live facts to a `Book` of cells.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.domain import conversion, pending, roi, velocity
from service.domain.calendar import Zone
from service.domain.facts import Fact
from service.domain.journey import Journey
from service.domain.postings import PENDING_LINKS, Book, Segments
from service.domain.rates import Rates
from service.domain.roi import AccountOrder

# Every measure that postings add up to, as the columns of the balances are named after them. A duration has its count, the
# sum of its lengths (`.total`, in microseconds) and how many were out of sequence.
MEASURES = tuple(
    dict.fromkeys(
        (
            *roi.MEASURES,
            *conversion.MEASURES,
            *velocity.MEASURES,
            *(f"{name}.total" for name in velocity.DURATIONS),
            PENDING_LINKS,
        )
    )
)
READ_MODEL_VERSION = "1"  # part of every ETag; a changed definition of any figure gets a new one


def contributions(
    kind: str,
    folded: Journey | Sequence[Fact],
    orders: Sequence[AccountOrder],
    zone: Zone,
    rates: Rates,
    segments: Segments,
) -> tuple[Book, list[AccountOrder]]:
    """Return the cells of a component and, of a journey, the orders that their accounts need to know.

    `folded` is the journey, or else the component's facts, live and in event order; `orders` are those that journeys
    have told an account component.
    """
    book = Book(zone, rates, segments)
    if isinstance(folded, Journey):
        journey = folded
        conversion.contribute(journey, book)
        velocity.contribute(journey, book)
        if journey.only_leads:
            return book, []
        roi.contribute(journey, book)
        pending.contribute(journey, book)
        return book, roi.account_orders(journey, book)
    if kind == "cost":
        roi.contribute_cost(folded, book)
    elif kind == "campaign":
        roi.contribute_budget(folded, book)
    else:
        roi.contribute_new_customers(orders, folded, book)
    return book, []


def campaign_attributes(facts: Sequence[Fact]) -> dict[str, object]:
    """Return the attributes of a campaign, the last statement of each, from its facts in event order."""
    attributes: dict[str, object] = {}
    for fact in facts:
        if fact.type != "campaign.budget_set":
            attributes.update({name: value for name, value in fact.data.items() if name != "campaign_id"})
    return attributes
