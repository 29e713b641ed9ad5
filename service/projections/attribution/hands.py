"""What each campaign has of a deal under a model, and what becomes of its amounts day by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from service.domain.attribution.dealing import Hand, by_campaign, only
from service.domain.attribution.measures import DEALS
from service.domain.attribution.models import Model
from service.domain.attribution.touches import Touch, eligible
from service.domain.attribution.weights import weigh
from service.projections.attribution.deals import Deals

WHOLE = 1_000_000  # millionths of a deal
_NET = "net"
_GROSS, _CREDITED = "invoiced_revenue_gross", "credited"
# What is dealt of an amount of a measure, and with which sign.
_DEALT = {
    "booked_revenue": (("booked_revenue", 1),), _GROSS: ((_GROSS, 1), (_NET, 1)), _CREDITED: ((_NET, -1),),
    "invoiced_with_cogs": (("invoiced_with_cogs", 1),), "cogs": (("cogs", 1),),
}  # fmt: skip
_UNATTRIBUTED = only(None)
Where = tuple["str | None", ...]  # owner, team, region
Moves = Sequence[tuple[int, int]]  # (day, amount), in the order of the days


class Cell(NamedTuple):
    """What a campaign has of an entity's measure on a day."""

    entity: str
    campaign: str | None
    where: Where
    day: int
    cohort: int
    measure: str
    amount: int


class Pot(NamedTuple):
    """What is dealt by itself: an order, or an invoice with its credit notes. `source` is its own campaign."""

    entity: str
    source: str | None
    where: Where
    cohort: int
    moves: Mapping[str, Moves]


class Weighed:
    """A deal as models see it; what several models share is worked out once."""

    def __init__(self, deals: Deals, name: str) -> None:
        self._deals, self._name = deals, name
        self._eligible: dict[tuple[Fraction, Fraction], list[Touch]] = {}
        self._pots: dict[str, list[Pot]] = {}

    def eligible(self, model: Model) -> list[Touch]:
        """Return the eligible touches under a model."""
        key = (model.lookback, model.view_lookback)
        if key not in self._eligible:
            touches = self._deals.touches(self._name)
            self._eligible[key] = eligible(model, self._deals.moments(self._name), touches)[0] if touches else []
        return self._eligible[key]

    def hand(self, model: Model) -> Hand:
        """Return what each campaign has under a model that goes by touches."""
        touches = self.eligible(model) if self._name in self._deals.said["order"] else ()
        if not touches:
            return _UNATTRIBUTED
        return by_campaign(touches, weigh(model, self._deals.moments(self._name), touches))

    def pots(self, basis: str) -> list[Pot]:
        """Return what is dealt of it on a date basis."""
        if basis not in self._pots:
            self._pots[basis] = [*_pots(self._deals, self._name, basis)]
        return self._pots[basis]


def _pots(deals: Deals, name: str, basis: str) -> Iterator[Pot]:
    said = deals.said["order"].get(name)
    if said is not None:
        yield _pot(deals, (name,), said["where"], said["cohort"], basis)
    for invoice in sorted(deals.invoices.get(name, ())):
        where = deals.said["invoice"][invoice]["where"]
        yield _pot(deals, (invoice, *deals.notes.get(invoice, ())), where, 0, basis)


def _pot(deals: Deals, entities: tuple[str, ...], where: Sequence[str | None], cohort: int, basis: str) -> Pot:
    moves: dict[str, dict[int, int]] = {}
    for one in entities:
        for (measure, day, cohort), amount in deals.amounts.get(one, {}).items():  # noqa: PLR1704  all have one
            on = day if basis == "event" else cohort
            for name, sign in _DEALT[measure]:
                days = moves.setdefault(name, {})
                days[on] = days.get(on, 0) + sign * amount
    in_order = {name: sorted(days.items()) for name, days in moves.items()}
    return Pot(entities[0], where[0], tuple(where[1:]), cohort, in_order)


def cells(deals: Deals, name: str, weighed: Weighed, model: Model, basis: str = "event") -> Iterator[Cell]:
    """Yield what campaigns have of a deal, order and invoices each for itself."""
    of_touches = weighed.hand(model) if model.touched else None
    for pot in weighed.pots(basis):
        hand = of_touches or only(pot.source)
        yield from _dealt(pot, hand)
        said = deals.said["order"].get(pot.entity)
        if said is not None and said["live"]:
            for campaign, part in zip(hand.campaigns, hand.deal(WHOLE), strict=True):
                if part:
                    yield Cell(name, campaign, pot.where, said["day"], pot.cohort, DEALS, part)


def _dealt(pot: Pot, hand: Hand) -> Iterator[Cell]:
    """Deal what stands of a pot at the end of each day; of a cohort, there is one day."""
    credited: dict[tuple[str | None, int], int] = defaultdict(int)
    for name, moves in pot.moves.items():
        for campaign, on, amount in hand.by_day(moves):
            if name in (_GROSS, _NET):
                credited[campaign, on] += amount if name == _GROSS else -amount
            if name != _NET:
                yield Cell(pot.entity, campaign, pot.where, on, pot.cohort, name, amount)
    for (campaign, on), amount in credited.items():
        if amount:
            yield Cell(pot.entity, campaign, pot.where, on, pot.cohort, _CREDITED, amount)
