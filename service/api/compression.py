"""Compressed bodies, both ways: answers as zstd or gzip for whoever takes it, and requests that come so.

    receive = inflated(receive, "zstd", most)      # the messages of a request, as if it had come as it is
    if coding := coding_for(accept_encoding): body = await packed(body, coding)

What comes out of a request is handed on in pieces, so that whoever reads it counts, bounds and gives up on what comes out,
wherever the limit is: a kilobyte may stand for a megabyte.
"""

from __future__ import annotations

import asyncio
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from starlette.types import Message, Receive

from service.api.problems import ProblemError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WORTH_IT = 1_000  # bytes of a body that is worth compressing
_APART = 262_144  # bytes from which on it is done in another thread, while others are served
_QUALITY = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*")
_PIECE = 262_144  # bytes that are handed on at a time
_MOST_TIMES = (
    100  # as large as it came may a body get, beyond what any body may be: events that resemble each other are 20 times
)
_GZIP = 16 + zlib.MAX_WBITS
_WINDOW = 23  # log2 of the bytes that zstd may look back to, which it holds in memory: RFC 9659


class _Coding(NamedTuple):
    pack: Callable[[bytes], bytes]
    packer: Callable[[], Any]  # of what comes piece by piece
    unpacker: Callable[[], Any]  # of one member, or frame; there may be several, one after the other
    error: type[Exception]
    told: str


_CODINGS = {  # what is best comes first
    "zstd": _Coding(
        zstd.compress,
        zstd.ZstdCompressor,
        lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW}),
        zstd.ZstdError,
        "zstd with windows of up to 8 MiB",
    ),
    "gzip": _Coding(
        lambda body: zlib.compress(body, level=5, wbits=_GZIP),
        lambda: zlib.compressobj(level=5, wbits=_GZIP),
        lambda: zlib.decompressobj(_GZIP),
        zlib.error,
        "gzip",
    ),
}
_NAMES = {**{name: name for name in _CODINGS}, "x-gzip": "gzip"}


def coding_for(accepted: str) -> str:
    """Return the coding that an Accept-Encoding header likes best; "" = as it is.

    `*` stands for those that are not named. Without a preference for the body as it is, a coding comes first.
    """
    taken = {}
    for one in accepted.lower().split(","):
        name, _, given = one.partition(";")
        quality = _QUALITY.fullmatch(given)
        taken[_NAMES.get(name.strip(), name.strip())] = float(quality[1]) if quality else 1.0
    liked = {name: taken.get(name, taken.get("*", 0.0)) for name in _CODINGS}
    best = max(liked, key=liked.__getitem__)
    return best if liked[best] > 0 and liked[best] >= taken.get("identity", 0.0) else ""


async def packed(body: bytes, coding: str) -> bytes:
    """Return a body in a coding."""
    if len(body) < _APART:
        return _CODINGS[coding].pack(body)
    return await asyncio.to_thread(_CODINGS[coding].pack, body)


def inflated(receive: Receive, encoding: str, most: int) -> Receive:
    """Return what gives a request's messages as if its body had come without its content encoding.

    Where it cannot, whoever asks for the body gets a problem: 415 of an unknown encoding, 400 of what is not in it, and 413 of
    what gets larger than `most` bytes and a hundred times as large as it came.
    """
    if encoding in _NAMES:
        return _Inflated(receive, _NAMES[encoding], most)

    async def refused() -> Message:
        named = " or ".join(sorted(_CODINGS))
        detail = f"a body comes as it is, or with content-encoding {named}; this one came with {encoding[:80]}"
        raise ProblemError(415, detail, headers={"Accept-Encoding": ", ".join(_CODINGS)})

    return refused


class _Inflated:
    """A request's messages with what comes out of its body, piece by piece."""

    def __init__(self, receive: Receive, name: str, most: int) -> None:
        self._receive, self._name, self._most = receive, name, most
        self._coding = _CODINGS[name]
        self._stream = self._coding.unpacker()
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
            raise ProblemError(400, f"the {self._name} of the body ended before all of it was here")
        self._told = True
        return {"type": "http.request", "body": b"", "more_body": False}

    def _piece(self) -> bytes:
        """Return what comes next; nothing, where more has to come first."""
        if self._stream.eof:
            self._stream = self._coding.unpacker()
        try:
            piece: bytes = self._stream.decompress(self._rest, _PIECE)
        except self._coding.error:
            detail = f"the body is not {self._coding.told}, as its content-encoding says it is"
            raise ProblemError(400, detail) from None
        # zlib gives back what it did not look at; zstd keeps it
        self._rest = getattr(self._stream, "unconsumed_tail", b"") or self._stream.unused_data
        self._pending = len(piece) == _PIECE and not self._stream.eof
        self._out += len(piece)
        if self._out > max(self._most, self._came * _MOST_TIMES):
            raise ProblemError(413, f"a body may be {_MOST_TIMES} times as large as its {self._name}: send it as it is")
        return piece


def packer(coding: str) -> Any:
    """Return what compresses piece by piece, by `compress` and `flush`; None for a body as it is."""
    return _CODINGS[coding].packer() if coding else None
