"""What is told of deals and touches, as they stand, for attribution to be worked out on reading (REPORTS section 5).

Each is a posting with its statement as JSON, taken back when it is another, so that what was known at any position can be asked.
They add up to nothing. Each stands in one of many parts, by whose it is, so that a single deal is found without reading others.
"""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

from service.domain.attribution.models import RESERVED, UnusableError, read
from service.domain.components.billing import CreditNote, Invoice
from service.domain.components.entities import NO_DAY, Entity, Lead, Merging, Opportunity, Order, Quote
from service.domain.components.statements import Stated
from service.domain.components.touchpoints import SUPPRESSED
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.details import TOLD
from service.domain.facts import Fact
from service.domain.postings import Book

BY_PART = Cube("told", by=("part",))
PARTS = tuple(f"{number:02x}" for number in range(64))
EVERYWHERE = None  # the part of what concerns all deals
_written = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def part_of(kind: str, identity: str) -> str:
    """Return the part in which that is told which is an entity's."""
    return PARTS[crc32(f"{kind}:{identity}".encode()) % len(PARTS)]


def _tell(book: Book, of: Entity, part: str | None, said: Any, *, kind: str = "", day: int = NO_DAY) -> None:
    place = (book.at(BY_PART, part=part), day, day, None)
    book.put((f"told.{kind or of.kind}", of.name, *place, _written(said)))


def _moment(fact: Fact | None) -> tuple[int, str] | None:
    return None if fact is None else (fact.micros, fact.rest)


def _where(where: Dimensions) -> tuple[str | None, ...]:
    return where.campaign, where.owner, where.team, where.region


def tell_order(order: Order, book: Book) -> None:
    """Tell of a placed order whose deal it is, what it names, and where and when it counts."""
    if order.placed is not None:
        said = {
            "at": _moment(order.placed), "live": order.live, "opportunity": order.parent.id if order.parent else None,
            "names": order.names, "where": _where(order.where), "day": book.zone.day(order.placed.micros),
            "cohort": order.cohort,
        }  # fmt: skip
        _tell(book, order, part_of("order", order.id), said)


def tell_invoice(invoice: Invoice, book: Book) -> None:
    """Tell of a posted invoice which order it is of, if that is placed."""
    if invoice.posted is not None:
        order = invoice.parent.id if invoice.parent else None
        part = part_of("invoice", invoice.id) if order is None else part_of("order", order)
        _tell(book, invoice, part, {"order": order, "where": _where(invoice.where)})


def tell_credit_note(note: CreditNote, book: Book) -> None:
    """Tell which invoice a credit note is of."""
    if note.invoice is not None:
        _tell(book, note, part_of("invoice", note.invoice.id), {"invoice": note.invoice.id})


def tell_quote(quote: Quote, book: Book) -> None:
    """Tell what a quote ties together whose opportunity is not opened; others tie together what that does."""
    if quote.stated and quote.parent is None:
        _tell(book, quote, EVERYWHERE, {"names": quote.names})


def tell_opportunity(one: Opportunity, book: Book) -> None:
    """Tell of an opened opportunity when it was, which leads it lists, and which contacts were linked or unlinked, and when."""
    if one.opened is None:
        return
    named = one.named_contacts
    contacts = dict.fromkeys(named.data["contact_ids"], named) if named else {}
    for contact, fact in one.contacts.items():
        if contact not in contacts or contacts[contact] < fact:
            contacts[contact] = fact
    told = [
        (contact, fact.type != "opportunity.contact_unlinked", *fact[:4]) for contact, fact in sorted(contacts.items())
    ]
    said = {"at": _moment(one.opened), "leads": sorted({lead for _, lead in one.names}), "contacts": told}
    _tell(book, one, part_of("opportunity", one.id), said)


def tell_lead(lead: Lead, book: Book) -> None:
    """Tell when a lead was captured, and which contact it names, and since when."""
    if lead.captured is not None:
        named = lead.stated.get("contact")
        said = {"at": _moment(lead.captured), "contact": named and (lead.contact, *named[:4])}
        _tell(book, lead, part_of("lead", lead.id), said)


def tell_touch(touch: Stated, book: Book) -> None:
    """Tell of a touch whom it reached, when, and for which campaign."""
    said = touch.fields
    if touch.last is None or "campaign_id" not in said or "activity_type" not in said:
        return
    for kind in ("contact", "lead"):
        if (reached := said.get(f"{kind}_id")) is not None:
            # A row, not an object: there are more touches than of all else together. By its first member an index finds them.
            told = (
                (kind, reached), _moment(touch.last), said["campaign_id"], said["activity_type"], said.get("interaction"),
                SUPPRESSED in touch.marked,
            )  # fmt: skip
            _tell(book, touch, part_of(kind, reached), told, kind="touch", day=touch.day)


def tell_merge(merge: Merging, book: Book) -> None:
    """Tell which two are one."""
    _tell(book, merge, EVERYWHERE, {"kind": merge.of, "ids": merge.ids})


def tell_model(model: Stated, book: Book) -> None:
    """Tell of a published model how it is defined, and whether it was last said to be official."""
    definition, official = model.fields.get("definition"), model.stated.get("official")
    if model.id in RESERVED or type(definition) is not dict:
        return
    try:
        read(definition, kept=True)
    except UnusableError:  # taken by an earlier release: it defines nothing
        return
    said = {"definition": definition, "official": official and (model.fields["official"], *official[:4])}
    _tell(book, model, EVERYWHERE, said)


POSTS = Posts(
    BY_PART,
    counts=TOLD,
    rules={
        "order": tell_order, "invoice": tell_invoice, "credit_note": tell_credit_note, "quote": tell_quote,
        "opportunity": tell_opportunity, "lead": tell_lead, "touchpoint": tell_touch, "merging": tell_merge, "model": tell_model,
    },
)  # fmt: skip
