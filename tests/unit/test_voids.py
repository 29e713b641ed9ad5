from __future__ import annotations

import pytest

from service.domain.facts import Fact
from service.domain.voids import Voids


def void(micros: int, identity: str, target: str) -> Fact:
    return Fact(micros, "", "/s", identity, "event.voided", {"source": "/s", "id": target})


def voids(*facts: Fact) -> Voids:
    made = Voids()
    for fact in facts:
        made.add(fact)
    return made


def test_a_void_voids_whatever_the_order_of_the_two() -> None:
    assert voids(void(1, "v", "e")).is_void(("/s", "e"))
    assert not voids(void(1, "v", "other")).is_void(("/s", "e"))


def test_a_void_is_voided_only_by_a_later_one() -> None:
    assert not voids(void(1, "v", "e"), void(2, "w", "v")).is_void(("/s", "e"))
    assert voids(void(2, "v", "e"), void(1, "w", "v")).is_void(("/s", "e"))


def test_one_standing_void_is_enough() -> None:
    assert voids(void(1, "v", "e"), void(2, "w", "v"), void(3, "x", "e")).is_void(("/s", "e"))


def test_voids_that_void_each_other_are_decided_by_event_order() -> None:
    # w is later and voids v; v cannot void w in return, and so does not void e either.
    assert not voids(void(1, "v", "e"), void(2, "w", "v"), void(1, "u", "w")).is_void(("/s", "e"))


@pytest.mark.parametrize("length", [5_000, 5_001])
def test_a_chain_of_thousands_of_voids_is_followed_to_its_end(length: int) -> None:
    chain = [void(number, f"v{number}", f"v{number - 1}" if number else "e") for number in range(length)]
    assert voids(*chain).is_void(("/s", "e")) is (length % 2 == 1)
