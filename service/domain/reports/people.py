"""People (REPORTS section 3, reach): everybody once, by the channels that they consented to and can be addressed by."""

from __future__ import annotations

from service.domain.components.contacts import Person
from service.domain.components.entities import NO_DAY
from service.domain.cubes import Cube, Posts
from service.domain.postings import Book
from service.domain.standing import profile

PEOPLE = Cube("people", by=("profile",))


def contribute_person(one: Person, book: Book) -> None:
    """A registered person counts, whatever the day, unless erased."""
    if one.counts:
        segment = book.at(PEOPLE, profile=profile(one.consented, one.addressable))
        book.put(("people", one.name, segment, NO_DAY, NO_DAY, None, None))


POSTS = Posts(PEOPLE, {"person": contribute_person}, counts=("people",))
