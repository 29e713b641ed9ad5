"""A small ledger as customers of the first release have it: ten months of a maker of machines, with all that goes wrong.

Everything follows from one seed, so that it can be told again. `batches()` are in the order in which they arrive, which is not
that in which things happened.
"""

from __future__ import annotations

import itertools
import json
import sys
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

Event = dict[str, Any]
CAMPAIGNS = {  # id → (name, type, channel, first month, cost a month, currency)
    "fair-munich": ("Fair in Munich", "fair", "events", 0, "8400.00", "EUR"),
    "search-de": ("Search, Germany", "search", "paid-search", 0, "2150.50", "EUR"),
    "search-us": ("Search, United States", "search", "paid-search", 2, "1980.25", "USD"),
    "webinar-retrofit": ("Webinar: retrofit", "webinar", "email", 1, "640.00", "EUR"),
    "newsletter": ("Newsletter", "newsletter", "email", 0, "310.00", "EUR"),
    "seoul-partners": ("Partners in Seoul", "partner", "partner", 4, "3450000", "KRW"),
}
OWNERS, MONTHS = ("ada", "ben", "chloe"), 10
RATES = {"USD": "0.92", "KRW": "0.00068", "CHF": "1.04"}


def money(amount: str | float, currency: str = "EUR") -> dict[str, str]:
    text = amount if isinstance(amount, str) else f"{amount:.0f}" if currency == "KRW" else f"{amount:.2f}"
    return {"amount": text, "currency": currency}


class Story:
    """Tells events under ids of their own, by the system that they come from."""

    def __init__(self) -> None:
        self.rng = Random(20260301)  # noqa: S311  a story, no secret
        self.told: list[Event] = []
        self.late: list[Event] = []
        self._numbers = itertools.count(1)

    def say(self, at: datetime, kind: str, system: str = "/crm", /, *, late: bool = False, **data: Any) -> Event:
        event = {
            "specversion": "1.0", "id": f"{next(self._numbers):05}", "source": system, "type": kind,
            "time": at.isoformat().replace("+00:00", "Z"),
            "data": {name: value for name, value in data.items() if value is not None},
        }  # fmt: skip
        (self.late if late else self.told).append(event)
        return event

    def month(self, number: int, day: int = 1, hour: int = 9) -> datetime:
        year, month = divmod(8 + number, 12)
        return datetime(2025 + year, month + 1, day, hour, tzinfo=UTC)

    def budgets_and_costs(self) -> None:
        for name, (title, kind, channel, first, cost, currency) in CAMPAIGNS.items():
            registered: Event = {
                "campaign_type": kind,
                "channel": channel,
                "start_date": f"{self.month(first):%Y-%m-%d}",
            }
            if name.startswith("search-"):
                registered["parent_id"] = "search"
            self.say(self.month(first), "campaign.registered", campaign_id=name, name=title, **registered)
            self.say(
                self.month(first), "campaign.budget_set", campaign_id=name, period="2025",
                amount=money(float(cost) * 6, currency),
            )  # fmt: skip
            for number in range(first, MONTHS):
                day, entry = self.month(number, 3 + number), f"K-{name}-{number}"
                self.say(
                    day, "campaign.cost_booked", "/erp", cost_entry_id=entry, campaign_id=name, cost_date=f"{day:%Y-%m-%d}",
                    amount=money(cost, currency), category="media",
                )  # fmt: skip
                if number % 4 == 3:
                    part = money(float(cost) / 5, currency) if number == 3 else None
                    self.say(
                        day + timedelta(days=9), "campaign.cost_reversed", "/erp", cost_entry_id=entry, amount=part
                    )
        for number in range(MONTHS):
            for base, rate in RATES.items():
                if base != "CHF":
                    self.say(
                        self.month(number), "fx.rate_published", "/bank", base=base, quote="EUR",
                        rate=f"{float(rate) * (1 + number / 100):.6f}", rate_date=f"{self.month(number):%Y-%m-%d}",
                    )  # fmt: skip

    def leads_and_deals(self) -> None:
        for number in range(64):
            at = self.month(number * (MONTHS - 1) // 64, 1 + number * 7 % 28, 8 + number % 9)
            name = self.rng.choice((*CAMPAIGNS, None))
            if name and CAMPAIGNS[name][3] > number * (MONTHS - 1) // 64:
                name = "newsletter"
            lead, owner = f"L-{number}", self.rng.choice(OWNERS)
            utm = {"source": "google", "medium": "cpc", "campaign": "brand-2026"} if number % 5 == 0 else None
            self.say(
                at, "lead.captured", lead_id=lead, campaign_id=name, channel=CAMPAIGNS[name][2] if name else "direct",
                source=None if utm else self.rng.choice(("fair", "website", "partner")), utm=utm, owner_id=owner,
                account_id=f"A-{number % 40}", late=number % 11 == 7,
            )  # fmt: skip
            if number % 9 == 4:
                self.say(at + timedelta(days=2), "lead.campaign_reassigned", lead_id=lead, campaign_id="newsletter")
            if number % 5 < 4:
                self.say(
                    at + timedelta(days=3, hours=2 + number % 5),
                    "lead.qualified",
                    lead_id=lead,
                    level="sql",
                    owner_id=owner,
                )
            if number % 3 < 2:
                self.deal(number, at + timedelta(days=6), owner)
        self.say(self.month(5), "lead.merged", survivor_id="L-3", merged_id="L-4")
        self.say(self.month(6), "lead.merged", survivor_id="L-20", merged_id="L-21")
        self.say(self.month(6), "account.merged", survivor_id="A-1", merged_id="A-2")

    def deal(self, number: int, at: datetime, owner: str) -> None:
        currency = self.rng.choice(("EUR", "EUR", "EUR", "USD", "KRW"))
        value = self.rng.randint(9, 160) * (1_000_000 if currency == "KRW" else 250)
        opportunity, quote, order = f"O-{number}", f"Q-{number}", f"SO-{number}"
        leads = [f"L-{number}", *([f"L-{number - 1}"] if number % 8 == 1 else [])]
        self.say(
            at, "opportunity.opened", opportunity_id=opportunity, lead_ids=leads, account_id=f"A-{number % 40}", owner_id=owner,
            estimated_value=money(value * 1.1, currency), late=number % 13 == 5,
        )  # fmt: skip
        at += timedelta(days=self.rng.randint(5, 40))
        if number % 6 == 3:
            self.say(at, "opportunity.lost", opportunity_id=opportunity, reason="price")
            return
        if number % 2:
            self.say(at, "quote.accepted", quote_id=quote, opportunity_id=opportunity, value=money(value, currency))
            self.say(at + timedelta(hours=1), "opportunity.won", opportunity_id=opportunity)
        at += timedelta(days=self.rng.randint(1, 9))
        self.say(
            at, "order.placed", "/erp", order_id=order, opportunity_id=opportunity, net_value=money(value, currency),
            account_id=f"A-{number % 40}", quote_id=quote if number % 2 else None, new_customer=number % 10 == 0 or None,
        )  # fmt: skip
        if number % 7 == 2:
            self.say(
                at + timedelta(days=4), "order.amended", "/erp", order_id=order, net_value=money(value * 0.8, currency)
            )
        if number % 16 == 6:
            self.say(at + timedelta(days=8), "order.cancelled", "/erp", order_id=order, reason="customer withdrew")
            return
        self.invoices(number, at, value, currency)

    def invoices(self, number: int, at: datetime, value: float, currency: str) -> None:
        at += timedelta(days=self.rng.randint(10, 35))
        cogs = money(value * 0.45, currency) if number % 4 else None
        self.say(
            at, "invoice.posted", "/erp", invoice_id=f"I-{number}", order_id=f"SO-{number}", net_amount=money(value, currency),
            posting_date=f"{at:%Y-%m-%d}", cogs=cogs, late=number % 17 == 9,
        )  # fmt: skip
        if number % 5 == 2:
            self.say(
                at + timedelta(days=12), "invoice.credited", "/erp", credit_note_id=f"CN-{number}", invoice_id=f"I-{number}",
                net_amount=money(value / 4, currency), posting_date=f"{at + timedelta(days=12):%Y-%m-%d}", reason="damaged",
            )  # fmt: skip
        if number % 12 == 11:
            self.say(at + timedelta(days=3), "invoice.cancelled", "/erp", invoice_id=f"I-{number}")

    def what_goes_wrong(self) -> None:
        """What later releases see with other eyes, and what waits."""
        note = self.month(13, 5)  # credit notes alone in their month
        self.say(
            self.month(9, 2), "order.placed", "/erp", order_id="SO-big", campaign_id="fair-munich", net_value=money("42000.00"),
            account_id="A-50",
        )  # fmt: skip
        self.say(
            self.month(9, 4), "invoice.posted", "/erp", invoice_id="I-big", order_id="SO-big", net_amount=money("42000.00"),
            cogs=money("16800.00"), posting_date="2026-06-04",
        )  # fmt: skip
        self.say(
            note, "invoice.credited", "/erp", credit_note_id="CN-big", invoice_id="I-big", net_amount=money("5000.00"),
            posting_date=f"{note:%Y-%m-%d}", reason="late delivery",
        )  # fmt: skip
        # A campaign that nothing but the earlier of two captures names, which arrives first: then the other.
        self.say(self.month(4, 1), "lead.captured", lead_id="L-twice", campaign_id="old-flyer")
        self.say(self.month(4, 2), "lead.captured", lead_id="L-twice", campaign_id="newsletter", late=True)
        # The same the other way round.
        self.say(self.month(4, 3), "lead.captured", lead_id="L-again", campaign_id="older-flyer", late=True)
        self.say(self.month(4, 4), "lead.captured", lead_id="L-again", campaign_id="newsletter")
        # A form that sends what it does not have as empty texts.
        self.say(
            self.month(4, 5), "lead.captured", lead_id="L-form", campaign_id="search-de", channel="", owner_id="ada"
        )
        self.say(self.month(4, 5), "campaign.updated", campaign_id="webinar-retrofit", channel="")
        # A mistyped rate and a mistyped year, which this release took.
        self.say(
            self.month(7, 20),
            "fx.rate_published",
            "/bank",
            base="KRW",
            quote="EUR",
            rate="0.00000000068",
            rate_date="2026-04-20",
        )
        self.say(
            self.month(7, 21), "campaign.cost_booked", "/erp", cost_entry_id="K-late", campaign_id="seoul-partners",
            cost_date="2026-04-21", amount=money("900000", "KRW"),
        )  # fmt: skip
        self.say(
            self.month(5, 2), "campaign.cost_booked", "/erp", cost_entry_id="K-1026", campaign_id="newsletter",
            cost_date="1026-02-02", amount=money("75.00"),
        )  # fmt: skip
        # No rate for francs; links to what has not come; a version of tomorrow; things that never were.
        self.say(
            self.month(6, 9), "campaign.cost_booked", "/erp", cost_entry_id="K-chf", campaign_id="fair-munich",
            cost_date="2026-03-09", amount=money("1250.00", "CHF"),
        )  # fmt: skip
        self.say(
            self.month(6, 9),
            "order.placed",
            "/erp",
            order_id="SO-early",
            opportunity_id="O-unknown",
            net_value=money("7800.00"),
        )
        self.say(self.month(6, 9), "campaign.cost_reversed", "/erp", cost_entry_id="K-never")
        gone = self.say(self.month(6, 9), "campaign.cost_reversed", "/erp", cost_entry_id="K-not-either")
        wrong = self.say(self.month(6, 9), "opportunity.lost", opportunity_id="O-1")
        for event in (gone, wrong):
            self.say(
                self.month(6, 12),
                "event.voided",
                "/erp",
                source=event["source"],
                id=event["id"],
                reason="typed twice",
                late=True,
            )
        newer = self.say(self.month(6, 14), "lead.qualified", lead_id="L-0", level="sql")
        newer["dataschema"] = "https://example.com/schemas/lead.qualified/7"
        for number in range(8):
            self.say(
                self.month(number, 8), "touchpoint.recorded", touchpoint_id=f"T-{number}", lead_id=f"L-{number}",
                campaign_id="newsletter", activity_type="newsletter", interaction="click",
            )  # fmt: skip


def batches() -> list[list[Event]]:
    """All events of the ledger `acme` as they arrive: in four batches, the last one late."""
    story = Story()
    story.budgets_and_costs()
    story.leads_and_deals()
    story.what_goes_wrong()
    story.told.sort(key=lambda event: str(event["time"]))
    size = len(story.told) // 3 + 1
    return [*(story.told[begin : begin + size] for begin in range(0, len(story.told), size)), story.late]


def invalid() -> list[Event]:
    """What cannot be taken as it is."""
    bad = {"specversion": "1.0", "source": "/shop", "time": "2026-05-04T10:00:00Z"}
    return [
        {
            **bad,
            "id": "b1",
            "type": "order.placed",
            "data": {"order_id": "SO-b1", "net_value": {"amount": 99.5, "currency": "EUR"}},
        },
        {**bad, "id": "b2", "type": "order.placed", "data": {"order_id": "SO-b2", "net_value": money("99.555")}},
        {**bad, "id": "b3", "type": "order.shipped", "data": {"order_id": "SO-b3"}},
    ]


def _cost(number: int) -> Event:
    return {
        "specversion": "1.0", "source": "/ads", "id": f"c{number}", "type": "campaign.cost_booked",
        "time": f"2026-{1 + number % 6:02}-11T10:00:00Z",
        "data": {"cost_entry_id": f"c{number}", "campaign_id": ("a", "b", "c")[number % 3], "amount": money("12.30"),
                 "cost_date": f"2026-{1 + number % 6:02}-11"},
    }  # fmt: skip


def busy() -> list[Event]:
    """The events of the ledger `busy`, one after the other, until it is killed."""
    return [_cost(number) for number in range(2000)]


def long_ledger() -> list[list[Event]]:
    """The events of the ledger `default`: few figures, and so many events that the books were closed once."""

    def sent(number: int) -> Event:
        return {
            "specversion": "1.0", "source": "/ads", "id": f"s{number}", "type": "campaign.messages_sent",
            "time": "2026-01-11T10:00:00Z", "data": {"campaign_id": "a", "count": 1},
        }  # fmt: skip

    return [[_cost(n) for n in range(30)], [sent(n) for n in range(4080)], [_cost(n) for n in range(30, 45)]]


if __name__ == "__main__":
    told = {"batches": batches(), "invalid": invalid(), "long": long_ledger(), "busy": busy()}
    sys.stdout.write(json.dumps(told))
