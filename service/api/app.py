"""The application: routes, error answers, and what they share."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from service import __version__, telemetry
from service.api import events, hooks, lineage, openapi, operations, reads, rebuilds, set_aside, sources
from service.api.auth import Doorkeeper
from service.api.problems import HANDLERS, answer_error
from service.bootstrap import Service
from service.intake.limits import Buckets


class App(FastAPI):
    """FastAPI with the description completed and answers counted by status."""

    def openapi(self) -> dict[str, object]:
        """Return the API description."""
        return openapi.describe(self)


class Front:
    """What stands before the application: counts answers, and takes posted events past routing and middleware.

    Those layers would cost more than storing the event; the answers, errors too, are the same.
    """

    def __init__(self, app: App, *, shortcut: bool) -> None:
        self.app = app
        self._shortcut = shortcut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                telemetry.REQUESTS.labels(str(message["status"])).inc()
            await send(message)

        if self._shortcut and scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/v1/events":
            scope["app"] = self.app
            request = Request(scope, receive)
            try:
                response = await events.post_events(request)
            except Exception as error:  # noqa: BLE001  answered as the application's own handlers answer it
                response = await answer_error(request, error)
            await response(scope, receive, counted)
        else:
            await self.app(scope, receive, counted)


def create_app() -> App:
    """Return the application without a service: enough for its description."""
    app = App(
        title="Campaign Ledger", version=__version__, docs_url=None, redoc_url=None, exception_handlers=HANDLERS
    )  # fmt: skip
    app.router.add_route(
        "/v1/events", events.post_events, methods=["POST"], include_in_schema=False
    )  # first: the hot one
    app.include_router(events.router)
    app.include_router(lineage.router)  # before the reads: ids of campaigns may have slashes
    app.include_router(reads.router)
    app.include_router(operations.router)
    app.include_router(set_aside.router)
    app.include_router(rebuilds.router)
    app.include_router(sources.router)
    for path in hooks.PATHS:
        app.router.add_route(path, hooks.hook, methods=hooks.METHODS, include_in_schema=False)
    return app


def create(service: Service) -> Front:
    """Return the application of a service."""
    app = create_app()
    app.state.service = service
    app.state.doorkeeper = Doorkeeper(service)
    app.state.answers = reads.Answers()
    app.state.buckets = Buckets()
    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=service.settings.cors_origins, allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match"], expose_headers=["ETag", "Link", "Location"],
        )  # fmt: skip
    return Front(app, shortcut=not service.settings.cors_origins)
