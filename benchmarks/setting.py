"""What the programs share: a database of their own, a ledger that grows, and programs in processes of their own."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import asyncpg
import httpx

from benchmarks import journeys
from service.store import embedded, ledgers, migrate

P = ParamSpec("P")
T = TypeVar("T")
_FILLED_AT_ONCE = 50_000


class Effort(NamedTuple):
    """How much is done for one figure."""

    rounds: int
    requests: int  # of one round at 16 connections or more
    seconds: float  # of one round at a given rate


USUAL = Effort(rounds=3, requests=6_000, seconds=10.0)
QUICK = Effort(rounds=1, requests=300, seconds=1.0)  # tries the programs out; the figures mean nothing


class Server(NamedTuple):
    """A process that listens."""

    port: int
    pid: int


@dataclass
class Stage:
    """A ledger in a database of its own, filled so far; programs measure on it, and may append to it."""

    dsn: str
    ledger: ledgers.Ledger
    key: str
    effort: Effort
    lines: Iterator[bytes] = field(default_factory=journeys.lines)
    size: int = 0  # the nominal one that is measured at
    sent: int = 0

    def take(self, count: int) -> list[bytes]:
        """Return the next events, which the caller appends."""
        self.sent += count
        return list(itertools.islice(self.lines, count))

    def fill(self, server: Server, until: int) -> None:
        """Append in bulk until the ledger has so many events."""
        while self.sent < until:
            self.bulk(server, self.take(min(_FILLED_AT_ONCE, until - self.sent)))

    def bulk(self, server: Server, bodies: list[bytes]) -> float:
        """Append by one NDJSON request; return the seconds it took."""
        content = b"\n".join(bodies)
        started = time.perf_counter()
        answer = self.http(server).post(
            "/v1/events", content=content, headers={"Content-Type": "application/x-ndjson"}
        )  # fmt: skip
        took = time.perf_counter() - started
        if answer.json().get("accepted") != len(bodies):
            raise RuntimeError(answer.text[:500])
        return took

    def http(self, server: Server) -> httpx.Client:
        """Return a client with the ledger's key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=3600)

    def caught_up(self, server: Server) -> int:
        """Wait until everything is in the read models; return the position."""
        with self.http(server) as client:
            while (found := client.get("/v1/ledger").json())["projected_position"] < found["last_position"]:
                time.sleep(0.05)
        return int(found["last_position"])


@contextmanager
def database() -> Iterator[str]:
    """Give the dsn of an embedded PostgreSQL with durable settings, removed afterwards; or CAMPAIGN_LEDGER_TEST_DATABASE_URL."""
    external = os.environ.get("CAMPAIGN_LEDGER_TEST_DATABASE_URL")
    if external:
        asyncio.run(migrate.migrate(external))
        yield external
        return
    with (
        tempfile.TemporaryDirectory(prefix="campaign-ledger-bench-") as folder,
        embedded.start(Path(folder) / "data") as server,
    ):
        asyncio.run(migrate.migrate(server.dsn))
        yield server.dsn


def new_ledger(dsn: str) -> tuple[ledgers.Ledger, str]:
    """Create a ledger and a key with all scopes."""

    async def create() -> tuple[ledgers.Ledger, str]:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            ledger = await ledgers.create_ledger(pool, f"bench-{random.random()}")
            return ledger, await ledgers.create_key(pool, ledger, ledgers.SCOPES)

    return asyncio.run(create())


def ask(dsn: str, query: str, *values: Any) -> list[asyncpg.Record]:
    """Return the rows of one query."""

    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(dsn)
        try:
            return list(await connection.fetch(query, *values, timeout=3600))
        finally:
            await connection.close()

    return asyncio.run(fetch())


@contextmanager
def process(arguments: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """Run a Python program that listens on a port until the end of the block."""
    running = subprocess.Popen(  # noqa: S603  our own programs
        [sys.executable, *arguments], env={**os.environ, **(environment or {})}, stderr=subprocess.DEVNULL
    )  # fmt: skip
    try:
        give_up = time.monotonic() + 60
        while not _answers(port):
            if running.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{arguments} does not serve")
            time.sleep(0.005)
        yield Server(port, running.pid)
    finally:
        running.terminate()
        running.wait(60)


def _answers(port: int) -> bool:
    """Tell whether a server says that it is ready, or has no idea what that is."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(dsn: str, *arguments: str, **settings: object) -> Iterator[Server]:
    """Run the service on the database."""
    port = free_port()
    environment = {f"CAMPAIGN_LEDGER_{name.upper()}": str(value) for name, value in settings.items()}
    command = ["-m", "service.cli", "serve", "--port", str(port), *arguments]
    with process(command, port, {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, **environment}) as server:
        yield server


@contextmanager
def bare(dsn: str = "") -> Iterator[Server]:
    """Run what the service is compared with."""
    port = free_port()
    with process([str(Path(__file__).with_name("bare.py")), str(port), *([dsn] if dsn else [])], port) as server:
        yield server


def apart(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> tuple[T, float]:
    """Run a function in a fresh interpreter; return its result and that process's peak memory in MB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments, **named).result(), pool.submit(peak).result()


def peak(pid: int | str = "self") -> float:
    """Return the peak resident memory of a process in MB; on systems without /proc, of this one and what it was before."""
    status = Path("/proc", str(pid), "status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
