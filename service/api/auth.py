"""Authentication: `Authorization: Bearer <key>`; the key decides the ledger, its scopes what may be done."""

from __future__ import annotations

import time

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api.problems import ProblemError
from service.bootstrap import Service
from service.intake.limits import Buckets, retry_after
from service.store import ledgers

_TRUST_SECONDS = 5.0  # a revoked key stops working at most this much later
_MOST_REMEMBERED = 10_000
bearer = HTTPBearer(auto_error=False, description="An API key: `campaign-ledger keys create` makes one.")


class Doorkeeper:
    """Looks keys up, and remembers for a few seconds what they open."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[str, tuple[float, ledgers.Access | None]] = {}
        self._buckets = Buckets()

    async def admit(self, authorization: str | None, scope: str) -> ledgers.Ledger:
        """Return the ledger that a key opens for a scope; raises a 401 or 403 problem."""
        secret = _secret(authorization)
        if not secret:
            raise ProblemError(
                401, "send an API key as `Authorization: Bearer <key>`", headers={"WWW-Authenticate": "Bearer"}
            )
        access = await self._access(secret)
        if access is None:
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise ProblemError(401, "this API key is unknown or revoked", headers=headers)
        self._refuse_too_many(secret)
        if scope not in access.scopes:
            have = ", ".join(sorted(access.scopes))
            raise ProblemError(403, f"this needs the scope {scope}; this API key has {have}")
        return access.ledger

    async def known(self, authorization: str | None) -> ledgers.Access | None:
        """Return what a key opens, without letting anybody in."""
        secret = _secret(authorization)
        return await self._access(secret) if secret else None

    def _refuse_too_many(self, secret: str) -> None:
        most = self._service.settings.key_rate_per_minute
        if most and (wait := self._buckets.take(secret, most, time.monotonic())):
            detail = f"this API key may send {most} requests per minute: try again later"
            raise ProblemError(429, detail, headers=retry_after(wait))

    async def _access(self, secret: str) -> ledgers.Access | None:
        now = time.monotonic()
        until, access = self._known.get(secret, (0.0, None))
        if until <= now:
            access = await ledgers.access(self._service.pool, secret)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[secret] = (now + _TRUST_SECONDS, access)
        return access


def _secret(authorization: str | None) -> str:
    kind, _, secret = (authorization or "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


class Needs:
    """A dependency: the ledger of a request whose key has a scope."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(  # noqa: D102  the class says it
        self, request: Request, _: HTTPAuthorizationCredentials | None = Depends(bearer)
    ) -> ledgers.Ledger:  # fmt: skip
        doorkeeper: Doorkeeper = request.app.state.doorkeeper
        return await doorkeeper.admit(request.headers.get("authorization"), self.scope)
