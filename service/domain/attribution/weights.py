"""Weights: what each eligible touch of a deal has of its money under a model.

They are whole numbers, each of one whole, so that they are exact and quickly added up; decay is worked out to 40 digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import NamedTuple

from service.domain.attribution.models import FIRST, LAST, LEAD, OPPORTUNITY, Model
from service.domain.attribution.touches import Deal, Touch, last_by
from service.domain.calendar import MICROS_PER_DAY

_DIGITS = Context(prec=40, Emin=MIN_EMIN, Emax=MAX_EMAX)
_FADED = 400  # half-lives, beyond which nothing is left of a weight that 40 digits or any amount could tell


class Weights(NamedTuple):
    """The `parts` that touches have of a `whole`, in order; what they do not come up to is unattributed."""

    parts: Sequence[int]
    whole: int

    def shares(self) -> list[Fraction]:
        """Return them as fractions."""
        return [Fraction(part, self.whole) for part in self.parts]


def weigh(model: Model, deal: Deal, touches: Sequence[Touch]) -> Weights:
    """Return the weights of the eligible touches, which are in order."""
    if model.kind == "time_decay":
        faded = [_faded(touches[-1], touch, model.half_life) for touch in touches]
        return _normalised(*_whole_numbers(faded))
    if model.kind == "weighted_activities":
        parts, one = _whole_numbers(model.weights.get(touch.activity, Fraction(0)) for touch in touches)
        return _normalised(parts, one) if model.normalised or sum(parts) > one else Weights(parts, one)
    return _by_milestones(model.shares, deal, touches)


def _whole_numbers(weights: Iterable[Fraction]) -> tuple[list[int], int]:
    """Return weights as whole numbers, and what 1 is then."""
    weights = list(weights)
    one = lcm(*(weight.denominator for weight in weights))
    return [weight.numerator * (one // weight.denominator) for weight in weights], one


def _normalised(parts: Sequence[int], one: int) -> Weights:
    return Weights(parts, sum(parts) or one)


def _faded(last: Touch, touch: Touch, half_life: Fraction) -> Fraction:
    """Return what a weight of 1 has halved to, from a touch to the last one."""
    if touch.at == last.at:
        return Fraction(1)
    times = (last.at.exact - touch.at.exact) / (MICROS_PER_DAY * half_life)
    if times > _FADED:
        return Fraction(0)
    return Fraction(_DIGITS.power(2, -_DIGITS.divide(Decimal(times.numerator), Decimal(times.denominator))))


@lru_cache(maxsize=256)
def _shares(stated: tuple[tuple[str, Fraction], ...]) -> tuple[list[tuple[str, int]], int]:
    """Return the shares of milestones as whole numbers, and what is left for the rest."""
    parts, one = _whole_numbers(share for _, share in stated)
    return [(name, part) for (name, _), part in zip(stated, parts, strict=True)], one - sum(parts)


def _by_milestones(shares: Mapping[str, Fraction], deal: Deal, touches: Sequence[Touch]) -> Weights:
    """Give each milestone its share, and the others the rest, equally; what there is none of is left out."""
    stated, rest = _shares(tuple(shares.items()))
    of_touches: dict[int, int] = {}
    for name, share in stated:
        place = _place(name, deal, touches)
        if place is not None:
            of_touches[place] = of_touches.get(place, 0) + share
    others = len(touches) - len(of_touches) or 1
    parts = [of_touches[place] * others if place in of_touches else rest for place in range(len(touches))]
    return _normalised(parts, 1)


def _place(name: str, deal: Deal, touches: Sequence[Touch]) -> int | None:
    """Return which touch holds a milestone."""
    if name == FIRST:
        return 0
    if name == LAST:
        return len(touches) - 1
    return last_by(touches, {LEAD: deal.captured, OPPORTUNITY: deal.opened}[name])
