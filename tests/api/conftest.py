"""What tests of one module share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import httpx
import pytest

from service.store import ledgers
from tests.conftest import MASTER_KEY, RUN, Api
from tests.support.commands import Ran, Run, call


@pytest.fixture(scope="module")
def module_api(dsn: str, service_url: str, request: pytest.FixtureRequest) -> Iterator[Api]:
    """A client of one ledger that all tests of a module read."""

    async def create() -> tuple[ledgers.Ledger, str]:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as one:
            made = await ledgers.create_ledger(one, f"{RUN}-{request.module.__name__}"[:100])
            return made, await ledgers.create_key(one, made, ledgers.SCOPES)

    made, key = asyncio.run(create())
    with httpx.Client(base_url=service_url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        yield Api(http, made, key)


@pytest.fixture
def run(dsn: str) -> Run:
    """Run a command on the database of the service."""

    def on_database(*arguments: str, **environment: str) -> Ran:
        return call(
            *arguments, **{"CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY, **environment}
        )

    return on_database
