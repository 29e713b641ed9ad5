"""A load generator: keep-alive connections that each send the next request when the last answer is there.

It speaks HTTP/1.1 by hand, because a client library would cost more than the server that is measured.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import NamedTuple


class Result(NamedTuple):
    """Requests per second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float
    failed: int


class _Connection(asyncio.Protocol):
    def __init__(self, request: Callable[[], bytes | None], done: Callable[[float, int], None]) -> None:
        self._request, self._done = request, done
        self._buffer = b""
        self._sent = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's transport
        self._next()

    def _next(self) -> None:
        request = self._request()
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) >= length:
            self._buffer = b""
            self._done(time.perf_counter() - self._sent, int(head[9:12]))
            self._next()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def _run(port: int, connections: int, requests: list[bytes]) -> Result:
    waiting, latencies, failed = iter(requests), [], 0

    def done(seconds: float, status: int) -> None:
        nonlocal failed
        latencies.append(seconds)
        failed += status >= 400  # noqa: PLR2004  HTTP errors

    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Connection(lambda: next(waiting, None), done), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.closed for _, protocol in made))
    elapsed = time.perf_counter() - started
    latencies.sort()
    count = len(latencies)
    return Result(count / elapsed, 1000 * latencies[count // 2], 1000 * latencies[count * 99 // 100], failed)


def run(port: int, connections: int, requests: list[bytes]) -> Result:
    """Send all requests over so many connections."""
    if sys.platform == "win32":
        return asyncio.run(_run(port, connections, requests))
    import uvloop  # noqa: PLC0415  not to be had on Windows

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(port, connections, requests))


def post(path: str, body: bytes, key: str = "", content_type: str = "application/json") -> bytes:
    """Return the bytes of a POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Authorization: Bearer {key}\r\n\r\n".encode() + body


def get(path: str, key: str = "") -> bytes:
    """Return the bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
