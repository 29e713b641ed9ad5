"""The list of paths (REPORTS section 5): rows and their total, exact, and as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain import units
from service.domain.attribution.paths import Path, Travelled
from service.projections.attribution import paths
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Query

Row = dict[str, Any]
LEADS, BOOKED = "leads", "booked_revenue"
SORTS = ("converted", "not_converted", BOOKED, "mean_touches", "mean_days")
_UNITS = {BOOKED: units.MONEY, "mean_touches": units.RATIO, "mean_days": units.DAYS}
_UNKNOWN = {"mean_touches": "leads is 0", "mean_days": "no order after a touch"}


async def read(view: Snapshot, query: Query) -> dict[Path, Travelled]:
    """Return what the leads captured in the window of a query come to, path by path."""
    return await paths.read(view, query, (BOOKED,))


def rows_of(found: Mapping[Path, Travelled]) -> list[Row]:
    """Return a row for each path, with exact figures; a lead without touches has the empty path."""
    return [{"path": list(path), **_figures(travelled)} for path, travelled in found.items()]


def total_of(found: Mapping[Path, Travelled]) -> Row:
    """Return the figures of all paths together."""
    whole = Travelled()
    for travelled in found.values():
        whole.add(travelled)
    return _figures(whole)


def _figures(travelled: Travelled) -> Row:
    return {
        LEADS: travelled.leads, "converted": travelled.converted, "not_converted": travelled.not_converted,
        BOOKED: travelled.sums.get(BOOKED, 0), "mean_touches": travelled.mean_touches, "mean_days": travelled.mean_micros,
    }  # fmt: skip


def written(row: Row, currency: str) -> Row:
    """Write a row, or the total, with the reasons why figures are null."""
    told = {name: value for name, value in row.items() if name != LEADS}
    for name, unit in _UNITS.items():
        told[name] = None if row[name] is None else units.written(row[name], unit, currency)
    reasons = {name: reason for name, reason in _UNKNOWN.items() if row[name] is None}
    return {**told, "reasons": reasons}
