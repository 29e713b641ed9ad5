"""The leads of the demo: where they come from, and what they do until they are worth an opportunity."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from service.demo.deals import Deals
from service.demo.outbox import Outbox
from service.demo.story import Lead, Story
from service.demo.tables import CAMPAIGNS, GROWTH, NEWSLETTER, REPS, SEASON, WEEKEND, Campaign


class Leads(Story):
    """What the leads say, in the order of their capture."""

    def __init__(self, rng: Random, outbox: Outbox, months: list[date], end: date) -> None:
        super().__init__(rng, outbox)
        self._months, self._end = months, end
        self._known: list[Lead] = []
        self._deals = Deals(rng, outbox)

    def tell(self, count: int) -> None:
        """Tell `count` leads in the order of their capture."""
        drawn = self.rng.choices(CAMPAIGNS, [campaign.leads for campaign in CAMPAIGNS], k=count)
        captured = sorted(((self._moment(campaign), campaign) for campaign in drawn), key=lambda pair: pair[0])
        for at, campaign in captured:
            self._lead(at, None if self.happens("lead unattributed") else campaign)

    def _moment(self, campaign: Campaign) -> datetime:
        running = [(number, month) for number, month in enumerate(self._months) if month.month in campaign.months]
        weights = [SEASON[month.month] * (1 + GROWTH * number) for number, month in running]
        ((_, month),) = self.rng.choices(running, weights)
        last = min(date(month.year, month.month, monthrange(month.year, month.month)[1]), self._end)
        days = [month + timedelta(days=number) for number in range((last - month).days + 1)]
        (day,) = self.rng.choices(days, [1 if day.isoweekday() <= 5 else WEEKEND for day in days])  # noqa: PLR2004 - Friday
        return datetime.combine(day, time(7), UTC) + timedelta(seconds=self.rng.randint(0, 12 * 3600))

    def _lead(self, at: datetime, campaign: Campaign | None) -> None:
        original = self.rng.choice(self._known) if self._known and self.happens("lead merged") else None
        known = original or (self.rng.choice(self._known) if self._known and self.happens("account known") else None)
        account, rep = (known.account_id, known.rep) if known else (self.next_id("AC"), self.rng.choice(REPS))
        lead = Lead(self.next_id("LD"), account, rep, campaign or CAMPAIGNS[-1], known)
        self._touches(lead, at, campaign)
        self.say(
            at, "lead.captured", lead.lead_id, lead_id=lead.lead_id, account_id=account, owner_id=rep.rep_id,
            contact_id=lead.lead_id.replace("LD", "CT"),
            **(_origin(campaign) if campaign else {"channel": "direct", "source": "direct", "medium": "none"}),
        )  # fmt: skip
        if original:
            gone = self.after(at, "merged")
            self.say(gone, "lead.merged", lead.lead_id, survivor_id=original.lead_id, merged_id=lead.lead_id)
            return
        self._known.append(lead)
        self._handle(lead, at)

    def _touches(self, lead: Lead, at: datetime, campaign: Campaign | None) -> None:
        while self.happens("earlier touch"):
            self._touch(lead, self.before(at, "earlier touch"), self.rng.choice(CAMPAIGNS))
        if campaign and self.happens("touch at capture"):
            self._touch(lead, at - timedelta(minutes=self.rng.randint(2, 50)), campaign)
        if self.happens("later touch"):
            self._touch(lead, self.after(at, "later touch"), NEWSLETTER)

    def _touch(self, lead: Lead, at: datetime, campaign: Campaign) -> None:
        touch = self.next_id("TP")
        offline = campaign.channel in ("event", "tv", "print")
        event = self.say(
            at, "touchpoint.recorded", touch, touchpoint_id=touch, lead_id=lead.lead_id,
            campaign_id=campaign.campaign_id,
            activity_type=campaign.activity, channel=campaign.channel,
            interaction="offline" if offline else self.rng.choice(("view", "click", "click", "response")),
        )  # fmt: skip
        if self.happens("touch by a bot"):
            self.outbox.void(event, at + timedelta(hours=20), "a bot")
        elif event and self.happens("touch suppressed"):
            self.say(
                at + timedelta(days=2), "touchpoint.suppressed", touch, touchpoint_id=touch, reason="internal visit"
            )  # fmt: skip

    def _handle(self, lead: Lead, at: datetime) -> None:
        if self.happens("lead followed up"):
            self.lead_says(lead, self.after(at, "followed up"), "lead.followed_up", owner_id=lead.rep.rep_id)
        if self.happens("lead called"):
            self.call(lead.rep.rep_id, self.after(at, "called"), lead_id=lead.lead_id)
        if self.happens("lead reassigned"):
            self._reassign(lead, self.after(at, "reassigned"))
        if self.rng.random() < lead.campaign.qualified:
            self._qualify(lead, self.after(at, "qualified"))
        elif self.happens("disqualified"):
            gone = self.after(at, "disqualified")
            self.lead_says(lead, gone, "lead.disqualified", reason=self.rng.choice(("no budget", "no need", "student")))
            if self.happens("disqualified reopened"):
                self.lead_says(lead, self.after(gone, "reopened"), "lead.reopened", reason="asked again")

    def _reassign(self, lead: Lead, at: datetime) -> None:
        other = None if self.happens("reassigned to none") else self.rng.choice(CAMPAIGNS)
        event = self.lead_says(lead, at, "lead.campaign_reassigned", reason="told by the customer")
        if event:
            event["data"]["campaign_id"] = other.campaign_id if other else None  # null is the statement "none"

    def _qualify(self, lead: Lead, at: datetime) -> None:
        self.lead_says(lead, at, "lead.qualified", level="mql", score=self.rng.randint(40, 100))
        if self.happens("also sql"):
            self.lead_says(lead, self.after(at, "sql"), "lead.qualified", level="sql", owner_id=lead.rep.rep_id)
        if self.happens("handed over"):
            handed = self.after(at, "handed over")
            answer = "lead.accepted" if self.happens("handover accepted") else "lead.rejected"
            self.lead_says(lead, handed, "lead.handed_over", owner_id=lead.rep.rep_id)
            self.lead_says(lead, self.after(handed, "handed over"), answer, owner_id=lead.rep.rep_id)
        if self.rng.random() < lead.campaign.opened:
            self._deals.open(lead, self.after(at, "opened"))


def _origin(campaign: Campaign) -> dict[str, str | None]:
    return {
        "campaign_id": campaign.campaign_id, "channel": campaign.channel, "source": campaign.source,
        "medium": campaign.medium, "lead_magnet": campaign.magnet,
    }  # fmt: skip
