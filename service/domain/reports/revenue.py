"""Revenue (REPORTS section 3): which campaigns bring in the most."""

from __future__ import annotations

from service.domain.cubes import DEALS
from service.domain.figures import Share, quotient
from service.domain.report import Report
from service.domain.reports import conversion, roi
from service.domain.units import MONEY, RATIO

_ROI, _CONVERSION = roi.REPORT.figures, conversion.REPORT.figures

REPORT = Report(
    "revenue",
    "Which campaigns bring in the most revenue?",
    DEALS,
    {
        "won": _CONVERSION["won"],
        "orders": _ROI["orders"],
        "booked_revenue": _ROI["booked_revenue"],
        "invoiced_revenue": _ROI["invoiced_revenue"],
        "share": Share(unit=RATIO, of="invoiced_revenue"),
        "average_deal_size": quotient("booked_revenue", "orders", MONEY, note="rounded half-even"),
        "actual_cost": _ROI["actual_cost"],
        "roas": _ROI["roas"],
    },
    sort="-invoiced_revenue",
)
