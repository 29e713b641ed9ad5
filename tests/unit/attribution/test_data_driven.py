"""Attribution by data, worked out on paper, by brute force and by other means."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from math import factorial

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.attribution.data_driven import attributed, removal_shares, shapley
from service.domain.attribution.paths import Path, Travelled
from service.domain.money import dealt_parts

CENTS = {"booked_revenue": 1}
Chain = dict[Path, tuple[int, int]]


def of(**paths: tuple[int, int, int]) -> dict[Path, Travelled]:
    """Return paths, written a_b for (a, b), by (converted, not converted, booked revenue)."""
    return {
        tuple(name.split("_")): Travelled(
            converted, not_converted, sums={"booked_revenue": booked} if converted else {}
        )
        for name, (converted, not_converted, booked) in paths.items()
    }


def test_the_published_example() -> None:
    shares = removal_shares({("c1", "c2", "c3"): (1, 0), ("c1",): (0, 1), ("c2", "c3"): (0, 1)})
    assert shares == {"c1": Fraction("0.2"), "c2": Fraction("0.4"), "c3": Fraction("0.4")}


def test_whole_units_are_dealt_once_per_campaign() -> None:
    paths = of(a_b_c=(1, 0, 100), a_b=(1, 0, 101), c=(0, 5, 0), b_a_b=(2, 0, 3))
    assert shapley(paths)["a"] == {"booked_revenue": Fraction(100, 3) + Fraction(101, 2) + Fraction(3, 2)}
    # 85 1/3, 85 1/3, 33 1/3: the unit left over goes to the first of them
    assert attributed("shapley", paths, CENTS) == {
        "a": {"booked_revenue": 86}, "b": {"booked_revenue": 85}, "c": {"booked_revenue": 33},
    }  # fmt: skip
    assert sum(one["booked_revenue"] for one in attributed("markov", paths, CENTS).values()) == 204


def test_what_no_converted_lead_with_touches_brought_is_nobodys() -> None:
    paths = of(a=(0, 3, 0)) | {(): Travelled(2, sums={"booked_revenue": 50})}
    assert attributed("shapley", paths, CENTS) == attributed("markov", paths, CENTS) == {}
    assert removal_shares({("a",): (0, 3), (): (2, 0)}) == removal_shares({}) == {}


def test_shares_are_rounded_half_even_where_they_end_just_behind() -> None:
    # Of 2^13 conversions one came by a: 1/8192 is 0.0001220703125, and the digit before the last is even.
    shares = removal_shares({("a",): (1, 0), ("b",): (8191, 0)})
    assert shares == {"a": Fraction("0.000122070312"), "b": Fraction("0.999877929688")}


def test_parts_of_rounded_shares_and_of_less_than_nothing_add_up() -> None:
    third = Fraction("0.333333333333")
    assert dealt_parts(100, [100 * third] * 3) == [34, 33, 33]
    assert dealt_parts(-100, [-100 * third] * 3) == [-34, -33, -33]
    whole = 10**18  # what is left of it is more than there are campaigns
    assert dealt_parts(whole, [whole * third] * 3) == [333333333333333334, 333333333333333333, 333333333333333333]


_PATHS = st.dictionaries(
    st.lists(st.sampled_from("abcd"), max_size=5).filter(lambda path: all(one != two for one, two in pairwise(path))).map(tuple),
    st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(any), min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(_PATHS)
def test_removal_effects_are_those_of_the_chain_without_each_campaign(paths: Chain) -> None:
    campaigns = sorted({one for path in paths for one in path})
    whole = _converts(paths, gone=None)
    effects = {one: 1 - _converts(paths, gone=one) / whole for one in campaigns} if whole else {}
    total = sum(effects.values())
    assert removal_shares(paths) == (
        {one: round(effect / total, 12) for one, effect in effects.items()} if total else {}
    )


def _converts(paths: Chain, gone: str | None) -> Fraction:
    """Return how probable a conversion is from the start: one equation for each state, solved by elimination."""
    flows: dict[str, dict[str, int]] = {}
    for path, (converted, not_converted) in paths.items():
        steps = ["start", *path]
        for one, following in pairwise(steps):
            flow = flows.setdefault(one, {})
            flow[following] = flow.get(following, 0) + converted + not_converted
        last = flows.setdefault(steps[-1], {})
        for end, count in (("conversion", converted), ("null", not_converted)):
            last[end] = last.get(end, 0) + count
    states = [one for one in flows if one != gone]
    rows = []
    for state in states:
        whole = sum(flows[state].values())
        row = [Fraction(one == state) - Fraction(flows[state].get(one, 0), whole) for one in states]
        rows.append([*row, Fraction(flows[state].get("conversion", 0), whole)])
    for place in range(len(states)):
        pivot = next(at for at in range(place, len(rows)) if rows[at][place])
        rows[place], rows[pivot] = rows[pivot], rows[place]
        rows[place] = [one / rows[place][place] for one in rows[place]]
        for at in range(len(rows)):
            if at != place and rows[at][place]:
                rows[at] = [one - rows[at][place] * two for one, two in zip(rows[at], rows[place], strict=True)]
    return rows[states.index("start")][-1]


@settings(max_examples=30, deadline=None)
@given(_PATHS)
def test_equal_parts_are_the_shapley_value_over_all_coalitions(paths: Chain) -> None:
    worth = {path: converted * 7 for path, (converted, _) in paths.items() if path}
    travelled = {
        path: Travelled(converted, missed, sums={"booked_revenue": worth.get(path, 0)} if converted else {})
        for path, (converted, missed) in paths.items()
    }
    campaigns = sorted({one for path in worth for one in path})

    def brings(coalition: frozenset[str]) -> int:
        return sum(value for path, value in worth.items() if {*path} <= coalition)

    parts = shapley(travelled)
    for one in campaigns:
        others, value = [two for two in campaigns if two != one], Fraction(0)
        for size in range(len(others) + 1):
            weight = Fraction(factorial(size) * factorial(len(others) - size), factorial(len(campaigns)))
            for some in combinations(others, size):
                value += weight * (brings(frozenset({*some, one})) - brings(frozenset(some)))
        assert parts.get(one, {}).get("booked_revenue", 0) == value
