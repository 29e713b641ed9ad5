"""The application: routes, error answers, and what they share."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service import __version__
from service.api import (
    access,
    attribution,
    described,
    events,
    hooks,
    lineage,
    openapi,
    operations,
    opportunities,
    paths,
    people,
    quarantine,
    reads,
    rebuilds,
    reports,
    response_cache,
    set_aside,
    sla,
    sources,
)
from service.api.auth import Doorkeeper
from service.api.bodies import Held, Room
from service.api.exchange import Exchange
from service.api.presented import forwarded
from service.api.problems import HANDLERS, answer_error
from service.api.turns import Turns
from service.bootstrap import Service
from service.projections.attribution.kept import Kept
from service.settings import Settings
from service.store import networks

_EXPOSED = [  # that a page in a browser may read
    "ETag", "Link", "Location", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After", "X-Request-Id",
]  # fmt: skip
_EXPORT_WAIT = 60.0  # seconds that a long file waits for the one before it


class App(FastAPI):
    """FastAPI with the description completed and answers counted by status."""

    def openapi(self) -> dict[str, object]:
        """Return the API description."""
        return openapi.describe(self)


class Front:
    """What stands before the application: gives all requests what they have in common, and takes the hot ones past routing.

    Those are posted events, and reads whose last answer still holds. The layers would cost more than storing the event or
    finding the answer; what is answered, errors too, is the same.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self.app = app
        self._most_bytes = settings.max_body_bytes
        self._proxies = networks.of(settings.proxies)
        self._room = Room(settings.bodies_bytes)
        self._inner: ASGIApp = self._shortcut
        if settings.cors_origins:
            self._inner = CORSMiddleware(
                self._shortcut, allow_origins=settings.cors_origins, allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
                allow_headers=["Authorization", "Content-Encoding", "Content-Type", "If-None-Match", "X-Request-Id"],
                expose_headers=_EXPOSED,
            )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        scope = forwarded(scope, self._proxies)
        exchange = Exchange(scope, receive, send, self.app.state.doorkeeper, self._most_bytes)
        held = exchange.scope["held"] = Held(self._room)
        try:
            await self._inner(exchange.scope, exchange.receive, exchange.send)
        finally:
            held.release()
            exchange.end()

    async def _shortcut(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self.app  # which answers to errors look at
        try:
            response = await self._answer(scope, receive)
        except Exception as error:  # noqa: BLE001  answered as the application's own handlers answer it
            response = await answer_error(Request(scope, receive), error)
        await (response or self.app)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        if scope["method"] == "GET" and scope["path"].startswith("/v1/"):  # what is open to all needs no database
            return await response_cache.again(self.app, scope)
        if scope["method"] == "POST" and scope["path"] == "/v1/events":
            return await events.post_events(Request(scope, receive))
        return None


async def _docs(request: Request) -> Response:
    app: App = request.app
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HTMLResponse(described.page(app.openapi()), headers=headers)


def create_app() -> App:
    """Return the application without a service: enough for its description."""
    app = App(
        title="Campaign Ledger", version=__version__, docs_url=None, redoc_url=None, exception_handlers=HANDLERS,
        generate_unique_id_function=lambda route: route.name,
    )  # fmt: skip
    app.router.add_route(
        "/v1/events", events.post_events, methods=["POST"], include_in_schema=False
    )  # first: the hot one
    app.include_router(events.router)
    app.include_router(opportunities.router)
    app.include_router(sla.router)
    app.include_router(attribution.router)
    app.include_router(paths.router)
    app.include_router(reports.router)  # before the reads: ids of campaigns may have slashes
    app.include_router(lineage.router)
    app.include_router(reads.router)
    app.include_router(operations.router)
    app.include_router(people.router)
    app.include_router(quarantine.router)
    app.include_router(set_aside.router)
    app.include_router(rebuilds.router)
    app.include_router(sources.router)
    app.include_router(access.router)
    app.router.add_route("/docs", _docs, include_in_schema=False)
    for path in hooks.PATHS:
        app.router.add_route(path, hooks.hook, methods=hooks.METHODS, include_in_schema=False)
    return app


def create(service: Service) -> Front:
    """Return the application of a service."""
    app = create_app()
    app.state.service = service
    app.state.doorkeeper = Doorkeeper(service)
    app.state.dealt = Kept()
    app.state.standing = response_cache.Standing(service.pool)
    app.state.answers = response_cache.Answers(service.settings.kept_answers_bytes)
    app.state.turns = Turns(service.reads_at_once, max(1, service.reads_at_once // 2), service.settings.read_wait)
    app.state.exports = Turns(max(1, service.reads_at_once // 2), 1, _EXPORT_WAIT)
    return Front(app, service.settings)
