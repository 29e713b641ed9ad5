"""The accuracy of forecasts: for each full month what was known when it began, beside what is booked in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from service.domain.calendar import Zone, after, grain_label, grain_start, months_before
from service.domain.report import Report
from service.domain.reports.forecast import WEIGHTED
from service.domain.reports.forecast_accuracy import MONTHS, MOST_MONTHS
from service.projections.reports.own_rows import OwnRows
from service.projections.reports.reading import Snapshot
from service.projections.reports.stocks import TooManyPeriodsError
from service.projections.sums.selection import Key, Query, Span, Sums

_BOOKED = "booked_revenue"


async def read(view: Snapshot, _: Report, query: Query, today: date) -> OwnRows:
    """Return, by group, what months were expected to bring in when they began, and what they did."""
    months = _full_months(query, today)
    if not months:
        return OwnRows({})
    zone = Zone(view.ledger.timezone)
    found: dict[Key, Sums] = await view.sums(replace(query, since=months[0], until=after(months[-1])), (_BOOKED,))
    for month in months:
        then = await _known(view, month, zone)
        asked = replace(query, since=month, until=after(month), group_by=(*query.group_by, "year"))
        for (*group, year), sums in (await then.sums(asked, (WEIGHTED,))).items():
            if year is not None:  # what states no day is in every window
                known = found.setdefault(tuple(group), {})
                known[WEIGHTED] = known.get(WEIGHTED, 0) + sums[WEIGHTED]
    kept = [
        tuple(grain_label(grain_start(month, one), one) for one in query.group_by)
        for month in months
        if _by_months(query)
    ]
    return OwnRows(found, kept=tuple(dict.fromkeys(kept)))


async def opened(view: Snapshot, query: Query, today: date) -> Query:
    """Return the query of what figures open down to: of each month what was expected when it began, and what was booked."""
    months, zone = _full_months(query, today), Zone(view.ledger.timezone)
    spans = [Span(one, after(one), (await _known(view, one, zone)).as_of.position, WEIGHTED) for one in months]
    spans += [Span(one, after(one), None, _BOOKED) for one in months]
    return replace(query, spans=tuple(spans) or (Span(date.min, date.min),))


async def _known(view: Snapshot, day: date, zone: Zone) -> Snapshot:
    """Return the view as it was known when a day began."""
    then = await view.at(zone.midnight(day))
    return then if then.as_of.position < view.as_of.position else view


def _by_months(query: Query) -> bool:
    """Tell whether rows are by months, or several of them, alone: each has one then, also where there is nothing in it."""
    return {"month", "quarter", "year"} >= {*query.group_by}


def _full_months(query: Query, today: date) -> list[date]:
    """Return the first days of the full months of a window that are over; without a beginning, of the twelve before its end."""
    until = grain_start(min(query.until or today, today), "month")
    since = months_before(until, MONTHS) if query.since is None else query.since
    month = since if since.day == 1 else after(grain_start(since, "month"))
    found = []
    while month < until:
        found.append(month)
        month = after(month)
        if len(found) > MOST_MONTHS:
            raise TooManyPeriodsError(
                f"a window of at most {MOST_MONTHS} full months: each is read as it was known then"
            )
    return found
