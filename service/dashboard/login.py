"""`/login`, `/logout` and `/sessions`: pages to sign in with, to sign out, and to see and end one's sessions."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlencode

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from service.api.auth import Doorkeeper, is_of_elsewhere
from service.api.bodies import read_body
from service.api.presented import presented
from service.api.problems import ProblemError
from service.bootstrap import Service
from service.dashboard.signing_in import CALLBACK, SignIn
from service.store import sessions
from service.store.ledgers import Access

_HOME = "/sessions"
_MOST_FORM = 16_384  # bytes
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
Handler = Callable[[Request], Awaitable[Response]]


def mount(app: FastAPI, service: Service) -> None:
    """Add the pages to an application."""
    doorkeeper: Doorkeeper = app.state.doorkeeper
    app.state.sign_in = SignIn(service, doorkeeper)
    for path, method, handler in (
        ("/login", "GET", _login), ("/login", "POST", _by_key), ("/login/openid", "GET", _to_provider),
        (CALLBACK, "GET", _from_provider), ("/logout", "POST", _logout), ("/sessions", "GET", _sessions),
        ("/sessions/end", "POST", _end), ("/sessions/ledger", "POST", _move),
    ):  # fmt: skip
        app.router.add_route(path, _told(handler), methods=[method], include_in_schema=False)


def _told(handler: Handler) -> Handler:
    """Answer a problem as the page to sign in with, which says what is wrong."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except ProblemError as problem:
            return _page(
                request, "login.html", problem.status, problem.headers, told=problem.detail, next=following(request)
            )

    return handle


async def _login(request: Request) -> Response:
    sign_in: SignIn = request.app.state.sign_in
    if once := request.query_params.get("once"):
        return _in(request, await sign_in.by_link(request, once), following(request))
    if (token := await sign_in.by_proxy(request)) is not None:
        return _in(request, token, following(request))
    return _page(request, "login.html", next=following(request))


async def _by_key(request: Request) -> Response:
    form = await read_form(request)
    if is_of_elsewhere(request.headers):
        raise ProblemError(403, "this form was sent from another site: sign in here")
    sign_in: SignIn = request.app.state.sign_in
    token = await sign_in.by_key(request, form.get("key", "").strip())
    return _in(request, token, local(form.get("next", "")))


async def _to_provider(request: Request) -> Response:
    sign_in: SignIn = request.app.state.sign_in
    url, ticket = await sign_in.to_provider(request, following(request))
    response = RedirectResponse(url, 303, _HEADERS)
    sign_in.keep_on_the_way(request, response, ticket)
    return response


async def _from_provider(request: Request) -> Response:
    sign_in: SignIn = request.app.state.sign_in
    token, after = await sign_in.from_provider(request)
    response = _in(request, token, local(after))
    sign_in.keep_on_the_way(request, response, "")
    return response


async def _logout(request: Request) -> Response:
    await signed_in(request, await read_form(request))
    sign_in: SignIn = request.app.state.sign_in
    await sign_in.out(request)
    response = RedirectResponse("/login", 303, _HEADERS)
    sign_in.keep(request, response, "")
    return response


async def _sessions(request: Request) -> Response:
    access = await _access(request)
    service: Service = request.app.state.service
    found = await sessions.listed(service.pool, access.ledger.ledger, service.session_life)
    return _page(
        request, "sessions.html", access=access, sessions=[one for one in found if one.actor == access.key_id],
        ledgers=await sessions.open_to(service.pool, access.session or ""),
        csrf=sessions.csrf_of(presented(request.scope).secret),
    )  # fmt: skip


async def _end(request: Request) -> Response:
    form = await read_form(request)
    access = await signed_in(request, form)
    service: Service = request.app.state.service
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    session = form.get("session", "")
    if await sessions.end(service.pool, access.ledger.ledger, session, access.key_id):
        doorkeeper.forget(lambda one: one.session == session)
    return RedirectResponse("/sessions", 303, _HEADERS)


async def _move(request: Request) -> Response:
    form = await read_form(request)
    access = await signed_in(request, form)
    service: Service = request.app.state.service
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    try:
        await sessions.move(service.pool, access.session or "", form.get("ledger", ""))
    except LookupError as error:
        raise ProblemError(404, str(error)) from None
    doorkeeper.forget(lambda one: one.session == access.session)
    return RedirectResponse(local(form.get("next", "")), 303, _HEADERS)


async def signed_in(request: Request, form: dict[str, str], scope: str | None = None) -> Access:
    """Return what a form may do that a signed-in browser has sent, from a page of this service; raises a problem."""
    access = await _access(request, scope)
    given = form.get("csrf", "").encode()
    wanted = sessions.csrf_of(presented(request.scope).secret).encode()
    if is_of_elsewhere(request.headers) or not hmac.compare_digest(given, wanted):
        raise ProblemError(403, "this form was not sent from a page of this service: load the page again")
    return access


async def _access(request: Request, scope: str | None = None) -> Access:
    """Return what a session opens; raises a problem where there is none."""
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    if presented(request.scope).way != "session":
        raise ProblemError(401, "sign in")
    access = await doorkeeper.admit({**request.scope, "method": "GET"}, scope)
    request.scope["exchange"].access = access
    return access


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form."""
    body = await read_body(request, _MOST_FORM, 0)
    return {
        name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()
    }


def local(path: str) -> str:
    """Return a path of this service to go on to: never a URL that leads elsewhere."""
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if good else _HOME


def following(request: Request) -> str:
    """Return where a page to sign in with leads on to."""
    return local(request.query_params.get("next", ""))


def _in(request: Request, token: str, after: str) -> Response:
    response = RedirectResponse(after, 303, _HEADERS)
    sign_in: SignIn = request.app.state.sign_in
    sign_in.keep(request, response, token)
    return response


@cache
def _templates() -> Environment:
    loader = PackageLoader("service.dashboard")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _page(
    request: Request, name: str, status: int = 200, headers: dict[str, str] | None = None, **given: Any
) -> Response:  # fmt: skip
    sign_in: SignIn = request.app.state.sign_in
    openid_url = "/login/openid?" + urlencode({"next": given.get("next", _HOME)})
    shared = {"provider": sign_in.provider, "told": None, "openid_url": openid_url}
    html = _templates().get_template(name).render({**shared, **given})
    return HTMLResponse(html, status, {**_HEADERS, **(headers or {})})
