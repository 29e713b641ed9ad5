"""Balances: what postings add up to at the grains that reads need, so that a read does not grow with the log.

A row is one (basis, cube, grain, start, segment) with a column per measure of its cube, as the layout has it. basis: e(vent) or
c(ohort) day; cube: the letter of a cube's dimensions together, or of one of its roll-ups; grain: d(ay), m(onth), y(ear).
Histograms hold durations in logarithmic buckets, by the first roll-up and month only: what is finer is read from the postings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from string import ascii_letters
from typing import Any, NamedTuple

from service.domain.calendar import grain_start
from service.domain.cubes import total_of
from service.domain.durations import bucket_of
from service.domain.layout import COLUMNS
from service.domain.postings import LARGEST, LISTS, Cell, Segments

Place = tuple[str, str, str, int, int]  # basis, cube, grain, start, segment
Rows = dict[Place, dict[str, int]]
Buckets = dict[
    tuple[str, int, int], dict[tuple[str, int], int]
]  # basis, month, first roll-up → (measure, bucket) → count


_to_date = lru_cache(maxsize=65_536)(date.fromordinal)


@lru_cache(maxsize=65_536)
def _month(day: int) -> int:
    return grain_start(date.fromordinal(day), "month").toordinal()


@lru_cache(maxsize=65_536)
def _year(day: int) -> int:
    return grain_start(date.fromordinal(day), "year").toordinal()


def _add(rows: dict[Any, dict[Any, int]], place: Any, amounts: Mapping[Any, int]) -> None:
    row = rows.get(place)
    if row is None:
        rows[place] = dict(amounts)
    else:
        for name, amount in amounts.items():
            row[name] = row.get(name, 0) + amount


def _amounts() -> defaultdict[str, int]:
    return defaultdict(int)


class Unsettled:
    """What postings add to the balances and not yet have: by segment, day and cohort day, and in buckets."""

    def __init__(self) -> None:
        # What one event changes is mostly of one segment, day and cohort day.
        self._days: defaultdict[tuple[int, int, int], defaultdict[str, int]] = defaultdict(_amounts)
        self._buckets: Buckets = {}

    def add(self, postings: Iterable[tuple[int, Cell, int]], campaigns: Mapping[int, int]) -> None:
        """Take in postings; `campaigns` gives a segment's campaign."""
        days, buckets = self._days, self._buckets
        for _, (measure, _, segment, day, cohort, value, _), amount in postings:
            if measure in LISTS:
                continue
            row = days[segment, day, cohort]
            row[measure] += amount
            if value is not None:
                row[total_of(measure)] += amount * value
                bucket = (measure, bucket_of(value))
                for month in (("e", _month(day), campaigns[segment]), ("c", _month(cohort), campaigns[segment])):
                    times = buckets.setdefault(month, {})
                    times[bucket] = times.get(bucket, 0) + amount

    def addition(self, segments: Segments) -> Addition:
        """Return what has to be added to the stored balances and histograms."""
        histograms = [
            (_BYTES[basis], _to_date(start), segment, *what, amount)
            for (basis, start, segment), amounts in sorted(self._buckets.items())
            for what, amount in sorted(amounts.items())
            if amount
        ]
        rows = self._rows(segments)
        column = segments.layout.column
        beyond = _cut_to_64_bits(rows, column)
        columns = {measure: column(measure) for measure in {one for amounts in rows.values() for one in amounts}}
        used = sorted({*columns.values()}, key=lambda name: int(name[1:]))
        index = {measure: used.index(name) for measure, name in columns.items()}
        blank: list[Any] = [None] * len(used)
        records = [_record(place, rows[place], index, blank) for place in sorted(rows)]
        return Addition(used, records, beyond, histograms)

    def _rows(self, segments: Segments) -> Rows:
        """Each level adds up the one before: days, then days of roll-ups, then months, then years."""
        level: Rows = {}
        for (segment, day, cohort), added in self._days.items():
            cube = segments.levels(segment)[0][0]
            _add(level, ("e", cube, "d", day, segment), added)
            if segments.on_cohort_days(segment):
                _add(level, ("c", cube, "d", cohort, segment), added)
        days = level
        while level:
            above: Rows = {}
            for (basis, cube, grain, start, segment), amounts in level.items():
                if (up := segments.above(cube, segment)) is not None:
                    _add(above, (basis, up[0], grain, start, up[1]), amounts)
            days, level = days | above, above
        rows, level = days, days
        for coarser, first_day in (("m", _month), ("y", _year)):
            above = {}
            for (basis, cube, _, start, segment), amounts in level.items():
                _add(above, (basis, cube, coarser, first_day(start), segment), amounts)
            rows, level = rows | above, above
        return rows


def _record(place: Place, amounts: Mapping[str, int], index: Mapping[str, int], blank: list[Any]) -> tuple[Any, ...]:
    """Return a place with its amounts in their columns: most columns of a row are empty."""
    columns = blank.copy()
    for measure, amount in amounts.items():
        columns[index[measure]] = amount
    return (*_stored(place), *columns)


class Addition(NamedTuple):
    """Records for the tables: `balances` with these `columns`, of 64 bits; by column, what some amounts have `beyond` them."""

    columns: list[str]
    balances: list[tuple[Any, ...]]
    beyond: dict[str, list[tuple[Any, ...]]]
    histograms: list[tuple[Any, ...]]


NOTHING = Addition([], [], {}, [])


def pieces(amount: int) -> list[int]:
    """Cut an amount into parts of 64 bits that add up to it: no more than it has entries, each of which fits by itself."""
    parts = [(LARGEST if amount > 0 else -LARGEST)] * (abs(amount) // LARGEST)
    return [*parts, amount - sum(parts)]


def _cut_to_64_bits(rows: Rows, column: Callable[[str], str]) -> dict[str, list[tuple[Any, ...]]]:
    """Leave in the rows what fits, which is nearly always all of it; return the rest, by column, each with its place.

    The driver encodes integers several times faster than numeric.
    """
    beyond: dict[str, list[tuple[Any, ...]]] = {}
    for place, amounts in rows.items():
        for measure, amount in amounts.items():
            if not -LARGEST <= amount <= LARGEST:
                amounts[measure] = LARGEST if amount > 0 else -LARGEST
                rest = (*_stored(place), Decimal(amount - amounts[measure]))
                beyond.setdefault(column(measure), []).append(rest)
    return beyond


async def write(connection: Any, key: tuple[int, int], addition: Addition, *, fresh: bool = False) -> None:
    """Add to the stored balances and histograms of a generation; `fresh` = it has none yet.

    Records go by COPY through temporary tables: as arrays they would cost more to encode than everything else here.
    """
    await connection.execute(_MAKE_ROOM)
    if addition.balances:
        names = addition.columns
        added = ", ".join(f"{c} = coalesce(balances.{c} + excluded.{c}, balances.{c}, excluded.{c})" for c in names)
        await connection.copy_records_to_table("fresh_balances", records=addition.balances, columns=[*_PLACES, *names])
        await connection.execute(
            f"""
            INSERT INTO balances (ledger, generation, {", ".join(_PLACES)}, {", ".join(names)})
            SELECT $1, $2, {", ".join(_PLACES)}, {", ".join(names)} FROM fresh_balances
            {"" if fresh else f"ON CONFLICT (ledger, generation, {', '.join(_PLACES)}) DO UPDATE SET {added}"}
            """,
            *key,
        )
        for name, records in addition.beyond.items():
            await connection.executemany(
                f"""
                UPDATE balances SET {name} = {name} + $8
                WHERE ledger = $1 AND generation = $2 AND ({", ".join(_PLACES)}) = ($3, $4, $5, $6, $7)
                """,
                [(*key, *record) for record in records],
            )
    if addition.histograms:
        await connection.copy_records_to_table("fresh_histograms", records=addition.histograms)
        await connection.execute(
            """
            INSERT INTO histograms SELECT $1, $2, * FROM fresh_histograms
            ON CONFLICT (ledger, generation, basis, segment, measure, start, bucket)
            DO UPDATE SET amount = histograms.amount + excluded.amount
            """,
            *key,
        )


_PLACES = ("basis", "cube", "grain", "start", "segment")
_BUCKET = 'basis "char", start date, segment integer, measure text, bucket smallint, amount bigint'
_PLACE = 'basis "char", cube "char", grain "char", start date, segment integer'
# Empty temporary tables, in one round trip: a batch may add several times before it commits.
_MAKE_ROOM = f"""
    CREATE TEMP TABLE IF NOT EXISTS fresh_balances (
        {_PLACE}, {", ".join(f"m{number} bigint" for number in range(1, COLUMNS + 1))}
    ) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE IF NOT EXISTS fresh_histograms ({_BUCKET}) ON COMMIT DELETE ROWS;
    DELETE FROM fresh_balances; DELETE FROM fresh_histograms
"""
_BYTES = {name: name.encode() for name in ascii_letters}  # how the driver takes a "char"


def _stored(place: Place) -> tuple[bytes, bytes, bytes, date, int]:
    basis, cube, grain, start, segment = place
    return _BYTES[basis], _BYTES[cube], _BYTES[grain], _to_date(start), segment
