"""Stocks: what sums have come to by the beginning and by the end of each period, whatever happened in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from service.domain.calendar import following, grain_label, grain_start, labelled
from service.domain.postings import sum_by_key
from service.domain.report import Report
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import TIME_GROUPS, Key, Query, Sums
from service.projections.sums.threads import apart

MOST_ROWS = 500_000  # of groups and periods: a century of days of a dozen groups


class TooManyPeriodsError(ValueError):
    """A window of more periods than rows can be told of."""

    def __init__(self, expected: str = "") -> None:
        many = f"a window of fewer periods: by period and group there are more than {MOST_ROWS:,} rows"
        super().__init__(expected or many)


@dataclass
class Stocks:
    """By group, where it is not 0: what measures had come to before the period began, and by its end; None = all together.

    `earlier` is the part of the period's sums that is of what was there before it.
    """

    earlier: dict[Key | None, Sums] = field(default_factory=dict)
    opening: dict[Key | None, Sums] = field(default_factory=dict)
    closing: dict[Key | None, Sums] = field(default_factory=dict)

    def put(self, key: Key | None, opening: Sums, closing: Sums) -> None:
        """Take in a period of a group."""
        if opening:
            self.opening[key] = opening
        if closing:
            self.closing[key] = closing

    @property
    def keys(self) -> Iterable[Key]:
        """The groups that have any."""
        return (key for key in {**self.opening, **self.closing} if key is not None)


async def read(view: Snapshot, report: Report, query: Query, moved: Mapping[Key, Sums]) -> Stocks:
    """Return the stocks of a report; `moved` are the sums of the window, by group.

    Without an end, the window goes on until the last period in which anything moved.
    """
    measures = report.stocks
    if not measures and not report.earlier:
        return Stocks()
    others = tuple(group for group in query.group_by if group not in TIME_GROUPS)
    before: dict[Key, Sums] = {}
    if query.since is not None:
        before = await view.sums(replace(query, group_by=others, since=None, until=query.since), measures)
    rows = len(moved) + len(before) if len(others) == len(query.group_by) else MOST_ROWS
    stocks = await apart(rows, _stood, query, measures, before, moved)
    for measure, since in report.earlier.items():
        await _read_earlier(view, query, measure, since, stocks)
    return stocks


async def _read_earlier(view: Snapshot, query: Query, measure: str, since: str, stocks: Stocks) -> None:
    """Add up, by group and in all, what is posted under a day before the period's first one."""
    apart_by = query if since in query.group_by else replace(query, group_by=(*query.group_by, since))
    for key, sums in (await view.sums(apart_by, [measure])).items():
        begun, group = key[apart_by.group_by.index(since)], key[: len(query.group_by)]
        if begun is None:
            continue
        begin = max((day for day in (query.since, _start(query, group)) if day), default=None)
        for one, first in ((group, begin), (None, query.since)):
            if first is not None and begun < first.isoformat():
                earlier = stocks.earlier.setdefault(one, {})
                earlier[measure] = earlier.get(measure, 0) + sums[measure]


def _stood(
    query: Query, measures: Sequence[str], before: Mapping[Key, Sums], moved: Mapping[Key, Sums]
) -> Stocks:  # fmt: skip
    """Add up what moved period by period, from what there was before."""
    stocks = Stocks()
    times = [place for place, group in enumerate(query.group_by) if group in TIME_GROUPS]
    within = {key: {one: sums[one] for one in measures if one in sums} for key, sums in moved.items()}
    total = _standing(before.values())
    stocks.put(None, total, _standing([total, *within.values()]))
    by_other: dict[Key, dict[Key, Sums]] = {}
    for key, sums in within.items():
        period = tuple(key[place] for place in times)
        by_other.setdefault(tuple(one for place, one in enumerate(key) if place not in times), {})[period] = sums
    groups = {**before, **by_other}
    periods = [*_periods(query, within, MOST_ROWS // max(len(groups), 1))] if times else [()]
    for other in groups:
        stands, moves = before.get(other, {}), by_other.get(other, {})
        for period in periods:
            opening = stands
            if period in moves:
                stands = _standing([stands, moves[period]])
            stocks.put(_key(query, other, period), opening, stands)
    return stocks


def _standing(several: Iterable[Sums]) -> Sums:
    return {measure: amount for measure, amount in sum_by_key(several).items() if amount}


def _key(query: Query, other: Key, period: Key) -> Key:
    of_others, of_times = iter(other), iter(period)
    return tuple(next(of_times if group in TIME_GROUPS else of_others) for group in query.group_by)


def _periods(query: Query, moved: Mapping[Key, Sums], most: int) -> Iterator[Key]:
    """Yield the labels of all periods, no more than `most`, from the window's beginning, or the first with a move."""
    groups = [group for group in query.group_by if group in TIME_GROUPS]
    starts = [start for key in moved if (start := _start(query, key))]
    first = query.since or min(starts, default=None)
    if first is None:
        return
    last = query.until - timedelta(days=1) if query.until else max([*starts, first])
    for _ in range(most):
        if first > last:
            return
        yield tuple(grain_label(grain_start(first, group), group) for group in groups)
        first = min(following(grain_start(first, group), group) for group in groups)
    raise TooManyPeriodsError


def _start(query: Query, key: Key) -> date | None:
    """Return the first day that all periods of a key share; None of one without a period."""
    named = zip(key, query.group_by, strict=True)
    return max((labelled(label, group) for label, group in named if group in TIME_GROUPS and label), default=None)
