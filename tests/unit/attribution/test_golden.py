"""The golden numbers of SPEC section 4, and weights worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from service.domain.attribution.dealing import Hand, by_campaign
from service.domain.attribution.models import BUILT_IN, Model, UnusableError, read
from service.domain.attribution.touches import Deal, Moment, Touch, eligible
from service.domain.attribution.weights import Weights, weigh

DAY = 86_400_000_000
ORDER = 1_000 * DAY


def touch(campaign: str, days_before: float, activity: str = "mail", **more: Any) -> Touch:
    at = Moment(ORDER - round(days_before * DAY))
    return Touch(at, f"{campaign}{days_before}", campaign, activity, **more)


def weighed(model: Model | str, touches: list[Touch], **moments: float) -> Weights:
    one = BUILT_IN[model] if isinstance(model, str) else model
    deal = Deal(Moment(ORDER), **{name: Moment(ORDER - round(days * DAY)) for name, days in moments.items()})
    found, _ = eligible(one, deal, touches)
    return weigh(one, deal, found) if found else Weights((), 1)


def weights(model: Model | str, touches: list[Touch], **moments: float) -> list[Fraction]:
    return weighed(model, touches, **moments).shares()


def test_a_hundred_euros_over_three_campaigns() -> None:
    touches = [touch("c", 1), touch("b", 2), touch("a", 3)]
    hand = by_campaign(sorted(touches), weighed("linear", touches))
    assert dict(zip(hand.campaigns, hand.deal(100_00), strict=True)) == {"a": 33_34, "b": 33_33, "c": 33_33}
    assert hand.deal(-100_00) == [-33_34, -33_33, -33_33]


def test_twelve_thousand_dollars_by_decay() -> None:
    touches = [touch(f"c{number}", days) for number, days in enumerate((38, 33, 26, 8, 0))]
    hand = by_campaign(sorted(touches), weighed("time_decay", touches))
    assert hand.deal(12_000_00) == [175_19, 287_44, 574_88, 3417_04, 7545_45]


FOUR = [touch("a", 40), touch("b", 30), touch("c", 20), touch("d", 10)]


@pytest.mark.parametrize(
    ("model", "moments", "expected"),
    [
        ("first_touch", {}, "1 0 0 0"),
        ("last_touch", {}, "0 0 0 1"),
        ("linear", {}, "1/4 1/4 1/4 1/4"),
        ("position_based", {}, "2/5 1/10 1/10 2/5"),
        ("u_shaped", {"captured": 25}, "2/5 2/5 1/10 1/10"),
        ("u_shaped", {"captured": 30}, "2/5 2/5 1/10 1/10"),  # at the very moment
        ("u_shaped", {"captured": 35}, "4/5 1/15 1/15 1/15"),  # one touch holds both
        ("u_shaped", {"captured": 50}, "2/3 1/9 1/9 1/9"),  # before all touches: without lead creation
        ("u_shaped", {}, "2/3 1/9 1/9 1/9"),
        ("w_shaped", {"captured": 25, "opened": 15}, "3/10 3/10 3/10 1/10"),
        ("full_path", {"captured": 25, "opened": 15}, "1/4 1/4 1/4 1/4"),  # no rest: 22.5 of 90 each
        ("full_path", {"captured": 25, "opened": 5}, "9/40 9/40 1/10 9/20"),
    ],
)
def test_milestones(model: str, moments: dict[str, float], expected: str) -> None:
    assert weights(model, FOUR, **moments) == [Fraction(one) for one in expected.split()]


def test_few_touches_have_all_of_it() -> None:
    for model in BUILT_IN:
        if BUILT_IN[model].touched:
            assert sum(weights(model, FOUR[:1], captured=50, opened=45)) == 1
            assert weights(model, []) == []
    assert weights("position_based", FOUR[:2]) == [Fraction(1, 2), Fraction(1, 2)]


def test_weighted_activities() -> None:
    touches = [
        touch("a", 3, activity="newsletter"),
        touch("b", 2, activity="white paper"),
        touch("c", 1, activity="call"),
    ]
    definition = {"kind": "weighted_activities", "weights": {"newsletter": "0.05", "white paper": "0.30"}}
    normalised, absolute = read(definition, kept=True), read({**definition, "normalised": False}, kept=True)
    assert weights(normalised, touches) == [Fraction(1, 7), Fraction(6, 7), 0]
    assert weights(absolute, touches) == [Fraction(1, 20), Fraction(3, 10), 0]
    hand = by_campaign(touches, weighed(absolute, touches))
    assert dict(zip(hand.campaigns, hand.deal(100), strict=True)) == {"a": 5, "b": 30, None: 65}
    many = [touch("a", days, activity="white paper") for days in range(1, 6)]
    assert weights(absolute, many) == [Fraction(1, 5)] * 5
    assert weights(absolute, touches[2:]) == weights(normalised, touches[2:]) == [0]


def test_why_touches_are_not_eligible() -> None:
    touches = [
        touch("late", -0.5), touch("gone", 5, suppressed=True), touch("old", 90.1), touch("edge", 90),
        touch("seen", 7, interaction="view"), touch("unseen", 7.1, interaction="view"),
    ]  # fmt: skip
    found, why_not = eligible(BUILT_IN["linear"], Deal(Moment(ORDER)), touches)
    assert [one.campaign for one in found] == ["edge", "seen"]
    assert why_not == {
        "late-0.5": "after_order", "gone5": "suppressed", "old90.1": "outside_lookback", "unseen7.1": "outside_lookback",
    }  # fmt: skip
    found, why_not = eligible(
        BUILT_IN["linear"], Deal(Moment(ORDER)), [*touches, touch("click", 80, interaction="click")]
    )
    assert [one.campaign for one in found] == ["edge", "click"]
    assert why_not["seen7"] == "click_beats_view"
    old_click = touch("click", 91, interaction="click")  # not eligible itself: the view stays
    assert len(eligible(BUILT_IN["linear"], Deal(Moment(ORDER)), [*touches, old_click])[0]) == 2


def test_instants_count_at_full_precision() -> None:
    deal = Deal(Moment(ORDER, "5"))
    just = Touch(Moment(ORDER - 90 * DAY, "5"), "1", "a", "mail")
    assert eligible(BUILT_IN["linear"], deal, [just])[1] == {}
    assert eligible(BUILT_IN["linear"], deal, [just._replace(at=Moment(ORDER - 90 * DAY, "49"))])[1] == {
        "1": "outside_lookback"
    }
    assert eligible(BUILT_IN["linear"], deal, [just._replace(at=Moment(ORDER, "51"))])[1] == {"1": "after_order"}


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({}, "kind"), ({"kind": "shapley"}, "kind"), ({"kind": "linear", "shares": {"first": 1}}, "shares"),
        ({"kind": "milestones"}, "shares"), ({"kind": "milestones", "shares": {"middle": 1}}, "shares"),
        ({"kind": "milestones", "shares": {"first": 0.7, "last": 0.4}}, "shares"),
        ({"kind": "milestones", "shares": {"first": "0.7"}}, "shares.first"),
        ({"kind": "weighted_activities"}, "weights"), ({"kind": "weighted_activities", "weights": {"a": 0}}, "weights"),
        ({"kind": "weighted_activities", "weights": {"a": 1.5}}, "weights.a"),
        ({"kind": "time_decay", "half_life_days": 0}, "half_life_days"),
        ({"kind": "linear", "lookback_days": 366}, "lookback_days"),
        ({"kind": "linear", "view_lookback_days": -1}, "view_lookback_days"), ({"kind": "linear", "normalised": 1}, "normalised"),
    ],
)  # fmt: skip
def test_a_definition_that_cannot_be_used_says_what_to_change(definition: dict[str, object], field: str) -> None:
    with pytest.raises(UnusableError) as refused:
        read(definition)
    assert refused.value.field == field


def test_what_stands_at_the_end_of_each_day_is_dealt() -> None:
    hand = Hand({"a": 1, "b": 2})
    found = list(hand.by_day([(10, 100), (12, -50), (15, -50)]))
    assert found == [("a", 10, 33), ("b", 10, 67), ("a", 12, -16), ("b", 12, -34), ("a", 15, -17), ("b", 15, -33)]
    assert sum(amount for _, _, amount in found) == 0
