"""Importing files: what is in a file goes in once, wherever the import was interrupted, and nothing that is odd goes unsaid.

A file is known by its content, and what becomes of it by the mapping too. The same again adds nothing, an interrupted import
goes on where it was, and a file that came in by another mapping is not imported until somebody says what shall become of the
difference.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import asyncpg

from service.intake.acceptance import Result
from service.intake.restating import RESTATED, TAKEN_BACK, Stated, Taking, restate, take_back
from service.intake.rivals import rivals
from service.intake.tabular import ClashError, OpenTable, RowError
from service.store import imports
from service.store.rows import encode_json

AT_ONCE = 1_000
STATUSES = ("accepted", "duplicate", "conflict", "invalid")  # always counted, the others where there are any
_MET = ("duplicate", "conflict", RESTATED)
CLASHING = "repeated within a file"
IN_DOUBT = "in doubt"


class Problem(NamedTuple):
    """What could not be taken: in which file and line, for which column or event, and why."""

    file: str
    line: int
    what: str
    text: str

    def __str__(self) -> str:
        what = f", {self.what}" if self.what else ""
        return f"{self.file}, line {self.line}{what}: {self.text}"


class Event(NamedTuple):
    """An event of a file, as JSON, with the line on which it stands; `unsaid`: the (source, id) of one that is no longer said."""

    line: int
    raw: bytes
    restates: bool
    unsaid: tuple[str, str] | None = None


class Report(Protocol):
    """Who is told what an import finds."""

    def problem(self, problem: Problem, status: str) -> None:
        """Hear of something that could not be taken."""

    def taken(self, file: str, events: Sequence[Event], results: Sequence[Result]) -> None:
        """Hear what became of events of a file."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to import: its name and content, a digest of its mapping, and the events in it."""

    name: str
    digest: str
    mapping: str
    events: Callable[[Report, bool], Iterator[Event]]  # the second: everything restates


class Start(NamedTuple):
    """Where the import of a file begins: after so many events, and whether it was done before.

    `by_another` is how many events another mapping gave, `changed` what to say of that before anything is stored.
    """

    file: File
    done: int
    known: bool
    by_another: int
    changed: str | None


@dataclass
class Counts:
    """How many events have which status."""

    by_status: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        told = [*STATUSES, *(one for one in (RESTATED, TAKEN_BACK, CLASHING, IN_DOUBT) if self.by_status[one])]
        return ", ".join(f"{self.by_status[status]} {status}" for status in told)


def table_file(opened: OpenTable) -> File:
    """Return a CSV file that was opened by a mapping."""

    def events(report: Report, restates: bool) -> Iterator[Event]:
        def on_error(error: RowError) -> None:
            status = CLASHING if isinstance(error, ClashError) else "invalid"
            report.problem(Problem(error.file, error.line, error.column, f"expected {error.expected}"), status)

        for item in opened.items(on_error, restates=restates):
            yield Event(item.line, encode_json(item.event), item.restates)
        for identity, line in opened.unsaid.items():
            yield Event(line, b"", restates=True, unsaid=(opened.table.source, identity))

    return File(opened.name, opened.sheet.digest, opened.version, events)


def ndjson_files(paths: Sequence[Path]) -> list[File]:
    """Return files of events, one a line, under names that tell them apart."""
    names = Counter(path.name for path in paths)
    return [_ndjson_file(path, path.name if names[path.name] == 1 else str(path)) for path in paths]


def _ndjson_file(path: Path, name: str) -> File:

    def events(_: Report, __: bool) -> Iterator[Event]:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield Event(number, line, restates=False)

    with path.open("rb") as stream:
        return File(name, hashlib.file_digest(stream, "sha256").hexdigest(), "", events)


def once_each(files: Iterable[File]) -> tuple[list[File], list[str]]:
    """Return each file once, and what to say of those with the content of another one."""
    kept: dict[tuple[str, str], File] = {}
    said = []
    for file in files:
        first = kept.setdefault((file.digest, file.mapping), file)
        if first is not file:
            said.append(f"{file.name} has the same content as {first.name}, which is imported once")
    return list(kept.values()), said


async def starts(pool: asyncpg.Pool, ledger: int, files: Sequence[File], *, decided: bool) -> list[Start]:
    """Return where the import of each file begins.

    Unless it is `decided` what shall become of the difference, a file that came in by another mapping is a ValueError.
    """
    found = []
    for file in files:
        before = await imports.of_file(pool, ledger, file.digest)
        same = next((one for one in before if one.mapping == file.mapping), None)
        newest = next((one for one in before if one.events), None)
        other = newest if newest is not None and newest.mapping != file.mapping else None
        changed = _changed(file.name, other) if other else None
        if changed and not decided:
            raise ValueError(changed)
        known = same is not None and same.done_at is not None
        done = 0 if same is None or known else same.events
        found.append(Start(file, done, known, other.events if other else 0, changed))
    return found


def _changed(name: str, before: imports.Import) -> str:
    when = f"{before.done_at or before.begun_at:%Y-%m-%d %H:%M} UTC"
    so_far = f"all {before.events:,}" if before.done_at else f"the first {before.events:,}"
    return (
        f"{name}: {so_far} of its events came in by another mapping ({when}), which has changed since. What comes out otherwise "
        "now: --restate puts it in the place of what came in, --keep leaves that as it is and lists every difference"
    )


async def import_file(
    pool: asyncpg.Pool, intake: Taking, ledger: int, start: Start, report: Report, *, restates: bool, stores: bool,
    went_on: Callable[[int], None],
) -> str | None:  # fmt: skip
    """Import a file from where it was; `restates`: whatever comes out otherwise than before is what counts.

    Without `stores` nothing is noted, as in a dry run. `went_on` is called with the number of events that are in. Returns
    what to say of events that came in by another mapping and were not met again.
    """
    file, done, met = start.file, start.done, 0
    events = islice(file.events(report, restates), done, None)
    while several := list(islice(events, AT_ONCE)):
        stretch = [one for one in several if one.unsaid is None]
        results = await intake.take(ledger, [one.raw for one in stretch])
        if file.mapping or restates:  # an event that came as such means its own id, and no later one
            results = await _later(pool, intake, ledger, stretch, results, restates=restates, known=start.known)
        unsaid = [] if start.known and not restates else [one for one in several if one.unsaid is not None]
        taken_back = await take_back(pool, intake, ledger, [one.unsaid for one in unsaid if one.unsaid])
        met += len(taken_back) + sum(one.status in _MET for one in results)
        if file.mapping:
            await _tell_rivals(pool, intake, ledger, file.name, stretch, results, report)
        report.taken(file.name, [*stretch, *(unsaid[index] for index in taken_back)], [*results, *taken_back.values()])
        done += len(stretch)  # what is no longer said comes last, and may be asked again
        if stores:
            await imports.went_on(pool, ledger, file.digest, file.mapping, file.name, done)
        went_on(done)
    if stores:
        await imports.went_on(pool, ledger, file.digest, file.mapping, file.name, done)
        await imports.done(pool, ledger, file.digest, file.mapping)
    left = start.by_another - met
    return None if left <= 0 else (
        f"{file.name}: {left:,} of the {start.by_another:,} events that came in by the earlier mapping did not come out again "
        "under their source and id: they still count until they are voided"
    )  # fmt: skip


async def _tell_rivals(
    pool: asyncpg.Pool, intake: Taking, ledger: int, name: str, stretch: Sequence[Event], results: Sequence[Result],
    report: Report,
) -> None:  # fmt: skip
    """Tell which events that are new state what another one states of the same time: one of the two does not count."""
    new = [one.raw if result.status == "accepted" else None for one, result in zip(stretch, results, strict=True)]
    for index, text in (await rivals(pool, ledger, new, intake.limits)).items():
        report.problem(Problem(name, stretch[index].line, results[index].id or "", text), IN_DOUBT)


async def _later(
    pool: asyncpg.Pool, intake: Taking, ledger: int, stretch: Sequence[Event], results: list[Result], *, restates: bool,
    known: bool,
) -> list[Result]:  # fmt: skip
    """Let what restates take the place of what was said before. A file that is in already says nothing that is later."""
    stated = [
        Stated(one.raw, result, restates or (one.restates and not known))
        for one, result in zip(stretch, results, strict=True)
    ]
    answers = await restate(pool, intake, ledger, stated)
    return [
        _said_before(answer) if known and one.restates and answer.status == "conflict" else answer
        for one, answer in zip(stretch, answers, strict=True)
    ]


def _said_before(result: Result) -> Result:
    return Result(result.source, result.id, "duplicate", result.position, None)
