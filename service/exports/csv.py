"""Tables as CSV: RFC 4180, UTF-8, a header, decimal points. No text is one that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO

from service.exports.columns import (
    COUNT,
    DAY,
    LIST,
    MONEY,
    NUMBER,
    TEXT,
    TIME,
    TRUTH,
    Column,
    Values,
    joined,
    plain,
    told,
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run, at the beginning of a text


def safe(text: Any) -> str:
    """Return a text as a cell that no spreadsheet runs: with an apostrophe before what would begin a formula."""
    text = str(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


_CELLS: dict[str, Callable[[Any], str]] = {
    TEXT: safe, LIST: lambda value: safe(joined(value)), MONEY: str, COUNT: str, NUMBER: plain, DAY: str, TIME: told,
    TRUTH: lambda value: "true" if value else "false",
}  # fmt: skip


class Csv:
    """A CSV file in the making."""

    def __init__(self, sink: BinaryIO, columns: Sequence[Column]) -> None:
        self._sink, self._cells = sink, [_CELLS[one.type] for one in columns]
        self._write([[one.name for one in columns]])

    def rows(self, rows: Iterable[Values]) -> None:
        """Write rows."""
        self._write(
            ["" if value is None else cell(value) for cell, value in zip(self._cells, row, strict=True)] for row in rows
        )

    def close(self) -> None:
        """End the file, which has all that it needs."""

    def abandon(self) -> None:
        """Leave it unfinished."""

    def _write(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._sink.write(text.getvalue().encode())
