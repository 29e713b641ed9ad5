"""Reading the keys of a YAML mapping: what is missing, unknown or of another kind is a MappingError with the key."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from service.domain.catalogue import shown
from service.intake.tabular_templates import MappingError


def members(raw: object, key: str, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    """Return a mapping that has the required keys and no unknown ones; MappingError names the key that is wrong."""
    if not isinstance(raw, dict):
        raise MappingError(key, f"a mapping with {', '.join(required or optional)}")
    known = required + optional
    for name in raw:
        if name not in known:
            near = "".join(f"; did you mean {one}?" for one in get_close_matches(str(name), known, n=1))
            raise MappingError(below(key, name), f"one of {', '.join(known)} instead of this key{near}")
    for name in required:
        if raw.get(name) is None:
            raise MappingError(below(key, name), "a value; the key is missing")
    return raw


def below(key: str, name: object) -> str:
    """Return the path of a key below another one; the whole mapping has no name."""
    return f"{key}.{name}" if key else str(name)


def a_list(raw: object, key: str) -> list[Any]:
    """Return a list that is not empty."""
    if not isinstance(raw, list) or not raw:
        raise MappingError(key, "a list with at least one entry")
    return raw


def a_text(raw: object, key: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(raw, str) or not raw:
        raise MappingError(key, f"a text (in quotes if need be), found {shown(raw)}")
    return raw


def texts(raw: object, key: str) -> tuple[str, ...]:
    """Return a text or a list of texts as texts."""
    several = raw if isinstance(raw, list) else [raw]
    return tuple(a_text(value, key) for value in a_list(several, key))


def a_flag(raw: object, key: str) -> bool:
    """Return true or false."""
    if not isinstance(raw, bool):
        raise MappingError(key, f"true or false, found {shown(raw)}")
    return raw
