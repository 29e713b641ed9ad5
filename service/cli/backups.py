"""`backup` and `restore`: a whole database in one file, and a database made of it again; `move`: one ledger's log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from service.bootstrap import vault_of
from service.cli.common import DataDir, LedgerName, ledger_of, say, settings_of, with_pool
from service.intake import moving
from service.intake.acceptance import Intake
from service.intake.decoding import Limits
from service.projections.generations import verify
from service.store import backup as stored
from service.store import ledgers
from service.store.log.group_commit import Appender
from service.store.people import keys
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects

File = Annotated[Path, typer.Argument(help="The backup.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: campaign-ledger backup 2026-11-27.backup")(backup)
    app.command(epilog="Example: campaign-ledger restore 2026-11-27.backup --data-dir /srv/restored")(restore)
    app.command(epilog="Example: campaign-ledger move acme.ndjson --ledger acme")(move)
    app.command("new-epoch", epilog="Example: campaign-ledger new-epoch")(new_epoch)


def backup(file: File, data_dir: DataDir = None) -> None:
    """Write the whole database to a file, as of one moment, beside a running service too. The master key is not in it."""
    header = with_pool(data_dir, lambda pool: stored.write(pool, file))
    for name, position, chain in header.heads:
        say(f"{name}: {position} events, chain {chain}")


def restore(file: File, data_dir: DataDir = None) -> None:
    """Fill an empty database from a backup, and prove each log against the chain that the backup says it has."""
    settings = settings_of(data_dir)

    async def work(pool: asyncpg.Pool) -> list[str]:
        header = await stored.restore(pool, file)
        known = {one.name: one for one in await ledgers.ledgers(pool)}
        wrong = []
        for name, position, chain in header.heads:
            anchor = verify.Anchor(name, position, chain, None)
            findings = await verify.verify(pool, known[name], against=anchor)
            wrong += [
                f"{name}: {one.check}: {one.detail}" for one in findings if not (one.good or one.check == "projection")
            ]
            say(f"{name}: {position} events, proven up to chain {chain}")
        if (held := await keys.state(pool, vault_of(settings))) != "ok":
            say(f"keys of people: {held}")
        return wrong

    if wrong := with_pool(data_dir, work):
        raise RuntimeError("; ".join(wrong))


def move(
    file: Annotated[Path, typer.Argument(exists=True, readable=True, help="All of a log, as `export` writes it.")],
    ledger: LedgerName = "default",
    data_dir: DataDir = None,
) -> None:
    """Take an exported log into an empty ledger as it was recorded: what was known on some day can still be asked."""
    settings = settings_of(data_dir)

    def lines() -> Iterator[bytes]:
        with file.open("rb") as stream:
            yield from stream

    async def work(pool: asyncpg.Pool) -> int:
        found = await ledger_of(pool, ledger)
        appender = Appender(pool, queue_events=1, batch_events=1)  # it goes past the queue
        eraser = Eraser(pool, Subjects(pool, vault_of(settings)))
        intake = Intake(pool, appender, Limits(settings.max_json_depth, settings.max_string_length), eraser)
        return await moving.move(pool, intake, found.ledger, lines)

    say(f"{with_pool(data_dir, work)} events, recorded when they were")


def new_epoch(data_dir: DataDir = None) -> None:
    """Begin a new epoch of all ledgers: after a restore by other means, so that nobody takes positions for those of before."""
    with_pool(data_dir, lambda pool: pool.execute(stored.NEW_EPOCH))
    say("all ledgers have a new epoch")
