"""`status`, `set-aside`, `retry`, `verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
from rich.table import Table

from service.bootstrap import vault_of
from service.cli.common import DataDir, chosen, say, settings_of, show, with_pool
from service.domain.contributions import READ_MODEL_VERSION
from service.projections.engine import lag
from service.projections.generations import retry, verify
from service.store import watch
from service.store.people import keys

OneLedger = Annotated[str | None, typer.Option("--ledger", help="Only this ledger; default: all.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: campaign-ledger status")(status)
    app.command("set-aside", epilog="Example: campaign-ledger set-aside --ledger acme")(set_aside)
    app.command("retry", epilog="Example: campaign-ledger retry --ledger acme")(retry_)
    app.command("verify", epilog="Example: campaign-ledger verify --json")(verify_)


def status(
    data_dir: DataDir = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    parts: Annotated[bool, typer.Option("--parts", help="Instead: which parts of which process work.")] = False,
) -> None:
    """Show each ledger's head, checkpoint and lag in events and seconds, and which parts of which process do not work."""
    seen = [one._asdict() for one in with_pool(data_dir, watch.seen)]
    if parts and as_json:
        say(json.dumps(seen, indent=2, default=str))
        return
    if not as_json:
        down = [one for one in seen if parts or not one["up"]]
        table = Table("process", "part", "", "since", "why", "failures", "told")
        for one in down:
            state = "up" if one["up"] else "DOWN"
            told = (one["since"], one["why"], one["failures"], one["seen_at"])
            table.add_row(
                one["process"], one["part"], state, *(str(value if value is not None else "-") for value in told)
            )
        if down:
            show(table)
        if parts:
            return

    async def work(pool: asyncpg.Pool) -> tuple[list[dict[str, object]], str]:
        held = await keys.state(pool, vault_of(settings_of(data_dir)))
        return [
            {
                "ledger": one.ledger, "head": one.head, "checkpoint": one.checkpoint, "lag_events": one.events,
                "lag_seconds": round(one.seconds, 3), "generation": one.generation, "definitions": one.version,
                "worker": one.worker, "set_aside": one.set_aside,
            }
            for one in await lag.lags(pool)
        ], held  # fmt: skip

    rows, held = with_pool(data_dir, work)
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    table = Table(
        "ledger", "head", "checkpoint", "lag (events)", "lag (s)", "generation", "definitions", "worker", "set aside"
    )
    for row in rows:
        table.add_row(*(str(value if value is not None else "-") for value in row.values()))
    show(table)
    if held != "ok":
        say(f"keys of people: {held}")
    for row in rows:
        if row["definitions"] != READ_MODEL_VERSION:
            say(
                f"{row['ledger']}: its figures are of definitions {row['definitions']} and stand still; "
                f"`campaign-ledger replay {row['ledger']} --dry-run` makes new ones and shows what moves"
            )


def set_aside(
    ledger: OneLedger = None,
    data_dir: DataDir = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the events and components that could not be processed and wait for a fix."""

    async def work(pool: asyncpg.Pool) -> list[dict[str, Any]]:
        return [
            {"ledger": one.name, **entry}
            for one in await chosen(pool, ledger)
            for entry in await retry.listed(pool, one.ledger, limit=1_000)
        ]

    entries = with_pool(data_dir, work)
    if as_json:
        say(json.dumps(entries, indent=2, default=str))
        return
    for one in entries:
        about = ", ".join(one["entities"]) or f"event {one['event']['source']} {one['event']['id']}"
        say(f"{one['ledger']}: position {one['position']}, {one['event']['type']} ({about}): {one['error']}")


def retry_(ledger: OneLedger = None, data_dir: DataDir = None) -> None:
    """Process what is set aside again, after a fix or an upgrade; exit code 1 if anything remains."""

    async def work(pool: asyncpg.Pool) -> int:
        remaining = 0
        for one in await chosen(pool, ledger):
            done = await retry.retry(pool, one)
            remaining += done.remaining
            say(f"{one.name}: {done.cleared} processed, {done.remaining} still set aside")
        return remaining

    if with_pool(data_dir, work):
        raise typer.Exit(1)


def verify_(
    ledger: OneLedger = None,
    data_dir: DataDir = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Also fold journeys afresh from the log, and compare.")] = False,
    sample: Annotated[str, typer.Option(help="For --deep: how many events, chosen at random; or all.")] = "1000",
    anchor: Annotated[
        bool, typer.Option("--anchor", help="Only print the head of each chain, as JSON to be kept elsewhere.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(help="Also hold the log to a file that --anchor has written.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """Prove hash chain, dense positions, balances = Σ postings, and conservation; exit code 1 if any fails."""
    if sample != "all" and not (sample.isdecimal() and int(sample) > 0):
        raise typer.BadParameter("a number of events, or all", param_hint="--sample")
    if anchor:
        say(
            json.dumps(
                {"anchors": [one._asdict() for one in with_pool(data_dir, lambda pool: _anchors(pool, ledger))]},
                indent=2,
            )
        )
        return
    anchors = _read_anchors(against) if against else {}

    async def work(pool: asyncpg.Pool) -> list[dict[str, object]]:
        told: list[dict[str, object]] = []
        known = await chosen(pool, ledger)
        for one in known:
            findings = await verify.verify(
                pool, one, against=anchors.get(one.name), deep=deep, sample=None if sample == "all" else int(sample)
            )
            await verify.record(pool, one, findings)
            told += [{"ledger": one.name, **finding._asdict()} for finding in findings]
        for name in anchors.keys() - {one.name for one in known} if ledger is None else ():
            told.append(
                {"ledger": name, "check": "anchor", "good": False, "detail": "there is no such ledger any more"}
            )
        return told

    findings = with_pool(data_dir, work)
    if as_json:
        say(json.dumps(findings, indent=2))
    else:
        for one in findings:
            say(f"{'ok  ' if one['good'] else 'BAD '} {one['ledger']}: {one['check']}: {one['detail']}")
    if not all(one["good"] for one in findings):
        raise typer.Exit(1)


async def _anchors(pool: asyncpg.Pool, name: str | None) -> list[verify.Anchor]:
    return [await verify.anchor(pool, one) for one in await chosen(pool, name)]


def _read_anchors(path: Path) -> dict[str, verify.Anchor]:
    try:
        given = json.loads(path.read_text(encoding="utf-8"))["anchors"]
        return {
            one["ledger"]: verify.Anchor(one["ledger"], int(one["position"]), str(one["chain"]), None) for one in given
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not what `campaign-ledger verify --anchor` writes") from error
