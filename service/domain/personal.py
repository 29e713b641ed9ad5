"""Whom an event names, and what it says of them that no figure needs (SPEC 5.6, "Erasure without change").

People are contacts and leads. An event that names any is divided: ids and the fields that figures are made of stay open. The
rest – what the catalogue declares as sealed, every field that it does not know, every extension – is encrypted by the keys of
those people. Figures are made of what is open alone, so that nothing they need is ever erased.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from service.domain.catalogue import CATALOGUE, GONE, EventType
from service.domain.fields import ID, Kind, check_id

ERASED, MERGES = "subject.erased", {"lead.merged": "lead", "contact.merged": "contact"}
SEALED = "sealed"  # the member of stored data with what is sealed
TITLES = {"opportunity.opened": ("name",)}  # sealed fields that lists show: they are sealed once more, each by itself
KINDS = ("contact", "lead")  # of people
ATTRIBUTES = ("specversion", "id", "source", "type", "time", "datacontenttype", "dataschema")  # that stay open

_ONE = {f"{kind}_id": kind for kind in KINDS}
_SEVERAL = {f"{kind}_ids": kind for kind in KINDS}
_NAMES = frozenset((*_ONE, *_SEVERAL))
_MERGED = ("survivor_id", "merged_id")
_HARMLESS = re.compile(r"[A-Za-z][A-Za-z_]{0,63}[0-9]{0,2}", re.ASCII)  # a name as programs give it, and no address


def name_of(kind: str, identity: str) -> str:
    """Return the name that a person's key goes by."""
    return f"{kind}:{identity}"


def names_of(identity: str) -> list[str]:
    """Return what an id may be the name of: an erasure does not say of which kind it is."""
    return [name_of(kind, identity) for kind in KINDS]


def persons(event_type: str, data: Mapping[str, Any]) -> list[str]:
    """Return the people whom an event names, in order, each once; stored data tell it as well as those that came."""
    found: set[str] = set()
    for field, kind in _ONE.items():
        value: Any = data.get(field)
        if check_id(value) is None:
            found.add(name_of(kind, value))
    for field, kind in _SEVERAL.items():
        if type(several := data.get(field)) is list:
            found.update(name_of(kind, one) for one in several if check_id(one) is None)
    return sorted(found.union(concerned(event_type, data)))


def concerned(event_type: str, data: Mapping[str, Any]) -> list[str]:
    """Return whom an event erases, or makes one person of."""
    if merged := MERGES.get(event_type):
        return [name_of(merged, data[field]) for field in _MERGED if check_id(data.get(field)) is None]
    if event_type == ERASED and check_id(data.get("subject_id")) is None:
        return names_of(data["subject_id"])
    return []


def may_name(event_type: str, fields: Iterable[str]) -> bool:
    """Tell whether events of a type and with these fields may name people."""
    return event_type == ERASED or event_type in MERGES or not _NAMES.isdisjoint(fields)


class Parts(NamedTuple):
    """What an event says, and in which attributes."""

    data: Mapping[str, Any]
    subject: str | None
    extensions: Mapping[str, Any]


def divide(event_type: str, parts: Parts) -> tuple[Parts, Parts]:
    """Return what of an event that names people stays open, and what is sealed.

    A field that is sealed in part is there twice: what figures need of it in what is open, and the whole of it in what is sealed.
    """
    opens, shown, hidden = _OPENS.get(event_type, {}), dict[str, Any](), dict[str, Any]()
    for name, value in parts.data.items():
        if name in opens:
            how = opens[name]
            shown[name] = left = value if how is None or value is None or value == "" else how(value)
            if left is not value:
                hidden[name] = value
        elif name in _NAMES:
            shown[name] = value
        else:
            hidden[name] = value
    subject = parts.subject
    if subject is None or subject in map(parts.data.get, _IDS.get(event_type, ())):
        return Parts(shown, subject, {}), Parts(hidden, None, parts.extensions)
    return Parts(shown, None, {}), Parts(hidden, subject, parts.extensions)


def _how(entry: EventType, name: str, kind: Kind) -> Callable[[Any], Any] | None:
    """Return what makes of a field what stays open of it; None where that is all of it."""
    if name in entry.sealed:
        return entry.sealed[name]
    members = frozenset(kind.members)

    def needed(value: Any) -> Any:
        if type(value) is not dict or value.keys() <= members:
            return value
        return {member: value[member] for member in kind.members if member in value}

    return needed if members else None


_KINDS = {name: {**entry.required, **entry.optional} for name, entry in CATALOGUE.items()}
_OPENS = {
    name: {field: _how(CATALOGUE[name], field, kind) for field, kind in kinds.items()} for name, kinds in _KINDS.items()
}  # fmt: skip
_IDS = {name: [field for field, kind in kinds.items() if kind is ID] for name, kinds in _KINDS.items()}


def told(hidden: Iterable[str]) -> list[str]:
    """Return those names of sealed fields that may be told: others may be an address themselves."""
    return [name for name in hidden if _HARMLESS.fullmatch(name)]


def joined(shown: Parts, hidden: Parts) -> Parts:
    """Return an event as it came, of what is open and what is sealed."""
    return Parts(
        {**shown.data, **hidden.data}, hidden.subject or shown.subject, {**shown.extensions, **hidden.extensions}
    )


def gone(shown: Parts, names: Iterable[str]) -> Parts:
    """Return what is left of an event when what was sealed is erased: that is said in the place of each field."""
    data = dict(shown.data)
    for name in names:
        left = data.get(name)
        data[name] = {**left, **GONE} if type(left) is dict else dict(GONE)
    return Parts(data, shown.subject, {**shown.extensions, **GONE})
