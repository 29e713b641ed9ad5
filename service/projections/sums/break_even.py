"""Break-even (SPEC section 4): the first day on which cumulative return reaches cumulative cost (> 0), within the window.

Months are read first, together with the sums of the window; their peaks say in which of them the day can lie, and only the
days of those are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from service.domain.calendar import after, grain_start
from service.projections.sums.balances import column
from service.projections.sums.peaks import MOVED_BY, PEAKS, SERIES
from service.projections.sums.selection import Key, Moment, Query, Selection, Sums, amounts
from service.projections.sums.threads import apart

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


async def read(
    connection: Any, moment: Moment, query: Query, measures: Sequence[str]
) -> tuple[dict[Key, Sums], dict[Key | None, FirstDays]]:  # fmt: skip
    """Return the sums of measures, MOVED_BY among them, and the break-even days, by group; None = all groups together."""
    coarsest = "month" if query.by_campaign else "day"
    sums, groups = await _read(connection, Selection(moment, query, measures, coarsest=coarsest))
    months = await apart(len(groups), _possible_in, groups)
    if months:
        pieces = [("day", month, after(month)) for month in sorted(months)]
        _, inside = await _read(connection, Selection(moment, query, MOVED_BY, coarsest="day", pieces=pieces))
        await apart(len(groups), _replace, groups, inside, months)
    return sums, await apart(len(groups), _first_days, groups)


def _possible_in(groups: Groups) -> set[date]:
    return {month for parts in groups.values() for month in possible(*parts)}


def _replace(groups: Groups, inside: Groups, months: set[date]) -> None:
    """Put the days of months in their place."""
    for key, (_, days) in inside.items():
        groups[key][1].update(days)
    for whole, _ in groups.values():
        for month in months:
            whole.pop(month, None)


def _first_days(groups: Groups) -> dict[Key | None, FirstDays]:
    return {key: (first_day(*parts, 1), first_day(*parts, 2)) for key, parts in groups.items()}


async def _read(connection: Any, selection: Selection) -> tuple[dict[Key, Sums], Groups]:
    """Read sums, and months and days, by group. What was posted since a closing comes by day, and is put to its month."""
    measures, more = selection.measures, PEAKS if selection.coarsest != "day" else ()
    columns = ", ".join([*map(column, measures), *more])
    sums = ", ".join(f"sum({column(one)})::text" for one in measures)
    moved = ", ".join(f"sum({one}) AS {one}" for one in MOVED_BY)
    peaks = "".join(f", sum(greatest({one}, 0)) AS {one}" for one in more)
    moves = ", ".join(f"({one})::text" for one in (*SERIES.values(), *more))
    names = selection.key_names()
    rows = await connection.fetch(
        f"""
        {selection.campaigns()}, stated AS MATERIALIZED (
            SELECT {selection.keys()}, start, grain, {columns} FROM {selection.source(more)}
        ), moves AS (
            SELECT {names}, start, grain, {moved}{peaks} FROM stated
            WHERE coalesce({", ".join(MOVED_BY)}) IS NOT NULL GROUP BY {names}, start, grain
        )
        SELECT {names}, start, grain, ARRAY[{moves}] FROM moves
        UNION ALL SELECT {names}, NULL, NULL, ARRAY[{sums}] FROM stated GROUP BY {names}
        """,
        *selection.values,
    )
    return await apart(len(rows), _gathered, selection, rows, bool(more))


def _gathered(selection: Selection, rows: Sequence[Any], with_peaks: bool) -> tuple[dict[Key, Sums], Groups]:
    measures = selection.measures
    width, found, groups = len(selection.query.group_by), dict[Key, Sums](), Groups()
    whole = [(low, high) for grain, low, high in selection.pieces if grain == "month"]
    for row in map(tuple, rows):
        key, (start, grain, texts) = selection.query.labels(row[:width]), row[width:]
        if grain is None:
            found[key] = amounts(measures, texts)
            continue
        move, apart = _move(texts[:3]), start == date.min
        if grain == b"d" and not apart:
            apart = not any(low <= start < high for low, high in whole)
            start, peaks_of = (start, _NOTHING) if apart else (grain_start(start, "month"), _rise(move))
        else:
            peaks_of = _move(texts[3:]) if with_peaks else _NOTHING
        for months, days in (groups.setdefault(key, ({}, {})), groups.setdefault(None, ({}, {}))):
            if apart:
                days[start] = _sum(days.get(start, _NOTHING), move)
            else:
                _put(months, start, move, peaks_of)
    return {key: sums for key, sums in found.items() if sums}, groups


def _put(months: Months, month: date, move: Move, peaks: Move) -> None:
    known = months.get(month)
    months[month] = Month(_sum(known.move, move), _sum(known.peaks, peaks)) if known else Month(move, peaks)


def _rise(move: Move) -> Move:
    """Return the peaks of one day alone."""
    cost, invoiced, margin = move
    return max(cost, 0), max(invoiced - cost, 0), max(margin - cost, 0)


def _move(texts: Iterable[str | None]) -> Move:
    cost, invoiced, margin = texts
    return int(cost or 0), int(invoiced or 0), int(margin or 0)


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
