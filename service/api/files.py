"""What answers are as files: their tables, what they are called, and what a workbook tells beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from service.api import drawing
from service.api.answering import File
from service.api.exporting import file_name
from service.api.formats import Format
from service.domain.contributions import DIMENSIONS, UNITS
from service.domain.report import Report
from service.domain.units import COUNT, MONEY
from service.exports import tables
from service.projections.reports import entries, reading
from service.projections.sums.selection import Query, column_of


def of_report(
    form: Format, view: reading.Snapshot, report: Report, query: Query, body: Mapping[str, Any], figure: str = ""
) -> File:
    """Return what a report's answer is as a file; as a chart, of one figure."""
    if figure:
        name = _name(view, query, report.name, figure)
        return File(
            form, name, tables.Table([], list), report.name, picture=drawing.svg(view, report, query, figure, body)
        )
    table = tables.of_report(report, query.names, body, body.get("names"))
    name = _name(view, query, report.name)
    return File(form, name, table, report.name, [*_about(view, query, report), *_totals(report, body)])


def of_entries(form: Format, view: reading.Snapshot, report: Report, figure: entries.Asked) -> File:
    """Return what entries of a figure are as a file."""
    cubes = dict.fromkeys(view.layout.cube_of(one) for one in figure.parts)
    dimensions = [by for cube in cubes if cube is not None for by in view.layout.cubes[cube].by if by in DIMENSIONS]
    groups = [one for one in figure.query.names if one not in ("campaign", "campaign_id")]
    units = [UNITS.get(one, COUNT) for one in figure.parts]
    table = tables.of_entries(dimensions, groups, units, view.ledger.currency)
    name = _name(view, figure.query, report.name, "entries", figure.name)
    return File(form, name, table, "entries", [*_about(view, figure.query, report), ("figure", figure.name)])


def of_list(form: Format, view: reading.Snapshot, query: Query, report: Report, table: tables.Table, name: str) -> File:
    """Return what a list is as a file; the report is the one that it is the rows of."""
    return File(form, _name(view, query, name), table, name, [*_about(view, query, report)])


def around(name: str, told: Mapping[str, Any]) -> tuple[bytes, Callable[[int], bytes]]:
    """Return what stands before and after the items of a list in a JSON object: what is told, and how many they are."""
    before = msgspec.json.encode({**told, name: []})[:-2]

    def after(count: int) -> bytes:
        return b'],"count":%d}' % count

    return before, after


def _name(view: reading.Snapshot, query: Query, *parts: str) -> str:
    window = (query.since or "beginning", query.until or "now") if query.since or query.until else ("all",)
    return file_name("-".join(parts), view.ledger.name, *window, view.as_of.position)


def _about(view: reading.Snapshot, query: Query, report: Report) -> Iterator[Sequence[Any]]:
    """Yield what figures rest on, line by line."""
    yield "report", report.name
    yield "question", report.question
    yield "ledger", view.ledger.name
    yield "currency", view.ledger.currency
    yield "time zone of days", view.ledger.timezone
    yield "time zone of moments", "UTC"
    yield "from", str(query.since or "")
    yield "to (the day after)", str(query.until or "")
    yield "date basis", query.basis
    for dimension, values in query.only:
        yield f"only {column_of(dimension)}", ", ".join(value or "(none)" for value in values)
    yield "as of position", view.as_of.position
    yield "recorded at", str(view.as_of.recorded_at or "")
    yield "definitions", view.version


def _totals(report: Report, body: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """Yield the total of each figure with its unit and how it is made: rows of ratios do not add up to theirs."""
    yield "amounts without a rate", len(body.get("unconverted", ()))
    yield "links that wait", body.get("pending_links")
    if other := body.get("compared_to"):
        yield "compared with", f"[{other['from']}, {other['to']}) as of position {other['as_of']['position']}"
    total = body.get("total")
    if not total:
        return
    yield ()
    yield "figure", "total of all rows", "unit", "definition"
    for name, figure in report.figures.items():
        value: Any = total
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        exact = Decimal(value) if figure.unit == MONEY and value is not None else value
        reason = total.get("reasons", {}).get(name, "")
        yield name, exact, figure.unit, "; ".join(filter(None, (figure.formula, figure.note, reason)))
