"""Days and instants (SPEC section 3): instants at full precision, calendar days in the ledger's time zone.

A day is an integer, `date.toordinal()`; an instant is whole microseconds since 1970 plus the digits beyond them, so that
no precision of a sender is lost and comparing two instants compares two tuples. Days that figures are reported by lie between
FIRST_DAY and LAST_DAY (SPEC section 7), so that there is a month and a year before and after each, in Python as in the
database. An event whose day lies outside is refused; one that an earlier release took counts on the nearest day within.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

FIRST_DAY, LAST_DAY = date(1900, 1, 1).toordinal(), date(9998, 12, 31).toordinal()
EPOCH_DAY = date(1970, 1, 1).toordinal()
MICROS_PER_DAY = 86_400_000_000
_FIRST_INSTANT, _LAST_INSTANT = date(1, 1, 3).toordinal(), date(9999, 12, 29).toordinal()  # room for any zone's offset
_MICROS_PER_QUARTER_HOUR = 900_000_000

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_PERIOD = re.compile(r"(\d{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Instant(NamedTuple):
    """A point in time: `micros` since 1970-01-01T00:00Z, and the decimal digits after the sixth without trailing zeros."""

    micros: int
    rest: str = ""


def expected_day(last: int = LAST_DAY) -> str:
    """Say what a day has to be like, for a problem."""
    return f"a day from {date.fromordinal(FIRST_DAY)} to {date.fromordinal(last)}, as YYYY-MM-DD"


def parse_day(text: str, last: int = LAST_DAY) -> int:
    """Return the ordinal of a `YYYY-MM-DD` date from FIRST_DAY to `last`; ValueError if it is none."""
    try:
        day = _ordinal(text) if _DATE.fullmatch(text) else 0
    except ValueError:  # there is no such day in that month
        day = 0
    if not FIRST_DAY <= day <= last:
        raise ValueError(expected_day(last))
    return day


def expected_years() -> str:
    """Say in which years days lie that figures are reported by."""
    return f"{date.fromordinal(FIRST_DAY).year} to {date.fromordinal(LAST_DAY).year}"


@lru_cache(maxsize=4096)
def parse_period(text: str) -> tuple[date, date]:
    """Return the first day of `2026`, `2026-Q1` or `2026-03`, and the first day after it; ValueError if it is none."""
    match = _PERIOD.fullmatch(text)
    if match is None or not FIRST_DAY <= date(max(int(match[1]), 1), 1, 1).toordinal() <= LAST_DAY:
        raise ValueError(f"a year, quarter or month within {expected_years()}")
    year, quarter, month = int(match[1]), match[2], match[3]
    first = date(year, int(quarter) * 3 - 2 if quarter else int(month or 1), 1)
    months = 3 if quarter else 1 if month else 12
    return first, after(first.replace(month=first.month + months - 1))


def recorded_day(text: str) -> int:
    """Return the ordinal of a date that the log has: the nearest day within the bounds, for those who came before them."""
    return within(_ordinal(text))


def within(day: int) -> int:
    """Return a day, or the nearest one between FIRST_DAY and LAST_DAY."""
    return min(max(day, FIRST_DAY), LAST_DAY)


@lru_cache(maxsize=8192)
def _ordinal(text: str) -> int:
    return date.fromisoformat(text).toordinal()


def parse_instant(text: str) -> Instant:
    """Return the instant of an RFC 3339 time with offset; ValueError if it is none."""
    micros = whole_seconds(text)
    if micros is not None:
        return Instant(micros)
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("an RFC 3339 time with offset such as 2026-03-01T09:30:00+01:00")
    day_text, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    midnight = _midnight(day_text)
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign is not None:
        offset = int(offset_hours) * 3600 + int(offset_minutes) * 60
        seconds += offset if sign == "-" else -offset
    if fraction is None:
        return Instant(midnight + seconds * 1_000_000)
    return Instant(midnight + seconds * 1_000_000 + int(fraction[:6].ljust(6, "0")), fraction[6:].rstrip("0"))


_MINUTES = {f"T{m // 60:02}:{m % 60:02}": m * 60_000_000 for m in range(1440)}
_SECONDS = {f":{s:02}Z": s * 1_000_000 for s in range(60)}


@lru_cache(maxsize=8192)
def _midnight(text: str) -> int:
    if _DATE.fullmatch(text) is None:
        raise ValueError("a date as YYYY-MM-DD")
    day = date.fromisoformat(text).toordinal()
    if not _FIRST_INSTANT <= day <= _LAST_INSTANT:
        raise ValueError("a time between the years 1 and 9999")
    return (day - EPOCH_DAY) * MICROS_PER_DAY


def whole_seconds(text: str) -> int | None:
    """Read the most usual form of an instant, `YYYY-MM-DDTHH:MM:SSZ`, fast: its microseconds; None for any other text."""
    try:
        return _midnight(text[:10]) + _MINUTES[text[10:16]] + _SECONDS[text[16:]]
    except (KeyError, ValueError):
        return None


class Zone:
    """A time zone that tells the local calendar day of an instant, fast: offsets change on quarter hours only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = None if name == "UTC" else ZoneInfo(name)
        self._offsets: dict[int, int] = {}

    def day(self, micros: int) -> int:
        """Return the ordinal of the local day at `micros`, or of the nearest one within the bounds."""
        day = self._day(micros)
        return day if FIRST_DAY <= day <= LAST_DAY else within(day)

    def midnight(self, day: date) -> datetime:
        """Return the instant at which a local day begins."""
        return datetime.combine(day, time(), self._zone or UTC)

    def holds(self, micros: int) -> bool:
        """Tell whether the local day at `micros` is within the bounds."""
        return FIRST_DAY <= self._day(micros) <= LAST_DAY

    def _day(self, micros: int) -> int:
        if self._zone is not None:
            quarter = micros // _MICROS_PER_QUARTER_HOUR
            offset = self._offsets.get(quarter)
            if offset is None:
                offset = self._offset(quarter)
            micros += offset
        return micros // MICROS_PER_DAY + EPOCH_DAY

    def _offset(self, quarter: int) -> int:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
        delta = moment.astimezone(self._zone).utcoffset() or timedelta(0)
        if len(self._offsets) > 200_000:  # noqa: PLR2004  a bound on memory, not a rule
            self._offsets.clear()
        self._offsets[quarter] = offset = delta // timedelta(microseconds=1)
        return offset


GRAINS = ("day", "month", "year")


def grain_start(day: date, grain: str) -> date:
    """Return the first day of the week (ISO: Monday), month, quarter or year that holds `day` (or the day itself)."""
    if grain == "week":
        return date.fromordinal(day.toordinal() - day.weekday())
    if grain == "year":
        return day.replace(month=1, day=1)
    if grain == "quarter":
        return day.replace(month=day.month - (day.month - 1) % 3, day=1)
    return day.replace(day=1) if grain == "month" else day


def grain_label(start: date, grain: str) -> str:
    """Name a period as reports do: 2026, 2026-Q1, 2026-03, 2026-W12, 2026-03-17."""
    if grain == "week":
        year, week, _ = start.isocalendar()
        return f"{year:04d}-W{week:02d}"
    if grain == "year":
        return f"{start.year:04d}"
    if grain == "quarter":
        return f"{start.year:04d}-Q{(start.month + 2) // 3}"
    return start.isoformat()[:7] if grain == "month" else start.isoformat()


def labelled(label: str, grain: str) -> date:
    """Return the first day of the period that `grain_label` names so."""
    if grain == "quarter":
        return date(int(label[:4]), int(label[-1]) * 3 - 2, 1)
    return date.fromisoformat({"year": f"{label}-01-01", "month": f"{label}-01"}.get(grain, label))


def following(start: date, grain: str) -> date:
    """Return the first day of the period after the one that starts on a day."""
    if grain in ("day", "week"):
        return date.fromordinal(start.toordinal() + (7 if grain == "week" else 1))
    return after(after(after(start))) if grain == "quarter" else _next(start, grain)


def after(month: date) -> date:
    """Return the first day of the month after the one that starts on a day."""
    return _next(month, "month")


def months_before(day: date, months: int) -> date:
    """Return the same day so many months before, or the last one of that month where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    first = date(year, month + 1, 1)
    return min(first + timedelta(day.day - 1), after(first) - timedelta(1))


def _next(start: date, grain: str) -> date:
    """Return the first day of the next month or year; none comes after the last year that a date can have."""
    year = start.year + (1 if grain == "year" else start.month // 12)
    if year > date.max.year:
        return date.max
    return date(year, 1 if grain == "year" else start.month % 12 + 1, 1)


def covering(since: date | None, until: date | None, coarsest: str = "year") -> list[tuple[str, date, date]]:
    """Cut the half-open period [since, until) into (grain, start, end) ranges, each as coarse as it can be.

    A read then adds a few yearly and monthly balances and the days at the edges, however long the period is. Without
    `until` the last range is open-ended: it ends at `date.max`, which no event can reach.
    """
    low, high = since or date.min, until or date.max
    ranges = [("day", low, high)]
    for finer, coarser in pairwise(GRAINS[: GRAINS.index(coarsest) + 1]):
        ranges = [piece for one in ranges for piece in _coarsen(one, finer, coarser)]
    return [one for one in ranges if one[1] < one[2]]


def _coarsen(piece: tuple[str, date, date], finer: str, coarser: str) -> list[tuple[str, date, date]]:
    grain, low, high = piece
    if grain != finer:
        return [piece]
    start = low if low == grain_start(low, coarser) else _next(low, coarser)
    end = high if high == date.max else grain_start(high, coarser)
    if start >= end:
        return [piece]
    return [(finer, low, start), (coarser, start, end), (finer, end, high)]
