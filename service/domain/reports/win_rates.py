"""Win rates of stages (REPORTS section 4, forecast): how many are won of those that were ever in one."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from service.domain.components.entities import Opportunity
from service.domain.cubes import Cube, Posts
from service.domain.postings import Book
from service.domain.reports.conversion import outcome_of

DECIDED = Cube("decided", by=("stage",))  # without a stage: each once, whatever it has been in
WON, LOST = "decided.won", "decided.lost"
MONTHS = 24  # before today, of decisions that count
FEWEST = 10  # decisions that a stage's own win rate takes


def contribute_opportunity(one: Opportunity, book: Book) -> None:
    """Post an opportunity that is won or lost on the day of that, under each stage that it ever entered and once under none."""
    outcome, micros = outcome_of(one)
    if one.opened is None or outcome == "open":
        return
    day = book.zone.day(micros)
    for stage in (None, *dict.fromkeys(fact.data["stage"] for fact in one.entered())):
        book.put((f"decided.{outcome}", one.name, book.at(DECIDED, stage=stage), day, day, None, None))


class WinRate(NamedTuple):
    """How many of the opportunities that were ever in a stage were won and lost; of a few, that of all holds (`of_all`)."""

    won: int
    lost: int
    rate: Fraction | None
    of_all: bool


class WinRates:
    """The win rates of stages, from how many of those in them were won and lost; None = all, whatever they were in."""

    def __init__(self, decided: Mapping[str | None, tuple[int, int]]) -> None:
        self._decided = decided

    def of(self, stage: str | None) -> WinRate:
        """Return the win rate of a stage."""
        won, lost = self._decided.get(stage, (0, 0)) if stage is not None else (0, 0)
        few = won + lost < FEWEST
        above, other = self._decided.get(None, (0, 0)) if few else (won, lost)
        return WinRate(won, lost, Fraction(above, above + other) if above + other else None, few)


POSTS = Posts(DECIDED, counts=(WON, LOST), rules={"opportunity": contribute_opportunity})
