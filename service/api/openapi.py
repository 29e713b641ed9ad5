"""The API description: FastAPI's own, completed from what there is one definition of already.

Events come from their catalogue, figures from their words, and the answers that stand before all routes (a missing key, too
much, too late) are the same everywhere. Generators of clients take it as it is: every operation has a short name, every
answer a schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api import hooks, openapi_events, schemas
from service.api.formats import JSON, REPORTS
from service.api.openapi_events import ref

Schema = dict[str, Any]
DESCRIPTION = """\
CRM and ERP events in, explainable per-campaign ROI, conversion and velocity out.

Send `Authorization: Bearer <key>` with every request but `/livez`, `/readyz` and `/openapi.json`; the key decides the
ledger. Reads take HTTP Basic, too, with the key as the password. Money is a decimal string, ratios are numbers rounded to
6 decimals, durations are days rounded to 4, days are those of the ledger's time zone, periods are half-open [from, to).
Errors are RFC 9457 problems.
"""
FORMATS = {one.name: one for one in REPORTS}
_COUNT = {"type": "integer", "minimum": 0}
_ALLOWANCE = {
    "RateLimit-Limit": {"schema": _COUNT, "description": "where keys have a limit: requests that may come at once"},
    "RateLimit-Remaining": {"schema": _COUNT, "description": "how many of them are left"},
    "RateLimit-Reset": {"schema": _COUNT, "description": "seconds until all of them are"},
}
_HEADERS: Schema = {
    **_ALLOWANCE,
    "Retry-After": {"schema": _COUNT, "description": "seconds after which to try again"},
    "ETag": {"schema": {"type": "string"}, "description": "made of the read models' version and the position"},
    "Content-Disposition": {
        "schema": {"type": "string"},
        "description": "of a file: its name, which says what it is, of which ledger, period and position",
    },
    "Link": {"schema": {"type": "string"}, "description": 'the next page, if there is one: `<…>; rel="next"`'},
}
# Answers by status that stand before the routes: to all requests, to those with a body, with a key, with an id in the path.
_OF_ALL = {
    "400": "not HTTP that can be read, or the body ended too early",
    "408": "the request did not come within the time that it has",
    "414": "the URL is too long",
    "431": "the headers are too large",
    "503": "too busy, not projected yet, or without its database: try again after Retry-After seconds",
}
_WITH_BODY = {
    "413": "the body is larger than the limits",
    "415": "not a content type, or a content encoding, that is read here",
}
_WITH_KEY = {
    "401": "no API key, or one that is unknown or revoked",
    "403": "the API key lacks the scope",
    "422": "a parameter or the body cannot be read, or is not known; `errors` say which",
    "429": "more requests than this key may send: try again after Retry-After seconds",
}
_WITH_ID = {"404": "no such thing"}
_WITH_FORMATS = {"406": "Accept would take none of the formats that there are"}
_CONFLICTS = {
    "create_source": "there is a source of this name",
    "retry_quarantined": "another event has this source and id",
    "retry_set_aside": "the read models were made by another release",
}
_SHARED = {**_OF_ALL, **_WITH_BODY, **_WITH_KEY, **_WITH_ID, **_WITH_FORMATS}


def describe(app: FastAPI) -> Schema:
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
        for name in ("HTTPValidationError", "ValidationError"):  # problems are answered instead
            parts.pop(name, None)
        parts |= _schemas_of(schemas.Problem)
        parts |= openapi_events.schemas()
        paths = document["paths"]
        paths["/v1/events"]["post"] = openapi_events.post_events()
        paths["/v1/quarantine/{id}/retry"]["post"]["requestBody"] = {
            "description": "the event as it should have been; without one, it is tried as it was",
            # Not ref("Event"): of a choice that may be absent, openapi-python-client makes what does not type.
            "content": {"application/json": {"schema": ref("Envelope")}},
        }
        paths.update(hooks.describe())
        document["components"]["headers"] = _HEADERS
        document["components"]["responses"] = {
            f"Problem{status}": _problem(status, text) for status, text in _SHARED.items()
        }
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _complete(path, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _schemas_of(model: Any) -> dict[str, Schema]:
    """Return the schema of a model, and of those that it is made of, by name."""
    made = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    return {**made.pop("$defs", {}), model.__name__: made}


def _problem(status: str, description: str) -> Schema:
    made: Schema = {
        "description": description, "content": {"application/problem+json": {"schema": ref("Problem")}},
    }  # fmt: skip
    named = {"429": ("Retry-After", *_ALLOWANCE), "503": ("Retry-After",)}.get(status, ())
    return {**made, "headers": _named(named)} if named else made


def _named(headers: Iterable[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _complete(path: str, operation: Schema) -> None:
    """Add the answers that stand before the route; its own words for one of them stay."""
    if text := _CONFLICTS.get(operation["operationId"]):
        operation["responses"]["409"] = {"description": text}
    own = {
        status: one for status, one in operation["responses"].items() if one.get("description") != "Validation Error"
    }
    expected = {
        *_OF_ALL,
        *(_WITH_BODY if "requestBody" in operation else ()),
        *(_WITH_KEY if operation.get("security") else ()),
        *(_WITH_ID if "{" in path else ()),
    }
    answers: dict[str, Schema] = {status: {"$ref": f"#/components/responses/Problem{status}"} for status in expected}
    for status, one in own.items():
        ours = status[0] in "45" and operation.get("security")  # what senders are answered is described with the hooks
        answers[status] = _problem(status, one["description"]) if ours else one
        if status[0] == "2" and operation.get("security"):
            answers[status] = {**one, "headers": {**one.get("headers", {}), **_named(_ALLOWANCE)}}
    operation["responses"] = dict(sorted(answers.items()))
    parameters = {one["name"]: one for one in operation.get("parameters", ())}
    for one in parameters.values():
        one["schema"] = _without_null(one["schema"])
    if "format" in parameters:
        _of_files(operation, parameters["format"]["schema"]["enum"])
    if "limit" in parameters:
        answers["200"]["headers"] |= _named(["Link"])
    if parameters.keys() & {"as_of", "to_as_of"} and operation["operationId"] != "get_completeness":
        _of_a_reading(operation)


def _without_null(schema: Schema) -> Schema:
    """Describe a parameter that may be absent: unlike a member, it cannot be null."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return {**kinds[0], **{name: of for name, of in schema.items() if name != "anyOf"}} if len(kinds) == 1 else schema


def _of_files(operation: Schema, names: Iterable[str]) -> None:
    """Tell of the formats of an answer that may be had as a file."""
    answer = operation["responses"]["200"]
    for name in names:
        form = FORMATS[name]
        if form is not JSON:
            binary = form.packed and {"contentMediaType": form.media_types[0]}
            answer["content"][form.media_types[0]] = {"schema": {"type": "string", **(binary or {})}}
    answer["headers"] |= _named(["Content-Disposition"])
    operation["responses"]["406"] = {"$ref": "#/components/responses/Problem406"}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _of_a_reading(operation: Schema) -> None:
    """Tell of the entity tag that reads carry."""
    operation["parameters"].append({
        "name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"},
        "description": "the `ETag` of an earlier answer: 304 where nothing is new since",
    })  # fmt: skip
    operation["responses"]["304"] = {"description": "nothing is new since the answer with this `ETag`"}
    operation["responses"]["200"]["headers"] |= _named(["ETag"])
