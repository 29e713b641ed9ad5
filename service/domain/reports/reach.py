"""Reach (REPORTS section 3): how many people can be told something by which channel, and how many messages they got."""

from __future__ import annotations

from service.domain.components.contacts import Consent, Person
from service.domain.components.entities import NO_DAY
from service.domain.components.statements import Stated
from service.domain.cubes import Cube, Posts
from service.domain.figures import total
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.standing import Persons
from service.domain.units import COUNT

REACH = Cube("reach", by=("channel",))
NAMED = "reach.named"


def contribute_person(one: Person, book: Book) -> None:
    """Tell by channel what `people` counts once: whom there is an address of, a consent, or both."""
    if one.counts:
        consented, addressable = one.consented, one.addressable
        several = {
            "reach.consented": consented, "reach.addressable": addressable, "reach.reachable": consented & addressable
        }  # fmt: skip
        for measure, channels in several.items():
            for channel in sorted(channels):
                _put(book, measure, one.name, channel, NO_DAY)


def contribute_consent(one: Consent, book: Book) -> None:
    """A consent names its channel, and counts on its day where it changes what was before."""
    channel = one.fact.data["channel"]
    _put(book, NAMED, one.name, channel, NO_DAY)
    if one.changes:
        measure = "reach.granted" if one.granted else "reach.withdrawn"
        _put(book, measure, one.name, channel, book.zone.day(one.fact.micros))


def contribute_messages(one: Stated, book: Book) -> None:
    """Messages name their channel, and count on the day on which they were sent."""
    channel = one.fields.get("channel")
    _put(book, NAMED, one.name, channel, NO_DAY)
    _put(book, "reach.messages_sent", one.name, channel, one.day, one.fields.get("count", 0))


def _put(book: Book, measure: str, entity: str, channel: str | None, day: int, amount: int = 1) -> None:
    book.put((measure, entity, book.at(REACH, channel=channel), day, day, None, None), amount)


POSTS = Posts(
    REACH,
    rules={"person": contribute_person, "consent": contribute_consent, "messages": contribute_messages},
    counts=(
        NAMED, "reach.consented", "reach.addressable", "reach.reachable", "reach.granted", "reach.withdrawn",
        "reach.messages_sent",
    ),
)  # fmt: skip


def _persons(of: str, definition: str, how: str) -> Persons:
    note = "in the total everybody counts once"
    return Persons(unit=COUNT, of=of, how=how, named=NAMED, definition=definition, note=note)


REPORT = Report(
    "reach",
    "How many people can be told something by which channel, and how many of them want that?",
    REACH,
    {
        "contacts": _persons("people", "registered contacts that are not erased, merged ones as one", "all"),
        "consented": _persons("reach.consented", "contacts that consented to the channel last", "consented"),
        "addressable": _persons("reach.addressable", "contacts with an address of the channel", "addressable"),
        "reachable": _persons("reach.reachable", "contacts that are addressable and consented", "both"),
        "granted": total("reach.granted", COUNT, "consents granted by who had not consented"),
        "withdrawn": total("reach.withdrawn", COUNT, "consents withdrawn by who had consented"),
        "messages_sent": total("reach.messages_sent", COUNT, "Σ messages sent"),
    },
    group_by="channel",
    notes=(
        "Channels are those that a consent or a sent message names. Whom there are now does not depend on the window.",
    ),
)  # fmt: skip
