"""The API description: FastAPI's own, with the events and their catalogue added from the one definition there is."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api import hooks, schemas
from service.domain.catalogue import CATALOGUE, CORE_TYPES, MAX_ID, EventType
from service.domain.events import MAX_SOURCE

DESCRIPTION = """\
CRM and ERP events in, explainable per-campaign ROI, conversion and velocity out.

Send `Authorization: Bearer <key>` with every request but `/livez`, `/readyz` and `/openapi.json`; the key decides the
ledger. Money is a decimal string, ratios are numbers rounded to 6 decimals, durations are days rounded to 4, days are
those of the ledger's time zone, periods are half-open [from, to). Errors are RFC 9457 problems.
"""
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_EXAMPLE = {
    "specversion": "1.0",
    "id": "crm-4711",
    "source": "/crm",
    "type": "lead.captured",
    "time": "2026-03-01T09:30:00+01:00",
    "data": {"lead_id": "LD-1", "campaign_id": "fair-2026", "channel": "event"},
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of the app."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="Campaign Ledger",
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            openapi_version="3.1.0",
        )
        parts = document.setdefault("components", {}).setdefault("schemas", {})
        problem = schemas.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts["Problem"] = problem
        parts["Money"] = _money()
        parts["Event"] = _envelope()
        parts.update({f"data.{name}": _data(name, entry) for name, entry in CATALOGUE.items()})
        parts["Item"] = _item()
        document["paths"]["/v1/events"]["post"] = _post_events()
        document["paths"].update(hooks.describe())
        app.openapi_schema = document
    return app.openapi_schema


def _money() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "An exact amount, excluding VAT unless the field says otherwise. JSON numbers are refused.",
        "required": ["amount", "currency"],
        "properties": {
            "amount": {"type": "string", "pattern": r"^-?\\d{1,15}(\\.\\d+)?$".replace("\\\\", "\\")},
            "currency": {"type": "string", "description": "ISO 4217", "pattern": "^[A-Z]{3}$"},
        },
        "examples": [{"amount": "1234.50", "currency": "EUR"}],
    }


def _envelope() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "description": "A CloudEvent 1.0. Identity is (source, id). The server adds position and recorded_at.",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**text, "maxLength": MAX_ID},
            "source": {**text, "maxLength": MAX_SOURCE},
            "type": {"enum": list(CATALOGUE)},
            "time": {"type": "string", "format": "date-time", "description": "when it happened in the business"},
            "subject": text,
            "datacontenttype": {"const": "application/json"},
            "dataschema": {**text, "description": "names the payload version at its end; absent = 1"},
            "data": {"anyOf": [{"$ref": f"#/components/schemas/data.{name}"} for name in CATALOGUE]},
            "position": {"type": "integer", "readOnly": True},
            "recorded_at": {"type": "string", "format": "date-time", "readOnly": True},
        },
        "additionalProperties": {"type": ["string", "boolean", "integer"]},
        "examples": [_EXAMPLE],
    }


def _data(name: str, entry: EventType) -> dict[str, Any]:
    kinds = {**entry.required, **entry.optional}
    schema: dict[str, Any] = {
        "type": "object",
        "title": name,
        "description": f"`data` of {name}" + (", one of the seven core types" if name in CORE_TYPES else ""),
        "required": list(entry.required),
        "properties": {field: kind.schema for field, kind in kinds.items()},
        "additionalProperties": True,
    }
    for field in entry.nullable:
        schema["properties"][field] = {"anyOf": [kinds[field].schema, {"type": "null"}]}
    if entry.any_of:
        schema["anyOf"] = [{"required": [field]} for field in entry.any_of]
    return schema


def _item() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "source": {"type": ["string", "null"]},
            "id": {"type": ["string", "null"]},
            "status": {"enum": ["accepted", "duplicate", "conflict", "invalid"]},
            "position": {"type": ["integer", "null"]},
            "problem": {"anyOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "null"}]},
        },
    }


def _post_events() -> dict[str, Any]:
    event = {"$ref": "#/components/schemas/Event"}
    several = {"type": "array", "items": event}
    taken = {
        "type": "object",
        "properties": {
            **_item()["properties"],
            "last_position": {"type": "integer", "description": "the ledger's last position"},
        },
    }
    batch = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
            "last_position": {"type": "integer"},
        },
    }
    counts = {name: {"type": "integer"} for name in ("accepted", "duplicate", "conflict", "invalid")}
    bulk = {
        "type": "object",
        "properties": {
            **counts,
            "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}, "maxItems": 100},
            "last_position": {"type": "integer"},
        },
    }
    answers = {"application/json": {"schema": {"anyOf": [taken, batch, bulk]}}}
    return {
        "tags": ["events"],
        "summary": "Take events in",
        "description": "CloudEvents structured, binary (ce- headers) and batch, a plain JSON list, or NDJSON for bulk. "
        "Sending an event again is fine: it is answered as a duplicate with the position of the first. Invalid items are "
        "kept in the quarantine.",
        "operationId": "post_events",
        "security": [{"HTTPBearer": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/cloudevents+json": {"schema": event},
                "application/cloudevents-batch+json": {"schema": several},
                "application/json": {
                    "schema": {"anyOf": [event, several, {"type": "object", "title": "data, in binary mode"}]}
                },
                "application/x-ndjson": {"schema": {"type": "string", "description": "one event per line"}},
            },
        },
        "responses": {
            "200": {"description": "a duplicate; or every item of a batch accepted or duplicate", "content": answers},
            "201": {
                "description": "accepted",
                "headers": {"Location": {"schema": {"type": "string"}, "description": "of the event"}},
                "content": {"application/json": {"schema": taken}},
            },
            "207": {"description": "a batch with items that were not taken", "content": answers},
            **{
                str(status): {"description": text, "content": _PROBLEM}
                for status, text in {
                    400: "the body ended too early",
                    401: "no API key, or one that is unknown or revoked",
                    403: "the API key lacks the scope `ingest`",
                    409: "another event has this source and id",
                    413: "larger than the limits",
                    415: "not a content type of this list",
                    422: "not a valid event; `errors` say which fields",
                    503: "too much waits to be stored: try again after Retry-After seconds",
                }.items()
            },
        },
    }
