"""The forecast: open opportunities by the period of their expected close, beside what is booked and aimed at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from service.domain.calendar import months_before
from service.domain.given import Values
from service.domain.postings import sum_by_key
from service.domain.report import Report
from service.domain.reports.forecast import OVERDUE, VALUE
from service.domain.reports.win_rates import LOST, MONTHS, WON, WinRates
from service.domain.units import RATIO, Exact, written
from service.projections.reports import targets
from service.projections.reports.own_rows import OwnRows
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import TIME_GROUPS, Key, Query, Span, Sums

_BOOKED = "booked_revenue"
_NO_MONTH = "what is overdue or undated has no period to be booked in"
_NO_TARGET = "no target is set"
_OF_MONTHS = "targets are of months: group by month alone, without filters"


async def read(view: Snapshot, report: Report, query: Query, today: date) -> OwnRows:
    """Return what is open, overdue and undated, by group, with what is booked and aimed at by period."""
    by_stage = await _open(view, report, query, today)
    sums: dict[Key, Sums] = {}
    of_stages: dict[Key, dict[str | None, int]] = {}
    for (*group, stage), of in by_stage.items():
        key = tuple(group)
        sums[key] = sum_by_key((sums[key], of)) if key in sums else of
        of_stages.setdefault(key, {})[stage] = of.get(VALUE, 0)
    rates = WinRates(await _decided(view, today))
    booked, aims = await _booked(view, query, today), await _targets(view, query)
    keys = dict.fromkeys([*sums, *booked, *aims, *_kept(query)])

    def values(of: Mapping[str | None, int], booked: int, target: Exact | str, *, dated: bool = True) -> Values:
        return Values({
            "empirical": _empirical(of, rates),
            "booked": _NO_MONTH if not dated else booked if "stage" not in query.dimensions else "revenue has no stage",
            "target": target if _is_plain(query) else _OF_MONTHS,
        })  # fmt: skip

    given: dict[Key | None, Values] = {
        key: values(
            of_stages.get(key, {}), booked.get(key, 0), aims.get(key, _NO_TARGET), dated=not _is_dateless(key, query)
        )
        for key in keys
    }
    given[None] = values(
        sum_by_key(of_stages.values()), sum(booked.values()), sum(aims.values()) if aims else _NO_TARGET
    )
    return OwnRows(sums, given, tuple(keys), values({}, 0, _NO_TARGET))


async def win_rates(view: Snapshot, query: Query, today: date) -> list[dict[str, Any]]:
    """Return the win rates of the stages of what is open, whatever the window, and of those that anything decided was in."""
    decided = await _decided(view, today)
    stages = {stage for (stage,) in await view.sums(Query(("stage",), only=query.only), ("forecast.count",))}
    rates = WinRates(decided)
    return [_told(stage, rates) for stage in sorted({*stages, *decided}, key=_nulls_last)]


def opened(query: Query, measure: str, today: date) -> Query:
    """Return the query of what a figure of the forecast opens down to."""
    if measure == "booked":
        return _so_far(query, today)
    if measure == "target":
        return targets.opened(Query(only=(("measure", (_BOOKED,)),)))
    ahead = Span(*_ahead(query, today).windows[0][:2])
    return replace(query, spans=(Span(date.min, today), ahead))


async def _open(view: Snapshot, report: Report, query: Query, today: date) -> dict[Key, Sums]:
    """Return the sums of what is open by group and stage, what was expected before today being a period of its own."""
    measures = report.measures_of("count", "value", "weighted")
    found = await view.sums(replace(_ahead(query, today), group_by=(*query.group_by, "stage")), measures)
    others = [group for group in query.group_by if group not in TIME_GROUPS]
    late = replace(query, group_by=(*others, "stage", "year"), since=None, until=today)
    for (*group, stage, year), of in (await view.sums(late, measures)).items():
        if year is None:  # it has no day, and is there already
            continue
        labels = iter(group)
        key = (*(OVERDUE if one in TIME_GROUPS else next(labels) for one in query.group_by), stage)
        found[key] = sum_by_key((found[key], of)) if key in found else of
    return found


def _ahead(query: Query, today: date) -> Query:
    """Return the part of a window that begins with today: what was expected before that is overdue."""
    since = max(query.since or today, today)
    return replace(query, since=since, until=None if query.until is None else max(query.until, since))


def _so_far(query: Query, today: date) -> Query:
    """Return the part of a window that ends with today."""
    until = min(query.until or date.max, today + timedelta(1))
    return replace(query, until=max(until, query.since or until))


async def _booked(view: Snapshot, query: Query, today: date) -> dict[Key, int]:
    if "stage" in query.dimensions:
        return {}
    found = await view.sums(_so_far(query, today), (_BOOKED,))
    return {key: sums[_BOOKED] for key, sums in found.items()}


async def _targets(view: Snapshot, query: Query) -> dict[Key, int]:
    """Return what booked revenue is to come to in the months of a window, where rows are by month alone."""
    if not _is_plain(query):
        return {}
    found: dict[Key, int] = {}
    for _, aim in await targets.stated(view, Query(only=(("measure", (_BOOKED,)),))):
        if aim.grain == "month" and not aim.of and aim.overlaps(query.since, query.until) and aim.value is not None:
            found[aim.period,] = int(aim.value)
    return found


def _is_plain(query: Query) -> bool:
    return query.group_by == ("month",) and not query.only


def _kept(query: Query) -> Iterable[Key]:
    """Yield the keys of what is overdue and undated, which are there whatever the window, where rows are by periods alone."""
    if TIME_GROUPS.keys() >= {*query.group_by}:
        yield from ((label,) * len(query.group_by) for label in (OVERDUE, None))


def _is_dateless(key: Key, query: Query) -> bool:
    named = zip(key, query.group_by, strict=True)
    return any(label in (OVERDUE, None) for label, group in named if group in TIME_GROUPS)


async def _decided(view: Snapshot, today: date) -> dict[str | None, tuple[int, int]]:
    """Return how many were won and lost by stage, and of all."""
    asked = Query(("stage",), months_before(today, MONTHS), today)
    return {
        stage: (sums.get(WON, 0), sums.get(LOST, 0)) for (stage,), sums in (await view.sums(asked, (WON, LOST))).items()
    }


def _empirical(values: Mapping[str | None, int], rates: WinRates) -> Exact | str:
    """Return what values by stage come to by the win rates of these."""
    total = Fraction(0)
    for stage, value in values.items():
        if not value:
            continue
        rate = rates.of(stage).rate
        if rate is None:
            return f"nothing was won or lost in the {MONTHS} months before today"
        total += value * rate
    return total


def _told(stage: str | None, rates: WinRates) -> dict[str, Any]:
    found = rates.of(stage)
    rate = None if found.rate is None else written(found.rate, RATIO, "")
    return {"stage": stage, "won": found.won, "lost": found.lost, "win_rate": rate, "of_all": found.of_all}


def _nulls_last(label: str | None) -> tuple[bool, str]:
    return label is None, label or ""
