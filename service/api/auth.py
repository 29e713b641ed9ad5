"""Authentication: `Authorization: Bearer <key>`; the key decides the ledger, its scopes what may be done."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, get_args, get_origin

from fastapi import Depends, Request, Response
from fastapi._compat import ModelField
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from service.api.bodies import read_body
from service.api.problems import ProblemError, refuse_unknown
from service.api.turns import Turns
from service.bootstrap import Service
from service.intake.decoding import BOM, repeated_name
from service.intake.limits import Buckets, LookedUp, retry_after
from service.store import ledgers

_TRUST_SECONDS = 5.0  # a revoked key stops working at most this much later
_LONGEST_KEY = 512  # characters; what is longer opens nothing and is not looked up
_MOST_JSON = 1_048_576  # bytes of a body that is no event: what it asks for is parsed at once
bearer = HTTPBearer(auto_error=False, description="An API key: `campaign-ledger keys create` makes one.")


class Doorkeeper:
    """Looks keys up, and remembers for a few seconds what they open. Of keys it remembers hashes only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: LookedUp[ledgers.Access] = LookedUp(_TRUST_SECONDS)
        self._buckets = Buckets()

    async def admit(self, authorization: str | None, scope: str) -> ledgers.Access:
        """Return what a key opens that has a scope; raises a 401 or 403 problem."""
        if not _secret(authorization):
            raise ProblemError(
                401, "send an API key as `Authorization: Bearer <key>`", headers={"WWW-Authenticate": "Bearer"}
            )
        access = await self.known(authorization)
        if access is None:
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise ProblemError(401, "this API key is unknown or revoked", headers=headers)
        self._refuse_too_many(access.key_id)
        if not access.may(scope):
            have = ", ".join(sorted(access.scopes))
            raise ProblemError(403, f"this needs the scope {scope}; this API key has {have}")
        return access

    async def known(self, authorization: str | None) -> ledgers.Access | None:
        """Return what a key opens, without letting anybody in."""
        secret = _secret(authorization)
        if not secret or len(secret) > _LONGEST_KEY:
            return None
        return await self._known.get(ledgers.hash_of(secret), lambda: ledgers.access(self._service.pool, secret))

    def is_operator(self, authorization: str | None) -> bool:
        """Tell whether this is the operator's token, which is set and opens what is of all ledgers."""
        token, secret = self._service.settings.operator_token, _secret(authorization)
        return token is not None and hmac.compare_digest(token.get_secret_value().encode(), secret.encode())

    def _refuse_too_many(self, key_id: str) -> None:
        most, now = self._service.settings.key_rate_per_minute, time.monotonic()
        if most and (wait := self._buckets.take(key_id, most, now)):
            detail = f"this API key may send {most} requests per minute: try again later"
            headers = {**retry_after(wait), **self._buckets.allowance(key_id, most, now)}
            raise ProblemError(429, detail, headers=headers)

    def allowance(self, key_id: str) -> list[tuple[bytes, bytes]]:
        """Return the headers that tell what a key may still send; none, where it may send what it likes."""
        most = self._service.settings.key_rate_per_minute
        told = self._buckets.allowance(key_id, most, time.monotonic()) if most else {}
        return [(name.lower().encode(), value.encode()) for name, value in told.items()]


def _secret(authorization: str | None) -> str:
    kind, _, secret = (authorization or "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


class Needs:
    """A dependency of routes of the class Guarded: the ledger of a request whose key has a scope."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def admit(self, request: Request) -> ledgers.Access | None:
        """Let a request in, or raise a problem."""
        doorkeeper: Doorkeeper = request.app.state.doorkeeper
        return await doorkeeper.admit(request.headers.get("authorization"), self.scope)

    async def __call__(  # noqa: D102  the class says it
        self, request: Request, _: HTTPAuthorizationCredentials | None = Depends(bearer)
    ) -> ledgers.Ledger:  # fmt: skip
        access: ledgers.Access = request.state.access
        return access.ledger


class NeedsOversight(Needs):
    """The ledger of a key with the scope `admin`, or None for the operator, who sees all of them."""

    def __init__(self) -> None:
        super().__init__("admin")

    async def admit(self, request: Request) -> ledgers.Access | None:
        """Let a request in, or raise a problem."""
        doorkeeper: Doorkeeper = request.app.state.doorkeeper
        if doorkeeper.is_operator(request.headers.get("authorization")):
            return None
        return await super().admit(request)

    async def __call__(  # type: ignore[override]  # noqa: D102
        self, request: Request, _: HTTPAuthorizationCredentials | None = Depends(bearer)
    ) -> ledgers.Ledger | None:  # fmt: skip
        access: ledgers.Access | None = request.state.access
        return access and access.ledger


def _parameters(fields: Iterable[ModelField]) -> Iterator[tuple[str, Any]]:
    """Yield the names and types of query parameters, those of a model one by one."""
    for field in fields:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, inner in kind.model_fields.items():
                yield inner.alias or name, inner.annotation
        else:
            yield field.alias, kind


def _is_list(annotation: Any) -> bool:
    return any(get_origin(one) is list for one in (annotation, *get_args(annotation)))


def _checked(request: Request, body: bytes) -> bytes:
    """Return JSON without a byte order mark; raises a problem for another content type, and for a name that stands twice."""
    body = body.removeprefix(BOM)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and media_type != "application/json" and not media_type.endswith("+json"):
        raise ProblemError(415, f"send application/json; this was {media_type or 'no content-type'}")
    try:
        name = repeated_name(body) if body else None
    except (ValueError, RecursionError):  # which the framework tells of
        return body
    if name is not None:
        errors = [{"field": name[:80], "expected": "each name once in an object", "got": "it twice"}]
        raise ProblemError(
            422, f"{name[:80]}: expected each name once in an object", kind="invalid-request", errors=errors
        )
    return body


class Guarded(APIRoute):
    """A route that looks at the key before it takes in any body, and at the body's size before it parses it.

    The framework alone reads and parses a body before it asks whose it is. Parameters that the route does not have are refused,
    and so is a second one of a name. Reads wait for their turn here, too.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()
        needs = next((one.call for one in self.dependant.dependencies if isinstance(one.call, Needs)), None)
        if needs is None:
            return handle
        parameters = dict(_parameters(self.dependant.query_params))
        known, several = list(parameters), [name for name, kind in parameters.items() if _is_list(kind)]

        async def guarded(request: Request) -> Response:
            state = request.app.state
            access = request.state.access = await needs.admit(request)
            request.scope["exchange"].access = access
            refuse_unknown(request, known, several)
            if self.body_field is not None and access is not None:
                most = min(_MOST_JSON, state.service.settings.max_body_bytes)
                body = await read_body(request, most, access.ledger.ledger)
                request._body = _checked(request, body)  # noqa: SLF001  where the framework looks for it first
            if request.method != "GET" or access is None:
                return await handle(request)
            turns: Turns = state.turns
            async with turns.turn(access.key_id) as request.state.turn:
                return await handle(request)

        return guarded
