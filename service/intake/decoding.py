"""From bytes to decoded JSON, within limits: depth and string length are checked before anything else is believed."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from service.domain.catalogue import Problem, shown
from service.domain.events import InvalidEventError

_LARGEST_EXPONENT = 300  # every reader of JSON numbers can hold these, those that make binary floats of them too


def number_of(text: str) -> Decimal:
    """Read a number with every digit that its sender wrote."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("inf")
    if not number.is_finite() or (number and abs(number.adjusted()) > _LARGEST_EXPONENT):
        raise ValueError(f"expected numbers between 1e-{_LARGEST_EXPONENT} and 1e{_LARGEST_EXPONENT}, got {text[:40]}")
    return number


BOM = b"\xef\xbb\xbf"  # which some programs put before their UTF-8
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_ESCAPED = re.compile(r"\\(.)")
_json = msgspec.json.Decoder(float_hook=number_of)
_items = msgspec.json.Decoder(list[msgspec.Raw])


class Limits(NamedTuple):
    """The bounds of one event: nesting, and characters of one string."""

    depth: int
    string: int


def decode(raw: bytes | memoryview, limits: Limits) -> Any:
    """Return the JSON value of `raw`; raises InvalidEventError if it is none or goes beyond the limits."""
    raw = bytes(raw).removeprefix(BOM)
    try:
        value = _json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        several = "; several events, one a line, are application/x-ndjson" if "trailing" in str(error) else ""
        raise InvalidEventError([Problem("", f"valid JSON in UTF-8{several}", str(error))]) from error
    except RecursionError as error:
        raise InvalidEventError([Problem("", f"JSON nested at most {limits.depth} deep", "much deeper")]) from error
    # Counting brackets bounds the depth, and the size bounds every string: only the unusual are walked through.
    if raw.count(b"{") + raw.count(b"[") > limits.depth or len(raw) > limits.string or b"\\u0000" in raw:
        _check(value, limits, "", 1)
    if may_repeat(raw) and (name := repeated_name(raw)) is not None:
        raise InvalidEventError([Problem(shown(name), "each name once in an object", "it twice")], value)
    return value


def may_repeat(raw: bytes) -> bool:
    """Tell whether an object in valid JSON may have a name twice; hardly ever wrongly, and in a twentieth of the time of looking.

    Of equal names a reader keeps the last one, so that what is written again has fewer quotation marks.
    """
    if b"\\u0022" in raw:  # which is written again as a quotation mark
        return True
    try:
        again = msgspec.json.encode(msgspec.json.decode(raw))
    except (msgspec.MsgspecError, OverflowError, RecursionError):  # a number as no 64 bits hold it
        return True
    return raw.count(b'"') != again.count(b'"')


class _RepeatedError(Exception):
    """Ends the reading at a name that stands twice."""


def repeated_name(raw: bytes) -> str | None:
    """Return a name that an object in valid JSON of limited depth has twice, if there is one."""

    def once(pairs: list[tuple[str, object]]) -> None:
        names = set()
        for name, _ in pairs:
            if name in names:
                raise _RepeatedError(name)
            names.add(name)

    try:
        json.loads(raw, object_pairs_hook=once, parse_int=str, parse_float=str)
    except _RepeatedError as error:
        return str(error)
    return None


def split(raw: bytes) -> list[bytes]:
    """Return the items of a JSON list, each as its own bytes; raises InvalidEventError if it is no list."""
    try:
        return [bytes(one) for one in _items.decode(raw.removeprefix(BOM))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError([Problem("", "a JSON list of events in UTF-8", str(error))]) from error


def header_text(value: str) -> str | None:
    """Return what a ce- header says: unquoted first, then percent-decoded, as the HTTP binding of CloudEvents has it.

    None if that is no UTF-8, or has U+0000, which no database text can hold.
    """
    if _QUOTED.fullmatch(value):
        value = _ESCAPED.sub(r"\1", value[1:-1])
    try:
        text = unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeError:
        return None
    return None if "\x00" in text else text


def _check(value: object, limits: Limits, path: str, depth: int) -> None:
    if type(value) is str:
        if len(value) > limits.string:
            expected = f"a string of at most {limits.string} characters"
            raise InvalidEventError([Problem(path, expected, f"{len(value)} characters")])
        if "\x00" in value:
            raise InvalidEventError(
                [Problem(path, "a string without U+0000, which no database text can hold", shown(value))]
            )
        return
    if type(value) in (dict, list) and depth > limits.depth:
        raise InvalidEventError([Problem(path, f"JSON nested at most {limits.depth} deep", "deeper nesting")])
    if type(value) is dict:
        for name, one in value.items():
            _check(name, limits, f"{path}.{name[:40]}".lstrip("."), depth)
            _check(one, limits, f"{path}.{name[:40]}".lstrip("."), depth + 1)
    elif type(value) is list:
        for index, one in enumerate(value):
            _check(one, limits, f"{path}[{index}]", depth + 1)
