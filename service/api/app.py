"""The application: routes, error answers, and what they share."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from service import __version__, telemetry
from service.api import events, openapi, operations, reads
from service.api.auth import Doorkeeper
from service.api.problems import HANDLERS
from service.bootstrap import Service


class App(FastAPI):
    """FastAPI with the description completed and answers counted by status."""

    def openapi(self) -> dict[str, object]:
        """Return the API description."""
        return openapi.describe(self)


class _Counted:
    """Counts answers by status; plain ASGI, because it stands in the way of every event."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: object) -> None:
            if isinstance(message, dict) and message["type"] == "http.response.start":
                telemetry.REQUESTS.labels(str(message["status"])).inc()
            await send(message)  # type: ignore[arg-type]  # passed on as it came

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
    app.include_router(reads.router)
    app.include_router(operations.router)
    return app


def create(service: Service) -> _Counted:
    """Return the application of a service."""
    app = create_app()
    app.state.service = service
    app.state.doorkeeper = Doorkeeper(service)
    app.state.answers = reads.Answers()
    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=service.settings.cors_origins, allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match"], expose_headers=["ETag", "Link", "Location"],
        )  # fmt: skip
    return _Counted(app)
