"""Errors as RFC 9457 problems: one shape for every error, with what to change in `detail`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import asyncpg
import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from service import telemetry
from service.domain.catalogue import shown
from service.store import faults
from service.store.log.group_commit import QueueFullError
from service.store.vault import MasterKeyError

_log = telemetry.logger("api")
MEDIA_TYPE = "application/problem+json"
# Also below a prefix, and with slashes too many: what leads nowhere has the secret in it all the same.
_HOOK = re.compile(r"(/hooks/+[^/]*/).+", re.DOTALL | re.IGNORECASE)
_JOURNEY = re.compile(r"(/journeys/+[^/]*/).+", re.DOTALL | re.IGNORECASE)
_EXPECTED = {  # by pydantic's names of errors, where its words are about Python
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "missing": "a value, which is required",
    "model_attributes_type": "a JSON object",
    "model_type": "a JSON object",
    "dict_type": "a JSON object",
    "list_type": "a JSON list",
    "bool_type": "true or false",
    "extra_forbidden": "nothing: there is no such field",
    "json_invalid": "valid JSON",
}
_SHOULD = re.compile(r"^\w+ should (be|have) ")  # as pydantic's sentences begin
_LONGEST_TOLD = 300  # characters of a path in the log
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}  # RFC 9110's; Python's change with its version


class _Asked(Protocol):
    """What `exchange` knows of a request: which is above, for it answers with problems."""

    method: str
    request_id: str


class ProblemError(Exception):
    """An error that is answered as a problem. `more` are extension members, `headers` go with the answer."""

    def __init__(
        self, status: int, detail: str, *, kind: str = "", headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = headers
        self.more = more


def problem(
    status: int, detail: str, *, kind: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Response:  # fmt: skip
    """Return a problem answer."""
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    name = kind or title.lower().replace(" ", "-")
    body = {"type": f"/problems/{name}", "title": title, "status": status, "detail": detail, **more}
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)


async def on_problem(_: Request, error: Exception) -> Response:
    """Answer a ProblemError."""
    assert isinstance(error, ProblemError)  # noqa: S101  registered for it alone
    return problem(error.status, error.detail, kind=error.kind, headers=error.headers, **error.more)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it alone
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = _methods(request)
        headers["Allow"] = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
    exchange: _Asked | None = request.scope.get("exchange")
    details = {
        404: f"there is nothing at {path_of(request)}; /openapi.json describes what there is",
        405: f"{exchange.method if exchange else request.method} is not possible at {path_of(request)}",
    }
    return problem(error.status_code, details.get(error.status_code, str(error.detail)), headers=headers)


def path_of(request: Request) -> str:
    """Return the path without a secret that a sender may have in it."""
    return _HOOK.sub(r"\1***", request.url.path)


def path_told(path: str) -> str:
    """Return a path as the log may have it: without a sender's secret, and without an id that may be a person's."""
    return _JOURNEY.sub(r"\1***", _HOOK.sub(r"\1***", path))[:_LONGEST_TOLD]


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes of a path: the framework names those of the first one only."""
    routes = [one for one in _flat(request.app.routes) if one.matches(request.scope)[0] is not Match.NONE]
    return {method for one in routes for method in getattr(one, "methods", None) or ()}


def _flat(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    for one in routes:
        included = getattr(one, "original_router", None)  # FastAPI nests the routers that an app includes
        yield from [one] if included is None else _flat(included.routes)


async def on_invalid_request(_: Request, error: Exception) -> Response:
    """Answer parameters that cannot be read."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for it alone
    errors = [
        {
            "field": ".".join(str(part) for part in one["loc"] if part not in ("query", "path", "body")),
            "expected": _expected(one),
            "got": _got(one),
        }
        for one in error.errors()
    ]
    detail = "; ".join(f"{one['field']}: expected {one['expected']}" for one in errors)
    return problem(422, detail, kind="invalid-request", errors=errors)


def _expected(error: Any) -> str:
    """Return what pydantic expected, in the words of JSON."""
    if error["type"] == "literal_error":
        return "one of " + str(error["ctx"]["expected"]).replace("'", "")
    return _EXPECTED.get(error["type"]) or _SHOULD.sub("", str(error["msg"]))


def _got(error: Any) -> str:
    """Return what came, shortly; never anything of a body, which may hold secrets."""
    if error["type"] == "missing":
        return "nothing"
    return "(not shown)" if error["loc"][0] == "body" else shown(error["input"])


async def on_nul(_: Request, __: Exception) -> Response:
    """Answer a parameter with U+0000, which no text in the database can have."""
    return problem(422, "a parameter has the character U+0000: nothing can have that in it", kind="invalid-request")


def refuse_unknown(request: Request, known: Sequence[str], several: Sequence[str] = ()) -> None:
    """Refuse unknown parameters, and a second one of a name that is not in `several`.

    A misspelt one, and whichever of two is not looked at, would otherwise silently give another answer.
    """
    given = Counter(name for name, _ in request.query_params.multi_items())
    there_are = ", ".join(known) or "none"
    expected = f"one of {there_are}" if known else "no parameters"
    errors = [{"field": name[:80], "expected": expected, "got": name[:80]} for name in given if name not in known]
    if errors:
        names = ", ".join(one["field"] for one in errors)
        detail = f"unknown parameter {names}; there are {there_are}"
        raise ProblemError(422, detail, kind="invalid-request", errors=errors)
    errors = [
        {"field": name, "expected": "it once", "got": f"it {count} times"}
        for name, count in given.items()
        if count > 1 and name not in several
    ]
    if errors:
        detail = "; ".join(f"{one['field']}: expected {one['expected']}, got {one['got']}" for one in errors)
        raise ProblemError(422, detail, kind="invalid-request", errors=errors)


async def on_overload(_: Request, error: Exception) -> Response:
    """Answer that the service cannot take this now, and that it is worth trying again."""
    return problem(503, f"{error}: try again in a moment", headers={"Retry-After": "1"})


async def on_database(request: Request, error: Exception) -> Response:
    """Answer a fault of the database: it is nobody's request that is wrong. Whatever else the database refuses is our fault."""
    if not faults.is_fault(error):
        return await on_failure(request, error)
    request.app.state.service.watch.doubt(error)
    return problem(503, f"{faults.words(error)}: try again in a moment", headers={"Retry-After": "1"})


async def on_missing_key(_: Request, error: Exception) -> Response:
    """Answer that the service lacks its master key: whoever posts should come back when it has it."""
    _log.error("master key", error=str(error))
    return problem(503, str(error), kind="master-key", headers={"Retry-After": "60"})


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer what should not have happened; the log has the rest."""
    exchange: _Asked | None = request.scope.get("exchange")
    _log.error(
        "request failed", path=path_told(request.url.path), request_id=exchange and exchange.request_id, exc_info=error
    )
    return problem(500, "the service failed at this; its log says why")


HANDLERS: dict[Any, Any] = {
    ProblemError: on_problem,
    HTTPException: on_http_error,
    RequestValidationError: on_invalid_request,
    QueueFullError: on_overload,
    MasterKeyError: on_missing_key,
    asyncpg.CharacterNotInRepertoireError: on_nul,
    asyncpg.PostgresError: on_database,
    asyncpg.InterfaceError: on_database,
    asyncpg.InternalClientError: on_database,
    OSError: on_database,
    Exception: on_failure,
}


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer any error as the application would: by the handler of its nearest class."""
    handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    response: Response = await handler(request, error)
    return response
