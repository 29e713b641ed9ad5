"""The periods that a reader chooses from, and the days that each means.

window("2026-Q2", today, years)   # → 1 April 2026 to 1 July 2026
window("ytd", today, years)       # this year, up to and with today
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from service.api import parameters
from service.domain.calendar import LAST_DAY, parse_period

RELATIVE = ("ytd", "12m", "all")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
OWN = "custom"  # the days that `from` and `to` say


class Window(NamedTuple):
    """[since, until) in days; None = without end on that side. `period` is what was asked for."""

    period: str
    since: date | None
    until: date | None

    @property
    def bounded(self) -> bool:
        """Whether it can be compared with another one."""
        return self.since is not None and self.until is not None

    @property
    def last(self) -> date | None:
        """Its last day."""
        return None if self.until is None else self.until - timedelta(days=1)


def window(
    period: str, today: date, years: Sequence[int], since: str | None = None, until: str | None = None
) -> Window:
    """Return the days of a period; an empty one is this year so far, or the last year in which anything happened."""
    if not period:
        period = OWN if since or until else default(today, years)
    if period == OWN:
        low, high = parameters.read_day("from", since or None), parameters.read_day("to", until or None, LAST_DAY + 1)
        if low and high and low > high:
            raise parameters.invalid("to", f"a day not before from ({low})", str(high))
        return Window(period, low, high)
    if period == "all":
        return Window(period, None, None)
    if period == "ytd":
        return Window(period, today.replace(month=1, day=1), today + timedelta(days=1))
    if period == "12m":
        year, month = divmod(today.year * 12 + today.month - 1 - 12, 12)
        return Window(period, _in_month(year, month + 1, today.day), today)
    try:
        return Window(period, *parse_period(period))
    except ValueError as error:
        expected = f"{', '.join(RELATIVE)}, {OWN}, or {error}"
        raise parameters.invalid("period", expected, period) from None


def default(today: date, years: Sequence[int]) -> str:
    """Return the period that is shown where none is asked for."""
    past = [year for year in years if year <= today.year]
    return str(max(past)) if past and max(past) < today.year else "ytd"


def offered(today: date, years: Sequence[int], chosen: Window) -> list[str]:
    """Return the periods to choose from: the newest years, with the quarters and months of the one that is looked at."""
    shown = sorted({*years, today.year}, reverse=True)[:8]
    year = (chosen.since or date(shown[0], 1, 1)).year
    quarters = [f"{year}-Q{number}" for number in (1, 2, 3, 4)]
    months = [f"{year}-{number:02d}" for number in range(1, 13)]
    known = ["ytd", "12m", *map(str, shown), *quarters, *months, "all"]
    return known if chosen.period in (*known, OWN) else [chosen.period, *known]


def _in_month(year: int, month: int, day: int) -> date:
    """Return a day of a month, or its last one where it is shorter."""
    first = date(year, month, 1)
    following = date(year + month // 12, month % 12 + 1, 1)
    return min(first + timedelta(days=day - 1), following - timedelta(days=1))


def moment_of(text: str | None, timezone: str, field: str = "as_of") -> int | datetime | None:
    """Read a moment of knowing: as the API does, or a day, which means its end in the ledger's time zone."""
    if text is None or not _DAY.fullmatch(text):
        return parameters.read_moment(text, field)
    day = parameters.read_day(field, text)
    assert day is not None  # noqa: S101  there is a text
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)) + timedelta(days=1)
    return midnight.astimezone(UTC) - timedelta(microseconds=1)
