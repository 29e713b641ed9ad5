"""How a report is asked to be compared (REPORTS section 6): with another window, or with what was known at another moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from service.api import parameters
from service.domain.calendar import LAST_DAY
from service.projections.reports import comparison
from service.projections.sums.selection import TIME_GROUPS, Query

_WINDOWS = {"previous": comparison.previous, "year": comparison.year_before}
_MOST_DAYS = 36_525  # of windows whose periods stand beside each other


def read_query(asked: parameters.Compared, query: Query) -> Query | None:
    """Return the query that a report is compared with; None where it is not compared."""
    compare = getattr(asked, "compare", "")  # of reports that can be
    if compare and asked.against_as_of is not None:
        raise parameters.invalid("against_as_of", "to be absent where `compare` is given", asked.against_as_of)
    if not compare:
        return None if asked.against_as_of is None else query
    if query.since is None or query.until is None:
        missing = "from" if query.since is None else "to"
        raise parameters.invalid(missing, "a day: what is compared has both from and to", "nothing")
    since, until = _window(compare, query.since, query.until)
    days = max(until.toordinal() - since.toordinal(), query.until.toordinal() - query.since.toordinal())
    if days > _MOST_DAYS and not TIME_GROUPS.keys().isdisjoint(query.group_by):
        raise parameters.invalid(
            "group_by", "no periods where windows of more than a century are compared", ", ".join(query.group_by)
        )
    return replace(query, since=since, until=until)


def _window(asked: str, since: date, until: date) -> tuple[date, date]:
    """Return the window that is compared with [since, until)."""
    if asked in _WINDOWS:
        try:
            return _WINDOWS[asked](since, until)
        except ValueError as error:
            raise parameters.invalid("from", str(error), str(since)) from None
    first, comma, end = asked.partition(",")
    if not comma:
        raise parameters.invalid("compare", "previous, year, or a window as YYYY-MM-DD,YYYY-MM-DD", asked)
    low, high = parameters.read_day("compare", first), parameters.read_day("compare", end, LAST_DAY + 1)
    if low is None or high is None or low > high:
        raise parameters.invalid("compare", "an end that is not before its first day", asked)
    return low, high


def read_moments(asked: parameters.Compared) -> list[int | datetime | None]:
    """Return the moment of knowing that is asked about and, where there is one, that which it is compared with."""
    moment = parameters.read_moment(asked.as_of)
    if asked.against_as_of is None:
        return [moment]
    return [moment, parameters.read_moment(asked.against_as_of, "against_as_of")]


def told(query: Query, frame: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an answer says of the other side, of which `frame` is what its own answer would say of itself."""
    return {"from": query.since, "to": query.until} | {
        name: frame[name] for name in ("as_of", "unconverted", "pending_links")
    }
