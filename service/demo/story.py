"""What all tellers of the demo's story share: chance, delays, ids and the outbox."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Self

from service.demo.outbox import Event, Outbox
from service.demo.tables import CHANCE, DAYS, Campaign, Rep
from service.domain.money import format_minor


def money(minor: int, currency: str = "EUR") -> dict[str, str]:
    """Return an amount as the catalogue wants it."""
    return {"amount": format_minor(minor, currency), "currency": currency}


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead; `campaign` is the one whose rates it follows, `colleague` an earlier lead of the same account."""

    lead_id: str
    account_id: str
    rep: Rep
    campaign: Campaign
    colleague: Self | None


class Story:
    """A teller: says events with the outbox, and rolls the dice."""

    def __init__(self, rng: Random, outbox: Outbox) -> None:
        self.rng = rng
        self.outbox = outbox
        self.say = outbox.say
        self.next_id = outbox.next_id

    def happens(self, what: str) -> bool:
        """Say whether it happens this time."""
        return self.rng.random() < CHANCE[what]

    def after(self, at: datetime, what: str) -> datetime:
        """Return when it happens: mostly soon, now and then much later."""
        return at + timedelta(days=self.rng.expovariate(1 / DAYS[what]), seconds=60)

    def before(self, at: datetime, what: str) -> datetime:
        """Return when it happened before `at`."""
        return at - timedelta(days=self.rng.expovariate(1 / DAYS[what]), hours=1)

    def lead_says(self, lead: Lead, at: datetime, kind: str, **data: Any) -> Event | None:
        """Say something about a lead."""
        return self.say(at, kind, lead.lead_id, lead_id=lead.lead_id, **data)

    def call(self, rep_id: str, at: datetime, **about: Any) -> None:
        """Say that somebody was called."""
        call = self.next_id("CALL")
        (outcome,) = self.rng.choices(("answered", "missed", "voicemail"), (60, 25, 15))
        answered = outcome == "answered"
        self.say(
            at, "call.completed", call, call_id=call, rep_id=rep_id, outcome=outcome, **about,
            duration_s=self.rng.randint(45, 1500) if answered else 0, advanced=answered and self.rng.randint(1, 3) == 1,
        )  # fmt: skip
