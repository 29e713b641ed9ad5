"""Which columns there are: of a report by its declaration, of entries by their cubes, of lists by what they say of themselves.

Values are found in rows as answers have them, so that a file has what the answer has, to the cent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from service.domain.money import MINOR_DIGITS
from service.domain.report import Report
from service.domain.units import OF_MEASURE
from service.exports.columns import (
    COUNT,
    DAY,
    LIST,
    MIXED_DIGITS,
    MONEY,
    NUMBER,
    OF_UNITS,
    TEXT,
    TIME,
    TRUTH,
    Column,
    Values,
)

Json = Mapping[str, Any]
_NAMED = {"campaign_id": "campaign_name", "parent": "parent_name"}  # keys beside which their names stand
_SIDES = ("compared", "change")
_NOT_OF_A_ROW = ("reasons", *_SIDES)
_AMOUNT = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class Table(NamedTuple):
    """Columns, and how the values of a row are found in what an answer has of it."""

    columns: list[Column]
    values: Callable[[Any], Values]


def digits_of(currency: str) -> int:
    """Return how many decimal places amounts of a currency have."""
    return MINOR_DIGITS[currency]


def of_report(report: Report, groups: Sequence[str], body: Json, names: Mapping[str, str] | None = None) -> Table:
    """Return the table of a report's answer: keys, the names of campaigns, and figures in the order of their declaration.

    Beside a figure that is compared stand what it is compared with, and the change. Figures that rows have only on request are
    there if they have them.
    """
    rows, digits = body["rows"], digits_of(body["currency"])
    sample = rows[0] if rows else {**dict.fromkeys(groups), **_without(body.get("total") or {}, report.on_request)}
    paths = dict(_leaves(sample))
    figures = sorted(
        (path for path in paths if _unit(report, path)), key=lambda path: _place(report, path)
    )  # sorting keeps the order of what is declared once
    keys = [path for path in paths if path not in figures]
    columns: list[tuple[Column, Callable[[Json], Any]]] = [
        *((Column(path, DAY if path == "day" else _type_of(rows, path)), _getter(path)) for path in keys),
        *((Column(_NAMED[path]), _name(names or {}, path)) for path in keys if path in _NAMED),
    ]
    for path in figures:
        kind, exact = _type(_unit(report, path), digits)
        columns.append((Column(path, kind, exact), _getter(path)))
        if "compared_to" in body:
            moved = COUNT if kind == DAY else kind
            columns += [
                (Column(f"compared.{path}", kind, exact), _getter(f"compared.{path}")),
                (Column(f"change.{path}.absolute", moved, exact), _change(path, "absolute")),
                (Column(f"change.{path}.relative", NUMBER), _change(path, "relative")),
            ]
    return _table(columns)


def of_rows(columns: Iterable[Column], names: Mapping[str, str] | None = None) -> Table:
    """Return the table of rows that are lists of members, with the names of campaigns beside their ids."""
    made: list[tuple[Column, Callable[[Json], Any]]] = []
    for one in columns:
        made.append((one, _getter(one.name)))
        if names is not None and one.name in _NAMED:
            made.append((Column(_NAMED[one.name]), _name(names, one.name)))
    return _table(made)


def of_entries(dimensions: Iterable[str], groups: Iterable[str], of_units: Iterable[str], currency: str) -> Table:
    """Return the table of entries: what they are by, the amount, its days, its entity, its event and why."""
    of_amounts = set(of_units)
    kind, digits = _type(of_amounts.pop(), digits_of(currency)) if len(of_amounts) == 1 else (MONEY, MIXED_DIGITS)
    by = dict.fromkeys(
        ["campaign_id", *(one for one in (*dimensions, *groups) if one not in ("campaign", "campaign_id"))]
    )
    told = [
        Column("measure"), Column("amount", kind, digits), Column("day", DAY), Column("event_day", DAY),
        Column("cohort_day", DAY), Column("entity.kind"), Column("entity.id"), Column("event.position", COUNT),
        Column("event.type"), Column("event.time", TIME), Column("event.source"), Column("event.id"),
        Column("event.recorded_at", TIME), Column("why"), Column("days", NUMBER),
        Column("original.amount", MONEY, _MOST_MINOR_DIGITS), Column("original.currency"), Column("rate"),
        Column("rate_day", DAY),
    ]  # fmt: skip
    own = {one.name for one in told}
    return of_rows([*(Column(one, DAY if one == "day" else TEXT) for one in by if one not in own), *told])


_MOST_MINOR_DIGITS = max(MINOR_DIGITS.values())


def _table(columns: Sequence[tuple[Column, Callable[[Json], Any]]]) -> Table:
    getters = [get for _, get in columns]
    return Table([column for column, _ in columns], lambda row: [get(row) for get in getters])


def _leaves(row: Json, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the members of a row by name, those inside another one with its name before a dot."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            if prefix or name not in _NOT_OF_A_ROW:
                yield from _leaves(value, f"{prefix}{name}.")
        elif prefix or name not in _NOT_OF_A_ROW:
            yield f"{prefix}{name}", value


def _without(row: Json, names: Iterable[str]) -> Json:
    return {name: value for name, value in row.items() if name not in names}


def _unit(report: Report, path: str) -> str:
    """Return the unit of a figure, also of one that stands inside another member (`models.linear.roas`); "" of what is none."""
    parts = path.split(".")
    for first in range(len(parts)):
        if (figure := report.figures.get(".".join(parts[first:]))) is not None:
            return figure.unit
    return ""


def _place(report: Report, path: str) -> int:
    places = {name: number for number, name in enumerate(report.figures)}
    return places.get(path, len(places))


def _type(unit: str, digits: int) -> tuple[str, int]:
    if unit == OF_MEASURE:  # some rows have money, others counts
        return MONEY, MIXED_DIGITS
    kind = OF_UNITS.get(unit, NUMBER)
    return kind, digits if kind == MONEY else 0


def _type_of(rows: Iterable[Json], path: str) -> str:
    """Return the type of what is declared nowhere, by its values."""
    get = _getter(path)
    kinds = {type(value) for row in rows if (value := get(row)) is not None}
    for kind, of in ((TRUTH, {bool}), (COUNT, {int}), (NUMBER, {int, float}), (LIST, {list})):
        if kinds and kinds <= of:
            return kind
    return TEXT


def _getter(path: str) -> Callable[[Json], Any]:
    parts = path.split(".")
    if len(parts) == 1:
        return lambda row: row.get(path)

    def get(row: Json) -> Any:
        value: Any = row
        for part in parts:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    return get


def _change(path: str, part: str) -> Callable[[Json], Any]:
    return lambda row: ((row.get("change") or {}).get(path) or {}).get(part)


def _name(names: Mapping[str, str], key: str) -> Callable[[Json], Any]:
    return lambda row: names.get(row.get(key) or "")
