"""What tests of the database share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.store import database
from tests.support import databases


@pytest.fixture(scope="module")
async def own_pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to a database that no service looks into: it would take leases and translate what is put there."""
    async with databases.migrated(dsn) as own:
        opened = await database.connect(own, size=8, statement_timeout=120)
        yield opened
        await opened.close()
