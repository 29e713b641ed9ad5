"""The journey (SPEC section 2): leads – opportunities – quotes – orders – invoices – credit notes, folded from facts.

`fold` takes all live facts of a component in event order and returns its entities with their links resolved: who is whose
parent, which campaign an entity belongs to, on which cohort day. It is pure and does not care how the facts arrived.
A component may hold more than one journey (a link may have been restated or voided), which only matters for "the first
date in the journey", where the exact journey is worked out. First-time marks (captured, qualified, opened, accepted,
placed, posted) are the earliest fact that states them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from service.domain.calendar import Zone, parse_day
from service.domain.facts import RULES, Fact, merge_classes
from service.domain.money import Money, parse_amount


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


class Lead:
    """A lead, or the class of leads that were merged into one; its `branch` is the opportunities that list it."""

    captured: Fact | None = None
    qualified: Fact | None = None
    campaign: str | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    utm: Mapping[str, str | None] = MappingProxyType({})
    owner: str | None = None
    branch: Sequence[Opportunity] = ()
    where = NOWHERE
    cohort = NO_DAY

    def __init__(self, identity: str) -> None:
        self.id = identity


class Opportunity:
    """An opportunity; `giver` is the lead whose dimensions and capture day its money takes."""

    opened: Fact | None = None
    campaign: str | None = None
    owner: str | None = None
    lead_ids: Sequence[str] = ()
    outcome: Fact | None = None
    giver: Lead | None = None
    where = NOWHERE
    cohort = NO_DAY

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.quotes: list[Quote] = []
        self.orders: list[Order] = []


class Quote:
    """A quote, known by any event about it; `accepted` is the first time it was."""

    accepted: Fact | None = None
    opportunity_id = ""
    parent: Opportunity | None = None
    where = NOWHERE
    cohort = NO_DAY

    def __init__(self, identity: str) -> None:
        self.id = identity


class Order:
    """An order: the `base` value last placed, the amendments on top, and the cancellation that ends it."""

    placed: Fact | None = None
    base: Money | None = None
    cancelled: int | None = None
    campaign: str | None = None
    account: str | None = None
    new_customer: bool | None = None
    opportunity_id: str | None = None
    quote_id: str | None = None
    parent: Opportunity | None = None
    where = NOWHERE
    cohort = NO_DAY

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.amendments: list[tuple[int, Money]] = []
        self.changes: list[Fact] = []
        self.invoices: list[Invoice] = []

    @property
    def live(self) -> bool:
        """A live order was placed and not cancelled."""
        return self.base is not None and self.cancelled is None


class Invoice:
    """An invoice: what was last posted, on the least posting date, its credit notes and its cancellation."""

    posted: Fact | None = None
    amount: Money | None = None
    cogs: Money | None = None
    day = NO_DAY
    cancelled: int | None = None
    order_id: str | None = None
    parent: Order | None = None
    where = NOWHERE
    cohort = NO_DAY

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.changes: list[Fact] = []
        self.credits: list[CreditNote] = []

    @property
    def live(self) -> bool:
        """A live invoice was posted and not cancelled."""
        return self.amount is not None and self.cancelled is None


class CreditNote:
    """A credit note, as its last statement has it."""

    invoice_id = ""
    amount = Money(0, "")
    cogs: Money | None = None
    day = NO_DAY

    def __init__(self, identity: str, fact: Fact) -> None:
        self.id = identity
        self.last = fact


class Journey:
    """The entities of one component by id."""

    __slots__ = ("credit_notes", "invoices", "leads", "names", "only_leads", "opportunities", "orders", "quotes")

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names  # merged lead id → the id its class goes by
        self.only_leads = True  # as is usual: nothing has come out of the leads yet
        self.leads: dict[str, Lead] = {}
        self.opportunities: dict[str, Opportunity] = {}
        self.quotes: dict[str, Quote] = {}
        self.orders: dict[str, Order] = {}
        self.invoices: dict[str, Invoice] = {}
        self.credit_notes: dict[str, CreditNote] = {}

    def lead(self, identity: str) -> Lead:
        """Return the lead, or the class of leads, of an id."""
        identity = self.names.get(identity, identity)
        found = self.leads.get(identity)
        if found is None:
            found = self.leads[identity] = Lead(identity)
        return found

    def stated_of(self, fact: Fact) -> dict[str, Any] | None:
        """Return what is known of the lead or quote of a fact; None where that is nothing, or in lists that grow."""
        data = fact[5]
        entity = self.leads.get(self.names.get(data["lead_id"], data["lead_id"])) if "lead_id" in data else None
        if entity is None and "quote_id" in data:
            quote = self.quotes.get(data["quote_id"])
            return dict(vars(quote)) if quote and "order_id" not in data else None
        return dict(vars(entity)) if entity else None

    def listing(self, opportunity: Opportunity) -> list[Lead]:
        """Return the distinct leads with events of their own that an opportunity lists."""
        found = {self.names.get(one, one): None for one in opportunity.lead_ids}
        return [self.leads[one] for one in found if one in self.leads]


def money_of(stated: dict[str, str]) -> Money:
    """Return validated money as minor units."""
    return Money(parse_amount(stated["amount"], stated["currency"]), stated["currency"])


def fold(facts: Sequence[Fact], zone: Zone) -> Journey:
    """Fold live facts in event order into entities, links resolved (campaign, dimensions, cohort day)."""
    merges = [(one[5]["survivor_id"], one[5]["merged_id"]) for one in facts if one[4] == "lead.merged"]
    journey = Journey(merge_classes(merges) if merges else {})
    for fact in facts:
        _take(journey, fact)
    _resolve(journey, zone)
    return journey


def fold_on(journey: Journey, fact: Fact, zone: Zone) -> bool | None:
    """Fold one more fact, which comes last in event order, into a journey.

    Tells whether it changed anything; None where only a new fold will do.
    """
    if fact[4] == "lead.merged":  # it renames what has been folded already
        return None
    stated = journey.stated_of(fact)
    _take(journey, fact)
    if stated is not None and stated == journey.stated_of(fact):
        return False
    if not journey.only_leads:
        _unlink(journey)
    _resolve(journey, zone)
    return True


_STATED = {"campaign_id": "campaign", "channel": "channel", "source": "source", "medium": "medium", "utm": "utm"}


def _lead(journey: Journey, fact: Fact) -> None:
    kind, data = fact[4], fact[5]
    if kind == "lead.merged":
        return
    lead = journey.lead(data["lead_id"])
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


def _opportunity(journey: Journey, fact: Fact) -> None:
    data = fact.data
    identity = data["opportunity_id"]
    one = journey.opportunities.get(identity)
    if one is None:
        one = journey.opportunities[identity] = Opportunity(identity)
    if fact.type == "opportunity.opened":
        one.opened = one.opened or fact
        one.campaign = data.get("campaign_id", one.campaign)
        one.owner = data.get("owner_id", one.owner)
        one.lead_ids = data.get("lead_ids", one.lead_ids)
    else:
        one.outcome = fact


def _quote(journey: Journey, fact: Fact) -> None:
    identity = fact.data["quote_id"]
    one = journey.quotes.get(identity)
    if one is None:
        one = journey.quotes[identity] = Quote(identity)
    one.opportunity_id = fact.data["opportunity_id"]
    if fact.type == "quote.accepted":
        one.accepted = one.accepted or fact


def _order(journey: Journey, fact: Fact) -> None:
    data = fact.data
    identity = data["order_id"]
    one = journey.orders.get(identity)
    if one is None:
        one = journey.orders[identity] = Order(identity)
    if fact.type == "order.placed":
        one.placed = one.placed or fact
        one.campaign = data.get("campaign_id", one.campaign)
        one.account = data.get("account_id", one.account)
        one.new_customer = data.get("new_customer", one.new_customer)
        one.opportunity_id = data.get("opportunity_id", one.opportunity_id)
        one.quote_id = data.get("quote_id", one.quote_id)
        if one.cancelled is None or one.base is None:  # cancellation is final: a later placing posts nothing more
            one.base = money_of(data["net_value"])
        return
    one.changes.append(fact)
    if fact.type == "order.amended":
        if one.cancelled is None:
            one.amendments.append((fact.micros, money_of(data["net_value"])))
    elif one.cancelled is None:
        one.cancelled = fact.micros


def _invoice(journey: Journey, fact: Fact) -> None:
    data = fact.data
    if fact.type == "invoice.credited":
        _credit_note(journey.credit_notes, fact)
        return
    identity = data["invoice_id"]
    one = journey.invoices.get(identity)
    if one is None:
        one = journey.invoices[identity] = Invoice(identity)
    if fact.type == "invoice.posted":
        one.posted = one.posted or fact
        one.order_id = data.get("order_id", one.order_id)
        day = parse_day(data["posting_date"])
        one.day = day if one.day == NO_DAY else min(one.day, day)
        if one.cancelled is None or one.amount is None:
            one.amount = money_of(data["net_amount"])
            one.cogs = money_of(data["cogs"]) if "cogs" in data else one.cogs
        return
    one.changes.append(fact)
    if one.cancelled is None:
        one.cancelled = fact.micros


def _credit_note(notes: dict[str, CreditNote], fact: Fact) -> None:
    identity = fact.data["credit_note_id"]
    one = notes.get(identity)
    if one is None:
        one = notes[identity] = CreditNote(identity, fact)
    one.last = fact
    one.invoice_id = fact.data["invoice_id"]
    one.amount = money_of(fact.data["net_amount"])
    one.day = parse_day(fact.data["posting_date"])
    one.cogs = money_of(fact.data["cogs"]) if "cogs" in fact.data else one.cogs


_FOLDS_OF = {"lead": _lead, "opportunity": _opportunity, "quote": _quote, "order": _order, "invoice": _invoice}
_FOLDS = {name: _FOLDS_OF[name.partition(".")[0]] for name, rule in RULES.items() if rule.component == "journey"}


def _take(journey: Journey, fact: Fact) -> None:
    take = _FOLDS[fact[4]]
    if take is not _lead:
        journey.only_leads = False
    take(journey, fact)


def _unlink(journey: Journey) -> None:
    """Forget who is whose parent, to be resolved again."""
    for lead in journey.leads.values():
        lead.branch = ()
    for opportunity in journey.opportunities.values():
        opportunity.giver, opportunity.quotes, opportunity.orders = None, [], []
    for quote in journey.quotes.values():
        quote.parent, quote.where, quote.cohort = None, NOWHERE, NO_DAY
    for order in journey.orders.values():
        order.parent, order.invoices = None, []
    for invoice in journey.invoices.values():
        invoice.parent, invoice.credits = None, []


def _resolve(journey: Journey, zone: Zone) -> None:
    """Link parents, then hand campaign, dimensions and cohort day down from leads to invoices."""
    first = _FirstDates(journey, zone)
    for lead in journey.leads.values():
        source, medium, utm = lead.source, lead.medium, lead.utm
        if utm:
            source, medium = source or utm.get("source") or None, medium or utm.get("medium") or None
        lead.where = Where(lead.campaign, lead.channel, source, medium, lead.owner)
        lead.cohort = zone.day(lead.captured.micros) if lead.captured else first("lead", lead.id)
    if journey.only_leads:
        return
    for opportunity in journey.opportunities.values():
        if opportunity.opened:
            _place_opportunity(opportunity, journey, first)
    for quote in journey.quotes.values():
        quote.parent = _opened(journey, quote.opportunity_id)
        if quote.parent:
            quote.parent.quotes.append(quote)
            quote.where, quote.cohort = quote.parent.where, quote.parent.cohort
        elif quote.accepted:
            quote.cohort = first("quote", quote.id)
    for order in journey.orders.values():
        if order.placed:
            _place_order(order, journey, first)
    for invoice in journey.invoices.values():
        if invoice.posted:
            parent = journey.orders.get(invoice.order_id or "")
            if parent is not None and parent.placed:
                invoice.parent = parent
                parent.invoices.append(invoice)
            invoice.where = invoice.parent.where if invoice.parent else NOWHERE
            invoice.cohort = invoice.parent.cohort if invoice.parent else first("invoice", invoice.id)
    for note in journey.credit_notes.values():
        credited = journey.invoices.get(note.invoice_id)
        if credited is not None and credited.posted:
            credited.credits.append(note)


def _place_opportunity(one: Opportunity, journey: Journey, first: _FirstDates) -> None:
    listed = journey.listing(one)
    for lead in listed:
        lead.branch = [*lead.branch, one]
    captured = [lead for lead in listed if lead.captured]
    captured.sort(key=lambda lead: (lead.captured and lead.captured[:2], lead.id))
    with_campaign = [lead for lead in captured if lead.campaign is not None]
    if one.campaign is None and with_campaign:
        one.giver = with_campaign[0]
    elif captured:
        one.giver = captured[0]
    giver = one.giver
    if giver is None:
        one.where = Where(one.campaign, owner=one.owner)
        one.cohort = first("opportunity", one.id)
        return
    campaign = giver.campaign if one.campaign is None else one.campaign
    one.where = giver.where._replace(campaign=campaign, owner=one.owner or giver.owner)
    one.cohort = giver.cohort


def _place_order(one: Order, journey: Journey, first: _FirstDates) -> None:
    quote = journey.quotes.get(one.quote_id or "")
    parent = (quote.parent if quote else None) or _opened(journey, one.opportunity_id)
    if parent is None:
        one.where, one.cohort = Where(one.campaign), first("order", one.id)
        return
    one.parent = parent
    parent.orders.append(one)
    one.where = parent.where if one.campaign is None else parent.where._replace(campaign=one.campaign)
    one.cohort = parent.cohort


def _opened(journey: Journey, identity: str | None) -> Opportunity | None:
    found = journey.opportunities.get(identity or "")
    return found if found is not None and found.opened else None


class _FirstDates:
    """The first date in the exact journey of an entity, worked out only when one is asked for.

    It is the least of the captured, qualified, opened, accepted and placed days and the posting dates. Ids tie journeys
    together whether or not the entities behind them have arrived.
    """

    def __init__(self, journey: Journey, zone: Zone) -> None:
        self._journey = journey
        self._zone = zone
        self._days: dict[tuple[str, str], int] | None = None

    def __call__(self, kind: str, identity: str) -> int:
        if self._days is None:
            self._days = self._work_out()
        return self._days[(kind, identity)]

    def _work_out(self) -> dict[tuple[str, str], int]:
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
