"""`import` (NDJSON, or CSV through a mapping) and `export`."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import asyncpg
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from service.bootstrap import vault_of
from service.cli.common import DataDir, LedgerName, ledger_of, say, settings_of, with_pool
from service.intake.acceptance import Intake, Result
from service.intake.decoding import Limits
from service.intake.importing import (
    Counts,
    Event,
    Problem,
    import_file,
    ndjson_files,
    once_each,
    starts,
    table_file,
)
from service.intake.preview import Preview
from service.intake.restating import RESTATED, TAKEN_BACK
from service.intake.tabular import Opened, OpenTable, load_mapping, open_tables
from service.settings import Settings
from service.store.log import feed
from service.store.log.group_commit import Appender
from service.store.log.stored_events import as_cloudevent
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects

_SHOWN = 20
_LATER = (RESTATED, TAKEN_BACK)  # no problems, but told
_FIRST = 5  # events that a dry run shows
_TABLES = (".csv", ".tsv", ".txt", ".xls", ".xlsx")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("import", epilog="Example: campaign-ledger import leads.csv deals.csv --mapping crm.yaml")(import_)
    app.command(epilog="Example: campaign-ledger export --ledger acme > acme.ndjson")(export)


def import_(
    files: Annotated[
        list[Path], typer.Argument(exists=True, readable=True, help="NDJSON or CSV files, or folders of CSV files.")
    ],
    mapping: Annotated[
        Path | None, typer.Option(exists=True, help="YAML: how rows of CSV become events (docs/importing.md).")
    ] = None,
    ledger: LedgerName = "default",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the first events, all problems and the counts; store nothing.")
    ] = False,
    problems: Annotated[
        Path | None, typer.Option(help="Write every problem to this CSV file, not the first 20 to the screen only.")
    ] = None,
    restate: Annotated[
        bool, typer.Option("--restate", help="What comes out otherwise than it came in takes its place.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="After a change of the mapping: what came in stays, differences are listed.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Import events. Importing again adds nothing; an interrupted import goes on where it was."""
    if restate and keep:
        raise ValueError("--restate and --keep say opposite things: give one of them")
    for one in files:
        if mapping is None and (one.is_dir() or one.suffix.lower() in _TABLES):
            raise ValueError(f"{one} needs --mapping, a YAML file that says how its rows become events")
    with _Told.writing(problems, shows=dry_run) as told:
        try:
            with_pool(
                data_dir,
                lambda pool: _import(
                    pool,
                    settings_of(data_dir),
                    ledger,
                    files,
                    mapping,
                    told,
                    dry_run=dry_run,
                    restate=restate,
                    keep=keep,
                ),
            )
        except KeyboardInterrupt:
            say(f"interrupted: {told.counts}; the same command goes on from here")
            raise
    told.show(dry_run=dry_run)
    if told.problems or told.left:
        raise typer.Exit(1)


async def _import(
    pool: asyncpg.Pool, settings: Settings, ledger: str, paths: list[Path], mapping: Path | None, told: _Told, *,
    dry_run: bool, restate: bool, keep: bool,
) -> None:  # fmt: skip
    found = await ledger_of(pool, ledger)
    opened = open_tables(load_mapping(mapping), paths, ZoneInfo(found.timezone)) if mapping else Opened([], [])
    files, told.passed_over = once_each(map(table_file, opened.tables) if mapping else ndjson_files(paths))
    begins = await starts(pool, found.ledger, files, decided=restate or keep or dry_run)
    if dry_run and not (restate or keep):  # what would end the import is told, and what would come of it too
        told.left += [start.changed for start in begins if start.changed]
    for start in begins:
        if start.done:
            say(f"{start.file.name}: going on after {start.done:,} events of an interrupted import")
    appender = Appender(pool, queue_events=10**9, batch_events=settings.append_batch_events)
    limits = Limits(settings.max_json_depth, settings.max_string_length)
    vault = vault_of(settings)
    eraser = Eraser(pool, Subjects(pool, vault))
    intake = Preview(pool, limits, vault) if dry_run else Intake(pool, appender, limits, eraser)
    try:
        with _progress() as went_on:
            for start in begins:
                left = await import_file(
                    pool, intake, found.ledger, start, told, restates=restate, stores=not dry_run, went_on=went_on
                )
                told.left += [left] if left else []
    finally:
        await appender.close()
    told.passed_over += _passed_over(opened)


class _Told:
    """What an import has to say at its end: counts, problems, and in a dry run the first events."""

    def __init__(self, path: Path | None, writer: Any, *, shows: bool) -> None:
        self.counts, self.problems = Counts(), 0
        self.passed_over: list[str] = []
        self.left: list[str] = []
        self._path, self._writer, self._shows = path, writer, shows
        self._first: list[Problem] = []
        self._restated: list[Problem] = []
        self._events: list[Event] = []

    @classmethod
    @contextmanager
    def writing(cls, path: Path | None, *, shows: bool) -> Iterator[_Told]:
        """Give one that writes problems to a file as they come, if there is a path."""
        if path is None:
            yield cls(None, None, shows=shows)
            return
        with path.open("w", encoding="utf-8-sig", newline="") as stream:  # Excel knows UTF-8 by its mark
            writer = csv.writer(stream)
            writer.writerow(["file", "line", "column or event", "status", "problem"])
            yield cls(path, writer, shows=shows)

    def problem(self, problem: Problem, status: str) -> None:
        """Count a problem, and keep it to be told."""
        self.counts.by_status[status] += 1
        self._keep(problem, status)

    def taken(self, file: str, events: Sequence[Event], results: Sequence[Result]) -> None:
        """Count what became of events."""
        self.counts.by_status += Counter(result.status for result in results)
        for event, result in zip(events, results, strict=True):
            if result.problem is not None:
                self._keep(Problem(file, event.line, result.id or "", result.problem["detail"]), result.status)
        if self._shows:
            shown = [event for event in events if event.unsaid is None]
            self._events += shown[: _FIRST - len(self._events)]

    def _keep(self, problem: Problem, status: str) -> None:
        """Keep a problem, or what was restated, which is none but is told."""
        self.problems += status not in _LATER
        kept = self._restated if status in _LATER else self._first
        if len(kept) < _SHOWN:
            kept.append(problem)
        if self._writer is not None:
            self._writer.writerow([problem.file, problem.line, problem.what, status, problem.text])

    def show(self, *, dry_run: bool) -> None:
        """Print it: problems to standard error, the rest to standard output."""
        for event in self._events:
            say(event.raw.decode())
        say(f"{self.counts}; nothing was stored, this was a dry run" if dry_run else str(self.counts))
        for restated in self._restated:
            say(restated)
        if later := sum(self.counts.by_status[status] for status in _LATER) - len(self._restated):
            say(f"… and {later:,} more")
        for line in self.passed_over:
            say(line)
        for problem in [*self._first, *self.left]:
            print(problem, file=sys.stderr)
        more = self.problems - len(self._first)
        if self._path is not None and self.problems + len(self._restated):
            print(f"the whole list is in {self._path}", file=sys.stderr)
        elif more:
            print(f"… and {more:,} more: --problems FILE writes all of them to a file", file=sys.stderr)


def _passed_over(opened: Opened) -> list[str]:
    """Say which files and which rows were passed over."""
    said = [one for table in opened.tables if (one := _rows_passed_over(table))]
    if opened.passed_over:
        said.append(f"no entry of the mapping applies to {', '.join(opened.passed_over)}")
    return said


def _rows_passed_over(table: OpenTable) -> str:
    passed, titles = table.passed, len(table.sheet.titles)
    several = [
        (titles, "line before the header", "lines before the header"),
        (passed.headers, "header that stands again", "headers that stand again"),
        (passed.empty, "empty row", "empty rows"),
        (passed.skipped, "row by `skip`", "rows by `skip`"),
        (passed.without_event, "row to which no `when` applies", "rows to which no `when` applies"),
    ]
    told = [f"{count:,} {one if count == 1 else many}" for count, one, many in several if count]
    return f"{table.name}: passed over {', '.join(told)}; {passed.rows:,} rows in all" if told else ""


@contextmanager
def _progress() -> Iterator[Any]:
    """Show how many events are in, where somebody looks on."""
    columns = (TextColumn("import"), BarColumn(), TextColumn("{task.completed:,} events, {task.speed:,.0f}/s"))
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("import", total=None)
        yield lambda done: bar.update(task, completed=done)


def export(
    ledger: LedgerName = "default",
    after: Annotated[int, typer.Option(min=0, help="Only positions after this one.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Export a ledger's events as NDJSON, in log order; `import` takes them in again."""

    async def work(pool: asyncpg.Pool) -> None:
        found, subjects = await ledger_of(pool, ledger), Subjects(pool, vault_of(settings_of(data_dir)))
        with output.open("wb") if output else sys.stdout.buffer as stream:
            async for page in feed.read_pages(pool, found.ledger, after=after):
                for row in await subjects.opened(pool, found.ledger, page):
                    stream.write(as_cloudevent(row) + b"\n")
            stream.flush()

    with_pool(data_dir, work)
