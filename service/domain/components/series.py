"""Statements in event order: what holds of several, and amounts that change step by step."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from operator import add, attrgetter, sub
from typing import Any, Generic, TypeVar, cast

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
    """What changes an amount step by step, in event order: each step starts from what the one before it leaves.

    A step keeps what it leaves as `after`.
    """

    __slots__ = ("_high", "_low", "items")
    _key = attrgetter("fact")

    def __init__(self) -> None:
        self.items: list[S] = []
        self._low = self._high = 0  # from which to before which step all is to be worked out again

    def __iter__(self) -> Iterator[S]:
        """Return the steps in order."""
        return iter(self.items)

    def insert(self, one: S) -> None:
        """Put a step in its place."""
        self._changed(self._put(one), 1)

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

        `start` is what is left before the first. It goes on behind the last changed step until one leaves what it left before.
        """
        items, at, high = self.items, self._low, self._high
        while at < len(items):
            step: Any = items[at]
            before: Any = items[at - 1] if at else None
            was = step.after
            yield before.after if at else start, step
            at += 1
            if at >= high and step.after == was:
                break
        self._low, self._high = len(items), 0

    def _put(self, one: S) -> int:
        items, fact = self.items, self._key(one)
        at = self._at(fact) if items and fact < self._key(items[-1]) else len(items)
        items.insert(at, one)
        return at

    def _at(self, fact: Fact) -> int:
        return bisect_left(self.items, fact[:4], key=lambda one: self._key(one)[:4])

    def _changed(self, at: int, more: int) -> None:
        if self._low >= self._high:  # nothing else is to be worked out
            self._low, self._high = at, at + 1
        else:
            self._low, self._high = min(self._low, at), max(self._high + more, at + 1)


class Deductions(Series[S]):
    """What is taken off an amount bit by bit, in event order.

    What is left is a row of (amount, the same converted) pairs. As long as an amount lasts, a step takes the same off it whatever
    those before it took; only where it is used up does the order matter.
    """

    __slots__ = ("_new", "_rising", "_used_up", "_whole", "taken")

    def __init__(self) -> None:
        super().__init__()
        self._new: dict[S, None] = {}
        self._whole = True  # all is to be worked out again
        self._used_up = False  # somewhere, so that the order matters
        self._rising = False  # a step gave back, so that this cannot be told from what is left in the end
        self.taken: tuple[Any, ...] = ()  # by all steps that were worked out

    def insert(self, one: S) -> None:
        """Put a step in its place."""
        self._put(one)
        self._new[one] = None

    def remove(self, fact: Fact) -> S:
        """Take out the step of a fact, which has to be there, and return it."""
        one: Any = self.items.pop(self._at(fact))
        if one in self._new:
            del self._new[one]
        else:
            self.taken = tuple(map(sub, self.taken, one.taken))
            self._whole = self._whole or self._used_up
        return cast("S", one)

    @property
    def used_up(self) -> bool:
        """Whether what there was is used up somewhere, so that another start changes more than what is left."""
        return self._used_up

    def restart(self) -> None:
        """Have all steps worked out again: what they start from has changed."""
        self._whole = True

    def left(self, start: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what is left of `start` in the end."""
        return tuple(map(add, start, self.taken))

    def again(self, start: Any) -> Iterator[tuple[Any, S]]:
        """Yield (what is left before it, step) for each step to be worked out again, which is to set its `after`.

        `start` is what is left before the first.
        """
        new, self._new = self._new, {}
        if not self._whole and list(new) == self.items[-1:]:
            yield from self._work_out(new, self.left(start))
        elif not self._whole and not self._used_up:
            for one in new:
                yield from self._work_out((one,), start)
            self._whole = self._uses_up(start)
        if self._whole or (new and self._used_up and list(new) != self.items[-1:]):
            self.taken, self._rising, self._whole = (0,) * len(start), False, False
            yield from self._work_out(self.items, start)
        self._used_up = self._uses_up(start)

    def _work_out(self, steps: Iterable[S], left: tuple[Any, ...]) -> Iterator[tuple[Any, S]]:
        step: Any
        for step in steps:
            yield left, step
            step.taken = tuple(map(sub, step.after, left))
            left = step.after
            self.taken = tuple(map(add, self.taken, step.taken))
            self._rising = self._rising or any(one > 0 for one in step.taken[::2])

    def _uses_up(self, start: tuple[Any, ...]) -> bool:
        """Tell whether some order of the steps may use up what there is."""
        pairs = zip(start[::2], self.left(start)[::2], strict=True)
        return self._rising or not all(left > 0 or start == left == 0 for start, left in pairs)
