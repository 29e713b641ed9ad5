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
    names = [f"r{number}" for number in range(len(returns))]
    moves = [
        f"{_added(sql, of)} AS {name}" for name, of in zip(("cost", *names), (cost, *returns.values()), strict=True)
    ]
    moved = f"coalesce({', '.join(sql.columns.values())}) IS NOT NULL"
    # Where groups are what sums are kept by, their numbers are quicker to sort by than their names.
    if sql.by_segment:
        keys, stated = "segment", f"SELECT segment, start, {', '.join(moves)} FROM ({sql.rows()}) b WHERE {moved}"
        answer = (
            f"SELECT {sql.keys()}, {', '.join(f'b.{name}' for name in names)} FROM {sql.joined('SELECT * FROM first')}"
        )
    else:
        keys, stated = (
            sql.key_names(),
            f"SELECT {sql.keys()}, start, {', '.join(moves)} FROM {sql.source()} WHERE {moved}",
        )
        answer = "SELECT * FROM first"
    daily = ", ".join(f"sum({name}) AS {name}" for name in ("cost", *names))
    running = ", ".join(f"sum({name}) OVER days AS {name}" for name in ("cost", *names))
    first = ", ".join(f"min(start) FILTER (WHERE cost > 0 AND {name} >= cost) AS {name}" for name in names)
    rows = await connection.fetch(
        f"""
        {sql.campaigns()}, stated AS ({stated}),
        daily AS (SELECT {keys}, start, {daily} FROM stated GROUP BY {keys}, start),
        running AS (SELECT {keys}, start, {running} FROM daily WINDOW days AS (PARTITION BY {keys} ORDER BY start)),
        first AS (SELECT {keys}, {first} FROM running GROUP BY {keys})
        {answer}
        """,
        *sql.values,
    )
    return {sql.key(row): dict(zip(returns, row[sql.width :], strict=True)) for row in map(tuple, rows)}


def _added(sql: Selection, parts: Parts) -> str:
    return " ".join(
        f"{'+' if sign > 0 else '-'} coalesce({sql.columns[measure]}, 0)" for measure, sign in parts.items()
    )
