"""A report's chart: one figure of its rows as SVG, or as PNG with a font that is the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from service.charts.rows import Row, bars, columns
from service.charts.svg import FONT, Words
from service.domain import units
from service.domain.figures import Figure
from service.domain.report import Report
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import TIME_GROUPS, Query

_FONTS = ("OpenSans-Regular.ttf", "OpenSans-SemiBold.ttf")
_SANS = "Open Sans"
_ZOOM = 2  # pixels of a PNG per pixel of the SVG: sharp on screens that have so many
_NONE = "–"
_WITHOUT = {"campaign_id": "unattributed", **dict.fromkeys(TIME_GROUPS, "no day")}  # how a row without one is called


def figure_of(report: Report, asked: str, sort: str) -> str:
    """Return the figure that a chart shows: the one asked for, else what rows are sorted by, else the report's own."""
    return asked or sort.removeprefix("-") or report.drawn


def svg(view: Snapshot, report: Report, query: Query, figure: str, body: Mapping[str, Any]) -> str:
    """Draw a figure of the rows of a report's answer: columns by period, else bars."""
    currency = view.ledger.currency if report.figures[figure].unit == units.MONEY else ""
    names: Mapping[str, str] = body.get("names", {})
    rows = [_row(row, query, figure, report.figures[figure], names) for row in body["rows"]]
    by = ", ".join(query.names) or "all together"
    window = f"{query.since or '…'} to {query.until or '…'}" if query.since or query.until else "all days"
    told = " · ".join(filter(None, (
        f"{figure} by {by}", currency, window, f"{view.ledger.name}, as of position {view.as_of.position}",
        "line: compared with" if "compared_to" in body else "",
    )))  # fmt: skip
    words = Words(report.question, _summary(rows, figure))
    if len(query.group_by) == 1 and query.group_by[0] in TIME_GROUPS:
        return columns(rows, words, told, lambda level: f"{level:,.10g}")
    return bars(rows, words, told, more="and others, which the table has")


def png(picture: str) -> bytes:
    """Return an SVG as a PNG on white."""
    import resvg_py  # noqa: PLC0415  who draws no PNG need not have it in memory

    folder = files("ttf_opensans") / "ttf"
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=picture.replace(f'font-family="{_escaped(FONT)}"', f'font-family="{_SANS}"'), background="#ffffff",
            font_files=[str(folder / name) for name in _FONTS], font_family=_SANS, sans_serif_family=_SANS, zoom=_ZOOM,
        )
    )  # fmt: skip


def _escaped(text: str) -> str:
    return text.replace("'", "&#x27;")


def _row(row: Mapping[str, Any], query: Query, figure: str, of: Figure, names: Mapping[str, str]) -> Row:
    keys = {name: row.get(name) for name in query.names}
    labels = [_WITHOUT.get(name, f"no {name}") if key is None else names.get(key, key) for name, key in keys.items()]
    value = _value(row, figure)
    compared = row.get("compared")
    before = _value(compared, figure) if compared else None
    return Row(" · ".join(labels) or "total", _number(value), _written(value, of.unit), _number(before))


def _value(row: Mapping[str, Any], figure: str) -> Any:
    value: Any = row
    for part in figure.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:  # a day
        return None


def _written(value: Any, unit: str) -> str:
    if value is None:
        return _NONE
    if unit == units.MONEY:
        whole, point, fraction = str(value).partition(".")
        return f"{'-' if whole == '-0' else ''}{int(whole):,}{point}{fraction}"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _summary(rows: list[Row], figure: str) -> str:
    known = [row for row in rows if row.value is not None]
    if not known:
        return f"No row has {figure}."
    most, least = max(known, key=lambda row: row.value or 0), min(known, key=lambda row: row.value or 0)
    return f"{figure} of {len(rows)} rows, from {least.told} ({least.label}) to {most.told} ({most.label})."
