from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.domain.calendar import Instant, parse_instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(-60_000_000_000, 250_000_000_000), st.integers(0, 999_999))
def test_an_instant_is_the_microseconds_since_1970(seconds: int, micros: int) -> None:
    text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").zfill(19)
    assert parse_instant(f"{text}Z") == Instant(seconds * 1_000_000)
    assert parse_instant(f"{text}.{micros:06}Z") == Instant(seconds * 1_000_000 + micros)


@given(st.from_regex(r"[0-9]{4}-(0[0-9]|1[0-3]|W01)-[0-3][0-9]?[T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]", fullmatch=True))
def test_utc_may_be_written_as_z_or_as_an_offset_of_nothing(text: str) -> None:
    assert read(text + "Z") == read(text + "+00:00")


def read(text: str) -> Instant | str:
    try:
        return parse_instant(text)
    except ValueError as error:
        return str(error)
