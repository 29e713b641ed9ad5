"""How reads are answered: views of moments of knowing, waiting for a position, ETags, pages, and as files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from fastapi import Request
from starlette.responses import Response

from service.api import drawing, exporting
from service.api.exporting import Export
from service.api.formats import JSON, SVG, Format
from service.api.parameters import Now
from service.api.problems import ProblemError
from service.api.response_cache import Answers, Standing, matches
from service.api.urls import link, next_url
from service.bootstrap import Service
from service.domain.contributions import READ_MODEL_VERSION
from service.exports.tables import Table
from service.projections.reports import reading
from service.projections.sums.threads import apart
from service.store.ledgers import Access, Ledger
from service.store.log import heads

_FEW = 2_000  # rows of a file that is small


@asynccontextmanager
async def views(
    request: Request, ledger: Ledger, min_position: int, *moments: int | datetime | None
) -> AsyncIterator[list[reading.Snapshot]]:  # fmt: skip
    """Open views of moments of knowing, once a position is projected and those asked about are, as far as recorded."""
    service: Service = request.app.state.service
    standing: Standing = request.app.state.standing
    asked = max((one for one in moments if isinstance(one, int)), default=0)
    if max(asked, min_position) > 0 and (at := (await standing.of(ledger)).checkpoint) < max(asked, min_position):
        if asked > at:  # what was known at a position is known once it has been projected
            min_position = max(min_position, min(asked, (await heads.head(service.pool, ledger.ledger))[0]))
        async with request.state.turn.set_down():
            await _wait(service, standing, ledger, min_position)
    async with reading.snapshots(service.pool, ledger, *moments, kept=request.app.state.dealt) as opened:
        yield opened


async def _wait(service: Service, standing: Standing, ledger: Ledger, position: int) -> None:
    """Wait until the serving generation has reached what the caller needs; else a 503 problem."""
    patience, pause = service.settings.min_position_timeout, 0.005
    while (served := await standing.of(ledger)).checkpoint < position:
        if patience <= 0:
            raise ProblemError(
                503, f"position {position} is not projected yet, only {served.checkpoint}: {_until(served)}",
                kind="not-projected-yet", headers={"Retry-After": "1"}, position=served.checkpoint,
            )  # fmt: skip
        await asyncio.sleep(pause)
        patience, pause = patience - pause, min(pause * 2, 0.1)


def _until(served: reading.Serving) -> str:
    """Say when to ask again: figures that an earlier release made stand still until they are rebuilt."""
    if served.version == READ_MODEL_VERSION:
        return "try again in a moment"
    return f"its figures are still those of definitions {served.version}, and stand still until they are rebuilt"


def frame(view: reading.Snapshot) -> dict[str, Any]:
    """Return what every answer says of itself: the moment of knowing, and the version of the definitions."""
    moment = {"position": view.as_of.position, "recorded_at": view.as_of.recorded_at}
    return {"as_of": moment, "read_model_version": view.version}


def sees_entries(request: Request) -> bool:
    """Tell whether the key of a request may see single entries and entities, and not figures only."""
    access: Access = request.state.access
    return access.may("read")


class Page(NamedTuple):
    """A page of several: the `after` of the following one, if there is one, and what all of them are known as of.

    All pages are as of the moment of the first one, so that they fit together whatever comes meanwhile.
    """

    following: str | None
    known: dict[str, Any] | None = None  # by parameter, where that is not `as_of`


class File(NamedTuple):
    """What an answer is as a file: its format, its name without an ending, its table, and what a workbook tells beside it."""

    form: Format
    name: str
    table: Table
    title: str
    about: Sequence[Sequence[Any]] = ()
    picture: str = ""  # of a chart: its SVG


def tag_of(
    view: reading.Snapshot, now: Now | None = None, against: reading.Snapshot | None = None, form: Format = JSON
) -> str:  # fmt: skip
    """Return the weak ETag of an answer.

    It is the tag of the read models, the position, that of the view that it is compared `against`, of what rests on today the
    time that this was told by, and the format.
    """
    told = f"-{against.as_of.position}" if against else ""
    told += f"-{now.at:%Y%m%dT%H%M%S}" if now else ""
    told += "" if form.name == JSON.name else f"-{form.name}"
    return f'W/"{view.read_model_tag}-{view.as_of.position}{told}"'


async def answer(
    request: Request, view: reading.Snapshot, body: dict[str, Any], scope: str | None = "read", *, page: Page | None = None,
    now: Now | None = None, against: reading.Snapshot | None = None, file: File | None = None,
    rows: Sequence[Any] | None = None,
) -> Response:  # fmt: skip
    """Answer a read, or 304 to whom it tells nothing new. What has pages says where the `next` one is.

    `scope` is what a key needs to have this very answer; None: it has parts left out, and is not kept for others. `file` is
    given where there are other formats than JSON; their `rows` are those of the body, unless it has them otherwise.
    """
    tag = tag_of(view, now, against, file.form if file else JSON)
    varies = "Authorization, Accept, Accept-Encoding" if file else "Authorization, Accept-Encoding"
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": varies}
    if page is not None:
        known = page.known or {"as_of": view.as_of.position}
        url = next_url(request, None if page.following is None else {**known, "after": page.following})
        body, headers = {**body, "next": url}, headers | link(url)

    def keep(found: Response, unchanged: Response) -> None:
        if scope:
            answers: Answers = request.app.state.answers
            latest = against if against and against.current else view
            minute = now.at if now and now.origin == "clock" else None
            answers.keep(request, latest, scope, tag, found, unchanged, minute)

    rows = body.get("rows", body.get("entries", ())) if rows is None else rows
    if file is not None and file.picture:
        picture = file.picture.encode() if file.form is SVG else await exporting.aside(drawing.png, file.picture)
        shown = exporting.disposition(file.name, file.form).replace("attachment", "inline")
        headers |= {"Content-Disposition": shown, "Content-Security-Policy": "default-src 'none'"}
        found, unchanged = (
            Response(picture, headers=headers, media_type=file.form.content_type),
            Response(None, 304, headers),
        )
        keep(found, unchanged)
        return unchanged if matches(request.headers, tag) else found
    if file is not None and file.form.name != JSON.name:
        return await exporting.answer(
            request, file.form, _in_stretches(file, headers, rows, keep), few=len(rows) < _FEW
        )
    named = {}
    if file is not None and "format" in request.query_params:
        named["Content-Disposition"] = exporting.disposition(file.name, JSON)
    content = await apart(len(rows), msgspec.json.encode, {**body, **frame(view)})
    found = Response(content, headers=headers | named, media_type="application/json")
    unchanged = Response(None, 304, headers)
    keep(found, unchanged)
    return unchanged if matches(request.headers, tag) else found


async def _in_stretches(
    file: File, headers: Mapping[str, str], rows: Sequence[Any], keep: Callable[[Response, Response], None]
) -> exporting.Rows:  # fmt: skip
    yield Export(file.table, file.name, headers, file.title, file.about, keep=keep)
    for some in exporting.at_once(rows):
        yield [*some]
