"""Holds answers against their description: by as much of JSON Schema as it uses, and no member that it does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,), "array": (list,),
    "null": (type(None),),
}  # fmt: skip
_FORMATS = {"date": date.fromisoformat, "date-time": datetime.fromisoformat}


class Description:
    """The description of a service."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Follow a reference."""
        while "$ref" in schema:
            place: Any = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                place = place[part]
            schema = place
        return schema

    def answer(self, path: str, method: str, status: int) -> dict[str, Any]:
        """Return the schema of what is answered with a status, as JSON; KeyError if that is not described."""
        answers = self.document["paths"][path][method]["responses"]
        content = next(iter(self.resolved(answers[str(status)])["content"].values()))
        return dict(content["schema"])

    def faults(self, schema: dict[str, Any], value: Any, where: str = "$") -> Iterator[str]:
        """Yield where a value is not as a schema has it."""
        schema = self.resolved(schema)
        for one in schema.get("allOf", ()):
            yield from self.faults({**self.resolved(one), "additionalProperties": True}, value, where)
        for choices in (schema.get("anyOf"), schema.get("oneOf")):
            found = [list(self.faults(one, value, where)) for one in choices or ()]
            if found and all(found):
                yield f"{where}: none of {len(found)} choices; the nearest: {min(found, key=len)}"
        kinds = schema.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(type(value) in _TYPES[kind] for kind in kinds):
            yield f"{where}: {value!r} is no {kinds}"
            return
        if "const" in schema and value != schema["const"]:
            yield f"{where}: {value!r} is not {schema['const']!r}"
        if "enum" in schema and value not in schema["enum"]:
            yield f"{where}: {value!r} is none of {schema['enum']}"
        if isinstance(value, str):
            yield from _text_faults(schema, value, where)
        if isinstance(value, list):
            for index, one in enumerate(value):
                yield from self.faults(schema.get("items", {}), one, f"{where}[{index}]")
        if isinstance(value, dict) and kinds:
            yield from self._object_faults(schema, value, where)

    def _object_faults(self, schema: dict[str, Any], value: dict[str, Any], where: str) -> Iterator[str]:
        known, more = schema.get("properties", {}), schema.get("additionalProperties", not schema.get("properties"))
        yield from (f"{where}: no {name}" for name in schema.get("required", ()) if name not in value)
        for name, one in value.items():
            if name in known or isinstance(more, dict):
                yield from self.faults(known.get(name, more), one, f"{where}.{name}")
            elif not more:
                yield f"{where}: {name} is not described"


def _text_faults(schema: dict[str, Any], value: str, where: str) -> Iterator[str]:
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield f"{where}: {value!r} does not match {schema['pattern']}"
    if schema.get("format") in _FORMATS:
        try:
            _FORMATS[schema["format"]](value)
        except ValueError:
            yield f"{where}: {value!r} is no {schema['format']}"
