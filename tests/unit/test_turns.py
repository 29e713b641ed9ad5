"""Reads take turns: so many at once, so many of one key, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from service.api.problems import ProblemError
from service.api.turns import Turns


class Going:
    """Notes how many go at once, and in which order they began."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []

    async def read(self, key: str, seconds: float = 0.01) -> None:
        async with self.turns.turn(key):
            self.order.append(key)
            self.now[key] += 1
            self.most[key] = max(self.most[key], self.now[key])
            self.most["all"] = max(self.most["all"], self.now.total())
            await asyncio.sleep(seconds)
            self.now[key] -= 1


async def test_so_many_go_at_once_in_all_and_of_one_key() -> None:
    going = Going(Turns(4, 2, 10))
    await asyncio.gather(*(going.read("abc"[number % 3]) for number in range(60)))
    assert going.most == {"a": 2, "b": 2, "c": 2, "all": 4}
    alone = Going(Turns(4, 2, 10))
    await asyncio.gather(*(alone.read("a") for _ in range(10)))
    assert alone.most["all"] == 2


async def test_who_asks_once_does_not_wait_behind_all_questions_of_another() -> None:
    going = Going(Turns(2, 2, 10))
    many = [asyncio.create_task(going.read("many")) for _ in range(50)]
    await asyncio.sleep(0)
    await going.read("one")
    assert going.order.index("one") <= 4
    await asyncio.gather(*many)


async def test_who_waits_too_long_is_told_to_come_back_and_leaves_no_turn_taken() -> None:
    going = Going(Turns(1, 1, 0.05))
    long = asyncio.create_task(going.read("a", 0.3))
    await asyncio.sleep(0)
    for key in ("a", "b"):
        with pytest.raises(ProblemError) as refused:
            await going.read(key)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
    gave_up = asyncio.create_task(going.read("b"))
    await asyncio.sleep(0.01)
    gave_up.cancel()
    await long
    await asyncio.gather(*(going.read(key, 0.001) for key in "abab"))
    assert going.now.total() == 0


async def test_too_many_that_wait_are_refused_at_once() -> None:
    going = Going(Turns(1, 1, 10))
    tasks = [asyncio.create_task(going.read("a", 0.001)) for _ in range(150)]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, ProblemError) for one in found) == 49  # one goes, a hundred wait


async def test_a_turn_that_is_set_down_lets_others_go_and_is_taken_up_again() -> None:
    turns = Turns(1, 1, 10)
    seen = []

    async def other() -> None:
        async with turns.turn("b"):
            seen.append("other")

    async with turns.turn("a") as turn:
        waiting = asyncio.create_task(other())
        await asyncio.sleep(0.01)
        assert seen == []
        async with turn.set_down():
            await waiting
        seen.append("again")
    assert seen == ["other", "again"]
