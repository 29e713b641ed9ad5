"""The log as a table: the envelope of each event, what its type may state, and all of its data as it was sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from service.domain.catalogue import CATALOGUE
from service.domain.fields import Kind
from service.domain.money import MINOR_DIGITS
from service.exports.columns import COUNT, DAY, LIST, MONEY, NUMBER, TEXT, TIME, TRUTH, Column, Values
from service.exports.tables import Table
from service.store.log.stored_events import Stored

_DIGITS = max(MINOR_DIGITS.values())
_UTM = ("source", "medium", "campaign", "term", "content")
_json = msgspec.json.Decoder()
_amount = re.compile(rf"-?\d{{1,15}}(\.\d{{1,{_DIGITS}}})?", re.ASCII).fullmatch
_day = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch

# What a value has to be for its column: the log has data of versions that nobody here knows, which `data` has as they are.
_FITS: dict[str, Callable[[Any], bool]] = {
    TEXT: lambda value: isinstance(value, str),
    MONEY: lambda value: isinstance(value, str) and _amount(value) is not None,
    DAY: lambda value: isinstance(value, str) and _day(value) is not None and value > "1900",
    NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    TRUTH: lambda value: isinstance(value, bool),
    LIST: lambda value: isinstance(value, list),
}


def table(types: Iterable[str] = ()) -> Table:
    """Return the table of events of these types, or of all."""
    before = [
        Column("position", COUNT), Column("type"), Column("time", TIME), Column("source"), Column("id"), Column("subject"),
        Column("recorded_at", TIME),
    ]  # fmt: skip
    stated = {name: _stated(name) for name in types or CATALOGUE}
    inside: dict[tuple[str, ...], set[tuple[str, int]]] = {}
    for of_type in stated.values():
        for path, kind, digits in of_type:
            inside.setdefault(path, set()).add((kind, digits))
    columns = {
        path: Column(f"data.{'.'.join(path)}", *(of.pop() if len(of) == 1 else (TEXT,))) for path, of in inside.items()
    }
    numbers = {path: number for number, path in enumerate(inside)}
    places = {
        name: [(numbers[path], path, _FITS[columns[path].type]) for path, _, _ in of_type]
        for name, of_type in stated.items()
    }
    after = [Column("data"), Column("dataschema"), Column("extensions")]

    def values(event: Stored) -> Values:
        data, found = _json.decode(event.data), [None] * len(numbers)
        for number, path, fits in places.get(event.type, ()):
            value = data
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None and fits(value):
                found[number] = value
        return [
            event.position, event.type, event.time, event.source, event.id, event.subject, event.recorded_at, *found,
            event.data, event.dataschema, event.extensions,
        ]  # fmt: skip

    return Table([*before, *columns.values(), *after], values)


def _stated(name: str) -> list[tuple[tuple[str, ...], str, int]]:
    """Return what events of a type may state: where it stands in their data, the type of its column, its decimal places."""
    entry = CATALOGUE[name]
    return [one for field, kind in {**entry.required, **entry.optional}.items() for one in _columns(field, kind)]


def _columns(name: str, kind: Kind) -> Iterable[tuple[tuple[str, ...], str, int]]:
    for schema in kind.schema.get("anyOf", (kind.schema,)):
        if "$ref" in schema:
            yield (name, "amount"), MONEY, _DIGITS
            yield (name, "currency"), TEXT, 0
        elif name == "utm":
            yield from (((name, part), TEXT, 0) for part in _UTM)
        elif schema.get("format") == "date":
            yield (name,), DAY, 0
        elif (of := _SIMPLE.get(str(schema.get("type")))) is not None:
            yield (name,), of, 0
        elif "enum" in schema:
            yield (name,), TEXT, 0


_SIMPLE = {"string": TEXT, "boolean": TRUTH, "number": NUMBER, "integer": NUMBER, "array": LIST}
