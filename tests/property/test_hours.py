"""Business hours, against counting minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.hours import WEEKDAYS, Hours

MINUTE = 60_000_000
ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York"))
# No edge lies within the hour that comes twice, or never, where the clocks change.
CLOCKS = [f"{hour:02}:{minute}" for hour in range(24) for minute in (("00",) if 1 <= hour <= 2 else ("00", "30"))] + [
    "24:00"
]
WINDOW = st.lists(st.sampled_from(CLOCKS), min_size=2, max_size=2, unique=True).map(sorted)
WINDOWS = st.none() | st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(WINDOW, min_size=1, max_size=3), min_size=1)
STARTS = st.sampled_from(
    (datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 23, tzinfo=UTC))
)  # the clocks change soon
HOLIDAYS = st.lists(st.sampled_from(("2026-03-28", "2026-03-30", "2026-10-26")), max_size=2)


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def counts(moment: datetime, zone: str, windows: Any, holidays: list[str]) -> bool:
    local = moment.astimezone(ZoneInfo(zone))
    if local.date().isoformat() in holidays:
        return False
    clock = f"{local:%H:%M}"
    day = windows.get(WEEKDAYS[local.weekday()], ()) if windows else [("00:00", "24:00")]
    return any(opens <= clock < closes for opens, closes in day)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    zone=ZONES,
    windows=WINDOWS,
    holidays=HOLIDAYS,
    begin=STARTS,
    after=st.integers(0, 4_000),
    length=st.integers(0, 3_000),
)
def test_the_hours_between_two_instants_are_the_minutes_that_count(
    zone: str, windows: Any, holidays: list[str], begin: datetime, after: int, length: int
) -> None:
    start = begin + timedelta(minutes=after)
    hours = Hours(zone, windows, holidays)
    minutes = sum(counts(start + timedelta(minutes=one), zone, windows, holidays) for one in range(length))
    end = micros(start) + length * MINUTE
    assert hours.between(micros(start), end) == minutes * MINUTE
    assert hours.between(end, micros(start)) == 0
    due = hours.beyond(micros(start), minutes * MINUTE)
    assert due is not None
    assert hours.between(micros(start), due) == minutes * MINUTE
    assert hours.between(micros(start), due + 1) == minutes * MINUTE + 1


def test_a_far_future_is_reckoned_at_once_as_its_calendar_comes_again() -> None:
    hours = Hours("Europe/Berlin", {"mon": [["09:00", "17:00"]], "sun": [["00:00", "24:00"]]}, ["9000-03-31"])
    start, end = micros(datetime(2026, 1, 1, tzinfo=UTC)), micros(datetime(9998, 1, 1, tzinfo=UTC))
    middle = micros(datetime(9000, 3, 1, tzinfo=UTC))
    whole = hours.between(start, end)
    assert whole == hours.between(start, middle) + hours.between(middle, end)
    assert hours.between(start, hours.beyond(start, whole) or 0) == whole
    assert hours.beyond(start, 2 * whole) is None
