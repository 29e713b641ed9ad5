"""`import` (NDJSON, or CSV through a mapping) and `export`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.common import DataDir, LedgerName, ledger_of, say, with_pool
from service.intake.acceptance import Intake, Result
from service.intake.decoding import Limits
from service.intake.tabular import RowError, load_mapping, read_events
from service.settings import Settings
from service.store import log
from service.store.rows import encode_json

_AT_ONCE = 1_000
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("import", epilog="Example: campaign-ledger import leads.csv deals.csv --mapping crm.yaml")(import_)
    app.command(epilog="Example: campaign-ledger export --ledger acme > acme.ndjson")(export)


def import_(
    files: Annotated[
        list[Path], typer.Argument(exists=True, readable=True, help="NDJSON or CSV files, or a folder of CSV files.")
    ],
    mapping: Annotated[Path | None, typer.Option(exists=True, help="YAML: how rows of CSV become events.")] = None,
    ledger: LedgerName = "default",
    data_dir: DataDir = None,
) -> None:
    """Import events. Importing again adds nothing; an interrupted import goes on where it was."""
    for one in files:
        if mapping is None and (one.is_dir() or one.suffix.lower() == ".csv"):
            raise ValueError(f"{one} needs --mapping, a YAML file that says how its rows become events")
    problems: list[str] = []
    counts = dict.fromkeys(("accepted", "duplicate", "conflict", "invalid"), 0)

    def on_row(error: RowError) -> None:
        counts["invalid"] += 1
        problems.append(str(error))

    def told(places: list[str], results: list[Result]) -> None:
        for place, result in zip(places, results, strict=True):
            counts[result.status] += 1
            if result.problem is not None:
                problems.append(f"{place}: {result.problem['detail']}")

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        events = _table_events(files, mapping, on_row) if mapping else _lines(files)
        name = hashlib.sha256(
            repr(
                [(str(one.resolve()), one.stat().st_size) for one in [*files, *([mapping] if mapping else [])]]
            ).encode()
        )
        done = (
            await pool.fetchval(
                "SELECT events FROM imports WHERE ledger = $1 AND file = $2", found.ledger, name.hexdigest()
            )
            or 0
        )
        settings = Settings()
        appender = log.Appender(pool, queue_events=10**9, batch_events=settings.append_batch_events)
        intake = Intake(pool, appender, Limits(settings.max_json_depth, settings.max_string_length))
        if done:
            say(f"going on after {done} events of an interrupted import")
        columns = (TextColumn("import"), BarColumn(), TextColumn("{task.completed:,} events, {task.speed:,.0f}/s"))
        with Progress(
            *columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty()
        ) as bar:
            task = bar.add_task("import", total=None, completed=done)
            skipped = islice(events, done, None)
            while stretch := list(islice(skipped, _AT_ONCE)):
                results = await intake.take(found.ledger, [raw for _, raw in stretch])
                told([place for place, _ in stretch], results)
                done += len(stretch)
                await pool.execute(
                    """
                    INSERT INTO imports VALUES ($1, $2, $3)
                    ON CONFLICT (ledger, file) DO UPDATE SET events = excluded.events
                    """,
                    found.ledger, name.hexdigest(), done,
                )  # fmt: skip
                bar.update(task, completed=done)
        await appender.close()
        await pool.execute("DELETE FROM imports WHERE ledger = $1 AND file = $2", found.ledger, name.hexdigest())

    with_pool(data_dir, work)
    say(", ".join(f"{count} {status}" for status, count in counts.items()))
    for problem in problems[:_SHOWN]:
        print(problem, file=sys.stderr)
    if len(problems) > _SHOWN:
        print(f"… and {len(problems) - _SHOWN} more", file=sys.stderr)
    if problems:
        raise typer.Exit(1)


def _table_events(files: list[Path], mapping: Path, on_row: object) -> Iterator[tuple[str, bytes]]:
    chosen = files[0] if len(files) == 1 else {one.name: one for one in files}
    for line, event in read_events(load_mapping(mapping), chosen, on_row):  # type: ignore[arg-type]  # the caller's function
        yield f"line {line}", encode_json(event)


def _lines(files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield f"{path.name} line {number}", line


def export(
    ledger: LedgerName = "default",
    after: Annotated[int, typer.Option(min=0, help="Only positions after this one.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Export a ledger's events as NDJSON, in log order; `import` takes them in again."""

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        with output.open("wb") if output else sys.stdout.buffer as stream:
            async for row in log.read_all(pool, found.ledger, after=after):
                stream.write(log.as_cloudevent(row) + b"\n")
            stream.flush()

    with_pool(data_dir, work)
