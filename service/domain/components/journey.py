"""The journey (SPEC section 2): leads – opportunities – quotes – orders – invoices – credit notes – payments, from facts.

    journey = Journey(zone)
    journey.take(fact)          # in any order
    journey.touched             # the entities that may contribute something else now

A fact is taken in by the entity that it is about (`entities` says what wins), and what that changes is handed on (`links`). It is
pure and does not care how the facts arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TypeVar, cast

from service.domain.calendar import Zone, recorded_day
from service.domain.catalogue import states_nothing
from service.domain.components.billing import CreditNote, Invoice, Payment
from service.domain.components.entities import (
    CRITERION,
    NO_DAY,
    NONE,
    Change,
    Entity,
    Lead,
    Merging,
    Opportunity,
    Order,
    Quote,
)
from service.domain.components.kind import Kind
from service.domain.components.links import NO_MERGES, Links
from service.domain.components.series import earliest, put_in
from service.domain.facts import Fact, Key, Merges, Rule
from service.domain.money import money_of

E = TypeVar("E", bound=Entity)
_LEAD = (("lead_id", "lead"),)
_OPPORTUNITY = (("opportunity_id", "opportunity"),)
_QUOTE = (("quote_id", "quote"), *_OPPORTUNITY)
_ORDER = (("order_id", "order"),)
_INVOICE = (("invoice_id", "invoice"),)
RULES: dict[str, Rule] = {
    "lead.captured": Rule(
        _LEAD, ("campaign_id", "channel", "source", "medium", "utm", "lead_magnet", "owner_id", "contact_id", "criteria")
    ),
    "lead.qualified": Rule(_LEAD, ("owner_id", "level", "score", "criteria")),
    "lead.campaign_reassigned": Rule(_LEAD, ("campaign_id",)),
    "lead.handed_over": Rule(_LEAD, ("owner_id",)),
    "lead.accepted": Rule(_LEAD, ("owner_id",)),
    "lead.rejected": Rule(_LEAD, ("owner_id", "reason")),
    "lead.followed_up": Rule(_LEAD, ("owner_id",)),
    "lead.disqualified": Rule(_LEAD),
    "lead.reopened": Rule(_LEAD),
    "lead.merged": Rule((("survivor_id", "lead"), ("merged_id", "lead"))),
    "opportunity.opened": Rule((*_OPPORTUNITY, ("lead_ids", "lead")), (
        "campaign_id", "owner_id", "team", "region", "account_id", "name", "contact_ids", "estimated_value", "probability",
        "expected_close", "stage",
    )),
    "opportunity.value_changed": Rule(_OPPORTUNITY, ("estimated_value", "probability", "expected_close")),
    "opportunity.stage_changed": Rule(_OPPORTUNITY, ("stage",)),
    "opportunity.contact_linked": Rule(_OPPORTUNITY, ("contact_id",)),
    "opportunity.contact_unlinked": Rule(_OPPORTUNITY, ("contact_id",)),
    "opportunity.won": Rule(_OPPORTUNITY),
    "opportunity.lost": Rule(_OPPORTUNITY, ("reason",)),
    "opportunity.reopened": Rule(_OPPORTUNITY),
    "quote.sent": Rule(_QUOTE, ("value",)),
    "quote.accepted": Rule(_QUOTE, ("value",)),
    "quote.rejected": Rule(_QUOTE, ("value",)),
    "quote.expired": Rule(_QUOTE, ("value",)),
    "order.placed": Rule((*_ORDER, *_OPPORTUNITY, ("quote_id", "quote")),
        ("net_value", "campaign_id", "account_id", "new_customer"),
    ),
    "order.amended": Rule(_ORDER, ("net_value",)),
    "order.cancelled": Rule(_ORDER),
    "invoice.posted": Rule(
        (*_INVOICE, *_ORDER), ("net_amount", "posting_date", "cogs", "tax", "due_date", "account_id")
    ),
    "invoice.credited": Rule((("credit_note_id", "credit_note"), *_INVOICE), ("net_amount", "posting_date", "cogs")
    ),
    "invoice.cancelled": Rule(_INVOICE),
    "payment.received": Rule((("payment_id", "payment"), *_INVOICE), ("amount",)),
}  # fmt: skip
_LEAD_STATES = (
    ("campaign_id", "campaign"), ("channel", "channel"), ("lead_magnet", "lead_magnet"), ("owner_id", "owner"),
    ("contact_id", "contact"),
)  # fmt: skip
_UTM_STATES = ("source", "medium")  # what a link says stands in where an event states none itself
_QUALIFIED_STATES = (("owner_id", "owner"), ("level", "level"), ("score", "score"))
_HANDLED = {  # what the last of several is kept as
    "lead.handed_over": "handed_over", "lead.accepted": "verdict", "lead.rejected": "verdict",
    "lead.disqualified": "ended", "lead.reopened": "ended",
}  # fmt: skip
_OPPORTUNITY_STATES = (
    ("campaign_id", "campaign"), ("owner_id", "owner"), ("team", "team"), ("region", "region"), ("lead_ids", "lead_ids"),
    ("account_id", "account"), ("name", "title"), ("expected_close", "expected_close"),
)  # fmt: skip
_ORDER_STATES = (
    ("campaign_id", "campaign"), ("account_id", "account"), ("new_customer", "new_customer"),
    ("opportunity_id", "opportunity_id"), ("quote_id", "quote_id"),
)  # fmt: skip
_INVOICE_STATES = (("order_id", "order_id"), ("account_id", "account"), ("due_date", "due_date"))


class Journey(Links):
    """The fold of the facts of one component of entities that hang together."""

    __slots__ = ("_merged", "_statements")

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone)
        self._merged: list[Merging] = []
        self._statements: dict[Key, list[Fact]] | None = None  # by what they are about, once something was taken back

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute: all entities, and the changes of orders and invoices."""
        yield from self._merged
        for one in self.entities.values():
            yield one
            if isinstance(one, Order):
                yield from one.changes
            elif isinstance(one, Invoice):
                yield from one.cancellations
            elif isinstance(one, Opportunity):
                yield from one.awaited.values()

    def touch_all(self) -> None:
        """Have everything contribute anew: a rate may have changed."""
        self.touched.update(dict.fromkeys(self.entities.values()))

    def take(self, fact: Fact) -> None:
        """Take in one live fact."""
        if self._statements is not None and fact.type in _OWN:
            self._statements.setdefault(self._subject(fact), []).append(fact)
        self._TAKE[fact[4]](self, fact)

    def withdraw(self, fact: Fact, others: Iterable[Fact]) -> bool:
        """Take back a fact that was voided; `others` are the live facts that remain.

        False where only a new fold will do: the journey is of no use any more then.
        """
        if fact.type == "lead.merged":
            return False
        if fact.type in self.WITHDRAW:
            self.WITHDRAW[fact.type](self, fact)
            return True
        subject = self._subject(fact)
        if self._statements is None:
            self._statements = {}
            for one in others:
                if one.type in _OWN:
                    self._statements.setdefault(self._subject(one), []).append(one)
        left = [one for one in self._statements.get(subject, ()) if one[:4] != fact[:4]]
        self._statements[subject] = left
        entity = self.entities[subject]
        if isinstance(entity, CreditNote | Payment):
            self._detach(entity)
        entity.forget()
        for one in left:
            self._TAKE[one.type](self, one)
        self._settle(entity)
        return True

    def _subject(self, fact: Fact) -> Key:
        """Return the entity that a fact states something of."""
        kind, field = _OWN[fact.type]
        identity = fact.data[field]
        return kind, self._merges.name(identity) if kind == "lead" else identity

    def _entity(self, make: type[E], identity: str) -> E:
        """Return the entity of an id, made if it is new."""
        key = (make.kind, identity)
        found: Any = self.entities.get(key)
        if found is None:
            found = self.entities[key] = make(identity)
        return cast("E", found)

    def _lead(self, fact: Fact) -> Lead:
        lead = self._entity(Lead, self._merges.name(fact[5]["lead_id"]))
        lead.step(fact)
        return lead

    def _take_captured(self, fact: Fact) -> None:
        lead, data = self._lead(fact), fact[5]
        lead.captured = earliest(lead.captured, fact)
        for field, attribute in _LEAD_STATES:
            if field in data:
                lead.state(attribute, data[field], fact)
        for field in _UTM_STATES:
            value = data[field] if field in data else data["utm"].get(field) if "utm" in data else None
            if not states_nothing(value):
                lead.state(field, value, fact)
        self._take_criteria(lead, fact)
        self._settle(lead)

    def _take_criteria(self, lead: Lead, fact: Fact) -> None:
        for name, met in fact[5].get("criteria", NONE).items():
            lead.state(f"{CRITERION}{name}", met, fact)

    def _take_qualified(self, fact: Fact) -> None:
        lead = self._lead(fact)
        lead.qualified = earliest(lead.qualified, fact)
        for field, attribute in _QUALIFIED_STATES:
            if field in fact.data:
                lead.state(attribute, fact.data[field], fact)
        self._take_criteria(lead, fact)
        self._settle(lead)

    def _take_reassigned(self, fact: Fact) -> None:
        lead = self._lead(fact)
        lead.state("campaign", fact.data.get("campaign_id"), fact)
        self._settle(lead)

    def _take_handled(self, fact: Fact) -> None:
        lead = self._lead(fact)
        if "owner_id" in fact.data:
            lead.state("owner", fact.data["owner_id"], fact)
        if (attribute := _HANDLED.get(fact.type)) is not None:
            lead.state(attribute, fact, fact)
        self._settle(lead)

    def _take_merged(self, fact: Fact) -> None:
        """Make one lead of two classes of merged leads."""
        pair = (fact.data["survivor_id"], fact.data["merged_id"])
        if self._merges is NO_MERGES:
            self._merges = Merges()
        classes = dict.fromkeys(map(self._merges.name, pair))
        self._merges.take(fact)
        self._merged.append(Merging(fact))
        self.touched[self._merged[-1]] = None
        name = self._merges.name(pair[0])
        referring: dict[Entity, None] = {}
        for old in classes:
            referring.update(self._referring.get(("lead", old), {}))
            self._refer(("lead", old)).clear()
        for entity in referring:
            entity.names = ()  # they refer to it by its old name
            self._link(entity)
        if self._statements is not None:
            stated = [one for old in classes for one in self._statements.pop(("lead", old), ())]
            self._statements["lead", name] = stated
        found = [cast("Lead", lead) for old in classes if (lead := self.entities.pop(("lead", old), None))]
        self.touched.update(dict.fromkeys(found))
        merged = Lead(name)
        for lead in found:
            merged.absorb(lead)
            self._undated(lead)
            lead.forget()
        if found:
            self.entities["lead", name] = merged
        self._redate()
        if found:
            self._settle(merged)
        for entity in referring:
            self._place(entity)

    def _take_opened(self, fact: Fact) -> None:
        data = fact[5]
        one = self._entity(Opportunity, data["opportunity_id"])
        one.opened = earliest(one.opened, fact)
        one.openings = put_in(one.openings, fact)
        for field, attribute in _OPPORTUNITY_STATES:
            if field in data:
                one.state(attribute, data[field], fact)
        if "contact_ids" in data:
            one.state("named_contacts", fact, fact)
        self._state_value(one, fact)
        self._settle(one)

    def _take_development(self, fact: Fact) -> None:
        one = self._entity(Opportunity, fact[5]["opportunity_id"])
        if "expected_close" in fact[5]:
            one.state("expected_close", fact[5]["expected_close"], fact)
        self._state_value(one, fact)
        self._develop(one)

    def _state_value(self, one: Opportunity, fact: Fact) -> None:
        if "estimated_value" in fact[5]:
            one.state("estimate", fact, fact)
        if "probability" in fact[5]:
            one.state("own_chance", fact, fact)
        if "stage" in fact[5]:
            one.stages = put_in(one.stages, fact)

    def _take_contact(self, fact: Fact) -> None:
        one = self._entity(Opportunity, fact[5]["opportunity_id"])
        contact = fact[5]["contact_id"]
        if contact not in one.contacts or one.contacts[contact] < fact:
            one.contacts = {**one.contacts, contact: fact}
        self.touched[one] = None

    def _take_outcome(self, fact: Fact) -> None:
        one = self._entity(Opportunity, fact[5]["opportunity_id"])
        one.state("outcome", fact, fact)
        if fact[4] == "opportunity.lost":
            one.state("lost_reason", fact[5].get("reason"), fact)
        self._develop(one)
        self._come_out(one)

    def _take_quote(self, fact: Fact) -> None:
        one = self._entity(Quote, fact[5]["quote_id"])
        one.state("opportunity_id", fact[5]["opportunity_id"], fact)
        happened = fact[4].partition(".")[2]
        setattr(one, happened, earliest(getattr(one, happened), fact))
        if "value" in fact[5]:
            one.value(happened, fact)
        self._settle(one)

    def _take_placed(self, fact: Fact) -> None:
        data = fact[5]
        one = self._entity(Order, data["order_id"])
        one.placed = earliest(one.placed, fact)
        for field, attribute in _ORDER_STATES:
            if field in data:
                one.state(attribute, data[field], fact)
        one.placings = put_in(one.placings, fact)
        self._settle(one)

    def _take_change(self, fact: Fact) -> None:
        one = self._entity(Order, fact[5]["order_id"])
        one.changes.insert(Change(fact, one))
        if fact[4] == "order.cancelled":
            one.cancelled = earliest(one.cancelled, fact)
        self._come_out(one)

    def _withdraw_change(self, fact: Fact) -> None:
        one = self._entity(Order, fact.data["order_id"])
        self._withdrawn(one.changes.remove(fact))
        one.cancelled = next((other.fact for other in one.changes if other.fact.type == "order.cancelled"), None)
        self._come_out(one)

    def _withdrawn(self, change: Change) -> None:
        change.withdrawn = True
        self.touched[change] = None

    def _take_posted(self, fact: Fact) -> None:
        data = fact[5]
        one = self._entity(Invoice, data["invoice_id"])
        one.posted = earliest(one.posted, fact)
        for field, attribute in _INVOICE_STATES:
            if field in data:
                one.state(attribute, data[field], fact)
        day = recorded_day(data["posting_date"])
        one.day = day if one.day == NO_DAY else min(one.day, day)
        one.postings = put_in(one.postings, fact)
        self._settle(one)

    def _take_invoice_cancelled(self, fact: Fact) -> None:
        one = self._entity(Invoice, fact[5]["invoice_id"])
        change = Change(fact, one)
        one.cancellations = [*one.cancellations, change]
        one.cancelled = earliest(one.cancelled, fact)
        self.touched[change] = None
        self._settle(one)

    def _withdraw_invoice_cancelled(self, fact: Fact) -> None:
        one = self._entity(Invoice, fact.data["invoice_id"])
        for change in one.cancellations:
            if change.fact[:4] == fact[:4]:
                self._withdrawn(change)
        one.cancellations = [change for change in one.cancellations if not change.withdrawn]
        one.cancelled = min((change.fact for change in one.cancellations), default=None)
        self._settle(one)

    def _take_credited(self, fact: Fact) -> None:
        one = self._entity(CreditNote, fact[5]["credit_note_id"])
        self._detach(one)  # its place among the others is that of its last statement
        one.state("fact", fact, fact)
        if "cogs" in fact[5]:
            one.state("cogs", money_of(fact[5]["cogs"]), fact)
        self._settle(one)

    def _take_paid(self, fact: Fact) -> None:
        one = self._entity(Payment, fact[5]["payment_id"])
        self._detach(one)
        one.state("fact", fact, fact)
        self._settle(one)

    _TAKE: ClassVar[dict[str, Callable[[Any, Fact], None]]] = {
        "lead.captured": _take_captured,
        "lead.qualified": _take_qualified,
        "lead.campaign_reassigned": _take_reassigned,
        **dict.fromkeys(
            (
                "lead.handed_over",
                "lead.accepted",
                "lead.rejected",
                "lead.followed_up",
                "lead.disqualified",
                "lead.reopened",
            ),
            _take_handled,
        ),
        "lead.merged": _take_merged,
        "opportunity.opened": _take_opened,
        **dict.fromkeys(("opportunity.value_changed", "opportunity.stage_changed"), _take_development),
        **dict.fromkeys(("opportunity.contact_linked", "opportunity.contact_unlinked"), _take_contact),
        **dict.fromkeys(("opportunity.won", "opportunity.lost", "opportunity.reopened"), _take_outcome),
        **dict.fromkeys(("quote.sent", "quote.accepted", "quote.rejected", "quote.expired"), _take_quote),
        "order.placed": _take_placed,
        **dict.fromkeys(("order.amended", "order.cancelled"), _take_change),
        "invoice.posted": _take_posted,
        "invoice.cancelled": _take_invoice_cancelled,
        "invoice.credited": _take_credited,
        "payment.received": _take_paid,
    }
    # Each of these is a thing of its own; others state something of their entity.
    WITHDRAW: ClassVar[dict[str, Callable[[Any, Fact], None]]] = {
        "order.amended": _withdraw_change, "order.cancelled": _withdraw_change,
        "invoice.cancelled": _withdraw_invoice_cancelled,
    }  # fmt: skip


def fold(facts: Iterable[Fact], zone: Zone) -> Journey:
    """Fold live facts into a journey."""
    journey = Journey(zone)
    for fact in facts:
        journey.take(fact)
    return journey


# Per type, the kind of entity that it states something of, and the field with its id.
_OWN = {
    name: (rule.ties[0][1], rule.ties[0][0])
    for name, rule in RULES.items()
    if name not in {"lead.merged", *Journey.WITHDRAW}
}
KIND = Kind("journey", RULES, Journey)
