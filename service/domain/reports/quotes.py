"""Quotes (REPORTS section 3): how many are sent."""

from __future__ import annotations

from service.domain.components.entities import Quote
from service.domain.cubes import DEALS, Posts
from service.domain.postings import Book


def contribute_quote(one: Quote, book: Book) -> None:
    """Count a quote once, on the first day on which it was sent."""
    if one.sent:
        book.add("quotes.sent", one, book.zone.day(one.sent.micros))


POSTS = Posts(DEALS, {"quote": contribute_quote}, counts=("quotes.sent",))
