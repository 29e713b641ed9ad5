"""Opening a CSV file as it comes: encoding, delimiter, lines before the header, and rows.

What a mapping does not say is found out, where the file leaves no doubt: the header is the first line that has all columns
of the mapping, separated by a comma, semicolon, tab or bar. What is not a CSV file, or is not written as the mapping says,
is told as what it is before the first row is read.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from service.intake.tabular_templates import MappingError

DELIMITERS = (",", ";", "\t", "|")
_NAMES = {"\t": "a tab", ",": '","', ";": '";"', "|": '"|"'}
_LINES = 60  # among which the header is looked for
_CHUNK = 1 << 20
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WORKBOOKS = {b"PK\x03\x04": ".xlsx", b"\xd0\xcf\x11\xe0": ".xls"}

Wanted = Mapping[str, Sequence[re.Pattern[str]]]  # columns by the names they may have in the header


class Written(NamedTuple):
    """How a mapping says that a file is written; None is found out."""

    delimiter: str | None = None
    encoding: str | None = None


class Record(NamedTuple):
    """A row with the line on which it starts; `wrong` says why it cannot be taken."""

    line: int
    cells: list[str]
    wrong: str | None = None


@dataclass
class Passed:
    """How many rows of a file were read, and what was passed over: empty rows, headers that stand again, skipped rows."""

    rows: int = 0
    empty: int = 0
    headers: int = 0
    skipped: int = 0
    without_event: int = 0


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file that was opened: where each wanted column stands, what the header names, and the lines before it."""

    name: str
    path: Path
    digest: str
    encoding: str
    delimiter: str
    start: int  # lines before the header
    header: list[str]
    titles: list[str]
    columns: dict[str, int]
    named: dict[str, str]  # what a header such as "Amount spent ({currency})" says

    def records(self, passed: Passed) -> Iterator[Record]:
        """Yield the rows after the header, counting what is passed over."""
        with self.path.open(encoding=self.encoding, newline="") as stream:
            reader = csv.reader(islice(_without_mark(stream), self.start, None), delimiter=self.delimiter, strict=True)
            next(reader)
            while True:
                line, cells = self.start + reader.line_num + 1, None
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    passed.rows += 1
                    yield Record(line, [], _malformed(error))
                    continue
                if cells is None:
                    return
                cells = [one.strip() for one in cells]
                if not any(cells):
                    passed.empty += bool(cells)
                elif _cut(cells, self.header) == self.header:
                    passed.headers += 1
                else:
                    passed.rows += 1
                    yield Record(line, *self._fitted(cells))

    def _fitted(self, cells: list[str]) -> tuple[list[str], str | None]:
        """Return as many cells as the header has, and what is wrong where that is not what the row has."""
        found, wanted = len(cells), len(self.header)
        cells = _cut(cells, self.header)
        if len(cells) == wanted:
            return cells, None
        if len(cells) < wanted:
            wrong = f"{wanted} cells as in the header, found {found}: cells are missing at its end"
            return cells + [""] * (wanted - found), wrong
        return (
            cells,
            f"{wanted} cells as in the header, found {found}: a cell with {_NAMES[self.delimiter]} in it needs quotes",
        )


def open_sheet(key: str, name: str, path: Path, written: Written, wanted: Wanted) -> Sheet:
    """Open a file by the key of its entry in the mapping; MappingError says what does not fit."""
    encoding = _encoding(key, name, path, written)
    digest = _checked(key, name, path, encoding)
    with path.open(encoding=encoding, newline="") as stream:
        lines = list(islice(_without_mark(stream), _LINES))
    told = _SEPARATOR.fullmatch(lines[0]) if lines else None
    first = 1 if told else 0
    chosen = written.delimiter or (told[1] if told else None)
    heads = {one: _heads(lines, first, one) for one in DELIMITERS}
    for delimiter in (chosen,) if chosen else DELIMITERS:
        for start, header in heads[delimiter]:
            if (found := _columns(header, wanted)) is not None:
                titles = [_title(lines[at], delimiter) for at in range(first, start)]
                return Sheet(
                    name, path, digest, encoding, delimiter, start, header,
                    [one for one in titles if one], *found,
                )  # fmt: skip
    for other in DELIMITERS:
        if any(_columns(header, wanted) is not None for _, header in heads[other]):
            raise MappingError(f"{key}.delimiter", f"{_NAMES[other]}, which separates the columns of {name}")
    raise MappingError(key, _missing(name, heads, chosen, wanted))


def _encoding(key: str, name: str, path: Path, written: Written) -> str:
    with path.open("rb") as stream:
        start = stream.read(4)
    if start in _WORKBOOKS:
        raise MappingError(
            f"{key}.file", f"a CSV file: {name} is a workbook ({_WORKBOOKS[start]}), which Excel saves as CSV UTF-8"
        )
    marked = next((encoding for mark, encoding in _BOMS if start.startswith(mark)), None)
    if marked and written.encoding and not codecs.lookup(written.encoding).name.startswith(marked):
        raise MappingError(f"{key}.encoding", f"{marked}, as the beginning of {name} says (the key can be left out)")
    return written.encoding or marked or "utf-8"


def _checked(key: str, name: str, path: Path, encoding: str) -> str:
    """Return the SHA-256 of a file that can be read in an encoding to its end."""
    digest, decoder, line = hashlib.sha256(), codecs.getincrementaldecoder(encoding)(), 1
    with path.open("rb") as stream:
        while True:
            chunk = stream.read(_CHUNK)
            digest.update(chunk)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                hint = "; old spreadsheets write cp1252" if encoding == "utf-8" else ""
                raise MappingError(
                    f"{key}.encoding", f"the encoding of {name}, which is not {encoding} (line {line}){hint}"
                ) from None
            if "\x00" in text:
                raise MappingError(
                    f"{key}.encoding",
                    f"the encoding of {name}, which has zero bytes in it: utf-16-le, or it is damaged",
                )
            line += text.count("\n")
            if not chunk:
                return digest.hexdigest()


def _without_mark(stream: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(stream):
        yield line if number else line.removeprefix("\ufeff")


def _heads(lines: list[str], first: int, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return what may be the header: the record that begins with each of the first lines, and how many lines are before it."""
    heads = []
    for start in range(first, len(lines)):
        try:
            cells = next(csv.reader(lines[start:], delimiter=delimiter, strict=True), [])
        except csv.Error:  # a line before the header need not be CSV
            continue
        if header := _trimmed([cell.strip() for cell in cells]):
            heads.append((start, header))
    return heads


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _cut(cells: list[str], header: list[str]) -> list[str]:
    """Return a row without empty cells beyond the header, which a delimiter at the end of each line makes."""
    return cells if any(cells[len(header) :]) else cells[: len(header)]


def _columns(header: list[str], wanted: Wanted) -> tuple[dict[str, int], dict[str, str]] | None:
    places: dict[str, int] = {}
    named: dict[str, str] = {}
    for column, patterns in wanted.items():
        for pattern in patterns:
            found = [(at, match) for at, text in enumerate(header) if (match := pattern.fullmatch(text))]
            if len(found) == 1:
                places[column] = found[0][0]
                named.update(found[0][1].groupdict())
                break
        else:
            return None
    return places, named


def _missing(
    name: str, heads: dict[str, list[tuple[int, list[str]]]], chosen: str | None, wanted: Wanted
) -> str:  # fmt: skip
    """Say which columns the likeliest header does not have, or has twice."""

    def fits(header: list[str]) -> int:
        return sum(_columns(header, {column: patterns}) is not None for column, patterns in wanted.items())

    candidates = [header for one in ((chosen,) if chosen else DELIMITERS) for _, header in heads[one]]
    if not candidates:
        return f"a header in {name}, which is empty"
    header = max(candidates, key=lambda one: (fits(one), len(one) if fits(one) else 0))
    if not fits(header):
        header = max(candidates, key=len)
    lost = next(column for column, patterns in wanted.items() if _columns(header, {column: patterns}) is None)
    near = "".join(f"; did you mean {one!r}?" for one in get_close_matches(lost, header, n=1) if one != lost)
    return f"one column {lost!r} in {name}, which has {', '.join(header)}{near}"


def _title(line: str, delimiter: str) -> str:
    cells = next(csv.reader([line], delimiter=delimiter), [])
    return f"{delimiter} ".join(_trimmed([cell.strip() for cell in cells]))


def _malformed(error: csv.Error) -> str:
    if "unexpected end" in str(error) or "field limit" in str(error):
        return "a closing quote: from here on, a cell goes on to the end of the file"
    return f"well-formed CSV ({error})"
