"""What paths are read from besides what is told of touches and merges: leads, and what they brought (REPORTS section 5).

A touch and a lead that it led to are in components of their own, of which neither reads the other: they are put together on
reading (`domain.paths`), as known at any position.
"""

from __future__ import annotations

import json

from service.domain.components.entities import Entity, Lead
from service.domain.cubes import Posts
from service.domain.details import BROUGHT, LED
from service.domain.postings import Book
from service.domain.reports.leads import LEADS


def contribute_lead(lead: Lead, book: Book) -> None:
    """List a captured lead, with its contact and the first live order of its branch."""
    if lead.captured is None:
        return
    ordered = lead.marks.get("ordered")
    said = json.dumps([lead.contact, ordered and ordered[0][:2]])
    place = book.at(LEADS, **lead.where._asdict())
    book.put((LED, lead.name, place, lead.cohort, lead.cohort, None, said))


def contribute_brought(entity: Entity, book: Book) -> None:
    """List an order or an invoice under the lead that gave it its cohort day."""
    brought(entity, entity.name, book)


def brought(entity: Entity, name: str, book: Book) -> None:
    """List what is called so, and goes by an entity, under the lead that gave that one its cohort day."""
    origin = entity.origin
    if origin is not None:
        place = (book.at(LEADS, **origin.where._asdict()), entity.cohort, entity.cohort, None)
        book.put((BROUGHT, name, *place, f"lead:{origin.lead}"))


POSTS = Posts(
    LEADS,
    counts=(LED, BROUGHT),
    rules={"lead": contribute_lead, "order": contribute_brought, "invoice": contribute_brought},
)
