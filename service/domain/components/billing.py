"""The entities of billing (SPEC section 2): invoices, and the credit notes and payments that name them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from service.domain.calendar import Zone, recorded_day
from service.domain.components.entities import NO_DAY, Change, Entity, Mark, Order
from service.domain.components.series import Deductions, last_before
from service.domain.facts import Fact, Key, Merges
from service.domain.money import Money, money_of


class CreditNote(Entity):
    """A credit note, as its last statement (`fact`) has it; `invoice` is there once that is posted.

    `counted` is what the invoice counts of it as credited, `after` what is left of the invoice then, as `Change` has it.
    """

    kind = "credit_note"
    fact: Fact
    cogs: Money | None = None
    invoice: Invoice | None = None
    counted = 0
    after: tuple[Any, ...] | None = None
    taken: tuple[Any, ...] = ()
    KEPT = Entity.KEPT | {"invoice", "counted", "after", "taken"}

    @property
    def known(self) -> bool:
        """Whether anything states it."""
        return "fact" in self.__dict__

    @property
    def amount(self) -> Money:
        """What it credits."""
        return money_of(self.fact.data["net_amount"])

    def refers_to(self, _: Merges) -> Sequence[Key]:
        """Return its invoice."""
        return (("invoice", self.fact.data["invoice_id"]),) if self.known else ()

    def first_day(self, _: Zone) -> int:
        """Return its posting date."""
        return recorded_day(self.fact.data["posting_date"]) if self.known else NO_DAY


class Payment(Entity):
    """A payment, as its last statement (`fact`) has it; `invoice` is there once that is posted.

    `after` is what is left to pay then, as `Change` has it.
    """

    kind = "payment"
    ties = False
    fact: Fact
    invoice: Invoice | None = None
    after: tuple[Any, ...] | None = None
    taken: tuple[Any, ...] = ()
    KEPT = Entity.KEPT | {"invoice", "after", "taken"}

    @property
    def known(self) -> bool:
        """Whether anything states it."""
        return "fact" in self.__dict__

    def refers_to(self, _: Merges) -> Sequence[Key]:
        """Return its invoice."""
        return (("invoice", self.fact.data["invoice_id"]),) if self.known else ()


class Invoice(Entity):
    """An invoice: what was last posted, on the least posting date, its credit notes, its payments and its cancellation.

    `credited` adds up the notes in its own currency.
    """

    kind = "invoice"
    ends = True
    posted: Fact | None = None
    cancelled: Fact | None = None
    order_id: str | None = None
    parent: Order | None = None
    day = NO_DAY
    account: str | None = None
    due_date: str | None = None
    postings: Sequence[Fact] = ()
    cancellations: Sequence[Change] = ()
    credits: Deductions[CreditNote]
    payments: Deductions[Payment]
    credited = 0
    start: tuple[Any, ...] = ()  # what the credit notes start from, when they were last worked out
    to_pay: tuple[Any, ...] = ()  # what the payments start from, likewise
    KEPT = Entity.KEPT | {
        "parent", "credits", "credited", "payments", "cancelled", "cancellations", "start", "to_pay"
    }  # fmt: skip

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.credits = Deductions()
        self.payments = Deductions()

    @property
    def customer(self) -> str | None:
        """The account that it is reported under: its opportunity's, else its own, else its order's."""
        order = self.parent
        of_opportunity = order.parent.account if order and order.parent else None
        return of_opportunity or self.account or (order.account if order else None)

    @property
    def amount(self) -> Money | None:
        """What was last posted, but after a cancellation only the first of an invoice."""
        stated = last_before(self.postings, self.cancelled)
        return money_of(stated[-1].data["net_amount"]) if stated else None

    @property
    def cogs(self) -> Money | None:
        """What it states of its costs of goods, as the amount."""
        return self._stated("cogs")

    @property
    def tax(self) -> Money | None:
        """What it states of its tax, as the amount."""
        return self._stated("tax")

    def _stated(self, field: str) -> Money | None:
        for fact in reversed(last_before(self.postings, self.cancelled)):
            if field in fact.data:
                return money_of(fact.data[field])
        return None

    @property
    def arrived(self) -> bool:
        """Whether it was posted."""
        return self.posted is not None

    @property
    def live(self) -> bool:
        """A live invoice was posted and not cancelled."""
        return self.posted is not None and self.cancelled is None

    def parents(self) -> Collection[Entity]:
        """Return its order, if that is placed."""
        return (self.parent,) if self.parent else ()

    def came_out_of(self, parent: Entity) -> bool:
        """Tell whether that is its parent."""
        return self.parent is parent

    def refers_to(self, _: Merges) -> Sequence[Key]:
        """Return the order that it names."""
        return (("order", self.order_id),) if self.order_id is not None else ()

    def first_day(self, _: Zone) -> int:
        """Return the least posting date stated."""
        return self.day

    def own_marks(self) -> dict[str, Mark]:
        """Return its posting while it is live, and again while it is not fully credited."""
        posted, amount = self.posted, self.amount
        if posted is None or amount is None or not self.live:
            return {}
        marks: dict[str, Mark] = {"invoiced": (posted, self)}
        if not self.credits.items or self.credited < amount.minor:
            marks["counted"] = marks["invoiced"]
        return marks
