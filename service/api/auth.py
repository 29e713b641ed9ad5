"""Authentication: an API key or a session decides the ledger, its scopes what may be done.

Programs send `Authorization: Bearer <key>`; tools that know no more than that, HTTP Basic with the key as the password, to read.
Browsers have the cookie of a session, and send `X-CSRF-Token` with whatever changes something: the cookie alone would also come
with what another site's page has them send.
"""

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
from starlette.datastructures import Headers
from starlette.types import Scope

from service.api.bodies import read_body
from service.api.presented import Presented, presented
from service.api.problems import ProblemError, refuse_unknown
from service.api.turns import Turns
from service.bootstrap import Service
from service.intake.decoding import BOM, repeated_name
from service.intake.limits import Buckets, LookedUp, retry_after
from service.settings import Settings
from service.store import audit, ledgers, sessions

_TRUST_SECONDS = 5.0  # a revoked key stops working at most this much later
_MOST_JSON = 1_048_576  # bytes of a body that is no event: what it asks for is parsed at once
bearer = HTTPBearer(auto_error=False, description="An API key: `campaign-ledger keys create` makes one.")


class Doorkeeper:
    """Looks keys up, and remembers for a few seconds what they open. Of keys it remembers hashes only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: LookedUp[ledgers.Access] = LookedUp(_TRUST_SECONDS)
        self._buckets = Buckets()

    async def admit(self, scope: Scope, needed: str | None, ledger: str | None = None) -> ledgers.Access:
        """Return what a request may open that needs a scope, or any; raises a 401 or 403 problem. It acts from here on.

        With `ledger`, a person who may see several sees the one of that name.
        """
        brought = presented(scope)
        if not brought.secret:
            detail = "send an API key as `Authorization: Bearer <key>`, or sign in at /login"
            raise ProblemError(401, detail, headers=_challenge(scope))
        _refuse_forged(scope, brought)
        access = await self._looked_up(brought, ledger)
        if access is None:
            told = (
                "session has ended: sign in at /login" if brought.way == "session" else "API key is unknown or revoked"
            )
            raise ProblemError(401, f"this {told}", headers=_challenge(scope, ' error="invalid_token"'))
        if access.has_ended():
            detail = "this session has ended: sign in at /login" if access.session else "this API key has expired"
            raise ProblemError(401, detail, headers=_challenge(scope, ' error="invalid_token"'))
        address = client_of(scope)
        if not access.opens_for(address):
            raise ProblemError(403, f"this API key does not open from the address {address}")
        if access.issuer == sessions.PROXY and subject_told(scope, self._service.settings) != access.subject:
            raise ProblemError(401, "this session is of another person than the proxy tells: sign in at /login")
        self._refuse_too_many(access.key_id)
        if needed is not None and not access.may(needed):
            have = ", ".join(sorted(access.scopes)) or "none"
            raise ProblemError(
                403, f"this needs the scope {needed}; this {'session' if access.session else 'API key'} has {have}"
            )
        self._note(scope, access, address)
        return access

    def _note(self, scope: Scope, access: ledgers.Access, address: str | None) -> None:
        """Remember that it was used, and by whom what follows is done."""
        actor = audit.Actor(access.key_id, address, scope["exchange"].request_id)
        audit.ACTOR.set(actor)
        if access.session is None:
            self._service.uses.of_key(actor)
        else:
            self._service.uses.of_session(access.session)

    async def known(self, scope: Scope) -> ledgers.Access | None:
        """Return what a request would open, without letting anybody in."""
        brought = presented(scope)
        return await self._looked_up(brought) if brought.secret else None

    async def _looked_up(self, brought: Presented, ledger: str | None = None) -> ledgers.Access | None:
        pool, secret = self._service.pool, brought.secret
        if brought.way == "session":
            life, named = self._service.session_life, f"{secret} {ledger or ''}"
            return await self._known.get(
                ledgers.hash_of(named), lambda: sessions.access(pool, secret, life, ledger)
            )  # fmt: skip
        return await self._known.get(ledgers.hash_of(secret), lambda: ledgers.access(pool, secret))

    def forget(self, changed: Callable[[ledgers.Access], bool]) -> None:
        """Look the keys and sessions up anew that have changed; other processes do within seconds anyway."""
        self._known.drop(changed)

    def is_operator(self, scope: Scope) -> bool:
        """Tell whether this is the operator's token, which is set and opens what is of all ledgers."""
        token, brought = self._service.settings.operator_token, presented(scope)
        return (
            token is not None
            and brought.way in ("bearer", "basic")
            and hmac.compare_digest(token.get_secret_value().encode(), brought.secret.encode())
        )

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


def client_of(scope: Scope) -> str | None:
    """Return the address that a request comes from."""
    client = scope.get("client")
    return client[0] if client else None


def subject_told(scope: Scope, settings: Settings) -> str | None:
    """Return who has signed in with a trusted proxy, as it tells; None where it does not, or is not trusted."""
    if settings.proxy_user_header is None or not scope.get("proxied"):
        return None
    return Headers(scope=scope).get(settings.proxy_user_header) or None


def is_of_elsewhere(headers: Headers) -> bool:
    """Tell whether a browser says that another site's page has it send this."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host", "")


def _refuse_forged(scope: Scope, brought: Presented) -> None:
    """Refuse to change anything for what a browser sends by itself: another site's page may have asked it to."""
    if scope["method"] in ("GET", "HEAD") or brought.way == "bearer":
        return
    if brought.way == "basic":
        detail = "HTTP Basic opens reads; send the API key as `Authorization: Bearer <key>`"
        raise ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})
    headers = Headers(scope=scope)
    token = headers.get("x-csrf-token", "").encode()
    if is_of_elsewhere(headers) or not hmac.compare_digest(token, sessions.csrf_of(brought.secret).encode()):
        raise ProblemError(403, "a session changes things only with its X-CSRF-Token, from a page of this service")


def _challenge(scope: Scope, error: str = "") -> dict[str, str]:
    """Ask for a key. Not for HTTP Basic where a browser asks: pages of elsewhere could have it open a dialogue for one."""
    browser = any(name == b"sec-fetch-mode" for name, _ in scope["headers"])
    basic = (
        "" if browser or scope["method"] not in ("GET", "HEAD") else ', Basic realm="campaign-ledger", charset="UTF-8"'
    )
    return {"WWW-Authenticate": f"Bearer{error}{basic}"}


class Needs:
    """A dependency of routes of the class Guarded: the ledger of a request whose key has a scope."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def admit(self, request: Request) -> ledgers.Access | None:
        """Let a request in, or raise a problem. One that the page hands on has been let in by it."""
        admitted: ledgers.Access | None = request.scope.get("admitted")
        if admitted is not None and admitted.may(self.scope):
            return admitted
        doorkeeper: Doorkeeper = request.app.state.doorkeeper
        return await doorkeeper.admit(request.scope, self.scope)

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
        if doorkeeper.is_operator(request.scope):
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
