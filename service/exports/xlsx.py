"""Tables as Excel workbooks: money and ratios as numbers, days as dates; a second sheet says what the first one rests on.

A row is written when the next one comes, so that a million of them take no more memory than one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from service.exports.columns import COUNT, DAY, LIST, MONEY, NUMBER, TEXT, TIME, TRUTH, Column, Values, joined, moment

_MOST_ROWS = 1_048_576  # of a sheet
_MOST_CHARACTERS = 32_767  # of a cell
_MOST_DIGITS = 15  # that a spreadsheet keeps of a number
_MOST_TITLE = 25  # characters of a sheet's name, and of its number where there are several
_FORMATS = {COUNT: "#,##0", NUMBER: "General", DAY: "yyyy-mm-dd", TIME: "yyyy-mm-dd hh:mm:ss"}
_WIDTHS = {TEXT: 24, LIST: 24, TIME: 19}
_WIDTH = 14
_OPTIONS = {
    "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    "remove_timezone": True,
}  # fmt: skip

Cell = Callable[[Worksheet, int, int, Any, Format], object]


def _text(sheet: Worksheet, row: int, column: int, value: Any, form: Format) -> None:
    sheet.write_string(row, column, str(value)[:_MOST_CHARACTERS], form)


def _number(sheet: Worksheet, row: int, column: int, value: Any, form: Format) -> None:
    """Write a number, or as text what has more digits than a spreadsheet keeps: it would be shown as another amount."""
    if len(Decimal(str(value)).normalize().as_tuple().digits) > _MOST_DIGITS:
        _text(sheet, row, column, value, form)
    else:
        sheet.write_number(row, column, float(value), form)


def _day(sheet: Worksheet, row: int, column: int, value: Any, form: Format) -> None:
    sheet.write_datetime(row, column, value if isinstance(value, date) else date.fromisoformat(value), form)


_CELLS: Mapping[str, Cell] = {
    TEXT: _text,
    LIST: lambda sheet, row, column, value, form: _text(sheet, row, column, joined(value), form),
    MONEY: _number,
    COUNT: _number,
    NUMBER: lambda sheet, row, column, value, form: sheet.write_number(row, column, value, form),
    DAY: _day,
    TIME: lambda sheet, row, column, value, form: sheet.write_datetime(row, column, moment(value), form),
    TRUTH: lambda sheet, row, column, value, form: sheet.write_boolean(row, column, value, form),
}


class Xlsx:
    """A workbook in the making: `title` names the sheet, `about` are the lines of the one behind it."""

    def __init__(
        self, sink: BinaryIO, columns: Sequence[Column], title: str = "data", about: Sequence[Sequence[Any]] = ()
    ) -> None:
        self._columns, self._title, self._about = columns, title[:_MOST_TITLE], about
        self._folder = TemporaryDirectory(prefix="campaign-ledger-")  # where rows are until they are put together
        self._book = xlsxwriter.Workbook(sink, {**_OPTIONS, "tmpdir": self._folder.name})
        self._bold = self._book.add_format({"bold": True})
        self._cells = [(number, _CELLS[one.type], self._format(one)) for number, one in enumerate(columns)]
        self._sheets = 0
        self._begin()

    def rows(self, rows: Iterable[Values]) -> None:
        """Write rows; where a sheet is full, into another one."""
        for row in rows:
            if self._row == _MOST_ROWS:
                self._begin()
            for (number, cell, form), value in zip(self._cells, row, strict=True):
                if value is not None:
                    cell(self._sheet, self._row, number, value, form)
            self._row += 1

    def close(self) -> None:
        """Write what the table rests on, and put the workbook together."""
        if self._about:
            sheet = self._book.add_worksheet("about")
            sheet.set_column(0, 0, _WIDTHS[TEXT])
            sheet.set_column(1, 1, _WIDTHS[TEXT])
            sheet.set_column(3, 3, 4 * _WIDTHS[TEXT])
            for number, line in enumerate(self._about):
                for column, value in enumerate(line):
                    self._told(sheet, number, column, value)
        self._book.close()
        self._folder.cleanup()

    def abandon(self) -> None:
        """Leave it unfinished."""
        for sheet in self._book.worksheets():
            sheet.row_data_fh.close()
        self._folder.cleanup()

    def _told(self, sheet: Worksheet, row: int, column: int, value: Any) -> None:
        if isinstance(value, Decimal):
            _number(sheet, row, column, value, self._format(Column("", MONEY, -int(value.as_tuple().exponent))))
        elif isinstance(value, int | float):
            _number(sheet, row, column, value, self._format(Column("", NUMBER)))
        elif value is not None:
            _text(sheet, row, column, value, self._format(Column("")) if column else self._bold)

    def _begin(self) -> None:
        self._sheets += 1
        name = self._title if self._sheets == 1 else f"{self._title} {self._sheets}"
        self._sheet, self._row = self._book.add_worksheet(name), 1
        self._sheet.freeze_panes(1, 0)
        for number, one in enumerate(self._columns):
            self._sheet.set_column(number, number, _WIDTHS.get(one.type, _WIDTH))
            self._sheet.write_string(0, number, one.name, self._bold)

    def _format(self, column: Column) -> Format:
        text = _FORMATS.get(column.type, "@" if column.type in (TEXT, LIST) else "General")
        if column.type == MONEY:
            text = "#,##0" + ("." + "0" * column.digits if column.digits else "")
        return self._book.add_format({"num_format": text})
