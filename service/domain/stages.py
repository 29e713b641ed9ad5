"""The stages of opportunities as they are defined (REPORTS section 2): the last definition of each holds, for the past too."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from service.domain.facts import Fact
from service.domain.registers import Lookup, lookup


def share_of(number: object) -> Fraction:
    """Read a share from 0 to 1 as facts have it; digits beyond the fortieth move no figure."""
    return Fraction(f"{Decimal(str(number)):.40f}")


class Stages:
    """The definitions of a ledger, to be asked for one stage at a time."""

    def __init__(self) -> None:
        self._stated: dict[str, Fact] = {}

    def add(self, fact: Fact) -> Iterable[Lookup]:
        """Take in a definition; return what to ask for whoever asked for the stage, if it holds."""
        stage = fact.data["stage"]
        last = self._stated.get(stage)
        if last is not None and last[:4] > fact[:4]:
            return ()
        self._stated[stage] = fact
        return self.concerned(fact)

    def concerned(self, fact: Fact) -> Iterable[Lookup]:
        """Return what to ask for whoever asked for the stage of a definition."""
        return [lookup("stage", fact.data["stage"])]

    def probability(self, stage: str) -> Fraction | None:
        """Return how probable a deal is in a stage, if that is defined."""
        stated = self._stated.get(stage)
        return share_of(stated.data["probability"]) if stated and "probability" in stated.data else None

    def order(self, stage: str) -> int | None:
        """Return which place a stage has among others, if that is defined."""
        stated = self._stated.get(stage)
        return int(stated.data["order"]) if stated and "order" in stated.data else None
