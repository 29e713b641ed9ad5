"""From a request to a page: who asks, for what, the books at that moment, the screen's figures, and the page with its headers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service.api import answering as api
from service.api import parameters
from service.api.problems import ProblemError, answer_error
from service.api.response_cache import Standing, matches
from service.api.turns import Turns
from service.bootstrap import Service
from service.dashboard import access as entrance
from service.dashboard import as_of, assets, bar, forms, language, looked, periods, policy, state
from service.dashboard.desk import Desk
from service.dashboard.kept import Pages
from service.dashboard.language import Language
from service.dashboard.screen import Screen
from service.dashboard.writing import Writer
from service.projections.reports import reading
from service.store.ledgers import Access

_NEVER_KEPT = {"Cache-Control": "no-store"}
_VARY = "Accept-Encoding, Accept-Language, Authorization, Cookie"


@cache
def templates(code: str) -> jinja2.Environment:
    """Return the templates in a language. What is not there is an error, and all that is put in is escaped."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("service.dashboard"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, extensions=["jinja2.ext.i18n"], auto_reload=False,
    )  # fmt: skip
    made.globals.update(asset=assets.url, languages=language.NAMES, called=None)
    made.install_gettext_translations(language.language(code).texts, newstyle=True)  # type: ignore[attr-defined]
    return made


def render(template: str, spoken: Language, **context: Any) -> bytes:
    """Return a page."""
    return templates(spoken.code).get_template(template).render(language=spoken, **context).encode()


async def answer(request: Request, screen: Screen, screens: list[Screen]) -> Response:
    """Answer a request for a screen."""
    spoken = language.of(request)
    try:
        access = await entrance.reader(request, screen.scope)
        request.scope["exchange"].access = access
        turns: Turns = request.app.state.turns
        async with turns.turn(access.key_id) as request.state.turn:
            return await _screen(request, screen, screens, access, spoken)
    except Exception as error:  # noqa: BLE001  answered as the API answers it, in words for people
        return await on_error(request, error, spoken)


async def _screen(
    request: Request, screen: Screen, screens: list[Screen], access: Access, spoken: Language
) -> Response:
    """Answer with the page as it was, if it still holds, else with one that is made now."""
    ledger, asked = access.ledger, state.read(request, screen.path)
    standing: Standing = request.app.state.standing
    pages: Pages = request.app.state.pages
    clock = datetime.now(UTC)
    seen = looked.read(request, clock)
    key = (
        str(ledger.ledger),
        spoken.code,
        ",".join(sorted(access.scopes)),
        str(seen and seen.before),
        request.url.path,
        request.url.query,
    )
    stand = await standing.of(ledger)
    made_of = f"{stand.read_model_tag}-{stand.checkpoint}-{clock:%Y%m%dT%H%M}-{assets.release()}"
    if screen.fresh:
        fresh = await _made(request, screen, screens, access, spoken, asked, seen)
        return Response(fresh, headers={**policy.HEADERS, **_NEVER_KEPT}, media_type="text/html")
    body = pages.get(key, made_of)
    if body is None:
        body = await _made(request, screen, screens, access, spoken, asked, seen)
        pages.keep(key, made_of, body)
    tag = f'W/"{made_of}-{spoken.code}-{seen.before if seen else ""}"'
    headers = {**policy.HEADERS, "ETag": tag, "Cache-Control": "private, no-cache", "Vary": _VARY}
    headers["Set-Cookie"] = looked.cookie(seen, stand.checkpoint, clock, ledger.name)
    if matches(request.headers, tag):
        return Response(None, 304, headers)
    return Response(body, headers=headers, media_type="text/html")


async def act(request: Request, screen: Screen, screens: list[Screen]) -> Response:
    """Have done what a form of a screen asks for, and lead to where that shows."""
    spoken = language.of(request)
    try:
        access, done = await _done(request, screen)
        asked = state.State(access.ledger.name, done.screen, {name: (text,) for name, text in done.parameters.items()})
        if done.shown is None:
            return RedirectResponse(asked.url(), 303, _NEVER_KEPT)
        target = next(each for each in screens if each.path == done.screen)
        turns: Turns = request.app.state.turns
        async with turns.turn(access.key_id) as request.state.turn:
            body = await _made(request, target, screens, access, spoken, asked, None, done.shown)
        return Response(body, headers={**policy.HEADERS, **_NEVER_KEPT}, media_type="text/html")
    except Exception as error:  # noqa: BLE001  answered as the API answers it, in words for people
        return await on_error(request, error, spoken)


async def _done(request: Request, screen: Screen) -> tuple[Access, forms.Done]:
    """Do what a form asks for, if its sender may; raises a problem."""
    service: Service = request.app.state.service
    most = service.settings.max_body_bytes if screen.uploads else forms.MOST_BYTES
    access, form = await forms.signed_in(request, None, most)
    one = screen.acts.get(name := forms.text_of(form, "do"))
    if one is None:
        raise forms.unfit(f"do: expected one of {', '.join(screen.acts)}, got {name[:80]!r}")
    if not access.may(one.scope):
        have = ", ".join(sorted(access.scopes)) or "none"
        raise ProblemError(403, f"this needs the scope {one.scope}; you have {have}")
    return access, await one.do(forms.Deed(request, service, access, form))


async def _made(
    request: Request, screen: Screen, screens: list[Screen], access: Access, spoken: Language, asked: state.State,
    seen: looked.Looked | None, shown: Mapping[str, Any] | None = None,
) -> bytes:  # fmt: skip
    ledger = access.ledger
    moment = periods.moment_of(asked.one("as_of") or None, ledger.timezone)
    async with api.views(request, ledger, 0, moment) as (view,):
        desk = Desk(
            access, asked, view, parameters.read_now(asked.one("now") or None, moment, view), spoken,
            Writer(spoken, ledger.currency, ledger.timezone), seen.before if seen else None, request,
        )  # fmt: skip
        await desk.read_years()
        await desk.campaigns()
        context = await screen.build(desk)
        context |= {"as_of": await as_of.read(desk), "bar": await bar.of(desk, screen)}
    return render(
        screen.template, spoken, desk=desk, screen=screen, menu=_menu(screens, access, asked),
        stand="" if shown else _stand(view), here=asked.url(), shown=shown or {}, **context,
    )  # fmt: skip


def _stand(view: reading.Snapshot) -> str:
    """Return what a live page says that it shows; nothing where that does not change."""
    return f"{view.as_of.position}.{view.read_model_tag.partition('.')[2]}" if view.current else ""


def _menu(screens: list[Screen], access: Access, asked: state.State) -> list[tuple[Screen, str]]:
    """Return the screens that the reader may see, with the URL of each for what is looked at."""
    shown = [one for one in screens if one.menu and access.may(one.scope)]
    kept = asked._replace(given={name: value for name, value in asked.given.items() if name in _KEPT})
    return [(one, kept.url(one.path)) for one in sorted(shown, key=lambda one: one.order)]


_KEPT = ("period", "from", "to", "date_basis", "return", "compare", "as_of", "now", "campaign_type", "channel")


async def on_error(request: Request, error: Exception, spoken: Language) -> Response:
    """Answer an error as the API does, in words for people."""
    problem = await answer_error(request, error)
    if problem.status_code == 401 and "www-authenticate" not in problem.headers:  # noqa: PLR2004  HTTP's
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?{urlencode({'next': here})}", 303, {"Cache-Control": "no-store"})
    told = msgspec.json.decode(bytes(problem.body))
    body = render("problem.html", spoken, problem=told, here=request.url.path)
    kept = {name: value for name, value in problem.headers.items() if name not in ("content-type", "content-length")}
    return Response(body, problem.status_code, {**kept, **policy.HEADERS, "Cache-Control": "no-store"}, "text/html")


async def go_home(request: Request, screens: list[Screen]) -> Response:
    """Lead to the first screen of the ledger that the reader may see; of an empty one, to how figures come in."""
    try:
        access = await entrance.reader(request)
    except Exception as error:  # noqa: BLE001
        return await on_error(request, error, language.of(request))
    seen = [one for one in sorted(screens, key=lambda one: one.order) if one.menu and access.may(one.scope)]
    standing: Standing = request.app.state.standing
    empty = access.may("admin") and not (await standing.of(access.ledger)).checkpoint
    first = "start" if empty or not seen else seen[0].path
    return RedirectResponse(state.State(access.ledger.name, first, {}).url(), 303, _NEVER_KEPT)


async def choose_language(request: Request) -> Response:
    """Remember a language, and lead back to where it was chosen."""
    code, back = request.query_params.get("to", ""), request.query_params.get("back", "/")
    inside = back.startswith("/") and not back.startswith(("//", "/\\"))
    response = RedirectResponse(back if inside else "/", 303, {"Cache-Control": "no-store"})
    if code in language.LOCALES:
        response.set_cookie(language.COOKIE, code, max_age=400 * 86_400, path="/", samesite="lax", httponly=True)
    return response
