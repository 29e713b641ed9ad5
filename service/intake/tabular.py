"""Tables: rows of CSV files become CloudEvents, by a YAML mapping that a marketing user can write.

    files:
      - file: "leads*.csv"            # a file name or a pattern; several entries may stand side by side
        source: /imports/leads        # the CloudEvents source of all its events
        events:                       # each row gives one event per entry
          - type: lead.captured
            id: "captured-{Lead No}"  # the same row gives the same id, so that importing a file again adds nothing
            time: {column: Created, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}  # or "{created_at}": ISO 8601
            when: {column: Status, equals: [New, Open]}  # optional; without `equals`: where the cell states something
            data: {lead_id: "{Lead No}", channel: "{Origin|lower}", campaign_id: "{Campaign|slug}"}

docs/importing.md lists all keys and filters. What renders to nothing states nothing and is left out. The events of a row
stand or fall one by one: what cannot be taken is a RowError, and so is an id that an earlier row of the file has given.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from service.domain.catalogue import CATALOGUE
from service.intake.tabular_files import Passed, Record, Sheet, open_sheet
from service.intake.tabular_filters import Reading
from service.intake.tabular_lookups import open_lookups
from service.intake.tabular_mapping import Rule
from service.intake.tabular_tables import Table, TableMapping, load_mapping
from service.intake.tabular_templates import ClashError, MappingError, Row, RowError, TabularError
from service.store.rows import encode_json

__all__ = [
    "ClashError",
    "MappingError",
    "OpenTable",
    "Opened",
    "RowError",
    "TableMapping",
    "TabularError",
    "load_mapping",
    "open_tables",
    "read_events",
]  # fmt: skip

_REMEMBERED = 3_000_000  # ids of one file that are kept, to tell those that come again; some 130 bytes each
_MASK = (1 << 64) - 1
# What these state stands as a whole: of two about the same thing (which their first field names) at one time, one would count.
_WHOLE = (
    "campaign.cost_booked", "lead.captured", "opportunity.opened", "quote.accepted", "order.placed", "order.amended",
    "invoice.posted", "invoice.credited", "payment.received", "touchpoint.recorded", "call.completed",
)  # fmt: skip
_NAMED_BY = {kind: next(iter(CATALOGUE[kind].required)) for kind in _WHOLE}
_TITLES = 9

OnError = Callable[[RowError], None]
Files = Path | Mapping[str, Path] | Iterable[Path]


class Item(NamedTuple):
    """An event with the line of its row; `restates`: where it was said otherwise before, this is what counts."""

    line: int
    event: dict[str, Any]
    restates: bool


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A file that was opened by an entry of a mapping; `version` is a digest of all that decides what its rows give.

    When its items are through, `unsaid` has the ids (with a line) that its rows would give if a `when` held: of rules that
    restate, what was said under such an id before is said no longer.
    """

    table: Table
    sheet: Sheet
    reading: Reading
    version: str
    passed: Passed = field(default_factory=Passed)
    unsaid: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name, as it is told."""
        return self.sheet.name

    def items(self, on_error: OnError | None = None, *, restates: bool = False) -> Iterator[Item]:
        """Yield what the rows give, in order. Without `on_error` the first RowError is raised; else reading goes on.

        With `restates` all rules do.
        """
        seen: dict[int, int] = {}
        things: dict[int, int] = {}
        for row, cells in self._rows(on_error):
            told: set[str] = set()
            given = False
            for rule in self.table.rules:
                try:
                    if not rule.applies(row):
                        if rule.restates or restates:
                            self._not_said(rule, row)
                        continue
                    given = True
                    event = rule.event(row, self.table.source)
                    if _is_new(seen, rule, row, event, cells):
                        _check_thing(things, row, event)
                        yield Item(row.line, event, rule.restates)
                except RowError as error:
                    if on_error is None:
                        raise
                    given = True
                    if str(error) not in told:  # what is wrong with a row is told once, however many events it spoils
                        told.add(str(error))
                        on_error(error)
            self.passed.without_event += not given
        said = self.unsaid if len(seen) >= _REMEMBERED else [one for one in self.unsaid if hash(one) in seen]
        for identity in list(said):  # another row says it
            del self.unsaid[identity]

    def _not_said(self, rule: Rule, row: Row) -> None:
        try:
            self.unsaid.setdefault(rule.id.text(row, "an id"), row.line)
        except RowError:
            return  # without an id, nothing was said before

    def _rows(self, on_error: OnError | None) -> Iterator[tuple[Row, int]]:
        """Yield the rows that are not skipped, with a fingerprint of their cells."""
        wanted = {slot.column for slot in self.table.slots}
        constant = self._constant()
        alike: Counter[int] = Counter()
        for record in self.sheet.records(self.passed):
            cells = hash(tuple(record.cells)) & _MASK
            known = {**constant, "@row": str(self.passed.rows), "@line": str(record.line)}
            if "@nth" in wanted:
                alike[cells] += 1
                known["@nth"] = str(alike[cells])
            if "@cells" in wanted:
                known["@cells"] = hashlib.blake2b(repr(record.cells).encode(), digest_size=8).hexdigest()
            if record.cells:
                known |= {column: record.cells[at] for column, at in self.sheet.columns.items()}
            row = Row(self.name, record.line, known, self.reading)
            try:
                if self._is_read(row, record):
                    yield row, cells
            except RowError as error:
                if on_error is None:
                    raise
                on_error(error)

    def _is_read(self, row: Row, record: Record) -> bool:
        """Tell whether a row is to be read at all, counting those that are skipped; RowError where it cannot be."""
        if self.table.skip is not None and record.cells and self.table.skip.holds(row):
            self.passed.skipped += 1
            return False
        if record.wrong is not None:
            raise RowError(self.name, record.line, "(row)", record.wrong)
        return True

    def _constant(self) -> dict[str, str]:
        """Return what is the same in all rows: the file's name, the lines before the header, what the header names."""
        titles = [*self.sheet.titles[:_TITLES], *[""] * (_TITLES - len(self.sheet.titles))]
        numbered = {f"@title {number}": title for number, title in enumerate(titles, 1)}
        return {"@file": Path(self.name).name, **numbered, **self.sheet.named}


class Opened(NamedTuple):
    """The files of an import, opened, and what was passed over: files and folders to which no entry applies."""

    tables: list[OpenTable]
    passed_over: list[str]


def read_events(
    mapping: TableMapping, files: Files, on_error: OnError | None = None, zone: tzinfo = UTC
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, CloudEvent) row by row from a folder, one file, several, or files by the names they came with.

    `zone` is the ledger's, which counts where the mapping names none.
    """
    opened = open_tables(mapping, files, zone)  # before the first event: a file that does not fit stops everything
    return ((item.line, item.event) for table in opened.tables for item in table.items(on_error))


def open_tables(mapping: TableMapping, files: Files, zone: tzinfo = UTC) -> Opened:
    """Open all files that the entries of a mapping apply to; MappingError says what does not fit."""
    given, folders, passed_over = _given(files)
    lookups, read, digest = open_lookups(mapping, given)
    opened: list[OpenTable] = []
    for table in mapping.tables:
        chosen = [
            (name, path) for name, path in given if _fits(table, name) and (path not in read or _is_named(table, name))
        ]
        if folders and not chosen and not table.optional:
            raise MappingError(f"{table.key}.file", f"a file {table.file!r} in the folder (or say `optional: true`)")
        for name, path in chosen:
            sheet = open_sheet(table.key, name, path, table.written, table.wanted())
            reading = Reading(table.zone or zone, table.blanks, lookups)
            opened.append(OpenTable(table, sheet, reading, _version(mapping, digest, table, sheet)))
    read.update(one.sheet.path for one in opened)
    for name, path in given:
        if path in read or path.resolve() == mapping.path.resolve():
            continue
        if not any(folder in path.parents for folder in folders):
            raise MappingError("files", f"an entry whose `file` fits {name}")
        passed_over.append(name)
    return Opened(opened, passed_over)


def _fits(table: Table, name: str) -> bool:
    return fnmatchcase(Path(name).name, table.file)


def _is_named(table: Table, name: str) -> bool:
    """Tell whether an entry names a file, not only a pattern: then its rows are read though something is looked up in it."""
    return Path(name).name == table.file


def _version(mapping: TableMapping, lookups: str, table: Table, sheet: Sheet) -> str:
    """Return a digest of all that decides what the rows of a file give, beside its content and the ledger's zone."""
    named = Path(sheet.name).name if any(slot.column == "@file" for slot in table.slots) else ""
    return hashlib.sha256(repr((mapping.digest, lookups, table.key, named)).encode()).hexdigest()


def _given(files: Files) -> tuple[list[tuple[str, Path]], list[Path], list[str]]:
    """Return files with the names by which they are told apart, the folders that were given, and the folders in those."""
    if isinstance(files, Mapping):
        return list(files.items()), [], []
    several = [files] if isinstance(files, Path) else list(files)
    folders = [one for one in several if one.is_dir()]
    inside = [sorted(one.iterdir()) if one.is_dir() else [one] for one in several]
    paths = [path for group in inside for path in group if not path.name.startswith(".")]
    names = Counter(path.name for path in paths)
    called = [(path.name if names[path.name] == 1 else str(path), path) for path in paths]
    return [one for one in called if one[1].is_file()], folders, [f"{name}/" for name, path in called if path.is_dir()]


def _is_new(seen: dict[int, int], rule: Rule, row: Row, event: dict[str, Any], cells: int) -> bool:
    """Tell whether an id comes for the first time in a file; ClashError says how another row has it already.

    `seen` holds the line, the cells and the event of each id in one number, since files may have millions of rows.
    """
    content = hash(encode_json(event)) & _MASK
    key = hash(event["id"])
    before = seen.get(key)
    if before is None:
        if len(seen) < _REMEMBERED:
            seen[key] = row.line << 128 | cells << 64 | content
        return True
    same_event, same_cells, line = before & _MASK == content, before >> 64 & _MASK == cells, before >> 128
    if rule.once and same_event:
        return False
    if same_event and same_cells:
        how = "whose cells are the same (where equal rows all count, put {@nth} into the id)"
    elif same_event:
        how = "which gives the same event (where both count, put what tells them apart into the id, else say `once: true`)"
    else:
        how = "which says something else (put what tells them apart into the id)"
    raise ClashError(row.file, row.line, "id", f"an id of its own, found {event['id']!r} as in line {line}, {how}")


def _check_thing(things: dict[int, int], row: Row, event: dict[str, Any]) -> None:
    """Raise ClashError where an earlier row speaks of the same thing at the same time, though under another id.

    `things` holds the line of each. Which of two statements counts would be decided by how their ids sort.
    """
    field = _NAMED_BY.get(event["type"])
    if field is None:
        return
    name = event["data"][field]
    key = hash((event["type"], name, event["time"]))
    line = things.get(key)
    if line is None:
        if len(things) < _REMEMBERED:
            things[key] = row.line
        return
    raise ClashError(
        row.file, row.line, field,
        f"a value of its own, found {name!r} as in line {line}, of the same time: one of the two would not count (put "
        f"what tells them apart into {field}; where they are parts of one thing, add them up; where they say the same, give them "
        "one id and `once: true`)",
    )  # fmt: skip
