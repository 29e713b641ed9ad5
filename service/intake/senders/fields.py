"""What senders' fields become: exact money, instants, days, ids; and how a mapping is checked against its defaults.

Every function takes what a sender wrote and raises MalformedError where nothing can be made of it; nothing stated
(None or an empty text) stays nothing (None).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from difflib import get_close_matches
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from service.domain.calendar import parse_day, parse_instant
from service.domain.catalogue import shown
from service.domain.events import InvalidEventError
from service.domain.fields import MAX_ID
from service.domain.money import MINOR_DIGITS, format_minor, parse_amount
from service.intake.blanks import blanks_of, is_blank
from service.intake.decoding import Limits, decode
from service.intake.senders.contract import MalformedError

LIMITS = Limits(depth=64, string=1024 * 1024)
_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?", re.ASCII)
_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def json_of(body: bytes) -> Any:
    """Decode a JSON body; numbers with a point are Decimal, as exact as they were sent."""
    try:
        return decode(body, LIMITS)
    except InvalidEventError as error:
        raise MalformedError(str(error).removeprefix(": ")) from None


def object_of(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise MalformedError(f"{what}: expected an object, got {shown(value)}")
    return value


def list_of(value: Any, what: str) -> list[Any]:
    """Return a JSON list."""
    if not isinstance(value, list):
        raise MalformedError(f"{what}: expected a list, got {shown(value)}")
    return value


def dig(value: Any, path: str) -> Any:
    """Return what stands at a dotted path ("a.b[0].c"), or None."""
    for name, index in _STEP.findall(path):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
    return value


def text(value: Any, what: str) -> str | None:
    """Return a text; numbers and truth values are written as JSON has them."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise MalformedError(f"{what}: expected a text, got {shown(value)}")


def identifier(value: Any, what: str) -> str:
    """Return an id that has to be there: 1 to 200 characters, from a text or a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and 0 < len(value) <= MAX_ID and "\x00" not in value:
        return value
    raise MalformedError(f"{what}: expected an id of 1 to {MAX_ID} characters, got {shown(value)}")


def padded(number: Any, what: str = "version") -> str:
    """Return a whole number so that texts order as numbers do, for `Statement.order`."""
    whole = text(number, what) or "0"
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 40):  # noqa: PLR2004  more is no version
        raise MalformedError(f"{what}: expected a whole number, got {shown(number)}")
    return whole.rjust(40, "0")


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None


def number(value: Any, what: str) -> Decimal | None:
    """Return an exact number from a JSON number or a decimal text."""
    if value is None or value == "":
        return None
    try:
        if (isinstance(value, int | Decimal) and not isinstance(value, bool)) or _is_number(value):
            exact = Decimal(value)
            if exact.is_finite() and exact.adjusted() < 18 and exact.adjusted() > -30:  # noqa: PLR2004  fits any amount
                return exact
            if exact == 0:
                return Decimal(0)
    except InvalidOperation:
        pass
    raise MalformedError(f"{what}: expected a number such as 1234.50, got {shown(value)}")


def currency(value: Any, what: str) -> str:
    """Return an ISO 4217 code that has to be there; lower case will do."""
    code = value.upper() if isinstance(value, str) else ""
    if code not in MINOR_DIGITS:
        raise MalformedError(f'{what}: expected an ISO 4217 code such as "EUR", got {shown(value)}')
    return code


def money(value: Any, code: Any, what: str) -> dict[str, str] | None:
    """Return {"amount", "currency"} of a sender's major units; digits beyond the currency's are rounded half-even."""
    exact = number(value, what)
    if exact is None:
        return None
    known = currency(code, f"currency of {what}")
    minor = exact.scaleb(MINOR_DIGITS[known]).quantize(Decimal(1), ROUND_HALF_EVEN)
    return _within(format_minor(int(minor), known), known, what)


def minor_money(value: Any, code: Any, what: str, digits: int | None = None) -> dict[str, str] | None:
    """Return {"amount", "currency"} of whole minor units; `digits` where the sender counts others than ISO 4217."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedError(f"{what}: expected a whole number of minor units, got {shown(value)}")
    known = currency(code, f"currency of {what}")
    if digits is not None:
        return money(Decimal(value).scaleb(-digits), known, what)
    return _within(format_minor(value, known), known, what)


def _within(amount: str, code: str, what: str) -> dict[str, str]:
    try:
        parse_amount(amount, code)
    except ValueError as error:
        raise MalformedError(f"{what}: expected {error}, got {amount}") from None
    return {"amount": amount, "currency": code}


def minor(value: Mapping[str, str]) -> int:
    """Return the minor units of a money, to compare and to subtract."""
    return parse_amount(value["amount"], value["currency"])


def difference(after: Mapping[str, str], before: Mapping[str, str] | None) -> dict[str, str]:
    """Return the money `after` − `before`, both in one currency."""
    if before is not None and after["currency"] != before["currency"]:
        raise MalformedError(f"expected one currency, got {before['currency']} and {after['currency']}")
    left = minor(after) - (minor(before) if before else 0)
    return {"amount": format_minor(left, after["currency"]), "currency": after["currency"]}


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """Return an IANA time zone; ValueError if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (OSError, LookupError, ValueError, TypeError):
        raise ValueError(f"expected an IANA time zone such as Europe/Berlin, got {shown(name)}") from None


def instant(value: Any, what: str, local: str = "UTC") -> str | None:
    """Return RFC 3339 of a time with offset, or of a local "YYYY-MM-DD[ HH:MM[:SS[.ffffff]]]" in a time zone."""
    if value is None or value == "":
        return None
    expected = MalformedError(f"{what}: expected a time such as 2026-03-01T09:30:00Z, got {shown(value)}")
    if not isinstance(value, str):
        raise expected
    try:
        if match := _LOCAL.fullmatch(value):
            moment = datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00:00'}").replace(tzinfo=zone(local))
        else:
            # Some write +0000 or leave out seconds, which RFC 3339 does not allow.
            moment = datetime.fromisoformat(value)
        return _written(moment)
    except (ValueError, OverflowError):
        raise expected from None


def from_epoch(value: Any, what: str, unit: int = 1000) -> str | None:
    """Return RFC 3339 of a count since 1970; `unit` counts per second: 1 for seconds, 1000 for milliseconds."""
    exact = number(value, what)
    if exact is None:
        return None
    try:
        return _written(_EPOCH + timedelta(microseconds=int(exact * 1_000_000 / unit)))
    except (ValueError, OverflowError):
        raise MalformedError(f"{what}: expected a time between the years 1 and 9999, got {shown(value)}") from None


def _written(moment: datetime) -> str:
    written = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    parse_instant(written)
    return written


_NO_DAYS = ("0001-01-01", "9999-12-31")  # how systems write that there is none, or no end


def day(value: Any, what: str, local: str = "UTC") -> str | None:
    """Return the calendar day (YYYY-MM-DD) of a date, or of an instant in a time zone; None if it stands for none."""
    if value is None or value == "" or str(value)[:10] in _NO_DAYS:
        return None
    if isinstance(value, str) and len(value) == len("2026-03-01"):
        found = value
    else:
        moment = instant(value, what, local) or ""
        found = datetime.fromisoformat(moment).astimezone(zone(local)).date().isoformat()
    try:
        parse_day(found)
    except ValueError as error:
        raise MalformedError(f"{what}: expected {error}, got {shown(value)}") from None
    return found


def stated(**members: Any) -> dict[str, Any]:
    """Return `data` without what is not stated (None, or an empty list)."""
    return {name: value for name, value in members.items() if value is not None and value != []}


def blanks(words: Sequence[Any]) -> frozenset[str]:
    """Return what a mapping's `blanks` lists, in the form in which it is compared; ValueError if one is no text."""
    if not all(isinstance(one, str) for one in words):
        raise ValueError(f'blanks: expected a list of texts in quotes such as "(not set)", got {shown(list(words))}')
    return blanks_of(words)


def unless_blank(text: str | None, mapping: Mapping[str, Any]) -> str | None:
    """Return a text, or None where it is one of the words that stand where nothing is stated."""
    return None if text is None or is_blank(text, mapping["blanks"]) else text


_WORDS = ("campaign_id", "channel", "source", "medium")  # where some systems write a word for nothing


def without_blanks(data: Mapping[str, Any], mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `data` of an event without the words that stand where no campaign, channel, source or medium is stated."""
    return {
        name: value
        for name, value in data.items()
        if name not in _WORDS or not (value is False or (isinstance(value, str) and is_blank(value, mapping["blanks"])))
    }


def with_defaults(
    mapping: Mapping[str, Any], defaults: Mapping[str, Any], tables: Collection[str] = (), where: str = ""
) -> dict[str, Any]:
    """Return a mapping completed by defaults; ValueError names the key that is unknown or has another type.

    Nested objects are completed likewise, but those named in `tables` (stage → event, for instance) stand as given:
    their keys are the user's own. A default of None may be any text or nothing.
    """
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where or 'mapping'}: expected an object with {', '.join(defaults)}")  # noqa: TRY004
    for name in mapping:
        if name not in defaults:
            near = "".join(f"; did you mean {one}?" for one in get_close_matches(str(name), defaults, n=1))
            raise ValueError(f"{where}{name}: expected one of {', '.join(defaults)} instead of this key{near}")
    return {
        name: _completed(mapping[name], default, tables, f"{where}{name}") if name in mapping else default
        for name, default in defaults.items()
    }


def _completed(value: Any, default: Any, tables: Collection[str], key: str) -> Any:
    if isinstance(default, Mapping) and key not in tables:
        return with_defaults(value, default, tables, f"{key}.")
    wanted = str | None if default is None else type(default)
    if isinstance(default, bool) != isinstance(value, bool) or not isinstance(value, wanted):
        names = {str: "a text", bool: "true or false", int: "a whole number", list: "a list", dict: "an object"}
        raise ValueError(f"{key}: expected {names.get(type(default), 'a text or nothing')}, got {shown(value)}")
    return value
