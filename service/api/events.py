"""`/v1/events`: events in (CloudEvents structured, binary and batch, plain JSON, NDJSON) and the log back out.

The way in is a plain route over the raw request: the framework's own body handling would cost more than the commit.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from service.api import exporting, formats
from service.api.auth import Guarded, Needs
from service.api.bodies import read_body
from service.api.parameters import PAGE, LimitUnlessFile
from service.api.problems import ProblemError, problem, refuse_unknown
from service.api.urls import link, next_url
from service.bootstrap import Service
from service.domain.catalogue import CATALOGUE
from service.domain.events import InvalidEventError
from service.exports.events import table as events_table
from service.intake.acceptance import Result
from service.intake.decoding import header_text, split
from service.store.ledgers import Ledger
from service.store.log import feed, heads
from service.store.log.stored_events import as_cloudevent

router = APIRouter(tags=["events"], route_class=Guarded)
_JSON = "application/json"
_BATCH = "application/cloudevents-batch+json"
_SINGLE = "application/cloudevents+json"
_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*([\[{])")  # of a list or an object
_LINES_AT_ONCE = 5_000
_BYTES_AT_ONCE = 1_048_576
_STRETCHES_IN_HAND = 3  # one is being stored, one waits behind it, one is being read
_PROBLEMS_SHOWN = 100
_AT_ONCE = 1_000  # events of a file that are read at a time
_GOOD = ("accepted", "duplicate")


async def post_events(request: Request) -> Response:
    """Take events in whatever form they come."""
    service: Service = request.app.state.service
    headers = request.headers
    access = await request.app.state.doorkeeper.admit(request.scope, "ingest")
    request.scope["exchange"].access, ledger = access, access.ledger
    if request.scope["query_string"]:
        refuse_unknown(request, ())
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _NDJSON:
        return await _bulk(request, service, ledger)
    if "ce-specversion" in headers and media_type not in (_SINGLE, _BATCH):
        return await _binary(request, service, ledger, media_type)
    if media_type not in (_JSON, _SINGLE, _BATCH):
        known = ", ".join((_JSON, _SINGLE, _BATCH, _NDJSON[0]))
        raise ProblemError(415, f"send {known}, or ce- headers with JSON; this was {media_type or 'no content-type'}")
    body = await read_body(request, service.settings.max_body_bytes, ledger.ledger)
    begin = _BEGIN.match(body)
    first = begin[1] if begin else b""
    if media_type == _SINGLE and first == b"[":
        raise ProblemError(415, f"a list of events is {_BATCH} or {_JSON}; this was {media_type}")
    if media_type == _BATCH and first == b"{":
        raise ProblemError(415, f"an event by itself is {_SINGLE} or {_JSON}; this was {media_type}")
    if media_type == _BATCH or first == b"[":
        return await _batch(service, ledger, body)
    return await _single((await service.intake.take(ledger.ledger, [body]))[0], service, ledger)


async def _binary(request: Request, service: Service, ledger: Ledger, media_type: str) -> Response:
    if media_type and media_type != _JSON and not media_type.endswith("+json"):
        raise ProblemError(415, f"in binary mode the body is the event's data as {_JSON}; this was {media_type}")
    attributes: dict[str, Any] = {
        name[3:]: _attribute(name, value)
        for name, value in request.headers.items()
        if name.startswith("ce-") and name != "ce-data"
    }
    if media_type:
        attributes["datacontenttype"] = request.headers["content-type"]
    body = await read_body(request, service.settings.max_body_bytes, ledger.ledger)
    return await _single(await service.intake.take_event(ledger.ledger, body, attributes), service, ledger)


def _attribute(name: str, value: str) -> str:
    text = header_text(value)
    if text is None:
        expected = "percent-encoded UTF-8 without U+0000"
        errors = [{"field": name[3:], "expected": expected, "got": value[:80]}]
        raise ProblemError(422, f"{name}: expected {expected}", kind="invalid-event", errors=errors)
    return text


async def _single(result: Result, service: Service, ledger: Ledger) -> Response:
    if result.problem is not None:
        status = 409 if result.status == "conflict" else 422
        more = {"errors": result.problem["errors"]} if "errors" in result.problem else {}
        raise ProblemError(
            status, result.problem["detail"], kind=result.problem["type"].rpartition("/")[2], source=result.source,
            id=result.id, item_status=result.status, position=result.position, **more,
        )  # fmt: skip
    named = {"source": result.source, "id": result.id}
    last = service.appender.last_positions.get(ledger.ledger, 0)  # at least that of an event just accepted
    if result.status != "accepted":
        last = await service.intake.last_position(ledger.ledger)
    answer = {**named, "status": result.status, "position": result.position, "last_position": last}
    headers = {"Location": f"/v1/events/{result.position}"}
    return Response(msgspec.json.encode(answer), 201 if result.status == "accepted" else 200, headers, _JSON)


async def _batch(service: Service, ledger: Ledger, body: bytes) -> Response:
    try:
        raws = split(body)
    except InvalidEventError as error:
        refused = (await service.intake.refuse(ledger.ledger, body, error)).problem or {}
        return problem(422, refused["detail"], kind="invalid-event", errors=refused["errors"])
    most = service.settings.max_batch_items
    if len(raws) > most:
        raise ProblemError(
            413, f"a batch may have {most} events, this one has {len(raws)}; send NDJSON or smaller batches"
        )
    results = await service.intake.take(ledger.ledger, raws)
    answer = {
        "items": results,
        "last_position": await service.intake.last_position(ledger.ledger),
    }
    return Response(msgspec.json.encode(answer), _status(result.status for result in results), media_type=_JSON)


def _status(statuses: Any) -> int:
    return 200 if all(status in _GOOD for status in statuses) else 207


async def _bulk(request: Request, service: Service, ledger: Ledger) -> Response:
    """Take NDJSON as it streams in: while one stretch of lines is being stored, the next is read and checked."""
    counts = Counter(accepted=0, duplicate=0, conflict=0, invalid=0)
    problems: list[dict[str, Any]] = []
    storing: deque[asyncio.Task[None]] = deque()

    async def store(first: int, lines: list[bytes], before: asyncio.Task[None] | None) -> None:
        taken = await service.intake.take_many(ledger.ledger, list(filter(bytes.strip, lines)), before)
        counts.update(taken.counts())
        if counts["conflict"] or counts["invalid"]:
            numbers = [number for number, line in enumerate(lines, first) if line.strip()]
            shown = taken.problems()[: max(0, _PROBLEMS_SHOWN - len(problems))]
            problems.extend([{"line": numbers[index], **one.as_dict()} for index, one in shown])

    try:
        async for first, lines in _stretches(request, service.settings.max_line_bytes):
            if len(storing) == _STRETCHES_IN_HAND:
                await storing.popleft()
            storing.append(asyncio.create_task(store(first, lines, storing[-1] if storing else None)))
            await asyncio.sleep(0)
    except _LineTooLongError as error:
        counts["invalid"] += 1
        detail = (
            f"a line may have {service.settings.max_line_bytes} bytes; what comes after line {error.line} was not read"
        )
        told = {"type": "/problems/too-long", "title": "The line is too long", "status": 413, "detail": detail}
        problems.append({"line": error.line, "status": "invalid", "problem": told})
    except ClientDisconnect as error:
        raise ProblemError(400, "the body ended before all of it was here; what came before is stored") from error
    finally:
        failed = [one for one in await asyncio.gather(*storing, return_exceptions=True) if one is not None]
    if failed:
        raise failed[0]
    answer = {**counts, "problems": problems, "last_position": await service.intake.last_position(ledger.ledger)}
    bad = counts["conflict"] + counts["invalid"]
    return Response(msgspec.json.encode(answer), 207 if bad else 200, media_type=_JSON)


class _LineTooLongError(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


async def _stretches(request: Request, longest: int) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield (number of the first line, lines) as enough of the body is there; a part of a line waits for its rest."""
    waiting, size, number = [], 0, 1
    async for part in request.stream():
        waiting.append(part)
        size += len(part)
        if size < _BYTES_AT_ONCE and part:
            continue
        lines = b"".join(waiting).split(b"\n")
        rest = lines.pop()
        waiting, size = [rest], len(rest)
        for start in range(0, len(lines), _LINES_AT_ONCE):
            stretch = lines[start : start + _LINES_AT_ONCE]
            if max(map(len, stretch)) > longest:
                too_long = next(index for index, line in enumerate(stretch) if len(line) > longest)
                yield number, stretch[:too_long]
                raise _LineTooLongError(number + too_long)
            yield number, stretch
            number += len(stretch)
        if size > longest:
            raise _LineTooLongError(number)
    rest = b"".join(waiting)
    if rest.strip():
        if len(rest) > longest:
            raise _LineTooLongError(number)
        yield number, rest.split(b"\n")


@router.get(
    "/v1/events",
    summary="The log, in order",
    response_class=Response,
    responses={
        200: {"content": {_BATCH: {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}}}}
    },
)
async def get_events(
    request: Request,
    ledger: Annotated[Ledger, Depends(Needs("read"))],
    after: Annotated[int, Query(ge=0, le=2**62, description="positions after this one")] = 0,
    limit: LimitUnlessFile = None,
    event_type: Annotated[
        list[str] | None,
        Query(
            alias="type",
            description="only these types",
            json_schema_extra={"anyOf": [{"type": "array", "items": {"$ref": "#/components/schemas/EventType"}}]},
        ),
    ] = None,
    named: Annotated[
        formats.TableFormat | None,
        Query(alias="format", description="all events after `after`, up to `limit`, as a file of this format"),
    ] = None,
) -> Response:
    """Feed events back as a CloudEvents batch; `Link: rel=next` leads on while there is more. A page ends at about 8 MiB.

    As a file – by `format`, or by an Accept header that prefers another media type – there are all of them, and no pages.
    """
    unknown = [one for one in event_type or () if one not in CATALOGUE]
    if unknown:
        errors = [{"field": "type", "expected": "a type of the catalogue", "got": one[:80]} for one in unknown]
        raise ProblemError(422, f"type: there is no {unknown[0][:80]}", kind="invalid-request", errors=errors)
    service: Service = request.app.state.service
    form = formats.wanted(request, named, formats.OF_EVENTS)
    if named is not None or form is not formats.EVENTS:
        return await exporting.answer(request, form, _all(service, ledger, after, limit, event_type or ()))
    limit = limit or PAGE
    rows = await feed.read(service.pool, ledger.ledger, after, limit, event_type or ())
    headers = link(next_url(request, {"after": rows[-1].position} if feed.is_full(rows, limit) else None))
    headers |= {"Vary": "Authorization, Accept, Accept-Encoding"}
    events = await service.subjects.opened(service.pool, ledger.ledger, rows)
    return Response(b"[" + b",".join(map(as_cloudevent, events)) + b"]", headers=headers, media_type=_BATCH)


async def _all(
    service: Service, ledger: Ledger, after: int, limit: int | None, types: Sequence[str]
) -> exporting.Rows:  # fmt: skip
    """Yield the events up to the end that the log has now, as what a file is made of."""
    last, _, _ = await heads.head(service.pool, ledger.ledger)
    name = exporting.file_name("events", ledger.name, f"{after + 1}-{last}" if after else "all", last)
    about = [
        ("ledger", ledger.name),
        ("after position", after),
        ("up to position", last),
        ("types", ", ".join(types) or "all"),
    ]
    yield exporting.Export(events_table(types), name, title="events", about=about, encode=as_cloudevent)
    while (limit is None or limit > 0) and (
        rows := await feed.read(service.pool, ledger.ledger, after, limit or _AT_ONCE, types)
    ):
        known = [one for one in rows if one.position <= last]
        yield await service.subjects.opened(service.pool, ledger.ledger, known)
        if len(known) < len(rows):
            return
        after, limit = rows[-1].position, None if limit is None else limit - len(rows)


@router.get(
    "/v1/events/{position}",
    summary="One event",
    response_class=Response,
    responses={200: {"content": {_SINGLE: {"schema": {"$ref": "#/components/schemas/Event"}}}}},
)
async def get_event(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("read"))], position: Annotated[int, Path(ge=1, le=2**62)]
) -> Response:
    """Return the event at a position as a CloudEvent."""
    service: Service = request.app.state.service
    row = await feed.read_one(service.pool, ledger.ledger, position)
    if row is None:
        raise ProblemError(404, f"there is no event at position {position} yet")
    (event,) = await service.subjects.opened(service.pool, ledger.ledger, [row])
    return Response(as_cloudevent(event), media_type=_SINGLE)
