"""`backup` and `restore`: a whole database in one file, and a database made of it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from service.bootstrap import vault_of
from service.cli.common import DataDir, say, settings_of, with_pool
from service.projections.generations import verify
from service.store import backup as stored
from service.store import ledgers
from service.store.people import keys

File = Annotated[Path, typer.Argument(help="The backup.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: campaign-ledger backup 2026-11-27.backup")(backup)
    app.command(epilog="Example: campaign-ledger restore 2026-11-27.backup --data-dir /srv/restored")(restore)
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


def new_epoch(data_dir: DataDir = None) -> None:
    """Begin a new epoch of all ledgers: after a restore by other means, so that nobody takes positions for those of before."""
    with_pool(data_dir, lambda pool: pool.execute(stored.NEW_EPOCH))
    say("all ledgers have a new epoch")
