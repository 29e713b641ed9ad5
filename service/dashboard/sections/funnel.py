"""How far did the leads get? The funnel as a table with bars."""

from __future__ import annotations

from markupsafe import Markup

from service.charts import bars
from service.dashboard.desk import Desk
from service.dashboard.labels import STEPS, called
from service.dashboard.tables import Cell, Column, Line, Table


async def read(desk: Desk) -> Table:
    """Return the funnel of the leads captured in the period."""
    steps, reasons = (total := await desk.total("conversion"))["funnel"], total["reasons"]
    lines = []
    for name in STEPS:
        step, figure = steps[name], f"funnel.{name}"
        cells = [
            Cell(
                desk.writer.number(step["count"]),
                desk.entries("conversion", f"{figure}.count"),
                value=str(step["count"]),
            ),
            Cell(picture=Markup(bars.share(step["rate_from_start"]))),  # noqa: S704  charts escape
        ]
        for rate in ("rate_from_previous", "rate_from_start"):
            value = step[rate]
            href = desk.entries("conversion", f"{figure}.{rate}") if name != "captured" else None
            reason = reasons.get(f"{figure}.{rate}", "")
            cells.append(
                Cell(desk.writer.figure(value, "ratio", rate), href, reason, None if value is None else str(value))
            )
        lines.append(Line(Cell(called(desk.language, "step", name)), cells))
    columns = [
        Column(desk.gettext("Leads")), Column("", numeric=False, rank="p2"), Column(desk.gettext("of previous")),
        Column(desk.gettext("of captured")),
    ]  # fmt: skip
    head = [Column(desk.gettext("Step"), numeric=False)]
    return Table(
        desk.gettext("How far did the leads get?"),
        head,
        columns,
        lines,
        desk.gettext("those captured in the period"),
        name="funnel",
    )
