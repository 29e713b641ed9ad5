"""Restatement: what changed between two moments of knowing, per group and measure, and the entries that changed it.

Between two positions, a figure moves by the postings in between and by nothing else: the sum of the lines is the
difference of the two figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from service.domain import lineage
from service.domain.calendar import Zone, grain_label, grain_start
from service.domain.lineage import Parts
from service.domain.money import format_minor
from service.projections.reports import entries
from service.projections.reports.entries import Entry, Place, Range
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import TIME_GROUPS, Key, Query

# What is compared unless one measure is asked for: the figures that postings add up to one by one.
USUAL = (
    "budget", "actual_cost", "booked_revenue", "invoiced_revenue_gross", "credited", "cogs", "leads", "qualified_leads",
    "opportunities", "orders", "new_customers",
)  # fmt: skip
# What a campaign is called and classed as is no posting, and may be restated too: groups by it would compare two classings.
GROUPS = ("campaign", "source", "medium", "owner", *TIME_GROUPS)


def measures(name: str | None) -> dict[str, Parts]:
    """Return the measures asked for, each with what it adds up; KeyError if there is no such measure."""
    known = {measure: parts for of in lineage.MEASURES.values() for measure, parts in of.items()}
    return {name: known[name]} if name else {one: known[one] for one in USUAL}


async def read(
    then: Snapshot, now: Snapshot, query: Query, compared: Mapping[str, Parts], after: Place, limit: int
) -> tuple[dict[str, Any], Place | None]:  # fmt: skip
    """Return the figures that differ, a page of the entries in between, and where the next page begins."""
    currency, rows, total = now.ledger.currency, [], {}
    together = {posted: sign for parts in compared.values() for posted, sign in parts.items()}
    known_then, known_now = [await view.sums(query, tuple(together)) for view in (then, now)]
    for measure, parts in compared.items():
        old, new = entries.figure(known_then, parts), entries.figure(known_now, parts)
        for key in sorted(old.keys() | new.keys(), key=_order):
            if old.get(key, 0) != new.get(key, 0):
                group = dict(zip(query.names, key, strict=True))
                rows.append({**group, "measure": measure, **_pair(measure, old.get(key, 0), new.get(key, 0), currency)})
        total[measure] = _pair(measure, sum(old.values()), sum(new.values()), currency)
    positions = Range(then.as_of.position, now.as_of.position)
    found, counted = await entries.page(now, query, together, positions, after, limit + 1)
    zone = Zone(now.ledger.timezone)
    answer = {
        "rows": rows,
        "total": total,
        "lines": [_line(one, query, currency, zone) for one in found[:limit]],
        "count": counted,
    }
    return answer, found[limit - 1].place if len(found) > limit else None


def _order(key: Key) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in key]


def _pair(measure: str, old: int, new: int, currency: str) -> dict[str, Any]:
    return {
        "then": entries.amount(measure, old, currency),
        "now": entries.amount(measure, new, currency),
        "difference": entries.amount(measure, new - old, currency),
    }


def _line(entry: Entry, query: Query, currency: str, zone: Zone) -> dict[str, Any]:
    day = entry.line.day if query.basis == "event" else entry.line.cohort
    period = grain_label(grain_start(day, "month"), "month") if day != date.min else "what has no day"
    for group, label in zip(query.group_by, entry.key, strict=True):
        if group in TIME_GROUPS and label is not None:
            period = label
    moved = entry.line.amount
    written = format_minor(abs(moved), currency) if lineage.is_money(entry.line.measure) else str(abs(moved))
    happened = lineage.happened(
        entry.event.type, entry.event.data, date.fromordinal(zone.day(entry.event.micros))
    )  # fmt: skip
    sign = "-" if moved < 0 else "+"
    return {
        **entries.described(entry, query, currency),
        "sentence": f"{period} moved by {sign}{_grouped(written)} because {happened}",
    }


def _grouped(number: str) -> str:
    """Put commas between the thousands of a decimal string."""
    whole, point, fraction = number.partition(".")
    return f"{int(whole):,}{point}{fraction}"
