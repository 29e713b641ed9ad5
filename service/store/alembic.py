"""Applies the migrations. Apart from `migrate`, because SQLAlchemy and alembic take long to import and are rarely needed."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, make_url, pool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

# One process migrates at a time: two that start at once would both make the same tables, and one of them fail. The number is any
# that nothing else in this database locks.
_LOCK = 7_261_905_014


def _configured(place: str) -> Config:
    """Return what alembic needs to know of the migrations in a folder."""
    config = Config()
    config.set_main_option("script_location", place)
    config.set_main_option("path_separator", "os")
    return config


async def upgrade(dsn: str, place: str) -> None:
    """Bring a database to the newest of the migrations in a folder, one process at a time; RuntimeError says why not."""
    engine = create_async_engine(make_url(dsn).set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade, place)
            await connection.commit()
    except (SQLAlchemyError, CommandError) as error:
        raise RuntimeError(_cause(error)) from error
    finally:
        await engine.dispose()


def _cause(error: Exception) -> str:
    """Return what PostgreSQL says, without what the layers above it put around: their classes, the statement, a link."""
    given = getattr(error, "orig", None) or error
    return str(given.__cause__ or given).splitlines()[0]


def _upgrade(connection: Connection, place: str) -> None:
    # Its end gives the lock back: to unlock after a failure would fail as well, and tell that instead of the cause.
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    config = _configured(place)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
