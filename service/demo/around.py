"""What the demo's company records around its deals: touches, activities, consents, service, targets, renewals.

It is told from the events of the portfolio, by dice of its own, and changes no return, no funnel and no pace.
"""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from service.demo.outbox import Event, Outbox
from service.demo.story import Story, money
from service.demo.tables import AGENTS, CAMPAIGNS, SEASON, STAGES, Campaign

_WEEK = {day: [["08:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
_ACTIVITIES, _OFTEN = ("email", "meeting", "demo", "visit", "other"), (50, 22, 14, 9, 5)
_MINUTES = {"email": (3, 15), "meeting": (25, 90), "demo": (40, 75), "visit": (60, 240), "other": (5, 30)}
_SCORES, _RATINGS = (1, 2, 3, 4, 5), (4, 6, 16, 39, 35)
_INVITING = ("webinar", "content")  # campaigns that mail as well
_WEIGHT = {
    "retargeting": 4,
    "newsletter": 4,
    "brand": 3,
    "paid_search": 3,
    "paid_social": 2,
    "content": 2,
    "webinar": 2,
}
_GROWTH = Decimal("1.1")  # of the plan over the year before
_YEAR = 365


def _at(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"])


class Around(Story):
    """Tells what happened around the events that have been `said`."""

    def __init__(self, rng: Random, outbox: Outbox, said: list[Event], months: list[date]) -> None:
        super().__init__(rng, outbox)
        self._months = months
        self._of: dict[str, list[Event]] = defaultdict(list)
        for event in said:
            self._of[event["type"]].append(event)
        self._opened = {lead for event in self._of["opportunity.opened"] for lead in event["data"]["lead_ids"]}
        self._touched = {event["data"]["lead_id"] for event in self._of["touchpoint.recorded"]}
        self._leads = {event["subject"]: event["data"] for event in self._of["lead.captured"]}

    def tell(self) -> None:
        """Tell it all, subject by subject."""
        self._agreements()
        self._targets()
        self._invitations()
        followed = {event["subject"] for event in self._of["lead.followed_up"]}
        for event in self._of["lead.captured"]:
            self._lead(event, answered=event["subject"] in followed)
        for event in self._of["opportunity.opened"]:
            self._deal(event)
        self._customers()
        self._payments()

    def _agreements(self) -> None:
        first = datetime.combine(self._months[0], time(6), UTC)
        for order, (stage, probability) in enumerate(STAGES.items(), start=1):
            self.say(first, "stage.defined", stage, stage=stage, probability=probability, order=order)
        for name, begins, ends, hours in (
            ("SLA-ANSWER", "lead.captured", "lead.followed_up", 4),
            ("SLA-HAND-OVER", "lead.handed_over", "lead.accepted", 20),
        ):
            self.say(
                first, "sla.defined", name, sla_id=name, from_event=begins, to_event=ends, within_hours=hours,
                hours=_WEEK, holidays=[f"{year}-12-25" for year in (self._months[0].year, self._months[-1].year)],
            )  # fmt: skip

    def _targets(self) -> None:
        """Plan the last year: a tenth more than the year before brought, spread over the months as ever."""
        year = self._months[-1].year
        at = datetime(year, 1, 7, 9, tzinfo=UTC)
        orders = [event for event in self._of["order.placed"] if _at(event).year == year - 1]
        revenue = sum(Decimal(event["data"]["net_value"]["amount"]) for event in orders) * _GROWTH
        leads = sum(_at(event).year == year - 1 for event in self._of["lead.captured"]) * _GROWTH
        share = {month: Decimal(str(weight)) / Decimal(str(sum(SEASON.values()))) for month, weight in SEASON.items()}
        for month, part in share.items():
            self._target(at, "booked_revenue", f"{year}-{month:02d}", _round(revenue * part))
        for quarter in range(1, 5):
            part = sum((share[month] for month in range(quarter * 3 - 2, quarter * 3 + 1)), Decimal())
            self._target(at, "booked_revenue", f"{year}-Q{quarter}", _round(revenue * part))
            self._target(at, "leads", f"{year}-Q{quarter}", int(leads * part))
            self._target(at, "win_rate", f"{year}-Q{quarter}", 0.35)
        self._target(at, "booked_revenue", str(year), _round(revenue))
        self._target(at, "roi.booked", str(year), 4)

    def _target(self, at: datetime, measure: str, period: str, value: Any) -> None:
        self.say(at, "target.set", f"{measure}-{period}", measure=measure, period=period, value=value)

    def _invitations(self) -> None:
        for campaign in (one for one in CAMPAIGNS if one.type in _INVITING):
            for month in self._months:
                at = datetime.combine(month, time(8), UTC) + timedelta(days=4)
                self.say(
                    at, "campaign.messages_sent", f"{campaign.campaign_id}-{month:%Y-%m}",
                    campaign_id=campaign.campaign_id, count=self.rng.randint(2500, 5000), channel="email",
                )  # fmt: skip

    def _lead(self, event: Event, *, answered: bool) -> None:
        lead, at, pursued = event["data"], _at(event), event["subject"] in self._opened
        again = "touched again" if pursued else "touched now and then"
        if pursued and event["subject"] not in self._touched and "campaign_id" in lead:
            came = next(one for one in CAMPAIGNS if one.campaign_id == lead["campaign_id"])
            self._touch(lead, at - timedelta(minutes=self.rng.randint(2, 50)), came)
        while self.happens(again):
            self._touch(lead, self.before(at, "touched again"))
            if pursued and self.happens(again):
                self._touch(lead, at + timedelta(days=self.rng.uniform(0.1, 8)))
        if not answered and self.happens("quick answer"):
            self._lead_says(lead, self.after(at, "quick answer"))
        if pursued:
            self._contact(lead, at)
        elif self.happens("touched now and then"):
            self._activity(lead["owner_id"], self.after(at, "worked on"), "email", lead_id=lead["lead_id"])

    def _lead_says(self, lead: dict[str, Any], at: datetime) -> None:
        self.say(
            at, "lead.followed_up", f"{lead['lead_id']}:answer", lead_id=lead["lead_id"], owner_id=lead["owner_id"]
        )  # fmt: skip

    def _touch(self, lead: dict[str, Any], at: datetime, campaign: Campaign | None = None) -> None:
        """Tell a touch of the campaign, or of any that runs then."""
        running = [one for one in CAMPAIGNS if at.month in one.months]
        campaign = campaign or self.rng.choices(running, [_WEIGHT.get(one.type, 1) for one in running])[0]
        offline = campaign.channel in ("event", "tv", "print")
        who = "contact_id" if self.happens("by contact") else "lead_id"
        touch = self.next_id("TP-WEB")
        said = self.say(
            at, "touchpoint.recorded", touch, touchpoint_id=touch, campaign_id=campaign.campaign_id,
            activity_type=campaign.activity, channel=campaign.channel,
            interaction="offline" if offline else self.rng.choice(("view", "view", "click", "click", "response")),
            **{who: lead[who]},
        )  # fmt: skip
        if said and self.happens("touch suppressed"):
            gone = at + timedelta(days=2)
            self.say(gone, "touchpoint.suppressed", touch, touchpoint_id=touch, reason="internal visit")

    def _contact(self, lead: dict[str, Any], at: datetime) -> None:
        contact, number = lead["contact_id"], lead["contact_id"].rpartition("-")[2]
        phones = [f"+49 30 5550{number}"] if self.happens("has a phone") else None
        self.say(
            at + timedelta(minutes=5), "contact.registered", contact, contact_id=contact,
            account_id=lead["account_id"], emails=[f"contact-{number}@customer.example"], phones=phones,
        )  # fmt: skip
        for channel in ("email", "phone"):
            if self.happens(f"{channel} allowed"):
                self._consent(contact, at + timedelta(minutes=6), channel, granted=True)
                if self.happens("withdrawn"):
                    self._consent(contact, self.after(at, "withdrawn"), channel, granted=False)

    def _consent(self, contact: str, at: datetime, channel: str, *, granted: bool) -> None:
        self.say(
            at, "contact.consent_changed", f"{contact}:{channel}", contact_id=contact, channel=channel, granted=granted
        )  # fmt: skip

    def _deal(self, event: Event) -> None:
        deal, at = event["data"], _at(event)
        while self.happens("deal worked on"):
            at = self.after(at, "worked on")
            (activity,) = self.rng.choices(_ACTIVITIES, _OFTEN)
            about: dict[str, Any] = {"opportunity_id": deal["opportunity_id"]}
            if self.happens("by contact"):
                about["contact_id"] = self._leads[deal["lead_ids"][0]]["contact_id"]
            self._activity(deal["owner_id"], at, activity, **about)

    def _activity(self, rep_id: str, at: datetime, activity: str, **about: Any) -> None:
        name = self.next_id("ACT")
        self.say(
            at, "activity.completed", name, activity_id=name, rep_id=rep_id, activity=activity,
            duration_s=self.rng.randint(*_MINUTES[activity]) * 60, **about,
        )  # fmt: skip

    def _customers(self) -> None:
        ordered: dict[str, list[Event]] = defaultdict(list)
        for event in self._of["order.placed"]:
            ordered[event["data"]["account_id"]].append(event)
        for account, orders in ordered.items():
            at = _at(orders[0])
            if self.happens("case"):
                self._case(account, self.after(at, "case"))
                while self.happens("another case"):
                    self._case(account, self.after(at, "case"))
            self._anniversary(account, _at(orders[-1]) + timedelta(days=_YEAR), orders[0])

    def _anniversary(self, account: str, at: datetime, order: Event) -> None:
        """Tell what comes a year after the last order: most agreements on maintenance go on, a few customers leave."""
        yearly = int(Decimal(order["data"]["net_value"]["amount"]) * self.rng.randint(12, 22))  # in cents: per cent
        at += timedelta(days=self.rng.uniform(-20, 25))
        if self.happens("renewed"):
            self.say(at, "account.renewed", account, account_id=account, amount=money(yearly))
        elif self.happens("churned"):
            self.say(at, "account.churned", account, account_id=account, amount=money(yearly))

    def _case(self, account: str, at: datetime) -> None:
        case, (agent, liked) = self.next_id("CASE"), self.rng.choice(AGENTS)
        about: dict[str, Any] = {"case_id": case, "agent_id": agent, "account_id": account}
        self.say(at, "case.opened", case, **about)
        if not self.happens("resolved"):
            return
        at = self.after(at, "resolved")
        self.say(at, "case.resolved", case, **about)
        if self.happens("case reopened"):
            at = self.after(at, "case reopened")
            self.say(at, "case.opened", case, **about)
            at = self.after(at, "resolved")
            self.say(at, "case.resolved", case, **about)
        if self.happens("rated"):
            (score,) = self.rng.choices(_SCORES, _RATINGS)
            score = min(5, max(1, round(score + liked * self.rng.random())))
            self.say(self.after(at, "rated"), "csat.recorded", case, case_id=case, score=score)

    def _payments(self) -> None:
        """Tell the part payments of some of the invoices that nobody paid."""
        settled = {event["data"]["invoice_id"] for event in self._of["payment.received"]}
        settled |= {event["subject"] for event in self._of["invoice.cancelled"]}
        settled |= {event["data"]["invoice_id"] for event in self._of["invoice.credited"]}
        for event in self._of["invoice.posted"]:
            invoice = event["data"]
            if invoice["invoice_id"] in settled or not self.happens("part paid"):
                continue
            owed = Decimal(invoice["net_amount"]["amount"])
            part, payment = int(owed * self.rng.randint(30, 70)), self.next_id("PAY-PART")
            self.say(
                self.after(_at(event), "part paid"), "payment.received", payment, payment_id=payment,
                invoice_id=invoice["invoice_id"], amount=money(part),
            )  # fmt: skip


def _round(amount: Decimal) -> dict[str, str]:
    """Return whole hundreds, as plans are written."""
    return money(int(amount / 100) * 10000)
