"""`ledgers`, `keys`, `grants` and `audit`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
import typer
from rich.table import Table

from service.bootstrap import DEFAULT_LEDGER
from service.cli.common import DataDir, LedgerName, ledger_of, say, settings_of, show, with_pool
from service.store import audit, grants, sessions
from service.store import ledgers as store

ledgers_app = typer.Typer(help="Create and list ledgers.", no_args_is_help=True, rich_markup_mode=None)
keys_app = typer.Typer(help="Create, list, change and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)
grants_app = typer.Typer(help="Who may do what by signing in.", no_args_is_help=True, rich_markup_mode=None)
_LAST = 2**62
DEFAULT_URL = "http://127.0.0.1:8080"
LINK_SECONDS = 900.0

Scopes = Annotated[
    list[str] | None, typer.Option("--scope", help="ingest, read, figures or admin; may be given again.")
]
Expires = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"], help="When it ends by itself; a day begins in UTC."),
]
Addresses = Annotated[
    list[str] | None, typer.Option("--address", help="An address or network that it opens for; may be given again.")
]
KeyId = Annotated[str, typer.Argument(help="The id that `keys list` shows.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(ledgers_app, name="ledgers", epilog="Example: campaign-ledger ledgers create acme")
    app.add_typer(keys_app, name="keys", epilog="Example: campaign-ledger keys create --ledger acme --scope ingest")
    app.add_typer(grants_app, name="grants", epilog="Example: campaign-ledger grants list --ledger acme")
    app.command("login-link", epilog="Example: campaign-ledger login-link --url https://ledger.example.com")(login_link)
    app.command("audit", epilog="Example: campaign-ledger audit acme --action key.revoked")(audit_)


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


@keys_app.command(
    "create", epilog="Example: campaign-ledger keys create --ledger acme --scope ingest --name crm --expires 2030-01-01"
)
def create_key(
    ledger: LedgerName = "default",
    scope: Scopes = None,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    expires: Expires = None,
    address: Addresses = None,
    data_dir: DataDir = None,
) -> None:
    """Create an API key and print it, once. Without --scope it may ingest and read."""

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        _, secret = await store.make_key(
            pool, found, scope or ("ingest", "read"), name, expires_at=_in_utc(expires), addresses=address or ()
        )
        say(secret)

    with_pool(data_dir, work)


@keys_app.command("list", epilog="Example: campaign-ledger keys list --ledger acme")
def list_keys(ledger: LedgerName = "default", data_dir: DataDir = None) -> None:
    """List a ledger's keys: id (with the prefix of the key), name, scopes, state, when used last, end, addresses."""

    async def work(pool: asyncpg.Pool) -> None:
        for one in await store.keys(pool, await ledger_of(pool, ledger)):
            state = f"revoked {one.revoked_at}" if one.revoked_at else one.state
            used = f"used {one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never used"
            ends = f"until {one.expires_at:%Y-%m-%d %H:%M}" if one.expires_at else "without end"
            places = ",".join(one.addresses) or "anywhere"
            say(f"{one.key_id}\t{one.name or '-'}\t{','.join(one.scopes)}\t{state}\t{used}\t{ends}\t{places}")

    with_pool(data_dir, work)


@keys_app.command("change", epilog="Example: campaign-ledger keys change cl_aB3dE6fG-1a2b3c --address 192.0.2.0/24")
def change_key(
    key_id: KeyId,
    ledger: LedgerName = "default",
    name: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    expires: Expires = None,
    address: Addresses = None,
    data_dir: DataDir = None,
    *,
    anywhere: Annotated[bool, typer.Option("--anywhere", help="Let it open for all addresses.")] = False,
    endless: Annotated[bool, typer.Option("--endless", help="Let it have no end.")] = False,
) -> None:
    """Change what is given of a key: its name, its end, the addresses that it opens for."""
    if (address and anywhere) or (expires and endless):
        raise ValueError("--address and --anywhere exclude each other, and so do --expires and --endless")

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        before = await store.key(pool, found, key_id)
        await store.change_key(
            pool, found, key_id, name=before.name if name is None else name,
            expires_at=None if endless else _in_utc(expires) or before.expires_at,
            addresses=() if anywhere else address or before.addresses,
        )  # fmt: skip
        say(f"changed {key_id}")

    with_pool(data_dir, work)


@keys_app.command("revoke", epilog="Example: campaign-ledger keys revoke cl_aB3dE6fG-1a2b3c")
def revoke_key(key_id: KeyId, data_dir: DataDir = None) -> None:
    """Revoke a key, and with it the sessions begun by it; running services refuse it within seconds."""

    async def work(pool: asyncpg.Pool) -> None:
        if not await store.revoke_key(pool, key_id):
            raise LookupError(f"there is no key {key_id!r} in force: `campaign-ledger keys list` shows them")
        say(f"revoked {key_id}")

    with_pool(data_dir, work)


@grants_app.command(
    "create", epilog="Example: campaign-ledger grants create --ledger acme --group finance --scope read"
)
def create_grant(
    ledger: LedgerName = "default",
    subject: Annotated[str | None, typer.Option(help="The `sub` of one person, as the sign-in page shows it.")] = None,
    group: Annotated[str | None, typer.Option(help="One of the groups that the issuer tells.")] = None,
    issuer: Annotated[
        str | None, typer.Option(help="The OpenID provider, or proxy; default: the one that is set.")
    ] = None,
    scope: Scopes = None,
    data_dir: DataDir = None,
) -> None:
    """Let a person, or all of a group, of an OpenID provider do something in a ledger. Without --scope they may read."""
    given = issuer or settings_of(data_dir).oidc_issuer
    if given is None:
        raise ValueError("--issuer: expected one, for CAMPAIGN_LEDGER_OIDC_ISSUER is not set")

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        made = await grants.create(pool, found, given, scope or ("read",), subject=subject, group=group)
        say(made.id)

    with_pool(data_dir, work)


@grants_app.command("list", epilog="Example: campaign-ledger grants list --ledger acme")
def list_grants(ledger: LedgerName = "default", data_dir: DataDir = None) -> None:
    """List who may do what in a ledger by signing in."""

    async def work(pool: asyncpg.Pool) -> None:
        for one in await grants.listed(pool, await ledger_of(pool, ledger)):
            whom = f"group {one.group}" if one.group else f"subject {one.subject}"
            say(f"{one.id}\t{one.issuer}\t{whom}\t{','.join(one.scopes)}")

    with_pool(data_dir, work)


@grants_app.command("revoke", epilog="Example: campaign-ledger grants revoke grant_0a1b2c3d4e5f --ledger acme")
def revoke_grant(
    grant: Annotated[str, typer.Argument(help="The id that `grants list` shows.")],
    ledger: LedgerName = "default",
    data_dir: DataDir = None,
) -> None:
    """Take a grant back: who is signed in by it sees nothing any more within seconds."""

    async def work(pool: asyncpg.Pool) -> None:
        if not await grants.revoke(pool, await ledger_of(pool, ledger), grant):
            raise LookupError(f"there is no grant {grant!r}: `campaign-ledger grants list` shows them")
        say(f"revoked {grant}")

    with_pool(data_dir, work)


def login_link(
    ledger: Annotated[str | None, typer.Option(help="The ledger to begin with; default: the first.")] = None,
    url: Annotated[str | None, typer.Option(help="Where the service is; default: CAMPAIGN_LEDGER_PUBLIC_URL.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Print a link that signs a browser in to all ledgers, once and within 15 minutes: whoever has the database has them."""
    base = url or settings_of(data_dir).public_url or DEFAULT_URL

    async def work(pool: asyncpg.Pool) -> None:
        say(await new_link(pool, base, None if ledger is None else (await ledger_of(pool, ledger)).name))

    with_pool(data_dir, work)


async def new_link(pool: asyncpg.Pool, base: str, ledger: str | None = None) -> str:
    """Return a link to sign in with, once. Where there is no ledger yet, the first one is made, to have one to see."""
    if not (known := await store.ledgers(pool)):
        known = [await store.create_ledger(pool, DEFAULT_LEDGER)]
    first = next((one for one in known if one.name == (ledger or DEFAULT_LEDGER)), known[0])
    payload = {"subject": audit.operator().name.removeprefix("cli:"), "ledger": first.name}
    ticket = await sessions.new_ticket(pool, "link", payload, LINK_SECONDS)
    return f"{base.rstrip('/')}/login?once={ticket}"


def audit_(
    ledger: Annotated[str, typer.Argument(help="The ledger's name.")] = "default",
    action: Annotated[str | None, typer.Option(help="Only this action, as key.revoked.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this actor did.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many entries, the newest.")] = 100,
    data_dir: DataDir = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show who did what to a ledger, newest first: keys, sources, models, rebuilds, dismissals, erasures, grants, sign-ins."""
    if action is not None and action not in audit.ACTIONS:
        raise ValueError(f"--action: expected one of {', '.join(audit.ACTIONS)}, got {action}")

    async def work(pool: asyncpg.Pool) -> list[audit.Entry]:
        found = await ledger_of(pool, ledger)
        return await audit.listed(pool, found.ledger, _LAST, limit, action, actor)

    entries = with_pool(data_dir, work)
    if as_json:
        say(json.dumps([one._asdict() for one in entries], indent=2, default=str))
        return
    table = Table("number", "at", "actor", "action", "object", "address", "details")
    for one in entries:
        told = ", ".join(f"{name}: {value}" for name, value in one.details.items())
        at = f"{one.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(one.entry), at, one.actor, one.action, one.object or "-", one.address or "-", told)
    show(table)


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
