"""Import: what do the rows of a file become? A file and a mapping, the first events, problems by line, and the import."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from service import telemetry
from service.api.problems import ProblemError
from service.bootstrap import Service
from service.dashboard import guides, uploads
from service.dashboard.desk import Desk
from service.dashboard.forms import Act, Deed, Done, unfit
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.tables import Cell, Column, Line, Table
from service.dashboard.uploads import Upload
from service.intake.acceptance import Result
from service.intake.importing import Counts, Event, File, Problem, Report, import_file, ndjson_files, starts, table_file
from service.intake.preview import Preview
from service.intake.restating import RESTATED, TAKEN_BACK
from service.intake.tabular import MappingError, load_mapping, open_tables
from service.intake.tabular_templates import TabularError
from service.store.ledgers import Ledger

_SHOWN = 20  # events of a preview
_PROBLEMS = 100
_LOOKED_AT = 2_000  # events of a preview that are looked at, so that it is there at once
_WATCHED_SECONDS = 1
_LONGEST_DATA = 2_000  # characters of an event that are shown
_GOOD = ("accepted", "duplicate", RESTATED, TAKEN_BACK)
_log = telemetry.logger("import")
STATUSES = {
    "accepted": N_("new"), "duplicate": N_("known already"), "conflict": N_("known with other content"),
    "invalid": N_("cannot be taken"), RESTATED: N_("restated"), TAKEN_BACK: N_("taken back"),
}  # fmt: skip


class _Told:
    """What an import finds: counts, the first problems, and the first events."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.problems: list[tuple[int, str, str]] = []
        self.more = 0
        self.events: list[Event] = []

    def problem(self, problem: Problem, status: str) -> None:
        """Count a problem, and keep it to be told."""
        self.counts.by_status[status] += 1
        self._keep(problem)

    def taken(self, file: str, events: Sequence[Event], results: Sequence[Result]) -> None:
        """Count what became of events."""
        self.counts.by_status += Counter(result.status for result in results)
        for event, result in zip(events, results, strict=True):
            if result.problem is not None and result.status not in _GOOD:
                self._keep(Problem(file, event.line, result.id or "", result.problem["detail"]))
        self.events += [one for one in events if one.unsaid is None][: _SHOWN - len(self.events)]

    def _keep(self, problem: Problem) -> None:
        if len(self.problems) < _PROBLEMS:
            self.problems.append((problem.line, problem.what, problem.text))
        else:
            self.more += 1

    def as_dict(self) -> dict[str, Any]:
        """Return it to be kept beside the file."""
        return {"counts": dict(self.counts.by_status), "problems": self.problems, "more": self.more}


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together: what to choose, or a file that was chosen."""
    text = desk.state.one("upload")
    upload = uploads.find(desk.view.ledger, text) if text else None
    if text and upload is None:
        raise ProblemError(404, "there is no such upload any more: choose the file again")
    progress = upload.progress if upload else None
    preview = await _preview(desk, upload) if upload and progress is None else None
    return {
        "crumbs": [(desk.gettext("Start"), desk.state.url("start", upload=None))], "upload": upload, "progress": progress,
        "preview": preview, "examples": _examples(), "most": desk.service.settings.max_body_bytes // 2**20,
        "told": _told(desk, progress) if progress and "counts" in progress else None,
        "again": _WATCHED_SECONDS if progress and not progress["done"] and not progress["stalled"] else None,
    }  # fmt: skip


def _examples() -> list[tuple[str, str]]:
    """Return the mappings of the docs, by name."""
    folder = guides.place("examples")
    found = [*folder.glob("*.yaml"), *folder.glob("*/mapping.yaml")]
    named = ((one.parent.name if one.name == "mapping.yaml" else one.stem, one) for one in found)
    return sorted((name, one.read_text(encoding="utf-8")) for name, one in named)


async def _preview(desk: Desk, upload: Upload) -> dict[str, Any]:
    """Return what the first rows become; what is wrong with the mapping as a whole is told instead."""
    service, told = desk.service, _Told()
    try:
        file = await asyncio.to_thread(_file, upload, desk.view.ledger)
        (start,) = await starts(service.pool, desk.view.ledger.ledger, [file], decided=True)

        def first(report: Report, restates: bool) -> Iterator[Event]:
            return islice(file.events(report, restates), _LOOKED_AT + 1)

        shortened = start._replace(file=File(file.name, file.digest, file.mapping, first), done=0)
        intake = Preview(service.pool, service.intake.limits)
        await import_file(
            service.pool, intake, desk.view.ledger.ledger, shortened, told, restates=False, stores=False,
            went_on=lambda _: None,
        )  # fmt: skip
    except (TabularError, ValueError, OSError) as error:
        return {"wrong": str(error)}
    looked_at = sum(told.counts.by_status.values())
    return {
        "wrong": "", "events": _events(desk, told.events), "changed": start.changed, "known": start.known,
        "all": looked_at <= _LOOKED_AT, **_told(desk, told.as_dict()),
    }  # fmt: skip


def _file(upload: Upload, ledger: Ledger) -> File:
    """Open an upload; ValueError says what is wrong with it or its mapping."""
    if upload.has_events:
        return ndjson_files([upload.path])[0]
    opened = open_tables(load_mapping(upload.mapping), upload.path, ZoneInfo(ledger.timezone))
    if not opened.tables:
        raise MappingError("files", f"an entry that applies to {upload.path.name}")
    return table_file(opened.tables[0])


def _told(desk: Desk, told: dict[str, Any]) -> dict[str, Any]:
    """Return counts and problems in words."""
    counts = [
        (desk.gettext(STATUSES.get(status, status)), desk.writer.number(count), status in _GOOD)
        for status, count in told["counts"].items() if count
    ]  # fmt: skip
    problems = None
    if told["problems"]:
        lines = [
            Line(Cell(desk.writer.number(line)), [Cell(what, own=True), Cell(text, own=True)])
            for line, what, text in told["problems"]
        ]
        columns = [
            Column(desk.gettext("Column or event"), numeric=False, rank="p2"),
            Column(desk.gettext("Problem"), numeric=False),
        ]
        head = [Column(desk.gettext("Line"), numeric=False)]
        note = desk.gettext("and %(count)s more") % {"count": desk.writer.number(told["more"])} if told["more"] else ""
        problems = Table(desk.gettext("What cannot be taken"), head, columns, lines, note, name="problems")
    return {"counts": counts, "problems": problems}


def _events(desk: Desk, events: Sequence[Event]) -> Table:
    lines = []
    for one in events:
        event = msgspec.json.decode(one.raw)
        event = event if isinstance(event, dict) else {"data": event}
        data = json.dumps(event.get("data"), ensure_ascii=False)
        shown = data if len(data) <= _LONGEST_DATA else data[:_LONGEST_DATA] + "…"
        lines.append(Line(Cell(desk.writer.number(one.line)), [
            Cell(str(event.get("type", "")), own=True), Cell(str(event.get("id", "")), own=True),
            Cell(str(event.get("time", ""))), Cell(shown, own=True),
        ]))  # fmt: skip
    columns = [
        Column(desk.gettext("Event"), numeric=False), Column(desk.gettext("Id"), numeric=False, rank="p2"),
        Column(desk.gettext("Time"), numeric=False, rank="p2"), Column(desk.gettext("What it says"), numeric=False),
    ]  # fmt: skip
    head = [Column(desk.gettext("Line"), numeric=False)]
    return Table(desk.gettext("What its first rows become"), head, columns, lines, name="events")


async def _upload(deed: Deed) -> Done:
    """Keep a file to be looked at, with its mapping; or give one that is kept another mapping."""
    mapping, file = deed.text("mapping"), deed.file("file")
    known = dict(_examples())
    if not mapping and (example := deed.text("example")):
        if example not in known:
            raise unfit(f"example: expected one of {', '.join(known)}")
        mapping = known[example]
    before = uploads.find(deed.ledger, deed.text("upload")) if deed.text("upload") else None
    if file is None and before is None:
        raise unfit("file: expected one to import")
    try:
        if file is not None:
            content = await file.read()
            made = await asyncio.to_thread(uploads.keep, deed.ledger, file.filename or "", content, mapping)
        elif before is not None:
            await asyncio.to_thread(before.mapping.write_text, mapping, "utf-8")
            made = before
    except ValueError as error:
        raise unfit(str(error)) from None
    if not made.has_events and not mapping:
        raise unfit("mapping: expected one, which says what the rows of the file become: choose one, or write it")
    return Done("import", {"upload": made.id})


async def _run(deed: Deed) -> Done:
    """Begin to import a file that was looked at."""
    upload = uploads.find(deed.ledger, deed.text("upload"))
    if upload is None:
        raise ProblemError(404, "there is no such upload any more: choose the file again")
    progress = upload.progress
    if progress is None or progress["stalled"]:
        restates, keeps = deed.text("otherwise") == "restate", deed.text("otherwise") == "keep"
        upload.went_on(events=0)
        task = asyncio.create_task(
            _import(deed.service, deed.ledger, upload, restates=restates, decided=restates or keeps)
        )
        running: set[asyncio.Task[None]] = deed.request.app.state.importing
        running.add(task)
        task.add_done_callback(running.discard)
    return Done("import", {"upload": upload.id})


async def _import(service: Service, ledger: Ledger, upload: Upload, *, restates: bool, decided: bool) -> None:
    """Import a file to its end, telling how far it is; what was in before is passed over."""
    told, events = _Told(), 0

    def went_on(done: int) -> None:
        nonlocal events
        events = done
        upload.went_on(events=done, **told.as_dict())

    try:
        file = await asyncio.to_thread(_file, upload, ledger)
        (start,) = await starts(service.pool, ledger.ledger, [file], decided=decided)
        left = await import_file(
            service.pool, service.intake, ledger.ledger, start, told, restates=restates, stores=True, went_on=went_on
        )
        upload.went_on(done=True, events=events, left=left or "", **told.as_dict())
        uploads.drop(upload)
    except Exception as error:  # noqa: BLE001  whoever waits for it is told
        _log.error("import failed", ledger=ledger.name, exc_info=error)
        why = str(error) if isinstance(error, ValueError) else "the service failed at this; its log says why"
        upload.went_on(done=True, events=events, failed=why, **told.as_dict())


SCREENS = [
    Screen(
        "import", N_("What do the rows of a file become?"), "import.html", build, scope="ingest", controls=(), above="start",
        fresh=True, uploads=True, acts={"upload": Act("ingest", _upload), "run": Act("ingest", _run)},
    )
]  # fmt: skip
