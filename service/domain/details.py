"""What a posting says beside its amount: how it was converted, what it waits for, or why a person should look at it.

A posting keeps it as text. Which of these it is follows from the posting's measure alone, never from what the text looks like, so
that an amount that waits for a rate is not read as one that has been converted.
"""

from __future__ import annotations

import json
from datetime import date
from typing import NamedTuple

from service.domain.calendar import EPOCH_DAY, MICROS_PER_DAY

PENDING_LINKS = "pending_links"
UNCONVERTED = "unconverted"
FLAG = "flag"
_NEVER = 2**62
LISTED = "opportunities.listed"  # with what an opportunity is like, as JSON
ORDERED = "opportunities.orders"  # with the opportunity of an order
LED = "paths.leads"  # with the contact of a lead and its first order, as JSON
BROUGHT = "paths.brought"  # with the lead that gave an order, an invoice or a credit note its cohort day
WAITING = "sla.waiting"  # with when a clock started, and when it is overdue
# What attribution needs to know, each as JSON.
TOLD = tuple(
    f"told.{kind}"
    for kind in ("order", "invoice", "credit_note", "quote", "opportunity", "lead", "touch", "merging", "model")
)
ASIDE = (LED, BROUGHT, *TOLD)  # what is put together on reading: it adds up to nothing, and is no reason for anything


class Converted(NamedTuple):
    """An amount as it was stated, with the rate that it was converted at: units of the ledger's currency per unit."""

    currency: str
    amount: str
    rate: str
    rate_day: str

    def __str__(self) -> str:
        return " ".join(self)


class Unconverted(NamedTuple):
    """An amount of a measure, as it was stated: it waits for a rate of `rate_day` or before."""

    measure: str
    currency: str
    amount: str
    rate_day: date

    def __str__(self) -> str:
        return f"{self.measure} {self.currency} {self.amount} {self.rate_day.toordinal()}"


class Reason(NamedTuple):
    """Why a person should look at it."""

    text: str

    def __str__(self) -> str:
        return self.text


class Target(NamedTuple):
    """The entity that something waits for."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class Waiting(NamedTuple):
    """Since when a clock runs, after when it is overdue (microseconds since 1970; None = never), and by which definition."""

    started: int
    due: int | None
    source: str
    id: str

    def __str__(self) -> str:
        due = _NEVER if self.due is None else self.due
        return f"{self.started} {due} {json.dumps([self.source, self.id], ensure_ascii=False)}"

    @property
    def day(self) -> str | None:
        """The day (UTC) on which it becomes overdue."""
        return None if self.due is None else day_of(self.due)

    def overdue(self, micros: int) -> bool:
        """Tell whether it is overdue at an instant."""
        return self.due is not None and micros > self.due


def day_of(micros: int) -> str:
    """Return the day (UTC) of an instant."""
    return date.fromordinal(micros // MICROS_PER_DAY + EPOCH_DAY).isoformat()


Detail = Converted | Unconverted | Reason | Target | Waiting


def read(measure: str, text: str | None) -> Detail | None:
    """Return the detail of a posting of a measure; None if it has none."""
    if text is None:
        return None
    if measure in {PENDING_LINKS, ORDERED, BROUGHT}:
        return pending(text)
    if measure == UNCONVERTED:
        return unconverted(text)
    if measure == WAITING:
        return waiting(text)
    return Reason(text) if measure in {FLAG, LISTED, LED, *TOLD} else Converted(*text.split(" "))


def converted(measure: str, text: str | None) -> Converted | None:
    """Return how a posting of a measure was converted; None if it was not."""
    detail = read(measure, text)
    return detail if isinstance(detail, Converted) else None


def unconverted(text: str) -> Unconverted:
    """Return what a posting of `unconverted` says."""
    measure, currency, amount, day = text.split(" ")
    return Unconverted(measure, currency, amount, date.fromordinal(int(day)))


def waiting(text: str) -> Waiting:
    """Return what a posting of a clock that runs says."""
    started, due, definition = text.split(" ", 2)
    return Waiting(int(started), None if int(due) == _NEVER else int(due), *json.loads(definition))


def pending(text: str) -> Target:
    """Return what a posting of `pending_links` says."""
    kind, _, identity = text.partition(":")
    return Target(kind, identity)
