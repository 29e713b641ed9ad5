"""Lead quality (REPORTS section 3): what becomes of leads by the criteria that they meet, and why others are rejected."""

from __future__ import annotations

from service.domain.components.entities import Entity, Lead, Quality
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.facets import Facets
from service.domain.figures import quotient, total
from service.domain.postings import Beside, Book
from service.domain.report import Report
from service.domain.reports import leads
from service.domain.units import COUNT, MONEY

# All of it stands on the day on which the lead was captured.
QUALITY = Cube("quality", by=(*leads.LEADS.by, *Quality._fields))
_MONEY = {"booked_revenue": ("quality.booked_revenue", 1)}


def contribute_lead(lead: Lead, book: Book) -> None:
    """Count a captured lead, and how far it has come, with all that it states of its quality."""
    qualities = lead.qualities() if lead.captured else ()
    for quality in qualities:
        place = (lead.name, _place(lead.where, quality, book), lead.cohort, lead.cohort, None, None)
        for measure in _reached(lead):
            book.put((measure, *place))


def _reached(lead: Lead) -> list[str]:
    reached = ["quality.leads"]
    if lead.handed_over:
        reached.append("quality.handed_over")
    if lead.verdict:
        reached.append(f"quality.{lead.verdict.type.partition('.')[2]}")
    return reached + [measure for mark, measure in _MARKS.items() if mark in lead.marks]


_MARKS = {"opened": "quality.opportunity", "ordered": "quality.ordered"}


def beside(entity: Entity, book: Book) -> tuple[Beside, ...]:
    """Return where money stands beside its own place: with the lead that gave its cohort day, and all that this one states."""
    origin = entity.origin
    if origin is None:
        return ()
    stated = ((_MONEY, _place(origin.where, quality, book)) for quality in origin.qualities)
    return (*leads.beside(entity, book), *stated)


def _place(where: Dimensions, quality: Quality, book: Book) -> int:
    return book.at(QUALITY, **where._asdict(), **quality._asdict())


POSTS = Posts(
    QUALITY,
    money=("quality.booked_revenue",),
    counts=(
        "quality.leads", "quality.handed_over", "quality.accepted", "quality.rejected", "quality.opportunity",
        "quality.ordered",
    ),
    rules={"lead": contribute_lead},
)  # fmt: skip

REPORT = Report(
    "lead-quality",
    "Do leads that meet our criteria become customers, and why are others rejected?",
    QUALITY,
    {
        "leads": total("funnel.captured", COUNT, "leads captured"),
        "handed_over": total("leads.handed_over", COUNT, "of them, those that were handed over"),
        "accepted": total("leads.accepted", COUNT, "those that were accepted, and not rejected since"),
        "rejected": total("leads.rejected", COUNT, "those that were rejected, and not accepted since"),
        "opportunity": total("funnel.opportunity", COUNT, "those with an opportunity opened in their branch"),
        "ordered": total("funnel.ordered", COUNT, "those with a live order in their branch"),
        "rate_to_accepted": quotient("accepted", "leads"),
        "rate_to_rejected": quotient("rejected", "leads"),
        "rate_to_opportunity": quotient("opportunity", "leads"),
        "rate_to_ordered": quotient("ordered", "leads"),
        "booked_revenue": total("leads.booked_revenue", MONEY, "Σ value of live orders whose cohort day they gave"),
        "booked_revenue_per_lead": quotient("booked_revenue", "leads", MONEY, note="rounded half-even"),
    },
    group_by="criterion,state",
    facets=Facets(
        by="facet",
        groups={
            "criterion": ("criterion", "state"), "reason": ("reason",), "level": ("level",), "score": ("score",),
        },
        measures={
            "funnel.captured": "quality.leads", "leads.handed_over": "quality.handed_over", "leads.accepted": "quality.accepted",
            "leads.rejected": "quality.rejected", "funnel.opportunity": "quality.opportunity",
            "funnel.ordered": "quality.ordered", "leads.booked_revenue": "quality.booked_revenue",
        },
        rest={"criterion": "unstated", "level": None, "score": None},
        partial=frozenset({"reason"}),
    ),
    notes=(
        "By criterion, each lead stands once for every criterion that any of them states: `true`, `false` or `unstated`.",
        "By reason, of leads that are rejected: the reason of the last rejection. Level and score, in tens, are the last stated.",
    ),
)  # fmt: skip
