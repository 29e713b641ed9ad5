"""What a balance is, said a second time and in another way: as SQL over the postings.

The projector adds postings up in memory as it goes; these queries add up the stored ones. `verify` holds the balances to them,
and reads "as known on" and of single days use them.
"""

from __future__ import annotations

from service.domain.contributions import MEASURES
from service.projections.sums.balances import COLUMNS, column


def of_postings(measure: str, sign: str = "") -> str:
    """Return the sum that a measure is of its postings; the total of a duration adds up the lengths it counts."""
    name, _, part = measure.rpartition(".")
    if part == "total":
        return f"{sign}sum(amount::numeric * value) FILTER (WHERE measure = '{name}') AS {column(measure)}"
    return f"{sign}sum(amount) FILTER (WHERE measure = '{measure}') AS {column(measure)}"


_OF_POSTINGS = ", ".join(of_postings(measure) for measure in MEASURES)
_OF_BALANCES = ", ".join(f"sum({name}) AS {name}" for name in COLUMNS.values())
_ALL = ", ".join(COLUMNS.values())
# For comparisons: a measure that has come back to 0 is as good as one that never was.
BALANCE = ", ".join(f"nullif({name}, 0) AS {name}" for name in COLUMNS.values())
SOME_BALANCE = f"coalesce({', '.join(f'nullif({name}, 0)' for name in COLUMNS.values())}) IS NOT NULL"

# What a balance is: postings by day of each basis, then by campaign alone, then by month and by year, each level adding up
# the one before. $1 ledger, $2 generation, ($3, $4] positions.
SUMMED = f"""
    fresh AS MATERIALIZED (
        SELECT measure, segment, campaign, day, cohort, amount, value::numeric AS value FROM postings
        WHERE ledger = $1 AND generation = $2 AND position > $3 AND position <= $4 AND measure NOT IN ('unconverted', 'flag')
    ),
    days AS (
        SELECT 'e'::"char" AS basis, day AS start, segment, campaign, {_OF_POSTINGS}
        FROM fresh GROUP BY day, segment, campaign
        UNION ALL SELECT 'c', cohort, segment, campaign, {_OF_POSTINGS} FROM fresh GROUP BY cohort, segment, campaign
    ),
    cubes AS (
        SELECT 's'::"char" AS cube, basis, start, segment, {_ALL} FROM days
        UNION ALL SELECT 'c', basis, start, campaign, {_OF_BALANCES} FROM days GROUP BY basis, start, campaign
    ),
    months AS (
        SELECT cube, basis, date_trunc('month', start::timestamp)::date AS start, segment, {_OF_BALANCES}
        FROM cubes GROUP BY 1, 2, 3, 4
    ),
    summed AS (
        SELECT 'd'::"char" AS grain, * FROM cubes
        UNION ALL SELECT 'm', * FROM months
        UNION ALL SELECT 'y', cube, basis, date_trunc('year', start::timestamp)::date, segment, {_OF_BALANCES}
        FROM months GROUP BY 2, 3, 4, 5
    )
"""

_DURATIONS = """
    FROM postings
    WHERE ledger = $1 AND generation = $2 AND position > $3 AND position <= $4 AND value IS NOT NULL
    GROUP BY 2, 3, 4, 5
"""
# The same for the histograms of durations.
BUCKETED = f"""
    bucketed AS (
        SELECT 'e'::"char" AS basis, date_trunc('month', day::timestamp)::date AS start, campaign AS segment, measure, bucket,
               sum(amount) AS amount {_DURATIONS}
        UNION ALL
        SELECT 'c', date_trunc('month', cohort::timestamp)::date, campaign, measure, bucket, sum(amount) {_DURATIONS}
    )
"""
