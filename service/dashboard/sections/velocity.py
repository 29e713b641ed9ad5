"""How long does it take? Each step with its median and its 90th percentile."""

from __future__ import annotations

from markupsafe import Markup

from service.charts import bars
from service.dashboard.desk import Desk
from service.dashboard.labels import DURATIONS, called
from service.dashboard.tables import Cell, Column, Line, Table

_FIGURES = ("count", "p50_days", "p90_days", "mean_days")


async def read(desk: Desk) -> Table:
    """Return how long the steps took that ended in the period."""
    total = await desk.total("velocity")
    longest = max((total[name]["p90_days"] or 0.0 for name in DURATIONS), default=0.0)
    lines = []
    for name in DURATIONS:
        of, reason = total[name], total["reasons"].get(name, "")
        cells = [_cell(desk, name, figure, of[figure], reason) for figure in _FIGURES]
        cells.insert(3, Cell(picture=Markup(bars.lengths(of["p50_days"], of["p90_days"], longest or 1.0))))  # noqa: S704
        late = of["out_of_sequence"]
        cells.append(
            Cell(desk.writer.number(late), desk.entries("velocity", f"{name}.out_of_sequence"), value=str(late))
        )
        lines.append(Line(Cell(called(desk.language, "duration", name)), cells))
    scale = (
        desk.gettext("0 … %(days)s days, mark = 90%%") % {"days": desk.writer.figure(longest, "days")}
        if longest
        else ""
    )
    columns = [
        Column(desk.gettext("Count")), Column(desk.gettext("Median")), Column(desk.gettext("90%")),
        Column(scale, numeric=False, rank="p2"), Column(desk.gettext("Mean"), rank="p3"),
        Column(desk.gettext("Out of sequence"), rank="p2"),
    ]  # fmt: skip
    return Table(
        desk.gettext("How long does it take?"), [Column(desk.gettext("From – to"), numeric=False)], columns, lines,
        desk.gettext("days; what ended in the period"), name="velocity",
    )  # fmt: skip


def _cell(desk: Desk, name: str, figure: str, value: float | None, reason: str) -> Cell:
    text = desk.writer.figure(value, "count" if figure == "count" else "days")
    href = desk.entries("velocity", f"{name}.{figure}")
    return Cell(text, href, reason if value is None else "", None if value is None else str(value))
