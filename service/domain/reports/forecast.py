"""Forecast (REPORTS section 4): what open opportunities will bring in, month by month, beside what is booked and aimed at.

An open opportunity stands on the day on which it is expected to close, so that windows and periods are those of closing.
"""

from __future__ import annotations

from datetime import date

from service.domain.calendar import grain_start, recorded_day
from service.domain.components.entities import NO_DAY, Opportunity
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.figures import total
from service.domain.given import Given
from service.domain.money import money_of
from service.domain.postings import Book, Remainder
from service.domain.report import Report
from service.domain.reports.conversion import outcome_of
from service.domain.reports.opportunities import chance_of
from service.domain.reports.win_rates import FEWEST, MONTHS
from service.domain.units import COUNT, MONEY, half_even

FORECAST = Cube("forecast", by=(*Dimensions._fields, "stage"), rollups=(("stage",), ()))
VALUE, WEIGHTED = "forecast.value", "forecast.weighted"
OVERDUE = "overdue"  # the period of what was expected before today


# What entities post


def contribute_opportunity(one: Opportunity, book: Book) -> None:
    """Post an open opportunity on the day of its expected close; its money at the rate of the day of its opening."""
    if one.opened is None or outcome_of(one)[0] != "open":
        return
    close = NO_DAY if one.expected_close is None else recorded_day(one.expected_close)
    segment = book.at(FORECAST, **one.where._asdict(), stage=one.stage)
    book.put(("forecast.count", one.name, segment, close, close, None, None))
    if one.estimate is None:
        return
    estimate, chance = money_of(one.estimate.data["estimated_value"]), chance_of(one, book)
    left = Remainder(book, estimate.currency, book.zone.day(one.opened.micros))
    left.post({VALUE: 1}, one.name, one.where, close, close, estimate.minor, segment)
    if left.known and chance is not None:
        weighted = half_even(left.remaining_converted * chance.numerator, chance.denominator)
        book.put((WEIGHTED, one.name, segment, close, close, None, None), weighted)


# The figures


def _from_this_month(today: date) -> tuple[date, None]:
    return grain_start(today, "month"), None


POSTS = Posts(
    FORECAST, counts=("forecast.count",), money=(VALUE, WEIGHTED), rules={"opportunity": contribute_opportunity}
)  # fmt: skip

REPORT = Report(
    "forecast",
    "What will open opportunities bring in, month by month, beside what is booked and aimed at?",
    FORECAST,
    {
        "count": total("forecast.count", COUNT, "open opportunities that are expected to close then"),
        "value": total(VALUE, MONEY, "Σ their last estimated value", "at the rate of the day of the opening"),
        "weighted": total(WEIGHTED, MONEY, "Σ value × probability of those that have both", "each rounded half-even"),
        "empirical": Given(
            unit=MONEY, of=(VALUE,), definition="Σ over stages of their value × the stage's win rate",
            note="rounded once; the win rates are in the answer",
        ),
        "booked": Given(
            unit=MONEY, of=("booked_revenue",), adds=True, definition="Σ value of live orders of that period up to and with today"
        ),
        "target": Given(
            unit=MONEY, of=("targets.money",), adds=True, definition="the target of booked_revenue that is set for the month",
            note="by month alone, without filters",
        ),
    },
    group_by="month",
    window=_from_this_month,
    notes=(
        "By the day of expected_close, from the current month on unless `from` or `to` says otherwise. What was expected before",
        "today is in the row `overdue`, and what states no such day in that without a period, whatever the window.",
        f"The win rate of a stage is of the opportunities decided in the {MONTHS} months before today that were ever in it; of",
        f"fewer than {FEWEST} it is that of all of them.",
    ),
)  # fmt: skip
