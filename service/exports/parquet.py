"""Tables as Parquet: money as decimals, days as dates, moments in UTC, counts as integers, all else as doubles and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import parquet

from service.exports.columns import COUNT, DAY, LIST, MONEY, NUMBER, TEXT, TIME, TRUTH, Column, Values, moment

_MOST_DIGITS = 38
_CONVERTED_AT_ONCE = 1_000  # rows: no other thread gets on meanwhile
_ROWS_AT_ONCE = 20_000  # of a row group, which is in memory while it is filled

_TYPES: dict[str, Callable[[Column], pa.DataType]] = {
    TEXT: lambda _: pa.string(),
    LIST: lambda _: pa.list_(pa.string()),
    MONEY: lambda column: pa.decimal128(_MOST_DIGITS, column.digits),
    COUNT: lambda _: pa.int64(),
    NUMBER: lambda _: pa.float64(),
    DAY: lambda _: pa.date32(),
    TIME: lambda _: pa.timestamp("us", "UTC"),
    TRUTH: lambda _: pa.bool_(),
}
_VALUES: dict[str, Callable[[Any], Any]] = {
    TEXT: str, LIST: lambda value: list(map(str, value)), MONEY: lambda value: Decimal(str(value)), COUNT: int, NUMBER: float,
    DAY: lambda value: value if isinstance(value, date) else date.fromisoformat(value), TIME: moment, TRUTH: bool,
}  # fmt: skip


class Parquet:
    """A Parquet file in the making."""

    def __init__(self, sink: BinaryIO, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._schema = pa.schema([pa.field(one.name, _TYPES[one.type](one)) for one in columns])
        self._writer = parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), self._schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []

    def rows(self, rows: Iterable[Values]) -> None:
        """Write rows, as soon as there are enough for a group."""
        coming = iter(rows)
        while some := list(islice(coming, _CONVERTED_AT_ONCE)):
            self._waiting.append(self._batch(some))
            if sum(map(len, self._waiting)) >= _ROWS_AT_ONCE:
                self._write()

    def close(self) -> None:
        """Write what is left, and what a Parquet file ends with."""
        self._write()
        self._writer.close()

    def abandon(self) -> None:
        """Leave it unfinished."""

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting = []

    def _batch(self, rows: Sequence[Values]) -> pa.RecordBatch:
        arrays = [
            pa.array([None if value is None else _VALUES[column.type](value) for value in values], field.type)
            for column, field, values in zip(self._columns, self._schema, zip(*rows, strict=True), strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)
