"""Tables in which the filter `lookup` finds what a key stands for: accounts, products, teams."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from service.intake.blanks import is_blank
from service.intake.tabular_files import Passed, Sheet, open_sheet
from service.intake.tabular_tables import Lookup, TableMapping
from service.intake.tabular_templates import MappingError, RowError


@dataclass(frozen=True, slots=True)
class Found:
    """A table in memory: key → column → cell; `what` says what a key should be one of."""

    what: str
    rows: Mapping[str, Mapping[str, str]]
    otherwise: str | None

    def find(self, key: str, column: str) -> str:
        """Return what stands in `column` beside `key`; ValueError where the key is not there, unless the mapping has `else`."""
        if (row := self.rows.get(key)) is not None:
            return row[column]
        if self.otherwise is not None:
            return self.otherwise
        raise ValueError(self.what)


def open_lookups(mapping: TableMapping, files: list[tuple[str, Path]]) -> tuple[dict[str, Found], set[Path], str]:
    """Return the lookups of a mapping by name, which of the files they read, and a digest of what those hold."""
    found: dict[str, Found] = {}
    read: set[Path] = set()
    digest = hashlib.sha256()
    for name, lookup in mapping.lookups.items():
        if not lookup.file:
            rows = {key: {"": value} for key, value in lookup.values.items()}
            found[name] = Found(f"one of {', '.join(lookup.values)} (as `{lookup.key}` has it)", rows, lookup.otherwise)
            continue
        sheets = _sheets(mapping, name, lookup, files)
        read.update(sheet.path for sheet in sheets)
        for sheet in sheets:
            digest.update(sheet.digest.encode())
        what = f"a value of the column {lookup.column!r} of {', '.join(sheet.name for sheet in sheets)}"
        found[name] = Found(what, _rows(lookup, sheets), lookup.otherwise)
    return found, read, digest.hexdigest() if read else ""


def _sheets(mapping: TableMapping, name: str, lookup: Lookup, files: list[tuple[str, Path]]) -> list[Sheet]:
    """Open the files of a lookup: those among the files of the import, else those beside the mapping."""
    chosen = [(called, path) for called, path in files if fnmatchcase(path.name, lookup.file)]
    chosen = chosen or [(path.name, path) for path in _beside(mapping.path.parent, lookup.file)]
    if not chosen:
        raise MappingError(f"{lookup.key}.file", f"a file {lookup.file!r} among those to import, or beside the mapping")
    columns = {lookup.column, *mapping.looked_up(name)}
    wanted = {column: (re.compile(re.escape(column)),) for column in sorted(columns)}
    return [open_sheet(lookup.key, called, path, lookup.written, wanted) for called, path in chosen]


def _beside(folder: Path, file: str) -> list[Path]:
    if (folder / file).is_file():
        return [folder / file]
    return [path for path in sorted(folder.iterdir()) if path.is_file() and fnmatchcase(path.name, file)]


def _rows(lookup: Lookup, sheets: list[Sheet]) -> dict[str, dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    for sheet in sheets:
        for record in sheet.records(Passed()):
            if record.wrong:
                raise RowError(sheet.name, record.line, "(row)", record.wrong)
            cells = {column: record.cells[at] for column, at in sheet.columns.items()}
            cells = {column: "" if is_blank(cell) else cell for column, cell in cells.items()}
            key = cells[lookup.column]
            if key and rows.setdefault(key, cells) != cells:
                raise RowError(
                    sheet.name, record.line, lookup.column, f"each key once, found {key!r} again with other values"
                )
    return rows
