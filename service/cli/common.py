"""What commands share: the options that find the database, and a pool on it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from service import bootstrap, telemetry
from service.settings import Settings
from service.store import audit, database, ledgers, migrate

DataDir = Annotated[Path | None, typer.Option(help="Where the embedded PostgreSQL keeps its data.", show_default="XDG")]
LedgerName = Annotated[str, typer.Option("--ledger", help="The ledger's name.")]
T = TypeVar("T")
_WIDE = 200
_MIGRATING_SECONDS = 60.0


def settings_of(data_dir: Path | None) -> Settings:
    """Return the settings of the environment and the command line, with logs going where they should."""
    try:
        settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
    except ValidationError as error:  # told without the values, which may be secrets
        wrong = (f"CAMPAIGN_LEDGER_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors())
        raise ValueError("; ".join(wrong)) from None
    telemetry.configure_logs(settings.log_level)
    return settings


def with_pool(data_dir: Path | None, work: Callable[[asyncpg.Pool], Awaitable[T]], *, size: int = 4) -> T:
    """Run `work` with a pool on the database, beside a running service or on a server of its own."""
    settings = settings_of(data_dir)

    async def run(dsn: str) -> T:
        pool = await database.connect(dsn, size=size, statement_timeout=3600.0)
        try:
            newest, give_up = migrate.newest(), time.monotonic() + (0 if settings.database_url else _MIGRATING_SECONDS)
            while (at := await database.head_of_migrations(pool)) != newest and time.monotonic() < give_up:  # noqa: ASYNC110
                await asyncio.sleep(
                    0.1
                )  # the service that owns the embedded server is just starting: nothing tells of it
            if at != newest:
                raise RuntimeError(
                    f"the database is at migration {at}, this version needs {newest}: run `campaign-ledger migrate`"
                )
            with audit.acting(audit.operator()):
                return await work(pool)
        finally:
            await pool.close()

    with bootstrap.database_of(settings) as dsn:
        return bootstrap.run(run(dsn))


async def ledger_of(pool: asyncpg.Pool, name: str) -> ledgers.Ledger:
    """Return the ledger of a name; LookupError says how to make one."""
    ledger = await ledgers.ledger_named(pool, name)
    if ledger is None:
        raise LookupError(f"there is no ledger {name!r}: `campaign-ledger ledgers create {name}` makes it")
    return ledger


async def chosen(pool: asyncpg.Pool, name: str | None) -> list[ledgers.Ledger]:
    """Return the ledger of a name, or all of them."""
    return await ledgers.ledgers(pool) if name is None else [await ledger_of(pool, name)]


def show(table: Table) -> None:
    """Print a table to standard output; wide, where that is no terminal."""
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def say(text: Any) -> None:
    """Print a line to standard output."""
    typer.echo(text)
