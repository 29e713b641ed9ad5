"""Runs the alembic migrations in `migrations/`, one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

_LOCK = 7_261_905_014  # any number that nothing else in this database locks


def _config() -> Config:
    package = Path(__file__).parents[1]
    here = [path for path in (package.parent / "migrations", package / "_migrations") if (path / "env.py").is_file()]
    config = Config()
    config.set_main_option("script_location", str(here[0]))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """Return the revision that the code expects the database to be at."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("no migrations were found beside the package")
    return head


async def migrate(dsn: str) -> None:
    """Bring the database to the newest migration; does nothing when it is there."""
    engine = create_async_engine(make_url(dsn).set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    try:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
