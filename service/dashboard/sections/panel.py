"""A report as a table: what most parts of screens are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.charts import bars
from service.dashboard import figures, tables
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.periods import Window
from service.dashboard.tables import Row, Shown, Table, value_of
from service.domain.contributions import REPORTS
from service.projections.reports.answers import Answer, Page


async def read(
    desk: Desk, name: str, groups: tuple[str, ...], shown: Sequence[Shown], caption: str, note: str = "", *, sort: str = "",
    bar: str = "", sorts: bool = False, table: str = "", window: Window | None = None,
) -> Table | None:  # fmt: skip
    """Return a report as a table; None where there is no such report, and a table that says so where it lacks a filter.

    `bar` is a figure that gets bars beside it. Rows come by `sort`, or by key; with `sorts` the reader may have them otherwise.
    """
    if name not in REPORTS:
        return None
    report = figures.report(name)
    if lacking := desk.lacks(report):
        told = ", ".join(called(desk.language, "group", one) for one in lacking)
        return Table(caption, [], [], [], desk.gettext("not told by %(groups)s") % {"groups": told}, name=table or name)
    by = desk.sort(report, sort) if sorts else sort
    answer = await desk.report(
        report, *groups, window=window, page=Page(by.removeprefix("-") or None, by.startswith("-"))
    )
    drawn = [one._replace(picture=bars_of(answer, bar)) if one.figure == bar else one for one in shown]
    return tables.of_report(
        desk, report, answer, drawn, groups, caption=caption, note=note, sort=by if sorts else "", names=desk.known_names,
        name=table or name, window=window,
    )  # fmt: skip


def bars_of(answer: Answer, figure: str) -> Callable[[Row], str]:
    """Return what draws a figure of a row, to the same scale for all of them."""
    known = [float(value) for row in answer.rows if (value := value_of(row, figure)) is not None]
    lowest, highest = min(known, default=0.0), max(known, default=0.0)

    def draw(row: Row) -> str:
        value = value_of(row, figure)
        return bars.signed(None if value is None else float(value), lowest, highest)

    return draw
