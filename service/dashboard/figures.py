"""The reports as the page has them: those of the API, and ROI with what is left of a return after cost."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from service.domain.contributions import REPORTS
from service.domain.figures import Total
from service.domain.report import Report
from service.domain.units import MONEY

_LEFT = {"left.booked": "booked_revenue", "left.invoiced": "invoiced_revenue", "left.margin": "gross_margin"}
RETURN_OF = {"booked": "booked_revenue", "invoiced": "invoiced_revenue", "margin": "gross_margin"}


@cache
def report(name: str | Report) -> Report:
    """Return a report by its name; KeyError if there is none."""
    if isinstance(name, Report):
        return name
    return _with_left(REPORTS[name]) if name == "roi" else REPORTS[name]


def _with_left(roi: Report) -> Report:
    """Add what is left of each return after cost: a sum like others, which opens down to its entries."""
    left: dict[str, Total] = {}
    for name, returned in _LEFT.items():
        figure = roi.figures[returned]
        assert isinstance(figure, Total)  # noqa: S101  returns are sums
        parts = {**figure.of, "actual_cost": figure.of.get("actual_cost", 0) - 1}
        definition = f"{returned} − actual_cost"
        left[name] = replace(figure, of=parts, definition=definition, note="", unit=MONEY)
    return replace(roi, figures={**roi.figures, **left})


@cache
def some_of(name: str, *wanted: str) -> Report:
    """Return a report with some of its figures only: where many rows are read, each costs."""
    whole = report(name)
    return replace(whole, figures={one: whole.figures[one] for one in wanted}, on_request=frozenset())
