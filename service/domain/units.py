"""The units of figures, and how an exact value is written in each (SPEC section 4)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from service.domain.calendar import MICROS_PER_DAY
from service.domain.money import format_minor

Exact = Fraction | int

MONEY, COUNT, RATIO, DAYS, SECONDS, DAY = "money", "count", "ratio", "days", "seconds", "day"
HOURS, NUMBER = "hours", "number"
WHOLE_DAYS = "whole days"
OF_MEASURE, TRUTH = "that of the measure", "true or false"
_MILLION = 1_000_000
_LENGTHS = {DAYS: MICROS_PER_DAY, HOURS: MICROS_PER_DAY // 24}  # in microseconds
_IN_MILLIONTHS = (SECONDS, NUMBER)


def half_even(above: int, below: int) -> int:
    """Divide by a positive integer, rounded half-even."""
    whole, rest = divmod(above, below)
    return whole + (2 * rest > below or (2 * rest == below and whole % 2 == 1))


def written(value: Exact, unit: str, currency: str) -> Any:
    """Write an exact value in its unit: money as a decimal string, ratios to 6 decimals, lengths and others as numbers."""
    if unit == MONEY:
        return format_minor(value if isinstance(value, int) else half_even(*value.as_integer_ratio()), currency)
    if unit == COUNT:
        return value
    if unit == TRUTH:
        return bool(value)
    if unit in _LENGTHS:
        return float(round(Fraction(value) / _LENGTHS[unit], 4))
    above, below = value.as_integer_ratio()
    if unit in _IN_MILLIONTHS:
        below *= _MILLION
    rounded = half_even(above * _MILLION, below)
    return rounded // _MILLION if unit in _IN_MILLIONTHS and rounded % _MILLION == 0 else rounded / _MILLION


def written_quotient(above: int, below: int, unit: str, currency: str) -> Any:
    """Write a quotient in its unit, without reducing the fraction, which would cost more than all the rest."""
    if unit == MONEY:
        return format_minor(half_even(above, below), currency)
    if unit == RATIO:
        return half_even(above * _MILLION, below) / _MILLION
    return written(Fraction(above, below), unit, currency)
