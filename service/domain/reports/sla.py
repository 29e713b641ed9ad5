"""Service level agreements (REPORTS section 3): how often what was agreed for leads is kept, and how long it takes.

A clock counts on the day of its start. One that has not stopped is posted with the instant after which it is overdue, so that
nothing has to happen for it to become that.
"""

from __future__ import annotations

from service.domain.agreements import ASKED, Terms
from service.domain.clocks import Clock, clocks
from service.domain.components.entities import Lead, Opportunity
from service.domain.cubes import Cube, Posts
from service.domain.details import WAITING, Waiting
from service.domain.durations import SHARES
from service.domain.figures import Mean, PastDue, Percentile, quotient, total
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.units import COUNT, HOURS

SLA = Cube("sla", by=("campaign", "channel", "owner", "sla"), rollups=(("campaign",), ()))
# Clocks that run, besides by the day (UTC) on which they become overdue.
CLOCKS = Cube("clocks", by=(*SLA.by, "due"), rollups=(SLA.by, ()))
_TIME = "sla.time"


def contribute_lead(lead: Lead, book: Book) -> None:
    """Post the clocks of a lead under each agreement, those that run unless it is disqualified or has a live order."""
    if not lead.steps:
        return
    _ask(book, max(facts[-1].micros for facts in lead.steps.values()))
    for name, definitions in book.agreements.by_id.items():
        for clock in clocks(lead.marks_of, definitions):
            terms = book.agreements.terms(clock.definition)
            if _applies(terms, lead, book):
                _post(name, clock, terms, lead, book)


def contribute_opportunity(one: Opportunity, book: Book) -> None:
    """Have the leads that it lists asked again where an agreement is defined otherwise since it was opened."""
    if one.openings and one.names:
        _ask(book, one.openings[-1].micros)


def _ask(book: Book, micros: int) -> None:
    book.lookups.add((ASKED, book.zone.day(micros)))


def _post(name: str, clock: Clock, terms: Terms, lead: Lead, book: Book) -> None:
    day, start = book.zone.day(clock.start.micros), clock.start.micros
    labels = {"campaign": lead.campaign, "channel": lead.channel, "owner": lead.owner, "sla": name}
    place = (lead.name, book.at(SLA, **labels), day, day)
    if clock.stop is not None:
        took = terms.hours.between(start, clock.stop.micros)
        book.put(("sla.met" if took <= terms.within else "sla.late", *place, None, None))
        book.put((_TIME, *place, took, None))
    elif _ended(lead):
        return
    else:
        due = terms.hours.beyond(start, terms.within)
        waiting = Waiting(start, due, clock.definition.source, clock.definition.id)
        segment = book.at(CLOCKS, **labels, due=waiting.day)
        book.put((WAITING, lead.name, segment, day, day, None, str(waiting)))
    book.put(("sla.started", *place, None, None))


def _ended(lead: Lead) -> bool:
    """Tell whether nothing is waited for any more."""
    disqualified = lead.ended is not None and lead.ended.type == "lead.disqualified"
    return disqualified or "ordered" in lead.marks


def _applies(terms: Terms, lead: Lead, book: Book) -> bool:
    """Tell whether a lead has all the dimensions that an agreement is for; an empty text is what has none."""
    return all((_label(name, lead, book) or "") == value for name, value in terms.where.items())


def _label(name: str, lead: Lead, book: Book) -> str | None:
    """Return what a lead has of a dimension, or its campaign for it."""
    campaign = lead.campaign
    own: dict[str, str | None] = {
        "campaign_id": campaign, "channel": lead.channel, "source": lead.source, "medium": lead.medium,
        "lead_magnet": lead.lead_magnet, "owner": lead.owner,
    }  # fmt: skip
    if own.get(name) is not None or campaign is None:
        return own.get(name)
    if name == "parent":
        return _topmost(campaign, book)
    label: str | None = book.described(campaign).get(name) if name in ("channel", "campaign_type") else None
    return label


def _topmost(campaign: str, book: Book) -> str:
    """Return the topmost ancestor of a campaign, itself where there is none or its line ends in a circle."""
    line, top = {campaign}, campaign
    while parent := book.described(top).get("parent_id"):
        if parent in line:
            return campaign
        line.add(parent)
        top = parent
    return top


POSTS = Posts(
    SLA,
    rules={"lead": contribute_lead, "opportunity": contribute_opportunity},
    counts=("sla.started", "sla.met", "sla.late"),
    durations=(_TIME,),
)

REPORT = Report(
    "sla",
    "How often is what was agreed for leads done in time, and how long does it take?",
    SLA,
    {
        "started": total("sla.started", COUNT, "clocks, on the day of their start"),
        "met": total("sla.met", COUNT, "clocks that were stopped within the hours agreed"),
        "late": total("sla.late", COUNT, "clocks that were stopped later"),
        "running": PastDue(
            unit=COUNT, of=WAITING, by="due", past=False, exact=True,
            definition="clocks that have not stopped, within the hours agreed",
        ),
        "overdue": PastDue(
            unit=COUNT, of=WAITING, by="due", exact=True, definition="clocks that have not stopped, beyond the hours agreed"
        ),
        "met_rate": quotient("met", "met + late + overdue"),
        "mean_hours": Mean(unit=HOURS, of=_TIME, definition="mean time from start to stop", note="in the hours that count"),
        "p50_hours": Percentile(unit=HOURS, of=_TIME, share=SHARES[0], definition="median time from start to stop"),
        "p90_hours": Percentile(
            unit=HOURS, of=_TIME, share=SHARES[1], definition="90th percentile time from start to stop"
        ),
    },
    group_by="sla",
    notes=(
        "A clock runs by the last definition at or before its start. One that runs counts nowhere while its lead is disqualified",
        "or has a live order.",
    ),
)  # fmt: skip
