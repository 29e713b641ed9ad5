"""The three reports of SPEC section 4, each made of sums: ROI, conversion, velocity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from typing import Any

from service.domain import conversion, roi, velocity
from service.domain.calendar import Zone
from service.projections.reading import Key, Query, Snapshot, Sum

Report = Callable[[Snapshot, Query], Awaitable[dict[str, Any]]]
Sums = dict[str, int]


async def read_roi(snapshot: Snapshot, query: Query) -> dict[str, Any]:
    """Return the ROI rows and total."""
    by_key = _by_key(await snapshot.sums(query, roi.MEASURES), query)
    even = await snapshot.break_even(query)
    currency = snapshot.ledger.currency

    def figures(key: Key | None, sums: Sums) -> dict[str, Any]:
        invoiced, margin = even.get(key, (None, None))
        return roi.figures(sums, currency, invoiced if roi.gross_margin(sums) is None else margin)

    return _answer(
        query, {key: figures(key, sums) for key, sums in by_key.items()}, figures(None, _total(by_key.values()))
    )


async def read_conversion(snapshot: Snapshot, query: Query) -> dict[str, Any]:
    """Return the conversion rows and total."""
    by_key = _by_key(await snapshot.sums(query, conversion.MEASURES), query)
    youngest = await snapshot.last_day(query, "funnel.captured")
    recorded = snapshot.as_of.recorded_at
    today = _local_day(snapshot, recorded) if recorded else None

    def figures(key: Key | None, sums: Sums) -> dict[str, Any]:
        last = youngest.get(key)
        age = None if last is None or today is None else max(0, (today - last).days)
        return conversion.figures(sums, snapshot.ledger.currency, age)

    return _answer(
        query, {key: figures(key, sums) for key, sums in by_key.items()}, figures(None, _total(by_key.values()))
    )


async def read_velocity(snapshot: Snapshot, query: Query) -> dict[str, Any]:
    """Return the velocity rows and total."""
    durations = _durations(await snapshot.sums(query, velocity.MEASURES, buckets=True), query)
    small = [
        (key, name)
        for key, by_name in durations.items()
        for name, one in by_name.items()
        if 0 < one.count < velocity.EXACT_BELOW
    ]
    exact: dict[tuple[Key, str], dict[Any, int]] = {}
    for key, name, length, times in await snapshot.samples(query, small):
        exact.setdefault((key, name), {})[length] = times
    for key, name in small:
        durations[key][name].samples = exact[(key, name)]
    cohort_query = Query(query.group_by, query.since, query.until, "cohort", query.campaign)
    cohorts: dict[Key, Sums] = {}
    cycles: dict[Key, velocity.Durations] = {}
    for one in await snapshot.sums(cohort_query, velocity.COHORT_MEASURES):
        cohorts.setdefault(one.key, {})[one.measure] = one.amount
        if one.measure == "sales_cycle":
            cycle = cycles.setdefault(one.key, velocity.Durations())
            cycle.count, cycle.total = one.amount, one.total
    none, currency = velocity.Durations(), snapshot.ledger.currency
    rows = {
        key: velocity.figures(by_name, cohorts.get(key, {}), cycles.get(key, none), currency)
        for key, by_name in durations.items()
    }
    total = velocity.figures(_together(durations.values()), _total(cohorts.values()), _add(cycles.values()), currency)
    return _answer(query, rows, total)


REPORTS: dict[str, Report] = {"roi": read_roi, "conversion": read_conversion, "velocity": read_velocity}


def _local_day(snapshot: Snapshot, moment: Any) -> date:
    return date.fromordinal(Zone(snapshot.ledger.timezone).day(int(moment.timestamp()) * 1_000_000))


def _by_key(sums: Iterable[Sum], query: Query) -> dict[Key, Sums]:
    by_key: dict[Key, Sums] = {(None,): {}} if query.group_by == ("campaign",) and query.campaign is None else {}
    for one in sums:
        by_key.setdefault(one.key, {})[one.measure] = int(one.amount)
    return by_key


def _total(rows: Iterable[Sums]) -> Sums:
    total: Sums = {}
    for sums in rows:
        for measure, amount in sums.items():
            total[measure] = total.get(measure, 0) + amount
    return total


def _durations(sums: Iterable[Sum], query: Query) -> dict[Key, dict[str, velocity.Durations]]:
    found: dict[Key, dict[str, velocity.Durations]] = {key: {} for key in _by_key((), query)}
    for one in sums:
        name, _, flag = one.measure.partition(".")
        durations = found.setdefault(one.key, {}).setdefault(name, velocity.Durations())
        if flag:
            durations.out_of_sequence += one.amount
        else:
            durations.count += one.amount
            durations.total += one.total
            durations.samples[velocity.middle_of(one.bucket)] = one.amount
    return found


def _together(rows: Iterable[dict[str, velocity.Durations]]) -> dict[str, velocity.Durations]:
    by_name: dict[str, list[velocity.Durations]] = {}
    for row in rows:
        for name, durations in row.items():
            by_name.setdefault(name, []).append(durations)
    return {name: _add(all_durations) for name, all_durations in by_name.items()}


def _add(all_durations: Iterable[velocity.Durations]) -> velocity.Durations:
    added = velocity.Durations()
    for one in all_durations:
        added.count += one.count
        added.total += one.total
        added.out_of_sequence += one.out_of_sequence
        for length, times in one.samples.items():
            added.samples[length] = added.samples.get(length, 0) + times
    return added


def _answer(query: Query, rows: dict[Key, dict[str, Any]], total: dict[str, Any]) -> dict[str, Any]:
    """Put rows in the order of their keys, none last, and name their groups."""
    ordered = sorted(rows, key=lambda key: [(value is None, value or "") for value in key])
    named = [{**dict(zip(query.names, key, strict=True)), **rows[key]} for key in ordered]
    return {"rows": named, "total": total}
