"""Turns facts into dated, placed and converted postings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from tests.reference.facts import Event, Facts, Lead, Money, digits_of, money
from tests.reference.places import Place, Places

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANGES = (
    ("campaign.cost_reversed", "cost_entry", "cost_entry_id"),
    ("order.amended", "order", "order_id"),
    ("order.cancelled", "order", "order_id"),
    ("invoice.cancelled", "invoice", "invoice_id"),
)


@dataclass(frozen=True)
class Posting:
    measure: str
    amount: Fraction
    day: date | None  # None: never windowed
    place: Place


@dataclass(frozen=True)
class Sample:
    """One duration."""

    name: str
    days: Fraction
    day: date
    place: Place


@dataclass(frozen=True)
class Entry:
    """One amount as stated, in its own currency; `sign` turns it into its measure's sense."""

    kind: str
    id: str
    measure: str
    amount: Money
    day: date | None
    place: Place
    sign: int = 1


class Ledger:
    """All postings, samples, unconverted entries and pending links that follow from the facts."""

    def __init__(self, facts: Facts, currency: str) -> None:
        self.facts = facts
        self.zone = facts.zone
        self.places = Places(facts)
        self.currency = currency
        self.postings: list[Posting] = []
        self.samples: list[Sample] = []
        self.unconverted: list[Entry] = []
        self._post_budget()
        self._post_costs()
        self._post_leads()
        self._post_opportunities()
        self._post_quotes()
        self._post_orders()
        self._post_new_customers()
        self._post_invoices()
        self._post_calls()
        self._sample_leads()
        self._sample_opportunities()
        self._sample_orders()
        self.pending = self._pending()

    # ---- money -----------------------------------------------------------------------------------------------

    def rate(self, currency: str, day: date) -> Fraction | None:
        """Give the latest rate at or before that day; on one date direct before inverse, then the last statement."""
        if currency == self.currency:
            return Fraction(1)
        best: tuple[date, bool, int] | None = None
        found: Fraction | None = None
        for position, event in enumerate(self.facts.family("fx.rate_published")):
            pair = (event.data["base"], event.data["quote"])
            on, rate = date.fromisoformat(event.data["rate_date"]), Fraction(event.data["rate"])
            if on > day or pair not in {(currency, self.currency), (self.currency, currency)}:
                continue
            direct = pair == (currency, self.currency)
            if best is None or (on, direct, position) > best:
                best, found = (on, direct, position), rate if direct else 1 / rate
        return found

    def _post_chain(self, entries: Sequence[Entry], rate_day: date) -> None:
        """Post a first entry and what corrects it, all at the rate of one day.

        Each is rounded on its own, but the one that takes out exactly what is left takes what is left in the ledger's
        currency.
        """
        left = Fraction(0)
        left_here = Fraction(0)
        for entry in entries:
            if entry.amount.amount == 0:
                continue
            rate = self.rate(entry.amount.currency, rate_day)
            if rate is None:
                self.unconverted.append(entry)
                continue
            left += entry.amount.amount
            here = -left_here if left == 0 else round(entry.amount.amount * rate, digits_of(self.currency))
            left_here += here
            self.postings.append(Posting(entry.measure, here * entry.sign, entry.day, entry.place))

    def _count(self, measure: str, day: date, place: Place, amount: int = 1) -> None:
        self.postings.append(Posting(measure, Fraction(amount), day, place))

    # ---- postings --------------------------------------------------------------------------------------------

    def _post_budget(self) -> None:
        last: dict[tuple[str, str | None], Event] = {}
        for event in self.facts.family("campaign.budget_set"):
            last[event.data["campaign_id"], event.data.get("period") or None] = event
        for (campaign, _), event in last.items():
            place = self.places.place_of_campaign(campaign, None)
            entry = Entry("budget", campaign, "budget", money(event.data["amount"]), None, place)
            self._post_chain([entry], event.day(self.zone))

    def _post_costs(self) -> None:
        for cost in self.facts.costs.values():
            left = cost.amount.amount
            stated = [(left, cost.day)]
            for event in cost.reversals:
                amount, on = event.data.get("amount") or None, event.data.get("cost_date") or None
                taken = left if amount is None else min(left, money(amount).amount)
                left -= taken
                stated.append((-taken, cost.day if on is None else date.fromisoformat(on)))
            chain = []
            for taken, day in stated:  # costs stay on their own day in the cohort too
                place = self.places.place_of_campaign(cost.campaign, day)
                chain.append(Entry("cost", cost.id, "actual_cost", Money(taken, cost.amount.currency), day, place))
            self._post_chain(chain, cost.day)

    def _post_leads(self) -> None:
        for lead in self.facts.leads.values():
            if lead.captured is None and lead.qualified is None:
                continue
            place = self.places.place_lead(lead)
            if lead.qualified is not None:
                self._count("qualified", lead.qualified.day(self.zone), place)
            if lead.captured is not None:
                day = lead.captured.day(self.zone)
                self._count("captured", day, place)
                for step in self.steps_reached(lead):
                    self._count(f"funnel:{step}", day, place)

    def steps_reached(self, lead: Lead) -> list[str]:
        branch, orders = self.places.branch(lead), self.places.orders_of_branch(lead)
        invoices = [i for o in orders for i in self.places.live_invoices(o)]
        reached = {
            "captured": True,
            "qualified": lead.qualified is not None,
            "opportunity": bool(branch),
            "quote_accepted": any(self.places.accepted_quotes(o) for o in branch),
            "ordered": any(o.cancelled is None for o in orders),
            "invoiced": any(not i.fully_credited for i in invoices),
        }
        return [step for step, there in reached.items() if there]

    def _post_opportunities(self) -> None:
        for opportunity in self.facts.opportunities.values():
            place = self.places.place_opportunity(opportunity)
            opened = opportunity.opened.day(self.zone)
            self._count("opportunity", opened, place)
            live, decided = self.places.live_orders(opportunity), opportunity.decided
            if decided is not None and decided.type != "opportunity.reopened":
                self._count(decided.type.removeprefix("opportunity."), decided.day(self.zone), place)
            elif decided is None and live:
                self._count("won", live[0].day, place)
            else:
                self._count("open", opened, place)

    def _post_quotes(self) -> None:
        for quote in self.facts.quotes.values():
            if quote.accepted is not None:
                self._count("quote_accepted", quote.accepted.day(self.zone), self.places.place_quote(quote))

    def _post_orders(self) -> None:
        for order in self.facts.orders.values():
            place, currency, standing = self.places.place_order(order), order.value.currency, order.value.amount
            stated = [(standing, order.day)]
            self._count("ordered", order.day, place)
            for event in order.amendments:
                amended = money(event.data["net_value"]).amount
                stated.append((amended - standing, max(event.day(self.zone), order.day)))
                standing = amended
            if order.cancelled is not None:
                day = max(order.cancelled.day(self.zone), order.day)
                self._count("ordered", day, place, -1)
                stated.append((-standing, day))
            chain = [Entry("order", order.id, "booked_revenue", Money(a, currency), day, place) for a, day in stated]
            self._post_chain(chain, order.day)

    def _post_new_customers(self) -> None:
        for order in self.facts.orders.values():
            if order.cancelled is not None:
                continue
            new = order.new_customer is True
            account = [o for o in self.facts.orders.values() if o.account == order.account]
            if order.account is not None and all(o.new_customer is None for o in account):
                live = [o for o in account if o.cancelled is None]
                new = order is min(live, key=lambda o: o.placed.key)
            if new:
                self._count("new_customers", order.day, self.places.place_order(order))

    def _post_invoices(self) -> None:
        for invoice in self.facts.invoices.values():
            place, currency = self.places.place_invoice(invoice), invoice.amount.currency
            net, cogs = invoice.amount.amount, invoice.cogs or Fraction(0)

            def entry(kind: str, entry_id: str, measure: str, amount: Fraction, day: date) -> Entry:
                sign = -1 if measure == "credited" else 1
                return Entry(kind, entry_id, measure, Money(amount, currency), day, place, sign)  # noqa: B023

            self._count("invoiced", invoice.day, place)
            chain = [entry("invoice", invoice.id, "gross", net, invoice.day)]
            cogs_chain = [entry("invoice", invoice.id, "cogs", cogs, invoice.day)]
            for credit in invoice.credits:
                taken = credit.amount.amount
                share = taken / net if net else Fraction(0)
                own = credit.cogs if credit.cogs is not None and credit.cogs.currency == currency else None
                back = cogs * share if own is None else own.amount
                chain.append(entry("credit_note", credit.id, "credited", -taken, credit.day))
                cogs_chain.append(entry("credit_note", credit.id, "cogs", -back, credit.day))
            if invoice.cancelled is not None:
                day = max(invoice.cancelled.day(self.zone), invoice.day)
                self._count("invoiced", day, place, -1)
                left, cogs_left = (sum((e.amount.amount for e in c), Fraction(0)) for c in (chain, cogs_chain))
                chain.append(entry("invoice", invoice.id, "gross", -left, day))
                cogs_chain.append(entry("invoice", invoice.id, "cogs", -cogs_left, day))
            before = len(self.postings)
            self._post_chain(chain, invoice.day)
            if invoice.cogs is not None:
                known = [replace(p, measure=f"known_{p.measure}") for p in self.postings[before:]]
                self.postings += known
                self._post_chain(cogs_chain, invoice.day)

    def _post_calls(self) -> None:
        for call in self.facts.calls.values():
            place = Place(None, None, owner=call.rep)
            self._count("calls", call.day, place)
            self._count(call.outcome, call.day, place)
            if call.outcome == "answered":
                self._count("advanced", call.day, place, int(call.advanced))
                self.postings.append(Posting("talk", round(call.seconds, 6), call.day, place))

    # ---- durations -------------------------------------------------------------------------------------------

    def _sample(self, name: str, start: Event | None, end: Event | None, place: Place) -> None:
        if start is not None and end is not None:
            # Lengths are whole microseconds (docs/decisions); whether one is negative is decided at full precision.
            length = Fraction(floor(end.at * 10**6) - floor(start.at * 10**6), 10**6 * 86400)
            days = (end.at - start.at) / 86400 if end.at < start.at else length
            self.samples.append(Sample(name, days, end.day(self.zone), place))

    def _sample_leads(self) -> None:
        places = self.places
        for lead in self.facts.leads.values():
            if lead.captured is not None and lead.qualified is not None:
                self._sample("captured_to_qualified", lead.captured, lead.qualified, places.place_lead(lead))
            for opportunity in places.branch(lead)[:1]:
                place = places.place_opportunity(opportunity)
                self._sample("qualified_to_opened", lead.qualified, opportunity.opened, place)
            orders = places.orders_of_branch(lead)
            for order in [o for o in orders if o.cancelled is None][:1]:
                self._sample("full_cycle", lead.captured, order.placed, places.place_order(order))
            invoices = sorted((i for o in orders for i in places.live_invoices(o)), key=lambda i: i.posted.key)
            for invoice in invoices[:1]:
                self._sample("lead_to_cash", lead.captured, invoice.posted, places.place_invoice(invoice))

    def _sample_opportunities(self) -> None:
        for opportunity in self.facts.opportunities.values():
            for accepted, quote in self.places.accepted_quotes(opportunity)[:1]:
                self._sample("opened_to_accepted", opportunity.opened, accepted, self.places.place_quote(quote))
            for order in self.places.live_orders(opportunity)[:1]:
                self._sample("sales_cycle", opportunity.opened, order.placed, self.places.place_order(order))

    def _sample_orders(self) -> None:
        for order in self.facts.orders.values():
            if order.cancelled is not None:
                continue
            quote, parent = self.facts.quotes.get(order.quote_id or ""), self.places.parent_of(order)
            accepted = None if quote is None else quote.accepted
            if accepted is None and parent is not None:
                accepted = next((e for e, _ in self.places.accepted_quotes(parent)), None)
            self._sample("accepted_to_ordered", accepted, order.placed, self.places.place_order(order))
            for invoice in self.places.live_invoices(order)[:1]:
                self._sample("ordered_to_invoiced", order.placed, invoice.posted, self.places.place_invoice(invoice))

    # ---- pending links ---------------------------------------------------------------------------------------

    def _pending(self) -> set[tuple[object, tuple[str, str]]]:
        """Distinct (from, to) pairs whose target has not arrived."""
        facts = self.facts
        arrived = {("lead", lead.id) for lead in facts.leads.values() if lead.captured is not None}
        arrived |= {("opportunity", i) for i in facts.opportunities} | {("quote", i) for i in facts.quotes}
        arrived |= {("order", i) for i in facts.orders} | {("invoice", i) for i in facts.invoices}
        arrived |= {("cost_entry", i) for i in facts.costs}
        links: list[tuple[object, tuple[str, str]]] = [*self.places.edges()]
        for event_type, kind, name in CHANGES:
            links += [(e.identity, (kind, e.data[name])) for e in facts.family(event_type)]
        return {(a, b) for a, b in links if b not in arrived}
