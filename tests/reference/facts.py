"""Reads a heap of CloudEvents into entities, by brute force: the slow and plain first half of the reference."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))",
)
DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3}
QUOTE_TYPES = ("quote.sent", "quote.accepted", "quote.rejected", "quote.expired")
DECIDING_TYPES = ("opportunity.won", "opportunity.lost", "opportunity.reopened")
Node = tuple[str, str]  # ("lead" | "opportunity" | "quote" | "order" | "invoice" | "credit_note", id)


def digits_of(currency: str) -> int:
    return DIGITS.get(currency, 2)


def instant(text: str) -> Fraction:
    """Seconds since 1970 in UTC, exactly, however many digits the second has."""
    found = RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    whole = datetime(year, month, day, hour, minute, tzinfo=UTC) - EPOCH
    fraction = Fraction(int(found[7]), 10 ** len(found[7])) if found[7] else Fraction(0)
    offset = 0
    if found[9]:
        offset = (int(found[10]) * 60 + int(found[11])) * 60 * (1 if found[9] == "+" else -1)
    return whole.days * 86400 + whole.seconds + second + fraction - offset


@dataclass(frozen=True)
class Event:
    at: Fraction
    source: str
    id: str
    type: str
    data: Mapping[str, Any]

    @property
    def key(self) -> tuple[Fraction, str, str]:
        """Event order; Python compares strings by code point."""
        return (self.at, self.source, self.id)

    @property
    def identity(self) -> tuple[str, str]:
        return (self.source, self.id)

    def day(self, zone: ZoneInfo) -> date:
        return (EPOCH + timedelta(seconds=floor(self.at))).astimezone(zone).date()


@dataclass(frozen=True)
class Money:
    amount: Fraction
    currency: str


def money(raw: Mapping[str, str]) -> Money:
    return Money(Fraction(raw["amount"]), raw["currency"])


def is_stated(value: Any) -> bool:
    """Absent, null or an empty text states nothing, ids too."""
    return value is not None and value != ""


def last_stated(events: Iterable[Event], *path: str) -> Any:
    """Give the last value stated under that path."""
    value = None
    for event in events:
        here: Any = event.data
        for name in path:
            here = here.get(name) if is_stated(here) else None
        if is_stated(here):
            value = here
    return value


def last_of_link(events: Iterable[Event], name: str) -> Any:
    """Give the last value stated; what the link says stands in where an event states none itself."""
    value = None
    for event in events:
        own = last_stated([event], name)
        said = last_stated([event], "utm", name) if own is None else own
        value = value if said is None else said
    return value


def read(raw: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Distinct events that were never voided, in event order."""
    distinct = {(e["source"], e["id"]): e for e in raw}
    events = [
        Event(instant(e["time"]), e["source"], e["id"], e["type"], e.get("data") or {}) for e in distinct.values()
    ]
    events.sort(key=lambda e: e.key)
    voids = [e for e in events if e.type == "event.voided"]

    def is_voided(event: Event) -> bool:
        if event.type == "subject.erased":
            return False
        for void in voids:
            if (void.data["source"], void.data["id"]) != event.identity:
                continue
            if event.type == "event.voided" and void.key <= event.key:
                continue
            if not is_voided(void):
                return True
        return False

    return [e for e in events if not is_voided(e)]


def aliases(events: Sequence[Event], merge_type: str) -> dict[str, str]:
    """Each merged id to the name of its class: the least that was never merged away."""
    pairs = [(e.data["survivor_id"], e.data["merged_id"]) for e in events if e.type == merge_type]
    pairs = [(a, b) for a, b in pairs if a != b]
    name: dict[str, str] = {}
    for start in {i for pair in pairs for i in pair}:
        members = {start}
        for _ in pairs:
            for a, b in pairs:
                if a in members or b in members:
                    members |= {a, b}
        merged_away = {b for _, b in pairs}
        name[start] = min(members - merged_away or members)
    return name


@dataclass
class Lead:
    id: str
    captured: Event | None
    qualified: Event | None
    campaign: str | None
    channel: str | None
    source: str | None
    medium: str | None
    lead_magnet: str | None
    owner: str | None


@dataclass
class Opportunity:
    id: str
    opened: Event
    lead_ids: list[str]
    campaign: str | None
    owner: str | None
    team: str | None
    region: str | None
    decided: Event | None  # the latest won, lost or reopened


@dataclass
class Quote:
    id: str
    opportunity_id: str
    accepted: Event | None


@dataclass
class Order:
    id: str
    placed: Event  # the earliest
    day: date
    value: Money  # the base
    amendments: list[Event]
    cancelled: Event | None
    opportunity_id: str | None
    quote_id: str | None
    account: str | None
    campaign: str | None
    new_customer: bool | None


@dataclass
class Credit:
    id: str
    invoice_id: str
    stated: Event  # the last
    amount: Money
    cogs: Money | None
    day: date


@dataclass
class Invoice:
    id: str
    posted: Event  # the earliest
    day: date
    amount: Money
    cogs: Fraction | None
    cancelled: Event | None
    order_id: str | None
    credits: list[Credit] = field(default_factory=list)

    @property
    def fully_credited(self) -> bool:
        return bool(self.credits) and sum(c.amount.amount for c in self.credits) >= self.amount.amount


@dataclass
class Cost:
    id: str
    campaign: str
    amount: Money
    day: date
    reversals: list[Event]


@dataclass
class Call:
    rep: str
    day: date  # of the last statement
    outcome: str
    seconds: Fraction
    advanced: bool


class Facts:
    """Everything that the events say, entity by entity."""

    def __init__(self, raw: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> None:
        self.zone = zone
        self.events = read(raw)
        self.by_type: dict[str, list[Event]] = {}
        for event in self.events:
            self.by_type.setdefault(event.type, []).append(event)
        self.lead_names = aliases(self.events, "lead.merged")
        self.account_names = aliases(self.events, "account.merged")
        self.lead_events = [e for e in self.events if e.type.startswith("lead.") and e.type != "lead.merged"]
        self.leads = {i: self._lead(i) for i in sorted({self.lead_name(e.data["lead_id"]) for e in self.lead_events})}
        self.opportunities = {i: self._opportunity(i) for i in self._ids("opportunity_id", "opportunity.opened")}
        self.quotes = {i: self._quote(i) for i in self._ids("quote_id", *QUOTE_TYPES)}
        self.orders = {i: self._order(i) for i in self._ids("order_id", "order.placed")}
        self.invoices = {i: self._invoice(i) for i in self._ids("invoice_id", "invoice.posted")}
        self.credits = {i: self._credit(i) for i in self._ids("credit_note_id", "invoice.credited")}
        self.costs = {i: self._cost(i) for i in self._ids("cost_entry_id", "campaign.cost_booked")}
        self.calls = {i: self._call(i) for i in self._ids("call_id", "call.completed")}
        for credit in sorted(self.credits.values(), key=lambda c: c.stated.key):
            invoice = self.invoices.get(credit.invoice_id)
            if invoice is not None and invoice.amount.currency == credit.amount.currency:
                invoice.credits.append(credit)

    def lead_name(self, lead_id: str) -> str:
        return self.lead_names.get(lead_id, lead_id)

    def of(self, event_type: str, name: str, value: str) -> list[Event]:
        """Events of that type whose data names that value, in event order."""
        return [e for e in self.by_type.get(event_type, []) if e.data.get(name) == value]

    def family(self, *event_types: str) -> list[Event]:
        return sorted((e for t in event_types for e in self.by_type.get(t, [])), key=lambda e: e.key)

    def _ids(self, name: str, *event_types: str) -> list[str]:
        return sorted({e.data[name] for e in self.family(*event_types)})

    def _lead(self, lead_id: str) -> Lead:
        mine = [e for e in self.lead_events if self.lead_name(e.data["lead_id"]) == lead_id]
        captures = [e for e in mine if e.type == "lead.captured"]
        campaign = None
        for event in mine:
            if event.type == "lead.captured" and is_stated(event.data.get("campaign_id")):
                campaign = event.data["campaign_id"]
            if event.type == "lead.campaign_reassigned":
                campaign = event.data.get("campaign_id")
        return Lead(
            id=lead_id,
            captured=captures[0] if captures else None,
            qualified=next((e for e in mine if e.type == "lead.qualified"), None),
            campaign=campaign,
            channel=last_stated(captures, "channel"),
            source=last_of_link(captures, "source"),
            medium=last_of_link(captures, "medium"),
            lead_magnet=last_stated(captures, "lead_magnet"),
            owner=last_stated(mine, "owner_id"),
        )

    def _opportunity(self, opportunity_id: str) -> Opportunity:
        opened = self.of("opportunity.opened", "opportunity_id", opportunity_id)
        decisions = [e for e in self.family(*DECIDING_TYPES) if e.data["opportunity_id"] == opportunity_id]
        return Opportunity(
            id=opportunity_id,
            opened=opened[0],
            lead_ids=sorted({self.lead_name(i) for i in last_stated(opened, "lead_ids") or []}),
            campaign=last_stated(opened, "campaign_id"),
            owner=last_stated(opened, "owner_id"),
            team=last_stated(opened, "team"),
            region=last_stated(opened, "region"),
            decided=decisions[-1] if decisions else None,
        )

    def _quote(self, quote_id: str) -> Quote:
        mine = [e for e in self.family(*QUOTE_TYPES) if e.data["quote_id"] == quote_id]
        accepted = [e for e in mine if e.type == "quote.accepted"]
        return Quote(quote_id, last_stated(mine, "opportunity_id"), accepted[0] if accepted else None)

    def _order(self, order_id: str) -> Order:
        placings = self.of("order.placed", "order_id", order_id)
        cancelled = next(iter(self.of("order.cancelled", "order_id", order_id)), None)
        before = [e for e in placings if cancelled is None or e.key < cancelled.key]
        value = money((before[-1] if before else placings[0]).data["net_value"])
        amendments = [
            e
            for e in self.of("order.amended", "order_id", order_id)
            if (cancelled is None or e.key < cancelled.key) and e.data["net_value"]["currency"] == value.currency
        ]
        account = last_stated(placings, "account_id")
        return Order(
            id=order_id,
            placed=placings[0],
            day=placings[0].day(self.zone),
            value=value,
            amendments=amendments,
            cancelled=cancelled,
            opportunity_id=last_stated(placings, "opportunity_id"),
            quote_id=last_stated(placings, "quote_id"),
            account=self.account_names.get(account, account),
            campaign=last_stated(placings, "campaign_id"),
            new_customer=last_stated(placings, "new_customer"),
        )

    def _invoice(self, invoice_id: str) -> Invoice:
        postings = self.of("invoice.posted", "invoice_id", invoice_id)
        cancelled = next(iter(self.of("invoice.cancelled", "invoice_id", invoice_id)), None)
        before = [e for e in postings if cancelled is None or e.key < cancelled.key] or postings[:1]
        cogs = last_stated(before, "cogs")
        return Invoice(
            id=invoice_id,
            posted=postings[0],
            day=min(date.fromisoformat(e.data["posting_date"]) for e in postings),
            amount=money(before[-1].data["net_amount"]),
            cogs=None if cogs is None else money(cogs).amount,
            cancelled=cancelled,
            order_id=last_stated(postings, "order_id"),
        )

    def _credit(self, credit_note_id: str) -> Credit:
        statements = self.of("invoice.credited", "credit_note_id", credit_note_id)
        cogs = last_stated(statements, "cogs")
        return Credit(
            id=credit_note_id,
            invoice_id=statements[-1].data["invoice_id"],
            stated=statements[-1],
            amount=money(statements[-1].data["net_amount"]),
            cogs=None if cogs is None else money(cogs),
            day=date.fromisoformat(statements[-1].data["posting_date"]),
        )

    def _cost(self, cost_entry_id: str) -> Cost:
        booked = self.of("campaign.cost_booked", "cost_entry_id", cost_entry_id)[-1].data
        reversals = [
            e
            for e in self.of("campaign.cost_reversed", "cost_entry_id", cost_entry_id)
            if not is_stated(e.data.get("amount")) or e.data["amount"]["currency"] == booked["amount"]["currency"]
        ]
        amount, day = money(booked["amount"]), date.fromisoformat(booked["cost_date"])
        return Cost(cost_entry_id, booked["campaign_id"], amount, day, reversals)

    def _call(self, call_id: str) -> Call:
        told = self.of("call.completed", "call_id", call_id)
        return Call(
            rep=last_stated(told, "rep_id"),
            day=told[-1].day(self.zone),
            outcome=last_stated(told, "outcome"),
            seconds=Fraction(str(last_stated(told, "duration_s"))),
            advanced=last_stated(told, "advanced") is True,
        )
