"""Kinds of fields that events have: each knows how to check a value, to say what it expects, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from service.domain import calendar, money

MAX_ID = 200
MAX_NUMBER = 2**53 - 1  # of what figures are made of: every reader of JSON numbers holds it exactly

Check = Callable[[Any], "str | None"]


class Kind(NamedTuple):
    """A kind of field: `check` returns what was expected, or None where the value is good; `schema` is JSON Schema.

    Of an object that names a person, `members` are those that figures need; without them, it stays open as a whole.
    """

    check: Check
    schema: dict[str, Any]
    members: tuple[str, ...] = ()


def check_id(value: Any) -> str | None:
    """Check an id: a non-empty string of at most 200 characters, without U+0000, which no database text can hold."""
    if type(value) is str and 0 < len(value) <= MAX_ID and "\x00" not in value:
        return None
    return f"a non-empty string of at most {MAX_ID} characters without U+0000"


def _text(value: Any) -> str | None:
    return None if type(value) is str and "\x00" not in value else "a string without U+0000"


def _money(value: Any, least: int | None = None) -> str | None:
    if type(value) is not dict:
        return 'money as {"amount": "1234.50", "currency": "EUR"}'
    amount, currency = value.get("amount"), value.get("currency")
    if type(currency) is not str or currency not in money.MINOR_DIGITS:
        return 'an ISO 4217 code such as "EUR" in "currency"'
    if type(amount) is not str:
        return 'a decimal string such as "1234.50" in "amount" (JSON numbers are refused for money)'
    try:
        minor = money.parse_amount(amount, currency)
    except ValueError as error:
        return f'{error} in "amount"'
    return 'an "amount" greater than 0' if least is not None and minor < least else None


def _money_above_zero(value: Any) -> str | None:
    return _money(value, 1)


def parsed(parse: Callable[[str], object], expected: str) -> Check:
    """Return the check of a text that `parse` can read."""

    def check(value: Any) -> str | None:
        if type(value) is str:
            try:
                parse(value)
            except ValueError:
                return expected
            return None
        return expected

    return check


def _between(low: int, high: int, *, whole: bool = False) -> Check:
    types = (int,) if whole else (int, Decimal, float)
    expected = f"a {'whole ' if whole else ''}number from {low} to {high}"
    return lambda value: None if type(value) in types and low <= value <= high else expected


def _number(low: int, high: int, *, whole: bool = False) -> Kind:
    schema = {"type": "integer" if whole else "number", "minimum": low, "maximum": high}
    return Kind(_between(low, high, whole=whole), schema)


def one_of(*names: str) -> Kind:
    """Return the kind of texts that are one of these."""
    expected = "one of " + ", ".join(names)
    return Kind(lambda value: None if type(value) is str and value in names else expected, {"enum": list(names)})


def _is(kind: type, expected: str) -> Check:
    return lambda value: None if type(value) is kind else expected


def list_of(item: Kind, expected: str) -> Kind:
    """Return the kind of lists of a kind."""

    def check(value: Any) -> str | None:
        good = type(value) is list and all(item.check(one) is None for one in value)
        return None if good else expected

    return Kind(check, {"type": "array", "items": item.schema})


def object_of(name: Kind, value: Kind, expected: str) -> Kind:
    """Return the kind of objects whose members have names of one kind and values of another."""

    def check(given: Any) -> str | None:
        good = type(given) is dict and all(name.check(one) is None and value.check(given[one]) is None for one in given)
        return None if good else expected

    return Kind(check, {"type": "object", "additionalProperties": value.schema})


def _utm(value: Any) -> str | None:
    names = ("source", "medium", "campaign", "term", "content")
    good = type(value) is dict and all(value.get(name) is None or _text(value[name]) is None for name in names)
    return None if good else f"an object with strings {', '.join(names)}"


ID = Kind(check_id, {"type": "string", "minLength": 1, "maxLength": MAX_ID})
TEXT = Kind(_text, {"type": "string"})
_AMOUNT = ("amount", "currency")
MONEY = Kind(_money, {"$ref": "#/components/schemas/Money"}, _AMOUNT)
MONEY_ABOVE_0 = Kind(_money_above_zero, {"$ref": "#/components/schemas/Money"}, _AMOUNT)
DATE = Kind(parsed(calendar.parse_day, calendar.expected_day()), {"type": "string", "format": "date"})
RATE = Kind(
    parsed(money.parse_rate, money.EXPECTED_RATE),
    {  # the pattern is one that every language's regular expressions have; the description says the rest
        "type": "string", "pattern": r"^\d{1,9}(\.\d{1,18})?$", "description": money.EXPECTED_RATE, "examples": ["1.0842"],
    },
)  # fmt: skip
CURRENCY = Kind(
    lambda value: (
        None if type(value) is str and value in money.MINOR_DIGITS else 'an ISO 4217 currency code such as "EUR"'
    ),
    {"type": "string", "pattern": "^[A-Z]{3}$"},
)
BOOL = Kind(_is(bool, "true or false"), {"type": "boolean"})
OBJECT = Kind(_is(dict, "an object"), {"type": "object"})
NUMBER = Kind(lambda value: None if type(value) in (int, Decimal, float) else "a number", {"type": "number"})
NUMBER_0 = _number(0, MAX_NUMBER)
NUMBER_WITHIN = _number(-MAX_NUMBER, MAX_NUMBER)
COUNT = _number(0, MAX_NUMBER, whole=True)
WHOLE = _number(-MAX_NUMBER, MAX_NUMBER, whole=True)
SHARE = _number(0, 1)
SCORE = _number(1, 5)
UTM = Kind(_utm, {"type": "object", "additionalProperties": {"type": ["string", "null"]}}, ("source", "medium"))
IDS = list_of(ID, f"a list of ids (non-empty strings of at most {MAX_ID} characters)")
TEXTS = list_of(TEXT, "a list of strings")
NUMBER_OR_TEXT = Kind(
    lambda value: None if NUMBER.check(value) is None or _text(value) is None else "a number or text",
    {"type": ["number", "string"]},
)
