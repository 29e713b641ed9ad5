"""Applies the migrations. Apart from `migrate`, because SQLAlchemy and alembic take long to import and are rarely needed."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, make_url, pool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

_LOCK = 7_261_905_014  # any number that nothing else in this database locks


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
    except (SQLAlchemyError, CommandError) as error:  # below the first line is a link to its own documentation
        raise RuntimeError(str(error).splitlines()[0]) from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, place: str) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    try:
        config = _configured(place)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
