"""The campaigns of the demo: plans, costs, mailings, and the exchange rates that the costs need."""

from datetime import UTC, date, datetime, time, timedelta
from random import Random

from service.demo.outbox import Outbox
from service.demo.story import Story, money
from service.demo.tables import CAMPAIGNS, Campaign

_RATES = {"USD": 10800, "GBP": 8500}  # units per EUR when the story begins, in ten-thousandths
_CATEGORIES = ("media", "agency", "production")
_MAILINGS = ("newsletter", "direct_mail", "retargeting")
_SHORT_OF_PLAN = 0.96  # the budget, as a share of what will be spent


class Campaigns(Story):
    """What the campaigns themselves say."""

    def __init__(self, rng: Random, outbox: Outbox, months: list[date]) -> None:
        super().__init__(rng, outbox)
        self._months = months

    def tell(self) -> None:
        """Tell the two years of all campaigns."""
        first = datetime.combine(self._months[0], time(7), UTC)
        self.say(
            first, "sla.defined", "SLA-FIRST-CALL", sla_id="SLA-FIRST-CALL", from_event="lead.captured",
            to_event="lead.followed_up", within_hours=24,
        )  # fmt: skip
        self._rates()
        for campaign in CAMPAIGNS:
            self._plan(campaign, first)
            for month in self._months:
                if month.month in campaign.months:
                    self._spend(campaign, month)

    def _rates(self) -> None:
        for currency, units in _RATES.items():
            rate = units
            for month in self._months:
                rate += self.rng.randint(-120, 120)
                # The first GBP rate comes seven weeks late: until then the first costs in GBP cannot be converted.
                late = currency == "GBP" and month == self._months[0]
                self.say(
                    datetime.combine(month, time(6), UTC), "fx.rate_published", f"EUR-{currency}-{month}",
                    delay=timedelta(days=49) if late else None,
                    base="EUR", quote=currency, rate=f"{rate // 10000}.{rate % 10000:04d}", rate_date=month.isoformat(),
                    provider="ECB",
                )  # fmt: skip

    def _plan(self, campaign: Campaign, at: datetime) -> None:
        self.say(
            at, "campaign.registered", campaign.campaign_id, campaign_id=campaign.campaign_id, name=campaign.name,
            campaign_type=campaign.type, channel=campaign.channel, start_date=self._months[0].isoformat(),
        )  # fmt: skip
        for year in sorted({month.year for month in self._months}):
            running = sum(month.year == year and month.month in campaign.months for month in self._months)
            january = datetime(year, 1, 8, 9, tzinfo=UTC)
            amount = round(campaign.cost * running * _SHORT_OF_PLAN / 100) * 10000
            if amount:
                self.say(
                    max(at, january), "campaign.budget_set", f"{campaign.campaign_id}-{year}",
                    campaign_id=campaign.campaign_id, amount=money(amount, campaign.currency), period=str(year),
                )  # fmt: skip

    def _spend(self, campaign: Campaign, month: date) -> None:
        spent = round(campaign.cost * 100 * self.rng.uniform(0.85, 1.15))
        media = spent * self.rng.randint(55, 75) // 100
        agency = (spent - media) * self.rng.randint(40, 70) // 100
        for category, amount in zip(_CATEGORIES, (media, agency, spent - media - agency), strict=True):
            self._cost(campaign, month + timedelta(days=self.rng.randint(0, 26)), category, amount)
        if campaign.type in _MAILINGS:
            at = datetime.combine(month, time(8), UTC) + timedelta(days=9)
            self.say(
                at, "campaign.messages_sent", f"{campaign.campaign_id}-{month:%Y-%m}", campaign_id=campaign.campaign_id,
                count=self.rng.randint(9000, 14000), channel=campaign.channel,
            )  # fmt: skip

    def _cost(self, campaign: Campaign, day: date, category: str, amount: int) -> None:
        booked = self.after(datetime.combine(day, time(9), UTC), "cost booked")
        entries = [self.next_id("COST")]
        if self.happens("cost booked twice"):
            entries.append(self.next_id("COST"))
        for entry in entries:
            event = self.say(
                booked, "campaign.cost_booked", entry, cost_entry_id=entry, campaign_id=campaign.campaign_id,
                amount=money(amount, campaign.currency), cost_date=day.isoformat(), category=category,
            )  # fmt: skip
            if entry != entries[0]:
                self.outbox.void(event, booked + timedelta(days=3), "booked twice")
        if self.happens("cost reversed"):
            share = 100 if self.happens("reversed in full") else self.rng.randint(10, 60)
            back = None if share == 100 else money(amount * share // 100, campaign.currency)  # noqa: PLR2004 - per cent
            self.say(
                self.after(booked, "cost reversed"), "campaign.cost_reversed", entries[0], cost_entry_id=entries[0],
                amount=back, reason="supplier credit",
            )  # fmt: skip
