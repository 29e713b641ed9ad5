"""Break-even from months and their peaks against its plain definition over every day."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from service.domain.calendar import grain_start
from service.projections.sums.break_even import Days, Month, Months, first_day, possible

AMOUNTS = st.integers(-9, 9)
SERIES = st.dictionaries(
    st.dates(date(2024, 1, 10), date(2024, 6, 20)), st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), max_size=25
)


def sum_by_key(campaigns: list[Days]) -> Days:
    found: Days = {}
    for days in campaigns:
        for day, move in days.items():
            cost, invoiced, margin = found.get(day, (0, 0, 0))
            found[day] = (cost + move[0], invoiced + move[1], margin + move[2])
    return found


def plain(days: Days, basis: int) -> date | None:
    cost = result = 0
    for day in sorted(days):
        cost, result = cost + days[day][0], result + days[day][basis]
        if cost > 0 and result >= cost:
            return day
    return None


def month_of(days: Days) -> Month:
    moves = [days[day] for day in sorted(days)]
    cost, invoiced, margin = ([*accumulate(one)] for one in zip(*moves, strict=True))
    rises = (
        [0, *cost],
        [0, *(i - c for i, c in zip(invoiced, cost, strict=True))],
        [
            0,
            *(m - c for m, c in zip(margin, cost, strict=True)),
        ],
    )
    return Month((cost[-1], invoiced[-1], margin[-1]), (max(rises[0]), max(rises[1]), max(rises[2])))


@given(campaigns=st.lists(SERIES, max_size=3))
def test_months_that_peaks_rule_out_have_no_break_even_whatever_is_put_together(campaigns: list[Days]) -> None:
    days, whole = sum_by_key(campaigns), date(2024, 2, 1)  # January is cut by the window: its days are read
    months: Months = {}
    for one in campaigns:
        by_month: dict[date, Days] = defaultdict(dict)
        for day, move in one.items():
            by_month[grain_start(day, "month")][day] = move
        for start, inside in by_month.items():
            if start >= whole:
                month, known = month_of(inside), months.get(start, Month((0, 0, 0), (0, 0, 0)))
                months[start] = Month(
                    (known.move[0] + month.move[0], known.move[1] + month.move[1], known.move[2] + month.move[2]),
                    (known.peaks[0] + month.peaks[0], known.peaks[1] + month.peaks[1], known.peaks[2] + month.peaks[2]),
                )
    read = {day: move for day, move in days.items() if day < whole}
    looked_at = possible(months, read)
    read |= {day: move for day, move in days.items() if grain_start(day, "month") in looked_at}
    rest = {start: month for start, month in months.items() if start not in looked_at}
    for basis in (1, 2):
        assert first_day(rest, read, basis) == plain(days, basis)
