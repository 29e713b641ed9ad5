"""Odoo's API: a record read back by `search_read`, through JSON-2 or JSON-RPC."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from service.domain.catalogue import shown
from service.intake.senders.contract import Ignored, MalformedError, Source, Statement, UnavailableError, Wanted
from service.intake.senders.fields import dig, json_of, list_of, object_of
from service.intake.senders.odoo.records import FIELDS, statement, written

_TRUST_SECONDS = 600.0  # a module that is installed adds fields
_MOST_REMEMBERED = 1_000
_fields: dict[tuple[str, str, str], tuple[float, tuple[str, ...]]] = {}
_users: dict[tuple[str, str, str, str], int] = {}
_REFUSED = ("odoo.exceptions.AccessDenied", "odoo.exceptions.AccessError")


def url(model: str, source: Source) -> str:
    """Return where records of a model are read back; nothing where the mapping does not say."""
    base = (source.mapping["url"] or "").rstrip("/")
    path = "jsonrpc" if source.mapping["api"] == "json-rpc" else f"json/2/{model}/search_read"
    return f"{base}/{path}" if base else ""


async def fetch(wanted: Wanted, source: Source, client: httpx.AsyncClient) -> Statement | Ignored:
    """Read a record back, with those of the known fields that this Odoo has."""
    if not source.mapping["url"]:
        raise MalformedError("url is not in the mapping: records cannot be read back")
    model, _, identity = wanted.record.partition(":")
    if not (identity.isascii() and identity.isdigit()):
        raise MalformedError(f"_id: expected a number, got {shown(identity)}")
    names = await _known(model, source, client)
    asked = {"domain": [["id", "=", int(identity)]], "fields": list(names), "context": {"active_test": False}}
    rows = list_of(await _call(model, "search_read", asked, source, client), "search_read")
    if not rows:
        return Ignored(f"{wanted.record} is no longer there to be read back, or its user may not see it")
    row = object_of(rows[0], "search_read")
    return statement(wanted.record, wanted.key, row, written(row) or wanted.at, wanted.verb)


async def _known(model: str, source: Source, client: httpx.AsyncClient) -> tuple[str, ...]:
    """Return those of our fields that a model has: which there are depends on version and modules."""
    key = (source.id, url(model, source), model)
    until, names = _fields.get(key, (0.0, ()))
    if until <= time.monotonic():
        asked = {"allfields": list(FIELDS[model]), "attributes": ["type"]}
        found = object_of(await _call(model, "fields_get", asked, source, client), "fields_get")
        names = tuple(one for one in FIELDS[model] if one in found)
        if len(_fields) >= _MOST_REMEMBERED:
            _fields.clear()
        _fields[key] = (time.monotonic() + _TRUST_SECONDS, names)
    return names


async def _call(model: str, method: str, asked: dict[str, Any], source: Source, client: httpx.AsyncClient) -> Any:
    """Call a method of a model."""
    return await CALLS[source.mapping["api"]](model, method, asked, source, client)


async def _json2(model: str, method: str, asked: dict[str, Any], source: Source, client: httpx.AsyncClient) -> Any:
    base, database = source.mapping["url"].rstrip("/"), source.mapping["database"]
    headers = {"Authorization": f"bearer {source.credentials['api_key']}"}
    if database:
        headers["X-Odoo-Database"] = database
    answer = await client.post(f"{base}/json/2/{model}/{method}", json=asked, headers=headers)
    _check_status(answer, model)
    return json_of(answer.content)


async def _jsonrpc(model: str, method: str, asked: dict[str, Any], source: Source, client: httpx.AsyncClient) -> Any:
    database, key = source.mapping["database"], source.credentials["api_key"]
    user = await _user(source, client)
    keywords = {name: value for name, value in asked.items() if name != "domain"}
    positional = [asked["domain"]] if "domain" in asked else []
    return await _rpc(
        "object", "execute_kw", [database, user, key, model, method, positional, keywords], source, client
    )


async def _user(source: Source, client: httpx.AsyncClient) -> int:
    """Return the number of the user whose key it is."""
    name, key = source.credentials.get("user", ""), source.credentials["api_key"]
    if not name:
        raise MalformedError("the source needs the credential user (a login name) to read records back by JSON-RPC")
    known = (source.id, source.mapping["database"], name, key)
    if known not in _users:
        found = await _rpc("common", "login", [source.mapping["database"], name, key], source, client)
        if not isinstance(found, int) or isinstance(found, bool):
            raise UnavailableError("Odoo refuses the user and key: check database, user and api_key")
        if len(_users) >= _MOST_REMEMBERED:
            _users.clear()
        _users[known] = found
    return _users[known]


async def _rpc(service: str, method: str, parameters: list[Any], source: Source, client: httpx.AsyncClient) -> Any:
    asked = {"service": service, "method": method, "args": parameters}
    body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": asked}
    answer = await client.post(url("", source), json=body)
    _check_status(answer, service)
    found = object_of(json_of(answer.content), "the answer of Odoo")
    if (error := found.get("error")) is not None:
        _users.clear()
        _raise(str(dig(error, "data.name") or ""), str(dig(error, "data.message") or dig(error, "message") or ""))
    return found.get("result")


def _check_status(answer: httpx.Response, what: str) -> None:
    code = answer.status_code
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise UnavailableError(f"Odoo refuses the key ({code}): check it and its user's access rights")
    if code == httpx.codes.TOO_MANY_REQUESTS or (answer.is_server_error and not _is_error(answer)):
        raise UnavailableError(f"Odoo answered {code}")
    if not answer.is_success:
        error: Mapping[str, Any] = json_of(answer.content) if _is_error(answer) else {}
        _raise(str(error.get("name") or ""), str(error.get("message") or f"{code} to {what}: check url and database"))


def _is_error(answer: httpx.Response) -> bool:
    """Whether an answer tells in JSON what was wrong with the call, which another try would not mend."""
    try:
        found = json_of(answer.content)
    except MalformedError:
        return False
    return isinstance(found, dict) and "message" in found


def _raise(name: str, message: str) -> None:
    if name in _REFUSED:
        raise UnavailableError(f"Odoo refuses ({name.rpartition('.')[2]}): check the key and its user's access rights")
    raise MalformedError(f"Odoo answered {message[:200]}")


CALLS: dict[str, Callable[..., Any]] = {"json-2": _json2, "json-rpc": _jsonrpc}
