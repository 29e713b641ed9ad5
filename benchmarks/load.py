"""A load generator: keep-alive connections that each send the next request when the last answer is there.

Without a rate they do so at once. With one, the n-th request is due n/rate seconds after the beginning, and its latency
counts from then on: a server that stalls is charged for all whom it kept waiting, not only for those it let through.
It speaks HTTP/1.1 by hand, because a client library would cost more than the server that is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from service.bootstrap import run as run_fast

_GOOD = 400


class Answer(NamedTuple):
    """One answer, as `heard` gets it."""

    status: int
    head: bytes  # in lower case
    body: bytes
    seconds: float


Heard = Callable[[Answer], None]


class Result(NamedTuple):
    """What came of it: seconds in all, latencies in seconds (sorted), and how many answers had which status."""

    seconds: float
    latencies: list[float]
    statuses: Counter[int]

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """A latency in milliseconds."""
        return 1000 * self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)]


class _Offer:
    """What the connections share."""

    def __init__(
        self, requests: Iterable[bytes], rate: float | None, heard: Heard | None, seconds: float | None
    ) -> None:
        self.until = time.perf_counter() + seconds if seconds else math.inf
        self.requests, self.rate, self.heard = iter(requests), rate, heard
        self.numbers = itertools.count()
        self.started = time.perf_counter()
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()

    def due(self) -> float:
        return self.started + next(self.numbers) / self.rate if self.rate else time.perf_counter()


class _Connection(asyncio.Protocol):
    def __init__(self, offer: _Offer) -> None:
        self._offer = offer
        self._buffer = b""
        self._due = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's transport
        self._next()

    def _next(self) -> None:
        self._due = self._offer.due()
        pause = self._due - time.perf_counter()
        if pause > 0:
            asyncio.get_running_loop().call_later(pause, self._send)
        else:
            self._send()

    def _send(self) -> None:
        request = next(self._offer.requests, None) if time.perf_counter() < self._offer.until else None
        if request is None:
            self._transport.close()
        else:
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
            self._answered(int(head[9:12]), lower, body)

    def _answered(self, status: int, head: bytes, body: bytes) -> None:
        took = time.perf_counter() - self._due
        self._offer.latencies.append(took)
        self._offer.statuses[status] += 1
        if self._offer.heard:
            self._offer.heard(Answer(status, head, body, took))
        self._next()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def offer(
    port: int, connections: int, requests: Iterable[bytes], *, rate: float | None = None, heard: Heard | None = None,
    seconds: float | None = None,
) -> Result:  # fmt: skip
    """Send all requests over so many connections, or what can be in so many seconds; each is made as it is sent."""
    loop, one = asyncio.get_running_loop(), _Offer(requests, rate, heard, seconds)
    made = await asyncio.gather(
        *(loop.create_connection(lambda: _Connection(one), "127.0.0.1", port) for _ in range(connections))
    )
    await asyncio.gather(*(protocol.closed for _, protocol in made))
    return Result(time.perf_counter() - one.started, sorted(one.latencies), one.statuses)


def run(port: int, connections: int, requests: Iterable[bytes], seconds: float | None = None) -> Result:
    """Send all requests, or what can be sent in so many seconds; RuntimeError if one is not answered well."""
    result = run_fast(offer(port, connections, requests, seconds=seconds))
    bad = {status: count for status, count in result.statuses.items() if status >= _GOOD}
    if bad:
        raise RuntimeError(f"answers with status {bad}")
    return result


def post(path: str, body: bytes, key: str = "", content_type: str = "application/json") -> bytes:
    """Return the bytes of a POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Authorization: Bearer {key}\r\n\r\n".encode() + body


def get(path: str, key: str = "", tag: str = "") -> bytes:
    """Return the bytes of a GET request, with If-None-Match if there is a tag."""
    condition = f"If-None-Match: {tag}\r\n" if tag else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n{condition}\r\n".encode()
