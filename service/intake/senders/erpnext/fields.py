"""What the documents of ERPNext have in common: versions, states, links, dates and amounts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from service.domain.catalogue import shown
from service.intake.senders.contract import Draft, MalformedError, Source, Statement, Waiting, states
from service.intake.senders.fields import (
    day,
    difference,
    identifier,
    instant,
    list_of,
    money,
    number,
    object_of,
    text,
    unless_blank,
)

Doc = Mapping[str, Any]
Money = dict[str, str]
Parts = Iterator[Draft | Waiting]
UNDATED = Waiting("when it was made is not stated: let the webhook send the whole document, with `creation`")
_CLOCK = re.compile(r"(\d{1,2})(:\d\d:\d\d(?:\.\d{1,6})?)", re.ASCII)


class Version(NamedTuple):
    """A document as it stood at an instant."""

    at: str
    doc: Doc


def versions(statements: Iterable[Statement]) -> list[Version]:
    """Return how a document stood after each of its instants; of one instant the last statement counts."""
    found = {one.at: Version(one.at, state) for one, state in states(statements)}
    return list(found.values())


def campaign_of(doc: Doc, source: Source) -> str | None:
    """Return the campaign that a document or an item names, by the first mapped field that has one."""
    named = (unless_blank(_named(doc, name), source.mapping) for name in source.mapping["campaign_fields"])
    return next((one for one in named if one), None)


def _named(doc: Doc, field: str) -> str | None:
    """Return what a field names; false is what is written into an empty one."""
    return None if doc.get(field) is False else id_of(doc, field)


def word_of(doc: Doc, source: Source, *fields: str) -> str | None:
    """Return the first of some fields that has a word which states anything."""
    words = (unless_blank(text(doc.get(one), one), source.mapping) for one in fields)
    return next((one for one in words if one), None)


def items(doc: Doc, table: str = "items") -> list[Doc]:
    """Return the rows of a child table."""
    return [object_of(one, table) for one in list_of(doc.get(table) or [], table)]


def distinct(doc: Doc, field: str, *, keep_none: bool = False) -> list[Any]:
    """Return what the items name in a field, each once, in their order."""
    return list(dict.fromkeys(one for row in items(doc) if (one := id_of(row, field)) or keep_none))


def total(rows: Sequence[Doc], field: str) -> Decimal | None:
    """Return the sum of an amount over rows; None if one of them does not state it."""
    values = [number(one.get(field), field) for one in rows]
    return None if None in values else sum((one for one in values if one is not None), Decimal(0))


def is_return(doc: Doc) -> bool:
    """Say whether a document takes another back."""
    return doc.get("is_return") in (1, "1", True)


def money_of(doc: Doc, field: str, source: Source) -> Money | None:
    """Return a net amount in the document's currency, or in the company's as the mapping wants; None if not stated."""
    if source.mapping["amounts"] == "transaction":
        return money(doc.get(field), doc["currency"], field) if doc.get("currency") else None
    company, value = text(doc.get("company"), "company"), doc.get(f"base_{field}")
    code = source.mapping["company_currencies"].get(company)
    if code is None and value is not None:
        raise MalformedError(
            f"company_currencies in the mapping: expected the currency of {shown(company)}, got nothing"
        )
    return money(value, code, f"base_{field}")


def cogs_of(doc: Doc, source: Source) -> Money | None:
    """Return the cost of goods from the mapped field, in the document's currency."""
    field = source.mapping["cogs_field"]
    return money(doc.get(field), doc.get("currency"), field) if field and doc.get("currency") else None


def negated(value: Money) -> Money:
    """Return the money with the other sign."""
    return difference({"amount": "0", "currency": value["currency"]}, value)


def cancelled_at(history: Sequence[Version]) -> str | None:
    """Return when a document was cancelled, or None."""
    return next((at for at, doc in history if docstatus(doc) == 2), None)  # noqa: PLR2004


def docstatus(doc: Doc) -> int:
    """Return 0 (draft), 1 (submitted) or 2 (cancelled)."""
    exact = number(doc.get("docstatus"), "docstatus")
    if exact not in (None, 0, 1, 2):
        raise MalformedError(f"docstatus: expected 0, 1 or 2, got {shown(doc.get('docstatus'))}")
    return int(exact or 0)


def made_at(history: Sequence[Version], source: Source) -> str | None:
    """Return when a document was made, if it says so: when it was last modified is another day, and moves."""
    return instant(history[-1].doc.get("creation"), "creation", source.mapping["timezone"])


def dated_at(history: Sequence[Version], field: str, source: Source) -> str | None:
    """Return the instant of a document's date: with its posting_time, else as it was made if that was on that day."""
    doc = history[-1].doc
    clock = _CLOCK.fullmatch(str(doc.get("posting_time") or "")) if field == "posting_date" else None
    if clock and (on := doc.get(field)):
        hours = clock[1].rjust(2, "0")
        return instant(f"{on} {hours}{clock[2]}", "posting_date and posting_time", source.mapping["timezone"]) or ""
    return on_day(doc.get(field), made_at(history, source), field, source)


def on_day(date: Any, moment: str | None, field: str, source: Source) -> str | None:
    """Return the moment if it is on that day, else the beginning of the day; None if neither is known."""
    zone = source.mapping["timezone"]
    on = day(date, field, zone)
    return moment if on is None or on == day(moment, field, zone) else instant(on, field, zone)


def day_of(doc: Doc, field: str, moment: str | None, source: Source) -> str | None:
    """Return the day of a date field, or of a moment where it is empty."""
    return day(doc.get(field) or moment, field, source.mapping["timezone"])


def id_of(doc: Doc, field: str) -> str | None:
    """Return the id that a field holds, or None."""
    value = doc.get(field)
    return None if value is None or value == "" else identifier(value, field)
