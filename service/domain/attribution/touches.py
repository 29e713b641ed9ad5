"""Touches: which ones of a deal are eligible under a model, and why the others are not (SPEC sections 4 and 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

from service.domain.attribution.models import Model
from service.domain.calendar import MICROS_PER_DAY

SUPPRESSED, AFTER, OUTSIDE, BEATEN = "suppressed", "after_order", "outside_lookback", "click_beats_view"
_VIEW, _CLICK = "view", "click"


class Moment(NamedTuple):
    """An instant at full precision: microseconds, and the digits after them."""

    micros: int
    rest: str = ""

    @property
    def exact(self) -> Fraction:
        """In microseconds."""
        return self.micros + Fraction(Decimal(f"0.{self.rest}")) if self.rest else Fraction(self.micros)

    @property
    def written(self) -> str:
        """As RFC 3339 in UTC, with all of its digits."""
        moment = datetime(1970, 1, 1) + timedelta(microseconds=self.micros)  # noqa: DTZ001  in UTC, as all of it is
        digits = f"{moment.microsecond:06}{self.rest}".rstrip("0")
        return f"{moment:%Y-%m-%dT%H:%M:%S}{f'.{digits}' if digits else ''}Z".rjust(20, "0")


class Touch(NamedTuple):
    """A campaign reached somebody: first what touches are ordered by, time and id."""

    at: Moment
    id: str
    campaign: str
    activity: str
    interaction: str | None = None
    suppressed: bool = False


class Deal(NamedTuple):
    """The moments of a deal: its order, the capture of its earliest lead and the opening of its opportunity, if any."""

    ordered: Moment
    captured: Moment | None = None
    opened: Moment | None = None


def eligible(model: Model, deal: Deal, touches: Iterable[Touch]) -> tuple[list[Touch], dict[str, str]]:
    """Return the eligible ones of a deal's touches, in order, and by id why each of the others is not."""
    found: list[Touch] = []
    why_not: dict[str, str] = {}
    since = {view: _back(deal.ordered, model.view_lookback if view else model.lookback) for view in (True, False)}
    for touch in sorted(touches):
        reason = _why_not(deal, touch, since[touch.interaction == _VIEW])
        if reason is None:
            found.append(touch)
        else:
            why_not[touch.id] = reason
    if any(touch.interaction == _CLICK for touch in found):
        why_not |= {touch.id: BEATEN for touch in found if touch.interaction == _VIEW}
        found = [touch for touch in found if touch.interaction != _VIEW]
    return found, why_not


def _back(moment: Moment, days: Fraction) -> tuple[int, Fraction]:
    """Return the moment so many days earlier: its microseconds, whole and exactly."""
    exact = moment.exact - days * MICROS_PER_DAY
    return floor(exact), exact


def _why_not(deal: Deal, touch: Touch, since: tuple[int, Fraction]) -> str | None:
    if touch.suppressed:
        return SUPPRESSED
    if touch.at > deal.ordered:
        return AFTER
    micros, exact = since
    reached = touch.at.micros > micros or (touch.at.micros == micros and touch.at.exact >= exact)
    return None if reached else OUTSIDE


def last_by(touches: Sequence[Touch], moment: Moment | None) -> int | None:
    """Return the place of the last of ordered touches at or before a moment."""
    if moment is None:
        return None
    return next((place for place in range(len(touches) - 1, -1, -1) if touches[place].at <= moment), None)
