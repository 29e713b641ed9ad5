"""Where everything belongs: campaigns, cohorts, journeys and branches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from tests.reference.facts import Event, Facts, Invoice, Lead, Node, Opportunity, Order, Quote, last_stated


@dataclass(frozen=True)
class Place:
    """Where a figure belongs, and its cohort day."""

    campaign: str | None
    cohort: date | None
    campaign_type: str | None = None
    parent: str | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    lead_magnet: str | None = None
    owner: str | None = None
    team: str | None = None
    region: str | None = None
    origin: str | None = None  # the lead that gave the cohort day


class Places:
    """Answers where an entity belongs, straight from the facts."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.first_dates = self._first_dates()

    # ---- places ----------------------------------------------------------------------------------------------

    def _campaign_says(self, campaign: str | None, name: str) -> str | None:
        if campaign is None:
            return None
        events = self.facts.family("campaign.registered", "campaign.updated")
        value: str | None = last_stated([e for e in events if e.data["campaign_id"] == campaign], name)
        return value

    def _topmost(self, campaign: str | None) -> str | None:
        """Give its topmost ancestor; itself where it has none, or where its line ends in a circle."""
        line = [campaign]
        while (parent := self._campaign_says(line[-1], "parent_id")) is not None:
            if parent in line:
                return campaign
            line.append(parent)
        return line[-1]

    def place_of_campaign(self, campaign: str | None, day: date | None) -> Place:
        says = self._campaign_says
        return Place(campaign, day, says(campaign, "campaign_type"), self._topmost(campaign), says(campaign, "channel"))

    def _place(self, campaign: str | None, lead: Lead | None, day: date) -> Place:
        place = self.place_of_campaign(campaign, day)
        if lead is None:
            return place
        channel = place.channel if lead.channel is None else lead.channel
        of_lead = replace(place, channel=channel, source=lead.source, medium=lead.medium)
        return replace(of_lead, lead_magnet=lead.lead_magnet, owner=lead.owner)

    def place_lead(self, lead: Lead) -> Place:
        day = self.first_dates.get(("lead", lead.id), date.max)  # of one that was neither captured nor qualified
        if lead.captured is not None:
            day = lead.captured.day(self.facts.zone)
        return self._place(lead.campaign, lead, day)

    def captured_leads(self, opportunity: Opportunity) -> list[Lead]:
        """Give the captured leads that it lists, earliest first."""
        found = [self.facts.leads[i] for i in opportunity.lead_ids if i in self.facts.leads]
        pairs = [(lead.captured.at, lead.id, lead) for lead in found if lead.captured is not None]
        return [lead for _, _, lead in sorted(pairs, key=lambda p: p[:2])]

    def campaign_and_lead(self, opportunity: Opportunity) -> tuple[str | None, Lead | None]:
        leads = self.captured_leads(opportunity)
        earliest = leads[0] if leads else None
        if opportunity.campaign is not None:
            return opportunity.campaign, earliest
        for lead in leads:
            if lead.campaign is not None:
                return lead.campaign, lead
        return None, earliest

    def _place_under(self, opportunity: Opportunity | None, own_campaign: str | None, node: Node) -> Place:
        """Place what stands under an opportunity, or what names its own campaign, or what hangs alone."""
        campaign, lead = (None, None) if opportunity is None else self.campaign_and_lead(opportunity)
        day = self.first_dates.get(node, date.max)  # of one with no date at all
        if lead is not None and lead.captured is not None:
            day = lead.captured.day(self.facts.zone)
        place = self._place(campaign if own_campaign is None else own_campaign, lead, day)
        if opportunity is None:
            return place
        owner = place.owner if opportunity.owner is None else opportunity.owner
        origin = None if lead is None else lead.id
        return replace(place, owner=owner, team=opportunity.team, region=opportunity.region, origin=origin)

    def place_opportunity(self, opportunity: Opportunity) -> Place:
        return self._place_under(opportunity, None, ("opportunity", opportunity.id))

    def place_quote(self, quote: Quote) -> Place:
        return self._place_under(self.facts.opportunities.get(quote.opportunity_id), None, ("quote", quote.id))

    def parent_of(self, order: Order) -> Opportunity | None:
        quote = self.facts.quotes.get(order.quote_id or "")
        if quote is not None and quote.opportunity_id in self.facts.opportunities:
            return self.facts.opportunities[quote.opportunity_id]
        return self.facts.opportunities.get(order.opportunity_id or "")

    def place_order(self, order: Order) -> Place:
        return self._place_under(self.parent_of(order), order.campaign, ("order", order.id))

    def place_invoice(self, invoice: Invoice) -> Place:
        order = self.facts.orders.get(invoice.order_id or "")
        if order is not None:
            return self.place_order(order)
        return self._place_under(None, None, ("invoice", invoice.id))

    # ---- journeys --------------------------------------------------------------------------------------------

    def edges(self) -> list[tuple[Node, Node]]:
        facts = self.facts
        edges: list[tuple[Node, Node]] = []
        for opportunity in facts.opportunities.values():
            edges += [(("opportunity", opportunity.id), ("lead", lead_id)) for lead_id in opportunity.lead_ids]
        for quote in facts.quotes.values():
            edges.append((("quote", quote.id), ("opportunity", quote.opportunity_id)))
        for order in facts.orders.values():
            if order.opportunity_id is not None:
                edges.append((("order", order.id), ("opportunity", order.opportunity_id)))
            if order.quote_id is not None:
                edges.append((("order", order.id), ("quote", order.quote_id)))
        for invoice in facts.invoices.values():
            if invoice.order_id is not None:
                edges.append((("invoice", invoice.id), ("order", invoice.order_id)))
        for credit in facts.credits.values():
            edges.append((("credit_note", credit.id), ("invoice", credit.invoice_id)))
        return edges

    def _own_dates(self) -> dict[Node, list[date]]:
        facts, zone = self.facts, self.facts.zone
        dates: dict[Node, list[date]] = {}
        for lead in facts.leads.values():
            dates["lead", lead.id] = [e.day(zone) for e in (lead.captured, lead.qualified) if e is not None]
        for opportunity in facts.opportunities.values():
            dates["opportunity", opportunity.id] = [opportunity.opened.day(zone)]
        for quote in facts.quotes.values():
            dates["quote", quote.id] = [] if quote.accepted is None else [quote.accepted.day(zone)]
        for order in facts.orders.values():
            dates["order", order.id] = [order.day]
        for invoice in facts.invoices.values():
            dates["invoice", invoice.id] = [invoice.day]
        for credit in facts.credits.values():
            dates["credit_note", credit.id] = [credit.day]
        return dates

    def _first_dates(self) -> dict[Node, date]:
        """Give the first date of the journey that each node hangs in."""
        own = self._own_dates()
        neighbours: dict[Node, list[Node]] = {node: [] for node in own}
        for a, b in self.edges():
            neighbours.setdefault(a, []).append(b)
            neighbours.setdefault(b, []).append(a)
        first: dict[Node, date] = {}
        done: set[Node] = set()
        for start in neighbours:
            if start in done:
                continue
            journey, waiting = {start}, [start]
            while waiting:
                for node in neighbours[waiting.pop()]:
                    if node not in journey:
                        journey.add(node)
                        waiting.append(node)
            dates = [day for node in journey for day in own.get(node, [])]
            if dates:
                first |= dict.fromkeys(journey, min(dates))
            done |= journey
        return first

    # ---- branches ------------------------------------------------------------------------------

    def branch(self, lead: Lead) -> list[Opportunity]:
        found = [o for o in self.facts.opportunities.values() if lead.id in o.lead_ids]
        return sorted(found, key=lambda o: o.opened.key)

    def orders_under(self, opportunity: Opportunity) -> list[Order]:
        found = [o for o in self.facts.orders.values() if self.parent_of(o) is opportunity]
        return sorted(found, key=lambda o: o.placed.key)

    def live_orders(self, opportunity: Opportunity) -> list[Order]:
        return [o for o in self.orders_under(opportunity) if o.cancelled is None]

    def orders_of_branch(self, lead: Lead) -> list[Order]:
        found = [order for o in self.branch(lead) for order in self.orders_under(o)]
        return sorted(found, key=lambda o: o.placed.key)

    def live_invoices(self, order: Order) -> list[Invoice]:
        found = [i for i in self.facts.invoices.values() if i.order_id == order.id and i.cancelled is None]
        return sorted(found, key=lambda i: i.posted.key)

    def accepted_quotes(self, opportunity: Opportunity) -> list[tuple[Event, Quote]]:
        quotes = [q for q in self.facts.quotes.values() if q.opportunity_id == opportunity.id]
        return sorted(((q.accepted, q) for q in quotes if q.accepted is not None), key=lambda p: p[0].key)
