"""Answers as files: written by threads of their own, held on disk, sent while they grow.

    return await exporting.answer(request, form, rows())      # rows() yields an Export first, then lists of rows

Memory stays flat, for rows are read a stretch at a time; a slow reader holds neither the database nor a turn, for what
is written goes to disk; one that goes away ends the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api import formats
from service.api.compression import packer
from service.api.exchange import Exchange
from service.api.formats import Format
from service.api.response_cache import matches
from service.api.turns import Turn
from service.exports.csv import Csv
from service.exports.documents import Document
from service.exports.spool import Spool
from service.exports.tables import Table

_T = TypeVar("_T")
_threads = ThreadPoolExecutor(2, "exports")  # more would only take turns with the event loop's more often
_SMALL = 1_048_576  # bytes of a file that is answered at once, and may be kept
_MOMENT = 0.25  # seconds for which one is waited for to be complete
_ROWS_AT_ONCE = 2_000
_UNSAFE = re.compile(r"[^\w.-]+")
Around = tuple[bytes, Callable[[int], bytes]]


@dataclass(frozen=True)
class Export:
    """What a file is: its table, its name without an ending, headers, and what else its format needs.

    `around` is what stands before and after the list of a JSON document, `encode` writes an item of it. `about` are the lines of
    the second sheet of a workbook. `keep` keeps a small answer for who asks again.
    """

    table: Table
    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    title: str = "data"
    about: Sequence[Sequence[Any]] = ()
    around: Around = (b"[", lambda _: b"]")
    encode: Callable[[Any], bytes] = bytes
    keep: Callable[[Response, Response], None] | None = None


Rows = AsyncGenerator[Export | list[Any], None]


def file_name(*parts: object) -> str:
    """Return the name of a file without an ending: what it is, of which ledger, period and position."""
    return "_".join(_UNSAFE.sub("-", str(part)).strip("-") for part in parts if part not in (None, ""))


def disposition(name: str, form: Format) -> str:
    """Return the Content-Disposition of a file; names with other letters are told to clients that know how to read them."""
    whole = f"{name}.{form.name}"
    plain = whole.encode("ascii", "replace").decode().replace("?", "-")
    return f'attachment; filename="{plain}"' + ("" if plain == whole else f"; filename*=UTF-8''{quote(whole)}")


def at_once(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Cut rows into stretches."""
    return (rows[first : first + _ROWS_AT_ONCE] for first in range(0, len(rows), _ROWS_AT_ONCE))


async def answer(request: Request, form: Format, rows: Rows, *, few: bool = False) -> Response:
    """Answer with a file, or 304 to whom it tells nothing new.

    Long ones have a lane of their own, for reads go on meanwhile. One of `few` rows is compressed when all of it is there.
    """
    turn: Turn = request.state.turn
    turn.give()
    lane = contextlib.nullcontext() if few else request.app.state.exports.turn(request.state.access.key_id)
    exchange: Exchange = request.scope["exchange"]
    coding = "" if form.packed or few else exchange.coding
    making = _Making(lane, form, rows, coding)
    try:
        export = await making.begun()
        headers = {
            "Content-Disposition": disposition(export.name, form), "Cache-Control": "private, no-cache",
            "Vary": "Authorization, Accept, Accept-Encoding", **export.headers,
        }  # fmt: skip
        unchanged = Response(
            None, 304, {name: value for name, value in headers.items() if name != "Content-Disposition"}
        )
        if "ETag" in headers and matches(request.headers, headers["ETag"]):
            return unchanged
        if exchange.method == "HEAD":
            return _Head(headers, form, coding)
        if await making.small(_SMALL, None if few else _MOMENT):
            whole = b"".join([piece async for piece in making.spool.pieces()])
            if not coding:
                found = Response(whole, headers=headers, media_type=form.content_type)
                if export.keep is not None:
                    export.keep(found, unchanged)
                return found
        sent, making = making, None  # type: ignore[assignment]  # which goes on while it is sent
        return _File(sent, headers, form, coding)
    finally:
        if making is not None:
            await making.stop()


class _Making:
    """A file in the making, by a task of its own."""

    def __init__(self, lane: AbstractAsyncContextManager[Any], form: Format, rows: Rows, coding: str) -> None:
        self.spool = Spool(packer(coding))
        self._export: asyncio.Future[Export] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._make(lane, form, rows))

    async def begun(self) -> Export:
        """Return what it is, as soon as that is known; raises what went wrong before."""
        first: set[asyncio.Future[Any]] = {self._task, self._export}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not self._export.done():
            await self._task
        return self._export.result()

    async def small(self, most: int, patience: float | None) -> bool:
        """Tell whether it is complete and small; wait as many seconds for that, or as long as it takes."""
        await asyncio.wait({self._task}, timeout=patience)
        return self._task.done() and await self.done() and self.spool.size <= most

    async def done(self) -> bool:
        """Wait until it is complete; raises what went wrong."""
        await asyncio.shield(self._task)
        return True

    async def stop(self) -> None:
        """End the work, and give its place on disk back."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._task
        self._export.cancel()
        self.spool.close()

    async def _make(self, lane: AbstractAsyncContextManager[Any], form: Format, rows: Rows) -> None:
        async with lane, contextlib.aclosing(rows) as found:
            export = await anext(found)
            assert isinstance(export, Export)  # noqa: S101  comes first
            self._export.set_result(export)
            writer = await aside(_writer, form, export, self.spool, undo=lambda one: one.abandon())
            try:
                async for some in found:
                    assert isinstance(some, list)  # noqa: S101  comes after it
                    await aside(_write, writer, export, some)
                    if form is not formats.XLSX:  # which is put together at the end
                        self.spool.publish()
                await aside(_finish, writer, self.spool)
            except BaseException:
                writer.abandon()
                raise


async def aside(
    work: Callable[..., _T], *arguments: object, undo: Callable[[_T], object] | None = None
) -> _T:  # fmt: skip
    """Do work in one of few threads; who is cancelled waits for it, so that nothing is closed under its hands."""
    going = asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)
    try:
        return await asyncio.shield(going)
    except asyncio.CancelledError:
        await asyncio.wait({going})
        if undo is not None and going.exception() is None:
            undo(going.result())
        raise


def _writer(form: Format, export: Export, spool: Spool) -> Any:
    sink: Any = spool.sink
    columns = export.table.columns
    if form is formats.CSV:
        return Csv(sink, columns)
    if form is formats.PARQUET:
        from service.exports.parquet import Parquet  # noqa: PLC0415  40 MB, which a service without such files need not have

        return Parquet(sink, columns)
    if form is formats.XLSX:
        from service.exports.xlsx import Xlsx  # noqa: PLC0415

        return Xlsx(sink, columns, export.title, export.about)
    return Document(sink, export.encode, export.around)


def _write(writer: Any, export: Export, some: list[Any]) -> None:
    if isinstance(writer, Document):
        writer.items(some)
    else:
        writer.rows(map(export.table.values, some))


def _finish(writer: Any, spool: Spool) -> None:
    writer.close()
    spool.end()


class _Head(Response):
    """The answer to HEAD: nothing is made, so that its length is not known."""

    def __init__(self, headers: Mapping[str, str], form: Format, coding: str) -> None:
        super().__init__(None, headers=_with_coding(headers, coding), media_type=form.content_type)
        self.raw_headers = [one for one in self.raw_headers if one[0] != b"content-length"]


class _File(Response):
    """A file that is sent while it is made."""

    def __init__(self, making: _Making, headers: Mapping[str, str], form: Format, coding: str) -> None:
        told = dict(_with_coding(headers, coding))
        if making.spool.complete:
            told["Content-Length"] = str(making.spool.size)
        super().__init__(None, headers=told, media_type=form.content_type)
        if not making.spool.complete:
            self.raw_headers = [one for one in self.raw_headers if one[0] != b"content-length"]
        self._making = making

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI
        gone = asyncio.create_task(_gone(receive))
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
        finally:
            for task in (gone, sending):
                task.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)
            await self._making.stop()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        pieces = asyncio.create_task(self._pieces(send))
        making = asyncio.create_task(self._making.done())
        try:
            await asyncio.wait({pieces, making}, return_when=asyncio.FIRST_EXCEPTION)
            if making.done():
                await making  # what fails half-way breaks the connection off: the file must not look whole
            await pieces
        finally:
            for task in (pieces, making):
                task.cancel()
            await asyncio.gather(pieces, making, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self, send: Send) -> None:
        async with contextlib.aclosing(self._making.spool.pieces()) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _with_coding(headers: Mapping[str, str], coding: str) -> Mapping[str, str]:
    return {**headers, "Content-Encoding": coding} if coding else headers
