"""How events, and what is answered to them, are described: made from the catalogue and from its words."""

from __future__ import annotations

from typing import Any

from service.domain import words
from service.domain.catalogue import CATALOGUE, CORE_TYPES, EventType
from service.domain.events import MAX_SOURCE
from service.domain.fields import MAX_ID, Kind

Schema = dict[str, Any]
_COUNT = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_POSITION = {"type": ["integer", "null"], "description": "in the log; of a conflict, that of the event that is there"}
_LAST = {"type": "integer", "description": "the ledger's last position"}
_STATUSES = ("accepted", "duplicate", "conflict", "invalid")


def ref(name: str) -> Schema:
    """Return the reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def name_of(event_type: str) -> str:
    """Return the name of the schema of an event type: LeadCaptured."""
    return "".join(part.capitalize() for part in event_type.replace(".", "_").split("_"))


def schemas() -> dict[str, Schema]:
    """Return the schemas of events and of what is answered to them, by name."""
    found = {
        "Money": _money(),
        "EventType": {"type": "string", "enum": list(CATALOGUE), "description": "a type of the catalogue"},
        "Envelope": _envelope(),
        "Event": {
            "description": "A CloudEvent 1.0 of the catalogue; `type` says what `data` is.",
            "oneOf": [ref(name_of(name)) for name in CATALOGUE],
            "discriminator": {
                "propertyName": "type",
                "mapping": {name: ref(name_of(name))["$ref"] for name in CATALOGUE},
            },
        },
        "Item": _item(),
        "Taken": _object("One event that was taken in, or had been before.", source=_TEXT_OR_NULL, id=_TEXT_OR_NULL,
                         status={"type": "string", "enum": ["accepted", "duplicate"]}, position={"type": "integer"},
                         last_position=_LAST),
        "Batch": _object("What became of the events of a list, in the order sent.",
                         items={"type": "array", "items": ref("Item")}, last_position=_LAST),
        "Bulk": _object("What became of NDJSON.", **dict.fromkeys(_STATUSES, _COUNT),
                        problems={"type": "array", "items": ref("Line"), "maxItems": 100}, last_position=_LAST),
        "Line": _line(),
    }  # fmt: skip
    for name, entry in CATALOGUE.items():
        found[name_of(name)] = _event(name)
        found[f"{name_of(name)}Data"] = _data(name, entry)
    return found


def _object(description: str, **properties: Schema) -> Schema:
    return {"type": "object", "description": description, "required": list(properties), "properties": properties}


def _money() -> Schema:
    return {
        "type": "object",
        "description": "An exact amount, excluding VAT unless the field says otherwise. JSON numbers are refused.",
        "required": ["amount", "currency"],
        "properties": {
            "amount": {
                "type": "string", "pattern": r"^-?\d{1,15}(\.\d+)?$",
                "description": "decimal, with at most the digits that the currency has",
            },
            "currency": {"type": "string", "description": "ISO 4217", "pattern": "^[A-Z]{3}$"},
        },
        "examples": [{"amount": "1234.50", "currency": "EUR"}],
    }  # fmt: skip


def _envelope() -> Schema:
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "description": "What all events have. Identity is (source, id). The server adds position and recorded_at. Other members "
        "are extension attributes: strings, whole numbers, true or false; they are kept.",
        "required": ["specversion", "id", "source", "time"],
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": {**text, "maxLength": MAX_ID},
            "source": {**text, "maxLength": MAX_SOURCE},
            "time": {"type": "string", "format": "date-time", "description": "when it happened in the business"},
            "subject": text,
            "datacontenttype": {"type": "string", "const": "application/json"},
            "dataschema": {**text, "description": "names the payload version at its end; absent = 1"},
            "position": {"type": "integer", "readOnly": True},
            "recorded_at": {"type": "string", "format": "date-time", "readOnly": True},
        },
        "additionalProperties": True,
    }


def _event(name: str) -> Schema:
    return {
        "title": name_of(name),
        "description": words.EVENTS[name] + (" One of the seven core types." if name in CORE_TYPES else ""),
        "allOf": [
            ref("Envelope"),
            {
                "type": "object",
                "required": ["type", "data"],
                "properties": {"type": {"type": "string", "const": name}, "data": ref(f"{name_of(name)}Data")},
            },
        ],
        "examples": [words.example_of(name)],
    }


def _data(name: str, entry: EventType) -> Schema:
    nullable = entry.optional.keys() | set(entry.nullable)
    properties = {
        field: _field(field, kind, nullable=field in nullable)
        for field, kind in {**entry.required, **entry.optional}.items()
    }
    description = f"`data` of {name}. Other members are kept."
    if entry.any_of:
        description += f" One of {', '.join(entry.any_of)} has to be stated."
    return {
        "type": "object",
        "title": f"{name_of(name)}Data",
        "description": description,
        "required": list(entry.required),
        "properties": properties,
    }


def _field(field: str, kind: Kind, *, nullable: bool) -> Schema:
    """Describe a field; one that is optional may be null, which states nothing."""
    schema = dict(kind.schema)
    if "enum" in schema:
        schema["type"] = "string"
    elif "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]} if nullable else schema
    if nullable:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*kinds, "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    said = schema.get("description")
    return {**schema, "description": f"{words.FIELDS[field]}; {said}" if said else words.FIELDS[field]}


def _problem_or_null() -> Schema:
    return {"anyOf": [ref("Problem"), {"type": "null"}]}


def _item() -> Schema:
    return _object(
        "What became of one event of a list.", source=_TEXT_OR_NULL, id=_TEXT_OR_NULL,
        status={"type": "string", "enum": list(_STATUSES)}, position=_POSITION, problem=_problem_or_null(),
    )  # fmt: skip


def _line() -> Schema:
    line = _object(
        "A line of NDJSON that was not taken; the first 100 are told.", line={**_COUNT, "minimum": 1},
        status={"type": "string", "enum": ["conflict", "invalid"]}, problem=ref("Problem"),
    )  # fmt: skip
    line["properties"] |= {"source": _TEXT_OR_NULL, "id": _TEXT_OR_NULL, "position": _POSITION}
    return line


def post_events() -> Schema:
    """Describe the way in."""
    several = {"type": "array", "items": ref("Event")}
    return {
        "tags": ["events"],
        "summary": "Take events in",
        "description": "CloudEvents structured, binary (`ce-` headers, the body is `data`) and batch, a plain JSON list, or "
        "NDJSON for bulk. Sending an event again is fine: it is answered as a duplicate with the position of the first. Invalid "
        "items are kept in the quarantine.",
        "operationId": "post_events",
        "security": [{"HTTPBearer": []}],
        "requestBody": {
            "required": True,
            # The other two are told in words: generators make a client that cannot post lists of more JSON types than one.
            "description": "An event also as application/cloudevents+json, a list as application/cloudevents-batch+json.",
            "content": {
                "application/json": {
                    "schema": {"title": "OneOrMoreEvents", "anyOf": [ref("Event"), several]},
                    "examples": {
                        "one": {"value": words.example_of("lead.captured")},
                        "a list": {"value": [words.example_of("lead.captured"), words.example_of("order.placed")]},
                    },
                },
                "application/x-ndjson": {"schema": {"type": "string", "description": "one event per line"}},
            },
        },
        "responses": {
            "200": {
                "description": "a duplicate; or all of a list or of NDJSON accepted or duplicate",
                "content": {"application/json": {"schema": {"anyOf": [ref("Taken"), ref("Batch"), ref("Bulk")]}}},
            },
            "201": {
                "description": "accepted",
                "headers": {"Location": {"schema": {"type": "string"}, "description": "of the event"}},
                "content": {"application/json": {"schema": ref("Taken")}},
            },
            "207": {
                "description": "a list, or NDJSON, with events that were not taken",
                "content": {"application/json": {"schema": {"anyOf": [ref("Batch"), ref("Bulk")]}}},
            },
            "409": {"description": "another event has this source and id"},
            "415": {"description": "not one of these content types"},
            "422": {"description": "not a valid event; `errors` say which fields"},
        },
    }
