"""What events, their fields and the figures mean, in words: the API description and the pages of the docs are made from it.

`EVENTS[type]` says what an event states and what that does; `FIELDS[name]` what a field of `data` holds; `example_of(type)`
is an event with all of its fields. `FIGURES[report][name]` says how a figure is made, and in which unit it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from service.domain.catalogue import CATALOGUE

EVENTS = {
    "campaign.cost_booked": "A cost of a campaign. Stated again with the same id, the last statement holds, its date too.",
    "lead.captured": "A lead came in: it enters the funnel on this day, and gives its campaign to all that comes out of it.",
    "lead.qualified": "A lead was found worth pursuing; the earliest such event counts.",
    "opportunity.opened": "A deal was opened. The leads that it lists tie it to what came before, and give it its campaign.",
    "quote.accepted": "A customer accepted a quote; the earliest such event counts.",
    "order.placed": "An order: booked revenue on its day. Stated again with the same id, the last value holds on the first day.",
    "invoice.posted": "An invoice: invoiced revenue on its posting date. With `cogs`, it has a margin.",
    "campaign.registered": "A campaign and its attributes. Campaigns that other events name need not be registered.",
    "campaign.updated": "New values of a campaign's attributes; what is absent stays.",
    "campaign.budget_set": "The budget of a campaign for a period; the last one counts, periods add up.",
    "campaign.cost_reversed": "Takes back a cost, in part or all that is left of it.",
    "campaign.messages_sent": "How many messages a campaign sent.",
    "touchpoint.recorded": "Somebody met a campaign.",
    "touchpoint.suppressed": "A touchpoint that is not to count.",
    "lead.campaign_reassigned": "A lead belongs to another campaign, or to none; all that it gave its campaign to moves along.",
    "lead.handed_over": "Marketing handed a lead over to sales.",
    "lead.accepted": "Sales accepted a lead.",
    "lead.rejected": "Sales rejected a lead.",
    "lead.followed_up": "Somebody followed up on a lead.",
    "lead.disqualified": "A lead was found not worth pursuing.",
    "lead.reopened": "A lead is pursued again.",
    "lead.merged": "Two leads are one, in all events before and after.",
    "contact.merged": "Two contacts are one, in all events before and after.",
    "account.merged": "Two accounts are one, in all events before and after.",
    "contact.registered": "A contact and how to reach them.",
    "contact.consent_changed": "A contact allowed a channel, or withdrew that.",
    "opportunity.stage_changed": "An opportunity is at another stage.",
    "opportunity.value_changed": "An opportunity is estimated anew.",
    "opportunity.contact_linked": "A contact takes part in an opportunity.",
    "opportunity.contact_unlinked": "A contact no longer takes part in an opportunity.",
    "opportunity.won": "An opportunity was won; the latest of won, lost and reopened is its outcome.",
    "opportunity.lost": "An opportunity was lost; the latest of won, lost and reopened is its outcome.",
    "opportunity.reopened": "An opportunity is open again; the latest of won, lost and reopened is its outcome.",
    "quote.sent": "A quote was sent.",
    "quote.rejected": "A customer rejected a quote.",
    "quote.expired": "A quote expired.",
    "order.amended": "A new value of an order: the difference is booked on this day.",
    "order.cancelled": "An order was cancelled, for good: what is left of its value goes on this day, and it no longer counts.",
    "invoice.credited": "A credit note: takes back invoiced revenue on its posting date; waits for its invoice.",
    "invoice.cancelled": "An invoice was cancelled: with its credit notes it ends at 0, and it no longer counts.",
    "payment.received": "A payment of an invoice.",
    "call.completed": "A sales call.",
    "case.opened": "A service case was opened.",
    "case.resolved": "A service case was resolved.",
    "csat.recorded": "How content a customer was with a case.",
    "account.churned": "A customer left.",
    "account.renewed": "A customer renewed.",
    "fx.rate_published": "An exchange rate: one `base` is `rate` of `quote`. Amounts that waited for it join the sums.",
    "attribution.model_published": "An attribution model and its version.",
    "sla.defined": "What is to follow an event within which time.",
    "subject.erased": "A person is to be forgotten: their data become unreadable, the figures stay.",
    "event.voided": "An event that never should have been: all is as if it had not been sent, whichever of the two comes first.",
}

FIELDS = {
    "account_id": "the customer's account",
    "activity_id": "the activity that it was spent on",
    "activity_type": "what happened: newsletter, white paper, visit …",
    "advanced": "whether the deal got further by it",
    "agent_id": "who has the case",
    "amount": "how much, excluding VAT",
    "base": "the currency of which one unit is worth `rate`; ISO 4217",
    "call_id": "the call's id",
    "campaign_id": "the campaign's id",
    "campaign_type": "kind of campaign, to group by",
    "case_id": "the case's id",
    "category": "kind of cost",
    "channel": "email, event, search …",
    "cogs": "costs of goods sold",
    "contact_id": "the contact's id",
    "contact_ids": "the contacts that take part",
    "cost_date": "the day the cost counts on",
    "cost_entry_id": "the cost entry's id",
    "count": "how many",
    "credit_note_id": "the credit note's id",
    "definition": "the model's parameters",
    "due_date": "when it has to be paid",
    "duration_s": "seconds",
    "emails": "mail addresses",
    "end_date": "last day of the campaign",
    "estimated_value": "what the deal may bring",
    "expected_close": "when it may be decided",
    "expected_revenue": "what the campaign is to bring",
    "from_event": "the event type that begins it",
    "granted": "whether it is allowed",
    "handles": "names in networks, by network",
    "id": "the `id` of the event",
    "interaction": "how close it was; a click counts more than a view",
    "invoice_id": "the invoice's id",
    "lead_id": "the lead's id",
    "lead_ids": "the leads that it came from",
    "lead_magnet": "what the lead was given for its address",
    "legal_basis": "why",
    "level": "how far it is qualified: by marketing, accepted by sales, by sales",
    "medium": "as in utm_medium, to group by",
    "merged_id": "the id that is no longer used; it goes on as a name of the other",
    "model_id": "the model's id",
    "name": "the campaign's name",
    "net_amount": "the invoice's or credit note's amount, excluding VAT",
    "net_value": "the order's value, excluding VAT",
    "new_customer": "whether the customer is new; where no order says so, an account's first order brings a new one",
    "official": "whether the official figures go by it",
    "opportunity_id": "the opportunity's id",
    "order_id": "the order's id",
    "outcome": "what came of the call",
    "owner_id": "who has it",
    "parent_id": "the campaign that this one is a part of",
    "payment_id": "the payment's id",
    "period": "which period it is for; absent = a period of its own",
    "phones": "telephone numbers",
    "posting_date": "the day it counts on",
    "probability": "from 0 to 1",
    "provider": "who published it",
    "quote": "the currency in which the rate is given; ISO 4217",
    "quote_id": "the quote's id",
    "rate": "units of `quote` for one of `base`",
    "rate_date": "the day from which it holds",
    "reason": "why, in words",
    "region": "sales region",
    "rep_id": "who called",
    "revision": "which revision of the quote",
    "role": "the contact's part in it",
    "score": "the score",
    "segment": "which leads or customers it is for",
    "sla_id": "the agreement's id",
    "source": "where it came from; of a void, the `source` of the event",
    "stage": "the stage's name",
    "start_date": "first day of the campaign",
    "subject_id": "the person's contact or lead id",
    "supplier_ref": "the supplier's number",
    "survivor_id": "the id that stays",
    "target_audience_size": "how many it is to reach",
    "tax": "VAT",
    "team": "sales team",
    "to_event": "the event type that ends it",
    "touchpoint_id": "the touchpoint's id",
    "utm": "source, medium, campaign, term, content of the link; none of them names a campaign",
    "value": "its value, excluding VAT",
    "version": "which version",
    "within_hours": "hours",
}

_EUR = {"amount": "1234.50", "currency": "EUR"}
_VALUES: dict[str, Any] = {
    **dict.fromkeys(
        ("amount", "cogs", "estimated_value", "expected_revenue", "net_amount", "net_value", "tax", "value"), _EUR
    ),
    "account_id": "AC-1", "activity_id": "stand", "activity_type": "newsletter", "advanced": True, "agent_id": "agent-3",
    "base": "USD", "call_id": "CALL-1", "campaign_id": "fair-2026", "campaign_type": "trade_fair", "case_id": "CASE-1",
    "category": "media", "channel": "event", "contact_id": "CT-1", "contact_ids": ["CT-1"], "cost_date": "2026-03-01",
    "cost_entry_id": "COST-1", "count": 1200, "credit_note_id": "CN-1", "definition": {"half_life_days": 7},
    "due_date": "2026-05-15", "duration_s": 312, "emails": ["kim@example.com"], "end_date": "2026-03-05",
    "expected_close": "2026-06-30", "from_event": "lead.captured", "granted": True, "handles": {"example": "kim"},
    "id": "crm-17", "interaction": "click", "invoice_id": "INV-1", "lead_id": "LD-1", "lead_ids": ["LD-1"],
    "lead_magnet": "white paper", "legal_basis": "request of the person", "level": "mql", "medium": "organic",
    "merged_id": "LD-2", "model_id": "weights", "name": "Hannover trade fair 2026", "new_customer": True, "official": False,
    "opportunity_id": "OP-1", "order_id": "SO-1", "outcome": "answered", "owner_id": "rep-7", "parent_id": "fairs",
    "payment_id": "PAY-1", "period": "2026", "phones": ["+49 511 5550100"], "posting_date": "2026-04-15", "probability": 0.4,
    "provider": "ECB", "quote": "EUR", "quote_id": "QU-1", "rate": "0.9223", "rate_date": "2026-03-01",
    "reason": "entered twice", "region": "EMEA", "rep_id": "rep-7", "revision": 2, "role": "buyer", "score": 4,
    "segment": "all", "sla_id": "first-call", "source": "/crm", "stage": "proposal", "start_date": "2026-03-01",
    "subject_id": "CT-1", "supplier_ref": "R-2026-17", "survivor_id": "LD-1", "target_audience_size": 5000, "team": "north",
    "to_event": "call.completed", "touchpoint_id": "TP-1", "utm": {"source": "example", "medium": "organic"}, "version": 1,
    "within_hours": 24,
}  # fmt: skip


_OWN_VALUES: dict[str, dict[str, Any]] = {
    "lead.captured": {"source": "newsletter"}, "campaign.messages_sent": {"channel": "email"},
    "contact.merged": {"survivor_id": "CT-1", "merged_id": "CT-2"}, "contact.consent_changed": {"channel": "email"},
    "account.merged": {"survivor_id": "AC-1", "merged_id": "AC-2"},
}  # fmt: skip
_NUMBERS = {name: number for number, name in enumerate(CATALOGUE, 4711)}


def example_of(event_type: str) -> dict[str, Any]:
    """Return an event of a type with all fields that it may have."""
    entry, values = CATALOGUE[event_type], _VALUES | _OWN_VALUES.get(event_type, {})
    return {
        "specversion": "1.0",
        "id": f"crm-{_NUMBERS[event_type]}",
        "source": "/crm",
        "type": event_type,
        "time": "2026-03-01T09:30:00+01:00",
        "data": {name: values[name] for name in (*entry.required, *entry.optional)},
    }


class Figure(NamedTuple):
    """How a figure is made, in which unit it is, and perhaps what else there is to know."""

    formula: str
    unit: str
    note: str = ""


_RATIO = "ratio, 6 decimals"
_MONEY = "money"
_RETURN_NOTE = "0 is break-even; 1.0 means that the money doubled"


def _duration(formula: str) -> Figure:
    return Figure(formula, "days, 4 decimals")


_STEPS = {
    "captured": "leads captured",
    "qualified": "leads qualified",
    "opportunity": "opportunities opened",
    "quote_accepted": "quotes accepted",
    "ordered": "orders placed, less those cancelled",
    "invoiced": "invoices posted, less those cancelled",
}
_REACHED = {
    "captured": "",
    "qualified": " that were qualified",
    "opportunity": " with an opportunity opened in their branch",
    "quote_accepted": " with a quote accepted in their branch",
    "ordered": " with a live order in their branch",
    "invoiced": " with a live invoice in their branch that is not fully credited",
}

FIGURES: dict[str, dict[str, Figure]] = {
    "roi": {
        "budget": Figure("Σ last budget of each campaign and period", _MONEY, "not cut to the window"),
        "actual_cost": Figure("Σ costs booked − Σ costs reversed", _MONEY),
        "budget_variance": Figure("budget − actual_cost", _MONEY),
        "booked_revenue": Figure("Σ value of live orders", _MONEY, "as amended; a cancellation takes it out on its own day"),
        "invoiced_revenue_gross": Figure("Σ invoices", _MONEY),
        "credited": Figure("Σ credit notes", _MONEY),
        "invoiced_revenue": Figure("invoiced_revenue_gross − credited", _MONEY),
        "cogs": Figure("Σ costs of goods sold that invoices state", _MONEY, "credit notes take theirs back"),
        "gross_margin": Figure("invoiced_revenue − cogs", _MONEY, "null unless the cogs of all of it is known"),
        "margin_coverage": Figure("invoiced revenue whose cogs is known / invoiced_revenue", _RATIO),
        "roi.booked": Figure("(booked_revenue − actual_cost) / actual_cost", _RATIO, _RETURN_NOTE),
        "roi.invoiced": Figure("(invoiced_revenue − actual_cost) / actual_cost", _RATIO, _RETURN_NOTE),
        "roi.margin": Figure("(gross_margin − actual_cost) / actual_cost", _RATIO, _RETURN_NOTE),
        "roas": Figure("invoiced_revenue / actual_cost", _RATIO, "1.0 means that the money came back as revenue"),
        "cost_to_revenue": Figure("actual_cost / invoiced_revenue", _RATIO),
        "break_even_roas": Figure("invoiced_revenue / gross_margin", _RATIO, "the roas at which the margin pays the cost"),
        "leads": Figure("leads captured", "count"),
        "qualified_leads": Figure("leads qualified", "count"),
        "opportunities": Figure("opportunities opened", "count"),
        "orders": Figure("orders placed, less those cancelled", "count"),
        "new_customers": Figure(
            "live orders with `new_customer`, else the first live order of an account", "count"
        ),
        "cost_per_lead": Figure("actual_cost / leads", _MONEY, "rounded half-even"),
        "cost_per_qualified_lead": Figure("actual_cost / qualified_leads", _MONEY, "rounded half-even"),
        "cost_per_opportunity": Figure("actual_cost / opportunities", _MONEY, "rounded half-even"),
        "cost_per_order": Figure("actual_cost / orders", _MONEY, "rounded half-even"),
        "cac": Figure("actual_cost / new_customers", _MONEY, "customer acquisition cost, rounded half-even"),
        "break_even_on": Figure(
            "first day on which cumulative return ≥ cumulative cost > 0", "day",
            "return is gross_margin where that is known, else invoiced_revenue; both within the window",
        ),
    },
    "conversion": {
        **{f"entered.{step}": Figure(f"Σ {what}", "count", "on their own days") for step, what in _STEPS.items()},
        **{
            f"funnel.{step}": Figure(
                f"leads captured in the window{what}", "count, and two ratios"
            )
            for step, what in _REACHED.items()
        },
        "won": Figure("opportunities won", "count", "without won, lost or reopened, a live order wins it"),
        "lost": Figure("opportunities lost", "count"),
        "open": Figure("opportunities opened in the window that are open now", "count"),
        "win_rate": Figure("won / (won + lost)", _RATIO),
        "average_deal_size": Figure("booked_revenue / orders", _MONEY, "rounded half-even"),
        "maturity_days": Figure("day of `as_of` − day of the youngest lead captured in the window", "days"),
    },
    "velocity": {
        "captured_to_qualified": _duration("per lead: qualified − captured"),
        "qualified_to_opened": _duration("per lead: its first opened opportunity − qualified"),
        "opened_to_accepted": _duration("per opportunity: its first accepted quote − opened"),
        "accepted_to_ordered": _duration("per live order: placed − its quote accepted, else the first of its opportunity"),
        "ordered_to_invoiced": _duration("per live order: its first live invoice − placed"),
        "sales_cycle": _duration("per opportunity: its first live order − opened"),
        "full_cycle": _duration("per lead: the first live order of its branch − captured"),
        "lead_to_cash": _duration("per lead: the first live invoice of its branch − captured"),
        "pipeline_velocity": Figure(
            "opportunities × win_rate × average_deal_size / mean sales_cycle days", "money per day", "all of one cohort"
        ),
    },
}  # fmt: skip
