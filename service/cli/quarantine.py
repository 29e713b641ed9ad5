"""`quarantine`: what could not be taken as it came. List and count it, try it again, or dismiss it with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
from rich.table import Table

from service.bootstrap import vault_of
from service.cli.common import DataDir, LedgerName, ledger_of, say, settings_of, show, with_pool
from service.intake.acceptance import Intake
from service.intake.decoding import Limits
from service.store import quarantine
from service.store.ledgers import Ledger
from service.store.log.group_commit import Appender
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects
from service.store.quarantine import Chosen, Kept

quarantine_app = typer.Typer(help="What could not be taken as it came.", no_args_is_help=True, rich_markup_mode=None)
_BY = ("reason", "type", "source")
_WHO = "command line"
_PAGE = 1_000
_SHOWN_REASON = 100  # characters

Item = Annotated[int, typer.Argument(metavar="ITEM", min=1, help="Its number, as `quarantine list` shows it.")]
Items = Annotated[list[int] | None, typer.Argument(metavar="[ITEM]...", min=1, help="Numbers that `list` shows.")]
Type = Annotated[str | None, typer.Option("--type", help="Only of this type of event.")]
Source = Annotated[str | None, typer.Option("--source", help="Only of this source.")]
Cause = Annotated[str | None, typer.Option("--cause", help="Only what fails for this reason, as --by reason tells it.")]
State = Annotated[str, typer.Option("--state", help=f"One of {', '.join(quarantine.STATES)}.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(
        quarantine_app, name="quarantine", epilog="Example: campaign-ledger quarantine list --ledger acme --by reason"
    )


@quarantine_app.command("list", epilog="Example: campaign-ledger quarantine list --type order.placed")
def list_(
    ledger: LedgerName = "default",
    type_: Type = None,
    source: Source = None,
    cause: Cause = None,
    state: State = "waiting",
    by: Annotated[str | None, typer.Option(help="Count them instead: by reason, type or source.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many; the oldest first.")] = 100,
    data_dir: DataDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List items, or count them by what they have in common."""
    if state not in quarantine.STATES:
        raise ValueError(f"--state: expected one of {', '.join(quarantine.STATES)}")
    if by not in (None, *_BY):
        raise ValueError(f"--by: expected one of {', '.join(_BY)}")
    chosen = Chosen(type_, source, cause)

    async def work(pool: asyncpg.Pool) -> list[dict[str, Any]]:
        number = (await ledger_of(pool, ledger)).ledger
        if by is not None:
            return [one.as_dict() for one in await quarantine.counts(pool, number, by, state, chosen)]
        rows: list[Kept] = []
        while len(rows) < limit:
            wanted = min(_PAGE, limit - len(rows))
            page = await quarantine.listed(pool, number, rows[-1].item if rows else 0, wanted, state, chosen)
            rows += page
            if not quarantine.is_full(page, wanted):
                break
        return [_told(one) for one in rows]

    rows = with_pool(data_dir, work)
    if as_json:
        say(json.dumps(rows, indent=2, default=str))
        return
    columns = (by, "count", "since") if by else ("item", "received", "type", "source", "id", "reason")
    names = ("value", "count", "since") if by else ("item", "received_at", "type", "source", "id", "reason")
    table = Table(*columns)
    for row in rows:
        table.add_row(*("-" if row[name] is None else str(row[name])[:_SHOWN_REASON] for name in names))
    show(table)


@quarantine_app.command("show", epilog="Example: campaign-ledger quarantine show 17 --ledger acme")
def show_(
    item: Item,
    ledger: LedgerName = "default",
    data_dir: DataDir = None,
    *,
    body: Annotated[bool, typer.Option("--body", help="Only the body, to be corrected in a file.")] = False,
) -> None:
    """Show an item with its problem and its body as it was sent."""

    async def work(pool: asyncpg.Pool) -> Kept:
        return await _found(pool, await ledger_of(pool, ledger), item)

    kept = with_pool(data_dir, work)
    text = kept.body.decode("utf-8", "replace")
    say(
        text
        if body
        else json.dumps({**_told(kept), "problem": json.loads(kept.problem), "body": text}, indent=2, default=str)
    )


@quarantine_app.command("retry", epilog="Example: campaign-ledger quarantine retry 17 --file corrected.json")
def retry(
    items: Items = None,
    ledger: LedgerName = "default",
    type_: Type = None,
    source: Source = None,
    cause: Cause = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The event as it should have been; for one item.")
    ] = None,
    data_dir: DataDir = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that waits.")] = False,
) -> None:
    """Try items again, as they are or corrected; exit code 1 if any of them still cannot be taken."""
    chosen = _chosen(items, Chosen(type_, source, cause), everything=everything)
    if file is not None and (items is None or len(items) != 1):
        raise ValueError("--file corrects one item: name its number")

    async def work(pool: asyncpg.Pool) -> int:
        found, settings = await ledger_of(pool, ledger), settings_of(data_dir)
        appender = Appender(pool, queue_events=10**9, batch_events=settings.append_batch_events)
        eraser = Eraser(pool, Subjects(pool, vault_of(settings)))
        intake = Intake(pool, appender, Limits(settings.max_json_depth, settings.max_string_length), eraser)
        try:
            if items:
                return await _retry(pool, intake, found, items, file.read_bytes() if file else None)
            return await _retry_chosen(intake, found, chosen)
        finally:
            await appender.close()

    if with_pool(data_dir, work):
        raise typer.Exit(1)


@quarantine_app.command(
    "dismiss",
    epilog='Example: campaign-ledger quarantine dismiss --source /shop --reason "test orders, agreed with finance"',
)
def dismiss(
    items: Items = None,
    ledger: LedgerName = "default",
    type_: Type = None,
    source: Source = None,
    cause: Cause = None,
    reason: Annotated[str, typer.Option(help="Why they may be missing from the figures; it is kept.")] = "",
    data_dir: DataDir = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that waits.")] = False,
) -> None:
    """Put items away: they wait for nothing any more, and are kept with the reason for as long as is set."""
    chosen, why = _chosen(items, Chosen(type_, source, cause), everything=everything), reason.strip()
    if not why:
        raise ValueError("--reason: say why these may be missing from the figures; it is kept with them")

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        if items is None:
            say(f"{await quarantine.dismiss(pool, found.ledger, why, _WHO, chosen=chosen)} dismissed")
            return
        for item in items:
            await quarantine.dismiss(pool, found.ledger, why, _WHO, item=item)
            say(_fate(await _found(pool, found, item)))

    with_pool(data_dir, work)


async def _retry(pool: asyncpg.Pool, intake: Intake, ledger: Ledger, items: list[int], corrected: bytes | None) -> int:
    """Try items by their numbers; return how many could not be taken."""
    failed = 0
    for item in items:
        kept = await _found(pool, ledger, item)
        if kept.state != "resolved":
            result = await intake.retry(ledger.ledger, kept, corrected)
            if result.problem is not None:
                failed += 1
                say(f"item {item}: {result.problem['detail']}")
                continue
            kept = await _found(pool, ledger, item)
        say(_fate(kept))
    return failed


async def _retry_chosen(intake: Intake, ledger: Ledger, chosen: Chosen) -> int:
    """Try all that is chosen; return how many could not be taken."""
    tried = resolved = 0
    after: int | None = 0
    while after is not None:
        done = await intake.retry_many(ledger.ledger, chosen, after, _PAGE)
        tried, resolved, after = tried + done.tried, resolved + done.resolved, done.last
    say(f"{resolved} have become events, {tried - resolved} still wait")
    return tried - resolved


def _chosen(items: list[int] | None, chosen: Chosen, *, everything: bool) -> Chosen:
    """Return what is chosen; ValueError unless numbers, properties or --all are given, and one of these only."""
    ways = (bool(items), any(one is not None for one in chosen), everything)
    if sum(ways) != 1:
        raise ValueError("say which items: their numbers, or --type, --source and --cause, or --all")
    return chosen


async def _found(pool: asyncpg.Pool, ledger: Ledger, item: int) -> Kept:
    kept = await quarantine.one(pool, ledger.ledger, item)
    if kept is None:
        raise LookupError(f"there is no item {item} in the quarantine of {ledger.name}")
    return kept


def _fate(kept: Kept) -> str:
    """Say what has become of an item."""
    told = {"resolved": f"it is the event at position {kept.position}", "dismissed": f"dismissed: {kept.dismissal}"}
    return f"item {kept.item}: {told.get(kept.state, 'it waits')}"


def _told(kept: Kept) -> dict[str, Any]:
    return {name: value for name, value in kept._asdict().items() if name not in ("problem", "body")}
