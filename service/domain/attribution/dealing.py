"""Dealing: amounts by share, to the cent, by the largest remainder; ties go by campaign id, and unattributed comes last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import lcm

from service.domain.attribution.weights import Shares
from service.domain.money import dealt


class Hand:
    """Shares, ready to have many amounts dealt by them."""

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.campaigns = sorted(shares, key=lambda campaign: (campaign is None, campaign or ""))
        whole = lcm(*(share.denominator for share in shares.values()))
        self._weights = [int(shares[campaign] * whole) for campaign in self.campaigns]

    def deal(self, amount: int) -> list[int]:
        """Return what each campaign has of an amount."""
        return [amount] if len(self._weights) == 1 else dealt(amount, self._weights)

    def by_day(self, moves: Mapping[int, int]) -> Iterable[tuple[str | None, int, int]]:
        """Yield (campaign, day, amount): what stands at the end of each day is dealt, and that day has the difference."""
        stands, before = 0, [0] * len(self.campaigns)
        for day in sorted(moves):
            stands += moves[day]
            after = self.deal(stands)
            for campaign, new, old in zip(self.campaigns, after, before, strict=True):
                if new != old:
                    yield campaign, day, new - old
            before = after
