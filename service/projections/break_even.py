"""Break-even (SPEC section 4): the first day on which cumulative return reaches cumulative cost (> 0), within the window.

Months are read first; their peaks say in which of them the day can lie, and only the days of those are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from service.domain.calendar import after, grain_start
from service.projections.peaks import MOVED_BY, PEAKS, SERIES
from service.projections.selection import Key, Moment, Query, Selection

FirstDays = tuple[date | None, date | None]  # on invoiced, on margin basis
Move = tuple[int, int, int]  # what is added to cumulative cost, invoiced and margin
_NOTHING: Move = (0, 0, 0)


class Month(NamedTuple):
    """What a month adds, and the most that cost, and each return less cost, come to within it, above its start."""

    move: Move
    peaks: Move


Months = dict[date, Month]
Days = dict[date, Move]
Groups = dict["Key | None", tuple[Months, Days]]  # None is the key of all groups together


async def read(connection: Any, moment: Moment, query: Query) -> dict[Key | None, FirstDays]:
    """Return the break-even days by group; None is the key of all groups together."""
    coarsest = "month" if query.by_campaign else "day"
    groups = await _read(connection, Selection(moment, query, MOVED_BY, coarsest=coarsest))
    months = {month for parts in groups.values() for month in possible(*parts)}
    if months:
        pieces = [("day", month, after(month)) for month in sorted(months)]
        inside = await _read(connection, Selection(moment, query, MOVED_BY, coarsest="day", pieces=pieces))
        for key, (_, days) in inside.items():
            groups[key][1].update(days)
        for whole, _ in groups.values():
            for month in months:
                whole.pop(month, None)
    return {key: (first_day(*parts, 1), first_day(*parts, 2)) for key, parts in groups.items()}


async def _read(connection: Any, selection: Selection) -> Groups:
    """Read months and days by group. What was posted since a closing comes by day, and is put to its month."""
    more = PEAKS if selection.coarsest != "day" else ()
    series = ", ".join(f"sum({one})::text" for one in SERIES.values())
    peaks = ", ".join(f"sum(greatest({one}, 0))::text" if more else "'0'" for one in PEAKS)
    rows = await connection.fetch(
        f"""
        {selection.campaigns()} SELECT {selection.keys()}, start, grain, {series}, {peaks} FROM {selection.source(more)}
        GROUP BY {selection.key_numbers()}, start, grain ORDER BY start
        """,
        *selection.values,
    )
    width, groups = len(selection.query.group_by), Groups()
    whole = [(low, high) for grain, low, high in selection.pieces if grain == "month"]
    for row in map(tuple, rows):
        start, grain = row[width], row[width + 1]
        move, peaks_of = _move(row[width + 2 : width + 5]), _move(row[width + 5 : width + 8])
        for key in (selection.query.labels(row[:width]), None):
            months, days = groups.setdefault(key, ({}, {}))
            if start == date.min or (grain == b"d" and not any(low <= start < high for low, high in whole)):
                days[start] = _sum(days.get(start, _NOTHING), move)
            elif grain == b"d":
                _put(months, grain_start(start, "month"), move, _rise(move))
            else:
                _put(months, start, move, peaks_of)
    return groups


def _put(months: Months, month: date, move: Move, peaks: Move) -> None:
    known = months.get(month)
    months[month] = Month(_sum(known.move, move), _sum(known.peaks, peaks)) if known else Month(move, peaks)


def _rise(move: Move) -> Move:
    """Return the peaks of one day alone."""
    cost, invoiced, margin = move
    return max(cost, 0), max(invoiced - cost, 0), max(margin - cost, 0)


def _move(texts: Iterable[str | None]) -> Move:
    cost, invoiced, margin = (int(one or 0) for one in texts)
    return cost, invoiced, margin


def _sum(one: Move, other: Move) -> Move:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _steps(months: Months, days: Days, basis: int) -> Iterable[tuple[date, int, int, Month | None]]:
    """Yield (start, cumulative cost and return before it, the month if it is one) in order of time."""
    moves: Mapping[date, Month | Move] = {**days, **months}
    cost = result = 0
    for start in sorted(moves):
        month = months.get(start)
        yield start, cost, result, month
        move = month.move if month else days[start]
        cost, result = cost + move[0], result + move[basis]


def possible(months: Months, days: Days) -> set[date]:
    """Return the months in which a break-even can lie, up to the first that ends beyond it, on either basis."""
    return {month for basis in (1, 2) for month in _possible(months, days, basis)}


def _possible(months: Months, days: Days, basis: int) -> Iterable[date]:
    for start, cost, result, month in _steps(months, days, basis):
        move = month.move if month else days[start]
        if month and cost + month.peaks[0] > 0 and result - cost + month.peaks[basis] >= 0:
            yield start
        if cost + move[0] > 0 and result + move[basis] >= cost + move[0]:
            return


def first_day(months: Months, days: Days, basis: int) -> date | None:
    """Return the first day with cost > 0 and return ≥ cost; the days of months are known to have none."""
    for start, cost_before, result_before, month in _steps(months, days, basis):
        if month is None:
            cost, result = cost_before + days[start][0], result_before + days[start][basis]
            if cost > 0 and result >= cost:
                return start
    return None
