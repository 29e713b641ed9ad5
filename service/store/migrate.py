"""The migrations in `migrations/`: which is the newest, and bringing a database there."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from service.store import bi, database


def place() -> Path:
    """Return the folder of the migrations: beside the package, or in it where it is installed."""
    package = Path(__file__).parents[1]
    places = (package.parent / "migrations", package / "_migrations")
    return next(path for path in places if (path / "env.py").is_file())


def newest() -> str:
    """Return the revision that the code expects the database to be at: the last one by the names of the files."""
    return max(path.name for path in (place() / "versions").glob("[0-9]*.py")).partition("_")[0]


async def migrate(dsn: str) -> None:
    """Bring the database to the newest migration; does nothing when it is there. RuntimeError says why not."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        at = await database.head_of_migrations(connection)
        if at != newest() and await connection.fetchval("SELECT to_regnamespace('bi')") is not None:
            async with connection.transaction():
                await bi.drop(connection)  # the service makes them anew when it starts
    finally:
        await connection.close()
    if at != newest():
        from service.store import alembic  # noqa: PLC0415  takes as long to import as everything else that starts

        try:
            await alembic.upgrade(dsn, str(place()))
        except RuntimeError as error:
            raise RuntimeError(
                f"the migration from {at or 'an empty database'} to {newest()} failed: {error}"
            ) from error
