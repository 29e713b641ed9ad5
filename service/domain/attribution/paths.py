"""Paths (REPORTS section 5): by the touches of which campaigns leads came, and whether that led to an order.

    path, travelled = way(ordered, own, of_contact, brought)   # of one lead
    by_path(ways)                                               # {("a", "b"): Travelled(converted=3, …)}

The path of a lead is the sequence of campaigns of its own touches and those of its contact, up to the first live order of its
branch: repeats in a row count once, and the last 20 are told. Without any touch it is empty, so that all leads are in some path.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import merge

from service.domain.attribution.touches import Moment, Touch

LONGEST = 20  # campaigns of a path
Path = tuple[str, ...]


@dataclass
class Travelled:
    """What the leads of a path come to.

    `sums` are what the converted ones brought, and `micros` how long those that had a touch, the `timed` ones, took from there.
    """

    converted: int = 0
    not_converted: int = 0
    touches: int = 0
    timed: int = 0
    micros: int = 0
    sums: dict[str, int] = field(default_factory=dict)

    def add(self, other: Travelled) -> None:
        """Add what other leads come to."""
        self.converted += other.converted
        self.not_converted += other.not_converted
        self.touches += other.touches
        self.timed += other.timed
        self.micros += other.micros
        for measure, amount in other.sums.items():
            self.sums[measure] = self.sums.get(measure, 0) + amount

    @property
    def leads(self) -> int:
        """How many leads there are."""
        return self.converted + self.not_converted

    @property
    def mean_touches(self) -> Fraction | None:
        """How many touches a lead has on average, repeats and all; None without leads."""
        return Fraction(self.touches, self.leads) if self.leads else None

    @property
    def mean_micros(self) -> Fraction | None:
        """How long it took on average from the first touch to the order; None where nothing did."""
        return Fraction(self.micros, self.timed) if self.timed else None


def way(
    ordered: Moment | None, own: Sequence[Touch], of_contact: Sequence[Touch], brought: Mapping[str, int]
) -> tuple[Path, Travelled]:  # fmt: skip
    """Return a lead's path and what it adds to that; `ordered` is its first order, and touches are in order.

    Of a contact with thousands of touches only those are looked at that are told.
    """
    alone = [touch for touch in own if not _has(of_contact, touch)]
    parts = [(some, _until(some, ordered)) for some in (alone, of_contact) if some]
    count = sum(number for _, number in parts)
    one_by_one = [_latest_first(*part) for part in parts]
    latest = one_by_one[0] if len(parts) == 1 else merge(*one_by_one, reverse=True)
    if ordered is None:
        travelled = Travelled(not_converted=1, touches=count)
    else:
        travelled = Travelled(converted=1, touches=count, sums=dict(brought))
        if count:
            first = min(some[0] for some, number in parts if number)
            travelled.timed, travelled.micros = 1, ordered.micros - first.at.micros
    return _campaigns(latest), travelled


def _latest_first(touches: Sequence[Touch], number: int) -> Iterator[Touch]:
    for place in range(number - 1, -1, -1):
        yield touches[place]


def _has(touches: Sequence[Touch], touch: Touch) -> bool:
    place = bisect_left(touches, touch)
    return place < len(touches) and touches[place] == touch


def _until(touches: Sequence[Touch], ordered: Moment | None) -> int:
    """Return how many touches come not after an order."""
    return len(touches) if ordered is None else bisect_right(touches, ordered, key=lambda touch: touch.at)


def _campaigns(latest: Iterable[Touch]) -> Path:
    """Return the campaigns of touches that come latest first, as a path has them."""
    found: list[str] = []
    for touch in latest:
        if not found or found[-1] != touch.campaign:
            found.append(touch.campaign)
            if len(found) == LONGEST:
                break
    return tuple(reversed(found))


def by_path(ways: Iterable[tuple[Path, Travelled]]) -> dict[Path, Travelled]:
    """Return what the leads of each path come to, by path."""
    found: dict[Path, Travelled] = {}
    for path, travelled in ways:
        if path in found:
            found[path].add(travelled)
        else:
            found[path] = travelled
    return {path: found[path] for path in sorted(found)}
