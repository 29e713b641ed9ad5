"""What a balance is, said a second time and in another way: as SQL over the postings.

The projector adds postings up in memory as it goes; these queries add up the stored ones. `verify` holds the balances to them,
and reads "as known on" and of single days use them. All are made of a layout: which measure is in which column of which cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from service.domain.cubes import total_of
from service.domain.layout import Layout, Stored
from service.domain.postings import LISTS

PLACE = "basis, cube, grain, start, segment"


def quoted(names: Sequence[str]) -> str:
    """Return names that the code gives as SQL texts, with commas."""
    return ", ".join(f"'{name}'" for name in names)


def of_postings(measures: Sequence[str], column: str, sign: str = "") -> str:
    """Return the sum that a column is of the postings; the total of a duration adds up the lengths it counts."""
    lengths = [name.removesuffix(total_of("")) for name in measures if name.endswith(total_of(""))]
    plain = [name for name in measures if not name.endswith(total_of(""))]
    sums = []
    if plain:
        sums.append(f"sum(amount) FILTER (WHERE measure IN ({quoted(plain)}))")
    if lengths:
        sums.append(f"sum(amount::numeric * value) FILTER (WHERE measure IN ({quoted(lengths)}))")
    both = (
        sums[0] if len(sums) == 1 else f"coalesce({', '.join(sums)})"
    )  # a segment has what one of its cube's measures has
    return f"{sign}{both} AS {column}"


def balance(layout: Layout) -> str:
    """Return the columns for comparisons: a measure that has come back to 0 is as good as one that never was."""
    return ", ".join(f"nullif({name}, 0) AS {name}" for name in layout.columns)


def some_balance(layout: Layout) -> str:
    """Return the condition that any column has something."""
    return f"coalesce({', '.join(f'nullif({name}, 0)' for name in layout.columns)}) IS NOT NULL"


def without_days(layout: Layout) -> str:
    """Return the letters of the finest sums of cubes that have roll-ups: closings leave their days out."""
    return quoted([cube.letters[0] for cube in layout.cubes.values() if cube.rollups]) or "''"


@lru_cache(maxsize=16)
def summed(layout: Layout) -> str:
    """Return what balances are, as CTEs: postings by day of each basis, then by roll-up, by month and by year.

    Each level adds up the one before. $1 ledger, $2 generation, ($3, $4] positions.
    """
    all_columns, by_column = ", ".join(layout.columns), layout.by_column()
    posted = ", ".join(of_postings(by_column[name], name) for name in layout.columns)
    added = ", ".join(f"sum({name}) AS {name}" for name in layout.columns)
    levels = " UNION ALL ".join(
        one for name, cube in layout.cubes.items() for one in _levels(name, cube, all_columns, added)
    )
    with_cohorts = quoted([name for name, cube in layout.cubes.items() if cube.cohort])
    return f"""
        fresh AS MATERIALIZED (
            SELECT measure, p.segment, p.campaign, day, cohort, amount, value::numeric AS value, s.cube AS of
            FROM postings p JOIN segments s USING (ledger, generation, segment)
            WHERE p.ledger = $1 AND p.generation = $2 AND position > $3 AND position <= $4
            AND measure NOT IN ({quoted(LISTS)})
        ),
        days AS (
            SELECT 'e'::"char" AS basis, day AS start, segment, campaign, of, {posted}
            FROM fresh GROUP BY day, segment, campaign, of
            UNION ALL SELECT 'c', cohort, segment, campaign, of, {posted} FROM fresh WHERE of IN ({with_cohorts})
            GROUP BY cohort, segment, campaign, of
        ),
        cubes AS ({levels}),
        months AS (
            SELECT cube, basis, date_trunc('month', start::timestamp)::date AS start, segment, {added}
            FROM cubes GROUP BY 1, 2, 3, 4
        ),
        summed AS (
            SELECT 'd'::"char" AS grain, * FROM cubes
            UNION ALL SELECT 'm', * FROM months
            UNION ALL SELECT 'y', cube, basis, date_trunc('year', start::timestamp)::date, segment, {added}
            FROM months GROUP BY 2, 3, 4, 5
        )
    """


def _levels(name: str, cube: Stored, columns: str, added: str) -> list[str]:
    """The sums of one cube by all its dimensions, then by each roll-up: the first one has the postings' `campaign`."""
    finest, *above = [*cube.letters]
    found = [f"""SELECT '{finest}'::"char" AS cube, basis, start, segment, {columns} FROM days WHERE of = '{name}'"""]
    for number, letter in enumerate(above):
        of_all = f"""(SELECT segment FROM segments WHERE ledger = $1 AND generation = $2 AND cube = '{name}'
            AND num_nonnulls(VARIADIC labels) = 0)"""
        place = of_all if cube.rollups[number] == () else "campaign"
        found.append(f"""
            SELECT '{letter}', basis, start, {place} AS segment, {added} FROM days WHERE of = '{name}' GROUP BY 2, 3, 4""")
    return found


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
