"""Leads (REPORTS section 3): what comes of the leads of a period, source by source, and what they cost."""

from __future__ import annotations

from service.domain.components.entities import Entity, Lead
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.figures import Dealt, Share, quotient, total
from service.domain.postings import Beside, Book
from service.domain.report import Report
from service.domain.units import COUNT, MONEY, RATIO

# All of it stands on the day on which the lead was captured.
LEADS = Cube(
    "leads", by=("campaign", "channel", "source", "medium", "lead_magnet", "owner"), rollups=(("campaign",), ())
)  # fmt: skip
_MONEY = {
    "booked_revenue": ("leads.booked_revenue", 1),
    "invoiced_revenue_gross": ("leads.invoiced_revenue", 1), "credited": ("leads.invoiced_revenue", -1),
}  # fmt: skip


def contribute_lead(lead: Lead, book: Book) -> None:
    """Count a captured lead as accepted or rejected, by the last of the two, and as disqualified unless it was reopened."""
    if lead.captured is None:
        return
    for fact in (lead.handed_over, lead.verdict, lead.ended):
        if fact is not None and fact.type != "lead.reopened":
            measure = f"leads.{fact.type.partition('.')[2]}"
            book.put((measure, lead.name, _place(lead.where, book), lead.cohort, lead.cohort, None, None))


def beside(entity: Entity, book: Book) -> tuple[Beside, ...]:
    """Return where the money of an order or an invoice stands beside its own place: with the lead that gave its cohort day."""
    return () if entity.origin is None else ((_MONEY, _place(entity.origin.where, book)),)


def _place(where: Dimensions, book: Book) -> int:
    return book.at(LEADS, **where._asdict())


POSTS = Posts(
    LEADS,
    money=("leads.booked_revenue", "leads.invoiced_revenue"),
    counts=("leads.handed_over", "leads.accepted", "leads.rejected", "leads.disqualified"),
    rules={"lead": contribute_lead},
)

_HALF_EVEN = "rounded half-even"

REPORT = Report(
    "leads",
    "What comes of the leads that each channel or source brings in, and what do they cost?",
    LEADS,
    {
        "leads": total("funnel.captured", COUNT, "leads captured"),
        "share": Share(unit=RATIO, of="leads"),
        "qualified": total("funnel.qualified", COUNT, "of them, those that were qualified"),
        "accepted": total("leads.accepted", COUNT, "those that were accepted, and not rejected since"),
        "rejected": total("leads.rejected", COUNT, "those that were rejected, and not accepted since"),
        "disqualified": total("leads.disqualified", COUNT, "those that were disqualified, and not reopened since"),
        "opportunity": total("funnel.opportunity", COUNT, "those with an opportunity opened in their branch"),
        "ordered": total("funnel.ordered", COUNT, "those with a live order in their branch"),
        "invoiced": total(
            "funnel.invoiced", COUNT, "those with a live invoice in their branch that is not fully credited"
        ),
        "rate_to_qualified": quotient("qualified", "leads"),
        "rate_to_opportunity": quotient("opportunity", "leads"),
        "rate_to_ordered": quotient("ordered", "leads"),
        "booked_revenue": total("leads.booked_revenue", MONEY, "Σ value of live orders whose cohort day they gave"),
        "invoiced_revenue": total(
            "leads.invoiced_revenue", MONEY, "Σ invoices less credit notes whose cohort day they gave"
        ),
        "cost": Dealt(
            unit=MONEY, of="actual_cost", to="funnel.captured",
            definition="Σ actual cost of each campaign, dealt equally to its leads captured in the period",
            note="that of a campaign without such leads stands under the campaign alone",
        ),
        "cost_per_lead": quotient("cost", "leads", MONEY, note=_HALF_EVEN),
        "cost_per_opportunity": quotient("cost", "opportunity", MONEY, note=_HALF_EVEN),
        "cpa": quotient("cost", "ordered", MONEY, note=f"cost per lead with an order, {_HALF_EVEN}"),
        "roas": quotient("invoiced_revenue", "cost"),
    },
    group_by="channel",
    notes=(
        "A row is about its leads throughout: those captured in the period, whenever the rest came about.",
        "Money stands with the lead that gave its cohort day, whatever campaign the order names.",
    ),
)  # fmt: skip
