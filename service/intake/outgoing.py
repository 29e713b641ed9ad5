"""Requests that the service itself makes, to read records back: guarded, because their URLs come from configuration.

The name is resolved here, every address of it has to be public (unless the operator allows the host), and the connection
goes to exactly the address that was checked, so that no second look at the DNS can lead elsewhere. Redirects are not
followed. Answers are limited in size and time; what looks temporary is tried again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Collection

import httpx

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
MAX_ANSWER = 16 * 1024 * 1024
_ATTEMPTS = 3
_LONGEST_PAUSE = 5.0
_TEMPORARY = (429, 502, 503, 504)
_REPEATABLE = ("GET", "HEAD")


class ForbiddenAddressError(httpx.RequestError):
    """A URL that leads to an address which is not public."""


class TooLargeError(httpx.RequestError):
    """An answer beyond what is read."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx's transport behind the checks of this module."""

    def __init__(self, private_hosts: Collection[str] = ()) -> None:
        self._private_hosts = frozenset(private_hosts)
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Check, send, read within limits; try again where that may help."""
        pinned = await self._pinned(request)
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

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _pinned(self, request: httpx.Request) -> httpx.Request:
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("only http and https are asked", request=request)
        host = request.url.host
        address = await self._address(host, request)
        return httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,  # with the Host of the URL as it was
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )

    async def _address(self, host: str, request: httpx.Request) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"{host} cannot be resolved", request=request) from error
        addresses = [str(one[4][0]) for one in found]
        if host not in self._private_hosts:
            for one in addresses:
                if not _is_public(one):
                    detail = f"{host} is at {one}, which is not public: CAMPAIGN_LEDGER_PRIVATE_HOSTS can allow it"
                    raise ForbiddenAddressError(detail, request=request)
        return addresses[0]


def client(private_hosts: Collection[str] = ()) -> httpx.AsyncClient:
    """Return the client that reading back uses."""
    return httpx.AsyncClient(transport=GuardedTransport(private_hosts), timeout=TIMEOUT, follow_redirects=False)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (inner := found.ipv4_mapped or found.sixtofour) is not None:
        found = inner
    return found.is_global and not found.is_multicast


def _pause(attempt: int, asked: str = "") -> float:
    if asked.isdigit():
        return min(float(asked), _LONGEST_PAUSE)
    return float(min(0.2 * 4**attempt, _LONGEST_PAUSE)) * (0.5 + random.random())  # noqa: S311  spreads the load, no secret


async def _read(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    parts, size = [], 0
    try:
        async for part in response.aiter_raw():
            size += len(part)
            if size > MAX_ANSWER:
                raise TooLargeError(f"{request.url.host} answered more than {MAX_ANSWER} bytes", request=request)
            parts.append(part)
    finally:
        await response.aclose()
    return httpx.Response(
        response.status_code, headers=response.headers, content=b"".join(parts), request=request,
        extensions=response.extensions,
    )  # fmt: skip
