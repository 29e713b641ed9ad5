"""The journey (SPEC section 2): leads – opportunities – quotes – orders – invoices – credit notes, folded from facts.

`fold` takes all live facts of a component in event order and returns its entities with their links resolved: who is whose
parent, which campaign an entity belongs to, on which cohort day. It is pure and does not care how the facts arrived.
A component may hold more than one journey (a link may have been restated or voided), which only matters for "the first
date in the journey", where the exact journey is worked out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from service.domain.calendar import Zone, recorded_day
from service.domain.entities import (
    NO_DAY,
    NONE,
    CreditNote,
    Entity,
    Invoice,
    Journey,
    Lead,
    Opportunity,
    Order,
    Quote,
    Where,
)
from service.domain.facts import RULES, Fact, merge_classes
from service.domain.money import money_of

E = TypeVar("E", bound=Entity)


def _entity(journey: Journey, group: str, make: Callable[[str], E], identity: str) -> E:
    """Return the entity of an id in a group, made if it is new."""
    entities = getattr(journey, group)
    if entities is NONE:
        entities = {}
        setattr(journey, group, entities)
    found: E | None = entities.get(identity)
    if found is None:
        found = entities[identity] = make(identity)
    return found


def fold(facts: Sequence[Fact], zone: Zone) -> Journey:
    """Fold live facts in event order into entities, links resolved (campaign, dimensions, cohort day)."""
    merges = [(one[5]["survivor_id"], one[5]["merged_id"]) for one in facts if one[4] == "lead.merged"]
    journey = Journey(merge_classes(merges) if merges else NONE)
    for fact in facts:
        if fact[4] != "lead.merged":
            _TAKE[fact[4]](journey, fact)
    _resolve(journey, zone)
    return journey


_STATED = {"campaign_id": "campaign", "channel": "channel", "source": "source", "medium": "medium", "utm": "utm"}


# Taking in what facts state


def take_lead(journey: Journey, fact: Fact) -> Lead:
    """Take in what a fact states of a lead."""
    _, _, _, _, kind, data = fact
    lead = _entity(journey, "leads", Lead, journey.names.get(data["lead_id"], data["lead_id"]))
    if kind == "lead.captured":
        lead.captured = lead.captured or fact
        for name, value in data.items():
            if value and name in _STATED:
                setattr(lead, _STATED[name], value)
    elif kind == "lead.qualified":
        lead.qualified = lead.qualified or fact
    elif kind == "lead.campaign_reassigned":
        lead.campaign = data.get("campaign_id")
    if "owner_id" in data:
        lead.owner = data["owner_id"]
    return lead


def take_opportunity(journey: Journey, fact: Fact) -> Opportunity:
    """Take in what a fact states of an opportunity."""
    data = fact.data
    journey.only_leads = False
    one = _entity(journey, "opportunities", Opportunity, data["opportunity_id"])
    if fact.type == "opportunity.opened":
        one.opened = one.opened or fact
        one.campaign = data.get("campaign_id", one.campaign)
        one.owner = data.get("owner_id", one.owner)
        one.lead_ids = data.get("lead_ids", one.lead_ids)
    else:
        one.outcome = fact
    return one


def take_quote(journey: Journey, fact: Fact) -> Quote:
    """Take in what a fact states of a quote."""
    journey.only_leads = False
    one = _entity(journey, "quotes", Quote, fact.data["quote_id"])
    one.opportunity_id = fact.data["opportunity_id"]
    if fact.type == "quote.accepted":
        one.accepted = one.accepted or fact
    return one


def take_order(journey: Journey, fact: Fact) -> Order:
    """Take in what a fact states of an order."""
    data = fact.data
    journey.only_leads = False
    one = _entity(journey, "orders", Order, data["order_id"])
    if fact.type == "order.placed":
        one.placed = one.placed or fact
        one.campaign = data.get("campaign_id", one.campaign)
        one.account = data.get("account_id", one.account)
        one.new_customer = data.get("new_customer", one.new_customer)
        one.opportunity_id = data.get("opportunity_id", one.opportunity_id)
        one.quote_id = data.get("quote_id", one.quote_id)
        if one.cancelled is None or one.base is None:  # cancellation is final: a later placing posts nothing more
            one.base = money_of(data["net_value"])
        return one
    one.changes = (*one.changes, fact)
    if fact.type == "order.amended":
        if one.cancelled is None:
            one.amendments = (*one.amendments, (fact.micros, money_of(data["net_value"])))
    elif one.cancelled is None:
        one.cancelled = fact.micros
    return one


def take_invoice(journey: Journey, fact: Fact) -> Invoice:
    """Take in what a fact states of an invoice."""
    data = fact.data
    journey.only_leads = False
    one = _entity(journey, "invoices", Invoice, data["invoice_id"])
    if fact.type == "invoice.posted":
        one.posted = one.posted or fact
        one.order_id = data.get("order_id", one.order_id)
        day = recorded_day(data["posting_date"])
        one.day = day if one.day == NO_DAY else min(one.day, day)
        if one.cancelled is None or one.amount is None:
            one.amount = money_of(data["net_amount"])
            one.cogs = money_of(data["cogs"]) if "cogs" in data else one.cogs
        return one
    one.changes = (*one.changes, fact)
    if one.cancelled is None:
        one.cancelled = fact.micros
    return one


def take_credit_note(journey: Journey, fact: Fact) -> CreditNote:
    """Take in what a fact states of a credit note."""
    data = fact.data
    journey.only_leads = False
    one = _entity(journey, "credit_notes", CreditNote, data["credit_note_id"])
    one.last = fact
    one.invoice_id = data["invoice_id"]
    one.amount = money_of(data["net_amount"])
    one.day = recorded_day(data["posting_date"])
    one.cogs = money_of(data["cogs"]) if "cogs" in data else one.cogs
    return one


def by_type(of: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return what serves each type of event of a journey, given what serves each kind of entity."""
    kinds = {"invoice.credited": "credit_note"}
    names = [name for name, rule in RULES.items() if rule.component == "journey" and name != "lead.merged"]
    return {name: of[kinds.get(name, name.partition(".")[0])] for name in names}


_TAKE = by_type({
    "lead": take_lead, "opportunity": take_opportunity, "quote": take_quote, "order": take_order,
    "invoice": take_invoice, "credit_note": take_credit_note,
})  # fmt: skip


# Resolving links


def _resolve(journey: Journey, zone: Zone) -> None:
    """Link parents, then hand campaign, dimensions and cohort day down from leads to invoices."""
    for lead in journey.leads.values():
        place_lead(lead, journey, zone)
    if journey.only_leads:
        return
    for opportunity in journey.opportunities.values():
        if opportunity.opened:
            place_opportunity(opportunity, journey, zone)
    for quote in journey.quotes.values():
        place_quote(quote, journey, zone)
    for order in journey.orders.values():
        if order.placed:
            place_order(order, journey, zone)
    for invoice in journey.invoices.values():
        if invoice.posted:
            place_invoice(invoice, journey, zone)
    for note in journey.credit_notes.values():
        place_credit_note(note, journey)


def place_lead(lead: Lead, journey: Journey, zone: Zone) -> None:
    """Give a lead its dimensions and cohort day."""
    source, medium, utm = lead.source, lead.medium, lead.utm
    if utm:
        source, medium = source or utm.get("source") or None, medium or utm.get("medium") or None
    lead.where = Where(lead.campaign, lead.channel, source, medium, lead.owner)
    lead.cohort = zone.day(lead.captured[0]) if lead.captured else _first_date(lead, journey, zone)


def place_opportunity(one: Opportunity, journey: Journey, zone: Zone) -> None:
    """Link an opened opportunity with its leads, and choose the one that gives it its campaign and cohort day."""
    names = {journey.names.get(lead_id, lead_id): None for lead_id in one.lead_ids}
    one.leads = [journey.leads[name] for name in names if name in journey.leads]
    for lead in one.leads:
        lead.branch = (*lead.branch, one)
    captured = [lead for lead in one.leads if lead.captured]
    if len(captured) < len(names):
        one.awaited = names.keys() - {lead.id for lead in captured}
    if len(captured) > 1:
        captured.sort(key=lambda lead: (lead.captured and lead.captured[:2], lead.id))
    with_campaign = [lead for lead in captured if lead.campaign is not None]
    if one.campaign is None and with_campaign:
        one.giver = with_campaign[0]
    elif captured:
        one.giver = captured[0]
    giver = one.giver
    if giver is None:
        one.where = Where(one.campaign, owner=one.owner)
        one.cohort = _first_date(one, journey, zone)
        return
    campaign = giver.campaign if one.campaign is None else one.campaign
    one.where = Where(campaign, *giver.where[1:4], one.owner or giver.owner)
    one.cohort = giver.cohort


def place_quote(one: Quote, journey: Journey, zone: Zone) -> None:
    """Link a quote with its opportunity."""
    parent = one.parent = opened(journey, one.opportunity_id)
    if parent is not None:
        parent.quotes = (*parent.quotes, one)
        one.where, one.cohort = parent.where, parent.cohort
    elif one.accepted:
        one.cohort = _first_date(one, journey, zone)


def place_order(one: Order, journey: Journey, zone: Zone) -> None:
    """Link a placed order with its quote and its parent: the quote's opportunity if opened, else the one that it names."""
    quote = one.quote = journey.quotes.get(one.quote_id or "")
    one.named = journey.opportunities.get(one.opportunity_id or "")
    parent = one.parent = (quote.parent if quote else None) or opened(journey, one.opportunity_id)
    if parent is None:
        one.where, one.cohort = Where(one.campaign), _first_date(one, journey, zone)
        return
    parent.orders = (*parent.orders, one)
    one.where = parent.where if one.campaign is None else parent.where._replace(campaign=one.campaign)
    one.cohort = parent.cohort


def place_invoice(one: Invoice, journey: Journey, zone: Zone) -> None:
    """Link a posted invoice with its order."""
    parent = journey.orders.get(one.order_id or "")
    if parent is None or not parent.placed:
        one.cohort = _first_date(one, journey, zone)
        return
    one.parent = parent
    parent.invoices = (*parent.invoices, one)
    one.where, one.cohort = parent.where, parent.cohort


def place_credit_note(one: CreditNote, journey: Journey) -> None:
    """Link a credit note with its invoice."""
    invoice = journey.invoices.get(one.invoice_id)
    if invoice is not None and invoice.posted:
        one.invoice = invoice
        invoice.credits = (*invoice.credits, one)


def opened(journey: Journey, identity: str | None) -> Opportunity | None:
    """Return the opportunity of an id, if it is opened."""
    found = journey.opportunities.get(identity or "")
    return found if found is not None and found.opened else None


# The first date in a journey


def _first_date(one: Entity, journey: Journey, zone: Zone) -> int:
    """Return the least of the captured, qualified, opened, accepted, placed days and posting dates of an entity's journey."""
    if not journey.dated:
        journey.dated = True
        journey.first_dates = _FirstDates(journey, zone).work_out()
    return journey.first_dates[(one.kind, one.id)]


class _FirstDates:
    """The first date in the exact journey of each entity.

    Ids tie journeys together whether or not the entities behind them have arrived.
    """

    def __init__(self, journey: Journey, zone: Zone) -> None:
        self._journey = journey
        self._zone = zone

    def work_out(self) -> dict[tuple[str, str], int]:
        """Return them by (kind, id)."""
        dated = list(self._dated())
        parent: dict[tuple[str, str], tuple[str, str]] = {}

        def root(one: tuple[str, str]) -> tuple[str, str]:
            while (up := parent.setdefault(one, one)) != one:
                parent[one] = one = parent[up]
            return one

        for one, ties, _ in dated:
            root(one)
            for other in ties:
                parent[root(other)] = root(one)
        first: dict[tuple[str, str], int] = {}
        for one, _, days in dated:
            if days:
                top = root(one)
                first[top] = min(first.get(top, days[0]), *days)
        return {one: first.get(root(one), NO_DAY) for one, _, _ in dated}

    def _dated(self) -> Iterable[tuple[tuple[str, str], list[tuple[str, str]], list[int]]]:
        journey = self._journey
        for lead in journey.leads.values():
            yield ("lead", lead.id), [], self._days_of(lead.captured, lead.qualified)
        for one in journey.opportunities.values():
            ties = [("lead", journey.names.get(lead, lead)) for lead in one.lead_ids]
            yield ("opportunity", one.id), ties, self._days_of(one.opened)
        for quote in journey.quotes.values():
            yield ("quote", quote.id), [("opportunity", quote.opportunity_id)], self._days_of(quote.accepted)
        for order in journey.orders.values():
            named = (("opportunity", order.opportunity_id), ("quote", order.quote_id))
            ties = [(kind, identity) for kind, identity in named if identity is not None]
            yield ("order", order.id), ties, self._days_of(order.placed)
        for invoice in journey.invoices.values():
            ties = [("order", invoice.order_id)] if invoice.order_id is not None else []
            yield ("invoice", invoice.id), ties, [invoice.day] if invoice.posted else []
        for note in journey.credit_notes.values():
            yield ("credit_note", note.id), [("invoice", note.invoice_id)], [note.day]

    def _days_of(self, *marks: Fact | None) -> list[int]:
        return [self._zone.day(one.micros) for one in marks if one is not None]
