"""Tables: rows of CSV files become CloudEvents, by a YAML mapping that a marketing user can write.

    files:
      - file: "leads*.csv"            # a file name or a pattern; several entries may stand side by side
        source: /imports/leads        # the CloudEvents source of all its events
        delimiter: ";"                # optional, else ","; so is `encoding`, else UTF-8 (old spreadsheets: cp1252)
        events:                       # each row gives one event per entry
          - type: lead.captured
            id: "captured-{Lead No}"  # the same row gives the same id, so that importing a file again adds nothing
            time: {column: Created, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}  # or "{created_at}": ISO 8601, UTC
            when: {column: Status, equals: [New, Open]}  # optional; without `equals`: where the cell is not empty
            data: {lead_id: "{Lead No}", channel: "{Origin|lower}", campaign_id: "{Campaign|slug}"}

`tabular_filters.py` lists the filters. What renders to nothing states nothing and is left out. A row is taken whole
or, with a `RowError`, not at all.
"""

import csv
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from service.intake.tabular_mapping import Table, TableMapping, load_mapping
from service.intake.tabular_templates import MappingError, Row, RowError, TabularError

__all__ = ["MappingError", "RowError", "TableMapping", "TabularError", "load_mapping", "read_events"]


def read_events(
    mapping: TableMapping, files: dict[str, Path] | Path, on_error: Callable[[RowError], None] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, CloudEvent) row by row from a folder, one file, or files by their names.

    Without `on_error` the first RowError is raised; with it, each is handed over and reading goes on after the row.
    """
    chosen = list(_choose(mapping, files))  # before the first event: a file that does not fit stops everything
    return _read(chosen, on_error)


def _read(
    chosen: list[tuple[Table, str, Path]], on_error: Callable[[RowError], None] | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    for table, name, path in chosen:
        for row in _rows(table, name, path):
            try:
                if isinstance(row, RowError):
                    raise row
                events = [rule.event(row, table.source) for rule in table.rules if rule.applies(row)]
            except RowError as error:
                if on_error is None:
                    raise
                on_error(error)
                continue
            yield from ((row.line, event) for event in events)


def _rows(table: Table, name: str, path: Path) -> Iterator[Row | RowError]:
    with path.open(encoding=table.encoding, newline="") as stream:
        reader = csv.reader(stream, delimiter=table.delimiter, strict=True)
        try:
            header = [column.strip() for column in next(reader, [])]
            for column in sorted({column for rule in table.rules for column in rule.columns}):
                if header.count(column) != 1:
                    raise MappingError(table.key, f"one column {column!r} in {name}, which has {', '.join(header)}")
            while (row := _next(reader, name, header)) is not None:
                if isinstance(row, RowError) or row.cells:
                    yield row
        except csv.Error as error:
            raise MappingError(f"{table.key}.file", f"well-formed CSV in {name} ({error})") from None
        except UnicodeDecodeError:
            raise MappingError(
                f"{table.key}.encoding", f"the encoding of {name}, which is not {table.encoding}"
            ) from None


def _next(reader: Any, name: str, header: list[str]) -> Row | RowError | None:
    line = reader.line_num + 1
    try:
        cells = next(reader, None)
    except csv.Error as error:
        return RowError(name, line, "(row)", f"well-formed CSV ({error})")
    if cells and len(cells) != len(header):
        return RowError(name, line, "(row)", f"{len(header)} cells as in the header, found {len(cells)}")
    return None if cells is None else Row(name, line, dict(zip(header, map(str.strip, cells), strict=False)))


def _choose(mapping: TableMapping, files: dict[str, Path] | Path) -> Iterator[tuple[Table, str, Path]]:
    folder = isinstance(files, Path) and files.is_dir()
    if isinstance(files, Path):
        files = {path.name: path for path in files.iterdir() if path.is_file()} if folder else {files.name: files}
    unread = set(files)
    for table in mapping.tables:
        names = sorted(name for name in files if fnmatchcase(name, table.file))
        if folder and not names:
            raise MappingError(f"{table.key}.file", f"a file {table.file!r} in the folder")
        unread.difference_update(names)
        yield from ((table, name, files[name]) for name in names)
    if unread and not folder:
        raise MappingError("files", f"an entry whose `file` fits {', '.join(sorted(unread))}")
