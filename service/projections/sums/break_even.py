"""Break-even (SPEC section 4): the first day on which cumulative return reaches cumulative cost (> 0), within the window.

It takes every day's sums, so that it is worked out only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from service.domain.figures import Parts
from service.projections.sums.selection import Key, Moment, Query, Selection


async def first_days(
    connection: Any, moment: Moment, query: Query, cost: Parts, returns: Mapping[str, Parts]
) -> dict[Key, dict[str, date | None]]:
    """Return by group, for each of the returns, the first day on which it comes up to the cost, added up since the first day."""
    measures = list(dict.fromkeys([*cost, *(one for of in returns.values() for one in of)]))
    sql = Selection(moment, query, measures, coarsest="day")
    names = sql.key_names()
    series = [f"r{number}" for number in range(len(returns))]
    daily = ", ".join(
        f"sum({_added(sql, of)}) AS {name}"
        for name, of in zip(("cost", *series), (cost, *returns.values()), strict=True)
    )
    running = ", ".join(f"sum({name}) OVER days AS {name}" for name in ("cost", *series))
    first = ", ".join(f"min(start) FILTER (WHERE cost > 0 AND {name} >= cost)" for name in series)
    rows = await connection.fetch(
        f"""
        {sql.campaigns()}, daily AS (
            SELECT {sql.keys()}, start, {daily} FROM {sql.source()}
            WHERE coalesce({", ".join(sql.columns.values())}) IS NOT NULL GROUP BY {names}, start
        ), running AS (
            SELECT {names}, start, {running} FROM daily WINDOW days AS (PARTITION BY {names} ORDER BY start)
        )
        SELECT {names}, {first} FROM running GROUP BY {names}
        """,
        *sql.values,
    )
    return {sql.key(row): dict(zip(returns, row[sql.width :], strict=True)) for row in map(tuple, rows)}


def _added(sql: Selection, parts: Parts) -> str:
    return " ".join(
        f"{'+' if sign > 0 else '-'} coalesce({sql.columns[measure]}, 0)" for measure, sign in parts.items()
    )
