"""Profitability (REPORTS section 3): what remains of revenue once goods and campaigns are paid."""

from __future__ import annotations

from service.domain.cubes import DEALS
from service.domain.figures import quotient
from service.domain.report import Report
from service.domain.reports import conversion, roi

_ROI, _CONVERSION = roi.REPORT.figures, conversion.REPORT.figures

REPORT = Report(
    "profitability",
    "What remains of the revenue of each campaign?",
    DEALS,
    {
        "invoiced_revenue": _ROI["invoiced_revenue"],
        "booked_revenue": _ROI["booked_revenue"],
        "leads": _ROI["leads"],
        "won": _CONVERSION["won"],
        "actual_cost": _ROI["actual_cost"],
        "gross_margin": _ROI["gross_margin"],
        "margin_rate": quotient("gross_margin", "invoiced_revenue"),
        **{name: _ROI[name] for name in ("roi.booked", "roi.invoiced", "roi.margin")},
    },
)
