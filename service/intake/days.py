"""An event's day in its ledger's time zone has to be one that figures are reported by (SPEC section 7): else it is refused.

Only at the ends of the calendar does the zone matter: everywhere else no row has to be looked at twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from service.domain.calendar import EPOCH_DAY, FIRST_DAY, LAST_DAY, MICROS_PER_DAY, Zone, expected_day
from service.domain.catalogue import Problem
from service.store import ledgers
from service.store.rows import Row

_SURE_FROM = (FIRST_DAY + 1 - EPOCH_DAY) * MICROS_PER_DAY  # no zone is a day away from UTC
_SURE_UNTIL = (LAST_DAY - EPOCH_DAY) * MICROS_PER_DAY


def at_the_ends(row: Row) -> bool:
    """Tell whether the zone decides on a row."""
    return not _SURE_FROM <= row.micros < _SURE_UNTIL


async def outside(pool: asyncpg.Pool, ledger: int, rows: Mapping[int, Row]) -> dict[int, Problem]:
    """Return what is wrong with the times of rows, which are given by their place in the request."""
    zone = Zone(await ledgers.timezone_of(pool, ledger))
    expected = f"a time on {expected_day().removesuffix(', as YYYY-MM-DD')}, in the time zone {zone.name}"
    return {
        index: Problem("time", expected, row.time)
        for index, row in rows.items()
        if at_the_ends(row) and not zone.holds(row.micros)
    }
