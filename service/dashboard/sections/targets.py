"""What was aimed at, and what came of it so far."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from markupsafe import Markup

from service.charts import bars
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.tables import Cell, Column, Line, Row, Table
from service.domain.contributions import REPORTS

_STATED = ("campaign_id", "campaign_type", "channel", "owner", "team")
_RATIOS = ("win_rate", "roi.booked", "roi.invoiced", "roi.margin")


async def read(desk: Desk) -> Table | None:
    """Return the targets whose period overlaps the page's; None where there is none."""
    report = REPORTS["targets"]
    if desk.lacks(report):
        return None
    rows = (await desk.report(report)).rows
    if not rows:
        return None
    columns = [
        Column(called(desk.language, "figure", "target")), Column(called(desk.language, "figure", "actual")),
        Column(called(desk.language, "figure", "attainment")), Column("", numeric=False, rank="p2"),
        Column(called(desk.language, "figure", "expected_by_now"), rank="p2"),
    ]  # fmt: skip
    head = [Column(desk.gettext("Target"), numeric=False)]
    return Table(
        desk.gettext("Are the targets met?"), head, columns, [_line(desk, row) for row in rows],
        desk.gettext("of periods that overlap this one; on the event basis"), name="targets",
    )  # fmt: skip


def _line(desk: Desk, row: Row) -> Line:
    measure, attained = str(row["measure"]), row["attainment"]
    of = [desk.campaign(row[name]) if name == "campaign_id" else row[name] for name in _STATED if row[name] is not None]
    cells = [
        _cell(desk, measure, row["target"]), _cell(desk, measure, row["actual"]),
        Cell(
            desk.writer.figure(attained, "ratio"), tone="bad" if row["ahead"] is False else "",
            value=None if attained is None else str(attained),
        ),
        Cell(picture=Markup(bars.share(attained))), _cell(desk, measure, row["expected_by_now"]),  # noqa: S704  charts escape
    ]  # fmt: skip
    told = " · ".join([str(row["period"]), *map(str, of)])
    return Line(Cell(called(desk.language, "figure", measure), note=told, own=True), cells)


def _cell(desk: Desk, measure: str, value: Any) -> Cell:
    if value is None:
        return Cell("–")
    if measure in _RATIOS:
        return Cell(desk.writer.ratio(value, measure), value=str(value))
    return Cell(desk.writer.number(Decimal(str(value)), 0), value=str(value))
