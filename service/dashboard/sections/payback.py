"""When did the money come back? Cumulative cost and return, with the day on which they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from service.charts import lines as charts
from service.charts.lines import Axis, Line, Mark, Point
from service.charts.svg import Words
from service.dashboard import figures
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.periods import Window
from service.dashboard.tables import Cell, Column, Table, value_of
from service.dashboard.tables import Line as TableLine
from service.domain.calendar import following

_DAILY = 800  # days of a window up to which lines go from day to day; from month to month beyond
_MOST_MARKS = 40


@dataclass
class Payback:
    """The chart, wide and narrow, what it shows in words, and the same numbers as a table."""

    wide: Markup
    narrow: Markup
    summary: str
    table: Table
    note: str


async def read(desk: Desk, total: dict[str, Any]) -> Payback | None:
    """Return the chart of a period, of which `total` is that of ROI; None where nothing was spent and nothing came."""
    returned = figures.RETURN_OF[desk.returns]
    note = ""
    if value_of(total, returned) is None:
        note = desk.gettext("on invoiced revenue: the margin of all of it is not known")
        returned = "invoiced_revenue"
    report = figures.some_of("roi", "actual_cost", returned)
    months = [row for row in (await desk.report(report, "month")).rows if row["month"] is not None]
    if not months:
        return None
    first, last = date.fromisoformat(f"{months[0]['month']}-01"), date.fromisoformat(f"{months[-1]['month']}-01")
    since = desk.window.since or first
    until = min(
        desk.window.until or date.max, max(following(last, "month"), min(desk.today, desk.window.until or desk.today))
    )
    by_day = (until - since).days <= _DAILY
    rows = [row for row in (await desk.report(report, "day")).rows if row["day"] is not None] if by_day else months
    days = [_last_day(row, "day" if by_day else "month") for row in rows]
    names = {"actual_cost": desk.gettext("Cost"), returned: called(desk.language, "figure", returned)}
    sums = {name: list(accumulate(Decimal(row[name] or 0) for row in rows)) for name in names}
    marks = {name: _marks(desk, name, months, since, until, label) for name, label in names.items()}
    drawn = [
        Line(names["actual_cost"], _points(days, sums["actual_cost"], marks["actual_cost"]), "cost", "5 3"),
        Line(names[returned], _points(days, sums[returned], marks[returned]), "good"),
    ]
    axis = Axis(since.toordinal(), until.toordinal(), desk.writer.thousands, desk.writer.short_month)
    summary, mark = _told(desk, total, names, returned, sums, days)
    words = Words(desk.gettext("When did the money come back?"), summary)
    return Payback(
        Markup(charts.cumulative(drawn, axis, words, mark, width=560, height=270)),  # noqa: S704  charts escape
        Markup(charts.cumulative(drawn, axis, words, mark, width=340, height=240)),  # noqa: S704
        summary, _table(desk, months, names), note,
    )  # fmt: skip


def _last_day(row: dict[str, Any], grain: str) -> date:
    """Return the day on which a row's sums are reached."""
    if grain == "day":
        return date.fromisoformat(row["day"])
    return following(date.fromisoformat(f"{row['month']}-01"), "month") - timedelta(days=1)


def _marks(
    desk: Desk, name: str, months: Sequence[dict[str, Any]], since: date, until: date, label: str
) -> dict[int, tuple[str, str | None]]:
    """Return, by the last day of each month, what the line stands at in words, and the entries of that month."""
    found, stand = {}, Decimal(0)
    for row in months:
        stand += Decimal(row[name] or 0)
        start = date.fromisoformat(f"{row['month']}-01")
        end = following(start, "month")
        window = Window("custom", max(start, since), min(end, until))
        words = f"{label}, {desk.writer.period(row['month'], 'month')}: {desk.money(str(stand))}"
        found[min(end, until).toordinal() - 1] = (words, desk.entries("roi", name, window))
    return found if len(found) <= _MOST_MARKS else {}


def _points(days: Sequence[date], sums: Sequence[Decimal], marks: dict[int, tuple[str, str | None]]) -> list[Point]:
    """Return the points of a line: where it moves, and where it is marked."""
    at = {day.toordinal(): float(value) for day, value in zip(days, sums, strict=True)}
    found, stand = [], 0.0
    for day in sorted({*at, *marks}):
        stand = at.get(day, stand)
        found.append(Point(day, stand, *marks.get(day, ())))
    return found


def _told(
    desk: Desk, total: dict[str, Any], names: dict[str, str], returned: str, sums: dict[str, list[Decimal]], days: Sequence[date]
) -> tuple[str, Mark | None]:  # fmt: skip
    """Say in a sentence what the chart shows; return the mark of the day on which return reached cost."""
    cost, back = desk.money(total["actual_cost"]), desk.money(value_of(total, returned))
    told = {"cost": cost, "name": names[returned], "return": back}
    sentence = desk.gettext("Cost came to %(cost)s, %(name)s to %(return)s.") % told
    day = total["break_even_on"] if returned != "booked_revenue" and _meets(returned, total) else None
    if day is None:
        return sentence, None
    words = desk.gettext("Break-even on %(day)s") % {"day": desk.writer.day(day)}
    ordinal = date.fromisoformat(day).toordinal()
    stand = next(
        (
            value
            for at, value in zip(reversed(days), reversed(sums[returned]), strict=True)
            if at.toordinal() <= ordinal
        ),
        Decimal(0),
    )
    return f"{sentence} {words}.", Mark(ordinal, float(stand), words)


def _meets(returned: str, total: dict[str, Any]) -> bool:
    """Tell whether the day of break-even is that of this return: of the margin where that is known, else of what was invoiced."""
    return returned == ("gross_margin" if total["gross_margin"] is not None else "invoiced_revenue")


def _table(desk: Desk, months: Sequence[dict[str, Any]], names: dict[str, str]) -> Table:
    lines, stands = [], dict.fromkeys(names, Decimal(0))
    for row in months:
        cells = []
        start = date.fromisoformat(f"{row['month']}-01")
        window = Window("custom", start, following(start, "month"))
        for name in names:
            stands[name] += Decimal(row[name] or 0)
            value = row[name]
            cells.append(
                Cell(desk.writer.figure(value, "money"), desk.entries("roi", name, desk.within(window)), value=value)
            )
            cells.append(Cell(desk.writer.number(stands[name], 0), value=str(stands[name])))
        lines.append(TableLine(Cell(desk.writer.period(row["month"], "month")), cells))
    columns = [Column(label) for name in names.values() for label in (name, desk.gettext("together"))]
    return Table(
        desk.gettext("Month by month"), [Column(desk.gettext("Month"), numeric=False)], columns, lines, name="payback"
    )
