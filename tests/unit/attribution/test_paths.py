"""Paths, worked out on paper."""

from __future__ import annotations

from fractions import Fraction

from service.domain.attribution.paths import Travelled, by_path, way
from service.domain.attribution.touches import Moment, Touch

DAY = 86_400_000_000


def touch(key: str, campaign: str, day: float) -> Touch:
    return Touch(Moment(int(day * DAY)), key, campaign, "ad")


def test_the_path_of_a_lead_is_that_of_its_touches_and_its_contacts() -> None:
    own = [touch("t1", "a", 1), touch("t2", "x", 2)]
    of_contact = [touch("t1", "a", 1), touch("t3", "b", 2), touch("t4", "c", 4)]
    assert way(Moment(3 * DAY), own, of_contact, {"booked_revenue": 500}) == (
        ("a", "x", "b"), Travelled(1, 0, touches=3, timed=1, micros=2 * DAY, sums={"booked_revenue": 500}),
    )  # fmt: skip
    assert way(None, [], of_contact, {"booked_revenue": 7}) == (("a", "b", "c"), Travelled(0, 1, touches=3))
    assert way(Moment(9 * DAY), [], [], {}) == ((), Travelled(1, 0))


def test_a_touch_at_the_order_leads_to_it_and_one_a_billionth_later_does_not() -> None:
    touches = [Touch(Moment(DAY, "0001"), "t1", "a", "ad"), Touch(Moment(DAY, "0002"), "t2", "b", "ad")]
    path, _ = way(Moment(DAY, "0001"), touches, [], {})
    assert path == ("a",)


def test_the_last_twenty_campaigns_are_told_and_all_touches_counted() -> None:
    path, travelled = way(None, [touch(f"t{day:02}", f"c{day // 2:02}", day) for day in range(60)], [], {})
    assert path == tuple(f"c{number:02}" for number in range(10, 30))
    assert travelled.touches == 60


def test_leads_of_a_path_come_to_means() -> None:
    ways = [
        way(Moment(2 * DAY), [touch("t1", "a", 1)], [], {}),
        way(Moment(5 * DAY), [touch("t2", "a", 1), touch("t3", "a", 2)], [], {}),
        way(None, [], [], {}),
    ]
    found = by_path(ways)
    assert list(found) == [(), ("a",)]
    assert (found["a",].mean_touches, found["a",].mean_micros) == (Fraction(3, 2), Fraction(5, 2) * DAY)
    assert (found[()].mean_touches, found[()].mean_micros) == (Fraction(0), None)
    assert Travelled().mean_touches is None
