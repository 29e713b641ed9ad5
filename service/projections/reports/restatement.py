"""Restatement: what changed between two moments of knowing, per group and measure, and the entries that changed it.

Between two positions, a figure moves by the postings in between and by nothing else: the sum of the lines is the
difference of the two figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from service.domain import lineage
from service.domain.calendar import Zone, grain_label, grain_start
from service.domain.contributions import REPORTS
from service.domain.figures import Total
from service.domain.report import Report
from service.domain.units import written
from service.projections.reports import entries
from service.projections.reports.entries import Entry, Place, Range
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import TIME_GROUPS, Key, Query, Sums


def groups(report: Report) -> tuple[str, ...]:
    """Return what a restatement of a report may be grouped by: what postings have themselves, and periods.

    What a campaign is called and classed as is no posting, and may be restated too: groups by it would compare two classings.
    """
    classed = ("channel",) if "campaign" in report.cube.by else ()
    without = {*classed, *(report.facets.not_posted if report.facets else ())}
    return (*(one for one in report.dimensions if one not in without), *TIME_GROUPS)


def report_with(report: Report, name: str | None) -> Report:
    """Return the report if it has the figure asked for, which is a sum, else another one that has. KeyError if there is none."""
    having = (one for one in (report, *REPORTS.values()) if name is None or name in one.of_kind(Total))
    found = next(having, None)
    if found is None:
        raise KeyError(name)
    return found


def measures(report: Report, name: str | None, dimensions: Collection[str] = ()) -> dict[str, Total]:
    """Return the figure asked for, which is a sum of the report, or those that add up one measure, as by these dimensions."""
    instead = report.facets.measures if report.facets and report.facets.asked(dimensions) else {}
    return {
        one: replace(figure, of={instead.get(posted, posted): sign for posted, sign in figure.of.items()})
        for one, figure in report.of_kind(Total).items()
        if one == name or (name is None and len(figure.of) == 1)
    }


async def read(
    then: Snapshot, now: Snapshot, query: Query, compared: Mapping[str, Total], after: Place, limit: int
) -> tuple[dict[str, Any], Place | None]:  # fmt: skip
    """Return the figures that differ, a page of the entries in between, and where the next page begins."""
    currency, rows, total = now.ledger.currency, [], {}
    parts = {posted: sign for figure in compared.values() for posted, sign in figure.of.items()}
    known_then, known_now = [await view.sums(query, tuple(parts)) for view in (then, now)]
    for measure, figure in compared.items():
        old, new = _by_group(known_then, figure), _by_group(known_now, figure)
        for key in sorted(old.keys() | new.keys(), key=_order):
            if old.get(key, 0) != new.get(key, 0):
                group = dict(zip(query.names, key, strict=True))
                moved = _pair(figure, old.get(key, 0), new.get(key, 0), currency)
                rows.append({**group, "measure": measure, **moved})
        total[measure] = _pair(figure, sum(old.values()), sum(new.values()), currency)
    positions = Range(then.as_of.position, now.as_of.position)
    found, counted = await entries.page(now, query, parts, positions, after, limit + 1)
    zone = Zone(now.ledger.timezone)
    answer = {
        "rows": rows,
        "total": total,
        "lines": [_line(one, query, currency, zone) for one in found[:limit]],
        "count": counted,
    }
    return answer, found[limit - 1].place if len(found) > limit else None


def _by_group(sums: Mapping[Key, Sums], figure: Total) -> dict[Key, int]:
    """Return a figure by group; what is 0 is not there."""
    found = {key: entries.figure_of(of, figure.of) for key, of in sums.items()}
    return {key: amount for key, amount in found.items() if amount}


def _order(key: Key) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in key]


def _pair(figure: Total, old: int, new: int, currency: str) -> dict[str, Any]:
    told = {"then": old, "now": new, "difference": new - old}
    return {name: written(amount, figure.unit, currency) for name, amount in told.items()}


def _line(entry: Entry, query: Query, currency: str, zone: Zone) -> dict[str, Any]:
    day = entry.line.day if query.basis == "event" else entry.line.cohort
    period = grain_label(grain_start(day, "month"), "month") if day != date.min else "what has no day"
    for group, label in zip(query.group_by, entry.key, strict=True):
        if group in TIME_GROUPS and label is not None:
            period = label
    moved = entry.line.amount
    shown = str(entries.amount(entry.line.measure, abs(moved), currency))
    happened = lineage.happened(
        entry.event.type, entry.event.data, date.fromordinal(zone.day(entry.event.micros))
    )  # fmt: skip
    sign = "-" if moved < 0 else "+"
    return {
        **entries.described(entry, query, currency),
        "sentence": f"{period} moved by {sign}{_grouped(shown)} because {happened}",
    }


def _grouped(number: str) -> str:
    """Put commas between the thousands of a decimal string."""
    whole, point, fraction = number.partition(".")
    return f"{int(whole):,}{point}{fraction}"
