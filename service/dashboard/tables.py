"""The one form of table: a caption, columns, rows, the row of what is in none of them, and the total.

    table = of_report(desk, "roi", answer, [Shown("actual_cost"), Shown("roi.margin", "p2")], groups=("campaign",), caption=…)

Each figure is a link to what makes it up, and has its exact value behind it. What a column means stands in its head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from markupsafe import Markup

from service.api import parameters
from service.dashboard import data, figures
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.periods import OWN, Window
from service.domain import units
from service.domain.calendar import following, labelled
from service.domain.figures import Dealt, Share
from service.domain.report import Report
from service.domain.reports.forecast import OVERDUE
from service.projections.reports.answers import Answer
from service.projections.sums.selection import OF_WHOLE_CAMPAIGNS, TIME_GROUPS, column_of

Row = Mapping[str, Any]
ROWS = 100  # of a page
_DIGITS = 7
NOWHERE = Window("", None, None)  # of rows without a day, whose figures do not open: no window holds just them


@dataclass
class Column:
    """A column: its head, what that means, and where it leads to be sorted by. `rank` says from which width on it is there."""

    label: str
    note: str = ""
    numeric: bool = True
    rank: str = ""  # "" = always; p2, p3, p4: only where there is room
    sort: str | None = None
    sorted: str | None = None  # ascending, descending


@dataclass
class Cell:
    """What stands in a place: words, and where they lead."""

    text: str = ""
    href: str | None = None
    title: str = ""
    value: str | None = None  # as answers have it
    tone: str = ""  # bad = less than nothing
    picture: Markup | None = None
    note: str = ""  # what stands below
    plain: bool = False  # a link that looks like one
    own: bool = False  # a name that somebody gave, in whatever direction it is written


@dataclass
class Line:
    """A row: what it is of, and its cells. `kind` is row, rest (what is in none of the others) or total."""

    head: Cell
    cells: list[Cell]
    kind: str = "row"


@dataclass
class Table:
    """A table. `head` is what its rows are of; `downloads` are (form, URL)."""

    caption: str
    head: list[Column]
    columns: list[Column]
    lines: list[Line]
    note: str = ""
    page: str = ""
    before: str | None = None
    more: str | None = None
    downloads: list[tuple[str, str]] = field(default_factory=list)
    name: str = ""

    @property
    def width(self) -> int:
        """How many columns it has."""
        return len(self.head) + len(self.columns)


class Shown(NamedTuple):
    """A figure to be shown, from which width on, and perhaps a picture beside it, of a row."""

    figure: str
    rank: str = ""
    picture: Callable[[Row], str] | None = None
    label: str = ""


def value_of(row: Row, name: str, report: Report | None = None) -> Any:
    """Return a figure of a row; names have points where it is inside another member."""
    found: Any = row
    for part in (report.paths.get(name) if report else None) or name.split("."):
        found = found[part]
    return found


def figure_cell(desk: Desk, report: Report, row: Row, name: str, href: str | None) -> Cell:
    """Return a figure of a row with its exact value, its meaning or the reason why there is none, and its link."""
    figure = report.figures[name]
    value = value_of(row, name, report)
    if value is None:
        reasons = row["reasons"]
        reason = reasons.get(name) or reasons.get(name.rpartition(".")[0]) or ""
        return Cell(desk.writer.figure(None, figure.unit), href, reason)
    negative = figure.unit in (units.MONEY, units.RATIO) and str(value).startswith("-")
    exact = desk.writer.exactly(value, figure.unit, name)
    return Cell(desk.writer.figure(value, figure.unit, name), href, exact, str(value), "bad" if negative else "")


def of_report(
    desk: Desk, report: str | Report, answer: Answer, shown: Sequence[Shown], groups: tuple[str, ...], *, caption: str,
    note: str = "", sort: str = "", names: Mapping[str, str] | None = None, name: str = "",
    window: Window | None = None,
) -> Table:  # fmt: skip
    """Return the table of a report's answer: a page of its rows; on each page what is in none of them, and the total of all."""
    of, keys = figures.report(report), [column_of(group) for group in groups]
    rows = [row for row in answer.rows if any(row[key] is not None for key in keys)]
    rest = [row for row in answer.rows if keys and all(row[key] is None for key in keys)]
    if TIME_GROUPS.keys() & set(groups):  # a budget alone has no day
        rest = [row for row in rest if any(str(value_of(row, one.figure, of) or 0).strip("0.") for one in shown)]
    first = _first(desk)
    part = rows[first : first + ROWS]
    lines = [
        *(Line(group_cell(desk, row, groups, names or {}), _cells(desk, of, row, shown, groups)) for row in part),
        *(Line(rest_cell(desk, groups), _cells(desk, of, row, shown, groups), "rest") for row in rest),
        Line(
            Cell(desk.gettext("Total")), _cells(desk, of, answer.total, shown, (), total=True, window=window), "total"
        ),
    ]
    labels = " · ".join(called(desk.language, "group", group) for group in groups)
    columns = [column for one in shown for column in _columns(desk, of, one, sort)]
    files = data.downloads(desk, of, groups, sort, window)
    table = Table(caption, [Column(labels, numeric=False)], columns, lines, note, downloads=files, name=name)
    if len(part) < len(rows):
        told = {"first": first + 1, "last": first + len(part), "count": len(rows)}
        table.page = desk.gettext("Rows %(first)s to %(last)s of %(count)s") % {
            one: desk.writer.number(number) for one, number in told.items()
        }
        table.before = desk.state.url(at=str(max(0, first - ROWS))) if first else None
        table.more = desk.state.url(at=str(first + ROWS)) if first + ROWS < len(rows) else None
    return table


def _first(desk: Desk) -> int:
    """Return the number of the first row that is asked for."""
    asked = desk.state.one("at", "0")
    if not (asked.isascii() and asked.isdigit() and len(asked) < _DIGITS):
        raise parameters.invalid("at", "the number of a row", asked)
    return int(asked)


def _columns(desk: Desk, report: Report, shown: Shown, sort: str) -> Iterable[Column]:
    """Yield the column of a figure, and one for the pictures beside it."""
    figure = report.figures[shown.figure]
    is_sorted = bool(sort) and sort.removeprefix("-") == shown.figure
    falling = not (is_sorted and sort.startswith("-"))
    label = shown.label or called(desk.language, "figure", shown.figure)
    by = f"-{shown.figure}" if falling else shown.figure
    direction = "descending" if sort.startswith("-") else "ascending"
    yield Column(
        label, desk.gettext(figure.formula), True, shown.rank, desk.state.url(sort=by) if sort else None,
        direction if is_sorted else None,
    )  # fmt: skip
    if shown.picture is not None:
        yield Column("", numeric=False, rank="p2")


def _cells(
    desk: Desk, report: Report, row: Row, shown: Sequence[Shown], groups: tuple[str, ...], *, total: bool = False,
    window: Window | None = None,
) -> list[Cell]:  # fmt: skip
    own, filters = _of_row(row, groups)
    found = []
    for one in shown:
        href = _opened(desk, report, one.figure, own or window, filters)
        found.append(figure_cell(desk, report, row, one.figure, href))
        if one.picture is not None:
            found.append(Cell() if total else Cell(picture=Markup(one.picture(row))))  # noqa: S704  charts escape
    return found


def _opened(
    desk: Desk, report: Report, name: str, window: Window | None, filters: Mapping[str, str | None]
) -> str | None:  # fmt: skip
    """Return where a figure of a row is opened.

    A share opens as what it is a share of; what is dealt to leads on reading, to the campaigns that it is dealt from.
    """
    if window is NOWHERE:
        return None
    figure, dealt = report.figures[name], report.of_kind(Dealt)
    if isinstance(figure, Share):
        name = figure.of
    if dealt and not dealt.keys().isdisjoint(report.additive(name) or ()) and (filters or desk.state.filters):
        if {*filters, *desk.state.filters} <= {*map(column_of, OF_WHOLE_CAMPAIGNS)}:
            return desk.entries(report.name, name, window, **filters)
        by = {one: value or "" for one, value in filters.items()}
        return desk.state.url("leads", group_by="campaign", sort=None, **by)
    return desk.entries(report.name, name, window, **filters)


def _of_row(row: Row, groups: Iterable[str]) -> tuple[Window | None, dict[str, str | None]]:
    """Return what a row is of: its period, and the values that it has."""
    window, filters = None, {}
    for group in groups:
        label = row[column_of(group)]
        if group not in TIME_GROUPS:
            filters[column_of(group)] = label
        elif label in (None, OVERDUE):
            window = NOWHERE
        else:
            start = labelled_start(label, group)
            window = Window(OWN, start, following(start, group))
    return window, filters


def labelled_start(label: str, group: str) -> date:
    """Return the first day of a period by its label."""
    if group == "week":
        return date.fromisocalendar(int(label[:4]), int(label[-2:]), 1)
    return labelled(label, group)


def group_cell(desk: Desk, row: Row, groups: Sequence[str], names: Mapping[str, str]) -> Cell:
    """Return what a row is of, in words; a campaign leads to its own screen."""
    words, href = [], None
    for group in groups:
        label = row[column_of(group)]
        if label is None:
            words.append(desk.gettext("none"))
        elif group in TIME_GROUPS:
            words.append(desk.writer.period(label, group))
        elif group in ("campaign", "parent"):
            words.append(names.get(label) or label)
            href = (
                desk.state.url("campaign", campaign_id=label, group_by=None, sort=None) if group == "campaign" else href
            )
        else:
            words.append(label)
            if len(groups) == 1:
                href = desk.state.url(group_by="campaign", sort=None, **{group: label})
    told = row.get("campaign_id") if "campaign" in groups else None
    return Cell(" · ".join(words), href, told or "", own=True)


def event_cell(desk: Desk, position: int, event_type: str) -> Cell:
    """Return the place of an event in the log, which leads to it."""
    return Cell(desk.writer.number(position), desk.state.url("event", position=str(position)), event_type, plain=True)


def rest_cell(desk: Desk, groups: Sequence[str]) -> Cell:
    """Return what is in none of the rows, in words."""
    if "campaign" in groups or "parent" in groups:
        return Cell(desk.gettext("Unattributed"), title=desk.gettext("what no campaign is found for"))
    if TIME_GROUPS.keys() & set(groups):
        return Cell(desk.gettext("Without a day"))
    return Cell(desk.gettext("Without one"))
