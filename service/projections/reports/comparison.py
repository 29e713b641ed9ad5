"""Comparison (REPORTS section 6): a report beside what the same report says of another window, or as known at another moment.

    previous(date(2026, 4, 1), date(2026, 7, 1))    # → 2026-01-01, 2026-04-01: three whole months before three

What is compared are the values as answered, row beside row by key; with a period group the nth period stands beside the nth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from service.domain.calendar import FIRST_DAY, grain_label, grain_start
from service.domain.figures import Figure
from service.domain.report import Report
from service.domain.reports.forecast import OVERDUE
from service.domain.units import DAY, MONEY, OF_MEASURE, RATIO, TRUTH, written
from service.projections.reports import answers
from service.projections.reports.answers import Answer, Page
from service.projections.reports.dues import Now
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import TIME_GROUPS, Key, Query
from service.projections.sums.threads import apart

Figures = dict[str, Any]
Periods = dict[Key, Key]  # periods of the compared window → those beside which they stand
_ALONE = "alone"  # ends the place of a row of a compared period beside which there is none


class Other(NamedTuple):
    """What a report is compared with: the view and the query of the other side."""

    view: Snapshot
    query: Query


class _Side(NamedTuple):
    """What one side answers: its rows by key, its total, and the figures of a row without anything."""

    rows: dict[Key, Figures]
    total: Figures
    empty: Figures


class _Line(NamedTuple):
    """A row with its place among the others, and what stands beside it; None on the side that has no such period."""

    place: Key
    now: Figures | None
    then: Figures | None


def previous(since: date, until: date) -> tuple[date, date]:
    """Return the window just before one: as many whole months if it is of such, else as many days. ValueError before all days."""
    months = (until.year - since.year) * 12 + until.month - since.month
    if since.day == until.day == 1:
        year, month = divmod(since.year * 12 + since.month - 1 - months, 12)
        ordinal = date(year, month + 1, 1).toordinal() if year > 0 else 0
    else:
        ordinal = 2 * since.toordinal() - until.toordinal()
    return _known(ordinal), since


def year_before(since: date, until: date) -> tuple[date, date]:
    """Return the same days a year before, 29 February being the 28th. ValueError before all days."""
    low = _known(_in_year(since, since.year - 1, 28).toordinal())
    ends_before_29th = (until.month, until.day) == (2, 29)  # so that its last day is the 28th, in the other year too
    return low, date(until.year - 1, 3, 1) if ends_before_29th else _in_year(until, until.year - 1, 28)


def _in_year(day: date, year: int, instead: int) -> date:
    leap = (day.month, day.day) == (2, 29)
    return day.replace(year=year, day=instead) if leap else day.replace(year=year)


def _known(ordinal: int) -> date:
    if ordinal < FIRST_DAY:
        raise ValueError(f"a window whose compared one does not begin before {date.fromordinal(FIRST_DAY)}")
    return date.fromordinal(ordinal)


async def read(
    view: Snapshot, other: Other, report: Report, query: Query, now: Now | None, include: frozenset[str], page: Page
) -> Answer | None:
    """Return the rows and the total of a report, each with what it is `compared` with, and the `change`.

    Now is the same on both sides. Rows that are sorted by a figure on request have it. None if the page comes after a row
    that there is none of.
    """
    include |= report.on_request & {page.sort}
    ours = await _side(view, report, query, now, include)
    then = await _side(other.view, report, other.query, now, include)
    days = (query.until - query.since).days if query.since and query.until else 0
    periods = await apart(days, _counterparts, query, other.query)
    answer: Answer | None = await apart(
        len(ours.rows) + len(then.rows), _compare, report, query, periods, ours, then, page
    )
    return answer


async def _side(view: Snapshot, report: Report, query: Query, now: Now | None, include: frozenset[str]) -> _Side:
    answer, empty = await answers.read_with_empty(view, report, query, now, include)
    assert answer is not None  # noqa: S101  it comes after no row
    names = query.names
    rows = {
        tuple(row[name] for name in names): {one: row[one] for one in row if one not in names} for row in answer.rows
    }
    return _Side(rows, answer.total, empty)


def _compare(
    report: Report, query: Query, periods: Periods | None, now: _Side, then: _Side, page: Page
) -> Answer | None:  # fmt: skip
    lines = _sorted(report, _beside(query, periods, now, then), page)
    places = [line.place for line in lines]
    first = 0
    if page.after is not None:
        if page.after not in places:
            return None
        first = places.index(page.after) + 1
    shown = lines[first:][: page.limit]
    rows = [
        {**dict(zip(query.names, line.place, strict=False)), **_row(report, line.now, line.then, now.empty)}
        for line in shown
    ]
    more = first + len(shown) < len(lines)
    return Answer(rows, _row(report, now.total, then.total, {}), shown[-1].place if more else None)


def _row(report: Report, now: Figures | None, then: Figures | None, empty: Figures) -> Figures:
    """Return figures with those beside them; where one side has no such period, nothing is said to have changed."""
    change = None if now is None or then is None else changes(report, now, then)
    return {**(empty if now is None else now), "compared": then, "change": change}


def _beside(query: Query, periods: Periods | None, now: _Side, then: _Side) -> list[_Line]:
    """Return each row beside its counterpart, or beside an empty one."""
    theirs: dict[Key, Figures] = {}
    lines = []
    for key, figures in then.rows.items():
        place = _at_period(key, query, periods)
        if place is None:
            lines.append(_Line((*key, _ALONE), None, figures))
        else:
            theirs[place] = figures
    known = None if periods is None else {None, *periods.values()}
    for key in {**now.rows, **theirs}:
        matched = known is None or _period(key, query) in known
        lines.append(_Line(key, now.rows.get(key, now.empty), theirs.get(key, then.empty) if matched else None))
    return lines


def _period(key: Key, query: Query) -> Key | None:
    """Return the periods in a key; None where it has no day."""
    found = tuple(label for label, group in zip(key, query.group_by, strict=True) if group in TIME_GROUPS)
    return None if None in found or OVERDUE in found else found


def _at_period(key: Key, query: Query, periods: Periods | None) -> Key | None:
    """Return the key beside which a compared row stands; None if there is no such period."""
    period = _period(key, query)
    if periods is None or period is None:
        return key
    if period not in periods:
        return None
    labels = iter(periods[period])
    return tuple(
        next(labels) if group in TIME_GROUPS else label for label, group in zip(key, query.group_by, strict=True)
    )


def _counterparts(query: Query, other: Query) -> Periods | None:
    """Return for each period of the compared window the one beside which it stands, the nth beside the nth.

    None where each stands beside itself: the windows are the same, or rows are not by periods.
    """
    grains = [group for group in query.group_by if group in TIME_GROUPS]
    if not grains or (query.since, query.until) == (other.since, other.until):
        return None
    return dict(zip(_periods(other, grains), _periods(query, grains), strict=False))


def _periods(query: Query, grains: Iterable[str]) -> list[Key]:
    """Return the periods of a window in order."""
    assert query.since is not None and query.until is not None  # noqa: PT018, S101  compared windows have both
    days = map(date.fromordinal, range(query.since.toordinal(), query.until.toordinal()))
    return list(dict.fromkeys(tuple(grain_label(grain_start(day, one), one) for one in grains) for day in days))


def _sorted(report: Report, lines: list[_Line], page: Page) -> list[_Line]:
    """Sort lines by key, or by a figure as answered: null last either way, equal ones by key."""
    lines = sorted(lines, key=lambda line: [(label is None, label or "") for label in line.place])
    if page.sort is None:
        return lines
    figure, path = report.figures[page.sort], page.sort.split(".")
    known, unknown = [], []
    for line in lines:
        value = None if line.now is None else _at(line.now, path)
        if value is None:
            unknown.append(line)
        else:
            known.append((_number(figure, value), line))
    known.sort(key=lambda one: -one[0] if page.falling else one[0])
    return [*(line for _, line in known), *unknown]


def changes(report: Report, now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return by figure what changed: the difference, and its share of the compared value; null where there is none.

    There is no share of what is not positive. The difference of two days is a number of days.
    """
    both = ((name, figure, _at(now, path), _at(then, path)) for name, figure, path in report.places)
    return {name: _change(figure, one, other) for name, figure, one, other in both if _ABSENT not in (one, other)}


def _change(figure: Figure, now: Any, then: Any) -> dict[str, Any]:
    if now is None or then is None or figure.unit == TRUTH:
        return {"absolute": None, "relative": None}
    old = _number(figure, then)
    difference = _number(figure, now) - old
    share = None if figure.unit == DAY or old <= 0 else written(Fraction(difference) / Fraction(old), RATIO, "")
    if figure.unit == MONEY or (figure.unit == OF_MEASURE and isinstance(now, str)):
        return {"absolute": str(difference), "relative": share}
    whole = figure.unit == DAY or (isinstance(now, int) and isinstance(then, int))
    return {"absolute": int(difference) if whole else float(difference), "relative": share}


def _number(figure: Figure, value: Any) -> Decimal:
    """Return a figure as answered as a number; of a day, its ordinal."""
    return Decimal(date.fromisoformat(value).toordinal() if figure.unit == DAY else str(value))


_ABSENT = object()


def _at(row: Any, path: Iterable[str]) -> Any:
    """Return a figure of a row; _ABSENT where rows do not have it."""
    for part in path:
        row = row.get(part, _ABSENT) if isinstance(row, dict) else _ABSENT
    return row
