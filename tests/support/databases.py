"""Databases of a test's own, on the server that all tests share."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from service.store import migrate

_numbers = itertools.count(1)


@asynccontextmanager
async def empty(dsn: str) -> AsyncIterator[str]:
    """Give the address of a new database without tables, beside the one at `dsn`; dropped in the end."""
    name = f"own_{os.getpid()}_{next(_numbers)}"
    await _run(dsn, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(dsn)._replace(path=f"/{name}").geturl()
    finally:
        await _run(dsn, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def migrated(dsn: str) -> AsyncIterator[str]:
    """Give the address of a database with all tables and no ledger, that no other test's service looks into."""
    async with empty(dsn) as own:
        await migrate.migrate(own)
        yield own


async def _run(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def to(dsn: str, revision: str) -> None:
    """Migrate up or down to a revision."""
    engine = create_async_engine(make_url(dsn).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        await connection.run_sync(_moved, revision)
        await connection.commit()
    await engine.dispose()


def _moved(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.place()))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    (command.downgrade if _at(connection) > revision else command.upgrade)(config, revision)


def _at(connection: Connection) -> str:
    exists = connection.exec_driver_sql("SELECT to_regclass('alembic_version') IS NOT NULL").scalar()
    return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()) if exists else ""
