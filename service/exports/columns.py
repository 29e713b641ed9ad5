"""A table: columns that are typed, and rows of values as answers have them.

    Column("roi.booked", NUMBER)
    Column("actual_cost", MONEY, digits=2)

Values are those of the API: money and days as text, moments as text or datetime, counts and ratios as numbers; None = nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from service.domain import units
from service.domain.calendar import parse_instant

TEXT, MONEY, COUNT, NUMBER, DAY, TIME, TRUTH, LIST = (
    "text", "money", "count", "number", "day", "time", "truth", "list",
)  # fmt: skip
OF_UNITS = {
    units.MONEY: MONEY, units.COUNT: COUNT, units.WHOLE_DAYS: COUNT, units.DAY: DAY, units.RATIO: NUMBER,
    units.DAYS: NUMBER, units.HOURS: NUMBER, units.SECONDS: NUMBER, units.NUMBER: NUMBER, units.TRUTH: TRUTH,
}  # fmt: skip
MIXED_DIGITS = 6  # decimal places of a column whose amounts are in several units
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BETWEEN = "; "

Values = Sequence[Any]


class Column(NamedTuple):
    """A column: its name, with dots where it is inside another member, its type, and the decimal places of money."""

    name: str
    type: str = TEXT
    digits: int = 0


def moment(value: datetime | str) -> datetime:
    """Return a moment in UTC, to the microsecond."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return _EPOCH + timedelta(microseconds=parse_instant(value).micros)


def told(value: datetime | str) -> str:
    """Write a moment as answers do."""
    return value if isinstance(value, str) else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def joined(values: Sequence[Any]) -> str:
    """Write a list in one cell."""
    return _BETWEEN.join(map(str, values))


def plain(number: float) -> str:
    """Write a number with its digits as answers have them, never with an exponent."""
    if isinstance(number, int):
        return str(number)
    text = repr(number)
    return f"{Decimal(text):f}" if "e" in text else text
