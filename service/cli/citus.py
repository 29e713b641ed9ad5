"""`citus`: the tables on several machines."""

from __future__ import annotations

import asyncpg
import typer

from service.cli.common import DataDir, say, with_pool
from service.store import citus as store

citus_app = typer.Typer(
    help="Distribute the tables by ledger, with Citus.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(citus_app, name="citus", epilog="Example: campaign-ledger citus distribute")


@citus_app.command(epilog="Example: CAMPAIGN_LEDGER_DATABASE_URL=postgresql://… campaign-ledger citus distribute")
def distribute(data_dir: DataDir = None) -> None:
    """Distribute every table that is not distributed yet; may be run again after each migration."""

    async def work(pool: asyncpg.Pool) -> list[store.Placement]:
        async with pool.acquire() as connection:
            return await store.distribute(connection)

    for one in with_pool(data_dir, work):
        kind = "on every machine" if one.reference else "by ledger"
        say(f"{one.table}: {kind}{', as before' if one.done else ''}")


@citus_app.callback()
def _group() -> None:
    """Keep `distribute` a command of its own while it is the only one."""
