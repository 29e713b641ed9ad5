"""The application with the page: the API's, and the routes of the screens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from service.api import app as api
from service.bootstrap import Service
from service.dashboard import answering, assets, data, live, login, screens
from service.dashboard.kept import Pages
from service.dashboard.screen import Screen
from service.dashboard.signing_in import SignIn
from service.domain.modules import found

SCREENS: list[Screen] = [one for several in found(screens, "SCREENS") for one in several]


Demo = Callable[[], Iterable[dict[str, Any]]]


class _PathRoute(Route):
    """A route that is matched as it was sent, and unescaped only then: a ledger's name may have anything in it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        match, more = super().matches({**scope, "path": raw})
        if match is not Match.NONE:
            more["path_params"] = {name: unquote(value) for name, value in more["path_params"].items()}
        return match, more


def routes() -> list[BaseRoute]:
    """Return the page's routes."""

    async def screen(one: Screen, request: Request) -> Response:
        answer = answering.act if request.method == "POST" else answering.answer
        return await answer(request, one, SCREENS)

    async def home(request: Request) -> Response:
        return await answering.go_home(request, SCREENS)

    return [
        Route("/", home),
        Route("/language", answering.choose_language),
        *(Route(path, handler, methods=[method]) for path, method, handler in login.ROUTES),
        Route("/static/{name}", assets.serve),
        _PathRoute("/ledgers/{ledger}/live", live.serve),
        _PathRoute("/ledgers/{ledger}/data/{path:path}", data.serve),
        *(
            _PathRoute(
                f"/ledgers/{{ledger}}/{one.path}",
                partial(screen, one),
                methods=["GET", *(["POST"] if one.acts else [])],
            )
            for one in SCREENS
        ),
    ]


def create(service: Service, demo: Demo | None = None) -> api.Front:
    """Return the application of a service; with the events of a `demo`, it can be loaded into an empty ledger."""
    front = api.create(service)
    front.app.state.pages = Pages(service.settings.kept_answers_bytes)
    front.app.state.live = live.Live(front.app.state.standing)
    front.app.state.demo = demo
    front.app.state.importing = set()  # imports of files that are under way here
    front.app.state.sign_in = SignIn(service, front.app.state.doorkeeper)
    front.app.router.routes.extend(routes())
    return front
