"""Weights: what each eligible touch of a deal has of its money under a model. Exact fractions; decay by decimals of 40 digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction

from service.domain.attribution.models import FIRST, LAST, LEAD, OPPORTUNITY, Model
from service.domain.attribution.touches import Deal, Touch, last_by
from service.domain.calendar import MICROS_PER_DAY

_DIGITS = Context(prec=40, Emin=MIN_EMIN, Emax=MAX_EMAX)
_FADED = 400  # half-lives, beyond which nothing is left of a weight that 40 digits or any amount could tell

Shares = Mapping["str | None", Fraction]  # campaign → share; None = unattributed. They come to 1.


def weigh(model: Model, deal: Deal, touches: Sequence[Touch]) -> list[Fraction]:
    """Return the share of each eligible touch, in order; what they do not come up to is unattributed."""
    if not touches:
        return []
    if model.kind == "time_decay":
        return _normalised([_decayed(touches[-1], touch, model.half_life) for touch in touches])
    if model.kind == "weighted_activities":
        weights = [model.weights.get(touch.activity, Fraction(0)) for touch in touches]
        return _normalised(weights) if model.normalised or sum(weights) > 1 else weights
    return _by_milestones(model.shares, deal, touches)


def _normalised(weights: Sequence[Fraction]) -> list[Fraction]:
    whole = sum(weights, Fraction(0))
    return [weight / whole for weight in weights] if whole else [Fraction(0)] * len(weights)


def _decayed(last: Touch, touch: Touch, half_life: Fraction) -> Fraction:
    """Return what a weight of 1 has halved to, from a touch to the last one."""
    times = (last.at.exact - touch.at.exact) / (MICROS_PER_DAY * half_life)
    if not times:
        return Fraction(1)
    if times > _FADED:
        return Fraction(0)
    elapsed = _DIGITS.divide(Decimal(times.numerator), Decimal(times.denominator))
    return Fraction(_DIGITS.power(2, -elapsed))


def _by_milestones(shares: Mapping[str, Fraction], deal: Deal, touches: Sequence[Touch]) -> list[Fraction]:
    """Give each milestone its share, and the others the rest; what there is none of is left out."""
    places = {
        FIRST: 0, LAST: len(touches) - 1, LEAD: last_by(touches, deal.captured), OPPORTUNITY: last_by(touches, deal.opened),
    }  # fmt: skip
    weights = [Fraction(0)] * len(touches)
    held = set()
    for name, share in shares.items():
        place = places[name]
        if place is not None:
            held.add(place)
            weights[place] += share
    others = [place for place in range(len(touches)) if place not in held]
    for place in others:
        weights[place] = (1 - sum(shares.values(), Fraction(0))) / len(others)
    return _normalised(weights)


def by_campaign(touches: Sequence[Touch], weights: Sequence[Fraction]) -> Shares:
    """Return what each campaign has, added up over its touches, and what is unattributed; what has nothing is not there."""
    found: dict[str | None, Fraction] = {}
    for touch, weight in zip(touches, weights, strict=True):
        if weight:
            found[touch.campaign] = found.get(touch.campaign, Fraction(0)) + weight
    rest = 1 - sum(found.values(), Fraction(0))
    return {**found, None: rest} if rest else found
