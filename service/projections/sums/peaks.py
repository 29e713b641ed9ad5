"""Peaks: how high a campaign's cumulative cost, and its cumulative return less cost, come within each month.

They tell in which months a break-even can lie, so that reading it looks at the days of those months only, and not at every
day there is. The peak of a sum is at most the sum of the peaks, so that the same holds for several campaigns together.
"""

from __future__ import annotations

from typing import Any

# What a day adds to the cumulative sums, as SQL over a balance; peaks are of the first, and of each other less the first.
SERIES = {
    "cost": "coalesce(actual_cost, 0)",
    "invoiced": "coalesce(invoiced_revenue_gross, 0) - coalesce(credited, 0)",
    "margin": "coalesce(invoiced_revenue_gross, 0) - coalesce(credited, 0) - coalesce(cogs, 0)",
}
MOVED_BY = ("actual_cost", "invoiced_revenue_gross", "credited", "cogs")
PEAKS = tuple(f"peak_{name}" for name in SERIES)


def of_days(months: str, days: str) -> str:
    """Return the peaks of months (basis, month, segment), as SQL; `days` is a query of the balance of m's day m.day.

    A peak is 0 at least: a month begins at what was before, whether or not its first days have a balance.
    """
    series = ", ".join(f"{expression} AS {name}" for name, expression in SERIES.items())
    return f"""
        SELECT basis, month, segment, greatest(max(cost), 0) AS peak_cost, greatest(max(invoiced - cost), 0) AS peak_invoiced,
               greatest(max(margin - cost), 0) AS peak_margin
        FROM (
            SELECT basis, month, segment, {", ".join(f"sum({name}) OVER days AS {name}" for name in SERIES)}
            FROM (SELECT *, month + n AS day FROM ({months}) months CROSS JOIN generate_series(0, 30) AS n) m
            CROSS JOIN LATERAL (SELECT {series} FROM ({days}) of_day LIMIT 1) stated
            WHERE day < month + interval '1 month'
            WINDOW days AS (PARTITION BY basis, month, segment ORDER BY day)
        ) running
        GROUP BY basis, month, segment
    """


_TOUCHED = f"""
    SELECT basis, start AS month, segment FROM fresh_balances
    WHERE cube = 'c' AND grain = 'm' AND start > '-infinity' AND coalesce({", ".join(MOVED_BY)}) IS NOT NULL
"""
_DAY = """
    SELECT * FROM balances WHERE ledger = $1 AND generation = $2 AND basis = m.basis AND cube = 'c' AND grain = 'd'
    AND start = m.day AND segment = m.segment LIMIT 1
"""  # at most one; the limit makes it a look-up of its own, whatever statistics say of a generation that has just been begun


async def update(connection: Any, key: tuple[int, int]) -> None:
    """Bring the peaks of the months up to date that `fresh_balances` has just been added to.

    Every row is looked up by itself: a join would scan while the table has no statistics.
    """
    await connection.execute(
        f"""
        UPDATE balances b SET {", ".join(f"{name} = p.{name}" for name in PEAKS)} FROM ({of_days(_TOUCHED, _DAY)}) p
        CROSS JOIN LATERAL (
            SELECT ctid FROM balances WHERE ledger = $1 AND generation = $2 AND basis = p.basis AND cube = 'c' AND grain = 'm'
            AND start = p.month AND segment = p.segment LIMIT 1
        ) place
        WHERE b.ctid = place.ctid
        """,
        *key,
    )


# How many months have other peaks than their days say.
WRONG = f"""
    SELECT count(*) FROM balances b
    JOIN ({
    of_days(
        '''
        SELECT basis, start AS month, segment FROM balances
        WHERE ledger = $1 AND generation = $2 AND cube = 'c' AND grain = 'm' AND start > '-infinity'
    ''',
        _DAY,
    )
}) p ON b.basis = p.basis AND b.start = p.month AND b.segment = p.segment
    WHERE b.ledger = $1 AND b.generation = $2 AND b.cube = 'c' AND b.grain = 'm'
    AND ({", ".join(f"coalesce(b.{name}, 0)" for name in PEAKS)}) <> ({", ".join(f"p.{name}" for name in PEAKS)})
"""
