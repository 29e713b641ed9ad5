"""Quotes (REPORTS section 3): how many are sent, what they are worth, and how many of them are accepted."""

from __future__ import annotations

from service.domain.components.entities import Quote
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.figures import quotient, total
from service.domain.postings import Book, Remainder
from service.domain.report import Report
from service.domain.units import COUNT, MONEY

QUOTES = Cube("quotes", by=Dimensions._fields)
HAPPENED = ("sent", "accepted", "rejected", "expired")
_VALUED = ("sent", "accepted")


def contribute_quote(quote: Quote, book: Book) -> None:
    """Count a quote once for each of what happened to it, on the first day, and what it was worth then."""
    segment = book.at(QUOTES, **quote.where._asdict())
    for what in HAPPENED:
        first = getattr(quote, what)
        if first is None:
            continue
        day = book.zone.day(first.micros)
        book.put((f"quotes.{what}", quote.name, segment, day, day, None, None))
        worth = quote.worth(what) if what in _VALUED else None
        if worth is not None:
            left = Remainder(book, worth.currency, day)
            left.post({f"quotes.{what}_value": 1}, quote.name, quote.where, day, day, worth.minor, segment)


POSTS = Posts(
    QUOTES,
    counts=tuple(f"quotes.{what}" for what in HAPPENED),
    money=tuple(f"quotes.{what}_value" for what in _VALUED),
    rules={"quote": contribute_quote},
)

REPORT = Report(
    "quotes",
    "How many quotes are sent, what are they worth, and how many of them are accepted?",
    QUOTES,
    {
        **{
            what: total(f"quotes.{what}", COUNT, f"quotes {what}", "each once, on the first day")
            for what in HAPPENED
        },
        "sent_value": total("quotes.sent_value", MONEY, "Σ value of quotes sent", "the last that a sending states, else any"),
        "accepted_value": total(
            "quotes.accepted_value", MONEY, "Σ value of quotes accepted", "the last that an acceptance states, else any"
        ),
        "acceptance_rate": quotient("accepted", "accepted + rejected + expired"),
    },
    group_by="owner",
)  # fmt: skip
