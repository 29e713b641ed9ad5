"""The connections of a server: how much head a request may have, how long it may take, and how many there may be.

uvicorn bounds none of these. An endless URL is put together byte by byte while everybody else waits, a sender that drips keeps
its connection for ever, and as many idle ones as there are files leave none for the database or for `/readyz`. What is
refused here is answered as a problem too, and the connection closed. Nothing of a request has been looked at yet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from service import telemetry
from service.api.exchange import request_id
from service.api.problems import problem

MOST_URL = 16_384  # bytes
_MOST_HEADERS = 200  # short ones take thirty times their bytes in memory
_MOST_AHEAD = 16  # requests sent before the answer to the first; each waits in memory
_STRETCH = 8_192  # bytes of a body that have to come within the time that a request has
_LINGER = 5.0  # seconds in which the rest of a body is passed over after the answer, so that the sender can read that
_FILES_KEPT = 128  # for the database, logs and what else is not a connection of this server


_AGAIN = {503: {"Retry-After": "1"}}


class Limits(NamedTuple):
    """What a connection may take: bytes of a head, seconds for a head or a stretch of a body, and how many there may be."""

    head_bytes: int
    request_seconds: float
    connections: int


class Crowd:
    """All connections of a server; `waiting` are those without a request in hand, who has waited longest first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.all: set[Connection] = set()
        self.waiting: OrderedDict[Connection, None] = OrderedDict()

    def enter(self, one: Connection) -> None:
        """Take a connection in; where there are too many, who has waited longest for a request has to go."""
        self.all.add(one)
        self.waiting[one] = None
        if len(self.all) > self.limits.connections:
            longest = next(iter(self.waiting))
            if longest is one:  # all others have a request in hand
                one.refuse(503, "too many requests are in hand: try again in a moment")
            else:
                longest.transport.abort()
                self.leave(longest)

    def leave(self, one: Connection) -> None:
        """Forget a connection."""
        self.all.discard(one)
        self.waiting.pop(one, None)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """End connections that take too long while the block lasts."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self.limits.request_seconds / 4))
            for one in list(self.all):
                one.check(loop.time())


class _RefusedError(Exception):
    """Ends the parsing of a request that has been refused."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with limits."""

    def __init__(
        self, crowd: Crowd, config: Config, server_state: ServerState, app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:  # fmt: skip
        super().__init__(config, server_state, app_state, _loop)
        self._crowd = crowd
        self._limits = crowd.limits
        self._since = 0.0  # since when the client owes what is waited for
        self._begun = self._in_body = self._moved = False
        self._head = 0  # bytes that came since, and were no body
        self._chunk = 0
        self._body = 0  # bytes of body that came since
        self._unsent, self._unsent_since = 0, 0.0
        self._refusal = (400, "this is not HTTP/1.1 that can be read")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # noqa: D102  as its class has it
        super().connection_made(transport)
        self._since = self.loop.time()
        self._crowd.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self._moved, self._chunk = False, len(data)
        super().data_received(data)
        if self._moved or self.transport.is_closing():
            return
        self._head += len(data)  # of a head, of trailers, or of what a chunk's length has with it
        if self._head > self._limits.head_bytes:
            self._too_large()

    def on_message_begin(self) -> None:  # noqa: D102
        super().on_message_begin()
        self._begun, self._head, self._since = True, 0, self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        if self._in_body:
            return  # a trailer, which nothing here reads
        if len(self.headers) == _MOST_HEADERS:
            self._refusal = (431, f"a request may have {_MOST_HEADERS} headers")
            raise _RefusedError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:  # noqa: D102
        if len(self.pipeline) == _MOST_AHEAD:
            self.transport.abort()  # no answer to this one may come before those that are due
            raise _RefusedError
        if self._head + self._chunk > self._limits.head_bytes:  # it may be
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._limits.head_bytes or len(self.url) > MOST_URL:
                raise _RefusedError(self._name_too_large())
        elif len(self.url) > MOST_URL:
            raise _RefusedError(self._name_too_large())
        self._crowd.waiting.pop(self, None)
        super().on_headers_complete()
        self._in_body = self._moved = True
        self._head = self._body = 0
        self._since = self.loop.time()

    def on_body(self, body: bytes) -> None:  # noqa: D102
        self._moved = True
        self._body += len(body)
        self._head = 0
        if self._body >= _STRETCH:
            self._body, self._since = 0, self.loop.time()
        super().on_body(body)

    def on_message_complete(self) -> None:  # noqa: D102
        self._begun = self._in_body = False
        self._moved, self._since = True, self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:  # noqa: D102
        if not self.pipeline:
            self._crowd.waiting[self] = None
            self._since = self.loop.time()
        super().on_response_complete()

    def resume_writing(self) -> None:  # noqa: D102
        self._unsent = 0  # all of it was taken; what is to be sent next is another answer
        super().resume_writing()

    def refuse(self, status: int, detail: str) -> None:
        """Answer a request that is not taken, and close the connection."""
        self._refusal = (status, detail)
        self.send_400_response("")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002, D102  as uvicorn calls it, also after _RefusedError
        if self.transport.is_closing():
            return
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()  # no second answer into the middle of one
            return
        status, detail = self._refusal
        identity = self._tell(status)
        answer = problem(
            status, detail, headers={"Connection": "close", "X-Request-Id": identity, **(_AGAIN.get(status, {}))}
        )
        lines = [b"%b: %b\r\n" % pair for pair in answer.raw_headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", bytes(answer.body)]))
        self.transport.close()

    def _tell(self, status: int) -> str:
        """Count what is refused, have the log tell of it, and return the id of the request."""
        telemetry.answers(status).inc()
        identity = request_id()
        if self.cycle is not None and not self.cycle.response_complete:  # it is in hand, and has a line of its own
            in_hand: Any = self.cycle.scope
            in_hand["refused"] = status
            return in_hand["exchange"].request_id if "exchange" in in_hand else identity
        if telemetry.tells_requests():
            telemetry.tell_request(method=None, path=None, status=status, request_id=identity)
        return identity

    def _too_large(self) -> None:
        self._name_too_large()
        self.send_400_response("")

    def _name_too_large(self) -> str:
        """Say which part of the head is too large."""
        if len(self.url) > MOST_URL:
            self._refusal = (414, f"a URL may have {MOST_URL} bytes")
        else:
            self._refusal = (431, f"the head of a request may have {self._limits.head_bytes} bytes")
        return self._refusal[1]

    def check(self, now: float) -> None:
        """End the connection if its client owes something for too long."""
        if self._stands_still(now):
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self.cycle is not None and not self.cycle.response_complete:
            self._check_body(now)
        elif self._in_body:
            if now - self._since > _LINGER:
                self.transport.abort()
        elif now - self._since > self._limits.request_seconds:
            if self._begun:
                self.refuse(408, f"the head of a request has to come within {self._limits.request_seconds:g} seconds")
            elif (
                self.timeout_keep_alive_task is None
            ):  # nothing has come but empty lines; else uvicorn counts that time
                self.transport.close()

    def _check_body(self, now: float) -> None:
        if self.flow.read_paused:
            self._since = now  # it is the service that does not read
        elif self._in_body and now - self._since > self._limits.request_seconds:
            seconds = f"{self._limits.request_seconds:g} seconds"
            self.refuse(
                408,
                f"a body has to come at {_STRETCH} bytes in {seconds} at least: send what there is, or less at once",
            )

    def _stands_still(self, now: float) -> bool:
        """Tell whether the client has not taken any of its answer for too long."""
        unsent = self.transport.get_write_buffer_size()
        if self._unsent == 0 or unsent < self._unsent:
            self._unsent_since = now
        self._unsent = unsent
        return unsent > 0 and now - self._unsent_since > self._limits.request_seconds


def room_for(wanted: int) -> int:
    """Return how many connections there may be, after allowing this process all the files that it may have."""
    try:
        import resource  # noqa: PLC0415  not to be had on Windows
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS has another limit on top
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(16, min(wanted, soft - _FILES_KEPT))
