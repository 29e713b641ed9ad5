"""What facts that hang together contribute to every read model: the engine's only entry to the rules, which are pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from service.domain import conversion, pending, roi, velocity
from service.domain.entities import Entity
from service.domain.facts import Fact
from service.domain.postings import PENDING_LINKS, Book, Cells
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
# Part of every ETag; a changed definition of any figure gets a new one. A release that takes a measure away still has to be
# able to add up its postings: an older generation may have some that are in no balance yet when they are compared.
READ_MODEL_VERSION = "2"


# What each kind of entity of a journey contributes, read model by read model.
RULES_OF: dict[str, tuple[Callable[[Any, Book], None], ...]] = {
    "lead": (conversion.contribute_lead, velocity.contribute_lead),
    "opportunity": (
        conversion.contribute_opportunity, velocity.contribute_opportunity, pending.contribute_opportunity,
    ),
    "quote": (conversion.contribute_quote, pending.contribute_quote),
    "order": (
        conversion.contribute_order, velocity.contribute_order, roi.contribute_order, pending.contribute_order,
    ),
    "invoice": (conversion.contribute_invoice, roi.contribute_invoice, pending.contribute_invoice),
    "credit_note": (pending.contribute_credit_note,),
}  # fmt: skip


def contribute_entity(entity: Entity, book: Book) -> Cells:
    """Return what one entity of a journey contributes; no two entities contribute to the same cell."""
    cells: Cells = {}
    book.cells = cells
    for rule in RULES_OF[entity.kind]:
        rule(entity, book)
    return cells


def contribute_others(kind: str, facts: Sequence[Fact], orders: Sequence[AccountOrder], book: Book) -> Cells:
    """Return what a component contributes that is no journey, from its live facts in event order.

    `orders` are those that journeys have told an account of.
    """
    cells: Cells = {}
    book.cells = cells
    if kind == "cost":
        roi.contribute_cost(facts, book)
    elif kind == "campaign":
        roi.contribute_budget(facts, book)
    else:
        roi.contribute_new_customers(orders, facts, book)
    return cells


def campaign_attributes(facts: Sequence[Fact]) -> dict[str, object]:
    """Return the attributes of a campaign, the last statement of each, from its facts in event order."""
    attributes: dict[str, object] = {}
    for fact in facts:
        if fact.type != "campaign.budget_set":
            attributes.update({name: value for name, value in fact.data.items() if name != "campaign_id"})
    return attributes
