"""What each campaign has of a deal under a model, and what becomes of its amounts day by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from service.domain.attribution.dealing import Hand
from service.domain.attribution.measures import DEALS
from service.domain.attribution.models import Model
from service.domain.attribution.touches import Touch, eligible
from service.domain.attribution.weights import by_campaign, weigh
from service.projections.attribution.deals import Deals

WHOLE = 1_000_000  # millionths of a deal
_NET = "net"
_GROSS, _CREDITED = "invoiced_revenue_gross", "credited"
# What is dealt of an amount of a measure, and with which sign.
_DEALT = {
    "booked_revenue": (("booked_revenue", 1),), _GROSS: ((_GROSS, 1), (_NET, 1)), _CREDITED: ((_NET, -1),),
    "invoiced_with_cogs": (("invoiced_with_cogs", 1),), "cogs": (("cogs", 1),),
}  # fmt: skip
_UNATTRIBUTED = Hand({None: Fraction(1)})
Where = tuple["str | None", ...]  # owner, team, region


class Cell(NamedTuple):
    """What a campaign has of an entity's measure on a day."""

    entity: str
    campaign: str | None
    where: Where
    day: int
    cohort: int
    measure: str
    amount: int


class Weighed:
    """The touches of one deal as models see them; what several models share is worked out once."""

    def __init__(self, deals: Deals, name: str) -> None:
        self._deals, self._name = deals, name
        self._eligible: dict[tuple[Fraction, Fraction], tuple[list[Touch], dict[str, str]]] = {}

    def eligible(self, model: Model) -> tuple[list[Touch], dict[str, str]]:
        """Return the eligible touches under a model, and why the others are not."""
        key = (model.lookback, model.view_lookback)
        if key not in self._eligible:
            touches = self._deals.touches(self._name)
            self._eligible[key] = eligible(model, self._deals.moments(self._name), touches) if touches else ([], {})
        return self._eligible[key]

    def weights(self, model: Model) -> list[Fraction]:
        """Return the shares of the eligible touches."""
        touches, _ = self.eligible(model)
        return weigh(model, self._deals.moments(self._name), touches) if touches else []

    def hand(self, model: Model, campaign: str | None) -> Hand:
        """Return what each campaign has; `campaign` is the source campaign."""
        if not model.touched:
            return Hand({campaign: Fraction(1)})
        if not self._name.startswith("order:"):
            return _UNATTRIBUTED
        touches, _ = self.eligible(model)
        return Hand(by_campaign(touches, self.weights(model))) if touches else _UNATTRIBUTED


def cells(deals: Deals, name: str, weighed: Weighed, model: Model, basis: str = "event") -> Iterator[Cell]:
    """Yield what campaigns have of a deal, order and invoices each for itself."""
    said = deals.said["order"].get(name)
    if said is not None:
        hand = weighed.hand(model, said["where"][0])
        where = tuple(said["where"][1:])
        yield from _dealt(deals, name, (name,), hand, where, basis)
        if said["live"]:
            for campaign, part in zip(hand.campaigns, hand.deal(WHOLE), strict=True):
                if part:
                    yield Cell(name, campaign, where, said["day"], said["cohort"], DEALS, part)
    for invoice in sorted(deals.invoices.get(name, ())):
        told = deals.said["invoice"][invoice]
        hand = weighed.hand(model, told["where"][0])
        entities = (invoice, *deals.notes.get(invoice, ()))
        yield from _dealt(deals, invoice, entities, hand, tuple(told["where"][1:]), basis)


def _dealt(
    deals: Deals, entity: str, entities: tuple[str, ...], hand: Hand, where: Where, basis: str
) -> Iterator[Cell]:  # fmt: skip
    """Deal what stands of an entity, less what is deducted from it, at the end of each day; of a cohort, there is one day."""
    moves: dict[str, dict[int, int]] = {}
    cohort = 0  # all of an entity has one
    for one in entities:
        for (measure, day, cohort), amount in deals.amounts.get(one, {}).items():
            on = day if basis == "event" else cohort
            for name, sign in _DEALT[measure]:
                days = moves.setdefault(name, {})
                days[on] = days.get(on, 0) + sign * amount
    credited: dict[tuple[str | None, int], int] = defaultdict(int)
    for name, days in moves.items():
        for campaign, on, amount in hand.by_day(days):
            if name in (_GROSS, _NET):
                credited[campaign, on] += amount if name == _GROSS else -amount
            if name != _NET:
                yield Cell(entity, campaign, where, on, cohort, name, amount)
    for (campaign, on), amount in credited.items():
        if amount:
            yield Cell(entity, campaign, where, on, cohort, _CREDITED, amount)
