"""What facts that hang together contribute to every read model: the engine's only entry to the rules, which are pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from service.domain.calendar import Zone
from service.domain.components.accounts import Accounts
from service.domain.components.campaigns import Campaign
from service.domain.components.costs import Costs
from service.domain.components.entities import CreditNote, Entity
from service.domain.components.journey import Journey
from service.domain.details import PENDING_LINKS
from service.domain.facts import Fact
from service.domain.postings import Book
from service.domain.reports import conversion, pending, roi, velocity

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


class Folded(Protocol):
    """What the facts of a component have been folded into, and which of its entities may contribute something else now."""

    touched: dict[Entity, None]

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""

    def touch_all(self) -> None:
        """Have everything contribute anew: a rate may have changed."""

    def take(self, fact: Fact) -> None:
        """Take in one live fact, whenever it comes."""

    def withdraw(self, fact: Fact, others: Iterable[Fact]) -> bool:
        """Take back a fact that was voided; False where only a new fold of the live facts that remain will do."""


FOLDS: dict[str, Callable[[Zone], Folded]] = {
    "journey": Journey, "cost": Costs, "campaign": Campaign, "account": Accounts,
}  # fmt: skip

# What each kind of entity contributes, read model by read model. Those of ROI come last: they go on with changes and credit
# notes, which contribute for themselves.
RULES_OF: dict[str, tuple[Callable[[Any, Book], None], ...]] = {
    "lead": (conversion.contribute_lead, velocity.contribute_lead),
    "opportunity": (conversion.contribute_opportunity, velocity.contribute_opportunity),
    "awaited": (pending.contribute_awaited,),
    "quote": (conversion.contribute_quote, pending.contribute_quote),
    "order": (
        conversion.contribute_order, velocity.contribute_order, pending.contribute_order, roi.contribute_order,
    ),
    "invoice": (conversion.contribute_invoice, pending.contribute_invoice, roi.contribute_invoice),
    "credit_note": (pending.contribute_credit_note,),
    "change": (pending.contribute_change,),
    "cost": (roi.contribute_cost,),
    "budget": (roi.contribute_budget,),
    "account_order": (roi.contribute_new_customer,),
}  # fmt: skip


def contribute(entity: Entity, book: Book) -> None:
    """Have an entity contribute to a book, and those changes of it that may contribute something else now."""
    if isinstance(entity, CreditNote) and entity.invoice is not None:
        return  # its invoice posts it
    book.open(entity)
    for rule in RULES_OF[entity.kind]:
        rule(entity, book)
