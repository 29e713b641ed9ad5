"""What can still be told of an item that could not be taken: which event it was to be, its money, and why in a few words.

Whatever was sent is looked at once, when it is put into the quarantine; whoever reads that later needs not understand it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from service.domain.stated import stated_money
from service.store.quarantine import Refused

_LONGEST = 200  # characters of an id, and of a reason
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any = msgspec.json.Decoder(float_hook=str)  # what is refused for being a number tells its amount all the same
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
_INDEX = re.compile(r"\[\d+\]")


def refused(body: bytes, problem: Mapping[str, Any]) -> Refused:
    """Return an item to be kept."""
    given = _members(body)
    data = given.get("data", body)
    source, identity, event_type = (_text(given.get(name)) for name in ("source", "id", "type"))
    money = stated_money({name: _value(raw) for name, raw in _members(data).items()})
    return Refused(body, dict(problem), source, identity, event_type, reason_of(problem), money)


def reason_of(problem: Mapping[str, Any]) -> str:
    """Return in a few words why an item could not be taken; those that fail alike have the same."""
    first = next(iter(problem.get("errors", ())), None) or {"field": "", "expected": problem.get("detail", "")}
    told = ": ".join(one for one in (_INDEX.sub("[]", first["field"]), first["expected"]) if one)
    return told.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:_LONGEST]


def _members(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object, each as it was sent; nothing for what is none."""
    try:
        return _parts.decode(raw)
    except _UNREADABLE:
        return {}


def _value(raw: msgspec.Raw | None) -> Any:
    try:
        return None if raw is None else _any.decode(raw)
    except _UNREADABLE:
        return None


def _text(raw: msgspec.Raw | None) -> str | None:
    """Return a member as a text that an event could have as its source, id or type."""
    value = _value(raw)
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST and "\x00" not in value else None
