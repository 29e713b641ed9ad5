"""One request and its answer, as they are on the wire: what holds for all of them, and the line in the log that tells of them.

    exchange = Exchange(scope, receive, send, doorkeeper, most_bytes)
    try:     await app(exchange.scope, exchange.receive, exchange.send)
    finally: exchange.end()

- A HEAD is a GET whose body is not sent.
- Bodies may come as zstd or gzip, and large ones are answered so.
- X-Request-Id is taken, or made, and given back.
- The line in the log tells neither secrets nor persons: no query, no hook's secret, no id of a journey.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

from service import telemetry
from service.api.compression import WORTH_IT, coding_for, inflated, packed
from service.api.problems import path_told

if TYPE_CHECKING:
    from service.api.auth import Doorkeeper
    from service.store.ledgers import Access

_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_COMPRESSIBLE = re.compile(rb"application/([\w.-]+\+)?json|text/|image/svg")
_NO_BODY = (204, 304)


def request_id() -> str:
    """Return a new id of a request."""
    return secrets.token_hex(16)


class Exchange:
    """A request in hand. `access` is what its key opens, once that is known."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, doorkeeper: Doorkeeper | None, most_bytes: int
    ) -> None:
        """`most_bytes` is what any body may have, however it comes."""
        self._since = time.perf_counter()
        self._asked, self._send, self._doorkeeper = scope, send, doorkeeper
        self.scope, self.receive = scope, receive
        self.access: Access | None = None
        self._accepted = ""
        self._held_back: Message | None = None
        self._status: int | None = None
        self._bytes = 0
        given = encoding = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"content-encoding":
                encoding = value
            elif name == b"accept-encoding":
                self._accepted = value.decode("latin-1")
        self.request_id = given.decode() if _ID.fullmatch(given) else request_id()
        if encoding and (named := encoding.decode("latin-1").strip().lower()) != "identity":
            self.receive = inflated(receive, named, most_bytes)
        if scope["method"] == "HEAD" and not scope["path"].startswith(
            "/v1/hooks/"
        ):  # which senders may mean something by
            self.scope = {**scope, "method": "GET"}
        self.scope["exchange"] = scope["exchange"] = self

    @property
    def method(self) -> str:
        """The method as it was sent."""
        method: str = self._asked["method"]
        return method

    @property
    def coding(self) -> str:
        """How a large answer is to be compressed; "" = not at all."""
        return coding_for(self._accepted)

    async def send(self, message: Message) -> None:
        """Send a message of the answer, with what all answers have."""
        if message["type"] == "http.response.start":
            self._status = status = message["status"]
            telemetry.answers(status).inc()
            headers = message["headers"]
            headers.append((b"x-request-id", self.request_id.encode()))
            if self.access is not None and self._doorkeeper is not None:
                headers.extend(self._doorkeeper.allowance(self.access.key_id))
            if self._compresses(headers) and self.coding:
                self._held_back = message
                return
        elif (start := self._held_back) is not None:
            self._held_back = None
            if not message.get("more_body", False):
                message = await _compressed(start, message, self.coding)
            await self._send(start)
        self._bytes += len(message.get("body", b""))
        await self._send(message)

    def _compresses(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Tell whether an answer is worth compressing, and say where that depends on who asks."""
        size, fits, ready, varies = 0, False, False, False
        for name, value in headers:
            if name == b"content-length":
                size = int(value)
            elif name == b"content-type":
                fits = _COMPRESSIBLE.match(value) is not None
            elif name == b"content-encoding":
                ready = True
            elif name == b"vary":
                varies = b"accept-encoding" in value.lower()
        large = fits and size > WORTH_IT and self._status not in _NO_BODY
        if (large or ready) and not varies:
            headers.append((b"vary", b"Accept-Encoding"))
        return large and not ready

    def end(self) -> None:
        """Write the line that tells of it. The status is null where the client went away before its answer.

        The scope is let go of: in a circle, a head of 60 kB would stay in memory until the garbage is collected.
        """
        refused = self._asked.get("refused")
        for scope in (self.scope, self._asked):
            scope.pop("exchange", None)
        if telemetry.tells_requests():
            telemetry.tell_request(
                method=self.method, path=path_told(self._asked["path"]),
                status=self._status or refused, ms=round((time.perf_counter() - self._since) * 1000, 2),
                bytes=self._bytes, request_id=self.request_id, key=self.access and self.access.key_id,
            )  # fmt: skip


async def _compressed(start: Message, body: Message, coding: str) -> Message:
    """Return a whole body compressed, with the head of its answer changed accordingly."""
    made = await packed(body["body"], coding)
    start["headers"] = packed_headers(start["headers"], coding, len(made))
    return {**body, "body": made}


def packed_headers(headers: Iterable[tuple[bytes, bytes]], coding: str, size: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer as those of the same, in a coding and of so many bytes."""
    rest = [one for one in headers if one[0] != b"content-length"]
    return [*rest, (b"content-encoding", coding.encode()), (b"content-length", str(size).encode())]
