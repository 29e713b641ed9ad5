"""`bi`: who may read a ledger by SQL."""

from __future__ import annotations

from typing import Annotated

import asyncpg
import typer

from service.cli.common import DataDir, ledger_of, say, with_pool
from service.projections.reports import bi_views
from service.store import bi as store

bi_app = typer.Typer(
    help="Let roles of the database read a ledger's views, for tools that speak SQL.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
LedgerArgument = Annotated[str, typer.Argument(help="The ledger's name.")]
RoleArgument = Annotated[str, typer.Argument(help="A role of the database; it is made if it is not there.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(bi_app, name="bi", epilog="Example: campaign-ledger bi grant acme acme_bi")


@bi_app.command(epilog="Example: campaign-ledger bi grant acme acme_bi")
def grant(ledger: LedgerArgument, role: RoleArgument, data_dir: DataDir = None) -> None:
    """Let a role read the views of one ledger, and nothing else; print the password of a role that was made, once."""

    async def work(pool: asyncpg.Pool) -> str | None:
        found = await ledger_of(pool, ledger)
        async with pool.acquire() as connection:
            return await store.grant(connection, found, role, bi_views.views(), bi_views.fingerprint())

    password = with_pool(data_dir, work)
    say(
        f"{role} reads the views of ledger {ledger} in the schema bi"
        + (f"; its password is {password}" if password else "")
    )


@bi_app.command(epilog="Example: campaign-ledger bi revoke acme acme_bi")
def revoke(ledger: LedgerArgument, role: RoleArgument, data_dir: DataDir = None) -> None:
    """Take it back, at once. The role itself stays, with nothing to read."""

    async def work(pool: asyncpg.Pool) -> bool:
        found = await ledger_of(pool, ledger)
        async with pool.acquire() as connection:
            return await store.revoke(connection, found, role)

    if not with_pool(data_dir, work):
        raise LookupError(f"{role} does not read ledger {ledger}: `campaign-ledger bi list` tells who does")
    say(f"{role} reads nothing any more")


@bi_app.command("list", epilog="Example: campaign-ledger bi list")
def list_grants(data_dir: DataDir = None) -> None:
    """List who reads what."""

    async def work(pool: asyncpg.Pool) -> list[store.Grant]:
        return await store.grants(pool)

    for one in with_pool(data_dir, work):
        say(f"{one.role}\t{one.ledger}")
