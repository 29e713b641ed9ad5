"""How numbers, money and days are written: by the reader's language. What is cut off stands in full behind it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from babel import dates
from babel.numbers import format_currency

from service.dashboard.language import Language
from service.domain import units
from service.domain.calendar import labelled
from service.domain.reports.forecast import OVERDUE

NONE = "–"
_MINUS = "\N{MINUS SIGN}"
_TIMES = ("roas", "cost_to_revenue", "break_even_roas")  # ratios that are told as a multiple, and not per hundred
_LONG = 13  # characters
_TENTHS = (units.DAYS, units.HOURS, units.NUMBER)
_WHOLE = ("roi.", "change")  # ratios of which per cents are near enough


class Writer:
    """Writes in one language, in a ledger's currency and time zone."""

    def __init__(self, language: Language, currency: str, timezone: str) -> None:
        self.language, self.currency, self.zone = language, currency, ZoneInfo(timezone)
        self.locale = language.locale
        symbols = self.locale.number_symbols["latn"]
        self._group, self._point = symbols["group"], symbols["decimal"]
        self._percent = "\N{NO-BREAK SPACE}%" if re.search(r"\s", self.locale.percent_formats[None].pattern) else "%"

    @cached_property
    def _pattern(self) -> str:
        """How money is written without its cents."""
        return re.sub(r"\.0+", "", self.locale.currency_formats["standard"].pattern)

    def figure(self, value: Any, unit: str, name: str = "") -> str:
        """Write a figure as an answer has it, shortly: money without cents, shares per hundred."""
        if value is None:
            return NONE
        if unit == units.RATIO:
            return self.ratio(value, name)
        if unit == units.DAY:
            return self.day(date.fromisoformat(value))
        return self.number(Decimal(str(value)), 1 if unit in _TENTHS else 0)

    def exactly(self, value: Any, unit: str, name: str = "") -> str:
        """Write a figure in full."""
        if value is None:
            return NONE
        if unit == units.MONEY:
            return f"{self.number(Decimal(value))}\N{NO-BREAK SPACE}{self.currency}"
        if unit == units.DAY:
            return self.day(date.fromisoformat(value))
        number = Decimal(str(value))
        if unit == units.RATIO and name.rpartition(".")[2] not in _TIMES:
            return self.number((number * 100).normalize() + 0) + self._percent
        return self.number(number)

    def ratio(self, value: float, name: str = "") -> str:
        """Write a ratio: per hundred, or as a multiple."""
        number = Decimal(str(value))
        if name.rpartition(".")[2] in _TIMES:
            return self.number(number, 2)
        return self.number(number * 100, 0 if name.startswith(_WHOLE) else 1) + self._percent

    def number(self, value: Decimal | int, digits: int | None = None) -> str:
        """Write a number with so many digits behind the point; None = those that it has."""
        number = Decimal(value)
        if digits is not None:
            number = number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
        whole, _, part = f"{abs(number):,f}".partition(".")
        group = self._group + (
            "\N{ZERO WIDTH SPACE}" if len(whole) > _LONG else ""
        )  # where it may go on in another line
        text = whole.replace(",", group) + (self._point + part if part else "")
        return _MINUS + text if number < 0 else text

    def money(self, value: str | Decimal, currency: str | None = None, *, cents: bool = False) -> str:
        """Write an amount with its currency, with or without cents."""
        number = Decimal(value)
        pattern = None if cents else self._pattern
        rounded = number if cents else number.quantize(Decimal(1), ROUND_HALF_EVEN)
        told = format_currency(
            abs(rounded), currency or self.currency, format=pattern, locale=self.locale, currency_digits=cents
        )
        return _MINUS + told if rounded < 0 else told

    def thousands(self, value: float) -> str:
        """Write a value beside an axis."""
        for size, mark in ((1_000_000, "M"), (1_000, "k")):
            if abs(value) >= size:
                number = Decimal(str(value)) / size
                return self.number(number, 0 if number == number.to_integral() else 1) + mark
        return self.number(Decimal(str(value)), 0 if float(value).is_integer() else 1)

    def day(self, day: date | str) -> str:
        """Write a day."""
        return str(dates.format_date(_day(day), "medium", locale=self.locale))

    def short_month(self, day: date) -> str:
        """Write a month beside an axis; with its year where that begins."""
        return str(dates.format_date(day, "MMM yy" if day.month == 1 else "LLL", locale=self.locale)).rstrip(".")

    def moment(self, moment: datetime | None) -> str:
        """Write a moment in the ledger's time zone."""
        if moment is None:
            return NONE
        return str(
            dates.format_datetime(moment.astimezone(UTC), "d MMM y, HH:mm", tzinfo=self.zone, locale=self.locale)
        )

    def period(self, label: str | None, grain: str) -> str:
        """Write the label of a period."""
        if label is None:
            return NONE
        if label == OVERDUE:
            return self.language.texts.gettext("overdue")
        if grain in ("year", "week"):
            return label
        start = labelled(label, grain)
        if grain == "quarter":
            return f"{label[-2:]} {label[:4]}"
        return self.day(start) if grain == "day" else str(dates.format_date(start, "MMM y", locale=self.locale))


def _day(day: date | str) -> date:
    return date.fromisoformat(day) if isinstance(day, str) else day
