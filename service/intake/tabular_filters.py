"""The filters of a template ("{price|comma|decimal}"): small pure functions from a cell and an argument to a value.

A filter that cannot take a cell raises ValueError with what it expected.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,10})?", re.ASCII)
_COMMA_NUMBER = re.compile(r"-?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?", re.ASCII)
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _slug(value: str, _: str) -> str:
    if slug := re.sub(r"[\W_]+", "-", value.casefold()).strip("-"):
        return slug
    raise ValueError("a letter or a digit")


def _exact(value: str) -> Decimal:
    if _NUMBER.fullmatch(value):
        return Decimal(value)
    raise ValueError("a number such as 1234.50")


def _decimal(value: str, digits: str) -> str:
    number, places = _exact(value), int(digits or 2)
    # Money is never rounded on the way in: a third decimal is a mistake of the file, not ours to hide.
    if (fixed := number.quantize(Decimal(1).scaleb(-places))) != number:
        raise ValueError(f"a number of at most {places} decimal places")
    return f"{fixed:f}"


def _comma(value: str, _: str) -> str:
    if _COMMA_NUMBER.fullmatch(value):
        return value.replace(".", "").replace(",", ".")
    raise ValueError("a number with a decimal comma such as 1.234,50")


def _date(value: str, form: str) -> str:
    try:
        return datetime.strptime(value, form).replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        raise ValueError(f"a date written as {form}") from None


def _int(value: str, _: str) -> int:
    if (number := _exact(value)) != int(number):
        raise ValueError("a whole number")
    return int(number)


def _bool(value: str, _: str) -> bool:
    if (truth := _TRUTH.get(value.lower())) is None:
        raise ValueError("one of " + ", ".join(_TRUTH))
    return truth


# name → (what it makes of a cell that is not empty, the pattern of its argument)
FILTERS: dict[str, tuple[Callable[[str, str], Any], str]] = {
    "slug": (_slug, ""),
    "lower": (lambda value, _: value.lower(), ""),
    "comma": (_comma, ""),  # 1.234,50 → 1234.50
    "decimal": (_decimal, r"\d?"),  # for money: decimal, decimal:0 (JPY), decimal:3 (KWD)
    "date": (_date, r".+"),  # date:%d.%m.%Y → YYYY-MM-DD
    "default": (lambda value, argument: value or argument, r".+"),  # the one filter that an empty cell reaches
    "int": (_int, ""),
    "number": (lambda value, _: float(_exact(value)), ""),
    "bool": (_bool, ""),
}
TYPED = ("int", "number", "bool")  # these give no text, so they end a template that is nothing but them
