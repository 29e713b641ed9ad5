"""`hooks`: try a kind of sender – post a sample correctly signed, or see which events it gives without storing any."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated

import httpx
import typer

from service.cli.common import say
from service.cli.sources import MappingFile, Secrets, check_source, read_mapping
from service.intake import healing
from service.intake.reconcile import events_of
from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Request,
    Source,
    Statement,
    Unreadable,
    Waiting,
    Wanted,
    in_order,
)
from service.intake.senders.dataverse import registration
from service.store.rows import encode_json
from service.store.sources import Change

hooks_app = typer.Typer(help="Try what senders post.", no_args_is_help=True, rich_markup_mode=None)
KindName = Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")]
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="What is posted; docs/senders/samples has some."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    sample = "docs/senders/samples/standard-webhooks/order-placed.json"
    app.add_typer(
        hooks_app, name="hooks", epilog=f"Example: campaign-ledger hooks translate standard-webhooks {sample}"
    )


@hooks_app.command("send", epilog="Example: campaign-ledger hooks send generic order.json --url URL --secret SECRET")
def send(
    kind: KindName,
    files: Files,
    url: Annotated[str, typer.Option(help="The URL of the source, as `sources create` printed it.")],
    secret: Secrets = None,
    mapping: MappingFile = None,
) -> None:
    """Post files as that kind of sender does, correctly signed; exit code 1 unless all are taken."""
    found, source = _source(kind, secret, mapping, url)
    refused = 0
    for one in files:
        body = one.read_bytes()
        answer = httpx.post(url, content=body, headers=found.sign(body, source, datetime.now(UTC)), timeout=30)
        refused += not answer.is_success
        say(f"{one.name}: {answer.status_code} {answer.text.strip()[:500]}".rstrip())
    if refused:
        raise typer.Exit(1)


@hooks_app.command(
    "register-dataverse",
    epilog="Example: campaign-ledger hooks register-dataverse https://contoso.crm4.dynamics.com --url URL --secret SECRET",
)
def register_dataverse(
    environment: Annotated[str, typer.Argument(help="The URL of the organisation in Dynamics 365.")],
    url: Annotated[str, typer.Option(help="The URL of the source, as `sources create` printed it.")],
    secret: Annotated[str, typer.Option(help="The secret of the source.")],
    mapping: MappingFile = None,
    name: Annotated[str, typer.Option(help="What the web hook is called there.")] = "Campaign Ledger",
    *,
    dry_run: Annotated[
        bool, typer.Option(help="Print the steps and the columns of their images, and change nothing.")
    ] = False,
) -> None:
    """Register the web hook, its steps and images in Dataverse; the token is read from DATAVERSE_TOKEN.

    `az account get-access-token --resource ENVIRONMENT --query accessToken -o tsv` prints one.
    """
    given = read_mapping(mapping)
    check_source("dataverse", Change(secrets=[secret], mapping=given))
    checked = KINDS["dataverse"].check_mapping(given)
    if dry_run:
        for step in registration.planned(checked):
            say(f"{step.message} of {step.table}" + (f": after ({', '.join(step.columns)})" if step.columns else ""))
        return
    token = os.environ.get("DATAVERSE_TOKEN", "")
    if not token:
        raise ValueError("DATAVERSE_TOKEN: expected a token in the environment; --help says how to get one")
    if "'" in name:
        raise ValueError("--name: expected a name without an apostrophe")
    api = registration.WebApi(environment, token)
    try:
        for line in registration.register(api, name, url, secret, checked):
            say(line)
    finally:
        api.close()


@hooks_app.command(
    "translate", epilog="Example: campaign-ledger hooks translate generic order.json --mapping shop.yaml"
)
def translate(kind: KindName, files: Files, mapping: MappingFile = None) -> None:
    """Print the events that files give together, one per line; what else they give goes to standard error.

    Exit code 1 if a file cannot be read.
    """
    found, source = _source(kind, None, mapping, "http://127.0.0.1:8080/v1/hooks/src_example")
    read = [_read(found, source, one) for one in files]
    _print_events(found, source, [statement for statements in read for statement in statements or ()])
    if None in read:
        raise typer.Exit(1)


def _read(found: Kind, source: Source, file: Path) -> list[Statement] | None:
    """Return what a file states, and tell what else it gives; None if it cannot be read."""
    body, now = file.read_bytes(), datetime.now(UTC)
    headers = {name.lower(): value for name, value in found.sign(body, source, now).items()}
    statements: list[Statement] = []
    try:
        for part in found.read(Request("POST", source.public_url, headers, {}, body, now), source):
            match part:
                case Statement():
                    statements.append(part)
                case Ignored(reason):
                    _tell(f"{file.name}: ignored: {reason}")
                case Unreadable(reason):
                    _tell(f"{file.name}: cannot be read: {reason}")
                case Wanted():
                    _tell(f"{file.name}: {part.record} would be read back from {part.url}")
    except MalformedError as error:
        _tell(f"{file.name}: cannot be read: {error}")
        return None
    return statements


def _print_events(found: Kind, source: Source, statements: Sequence[Statement]) -> None:
    ordered_by = sorted(statements, key=lambda one: one.record)
    known = {name: in_order(several) for name, several in groupby(ordered_by, key=lambda one: one.record)}
    source = source._replace(known=known)
    for record, ordered in known.items():
        parts, faults = healing.translated(partial(_given, found, record, source), ordered)
        for fault in faults:
            _tell(f"{record}: {fault.reason}" + ("; a later message says it anew" if fault.healed else ""))
        for waiting in (part for part in parts if isinstance(part, Waiting)):
            _tell(f"{record} waits: {waiting.reason}")
        if not parts:
            _tell(f"{record} gives nothing: {found.unsaid(record, ordered, source)}")
        for event in events_of(source.name, record, [part for part in parts if isinstance(part, Draft)]):
            say(encode_json(event).decode())


def _given(kind: Kind, record: str, source: Source, statements: Sequence[Statement]) -> list[Draft | Waiting]:
    return kind.translate(record, statements, source)


def _source(kind: str, secret: list[str] | None, mapping: Path | None, url: str) -> tuple[Kind, Source]:
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r}, but {', '.join(KINDS)}")
    found = KINDS[kind]
    given = read_mapping(mapping)
    check_source(kind, Change(secrets=secret, mapping=given))
    checked = found.check_mapping(given)
    return found, Source("src_example", kind, "example", tuple(secret or ()), checked, url)


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
