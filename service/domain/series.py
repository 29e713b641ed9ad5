"""Statements in event order: what holds of several, and amounts that change step by step."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from operator import add, attrgetter, sub
from typing import Any, Generic, TypeVar

from service.domain.facts import Fact

S = TypeVar("S")


def earliest(one: Fact | None, other: Fact | None) -> Fact | None:
    """Return the earlier of two marks, as far as there are any."""
    if one is None or other is None:
        return one or other
    return min(one, other)


def put_in(facts: Sequence[Fact], fact: Fact) -> list[Fact]:
    """Put a fact in its place among others of its kind; the list is changed, if it is one."""
    if not isinstance(facts, list):
        return [*facts, fact]
    if facts[-1] < fact:
        facts.append(fact)
    else:
        insort(facts, fact)
    return facts


def last_before(facts: Sequence[Fact], end: Fact | None) -> Sequence[Fact]:
    """Return the statements that hold: those before what ended it, or just the first where all came after."""
    if end is None or not facts:
        return facts
    before = bisect_left(facts, end)
    return facts[:before] or facts[:1]


class Series(Generic[S]):
    """What changes an amount step by step, in event order; each step's amount may depend on what those before it leave.

    A step's `after` is what it leaves. In an `additive` series that is a row of pairs of an amount and what it is converted:
    a step takes the same off them whatever those before it left, as long as that is not used up.
    """

    __slots__ = ("_additive", "_high", "_low", "items")
    _key = attrgetter("fact")

    def __init__(self, *, additive: bool = False) -> None:
        self.items: list[S] = []
        self._additive = additive
        self._low = self._high = 0  # from which to before which step all is to be worked out again

    def __iter__(self) -> Iterator[S]:
        """Return the steps in order."""
        return iter(self.items)

    def insert(self, one: S) -> None:
        """Put a step in its place."""
        items, key = self.items, self._key
        at = len(items)
        if items and key(one) < key(items[-1]):
            at = self._at(key(one))
        items.insert(at, one)
        self._changed(at, 1)

    def remove(self, fact: Fact) -> S:
        """Take out the step of a fact, which has to be there, and return it."""
        at = self._at(fact)
        one = self.items.pop(at)
        self._changed(at, -1)
        return one

    def restart(self) -> None:
        """Have all steps worked out again: what they start from has changed."""
        self._low, self._high = 0, len(self.items)

    def again(self, start: Any) -> Iterator[tuple[Any, S]]:
        """Yield (what is left before it, step) for each step to be worked out again, which is to set its `after`.

        `start` is what is left before the first. It goes on behind the last changed step as long as others are affected.
        """
        items, at, high = self.items, self._low, self._high
        while at < len(items):
            step: Any = items[at]
            was = step.after
            yield getattr(items[at - 1], "after") if at else start, step  # noqa: B009  the steps have it, entities do not
            at += 1
            if at >= high:
                if step.after == was:
                    break
                if self._additive and was is not None:
                    at = self._shift(at, was, step.after)
        self._low, self._high = len(items), 0

    def _shift(self, at: int, was: tuple[Any, ...], now: tuple[Any, ...]) -> int:
        """Move what later steps leave by the same; return the first step for which that is not all there is to it."""
        moved = tuple(map(sub, now, was))
        for number in range(at, len(self.items)):
            step: Any = self.items[number]
            after = tuple(map(add, step.after, moved))
            if any(one * other <= 0 for one, other in zip(after[::2], step.after[::2], strict=True)):
                return number  # used up, before or now
            step.after = after
        return len(self.items)

    def _at(self, fact: Fact) -> int:
        return bisect_left(self.items, fact[:4], key=lambda one: self._key(one)[:4])

    def _changed(self, at: int, more: int) -> None:
        if self._low >= self._high:  # nothing else is to be worked out
            self._low, self._high = at, at + 1
        else:
            self._low, self._high = min(self._low, at), max(self._high + more, at + 1)
