"""`sources`: connect sending systems, see them, change and close them; the master key behind their secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
import yaml

from service.bootstrap import vault_of
from service.cli.common import DataDir, LedgerName, ledger_of, say, settings_of, with_pool
from service.intake import connecting
from service.intake.senders import KINDS
from service.store import inbox, records, sources
from service.store.people import keys
from service.store.vault import Vault, new_key

sources_app = typer.Typer(help="Connect sending systems.", no_args_is_help=True, rich_markup_mode=None)
_DEFAULT_URL = "http://127.0.0.1:8080"

Secrets = Annotated[
    list[str] | None,
    typer.Option("--secret", help="What requests are verified with; again for another, the newest first."),
]
PathSecret = Annotated[bool, typer.Option(help="Put a secret into the URL, for senders that cannot authenticate.")]
Credentials = Annotated[
    list[str] | None, typer.Option("--credential", help="NAME=VALUE for reading back: token, client_id, client_secret.")
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", exists=True, help="YAML; see docs/senders for the kind.")
]
Rate = Annotated[int | None, typer.Option("--rate", min=1, max=1_000_000, help="Requests per minute that it may send.")]
Retention = Annotated[int | None, typer.Option("--retention", min=1, max=36_500, help="Days that bodies are kept.")]
SourceId = Annotated[str, typer.Argument(help="The id that `sources list` shows.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    example = (
        "Example: campaign-ledger sources create --ledger acme --kind standard-webhooks --name shop --secret whsec_…"
    )
    app.add_typer(sources_app, name="sources", epilog=example)


def read_mapping(path: Path | None) -> dict[str, Any]:
    """Read a mapping from YAML; ValueError if it is none."""
    if path is None:
        return {}
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML in UTF-8: {' '.join(str(error).split())}") from None
    if not isinstance(mapping, dict):
        raise ValueError(f"{path}: expected keys and values, as docs/senders shows for each kind")  # noqa: TRY004
    return mapping


@sources_app.command("key", epilog="Example: export CAMPAIGN_LEDGER_MASTER_KEY=$(campaign-ledger sources key)")
def key() -> None:
    """Print a new master key. Keep it as safe as the database, and apart from it: without it no secret can be read."""
    say(new_key())


@sources_app.command(
    "create", epilog="Example: campaign-ledger sources create --kind generic --name shop --mapping shop.yaml"
)
def create(
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.")],
    name: Annotated[str, typer.Option(help="Stands in the source of its events, so it cannot be changed.")],
    ledger: LedgerName = "default",
    secret: Secrets = None,
    credential: Credentials = None,
    mapping: MappingFile = None,
    rate: Rate = None,
    retention: Retention = None,
    data_dir: DataDir = None,
    *,
    path_secret: PathSecret = False,
) -> None:
    """Connect a sending system and print the URL to enter there; a secret in it is shown this once."""
    if not secret and not path_secret:
        raise ValueError("--secret, or --path-secret for a sender that cannot authenticate: else anybody could post")
    wanted = _change(secret, credential, read_mapping(mapping), rate, retention)
    check_source(kind, wanted, name=name)
    in_path = sources.new_path_secret() if path_secret else None

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        say(_url(await sources.create(pool, _vault(data_dir), found.ledger, kind, name, wanted, in_path), in_path))

    with_pool(data_dir, work)


@sources_app.command("list", epilog="Example: campaign-ledger sources list --ledger acme")
def list_(ledger: LedgerName = "default", data_dir: DataDir = None) -> None:
    """List the sending systems of a ledger: id, kind, name."""

    async def work(pool: asyncpg.Pool) -> None:
        for one in await sources.of_ledger(pool, (await ledger_of(pool, ledger)).ledger):
            say(f"{one.source}\t{one.kind}\t{one.name}")

    with_pool(data_dir, work)


@sources_app.command("show", epilog="Example: campaign-ledger sources show src_…")
def show(source: SourceId, data_dir: DataDir = None) -> None:
    """Show a sending system and its last deliveries, with what became of them."""

    async def work(pool: asyncpg.Pool) -> None:
        one = await _found(pool, source)
        say(f"{one.kind} {one.name}: {_url(one, None)}")
        say(f"secrets: {', '.join(f'since {at:%Y-%m-%d}' for at in one.secrets_at) or 'none'}")
        say(f"mapping: {one.mapping}")
        for delivery in await inbox.listed(pool, one.ledger, one.source, 2**62, 20, None):
            at = f"{delivery.received_at:%Y-%m-%d %H:%M:%S}"
            say(f"{delivery.delivery}\t{at}\t{delivery.state}\t{delivery.reason or ''}")

    with_pool(data_dir, work)


@sources_app.command("update", epilog="Example: campaign-ledger sources update src_… --secret NEW --secret OLD")
def update(
    source: SourceId,
    secret: Secrets = None,
    credential: Credentials = None,
    mapping: MappingFile = None,
    rate: Rate = None,
    retention: Retention = None,
    data_dir: DataDir = None,
    *,
    path_secret: PathSecret = False,
    retranslate: Annotated[bool, typer.Option(help="Translate again what has come.")] = False,
) -> None:
    """Change what is given; --secret replaces all secrets. Running services follow within seconds."""

    async def work(pool: asyncpg.Pool) -> None:
        one = await _found(pool, source)
        given = read_mapping(mapping) if mapping else None
        in_path = sources.new_path_secret() if path_secret else None
        wanted = _change(secret, credential, given, rate, retention)
        check_source(one.kind, wanted, before=json.loads(one.mapping))
        say(_url(await sources.change(pool, _vault(data_dir), one, wanted, in_path), in_path))
        if retranslate:
            deliveries = await inbox.again(pool, one.ledger, one.source)
            say(
                f"{deliveries} deliveries and {await records.again(pool, one.ledger, one.source)} records are translated again"
            )

    with_pool(data_dir, work)


@sources_app.command("discard", epilog='Example: campaign-ledger sources discard src_… 17 --reason "a test message"')
def discard(
    source: SourceId,
    delivery: Annotated[int, typer.Argument(help="The number that `sources show` lists.")],
    reason: Annotated[str, typer.Option(help="Kept with the delivery.")],
    data_dir: DataDir = None,
) -> None:
    """Have a delivery count as if it had never come; what its records give without it follows within seconds."""
    if not reason.strip():
        raise ValueError("--reason: expected a text, which is kept with the delivery")

    async def work(pool: asyncpg.Pool) -> None:
        one = await _found(pool, source)
        if not await inbox.discard(pool, one.ledger, one.source, delivery, reason):
            raise LookupError(f"there is no delivery {delivery} of {one.name} to discard: unknown, or rejected")
        say(f"discarded {delivery}")

    with_pool(data_dir, work)


@sources_app.command("delete", epilog="Example: campaign-ledger sources delete src_…")
def delete(source: SourceId, data_dir: DataDir = None) -> None:
    """Close a source: its URL answers 404, its secrets are forgotten, its events stay."""

    async def work(pool: asyncpg.Pool) -> None:
        one = await _found(pool, source)
        await sources.delete(pool, one.ledger, one.source)
        say(f"deleted {one.name}")

    with_pool(data_dir, work)


@sources_app.command("rekey", epilog="Example: CAMPAIGN_LEDGER_MASTER_KEY=NEW,OLD campaign-ledger sources rekey")
def rekey(data_dir: DataDir = None) -> None:
    """Encrypt all secrets and keys of people anew with the first master key, so that the others can be taken away."""

    async def work(pool: asyncpg.Pool) -> None:
        vault = _vault(data_dir)
        say(f"{await sources.rekey(pool, vault)} values are encrypted with the first master key now")
        say(f"{await keys.rekey(pool, vault)} keys of people are wrapped anew")

    with_pool(data_dir, work)


def _change(
    secret: list[str] | None, credential: list[str] | None, mapping: dict[str, Any] | None, rate: int | None,
    retention: int | None,
) -> sources.Change:  # fmt: skip
    credentials = None if credential is None else dict(one.partition("=")[::2] for one in credential)
    return sources.Change(
        secret or None, credentials, mapping and json.loads(json.dumps(mapping, default=str)), rate, retention
    )


def check_source(
    kind: str, wanted: sources.Change, *, name: str | None = None, before: dict[str, Any] | None = None
) -> None:
    """Check what is given as the API does, and name the option that does not fit."""
    try:
        connecting.check(kind, wanted.secrets, wanted.credentials, wanted.mapping, name=name, before=before)
    except connecting.UnfitError as error:
        option = {"secrets": "secret", "credentials": "credential"}.get(part := error.field.partition(".")[0], part)
        named = f" {error.field.partition('.')[2]}" if part == "credentials" else ""
        raise ValueError(f"--{option}{named}: expected {error.expected}") from None


async def _found(pool: asyncpg.Pool, source: str) -> sources.Stored:
    one = await sources.one(pool, source)
    if one is None:
        raise LookupError(f"there is no source {source!r}: `campaign-ledger sources list` shows them")
    return one


def _vault(data_dir: Path | None) -> Vault:
    return vault_of(settings_of(data_dir))


def _url(one: sources.Stored, path_secret: str | None) -> str:
    base = (settings_of(None).public_url or _DEFAULT_URL).rstrip("/")
    rest = f"/{path_secret}" if path_secret else "/{path_secret}" if one.path_hash else ""
    return f"{base}/v1/hooks/{one.source}{rest}"
