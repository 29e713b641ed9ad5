"""Attribution by data (REPORTS section 5): what each campaign's part is in what the leads of all paths brought.

    attributed("markov", paths, {"booked_revenue": 1})   # {"a": {"booked_revenue": 4000, …}, …}

What a lead without an order or without a touch brought is nobody's. Parts are exact, and made whole units of once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

from service.domain.attribution.paths import Path, Travelled
from service.domain.money import dealt_parts

Paths = Mapping[Path, Travelled]
Parts = dict[str, dict[str, Fraction]]  # by campaign and measure
DIGITS = 12  # to which shares are rounded
_SURE = 24  # digits to which flows are right, and beyond which a share that seems to go on is a rounded one
_FIXED = 128  # binary digits of flows behind the point


def shapley(paths: Paths) -> Parts:
    """Return the parts where what each converted path brought goes in equal ones to the distinct campaigns in it.

    That is the Shapley value of the game in which a coalition of campaigns brings what came by paths of these campaigns alone.
    """
    found: Parts = {}
    for path, travelled in _converted(paths):
        campaigns = {*path}
        for campaign in campaigns:
            of_one = found.setdefault(campaign, {})
            for measure, amount in travelled.sums.items():
                of_one[measure] = of_one.get(measure, Fraction(0)) + Fraction(amount, len(campaigns))
    return found


def markov(paths: Paths) -> Parts:
    """Return the parts where what all converted paths brought goes to campaigns by their removal effects."""
    shares = removal_shares({path: (one.converted, one.not_converted) for path, one in paths.items()})
    return {
        campaign: {measure: share * amount for measure, amount in brought(paths).items()}
        for campaign, share in shares.items()
    }


MODELS: dict[str, Callable[[Paths], Parts]] = {"shapley": shapley, "markov": markov}


def attributed(model: str, paths: Paths, units: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return what a model makes of paths, by campaign and measure, in so many `units` for one: each measure is dealt once."""
    parts = MODELS[model](paths)
    found: dict[str, dict[str, int]] = {campaign: {} for campaign in sorted(parts)}
    for measure, whole in brought(paths).items():
        each = units[measure]
        shares = [each * parts[campaign].get(measure, Fraction(0)) for campaign in found]
        for campaign, amount in zip(found, dealt_parts(each * whole, shares), strict=True):
            found[campaign][measure] = amount
    return found


def brought(paths: Paths) -> dict[str, int]:
    """Return what there is to deal of each measure: what converted leads with touches brought."""
    whole = Travelled()
    for _, travelled in _converted(paths):
        whole.add(travelled)
    return whole.sums


def _converted(paths: Paths) -> Iterator[tuple[Path, Travelled]]:
    return ((path, travelled) for path, travelled in paths.items() if path and travelled.converted)


# The chain is kept as flows: how many of the leads go from one state to another. Taking a campaign out leads what flows into it
# on to where it flows from there, which changes nothing for the others. Where one campaign is left, what flows into it is each
# lead that ever comes to it, once; and what of that goes on to the conversion is what is lost with arrivals there going to null.
# Flows are only added and multiplied, never subtracted, so that what is cut off behind the point stays as small as it is.


def removal_shares(paths: Mapping[Path, tuple[int, int]]) -> dict[str, Fraction]:
    """Return the removal effect of each campaign over their sum, rounded; (converted, not converted) are the leads of a path.

    Without a converted path with touches there are none.
    """
    effects = dict(_lost(*_flows(paths)))
    whole = sum(effects.values())
    return {campaign: _rounded(Fraction(effect, whole)) for campaign, effect in effects.items()} if whole else {}


def _rounded(share: Fraction) -> Fraction:
    return round(round(share, _SURE), DIGITS)


def _flows(paths: Mapping[Path, tuple[int, int]]) -> tuple[Sequence[str], list[list[int]]]:
    """Return the campaigns, and flows from each of them and the start: to each of them, to the conversion and to null."""
    campaigns = sorted({campaign for path in paths for campaign in path})
    place = {campaign: number for number, campaign in enumerate(campaigns)}
    conversion = start = len(campaigns)
    flows = [[0] * (conversion + 2) for _ in range(start + 1)]
    for path, (converted, not_converted) in paths.items():
        states = [start, *map(place.__getitem__, path)]
        for one, following in pairwise(states):
            flows[one][following] += converted + not_converted
        flows[states[-1]][conversion] += converted
        flows[states[-1]][conversion + 1] += not_converted
    return campaigns, [[count << _FIXED for count in row] for row in flows]


def _lost(campaigns: Sequence[str], flows: list[list[int]]) -> Iterator[tuple[str, int]]:
    """Yield how many conversions are lost without each campaign; half of them are taken out at a time, for the other half."""
    if not campaigns:
        return
    if len(campaigns) == 1:
        (_, onward, away), (into, *_) = flows
        yield campaigns[0], into * onward // (onward + away)
        return
    half = len(campaigns) // 2
    turned = [row[half:-2] + row[:half] + row[-2:] for row in (*flows[half:-1], *flows[:half], flows[-1])]
    yield from _lost(campaigns[half:], _without(half, flows))
    yield from _lost(campaigns[:half], _without(len(campaigns) - half, turned))


def _without(number: int, flows: list[list[int]]) -> list[list[int]]:
    """Take the first campaigns out of flows."""
    for _ in range(number):
        (_, *onward), *others = flows
        whole = sum(onward)
        flows = []
        for into, *row in others:
            if into:
                share = (into << _FIXED) // whole
                row = [flow + (share * more >> _FIXED) for flow, more in zip(row, onward, strict=True)]  # noqa: PLW2901
            flows.append(row)
    return flows
