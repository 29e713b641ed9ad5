"""Business hours (REPORTS section 3, sla): how much of them lies between two instants, and when so much of them is over.

Windows lie within a local day, and may overlap; days off have none. A day on which the clocks change has the hours that its
windows really last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_LAST_YEAR = 9998
_FIRST, _LAST = (
    (datetime(year, 1, 2, tzinfo=UTC) - _EPOCH) // _MICRO for year in (1900, _LAST_YEAR)
)  # what days there are
_CYCLE, _REGULAR = 400, 2038  # years after which the calendar comes again; from when on clocks change by one rule


class Hours:
    """The hours that count: those of `windows` by weekday in a time zone, less days off; None = all hours, but of days off."""

    def __init__(
        self, zone: str, windows: Mapping[str, Sequence[Sequence[str]]] | None, holidays: Sequence[str] = ()
    ) -> None:  # fmt: skip
        self._zone = ZoneInfo(zone)
        self._off = frozenset(date.fromisoformat(one) for one in holidays)
        self._years_off = {one.year for one in self._off}
        self._windows = [
            _joined((windows or {}).get(name, ())) if windows else [("00:00", "24:00")] for name in WEEKDAYS
        ]
        self._always = not windows and not self._off
        self._years: dict[int, list[int]] = {}

    def between(self, start: int, end: int) -> int:
        """Return how many microseconds that count lie in [start, end)."""
        if self._always or end <= start:
            return max(0, end - start)
        (first, passed), (last, reached) = self._place(start), self._place(end)
        return sum(self._year(year)[-1] for year in range(first, last)) + reached - passed

    def beyond(self, start: int, length: int) -> int | None:
        """Return the instant after which more than `length` that counts has passed since `start`; None if that never comes."""
        if self._always:
            return start + length if start + length <= _LAST else None
        year, left = self._place(start)
        left += length
        while year <= _LAST_YEAR:
            before = self._year(year)
            if left < before[-1]:
                number = bisect_right(before, left) - 1
                return self._within(date(year, 1, 1) + timedelta(days=number), left - before[number])
            left -= before[-1]
            year += 1
        return None

    def _place(self, micros: int) -> tuple[int, int]:
        """Return the local year of an instant, and how much that counts has passed of it."""
        micros = min(max(micros, _FIRST), _LAST)
        day = (_EPOCH + timedelta(microseconds=micros)).astimezone(self._zone).date()
        passed = sum(max(0, min(until, micros) - since) for since, until in self._spans(day))
        return day.year, self._year(day.year)[day.timetuple().tm_yday - 1] + passed

    def _within(self, day: date, left: int) -> int:
        """Return when so much of a day, which has more, has passed."""
        for since, until in self._spans(day):
            if left < until - since:
                return since + left
            left -= until - since
        raise ValueError("the day has less")

    def _year(self, year: int) -> list[int]:
        """Return how much counts of a year before each of its days, and last of all of it."""
        if year > _REGULAR and year not in self._years_off:
            alike = range(_REGULAR + (year - _REGULAR) % _CYCLE, year + 1, _CYCLE)
            year = next(one for one in alike if one not in self._years_off)
        if year not in self._years:
            first, end = date(year, 1, 1), date(year + 1, 1, 1)
            days = (first + timedelta(days=number) for number in range((end - first).days))
            lengths = (sum(until - since for since, until in self._spans(day)) for day in days)
            self._years[year] = [*accumulate(lengths, initial=0)]
        return self._years[year]

    def _spans(self, day: date) -> list[tuple[int, int]]:
        """Return the windows of a day as [since, until) in microseconds since 1970."""
        if day in self._off:
            return []
        spans = [(self._at(day, opens), self._at(day, closes)) for opens, closes in self._windows[day.weekday()]]
        return [(since, until) for since, until in spans if since < until]

    def _at(self, day: date, clock: str) -> int:
        """Return the instant of a time on a day; 24:00 is the next day's midnight."""
        if clock == "24:00":
            day, clock = day + timedelta(days=1), "00:00"
        local = datetime.combine(day, time.fromisoformat(clock), self._zone)
        return (local.astimezone(UTC) - _EPOCH) // _MICRO


def _joined(windows: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return windows in order, those that overlap as one."""
    found: list[tuple[str, str]] = []
    for opens, closes in sorted((one[0], one[1]) for one in windows):
        if found and opens <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], closes))
        else:
            found.append((opens, closes))
    return found
