"""Revenue performance (REPORTS section 4): what the leads of a time are worth, how they convert, how fast, and whether it paid.

All of it is about one cohort: what came out of the leads captured in the window, on the days on which these were captured.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from service.domain.calendar import months_before
from service.domain.components.entities import Lead
from service.domain.cubes import DEALS, Posts
from service.domain.figures import Figure, Formula, Sums, quotient, total
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.reports import conversion, roi, velocity
from service.domain.reports.leads import LEADS
from service.domain.units import COUNT, MONEY, Exact

MONTHS = 12
_STANDING_AT = {
    "quote_accepted": "accepted",
    "opportunity": "opened",
}  # by step, the mark of who has reached it; the last first
_DONE = ("ordered", "counted")
_BOOKED = "leads.booked_revenue"
_DURATIONS = ("captured_to_qualified", "full_cycle", "lead_to_cash")


def contribute_lead(lead: Lead, book: Book) -> None:
    """Count a captured lead at the step that it has reached last, while something may still come of it."""
    marks = lead.marks
    disqualified = lead.ended is not None and lead.ended.type == "lead.disqualified"
    lost = "lost" in marks and "pursued" not in marks
    if lead.captured is None or disqualified or lost or any(mark in marks for mark in _DONE):
        return
    reached = (step for step, mark in _STANDING_AT.items() if mark in marks)
    step = next(reached, "qualified" if lead.qualified else "captured")
    segment = book.at(LEADS, **lead.where._asdict())
    book.put((f"leads.standing.{step}", lead.name, segment, lead.cohort, lead.cohort, None, None))


POSTS = Posts(
    LEADS, counts=tuple(f"leads.standing.{step}" for step in conversion.STEPS), rules={"lead": contribute_lead}
)


# The figures


def _database_value(sums: Sums) -> Exact:
    """Return what those who stand somewhere will bring in, if as much comes of them as of all who came that far."""
    standing = {step: sums.get(f"leads.standing.{step}", 0) for step in conversion.STEPS}
    booked = sums.get(_BOOKED, 0)
    return sum(Fraction(count * booked, sums[f"funnel.{step}"]) for step, count in standing.items() if count)


def _value() -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for step in conversion.STEPS:
        leads = conversion.REPORT.figures[f"funnel.{step}.count"]
        found |= {
            f"value.{step}.leads": total(f"funnel.{step}", COUNT, leads.formula),
            f"value.{step}.standing": total(
                f"leads.standing.{step}", COUNT, "those of them that got no further, and of whom something may come",
                "not disqualified, no lost opportunity without an open one; nobody stands at ordered or invoiced",
            ),
            f"value.{step}.value_per_lead": quotient(
                _BOOKED, f"funnel.{step}", MONEY, called="the number of leads", note="rounded half-even"
            ),
        }  # fmt: skip
    return found


def _of(report: Report, prefix: str, names: dict[str, str]) -> dict[str, Figure]:
    """Return figures of another report by the names that they have here."""
    return {f"{prefix}.{name}": report.figures[there] for there, name in names.items()}


def _conversion() -> dict[str, str]:
    return {name: name.partition(".")[2] for name in conversion.REPORT.figures if name.startswith("funnel.")}


def _velocity() -> dict[str, str]:
    return {name: name for name in velocity.REPORT.figures if name.partition(".")[0] in _DURATIONS}


def _last_year(today: date) -> tuple[date, date]:
    return months_before(today, MONTHS), today


_ROI = ("roas", "cost_to_revenue", "roi.booked", "roi.invoiced", "roi.margin")

REPORT = Report(
    "revenue-performance",
    "What are the leads of the last year worth, how do they convert, how fast, and did they pay?",
    DEALS,
    {
        **_value(),
        "database_value": Formula(
            unit=MONEY, made=_database_value,
            of=(_BOOKED, *(f"{of}.{step}" for of in ("leads.standing", "funnel") for step in conversion.STEPS)),
            definition="Σ standing × value_per_lead", note="rounded half-even at the end",
        ),
        **_of(conversion.REPORT, "conversion", _conversion()),
        **_of(velocity.REPORT, "velocity", _velocity()),
        **_of(roi.REPORT, "roi", {name: name for name in _ROI}),
    },
    group_by="",
    keys=(),
    basis="cohort",
    window=_last_year,
    parts={"reach": "reach"},
    inner={name: roi.REPORT.figures[name] for name in ("actual_cost", "booked_revenue", "invoiced_revenue", "gross_margin")},
    notes=(
        "Of the leads captured in the window, by default the last twelve months, and of all that came out of them, on the",
        "cohort basis. It has a total alone. `reach` are the rows of that report for the same window, whatever the filters.",
    ),
)  # fmt: skip
