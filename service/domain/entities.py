"""The entities of a journey (SPEC section 2): leads, opportunities, quotes, orders, invoices, credit notes, and their links.

They are what facts have been folded into (`journey`). First-time marks (captured, qualified, opened, accepted, placed, posted)
are the earliest fact that states them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from service.domain.facts import Fact
from service.domain.money import Money


class Where(NamedTuple):
    """The dimensions that an amount is reported under."""

    campaign: str | None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    owner: str | None = None


NOWHERE = Where(None)
NO_DAY = 1  # 0001-01-01, before every day that an event can state; the database has -infinity for it


# The entities have class-level defaults and get only what was stated: a fold makes many, and most know little.


class Entity:
    """What all entities have: an id, a `name` with their kind before it, dimensions and the cohort day."""

    kind = ""
    where = NOWHERE
    cohort = NO_DAY

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.name = f"{self.kind}:{identity}"


class Lead(Entity):
    """A lead, or the class of leads that were merged into one; its `branch` is the opportunities that list it."""

    kind = "lead"
    captured: Fact | None = None
    qualified: Fact | None = None
    campaign: str | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    utm: Mapping[str, str | None] = MappingProxyType({})
    owner: str | None = None
    branch: Sequence[Opportunity] = ()


class Opportunity(Entity):
    """An opportunity with the `leads` that it lists, as far as they have events of their own.

    `giver` is the lead whose dimensions and capture day its money takes; `awaited` are the listed leads not captured yet.
    """

    kind = "opportunity"
    opened: Fact | None = None
    campaign: str | None = None
    owner: str | None = None
    lead_ids: Sequence[str] = ()
    outcome: Fact | None = None
    leads: Sequence[Lead] = ()
    awaited: Collection[str] = ()
    giver: Lead | None = None
    quotes: Sequence[Quote] = ()
    orders: Sequence[Order] = ()


class Quote(Entity):
    """A quote, known by any event about it; `accepted` is the first time it was."""

    kind = "quote"
    accepted: Fact | None = None
    opportunity_id = ""
    parent: Opportunity | None = None


class Order(Entity):
    """An order: the `base` value last placed, the amendments on top, and the cancellation that ends it.

    `quote` and `named` are the quote and the opportunity that it names, as far as those have events of their own.
    """

    kind = "order"
    placed: Fact | None = None
    base: Money | None = None
    cancelled: int | None = None
    campaign: str | None = None
    account: str | None = None
    new_customer: bool | None = None
    opportunity_id: str | None = None
    quote_id: str | None = None
    quote: Quote | None = None
    named: Opportunity | None = None
    parent: Opportunity | None = None
    amendments: Sequence[tuple[int, Money]] = ()
    changes: Sequence[Fact] = ()
    invoices: Sequence[Invoice] = ()

    @property
    def live(self) -> bool:
        """A live order was placed and not cancelled."""
        return self.base is not None and self.cancelled is None


class Invoice(Entity):
    """An invoice: what was last posted, on the least posting date, its credit notes and its cancellation."""

    kind = "invoice"
    posted: Fact | None = None
    amount: Money | None = None
    cogs: Money | None = None
    day = NO_DAY
    cancelled: int | None = None
    order_id: str | None = None
    parent: Order | None = None
    changes: Sequence[Fact] = ()
    credits: Sequence[CreditNote] = ()

    @property
    def live(self) -> bool:
        """A live invoice was posted and not cancelled."""
        return self.amount is not None and self.cancelled is None


class CreditNote(Entity):
    """A credit note, as its last statement has it; `invoice` is there once that is posted."""

    kind = "credit_note"
    last: Fact
    invoice_id = ""
    amount = Money(0, "")
    cogs: Money | None = None
    day = NO_DAY
    invoice: Invoice | None = None


NONE: Mapping[str, Any] = MappingProxyType({})


class Journey:
    """The entities of one component by id; most have leads only, so that the rest is made when it is needed.

    `names` maps a merged lead id to the id its class goes by. `dated` tells that some cohort day is the first date in the
    journey, which any event may move.
    """

    only_leads = True
    dated = False
    first_dates: Mapping[tuple[str, str], int] = MappingProxyType({})
    leads: Mapping[str, Lead] = NONE
    opportunities: Mapping[str, Opportunity] = NONE
    quotes: Mapping[str, Quote] = NONE
    orders: Mapping[str, Order] = NONE
    invoices: Mapping[str, Invoice] = NONE
    credit_notes: Mapping[str, CreditNote] = NONE

    def __init__(self, names: Mapping[str, str] = NONE) -> None:
        self.names = names

    def entities(self) -> Iterable[Entity]:
        """Return all entities, parents before what came out of them."""
        yield from self.leads.values()
        if not self.only_leads:
            yield from self.opportunities.values()
            yield from self.quotes.values()
            yield from self.orders.values()
            yield from self.invoices.values()
            yield from self.credit_notes.values()

    def lead_of(self, fact: Fact) -> Lead | None:
        """Return the lead that a fact is about, if it is known."""
        identity = fact[5]["lead_id"]
        return self.leads.get(self.names.get(identity, identity))
