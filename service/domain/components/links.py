"""How the entities of a journey hang together: placing one, and handing on what others see of it.

An entity is placed when something that it states, or that its parents hand down, has changed: it is linked with its parents and
given its campaign, dimensions and cohort day. What others see of it goes on from there: down to what refers to it, and up, as
first ends of durations, to what it came out of. Only what changes is looked at, so that a journey of many thousand facts takes in
one more as fast as a short one does.

A component may hold more than one journey (a link may have been restated or voided), which only matters for "the first date in
the journey", where the exact journey is worked out (`first_dates`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, ClassVar, cast

from service.domain.calendar import Zone
from service.domain.components.billing import CreditNote, Invoice, Payment
from service.domain.components.entities import (
    NO_DAY,
    NONE,
    Awaited,
    Entity,
    Lead,
    Mark,
    Opportunity,
    Order,
    Origin,
    Quote,
)
from service.domain.components.first_dates import FirstDates
from service.domain.cubes import NOWHERE, Dimensions
from service.domain.facts import Fact, Key, Merges
from service.domain.money import Money

NO_MERGES = Merges()
_number = count().__next__  # so that two entries of a queue are never compared beyond their marks


class Links:
    """The entities of one component by kind and id, linked.

    A merged lead goes by the id of its class. `touched` are the entities that may contribute something else than when they were
    last asked.
    """

    __slots__ = ("_dates", "_merges", "_referring", "_zone", "entities", "touched")

    def __init__(self, zone: Zone) -> None:
        self.entities: dict[Key, Entity] = {}
        self.touched: dict[Entity, None] = {}
        self._zone = zone
        self._merges = NO_MERGES
        self._referring: Mapping[Key, dict[Entity, None]] = (
            NONE  # most journeys are of leads alone, which refer to nothing
        )
        self._dates: FirstDates | None = None

    def _settle(self, entity: Entity) -> None:
        """Place an entity whose own facts have changed."""
        before = entity.names
        self._link(entity)
        if self._dates is not None and entity.ties:
            moved = self._dates.note((entity.kind, entity.id), (entity.names, entity.first_day(self._zone)))
            if moved is None:
                self._redate()
            else:
                for one in moved:
                    self._place(one)
        self._place(entity)
        if isinstance(entity, Opportunity):
            self._tell_leads({*before, *entity.names})

    def _tell_leads(self, names: Iterable[Key]) -> None:
        """Have leads contribute anew whose opportunity was opened, or lists them, otherwise than before."""
        for key in names:
            lead = cast("Lead | None", self.entities.get(key))
            if lead is not None:
                lead.listing = self._referring.get(key, ())
                self.touched[lead] = None

    def _link(self, entity: Entity) -> None:
        """Note what an entity refers to now."""
        names = entity.refers_to(self._merges)
        if names != entity.names:
            for key in entity.names:
                self._referring.get(key, {}).pop(entity, None)
            for key in names:
                self._refer(key)[entity] = None
            entity.names = names

    def _refer(self, key: Key) -> dict[Entity, None]:
        """Return what refers to an entity, to be added to."""
        if not isinstance(self._referring, dict):
            self._referring = {}
        return cast("dict[Key, dict[Entity, None]]", self._referring).setdefault(key, {})

    def _place(self, entity: Entity, by: Entity | None = None) -> None:
        """Give an entity its parents, dimensions and cohort day, and hand on what others see of it.

        `by` is what it refers to that has changed, if nothing else has.
        """
        self.touched[entity] = None
        parents = entity.parents()
        before = (entity.where, entity.cohort)
        seen = self._PLACE[entity.kind](self, entity, by)
        moved = (entity.where, entity.cohort) != before
        if seen != entity.seen:
            entity.seen = seen
            for one in [*self._referring.get((entity.kind, entity.id), ())]:
                self._place(one, entity)
        if entity.ends:
            self._hand_up(entity, self._find_marks(entity), parents)
            if moved:  # durations that end with it have its dimensions and its cohort day
                self._touch_up(entity, entity)

    def _dated_day(self, entity: Entity) -> int:
        """Return the first date in an entity's journey, which is its cohort day from now on."""
        if self._dates is None:
            self._dates = self._new_dates()
        entity.dated = True
        return self._dates.of(entity)

    def _undated(self, entity: Entity) -> None:
        if entity.dated:
            entity.dated = False
            if self._dates is not None:
                self._dates.leave(entity)

    def _new_dates(self) -> FirstDates:
        dates = FirstDates()
        for entity in self.entities.values():
            if not entity.ties:
                continue
            dates.note((entity.kind, entity.id), (entity.names, entity.first_day(self._zone)))
        return dates

    def _redate(self) -> None:
        """Work all first dates out anew, and place what goes by one."""
        if self._dates is not None:
            dated, self._dates = self._dates.dated(), None
            for entity in dated:
                if entity.dated:
                    self._place(entity)

    def _place_lead(self, lead: Lead, _: Entity | None) -> tuple[Any, ...]:
        lead.where = Dimensions(lead.campaign, lead.channel, lead.source, lead.medium, lead.lead_magnet, lead.owner)
        if lead.captured:
            self._undated(lead)
            lead.cohort = self._zone.day(lead.captured[0])
        else:
            lead.cohort = self._dated_day(lead)
        lead.origin = Origin(lead.id, lead.where, lead.qualities())
        lead.listing = self._referring.get(("lead", lead.id), ())
        return (lead.captured, lead.origin)

    def _place_opportunity(self, one: Opportunity, by: Entity | None) -> tuple[Any, ...]:
        """Link an opened opportunity with its leads, and choose the one that gives it its campaign and cohort day.

        Where it is placed anew because of one lead, the others are not looked at: some list thousands.
        """
        if isinstance(by, Lead) and one.opened is not None:
            self._list_lead(one, by)
        else:
            self._list_leads(one)
        attributing_lead = one.attributing_lead
        if one.opened is None:
            one.where, one.cohort = NOWHERE, NO_DAY
            self._undated(one)
        elif attributing_lead is None:
            one.where = Dimensions(one.campaign, owner=one.owner, team=one.team, region=one.region)
            one.cohort = self._dated_day(one)
        else:
            one.where = attributing_lead.where._replace(
                campaign=attributing_lead.campaign if one.campaign is None else one.campaign,
                owner=one.owner or attributing_lead.owner,
                team=one.team,
                region=one.region,
            )
            one.cohort = attributing_lead.cohort
            self._undated(one)
        one.origin = attributing_lead.origin if attributing_lead else None
        self._develop(one)
        return (one.opened is not None, one.where, one.cohort, one.origin, one.account)

    def _develop(self, one: Opportunity) -> None:
        """Have an opportunity contribute anew, and its orders where they are reported elsewhere now."""
        self.touched[one] = None
        under = (one.opened and self._zone.day(one.opened[0]), one.account, one.stage, one.lost_reason)
        if under != one.placed_under:
            one.placed_under = under
            self.touched.update(dict.fromkeys(self._orders_of(one)))

    def _list_leads(self, one: Opportunity) -> None:
        """Find all leads of an opportunity, which has none until it is opened."""
        names = dict.fromkeys(map(self._merges.name, one.lead_ids)) if one.opened else {}
        found = ((name, self.entities.get(("lead", name))) for name in names)
        one.leads = {name: cast("Lead", lead) for name, lead in found if lead is not None}
        one.attributing_lead = _attributing_lead(one)
        captured = {name for name, lead in one.leads.items() if lead.captured}
        if one.awaited or len(captured) < len(names):
            for name in [*one.awaited]:
                if name not in names or name in captured:
                    self._await(one, name, waits=False)
            for name in names:
                if name not in captured:
                    self._await(one, name, waits=True)

    def _list_lead(self, one: Opportunity, lead: Lead) -> None:
        """Take in what has become of one lead of an opportunity."""
        if one.leads.get(lead.id) is not lead:
            one.leads = {**one.leads, lead.id: lead}
        self._await(one, lead.id, waits=lead.captured is None)
        attributing_lead = one.attributing_lead
        if (
            attributing_lead is None
            or lead is attributing_lead
            or _attributing_order(one, lead) < _attributing_order(one, attributing_lead)
        ):
            one.attributing_lead = _attributing_lead(one)

    def _await(self, one: Opportunity, name: str, *, waits: bool) -> None:
        """Have an opportunity wait for a lead, or do not any more."""
        awaited = one.awaited.get(name)
        if waits == (awaited is not None):
            return
        if one.awaited is NONE:
            one.awaited = {}
        assert isinstance(one.awaited, dict)  # noqa: S101  made here
        if awaited is None:
            awaited = one.awaited[name] = Awaited(one, name)
        else:
            del one.awaited[name]
            awaited.withdrawn = True
        self.touched[awaited] = None

    def _place_quote(self, one: Quote, _: Entity | None) -> tuple[Any, ...]:
        """Link a quote with its opportunity."""
        parent = one.parent = self._opened(one.opportunity_id)
        one.origin = parent.origin if parent else None
        if parent is None and one.accepted:
            one.where, one.cohort = NOWHERE, self._dated_day(one)
        else:
            self._undated(one)
            one.where, one.cohort = (parent.where, parent.cohort) if parent else (NOWHERE, NO_DAY)
        return (one.accepted, parent, bool(one.stated), one.where, one.cohort, one.origin, parent and parent.account)

    def _place_order(self, one: Order, _: Entity | None) -> tuple[Any, ...]:
        """Link a placed order with its quote and its parent: the quote's opportunity if opened, else the one that it names."""
        if one.placed is None:
            one.quote = one.stated_opportunity = one.parent = None
            one.where, one.cohort, one.origin = NOWHERE, NO_DAY, None
            self._undated(one)
            return (None,)
        quote = cast("Quote | None", self.entities.get(("quote", one.quote_id or "")))
        quote = one.quote = quote if quote and quote.stated else None
        one.stated_opportunity = cast(
            "Opportunity | None", self.entities.get(("opportunity", one.opportunity_id or ""))
        )
        parent = one.parent = (quote.parent if quote else None) or self._opened(one.opportunity_id)
        one.origin = parent.origin if parent else None
        if parent is None:
            one.where, one.cohort = Dimensions(one.campaign), self._dated_day(one)
        else:
            self._undated(one)
            one.where = parent.where if one.campaign is None else parent.where._replace(campaign=one.campaign)
            one.cohort = parent.cohort
        return (True, one.where, one.cohort, one.origin, parent and parent.account, one.account)

    def _place_invoice(self, one: Invoice, _: Entity | None) -> tuple[Any, ...]:
        """Link a posted invoice with its order."""
        order = cast("Order | None", self.entities.get(("order", one.order_id or ""))) if one.posted else None
        parent = one.parent = order if order and order.placed else None
        one.origin = parent.origin if parent else None
        if parent is None and one.posted:
            one.where, one.cohort = NOWHERE, self._dated_day(one)
        else:
            self._undated(one)
            one.where, one.cohort = (parent.where, parent.cohort) if parent else (NOWHERE, NO_DAY)
        amount = one.amount
        if (one.posted is not None, amount) != one.seen:
            self.touched.update(dict.fromkeys(one.cancellations))
            one.credited = 0
            for note in one.credits:
                note.counted = _counted(note, amount)
                one.credited += note.counted
        return (one.posted is not None, amount)

    def _place_credit_note(self, one: CreditNote, _: Entity | None) -> tuple[Any, ...]:
        """Link a credit note with its invoice."""
        if invoice := self._moved_to(one):
            one.counted = _counted(one, invoice.amount)
            invoice.credited += one.counted
            invoice.credits.insert(one)
            self._come_out(invoice)
        return ()

    def _place_payment(self, one: Payment, _: Entity | None) -> tuple[Any, ...]:
        """Link a payment with its invoice."""
        if invoice := self._moved_to(one):
            invoice.payments.insert(one)
            self.touched[invoice] = None
        return ()

    def _moved_to(self, one: CreditNote | Payment) -> Invoice | None:
        """Detach a credit note or a payment from the invoice that it no longer names; return the posted one that it now does."""
        named = ("invoice", one.fact.data["invoice_id"]) if one.known else None
        invoice = cast("Invoice | None", self.entities.get(named)) if named else None
        if invoice is not None and not invoice.posted:
            invoice = None
        if invoice is one.invoice:
            return None
        self._detach(one)
        one.invoice = invoice
        return invoice

    def _detach(self, one: CreditNote | Payment) -> None:
        """Take a credit note or a payment away from its invoice."""
        invoice, one.invoice = one.invoice, None
        if invoice is None:
            return
        self.touched[one] = None
        if isinstance(one, Payment):
            invoice.payments.remove(one.fact)
            self.touched[invoice] = None
        else:
            invoice.credits.remove(one.fact)
            invoice.credited -= one.counted
            self._come_out(invoice)

    def _opened(self, identity: str | None) -> Opportunity | None:
        found = cast("Opportunity | None", self.entities.get(("opportunity", identity or "")))
        return found if found is not None and found.opened else None

    # First ends, for durations and for how far a lead has come

    def _come_out(self, entity: Entity) -> None:
        """Find an entity's first ends anew and hand them up: its own facts have changed them."""
        self.touched[entity] = None
        self._hand_up(entity, self._find_marks(entity))

    def _hand_up(self, entity: Entity, changed: Sequence[str], left: Collection[Entity] | None = None) -> None:
        """Have parents know of first ends that have changed: all of them, of one that was no parent before (not in `left`)."""
        parents = entity.parents()
        before = parents if left is None else left
        new: Collection[Entity] = ()
        gone: Collection[Entity] = ()
        if before is not parents and (before or parents):
            new, gone = set(parents).difference(before), set(before).difference(parents)
        if changed:
            for parent in parents:
                if parent not in new:
                    self._rise(parent, entity, changed)
        for parent in new:
            self._rise(parent, entity, entity.marks)
        for parent in gone:
            self._risen(parent)

    def _rise(self, parent: Entity, entity: Entity, names: Collection[str]) -> None:
        """Put first ends of an entity among those of a parent."""
        for name in names:
            if name in entity.marks:
                _queue(parent, name, entity)
        if names:
            self._risen(parent)

    def _risen(self, parent: Entity) -> None:
        """Find first ends anew after those of something that came out of it have changed."""
        changed = self._find_marks(parent)
        if changed:
            self.touched[parent] = None
            self._hand_up(parent, changed)

    def _find_marks(self, entity: Entity) -> Sequence[str]:
        """Find an entity's first ends anew; return the names of those that have changed."""
        before, marks = entity.marks, entity.own_marks()
        for name, queue in entity.queues.items():
            while queue and not _stands(queue[0], name, entity):
                heappop(queue)
            if queue:
                marks[name] = queue[0][2].marks[name]
        if not marks and not before:
            return ()
        entity.marks = marks
        changed = [name for name, mark in marks.items() if not _same(mark, before.get(name))]
        changed += [name for name in before if name not in marks]
        if "accepted" in changed and isinstance(entity, Opportunity):
            self.touched.update(dict.fromkeys(self._orders_of(entity)))  # how long from there to the order
        return changed

    def _touch_up(self, entity: Entity, end: Entity) -> None:
        """Touch those among whose first ends an entity is."""
        for parent in entity.parents():
            if any(one is end for _, one in parent.marks.values()):
                self.touched[parent] = None
                self._touch_up(parent, end)

    def _orders_of(self, opportunity: Opportunity) -> Iterable[Order]:
        for one in self._referring.get(("opportunity", opportunity.id), ()):
            if isinstance(one, Order) and one.parent is opportunity:
                yield one
            elif isinstance(one, Quote):
                for order in self._referring.get(("quote", one.id), ()):
                    if isinstance(order, Order) and order.parent is opportunity:
                        yield order

    _PLACE: ClassVar[dict[str, Callable[[Any, Any, Entity | None], tuple[Any, ...]]]] = {
        "lead": _place_lead, "opportunity": _place_opportunity, "quote": _place_quote,
        "order": _place_order, "invoice": _place_invoice, "credit_note": _place_credit_note,
        "payment": _place_payment,
    }  # fmt: skip


def _attributing_lead(one: Opportunity) -> Lead | None:
    """Return the lead that gives an opportunity its dimensions: the earliest captured one that has a campaign to give."""
    captured = [lead for lead in one.leads.values() if lead.captured]
    return min(captured, key=lambda lead: _attributing_order(one, lead), default=None)


def _attributing_order(one: Opportunity, lead: Lead) -> tuple[Any, ...]:
    """Return what leads are chosen by: captured, with a campaign where the opportunity names none itself, early, least id."""
    if lead.captured is None:
        return (True,)
    return False, one.campaign is None and lead.campaign is None, lead.captured[:2], lead.id


def _counted(note: CreditNote, amount: Money | None) -> int:
    """Return what an invoice of an amount counts of a note as credited: nothing of one in another currency."""
    stated = note.amount
    return stated.minor if amount is not None and stated.currency == amount.currency else 0


# A heap per first end, with what came out of an entity. One that does not stand any more is dropped when it comes up, and one
# that stands again is put in again, so that nothing has to be looked for in the middle.


def _queue(parent: Entity, name: str, entity: Entity) -> None:
    queues = parent.queues
    if queues is NONE:
        queues = parent.queues = {}
    assert isinstance(queues, dict)  # noqa: S101  made here
    heappush(queues.setdefault(name, []), (entity.marks[name][0], _number(), entity))


def _stands(entry: tuple[Fact, int, Entity], name: str, parent: Entity) -> bool:
    fact, _, entity = entry
    mark = entity.marks.get(name)
    return mark is not None and mark[0] is fact and entity.came_out_of(parent)


def _same(one: Mark, other: Mark | None) -> bool:
    return other is not None and one[0] is other[0] and one[1] is other[1]
