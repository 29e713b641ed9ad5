"""Requests that the service itself makes, to read records back: guarded, because their URLs come from configuration.

The name is resolved here, every address of it has to be public, the port one of the usual two (unless the operator allows
host or port), and the connection goes to exactly the address that was checked, so that no second look at the DNS can lead
elsewhere. Redirects are not followed. An answer is limited as a whole: in time, so that one that drips ends, and in size as
it is after decompression, so that a small one cannot grow. What looks temporary is tried again within that time.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
import zlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import httpx

from service.intake.addresses import USUAL_PORTS, host_and_port, is_public

TIMEOUT = httpx.Timeout(10.0, connect=5.0)  # of each step; the whole is limited besides
WHOLE_SECONDS = 30.0  # for one answer: resolving, connecting, all tries, and its last byte
MAX_ANSWER = 8 * 1024 * 1024  # bytes, decompressed
_ATTEMPTS = 3
_LONGEST_PAUSE = 5.0
_TEMPORARY = (429, 502, 503, 504)
_REPEATABLE = ("GET", "HEAD")
_RESOLVING = 16  # names at once; a name server that is silent holds up no connection of the database
_STEP = 65_536
_GZIP_OR_ZLIB = 47  # as zlib names "whichever of the two the header says"
_DECODED = ("content-encoding", "content-length", "transfer-encoding")


class ForbiddenAddressError(httpx.RequestError):
    """A URL that leads to an address which is not public, or to a port that is not allowed."""


class TooLargeError(httpx.RequestError):
    """An answer beyond what is read."""


class SpentError(httpx.RequestError):
    """A turn has had its time, or its bytes."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx's transport behind the checks of this module."""

    def __init__(self, private_hosts: Collection[str] = ()) -> None:
        self._allowed = frozenset(host_and_port(one) for one in private_hosts)
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None, max_keepalive_connections=20))
        self._resolving = ThreadPoolExecutor(_RESOLVING, "resolving")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Check, send, read within limits; try again where that may help."""
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                return await self._answered(await self._pinned(request), request)
        except TimeoutError:
            detail = f"{request.url.host} did not give its whole answer within {WHOLE_SECONDS:g} seconds"
            raise httpx.ReadTimeout(detail, request=request) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
        self._resolving.shutdown(wait=False, cancel_futures=True)

    async def _answered(self, pinned: httpx.Request, request: httpx.Request) -> httpx.Response:
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1 or request.method not in _REPEATABLE
            try:
                response = await self._inner.handle_async_request(pinned)
            except httpx.TransportError:
                if last:
                    raise
                await asyncio.sleep(_pause(attempt))
                continue
            if response.status_code not in _TEMPORARY or last:
                return await _read(response, request)
            await response.aclose()
            await asyncio.sleep(_pause(attempt, response.headers.get("retry-after", "")))
        raise AssertionError  # the last attempt returns or raises

    async def _pinned(self, request: httpx.Request) -> httpx.Request:
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("only http and https are asked", request=request)
        host = request.url.host
        address = await self._address(request)
        headers = request.headers.copy()  # with the Host of the URL as it was
        headers["accept-encoding"] = "gzip"
        return httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )

    async def _address(self, request: httpx.Request) -> str:
        host, port = request.url.host, request.url.port or USUAL_PORTS[request.url.scheme]
        named = (host, port) in self._allowed
        if port not in USUAL_PORTS.values() and not named:
            entry = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            detail = f"port {port} of {host} is not asked: CAMPAIGN_LEDGER_PRIVATE_HOSTS can allow it as {entry}"
            raise ForbiddenAddressError(detail, request=request)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._resolving, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"{host} cannot be resolved", request=request) from error
        addresses = [str(one[4][0]) for one in found]
        if not named and (host, None) not in self._allowed:
            for one in addresses:
                if not is_public(one):
                    detail = f"{host} is at {one}, which is not public: CAMPAIGN_LEDGER_PRIVATE_HOSTS can allow it"
                    raise ForbiddenAddressError(detail, request=request)
        return addresses[0]


class RationedTransport(httpx.AsyncBaseTransport):
    """Another transport for one turn, with so many seconds and bytes for all of its answers together."""

    def __init__(self, inner: httpx.AsyncBaseTransport, seconds: float, size: int) -> None:
        self._inner = inner
        self._seconds, self._size = seconds, size
        self._until = time.monotonic() + seconds
        self._left = size

    @property
    def spent(self) -> bool:
        """Whether nothing more is asked in this turn."""
        return self._left <= 0 or time.monotonic() >= self._until

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask while there is time and room."""
        if self.spent:
            raise self._error(request)
        try:
            async with asyncio.timeout(self._until - time.monotonic()):
                response = await self._inner.handle_async_request(request)
                self._left -= len(await response.aread())
        except TimeoutError:
            raise self._error(request) from None
        return response

    def _error(self, request: httpx.Request) -> SpentError:
        detail = (
            f"{request.url.host} was asked for {self._seconds:g} seconds or {self._size} bytes, which is all of a turn"
        )
        return SpentError(detail, request=request)


def client(private_hosts: Collection[str] = ()) -> httpx.AsyncClient:
    """Return the client that reading back uses."""
    return client_over(GuardedTransport(private_hosts))


def client_over(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Return a client over a transport of this module; it shares nothing else with other clients, no cookies either."""
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT, follow_redirects=False)


def _pause(attempt: int, asked: str = "") -> float:
    if asked.isascii() and asked.isdigit():
        return min(float(asked[:9]), _LONGEST_PAUSE)
    return float(min(0.2 * 4**attempt, _LONGEST_PAUSE)) * (0.5 + random.random())  # noqa: S311  spreads the load, no secret


async def _read(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    """Return the response with its body, decompressed piece by piece, so that it is never larger than it may be."""
    body, decoder = bytearray(), _Decoder(response.headers.get("content-encoding", ""), request)
    taken = 0
    try:
        async for part in response.aiter_raw(_STEP):
            taken += len(part)
            body += decoder.decoded(part, MAX_ANSWER + 1 - len(body))
            if max(taken, len(body)) > MAX_ANSWER:
                raise TooLargeError(f"{request.url.host} answered more than {MAX_ANSWER} bytes", request=request)
        if taken:
            decoder.check_complete()
    finally:
        await response.aclose()
    headers = [(name, value) for name, value in response.headers.raw if name.decode("latin-1").lower() not in _DECODED]
    return httpx.Response(
        response.status_code, headers=headers, content=bytes(body), request=request, extensions=response.extensions
    )


class _Decoder:
    """Decompresses what one gzip or zlib stream brings, never more than is asked for."""

    def __init__(self, encoding: str, request: httpx.Request) -> None:
        self._request = request
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise self._error(f"expected no Content-Encoding but gzip, got {encoding[:40]}")
        self._inflate = None if name in ("", "identity") else zlib.decompressobj(_GZIP_OR_ZLIB)

    def decoded(self, part: bytes, most: int) -> bytes:
        """Return what a piece brings, up to so many bytes: whoever gets that many need not ask for the rest."""
        if self._inflate is None:
            return part
        try:
            out = self._inflate.decompress(part, most)
        except zlib.error as error:
            raise self._error(str(error)) from None
        if self._inflate.unused_data:
            raise self._error("there is more after the end of the compressed body")
        return out

    def check_complete(self) -> None:
        """Raise if the compressed body has no end."""
        if self._inflate is not None and not self._inflate.eof:
            raise self._error("the compressed body ends too early")

    def _error(self, detail: str) -> httpx.DecodingError:
        return httpx.DecodingError(f"{self._request.url.host}: {detail}", request=self._request)
