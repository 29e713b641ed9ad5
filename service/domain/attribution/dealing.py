"""Dealing: amounts by share, to the cent, by the largest remainder; ties go by campaign id, and unattributed comes last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from service.domain.attribution.touches import Touch
from service.domain.attribution.weights import Weights
from service.domain.money import dealt


class Hand:
    """What each campaign has of a deal, ready to have many amounts dealt by it; None = unattributed."""

    def __init__(self, parts: Mapping[str | None, int]) -> None:
        self.campaigns = sorted(parts, key=lambda campaign: (campaign is None, campaign or ""))
        self._weights = [parts[campaign] for campaign in self.campaigns]

    def deal(self, amount: int) -> list[int]:
        """Return what each campaign has of an amount."""
        return [amount] if len(self._weights) == 1 else dealt(amount, self._weights)

    def by_day(self, moves: Sequence[tuple[int, int]]) -> Iterable[tuple[str | None, int, int]]:
        """Yield (campaign, day, amount): what stands at the end of each day is dealt, and that day has the difference.

        `moves` are (day, amount), in the order of the days.
        """
        stands, before = 0, [0] * len(self.campaigns)
        for day, move in moves:
            stands += move
            after = self.deal(stands)
            for campaign, new, old in zip(self.campaigns, after, before, strict=True):
                if new != old:
                    yield campaign, day, new - old
            before = after


def only(campaign: str | None) -> Hand:
    """Return the hand of one campaign that has all of it."""
    return Hand({campaign: 1})


def by_campaign(touches: Sequence[Touch], weights: Weights) -> Hand:
    """Add weights up over the touches of each campaign; what has nothing is not there."""
    found: dict[str | None, int] = {}
    for touch, part in zip(touches, weights.parts, strict=True):
        if part:
            found[touch.campaign] = found.get(touch.campaign, 0) + part
    rest = weights.whole - sum(weights.parts)
    return Hand({**found, None: rest} if rest else found)
