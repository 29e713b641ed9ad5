"""Balances: what postings add up to at the grains that reads need, so that a read does not grow with the log.

A row is one (basis, cube, grain, start, segment) with a column per measure. basis: e(vent) or c(ohort) day; cube: s(egment),
all dimensions, or c(ampaign) alone; grain: d(ay), m(onth), y(ear). Histograms hold durations in logarithmic buckets, by
campaign and month only: what is finer is read from the postings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from service.domain.calendar import grain_start
from service.domain.component import MEASURES
from service.domain.postings import LISTS, Cell
from service.domain.velocity import DURATIONS, TOTALS, bucket_of
from service.projections import peaks

Place = tuple[str, str, str, int, int]  # basis, cube, grain, start, segment
Rows = dict[Place, dict[str, int]]
Buckets = dict[tuple[str, int, int], dict[tuple[str, int], int]]  # basis, month, campaign → (measure, bucket) → count


def column(measure: str) -> str:
    """Return the column of the balances that a measure adds up in."""
    return measure.replace(".", "_")


_LARGEST = 2**63 - 1
_TOTALS = dict(zip(DURATIONS, TOTALS, strict=True))
COLUMNS = {measure: column(measure) for measure in MEASURES}


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


def summed(postings: Iterable[tuple[int, Cell, int]], campaigns: Mapping[int, int]) -> tuple[Rows, Buckets]:
    """Return what postings add to the balances and, keyed by (measure, bucket), to the histograms.

    Each level adds up the one before: days, then days of campaigns alone, then months, then years.
    """
    days: dict[
        tuple[int, int, int], dict[str, int]
    ] = {}  # segment, day, cohort day: what one event changes is mostly one
    buckets: Buckets = {}
    for _, (measure, _, segment, day, cohort, value, _), amount in postings:
        if measure in LISTS:
            continue
        place = (segment, day, cohort)
        row = days.get(place)
        if row is None:
            row = days[place] = {}
        row[measure] = row.get(measure, 0) + amount
        if value is not None:
            total = _TOTALS[measure]
            row[total] = row.get(total, 0) + amount * value
            bucket = {(measure, bucket_of(value)): amount}
            _add(buckets, ("e", _month(day), campaigns[segment]), bucket)
            _add(buckets, ("c", _month(cohort), campaigns[segment]), bucket)
    by_segment: Rows = {}
    for (segment, day, cohort), amounts in days.items():
        _add(by_segment, ("e", "s", "d", day, segment), amounts)
        _add(by_segment, ("c", "s", "d", cohort, segment), amounts)
    by_campaign: Rows = {}
    for (basis, _, grain, start, segment), amounts in by_segment.items():
        _add(by_campaign, (basis, "c", grain, start, campaigns[segment]), amounts)
    rows = by_segment | by_campaign
    for finer, coarser, first_day in (("d", "m", _month), ("m", "y", _year)):
        level: Rows = {}
        for (basis, cube, grain, start, segment), amounts in rows.items():
            if grain == finer:
                _add(level, (basis, cube, coarser, first_day(start), segment), amounts)
        rows |= level
    return rows, buckets


async def write(connection: Any, key: tuple[int, int], rows: Rows) -> None:
    """Add rows to the stored balances of a generation.

    They go by COPY through a temporary table: as arrays they would cost more to encode than everything else here.
    """
    if not rows:
        return
    rows, beyond = _within_64_bits(rows)
    measures = sorted({measure for amounts in rows.values() for measure in amounts})
    names = [COLUMNS[measure] for measure in measures]
    places = sorted(rows)
    records = [(*_stored(place), *map(rows[place].get, measures)) for place in places]
    columns = ", ".join(f"{name} bigint" for name in COLUMNS.values())
    await connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS fresh_balances ({_PLACE}, {columns}) ON COMMIT DELETE ROWS"
    )
    await connection.execute("DELETE FROM fresh_balances")
    await connection.copy_records_to_table("fresh_balances", records=records, columns=[*_PLACES, *names])
    await connection.execute(
        f"""
        INSERT INTO balances (ledger, generation, {", ".join(_PLACES)}, {", ".join(names)})
        SELECT $1, $2, {", ".join(_PLACES)}, {", ".join(names)} FROM fresh_balances
        ON CONFLICT (ledger, generation, basis, cube, grain, start, segment) DO UPDATE SET
        {", ".join(f"{c} = coalesce(balances.{c} + excluded.{c}, balances.{c}, excluded.{c})" for c in names)}
        """,
        *key,
    )
    await peaks.update(connection, key)
    await write(connection, key, beyond)


def pieces(amount: int) -> list[int]:
    """Cut an amount into parts of 64 bits that add up to it: the driver encodes integers several times faster than numeric."""
    parts = [(_LARGEST if amount > 0 else -_LARGEST)] * (abs(amount) // _LARGEST)
    return [*parts, amount - sum(parts)]


def _within_64_bits(rows: Rows) -> tuple[Rows, Rows]:
    """Part rows into what fits, which is nearly always all of it, and the rest."""
    beyond: Rows = {}
    for place, amounts in rows.items():
        for measure, amount in amounts.items():
            if abs(amount) > _LARGEST:
                amounts[measure] = pieces(amount)[0]
                beyond.setdefault(place, {})[measure] = amount - amounts[measure]
    return rows, beyond


async def write_histograms(connection: Any, key: tuple[int, int], rows: Buckets) -> None:
    """Add rows to the stored histograms of a generation."""
    records = [
        (_BYTES[basis], _to_date(start), segment, *what, amount)
        for (basis, start, segment), amounts in sorted(rows.items())
        for what, amount in sorted(amounts.items())
        if amount
    ]
    if not records:
        return
    await connection.execute(
        """
        CREATE TEMP TABLE IF NOT EXISTS fresh_histograms (
            basis "char", start date, segment integer, measure text, bucket smallint, amount bigint
        ) ON COMMIT DELETE ROWS
        """
    )
    await connection.execute("DELETE FROM fresh_histograms")
    await connection.copy_records_to_table("fresh_histograms", records=records)
    await connection.execute(
        """
        INSERT INTO histograms SELECT $1, $2, * FROM fresh_histograms
        ON CONFLICT (ledger, generation, basis, segment, measure, start, bucket)
        DO UPDATE SET amount = histograms.amount + excluded.amount
        """,
        *key,
    )


_PLACES = ("basis", "cube", "grain", "start", "segment")
_PLACE = 'basis "char", cube "char", grain "char", start date, segment integer'
_BYTES = {name: name.encode() for name in "ecsdmy"}  # how the driver takes a "char"


def _stored(place: Place) -> tuple[bytes, bytes, bytes, date, int]:
    basis, cube, grain, start, segment = place
    return _BYTES[basis], _BYTES[cube], _BYTES[grain], _to_date(start), segment
