"""More than one process behind one listening socket (`serve --workers N`).

The first process owns the socket, the embedded database and the projector; the others only answer requests. Each is tied
to the first by a pair of sockets: it ends when the other end closes, whatever ended the first process, and sends a byte
whenever it has appended, so that the projector need not poll. One that dies is started again, after a pause that grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator

from service.bootstrap import Service
from service.settings import Settings
from service.supervision import Part


@contextlib.asynccontextmanager
async def others(
    settings: Settings, dsn: str, listener: socket.socket, count: int, service: Service
) -> AsyncIterator[None]:
    """Keep `count` more processes answering at the listener while the block lasts."""
    environment = {**os.environ, "CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_LOG_LEVEL": settings.log_level}
    environment["CAMPAIGN_LEDGER_MASTER_KEY"] = service.vault.keys  # they do not know of the data directory's
    tasks = [
        asyncio.create_task(_keep(environment, listener, service, service.parts.beside(f"process {number + 2}")))
        for number in range(count)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep(environment: dict[str, str], listener: socket.socket, service: Service, part: Part) -> None:
    async def one() -> float:
        ours, theirs = socket.socketpair()
        with theirs:
            fds = (listener.fileno(), theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "service.cli", "serve", "--inherit", f"{fds[0]},{fds[1]}",
                env=environment, pass_fds=fds, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            while await reader.read(4096):  # the first time, because it answers requests
                part.works()
                service.appended()
        finally:
            writer.close()  # which asks it to end
            status = await process.wait()
        raise ChildProcessError(f"process {process.pid} has ended with status {status}")

    await part.repeat(one)


class FirstProcess:
    """The first process, as one of the others sees it."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)

    def tell(self, _: int) -> None:
        """Say that events were appended."""
        with contextlib.suppress(BlockingIOError, OSError):  # it has been told, or has ended
            self._socket.send(b"+")

    async def ended(self) -> None:
        """Wait until it asks this process to end, or has ended itself."""
        with contextlib.suppress(OSError):
            while await asyncio.get_running_loop().sock_recv(self._socket, 64):
                pass
