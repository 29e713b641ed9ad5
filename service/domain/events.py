"""The envelope: CloudEvents 1.0 (SPEC section 1, "Envelope").

`read_event` turns the decoded JSON of one CloudEvent into an `Event`, or says everything that is wrong with it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from service.domain.calendar import Instant, parse_instant
from service.domain.catalogue import CATALOGUE, Problem, check_data, shown
from service.domain.fields import check_id

MAX_SOURCE = 400  # with the longest id, still within what an index of PostgreSQL holds
CONTEXT = ("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data")
_CONTEXT = frozenset(CONTEXT)
SERVER_OWNED = ("position", "recorded_at")  # added on the way out, so taken off on the way back in
_EXTENSION = re.compile(r"[a-z0-9]{1,50}", re.ASCII)
_VERSION = re.compile(r"(?:^|[/:#.\-])v?(\d{1,4})$", re.ASCII)
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.ASCII | re.IGNORECASE)
CURRENT_VERSION = 1
NEWEST_VERSION: dict[str, int] = {}  # types whose payload has moved on from version 1

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
# (type, version) → a pure function that lifts data of that version to the next one.
UPCASTERS: dict[tuple[str, int], Upcaster] = {}


class Event(NamedTuple):
    """A valid event. `time` is as the sender wrote it, `instant` what it means; `data` is decoded JSON."""

    source: str
    id: str
    type: str
    time: str
    instant: Instant
    subject: str | None
    dataschema: str | None
    version: int
    data: dict[str, Any]
    extensions: dict[str, Any]


class InvalidEventError(ValueError):
    """An event that cannot be taken as it is; `problems` say which fields, what was expected and what came.

    `given` is the decoded JSON, where it got that far.
    """

    def __init__(self, problems: list[Problem], given: Any = None) -> None:
        super().__init__("; ".join(f"{p.field}: expected {p.expected}, got {p.got}" for p in problems))
        self.problems = problems
        self.given = given


class NewerVersionError(ValueError):
    """A payload of a newer version than this code knows: it is kept, and set aside until an upgrade."""


def newest_version(event_type: str) -> int:
    """Return the newest payload version of a type that this code knows."""
    return NEWEST_VERSION.get(event_type, CURRENT_VERSION)


def payload_version(dataschema: str | None) -> int:
    """Return the version that a `dataschema` names at its end (…/2, …/v2, 2); absent or without a number = 1."""
    match = _VERSION.search(dataschema) if dataschema else None
    return max(1, int(match.group(1))) if match else 1


def check_version(event_type: str, version: int) -> None:
    """Raise NewerVersionError where a payload is newer than this code knows."""
    newest = newest_version(event_type)
    if version > newest:
        raise NewerVersionError(
            f"payload version {version} is newer than {newest}, the newest that this release knows of {event_type}"
        )


def upcast(event_type: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    """Lift stored data of an old payload version to the newest one, step by step; NewerVersionError if it is newer."""
    check_version(event_type, version)
    while (step := UPCASTERS.get((event_type, version))) is not None:
        data, version = step(data), version + 1
    return data


def lifted(event: Event) -> dict[str, Any]:
    """Return an event's data as the newest version has it."""
    return upcast(event.type, event.version, event.data)


def read_event(raw: Any) -> Event:
    """Return the event of decoded JSON; raises InvalidEventError with every problem found."""
    if type(raw) is not dict:
        batch = "; a list of events is application/cloudevents-batch+json" if type(raw) is list else ""
        raise InvalidEventError([Problem("", f"a CloudEvent as a JSON object{batch}", shown(raw))])
    problems: list[Problem] = []
    source: Any = raw.get("source")
    identity: Any = raw.get("id")
    event_type: Any = raw.get("type")
    if raw.get("specversion") != "1.0":
        problems.append(Problem("specversion", '"1.0"', _got(raw, "specversion")))
    if expected := check_id(identity):
        problems.append(Problem("id", expected, _got(raw, "id")))
    if not _is_text(source, MAX_SOURCE):
        problems.append(
            Problem("source", f"a non-empty string of at most {MAX_SOURCE} characters", _got(raw, "source"))
        )
    instant = _time(raw, problems)
    _optional_texts(raw, problems)
    dataschema = raw.get("dataschema")
    version = payload_version(dataschema) if type(dataschema) is str else CURRENT_VERSION
    _check_payload(raw, version, problems)
    extensions = {} if raw.keys() <= _CONTEXT else _extensions(raw, problems)
    if problems:
        raise InvalidEventError(problems, raw)
    return Event(
        source, identity, event_type, raw["time"], instant, raw.get("subject"), dataschema, version, raw["data"],
        extensions,
    )  # fmt: skip


def _is_text(value: Any, most: int) -> bool:
    return type(value) is str and 0 < len(value) <= most and "\x00" not in value


def _got(raw: Mapping[str, Any], name: str) -> str:
    return shown(raw[name]) if name in raw else "nothing"


def _time(raw: Mapping[str, Any], problems: list[Problem]) -> Instant:
    value = raw.get("time")
    try:
        if type(value) is str:
            return parse_instant(value)
        expected = "an RFC 3339 time with offset such as 2026-03-01T09:30:00+01:00"
    except ValueError as error:
        expected = str(error)
    problems.append(Problem("time", expected, _got(raw, "time")))
    return Instant(0)


def _optional_texts(raw: Mapping[str, Any], problems: list[Problem]) -> None:
    for name in ("subject", "dataschema"):
        value = raw.get(name)
        if value is not None and not _is_text(value, MAX_SOURCE):
            expected = f"a non-empty string of at most {MAX_SOURCE} characters, or nothing"
            problems.append(Problem(name, expected, shown(value)))
    content_type = raw.get("datacontenttype")
    if content_type not in (None, "application/json") and (
        type(content_type) is not str or _JSON.fullmatch(content_type) is None
    ):
        problems.append(Problem("datacontenttype", "application/json, or nothing", shown(content_type)))


def _check_payload(raw: Mapping[str, Any], version: int, problems: list[Problem]) -> None:
    event_type, data = raw.get("type"), raw.get("data")
    if type(data) is not dict:
        problems.append(Problem("data", "an object", _got(raw, "data")))
    if type(event_type) is not str or event_type not in CATALOGUE:
        near = difflib.get_close_matches(shown(event_type), CATALOGUE, n=1)
        expected = f"a type of the catalogue; did you mean {near[0]}?" if near else "a type of the catalogue"
        problems.append(Problem("type", expected, _got(raw, "type")))
    elif type(data) is dict and version <= newest_version(event_type):
        try:
            lifted = upcast(event_type, version, data)
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # how an upcaster fails at bad data
            problems.append(Problem("data", f"data of version {version}", f"{type(error).__name__}: {error}"))
        else:
            problems.extend(check_data(event_type, lifted))


def _extensions(raw: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in raw.items():
        if name in _CONTEXT or name in SERVER_OWNED or value is None or (name == "erased" and value is True):
            continue
        if _EXTENSION.fullmatch(name) is None:
            expected = "an extension attribute named with lower-case letters and digits (CloudEvents 1.0)"
            problems.append(Problem(shown(name), expected, "another name"))
        elif type(value) not in (str, bool, int):
            problems.append(Problem(name, "a string, boolean or integer", shown(value)))
        else:
            kept[name] = value
    return kept
