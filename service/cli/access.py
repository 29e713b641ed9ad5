"""`ledgers` and `keys`."""

from __future__ import annotations

from typing import Annotated

import asyncpg
import typer

from service.cli.common import DataDir, LedgerName, ledger_of, say, with_pool
from service.store import ledgers as store

ledgers_app = typer.Typer(help="Create and list ledgers.", no_args_is_help=True, rich_markup_mode=None)
keys_app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(ledgers_app, name="ledgers", epilog="Example: campaign-ledger ledgers create acme")
    app.add_typer(keys_app, name="keys", epilog="Example: campaign-ledger keys create --ledger acme --scope ingest")


@ledgers_app.command(
    "create", epilog="Example: campaign-ledger ledgers create acme --currency USD --timezone America/New_York"
)
def create_ledger(
    name: str,
    currency: Annotated[str, typer.Option(help="Reporting currency, ISO 4217.")] = "EUR",
    timezone: Annotated[str, typer.Option(help="Reporting time zone, IANA name.")] = "UTC",
    data_dir: DataDir = None,
) -> None:
    """Create a ledger: one customer's books."""

    async def work(pool: asyncpg.Pool) -> None:
        ledger = await store.create_ledger(pool, name, currency, timezone)
        say(f"created ledger {ledger.name} ({ledger.currency}, {ledger.timezone})")

    with_pool(data_dir, work)


@ledgers_app.command("list", epilog="Example: campaign-ledger ledgers list")
def list_ledgers(data_dir: DataDir = None) -> None:
    """List the ledgers."""

    async def work(pool: asyncpg.Pool) -> None:
        for one in await store.ledgers(pool):
            say(f"{one.name}\t{one.currency}\t{one.timezone}")

    with_pool(data_dir, work)


@keys_app.command("create", epilog="Example: campaign-ledger keys create --ledger acme --scope ingest --name crm")
def create_key(
    ledger: LedgerName = "default",
    scope: Annotated[list[str] | None, typer.Option(help="ingest, read, figures or admin; may be given again.")] = None,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Create an API key and print it, once. Without --scope it may ingest and read."""

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        say(await store.create_key(pool, found, tuple(scope or ("ingest", "read")), name))

    with_pool(data_dir, work)


@keys_app.command("list", epilog="Example: campaign-ledger keys list --ledger acme")
def list_keys(ledger: LedgerName = "default", data_dir: DataDir = None) -> None:
    """List a ledger's keys: id (with the prefix of the key), name, scopes, state."""

    async def work(pool: asyncpg.Pool) -> None:
        for one in await store.keys(pool, await ledger_of(pool, ledger)):
            state = f"revoked {one.revoked_at}" if one.revoked_at else "in force"
            say(f"{one.key_id}\t{one.name or '-'}\t{','.join(one.scopes)}\t{state}")

    with_pool(data_dir, work)


@keys_app.command("revoke", epilog="Example: campaign-ledger keys revoke cl_aB3dE6fG-1a2b3c")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id that `keys list` shows.")], data_dir: DataDir = None
) -> None:
    """Revoke a key; running services refuse it within seconds."""

    async def work(pool: asyncpg.Pool) -> None:
        if not await store.revoke_key(pool, key_id):
            raise LookupError(f"there is no key {key_id!r} in force: `campaign-ledger keys list` shows them")
        say(f"revoked {key_id}")

    with_pool(data_dir, work)
