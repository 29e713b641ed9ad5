"""Forecast accuracy (REPORTS section 4): what each month was expected to bring in when it began, and what it did."""

from __future__ import annotations

from datetime import date

from service.domain.calendar import grain_start, months_before
from service.domain.cubes import DEALS
from service.domain.figures import quotient, total
from service.domain.report import Report
from service.domain.reports.forecast import WEIGHTED
from service.domain.units import MONEY

MONTHS = 12
MOST_MONTHS = 120  # that may be asked for: each is read as it was known then


def _last_year(today: date) -> tuple[date, date]:
    until = grain_start(today, "month")
    return months_before(until, MONTHS), until


REPORT = Report(
    "forecast-accuracy",
    "How far from what was forecast when it began did each month end?",
    DEALS,
    {
        "weighted": total(
            WEIGHTED, MONEY, "Σ value × probability of what was open, and expected to close in the month",
            "as known when the month began, by local time",
        ),
        "booked": total("booked_revenue", MONEY, "Σ value of live orders of the month"),
        "error": total(f"{WEIGHTED} - booked_revenue", MONEY, "weighted − booked"),
        "error_rate": quotient("weighted - booked", "booked"),
    },
    group_by="month",
    basis="event",
    window=_last_year,
    notes=(
        f"Of the last {MONTHS} full months, or of the full months of a window that are over.",
    ),
)  # fmt: skip
