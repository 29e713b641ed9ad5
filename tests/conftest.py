"""What tests share: a real PostgreSQL (embedded, or CAMPAIGN_LEDGER_TEST_DATABASE_URL) and a real service over HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import hypothesis  # noqa: F401  its plugin imports it in the summary, where Python 3.11 may fail at it
import pytest

from service.store import citus, database, embedded, ledgers, migrate
from tests.support import commands, databases
from tests.support.senders_api import HOSTS

_names = itertools.count(1)
OPERATOR = "the-operators-token-0123"
MASTER_KEY = "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="
RUN = f"{os.getpid()}-{int(time.time())}"


class Api(NamedTuple):
    """A client of one fresh ledger, with what is needed often."""

    http: httpx.Client
    ledger: ledgers.Ledger
    key: str

    def post(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Post events as a batch; all of them have to be taken."""
        response = self.http.post("/v1/events", json=list(events))
        assert response.status_code == 200, response.text
        return dict(response.json())

    def read(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Read after everything posted so far has been projected."""
        position = self.http.get("/v1/ledger").json()["last_position"]
        response = self.http.get(path, params={"min_position": position, **parameters})
        assert response.status_code == 200, response.text
        return dict(response.json())


class Running(NamedTuple):
    """A `campaign-ledger serve` of its own."""

    process: subprocess.Popen[bytes]
    url: str


def start_service(arguments: list[str], environment: dict[str, str], log: Path, prefix: Sequence[str] = ()) -> Running:
    """Start the service as its user would, on a free port, perhaps by another command; returns when it listens."""
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603  the service itself
            [*prefix, *commands.COMMAND, "serve", "--port", "0", *arguments],
            env=commands.environment(**environment), stderr=stream, stdout=stream,
        )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"listening"' in line:
                return Running(process, json.loads(line)["url"])
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    raise RuntimeError(f"the service did not start: {log.read_text(encoding='utf-8')}")


def stop_service(running: Running) -> None:
    """Stop it as an operator would."""
    running.process.terminate()
    running.process.wait(30)


async def _distribute(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await citus.distribute(connection)
    await connection.close()


@pytest.fixture(scope="session")
async def dsn(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A database of this process: on a server of its own, or on one that is given."""
    if distributed := os.environ.get("CAMPAIGN_LEDGER_CITUS_URL"):
        if "PYTEST_XDIST_WORKER" in os.environ:
            raise pytest.UsageError("CAMPAIGN_LEDGER_CITUS_URL is one database for all: run `make test WORKERS=0`")
        await migrate.migrate(distributed)
        await _distribute(distributed)
        yield distributed
    elif external := os.environ.get("CAMPAIGN_LEDGER_TEST_DATABASE_URL"):
        async with databases.migrated(external) as own:
            yield own
    else:
        with embedded.start(tmp_path_factory.mktemp("postgresql")) as server:
            await migrate.migrate(server.dsn)
            yield server.dsn


@pytest.fixture(scope="session")
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await database.connect(dsn, size=8, statement_timeout=120)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(pool: asyncpg.Pool) -> ledgers.Ledger:
    return await ledgers.create_ledger(pool, f"{RUN}-{next(_names)}")


@pytest.fixture(scope="session")
def service_url(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("service") / "log"
    environment = {
        "CAMPAIGN_LEDGER_DATABASE_URL": dsn,
        "CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY,
        "CAMPAIGN_LEDGER_OPERATOR_TOKEN": OPERATOR,
        "CAMPAIGN_LEDGER_SIGN_INS_PER_MINUTE": "1000",  # all of them are from one address here
        "CAMPAIGN_LEDGER_PRIVATE_HOSTS": json.dumps(HOSTS),  # where the stories' own APIs listen
    }
    running = start_service([], environment, log)
    yield running.url
    stop_service(running)


@pytest.fixture
def open_api(dsn: str, service_url: str) -> Iterator[Callable[..., Api]]:
    """Open a client on a fresh ledger, of any currency, time zone and scopes."""
    clients: list[httpx.Client] = []

    def open_one(currency: str = "EUR", timezone: str = "UTC", scopes: tuple[str, ...] = ledgers.SCOPES) -> Api:
        async def create() -> tuple[ledgers.Ledger, str]:
            one = await asyncpg.create_pool(dsn, min_size=1, max_size=1)
            async with one:
                made = await ledgers.create_ledger(one, f"{RUN}-{next(_names)}", currency, timezone)
                return made, await ledgers.create_key(one, made, scopes)

        made, key = asyncio.run(create())
        http = httpx.Client(base_url=service_url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        clients.append(http)
        return Api(http, made, key)

    yield open_one
    for one in clients:
        one.close()


@pytest.fixture
def api(open_api: Callable[..., Api]) -> Api:
    return open_api()
