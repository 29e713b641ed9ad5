"""Hypothesis strategies: small, valid and unkind sets of events over tiny pools of ids.

Links, merges, voids, restatements, reassignments, late rates, cancellations, credits and reversals meet often; equal
times are common; exact duplicates (one instant, perhaps written with another offset) are mixed in and all is shuffled.
The follow-ups of one entity are in its currency (each id of an order, invoice or cost entry draws one), but in loose examples:
there they may be in any, and credit notes go from invoice to invoice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

Draw = Any  # Hypothesis's draw function
Data = dict[str, Any]
RawEvent = dict[str, Any]

CAMPAIGNS, LEADS, OPPORTUNITIES, QUOTES = ("c1", "c2", "c3"), ("l1", "l2", "l3"), ("p1", "p2"), ("q1", "q2")
ORDERS, INVOICES, CREDITS, COSTS = ("o1", "o2", "o3"), ("i1", "i2"), ("n1", "n2", "n3"), ("k1", "k2")
CRITERIA: tuple[dict[str, bool], ...] = ({"budget": True}, {"budget": False, "need": True}, {})
PAYMENTS = ("m1", "m2", "m3")
STAGES = ("new", "offer")
ACCOUNTS, OWNERS, CHANNELS = ("a1", "a2"), ("rep1", "rep2"), ("email", "events")
CALLS, SECONDS = ("call1", "call2", "call3"), (0, 1, 312, 0.3, 90.125, 0.1234567, 86_400_000)
TOUCHES, CONTACTS = ("h1", "h2", "h3", "h4", "h5"), ("t1", "t2", "t3")
DEFINITIONS: tuple[dict[str, Any], ...] = (
    {"kind": "linear", "lookback_days": 365, "view_lookback_days": 30},
    {"kind": "time_decay", "half_life_days": 0.1},
    {"kind": "weighted_activities", "weights": {"call": 0.3, "mail": 0.05}},
    {"kind": "weighted_activities", "weights": {"call": 0.9, "paper": 0.2}, "normalised": False, "lookback_days": 365},
    {"kind": "milestones", "shares": {"first": 0.5, "last": 0.25, "lead_creation": 0.1}},
    {"kind": "milestones", "shares": {"lead_creation": 0.7, "opportunity_creation": 0.3}, "lookback_days": 365},
    {"kind": "source_campaign"},
)
SOURCES = ("//crm", "//erp", "//Ä")
CURRENCIES = ("EUR", "EUR", "USD", "JPY", "GBP")
# Each entry is one instant, written in several ways; equal ones are drawn often.
TIMES = (
    ("2024-01-15T10:00:00Z", "2024-01-15T11:00:00+01:00", "2024-01-15T10:00:00.000Z"),
    ("2024-01-31T23:30:00Z", "2024-02-01T00:30:00+01:00"),  # another month in Berlin
    ("2024-02-01T10:00:00Z", "2024-02-01T05:00:00-05:00"),
    ("2024-02-01T10:00:00.0000001Z",),  # finer than a microsecond
    ("2024-02-01T10:00:00.0000002Z",),
    ("2024-03-31T00:59:59Z", "2024-03-31T01:59:59+01:00"),  # around the change to summer time
    ("2024-03-31T01:00:00Z", "2024-03-31T03:00:00+02:00"),
    ("2024-06-30T12:00:00Z", "2024-06-30T14:00:00.0+02:00"),
    ("2024-12-31T23:59:59.999Z", "2025-01-01T00:59:59.999+01:00"),
)
DATES = ("2023-12-31", "2024-01-15", "2024-01-31", "2024-02-01", "2024-03-31", "2024-06-30", "2025-01-01",
         "1900-01-01", "9998-12-31")  # fmt: skip
EARLY_DATES = ("2020-01-01", "2024-01-15", "2024-02-01", "2024-03-31")
WHOLE = ("1", "2", "3", "7", "10", "100", "101", "12345")
BROKEN = ("0.01", "0.5", "3.33", "3.34", "6.67", "33.33", "66.67", "10.00", "99.99", "1234.50")
RATES = ("1", "1.1", "0.9", "1.085", "160.5", "0.0062", "0.85", "3", "7.77777")


class Maker:
    """Makes one event's type and data after another, with the choices of one example."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.currencies = CURRENCIES if draw(st.booleans()) else ("EUR",)
        self.loose = draw(st.integers(0, 3)) == 0
        self.currency = {i: self.pick(self.currencies) for i in (*ORDERS, *INVOICES, *COSTS)}

    def pick(self, values: tuple[str, ...]) -> str:
        chosen: str = self.draw(st.sampled_from(values))
        return chosen

    def maybe(self, data: Data, name: str, values: tuple[Any, ...]) -> None:
        """State it, state null or an empty text, or say nothing."""
        value = self.draw(st.sampled_from((*values, *values, None, "", ...)))
        if value is not ...:
            data[name] = value

    def currency_of(self, name: str) -> str:
        """Draw the currency of what is said of an order, an invoice or a cost entry."""
        return (
            self.pick((self.currency[name], self.currency[name], *self.currencies))
            if self.loose
            else self.currency[name]
        )

    def money(self, currency: str, *, zero: bool = False) -> dict[str, str]:
        pool = WHOLE if currency == "JPY" else WHOLE + BROKEN
        return {"amount": self.pick((*pool, "0") if zero else pool), "currency": currency}

    def maybe_money(self, data: Data, name: str, currency: str) -> None:
        if self.draw(st.booleans()):
            data[name] = self.money(currency, zero=True)

    # ---- one method per kind of event ------------------------------------------------------------------------

    def cost_booked(self) -> tuple[str, Data]:
        cost = self.pick(COSTS)
        data: Data = {"cost_entry_id": cost, "campaign_id": self.pick(CAMPAIGNS), "cost_date": self.pick(DATES)}
        return "campaign.cost_booked", data | {"amount": self.money(self.currency_of(cost))}

    def cost_reversed(self) -> tuple[str, Data]:
        cost = self.pick(COSTS)
        data: Data = {"cost_entry_id": cost}
        if self.draw(st.booleans()):
            data["amount"] = self.money(self.currency_of(cost))
        self.maybe(data, "cost_date", DATES)
        return "campaign.cost_reversed", data

    def campaign(self) -> tuple[str, Data]:
        data: Data = {"campaign_id": self.pick(CAMPAIGNS)}
        self.maybe(data, "channel", CHANNELS)
        self.maybe(data, "campaign_type", ("webinar", "fair"))
        self.maybe(data, "target_audience_size", (0, 5))
        self.maybe_money(data, "expected_revenue", self.pick(self.currencies))
        self.maybe(data, "parent_id", (*CAMPAIGNS, "c9"))  # in circles, too; of c9 there is nothing else
        kind = self.pick(("registered", "updated"))
        return f"campaign.{kind}", data | ({"name": "A name"} if kind == "registered" else {})

    def budget(self) -> tuple[str, Data]:
        data: Data = {"campaign_id": self.pick(CAMPAIGNS), "amount": self.money(self.pick(self.currencies), zero=True)}
        self.maybe(data, "period", ("2024-Q1", "2024-Q2"))
        return "campaign.budget_set", data

    def captured(self, lead: str | None = None) -> tuple[str, Data]:
        data: Data = {"lead_id": lead or self.pick(LEADS)}
        self.maybe(data, "campaign_id", CAMPAIGNS)
        self.maybe(data, "channel", CHANNELS)
        self.maybe(data, "source", ("google", "fair"))
        self.maybe(data, "medium", ("cpc", "print"))
        self.maybe(data, "lead_magnet", ("guide", "trial"))
        self.maybe(data, "owner_id", OWNERS)
        self.maybe(data, "criteria", CRITERIA)
        self.maybe(data, "contact_id", CONTACTS)
        utm = {"source": "bing", "medium": "mail", "campaign": "c3"}  # which names no campaign
        self.maybe(data, "utm", (utm, utm | {"source": "google"}, {"source": "", "medium": "cpc"}, {"source": "fair"}))
        return "lead.captured", data

    def qualified(self, lead: str | None = None) -> tuple[str, Data]:
        data: Data = {"lead_id": lead or self.pick(LEADS)}
        self.maybe(data, "level", ("mql", "sql"))
        self.maybe(data, "score", (9, 79.5, 80))
        self.maybe(data, "criteria", CRITERIA)
        self.maybe(data, "owner_id", OWNERS)
        return "lead.qualified", data

    def reassigned(self) -> tuple[str, Data]:
        return "lead.campaign_reassigned", {
            "lead_id": self.pick(LEADS),
            "campaign_id": self.draw(st.sampled_from((*CAMPAIGNS, None))),
        }

    def lead_step(self) -> tuple[str, Data]:
        data: Data = {"lead_id": self.pick(LEADS)}
        self.maybe(data, "owner_id", OWNERS)
        if self.draw(st.booleans()):
            return f"lead.{self.pick(('disqualified', 'reopened'))}", {"lead_id": data["lead_id"]}
        self.maybe(data, "reason", ("spam", "no budget"))
        return f"lead.{self.pick(('handed_over', 'accepted', 'rejected', 'followed_up'))}", data

    def lead_merged(self) -> tuple[str, Data]:
        one, other = self.draw(st.permutations(LEADS))[:2]
        return "lead.merged", {"survivor_id": one, "merged_id": other}

    def account_merged(self) -> tuple[str, Data]:
        one, other = self.draw(st.permutations(ACCOUNTS))
        return "account.merged", {"survivor_id": one, "merged_id": other}

    def opened(self, opportunity: str | None = None) -> tuple[str, Data]:
        data: Data = {"opportunity_id": opportunity or self.pick(OPPORTUNITIES)}
        lists: tuple[list[str], ...] = (["l1"], ["l1", "l2"], ["l2", "l3"], ["l3", "l2", "l1"], [])
        self.maybe(data, "lead_ids", lists)
        self.maybe(data, "contact_ids", (["t1"], ["t2", "t3"], []))
        self.maybe(data, "owner_id", OWNERS)
        self.maybe(data, "team", ("north", "south"))
        self.maybe(data, "region", ("emea", "apac"))
        self.maybe(data, "account_id", ACCOUNTS)
        self.maybe(data, "contact_ids", (["t1"], ["t1", "t2"], ["t3"], []))
        self.maybe(data, "probability", (0, 0.25, 1))
        self.maybe(data, "expected_close", DATES)
        self.maybe(data, "stage", STAGES)
        self.maybe_money(data, "estimated_value", self.pick(self.currencies))
        if self.draw(st.integers(0, 3)) == 0:
            data["campaign_id"] = self.pick(CAMPAIGNS)
        return "opportunity.opened", data

    def outcome(self) -> tuple[str, Data]:
        data: Data = {"opportunity_id": self.pick(OPPORTUNITIES)}
        self.maybe(data, "reason", ("price", "time"))
        return f"opportunity.{self.pick(('won', 'lost', 'reopened'))}", data

    def development(self) -> tuple[str, Data]:
        """Draw how an opportunity goes on: its stage, what it is worth, or who has to do with it."""
        kind = self.pick(("stage_changed", "stage_changed", "value_changed", "contact_linked", "contact_unlinked"))
        data: Data = {"opportunity_id": self.pick(OPPORTUNITIES)}
        if kind == "stage_changed":
            data["stage"] = self.pick(STAGES)
        elif kind == "value_changed":
            data["estimated_value"] = self.money(self.pick(self.currencies), zero=True)
            self.maybe(data, "probability", (0, 0.25, 1))
            self.maybe(data, "expected_close", DATES)
        else:
            data["contact_id"] = self.pick(("t1", "t2", "t3"))
        return f"opportunity.{kind}", data

    def definition(self) -> tuple[str, Data]:
        """Draw the definition of a stage, or of an agreement."""
        if self.draw(st.booleans()):
            stage: Data = {"stage": self.pick(STAGES)}
            self.maybe(stage, "probability", (0, 0.5))
            self.maybe(stage, "order", (1, 2))
            return "stage.defined", stage
        start, end = self.draw(st.permutations(("lead.captured", "lead.followed_up", "opportunity.opened")))[:2]
        data: Data = {"sla_id": "s1", "from_event": start, "to_event": end, "within_hours": 24}
        self.maybe(data, "where", ({"channel": "email"}, {"campaign_type": "fair"}))
        self.maybe(data, "holidays", (["2024-02-01"],))
        return "sla.defined", data

    def quote(self) -> tuple[str, Data]:
        data: Data = {"quote_id": self.pick(QUOTES), "opportunity_id": self.pick(OPPORTUNITIES)}
        return f"quote.{self.pick(('accepted', 'accepted', 'sent', 'rejected', 'expired'))}", data

    def placed(self, order: str | None = None) -> tuple[str, Data]:
        order = order or self.pick(ORDERS)
        data: Data = {"order_id": order, "net_value": self.money(self.currency_of(order), zero=True)}
        self.maybe(data, "opportunity_id", OPPORTUNITIES)
        self.maybe(data, "quote_id", QUOTES)
        self.maybe(data, "account_id", ACCOUNTS)
        if self.draw(st.integers(0, 3)) == 0:
            data["campaign_id"] = self.pick(CAMPAIGNS)
        if self.draw(st.integers(0, 2)) == 0:
            data["new_customer"] = self.draw(st.booleans())
        return "order.placed", data

    def amended(self) -> tuple[str, Data]:
        order = self.pick(ORDERS)
        return "order.amended", {"order_id": order, "net_value": self.money(self.currency_of(order), zero=True)}

    def order_cancelled(self) -> tuple[str, Data]:
        return "order.cancelled", {"order_id": self.pick(ORDERS)}

    def posted(self, invoice: str | None = None) -> tuple[str, Data]:
        invoice = invoice or self.pick(INVOICES)
        currency = self.currency[invoice]
        data: Data = {"invoice_id": invoice, "net_amount": self.money(currency), "posting_date": self.pick(DATES)}
        self.maybe(data, "order_id", ORDERS)
        self.maybe_money(data, "cogs", currency)
        self.maybe_money(data, "tax", currency)
        self.maybe(data, "due_date", DATES)
        self.maybe(data, "account_id", ACCOUNTS)
        return "invoice.posted", data

    def credited(self) -> tuple[str, Data]:
        note = self.pick(CREDITS)
        invoice = self.pick(INVOICES) if self.loose else INVOICES[CREDITS.index(note) % len(INVOICES)]
        currency = self.currency_of(invoice)
        data: Data = {"credit_note_id": note, "invoice_id": invoice, "posting_date": self.pick(DATES)}
        if self.draw(st.integers(0, 3)) == 0:
            data["cogs"] = self.money(currency, zero=True)
        return "invoice.credited", data | {"net_amount": self.money(currency)}

    def paid(self) -> tuple[str, Data]:
        invoice = self.pick(INVOICES)
        data: Data = {"payment_id": self.pick(PAYMENTS), "invoice_id": invoice}
        amount = self.money(self.currency_of(invoice))
        if self.draw(st.integers(0, 5)) == 0:
            amount["amount"] = f"-{amount['amount']}"
        return "payment.received", data | {"amount": amount}

    def invoice_cancelled(self) -> tuple[str, Data]:
        return "invoice.cancelled", {"invoice_id": self.pick(INVOICES)}

    def rate(self) -> tuple[str, Data]:
        base, quote = self.draw(st.sampled_from(("EUR", "EUR", "USD", "JPY", "GBP"))), self.pick(CURRENCIES)
        if base == quote:
            quote = "USD" if base == "EUR" else "EUR"
        data: Data = {"base": base, "quote": quote, "rate": self.pick(RATES), "rate_date": self.pick(EARLY_DATES)}
        return "fx.rate_published", data

    def call(self, call: str | None = None) -> tuple[str, Data]:
        data: Data = {"call_id": call or self.pick(CALLS), "rep_id": self.pick((*OWNERS, "rep3"))}  # who has no orders
        data["outcome"] = self.pick(("answered", "answered", "missed", "voicemail"))
        data["duration_s"] = self.draw(st.sampled_from(SECONDS))
        self.maybe(data, "advanced", (True, False))
        self.maybe(data, "opportunity_id", OPPORTUNITIES)
        return "call.completed", data

    def sent(self) -> tuple[str, Data]:
        return "campaign.messages_sent", {"campaign_id": self.pick(CAMPAIGNS), "count": self.draw(st.integers(0, 5))}

    def touch(self) -> tuple[str, Data]:
        key: Data = {"touchpoint_id": self.pick(TOUCHES)}
        if self.draw(st.integers(0, 5)) == 0:
            return "touchpoint.suppressed", key
        data: Data = {"campaign_id": self.pick(CAMPAIGNS), "activity_type": self.pick(("call", "mail", "paper"))}
        reached = self.draw(st.sampled_from(("lead_id", "contact_id", "contact_id", "both")))
        if reached != "contact_id":
            data["lead_id"] = self.pick(LEADS)
        if reached != "lead_id":
            data["contact_id"] = self.pick(CONTACTS)
        self.maybe(data, "interaction", ("view", "click", "response", "offline"))
        return "touchpoint.recorded", key | data

    def contact_link(self) -> tuple[str, Data]:
        """Draw who is linked with an opportunity, or no longer."""
        data = {"opportunity_id": self.pick(OPPORTUNITIES), "contact_id": self.pick(CONTACTS)}
        return f"opportunity.contact_{self.pick(('linked', 'linked', 'unlinked'))}", data

    def model(self) -> tuple[str, Data]:
        """Draw a published model."""
        definition = self.draw(st.sampled_from(DEFINITIONS))
        data: Data = {"model_id": self.pick(("m.1", "m:2")), "version": 1, "definition": definition}
        self.maybe(data, "official", (True, False))
        return "attribution.model_published", data

    def case(self) -> tuple[str, Data]:
        """Draw an event of a service case."""
        kind = self.pick(("case.opened", "case.resolved", "csat.recorded"))
        data: Data = {"case_id": self.pick(("k1", "k2"))}
        if kind == "csat.recorded":
            return kind, {**data, "score": self.draw(st.integers(1, 5))}
        self.maybe(data, "agent_id", OWNERS)
        return kind, data

    def account_step(self) -> tuple[str, Data]:
        """Draw a renewal or a churn."""
        data: Data = {"account_id": self.pick(ACCOUNTS)}
        self.maybe_money(data, "amount", "EUR")
        return self.pick(("account.churned", "account.churned", "account.renewed")), data

    def contact(self) -> tuple[str, Data]:
        """Draw an event of a contact, or of messages."""
        kind = self.pick(("contact.registered", "contact.consent_changed", "contact.merged", "campaign.messages_sent"))
        data: Data = {"contact_id": self.pick(("t1", "t2", "t3"))}
        if kind == "contact.registered":
            self.maybe(data, "emails", (["t@example.com"], []))
            self.maybe(data, "handles", ({"web": "t"}, {}))
        elif kind == "contact.consent_changed":
            data |= {"channel": self.pick(("email", "sms", "web")), "granted": self.draw(st.booleans())}
        elif kind == "contact.merged":
            data = {"survivor_id": self.pick(("t1", "t2")), "merged_id": self.pick(("t2", "t3"))}
        else:
            data = {"campaign_id": self.pick(CAMPAIGNS), "count": self.draw(st.integers(0, 9))}
            self.maybe(data, "channel", ("email", "post"))
        return kind, data

    def activity(self) -> tuple[str, Data]:
        """Draw a completed activity."""
        done = self.pick(("email", "meeting", "demo", "visit", "other"))
        return "activity.completed", {
            "activity_id": self.pick(("v1", "v2")), "rep_id": self.pick(OWNERS), "activity": done
        }  # fmt: skip

    def more(self) -> list[Callable[[], tuple[str, Data]]]:
        """Give all that it makes besides."""
        return []

    def bystander(self) -> tuple[str, Data]:
        """Draw an event that changes no figure."""
        return "subject.erased", {"subject_id": "l1"}


class PipelineMaker(Maker):
    """Makes opportunities with all that a forecast goes by, and targets, too."""

    def opened(self, opportunity: str | None = None) -> tuple[str, Data]:
        kind, data = super().opened(opportunity)
        self.maybe(data, "stage", STAGES)
        self._expect(data)
        return kind, data

    def _expect(self, data: Data) -> None:
        self.maybe(data, "estimated_value", (self.money(self.pick(self.currencies), zero=True),))
        self.maybe(data, "probability", (0, 0.125, 0.3333333, 1))
        self.maybe(data, "expected_close", EXPECTED)

    def changed(self) -> tuple[str, Data]:
        """Draw a change of an opportunity."""
        data: Data = {"opportunity_id": self.pick(OPPORTUNITIES)}
        if self.draw(st.booleans()):
            return "opportunity.stage_changed", data | {"stage": self.pick(STAGES)}
        self._expect(data)
        return "opportunity.value_changed", data | {"estimated_value": self.money(self.pick(self.currencies))}

    def stage(self) -> tuple[str, Data]:
        """Draw a definition of a stage."""
        data: Data = {"stage": self.pick(STAGES)}
        self.maybe(data, "probability", (0.25, 0.9))
        return "stage.defined", data

    def target(self) -> tuple[str, Data]:
        """Draw a target, of anything that there is one for."""
        measure = self.pick(tuple(TARGETS))
        data: Data = {"measure": measure, "period": self.pick(("2024", "2024-Q1", "2024-02", "2024-06"))}
        data["value"] = TARGETS[measure] or self.money(self.pick(self.currencies), zero=True)
        for name, values in (("campaign_id", CAMPAIGNS), ("channel", CHANNELS), ("owner_id", OWNERS)):
            if self.draw(st.integers(0, 3)) == 0:
                data[name] = self.pick(values)
        self.maybe(data, "team", ("", "north"))
        return "target.set", data

    def more(self) -> list[Callable[[], tuple[str, Data]]]:
        """Give all that it makes besides."""
        return [
            self.changed,
            self.changed,
            self.stage,
            self.target,
            self.target,
            self.target,
            self.opened,
            self.outcome,
        ]


STAGES, EXPECTED = ("new", "offer"), ("2024-01-31", "2024-02-01", "2024-03-31", "2024-04-01", "2024-08-01")
TARGETS: dict[str, Any] = {
    "leads": 2, "qualified_leads": 0.5, "opportunities": 1, "orders": 3, "new_customers": 1, "calls": 2, "activities": 1,
    "win_rate": 0.5, "roi.booked": 1.5, "roi.margin": -0.25, "booked_revenue": None, "invoiced_revenue": None,
    "gross_margin": None, "actual_cost": None,
}  # fmt: skip


def spine(maker: Maker) -> list[tuple[str, Data]]:
    """Draw a journey that hangs together, from a lead to a credit note, with cost and a rate."""
    captured, opened = maker.captured("l1"), maker.opened("p1")
    opened[1]["lead_ids"] = maker.draw(st.sampled_from((["l1"], ["l2", "l1"])))
    placed, posted = maker.placed("o1"), maker.posted("i1")
    placed[1]["opportunity_id"] = "p1"
    posted[1]["order_id"] = "o1"
    return [
        captured,
        maker.qualified("l1"),
        opened,
        maker.quote(),
        placed,
        posted,
        maker.credited(),
        maker.cost_booked(),
        maker.call("call1"),
        maker.call("call1"),  # told again
    ]


def kinds(maker: Maker) -> list[Callable[[], tuple[str, Data]]]:
    """Everything that may follow; what is named twice comes twice as often."""
    money_side = [maker.cost_booked, maker.cost_reversed, maker.placed, maker.amended, maker.order_cancelled]
    money_side += [maker.posted, maker.credited, maker.credited, maker.invoice_cancelled, maker.budget]
    money_side += [maker.paid, maker.paid]
    lead_side = [maker.captured, maker.captured, maker.qualified, maker.reassigned, maker.lead_merged, maker.lead_step]
    lead_side += [maker.opened, maker.opened, maker.outcome, maker.quote, maker.placed, maker.account_merged]
    lead_side += [maker.development, maker.development, maker.definition]
    others = [
        maker.campaign,
        maker.campaign,
        maker.call,
        maker.call,
        maker.bystander,
        maker.rate,
        maker.sent,
        maker.touch,
        maker.touch,
        maker.contact_link,
        maker.model,
    ]
    others += [maker.case, maker.account_step, maker.contact, maker.activity]
    return [*money_side, *lead_side, *others, *maker.more()]


@st.composite
def touched_sets(draw: Draw) -> list[RawEvent]:
    """Events of deals with touches, contacts and models, in any order."""
    maker = Maker(draw)
    made = [*spine(maker), *(maker.touch() for _ in range(draw(st.integers(2, 8))))]
    made[2][1]["contact_ids"] = draw(st.sampled_from((["t1"], ["t2", "t3"], ["t1", "t2"])))
    made += [maker.model() for _ in range(draw(st.integers(0, 2)))]
    several = [maker.touch, maker.touch, maker.contact, maker.contact_link, maker.model, maker.captured, maker.opened]
    several += [maker.placed, maker.amended, maker.order_cancelled, maker.posted, maker.credited, maker.quote]
    several += [maker.lead_merged, maker.rate, maker.campaign, maker.invoice_cancelled]
    made += [draw(st.sampled_from(several))() for _ in range(draw(st.integers(0, 8)))]
    names = draw(st.permutations([(source, f"e{n}") for n in range(12) for source in SOURCES]))
    if draw(st.booleans()):
        target = names[draw(st.integers(0, len(made) - 1))]
        made.append(("event.voided", {"source": target[0], "id": target[1]}))
    events: list[RawEvent] = []
    for (kind, data), (source, name) in zip(made, names, strict=False):
        ways = draw(st.sampled_from(TIMES[5:8] if kind == "order.placed" else TIMES[:7]))
        events.append({"specversion": "1.0", "id": name, "source": source, "type": kind, "time": draw(st.sampled_from(ways)),
                       "data": data})  # fmt: skip
    shuffled: list[RawEvent] = draw(st.permutations(events))
    return shuffled


@st.composite
def event_sets(draw: Draw, *, duplicates: bool = True, made_by: type[Maker] = Maker) -> list[RawEvent]:
    """Three to twenty-five distinct events, in any order, some of them more than once."""
    maker = made_by(draw)
    made = spine(maker) if draw(st.booleans()) else []
    choices = kinds(maker)
    if len(maker.currencies) > 1:
        made += [maker.rate() for _ in range(draw(st.integers(0, 4)))]
    least, most = max(0, 3 - len(made)), 22 - len(made)
    made += [draw(st.sampled_from(choices))() for _ in range(draw(st.integers(least, most)))]
    names = draw(st.permutations([(source, f"e{n}") for n in range(10) for source in SOURCES]))
    instants = [draw(st.integers(0, len(TIMES) - 1)) for _ in range(len(made) + 3)]
    for _ in range(draw(st.integers(0, 3))):  # voids, of events, of voids, and of what never came
        target = names[draw(st.integers(0, len(made) + 1))]
        made.append(("event.voided", {"source": target[0], "id": target[1]}))
    events: list[RawEvent] = []
    for (kind, data), (source, name), at in zip(made, names, instants, strict=False):
        event: RawEvent = {"specversion": "1.0", "id": name, "source": source, "type": kind}
        time = draw(st.sampled_from(TIMES[at]))
        events.append(event | {"time": time, "datacontenttype": "application/json", "data": data})
    if duplicates:
        for event in draw(st.lists(st.sampled_from(events), max_size=4)):
            ways = next(ways for ways in TIMES if event["time"] in ways)
            events.append(event | {"time": draw(st.sampled_from(ways))})
    shuffled: list[RawEvent] = draw(st.permutations(events))
    return shuffled
