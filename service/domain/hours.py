"""Business hours (REPORTS section 3, sla): how much of them lies between two instants, and when so much of them is over.

Windows lie within a local day, and may overlap; days off have none. A day on which the clocks change has the hours that its
windows really last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_A_WEEK = 7
Span = tuple[int, int]  # [start, end) in microseconds since 1970


class Hours:
    """The hours that count: those of `windows` by weekday in a time zone, less days off; None = all hours, but of days off."""

    def __init__(
        self, zone: str, windows: Mapping[str, Sequence[Sequence[str]]] | None, holidays: Sequence[str] = ()
    ) -> None:  # fmt: skip
        self._zone = ZoneInfo(zone)
        self._off = frozenset(date.fromisoformat(one) for one in holidays)
        self._windows = [
            _joined((windows or {}).get(name, ())) if windows else [("00:00", "24:00")] for name in WEEKDAYS
        ]
        self._always = not windows and not self._off

    def between(self, start: int, end: int) -> int:
        """Return how many microseconds that count lie in [start, end)."""
        if self._always or end <= start:
            return max(0, end - start)
        return sum(min(until, end) - max(since, start) for since, until in self._spans(start, end))

    def over(self, start: int, length: int) -> int | None:
        """Return the instant at which `length` that counts has passed since `start`; None if that never comes."""
        if self._always or length <= 0:
            return start + length
        left = length
        for since, until in self._spans(start, None):
            begin = max(since, start)
            if begin + left <= until:
                return begin + left
            left -= until - begin
        return None

    def _spans(self, start: int, end: int | None) -> Iterator[Span]:
        """Yield what counts, from the local day of an instant on, as far as it is after `start` and begins before `end`."""
        day = (_EPOCH + timedelta(microseconds=start)).astimezone(self._zone).date()
        while day < date.max:
            if end is not None and self._at(day, "00:00") >= end:
                return
            if day not in self._off:
                for opens, closes in self._windows[day.weekday()]:
                    since, until = self._at(day, opens), self._at(day, closes)
                    if until > start and since < until and (end is None or since < end):
                        yield since, until
            day += timedelta(days=1)

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
