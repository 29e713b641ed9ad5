"""Cubes: by which dimensions the sums of a subject are kept, and the measures that are posted to it.

    CALLS = Cube("calls", by=("owner",))
    POSTS = Posts(CALLS, counts=("calls.answered",), rules={"call": contribute_call})

A report's module has such a POSTS beside its REPORT. Several may post to one cube: what most reports ask for together is kept
together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Dimensions(NamedTuple):
    """The dimensions of deals, from lead to cash: whatever comes out of a lead or an opportunity is reported under them."""

    campaign: str | None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    lead_magnet: str | None = None
    owner: str | None = None
    team: str | None = None
    region: str | None = None


NOWHERE = Dimensions(None)
NOT_OF_COST = ("owner", "team", "region", "account")  # a cost has the dimensions of its campaign, not these
COST = "actual_cost"


class Cube(NamedTuple):
    """A subject: its sums are kept `by` these dimensions and, so that most reads add up less, by those of each roll-up alone.

    What comes out of leads also counts on a `cohort` day.
    """

    name: str
    by: tuple[str, ...]
    rollups: tuple[tuple[str, ...], ...] = ()
    cohort: bool = False


DEALS = Cube("deals", by=Dimensions._fields, rollups=(("campaign",), ()), cohort=True)


class Posts(NamedTuple):
    """What is posted to a cube: its measures by their unit, and the `rules` by which each kind of entity contributes to them.

    `afterwards` are rules that go by what an entity comes to by the rules of all others.

    Money is posted in minor units of the ledger's currency, seconds and numbers in millionths. A duration is posted as a count
    with its length in microseconds; its `.total` is what the lengths add up to.
    """

    cube: Cube
    rules: Mapping[str, Callable[[Any, Any], None]]
    money: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    seconds: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    durations: tuple[str, ...] = ()
    afterwards: Mapping[str, Callable[[Any, Any], None]] = MappingProxyType({})

    @property
    def measures(self) -> tuple[str, ...]:
        """All that is summed."""
        totals = (total_of(name) for name in self.durations)
        return (*self.money, *self.counts, *self.seconds, *self.numbers, *self.durations, *totals)


def total_of(duration: str) -> str:
    """Return the measure that the lengths of a duration add up to."""
    return f"{duration}.total"
