"""A database as the first release has left it, restored and migrated once, and a copy of it with a service for each test."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from service.store import migrate
from tests.conftest import OPERATOR, start_service, stop_service

FIRST_RELEASE = Path(__file__).parent / "first_release"
_numbers = itertools.count(1)


class Told(NamedTuple):
    """What the first release answered: by ledger its key and its answers by URL; and what its senders know."""

    ledgers: dict[str, dict[str, Any]]
    hooks: dict[str, str]
    master_key: str
    shop_secret: str
    broker_token: str


class Upgraded(NamedTuple):
    """The present release on a copy of the first one's database: a client by ledger, and its command line."""

    told: Told
    dsn: str
    url: str
    http: dict[str, httpx.Client]

    def answers(self, ledger: str = "acme") -> dict[str, Any]:
        """Return what the first release answered of a ledger, by URL."""
        return dict(self.told.ledgers[ledger]["answers"])

    def command(self, *arguments: str, status: int = 0) -> str:
        """Run a command on the same database; return what it prints."""
        ran = self.started(*arguments)
        out, _ = ran.communicate(timeout=120)
        assert ran.returncode == status, out
        return out

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command on the same database."""
        return subprocess.Popen(  # noqa: S603  the command itself
            [sys.executable, "-m", "service.cli", *arguments], env=environment(self.dsn, self.told), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


def environment(dsn: str, told: Told) -> dict[str, str]:
    """Return the environment of a service or command. What senders sent does not grow old: it was sent once and for all."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAMPAIGN_LEDGER_")}
    return {
        **clean, "CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_MASTER_KEY": told.master_key,
        "CAMPAIGN_LEDGER_OPERATOR_TOKEN": OPERATOR, "CAMPAIGN_LEDGER_RETENTION_DAYS": "36500",
        "CAMPAIGN_LEDGER_REJECTED_HOURS": "876000", "CAMPAIGN_LEDGER_MIN_POSITION_TIMEOUT": "1",
    }  # fmt: skip


@pytest.fixture(scope="session")
def told() -> Told:
    return Told(**json.loads(gzip.decompress((FIRST_RELEASE / "answers.json.gz").read_bytes())))


async def _run(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statements)
    await connection.close()


@pytest.fixture(scope="session")
def left(dsn: str) -> Iterator[str]:
    """The database of the first release, as its dump restores it."""
    with copied(dsn, None) as own:
        asyncio.run(_run(own, gzip.decompress((FIRST_RELEASE / "schema_and_data.sql.gz").read_bytes()).decode()))
        yield own


@pytest.fixture(scope="session")
def migrated(dsn: str, left: str) -> Iterator[str]:
    with copied(dsn, left) as own:
        asyncio.run(migrate.migrate(own))
        yield own


@pytest.fixture
def upgraded(dsn: str, migrated: str, told: Told, tmp_path: Path) -> Iterator[Upgraded]:
    with copied(dsn, migrated) as own, ExitStack() as stack:
        running = start_service([], environment(own, told), tmp_path / "log")
        stack.callback(stop_service, running)
        http = {
            name: stack.enter_context(
                httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {one['key']}"}, timeout=60)
            )
            for name, one in told.ledgers.items()
        }
        yield Upgraded(told, own, running.url, http)


@contextmanager
def copied(server: str, template: str | None) -> Iterator[str]:
    """Give the address of a database of its own, made of another one that nobody is connected to; dropped in the end."""
    name = f"upgrade_{os.getpid()}_{next(_numbers)}"
    of = f" TEMPLATE {urlsplit(template).path[1:]}" if template else ""
    asyncio.run(_run(server, f"CREATE DATABASE {name}{of}"))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        asyncio.run(_run(server, f"DROP DATABASE {name} WITH (FORCE)"))
