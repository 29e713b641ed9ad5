"""Compressed bodies, both ways: answers as gzip for whoever takes it, and requests that come as gzip.

    receive = inflated(receive, "gzip", most)      # the messages of a request, as if it had come as it is
    if takes_gzip(accept_encoding): body = await gzipped(body)

What comes out of a request is handed on in pieces, so that whoever reads it counts, bounds and gives up on what comes out,
wherever the limit is: a kilobyte may stand for a megabyte.
"""

from __future__ import annotations

import asyncio
import re
import zlib

from starlette.types import Message, Receive

from service.api.problems import ProblemError

WORTH_IT = 1_000  # bytes of a body that is worth compressing
_APART = 262_144  # bytes from which on it is done in another thread, while others are served
_NOT_AT_ALL = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")
_LEVEL = 5
_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 262_144  # bytes that are handed on at a time
_MOST_TIMES = (
    100  # as large as it came may a body get, beyond what any body may be: events that resemble each other are 20 times
)


def takes_gzip(accepted: str) -> bool:
    """Tell whether an Accept-Encoding header takes gzip: named itself, or else by `*`."""
    taken = {}
    for one in accepted.lower().split(","):
        name, _, quality = one.partition(";")
        taken[name.strip()] = _NOT_AT_ALL.fullmatch(quality) is None
    return taken.get("gzip", taken.get("x-gzip", taken.get("*", False)))


async def gzipped(body: bytes) -> bytes:
    """Return a body as gzip."""
    if len(body) < _APART:
        return zlib.compress(body, _LEVEL, _GZIP)
    return await asyncio.to_thread(zlib.compress, body, _LEVEL, _GZIP)


def inflated(receive: Receive, encoding: str, most: int) -> Receive:
    """Return what gives a request's messages as if its body had come without its content encoding.

    Where it cannot, whoever asks for the body gets a problem: 415 of an unknown encoding, 400 of what is no gzip, and 413 of
    what gets larger than `most` bytes and a hundred times as large as it came.
    """
    if encoding not in ("gzip", "x-gzip"):

        async def refused() -> Message:
            detail = f"a body comes as it is, or with content-encoding gzip; this one came with {encoding[:80]}"
            raise ProblemError(415, detail, headers={"Accept-Encoding": "gzip"})

        return refused
    return _Inflated(receive, most)


class _Inflated:
    """A request's messages with what comes out of its gzip, piece by piece."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._stream = zlib.decompressobj(_GZIP)
        self._rest = b""  # that has come and was not looked at yet
        self._pending = self._all = self._told = False
        self._came = self._out = 0

    async def __call__(self) -> Message:
        if self._told:
            return await self._receive()  # which waits for the client to go away
        while True:
            while self._rest or self._pending:
                if piece := self._piece():
                    return {"type": "http.request", "body": piece, "more_body": True}
            if self._all:
                break
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._rest = message.get("body", b"")
            self._came += len(self._rest)
            self._all = not message.get("more_body", False)
        if self._came and not self._stream.eof:
            raise ProblemError(400, "the gzip of the body ended before all of it was here")
        self._told = True
        return {"type": "http.request", "body": b"", "more_body": False}

    def _piece(self) -> bytes:
        """Return what comes next; nothing, where more has to come first."""
        if self._stream.eof:  # gzip may have several members, one after the other
            self._stream = zlib.decompressobj(_GZIP)
        try:
            piece = self._stream.decompress(self._rest, _PIECE)
        except zlib.error:
            raise ProblemError(400, "the body is not the gzip that its content-encoding says it is") from None
        self._rest = self._stream.unconsumed_tail or self._stream.unused_data
        self._pending = len(piece) == _PIECE
        self._out += len(piece)
        if self._out > max(self._most, self._came * _MOST_TIMES):
            raise ProblemError(413, f"a body may be {_MOST_TIMES} times as large as its gzip: send it as it is")
        return piece
