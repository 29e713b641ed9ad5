"""Signing in: by an API key, by a link from the operator's terminal, with an OpenID provider, or by a trusted proxy's word.

Each of them ends in a session, whose cookie a browser keeps. Attempts are limited by address.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from service import telemetry
from service.api.auth import Doorkeeper, client_of, subject_told
from service.api.exchange import Exchange
from service.api.presented import cookie, cookie_name, presented
from service.api.problems import ProblemError
from service.bootstrap import Service
from service.dashboard.openid import Provider, RefusedError
from service.intake.limits import Buckets, retry_after
from service.store import audit, ledgers, sessions
from service.store.sessions import Identity

CALLBACK = "/login/openid/callback"
_ON_THE_WAY = "openid"  # the cookie that ties a browser to its sign-in with the provider
_ON_THE_WAY_SECONDS = 600.0
_PREFIX_OF_A_SITE = 64  # bits of an IPv6 address that one site has
_log = telemetry.logger("sign-in")


class SignIn:
    """The ways to sign in to a service."""

    def __init__(self, service: Service, doorkeeper: Doorkeeper) -> None:
        self._service = service
        self._doorkeeper = doorkeeper
        self._attempts = Buckets()
        settings = service.settings
        self.provider: Provider | None = None
        if settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret:
            secret = settings.oidc_client_secret.get_secret_value()
            self.provider = Provider(settings.oidc_issuer, settings.oidc_client_id, secret)

    async def by_key(self, request: Request, key: str) -> str:
        """Begin a session of an API key and return its token; raises a problem."""
        self._limit(request)
        access = await ledgers.access(self._service.pool, key) if 0 < len(key) <= 512 else None  # noqa: PLR2004  as keys are
        address = client_of(request.scope)
        if access is None:
            raise self._refused(request, 401, "this API key is unknown or revoked")
        why = None
        if access.has_ended():
            why = "this API key has expired"
        elif not access.opens_for(address):
            why = f"this API key does not open from the address {address}"
        if why is not None:
            self._acting(request, access.key_id)
            await audit.note(self._service.pool, access.ledger.ledger, "session.refused", access.key_id, why=why)
            raise self._refused(request, 403, why)
        return await self._begun(request, access.ledger.ledger, access.key_id, "key")

    async def by_link(self, request: Request, once: str) -> str:
        """Begin a session by a link that holds once."""
        self._limit(request)
        payload = await sessions.take_ticket(self._service.pool, "link", once)
        if payload is None:
            raise self._refused(
                request, 401, "this link was used before, or is too old: `campaign-ledger login-link` makes one"
            )
        return await self._of_identity(
            request, Identity(sessions.TERMINAL, payload["subject"]), "link", payload.get("ledger")
        )

    async def by_proxy(self, request: Request) -> str | None:
        """Begin a session of whom a trusted proxy names; None where it names nobody."""
        settings = self._service.settings
        subject = subject_told(request.scope, settings)
        if subject is None:
            return None
        told = Headers(scope=request.scope).get(settings.proxy_groups_header or "", "")
        groups = tuple(one.strip() for one in told.split(",") if one.strip())
        return await self._of_identity(request, Identity(sessions.PROXY, subject, groups), "proxy")

    async def to_provider(self, request: Request, following: str) -> tuple[str, str]:
        """Return where to send a browser that wants to sign in with the provider, and what to have it keep meanwhile."""
        self._limit(request)
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        payload = {"nonce": nonce, "verifier": verifier, "next": following}
        ticket = await sessions.new_ticket(self._service.pool, "openid", payload, _ON_THE_WAY_SECONDS)
        try:
            return await self._given().begin(self._redirect_uri(request), _state(ticket), nonce, verifier), ticket
        except RefusedError as error:
            raise self._refused(request, 502, str(error)) from None

    async def from_provider(self, request: Request) -> tuple[str, str]:
        """Begin a session of whom the provider has sent back; return its token and where to go on to."""
        self._limit(request)
        given = request.query_params
        ticket = cookie(request.headers.get("cookie", "").encode("latin-1"), _named(request))
        if not ticket or not hmac.compare_digest(given.get("state", "").encode(), _state(ticket).encode()):
            raise self._refused(request, 401, "this sign-in was not begun in this browser: begin anew")
        payload = await sessions.take_ticket(self._service.pool, "openid", ticket)
        if payload is None:
            raise self._refused(request, 401, "this sign-in took too long, or was finished before: begin anew")
        provider = self._given()
        if given.get("iss", provider.issuer) != provider.issuer:  # RFC 9207
            raise self._refused(request, 401, "this answer is another provider's")
        if "code" not in given:
            raise self._refused(request, 401, f"the provider says {given.get('error', 'nothing')[:80]}")
        try:
            identity = await provider.finish(
                given["code"], self._redirect_uri(request), payload["nonce"], payload["verifier"]
            )
        except RefusedError as error:
            raise self._refused(request, 401, str(error)) from None
        return await self._of_identity(request, identity, "openid"), payload["next"]

    async def out(self, request: Request) -> None:
        """End the session that a request comes with."""
        brought = presented(request.scope)
        access = await self._doorkeeper.known(request.scope)
        if brought.way == "session" and access is not None and access.session is not None:
            self._acting(request, access.key_id)
            await sessions.end(self._service.pool, access.ledger.ledger, access.session)
            self._doorkeeper.forget(lambda one: one.session == access.session)

    def keep(self, request: Request, response: Response, token: str) -> None:
        """Have a browser keep a session's token."""
        life = int(self._service.session_life.whole.total_seconds())
        _set(request, response, cookie_name(request.scope), token, life)

    def keep_on_the_way(self, request: Request, response: Response, ticket: str) -> None:
        """Have a browser keep what ties it to its sign-in with the provider; "" = no longer."""
        _set(request, response, _named(request), ticket, int(_ON_THE_WAY_SECONDS))

    async def _of_identity(self, request: Request, identity: Identity, by: str, wanted: str | None = None) -> str:
        found = await sessions.ledgers_of(self._service.pool, identity)
        if not found:
            told = f"nothing is granted to {identity.subject} of {identity.issuer}"
            hint = f"`campaign-ledger grants create --issuer {identity.issuer} --subject {identity.subject}` does so"
            raise self._refused(request, 403, f"{told}: {hint}")
        ledger = next((one for one in found if one.name == wanted), found[0])
        return await self._begun(request, ledger.ledger, identity, by)

    async def _begun(self, request: Request, ledger: int, who: str | Identity, by: str) -> str:
        await self.out(request)
        self._acting(request, "")
        agent = request.headers.get("user-agent", "")
        return await sessions.begin(self._service.pool, ledger, who, self._service.session_life, by=by, agent=agent)

    def _given(self) -> Provider:
        if self.provider is None:
            raise ProblemError(404, "no OpenID provider is set")
        return self.provider

    def _redirect_uri(self, request: Request) -> str:
        base = self._service.settings.public_url or str(request.base_url)
        return base.rstrip("/") + CALLBACK

    def _limit(self, request: Request) -> None:
        """Refuse too many attempts from one address; of IPv6, from one site."""
        most = self._service.settings.sign_ins_per_minute
        wait = self._attempts.take(_site(client_of(request.scope)), most, time.monotonic(), burst=most)
        if wait:
            raise ProblemError(429, "too many attempts to sign in: try again later", headers=retry_after(wait))

    def _refused(self, request: Request, status: int, why: str) -> ProblemError:
        _log.warning("sign-in refused", why=why, address=client_of(request.scope), path=request.url.path)
        return ProblemError(status, why)

    def _acting(self, request: Request, name: str) -> None:
        exchange: Exchange = request.scope["exchange"]
        audit.ACTOR.set(audit.Actor(name, client_of(request.scope), exchange.request_id))


def _state(ticket: str) -> str:
    return hashlib.sha256(f"state {ticket}".encode()).hexdigest()


def _named(request: Request) -> str:
    return f"__Host-{_ON_THE_WAY}" if request.scope.get("scheme") == "https" else _ON_THE_WAY


def _set(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    secure = request.scope.get("scheme") == "https"
    if value:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
    else:
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")


def _site(address: str | None) -> str:
    try:
        found = ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(int(found) >> _PREFIX_OF_A_SITE) if found.version == 6 else str(found)  # noqa: PLR2004  the version of IP
