"""The three reports of SPEC section 4, each made of sums: ROI, conversion, velocity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from typing import Any

from service.domain.calendar import Zone
from service.domain.postings import sum_by_key
from service.domain.reports import conversion, roi, velocity
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Key, Query, Sums
from service.projections.sums.threads import apart

Report = Callable[[Snapshot, Query], Awaitable[dict[str, Any]]]


async def read_roi(snapshot: Snapshot, query: Query) -> dict[str, Any]:
    """Return the ROI rows and total."""
    found, even = await snapshot.sums_and_break_even(query, roi.MEASURES)
    by_key = _by_key(found, query)
    currency = snapshot.ledger.currency

    def figures(key: Key | None, sums: Sums) -> dict[str, Any]:
        invoiced, margin = even.get(key, (None, None))
        return roi.figures(sums, currency, invoiced if roi.gross_margin(sums) is None else margin)

    return await _answer_of(query, by_key, figures)


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

    return await _answer_of(query, by_key, figures)


async def read_velocity(snapshot: Snapshot, query: Query) -> dict[str, Any]:
    """Return the velocity rows and total."""
    by_key = _by_key(await snapshot.sums(query, (*velocity.MEASURES, *velocity.TOTALS)), query)
    total = await apart(len(by_key), sum_by_key, by_key.values())
    samples = await _samples(snapshot, query, [*by_key.items(), (None, total)])
    cohort_query = Query(query.group_by, query.since, query.until, "cohort", query.campaign)
    cohorts = await snapshot.sums(cohort_query, velocity.COHORT_MEASURES)
    currency = snapshot.ledger.currency

    def answer() -> dict[str, Any]:
        rows = {
            key: velocity.figures(by_key.get(key, {}), samples.get(key, {}), cohorts.get(key, {}), currency)
            for key in by_key | cohorts
        }
        rows = {key: row for key, row in rows.items() if key in by_key or row["pipeline_velocity"] is not None}
        whole = velocity.figures(total, samples.get(None, {}), sum_by_key(cohorts.values()), currency)
        return _answer(query, rows, whole)

    return await apart(len(by_key) + len(cohorts), answer)


async def _samples(
    snapshot: Snapshot, query: Query, groups: Iterable[tuple[Key | None, Sums]]
) -> dict[Key | None, dict[str, dict[Any, int]]]:
    """Return the lengths that percentiles are made of: exact where a group has few, else the middles of buckets."""
    most = velocity.EXACT_BELOW
    counts = [(key, name, sums[name]) for key, sums in groups for name in velocity.DURATIONS if name in sums]
    few = sorted({name for _, name, count in counts if count < most})
    many = sorted({name for _, name, count in counts if count >= most})
    with_few = {key for key, _, count in counts if count < most}
    found: dict[Key | None, dict[str, dict[Any, int]]] = {}
    for (key, name), lengths in (await snapshot.samples(query, few, most, with_few)).items():
        found.setdefault(key, {})[name] = dict(lengths)
    for (key, name), buckets in (await snapshot.histograms(query, many, most)).items():
        found.setdefault(key, {})[name] = {velocity.middle_of(bucket): times for bucket, times in buckets.items()}
    return found


REPORTS: dict[str, Report] = {"roi": read_roi, "conversion": read_conversion, "velocity": read_velocity}


def _local_day(snapshot: Snapshot, moment: Any) -> date:
    return date.fromordinal(Zone(snapshot.ledger.timezone).day(int(moment.timestamp()) * 1_000_000))


def _by_key(sums: dict[Key, Sums], query: Query) -> dict[Key, Sums]:
    """Give a report by campaign its unattributed row, also where it is empty."""
    unattributed: dict[Key, Sums] = {(None,): {}} if query.group_by == ("campaign",) and query.campaign is None else {}
    return unattributed | sums


async def _answer_of(query: Query, by_key: dict[Key, Sums], figures: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Work out the figures of each group, and of all together."""

    def answer() -> dict[str, Any]:
        rows = {key: figures(key, sums) for key, sums in by_key.items()}
        return _answer(query, rows, figures(None, sum_by_key(by_key.values())))

    return await apart(len(by_key), answer)


def _answer(query: Query, rows: dict[Key, dict[str, Any]], total: dict[str, Any]) -> dict[str, Any]:
    """Put rows in the order of their keys, none last, and name their groups."""
    ordered = sorted(rows, key=lambda key: [(value is None, value or "") for value in key])
    named = [{**dict(zip(query.names, key, strict=True)), **rows[key]} for key in ordered]
    return {"rows": named, "total": total}
