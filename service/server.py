"""The HTTP server around a service: bind first, serve as long as a block lasts, end when a signal asks for it.

    with interruption() as interrupted:
        async with opened(settings, dsn, projector=True) as service, serving(service, listener) as url:
            await interrupted.wait()

uvicorn's own signal handling would raise SIGTERM anew after its shutdown and so end the process before leases are given
back and the embedded database is stopped; so signals are handled here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from service.bootstrap import Service

_BACKLOG = 2048
_LAST_PORT = 65_535


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at host and port (0 = a free one); OSError says what to change."""
    if not 0 <= port <= _LAST_PORT:
        raise OSError(f"a port is a number up to {_LAST_PORT}, not {port}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        raise OSError(f"cannot listen at {host}, port {port}: {reason}") from error


def url_of(listener: socket.socket) -> str:
    """Return the address that a listener can be reached at."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def serving(
    service: Service, listener: socket.socket, demo: Callable[[], Iterable[dict[str, Any]]] | None = None
) -> AsyncIterator[str]:  # fmt: skip
    """Serve in the background and give the URL; at the end of the block, requests in hand are finished first."""
    import uvicorn  # noqa: PLC0415  the framework, which commands that serve nothing need not wait for

    from service.api import connections  # noqa: PLC0415
    from service.dashboard.app import create  # noqa: PLC0415

    settings = service.settings
    most = connections.room_for(settings.max_connections)
    crowd = connections.Crowd(connections.Limits(settings.max_head_bytes, settings.request_timeout, most))
    url = url_of(listener)
    front = create(service, demo)
    config = uvicorn.Config(
        front, lifespan="off", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=10, timeout_keep_alive=65, backlog=_BACKLOG, ws="none", proxy_headers=False,
        http=functools.partial(connections.Connection, crowd),  # type: ignore[arg-type]  # it is only called
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]  # signals are handled here
    task = asyncio.create_task(server.serve([listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.005)
        if server.started:
            async with crowd.watched():
                yield url
    finally:
        front.app.state.live.close()
        server.should_exit = True
        await task
        under_way = [one for one in front.app.state.importing if one.cancel()]  # which can go on where they are
        await asyncio.gather(*under_way, return_exceptions=True)


@contextlib.contextmanager
def interruption() -> Iterator[asyncio.Event]:
    """Give an event that SIGINT or SIGTERM sets. Only the first one: a second one acts as it does without this."""
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    watched = (signal.SIGINT, signal.SIGTERM)

    def unwatch() -> None:
        for number in watched:
            loop.remove_signal_handler(number)

    def interrupt() -> None:
        interrupted.set()
        unwatch()

    for number in watched:
        loop.add_signal_handler(number, interrupt)
    try:
        yield interrupted
    finally:
        unwatch()
