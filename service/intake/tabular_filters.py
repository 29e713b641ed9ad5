"""The filters of a template ("{price|amount:1.234,50}"): small pure functions from a cell and an argument to a value.

A filter that cannot take a cell raises ValueError with what it expected. Where a spreadsheet has a function for the same
thing, the filter has its name. docs/importing.md shows each with an example, which a test holds against this file.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, NamedTuple, Protocol

from service.intake import tabular_numbers as numbers
from service.intake import tabular_times as times

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_PLACES = 2


class Lookup(Protocol):
    """A table that says what a key stands for; ValueError where it does not have the key."""

    def find(self, key: str, column: str) -> str:
        """Return what stands in `column` beside `key`."""


class Reading(NamedTuple):
    """How the cells of a file are read: zone of what states none, words that state nothing, tables, places of money."""

    zone: tzinfo = UTC
    blanks: frozenset[str] = frozenset()
    lookups: Mapping[str, Lookup] = {}
    places: int = _PLACES


READING = Reading()  # where nothing else is said: UTC, no words for nothing, no tables, two places


class Filter(NamedTuple):
    """A filter: what it makes of a cell that is not empty, the pattern or the check of its argument, and what it gives."""

    apply: Callable[[str, str, Reading], Any]
    argument: str | Callable[[str], object] = ""
    typed: bool = False  # gives no text, so it ends a template that is nothing but it
    number: bool = False  # gives a number as text, so that money is written with the places of its currency


def _slug(value: str, *_: object) -> str:
    if slug := re.sub(r"[\W_]+", "-", value.casefold()).strip("-"):
        return slug
    raise ValueError("a letter or a digit")


def _date(value: str, form: str, reading: Reading) -> str:
    form = times.check_format(form) if form else ""
    try:
        return times.day(value, form or None, reading.zone)
    except times.ZoneError:
        raise
    except (ValueError, OverflowError):
        raise ValueError(f"a date written as {form or '2026-03-01 (ISO 8601)'}") from None


def _bool(value: str, *_: object) -> bool:
    if (truth := _TRUTH.get(value.lower())) is None:
        raise ValueError("one of " + ", ".join(_TRUTH))
    return truth


def is_truth(value: str) -> bool:
    """Tell whether a cell is a truth value, which is one even where its word would state nothing."""
    return value.lower() in _TRUTH


def _split(value: str, separator: str, *_: object) -> list[str]:
    items = value.split(separator) if separator else re.split(r"[;,|\n]", value)
    return [item.strip() for item in items if item.strip()]


def _part(value: str, argument: str, *_: object) -> str:
    number, _separator, separator = argument.partition(":")
    parts = [part.strip() for part in value.split(separator)]
    at = int(number)
    if abs(at) > len(parts):
        raise ValueError(f"at least {abs(at)} parts with {separator!r} between them")
    return parts[at - 1 if at > 0 else at]


def _lookup(value: str, argument: str, reading: Reading) -> str:
    name, _, column = argument.partition(".")
    if name not in reading.lookups:
        raise ValueError(f"a table {name!r} under `lookups`")
    return reading.lookups[name].find(value, column)


def _shift(value: str, digits: str, reading: Reading, known: int | None = None) -> str:
    return numbers.shifted(value, int(digits) if digits else reading.places if known is None else known)


FILTERS: dict[str, Filter] = {
    "slug": Filter(_slug),
    "lower": Filter(lambda value, *_: value.lower()),
    "upper": Filter(lambda value, *_: value.upper()),
    "default": Filter(lambda value, argument, _: value or argument, r".+"),  # the one that an empty cell reaches
    "amount": Filter(
        lambda value, form, _: numbers.formed(value, numbers.read_form(form)), numbers.read_form, number=True
    ),
    "comma": Filter(lambda value, *_: numbers.with_comma(value)),
    "decimal": Filter(
        lambda value, digits, reading: numbers.fixed(value, int(digits) if digits else reading.places),
        r"\d?",
        number=True,
    ),
    "minor": Filter(_shift, r"\d?", number=True),
    "micros": Filter(partial(_shift, known=6), number=True),
    "round": Filter(
        lambda value, digits, reading: numbers.rounded(value, int(digits) if digits else reading.places),
        r"\d?",
        number=True,
    ),
    "abs": Filter(lambda value, *_: f"{abs(numbers.exact(value)):f}", number=True),
    "date": Filter(_date, lambda form: form and times.check_format(form)),
    "part": Filter(_part, r"-?[1-9]\d?:.+"),
    "lookup": Filter(_lookup, r"[^.]+(\..+)?"),
    "split": Filter(_split, r".*"),
    "percent": Filter(lambda value, *_: float(numbers.of_percent(value)), typed=True),
    "int": Filter(lambda value, *_: int(numbers.whole(value)), typed=True),
    "number": Filter(lambda value, *_: float(numbers.exact(value)), typed=True),
    "bool": Filter(_bool, typed=True),
}
TYPED = tuple(name for name, one in FILTERS.items() if one.typed)
LISTS = "split"  # the one that makes a list of a cell
