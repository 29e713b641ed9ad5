"""`/login`, `/logout` and `/sessions`: pages to sign in with, to sign out, and to see and end one's sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from service.api.auth import Doorkeeper, is_of_elsewhere
from service.api.problems import ProblemError
from service.bootstrap import Service
from service.dashboard import answering, language, policy
from service.dashboard.forms import csrf_of, read_form, session_of, signed_in, text_of
from service.dashboard.signing_in import CALLBACK, SignIn
from service.dashboard.writing import Writer
from service.store import sessions

_HOME = "/"
_HEADERS = {"Cache-Control": "no-store"}
Handler = Callable[[Request], Awaitable[Response]]


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
    token = await sign_in.by_key(request, text_of(form, "key"))
    return _in(request, token, local(text_of(form, "next")))


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
    await signed_in(request)
    sign_in: SignIn = request.app.state.sign_in
    await sign_in.out(request)
    response = RedirectResponse("/login", 303, _HEADERS)
    sign_in.keep(request, response, "")
    return response


async def _sessions(request: Request) -> Response:
    access = await session_of(request)
    service: Service = request.app.state.service
    found = await sessions.listed(service.pool, access.ledger.ledger, service.session_life)
    return _page(
        request, "sessions.html", access=access, sessions=[one for one in found if one.actor == access.key_id],
        ledgers=await sessions.open_to(service.pool, access.session or ""), csrf=csrf_of(request),
        writer=Writer(language.of(request), access.ledger.currency, access.ledger.timezone),
    )  # fmt: skip


async def _end(request: Request) -> Response:
    access, form = await signed_in(request)
    service: Service = request.app.state.service
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    session = text_of(form, "session")
    if await sessions.end(service.pool, access.ledger.ledger, session, access.key_id):
        doorkeeper.forget(lambda one: one.session == session)
    return RedirectResponse("/sessions", 303, _HEADERS)


async def _move(request: Request) -> Response:
    access, form = await signed_in(request)
    service: Service = request.app.state.service
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    try:
        await sessions.move(service.pool, access.session or "", text_of(form, "ledger"))
    except LookupError as error:
        raise ProblemError(404, str(error)) from None
    doorkeeper.forget(lambda one: one.session == access.session)
    return RedirectResponse(local(text_of(form, "next")), 303, _HEADERS)


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


def _page(
    request: Request, name: str, status: int = 200, headers: dict[str, str] | None = None, **given: Any
) -> Response:  # fmt: skip
    sign_in: SignIn = request.app.state.sign_in
    openid_url = "/login/openid?" + urlencode({"next": given.get("next", _HOME)})
    shared = {"provider": sign_in.provider, "told": None, "openid_url": openid_url, "here": request.url.path}
    html = answering.render(name, language.of(request), **{**shared, **given})
    return HTMLResponse(html, status, {**policy.HEADERS, "Cache-Control": "no-store", **(headers or {})})


ROUTES = (
    ("/login", "GET", _told(_login)), ("/login", "POST", _told(_by_key)), ("/login/openid", "GET", _told(_to_provider)),
    (CALLBACK, "GET", _told(_from_provider)), ("/logout", "POST", _told(_logout)), ("/sessions", "GET", _told(_sessions)),
    ("/sessions/end", "POST", _told(_end)), ("/sessions/ledger", "POST", _told(_move)),
)  # fmt: skip
