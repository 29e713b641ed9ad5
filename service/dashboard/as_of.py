"""The line above everything: what is known here, and what is recorded and in no figure yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from service.dashboard.desk import Desk
from service.domain.contributions import REPORTS
from service.domain.money import MINOR_DIGITS
from service.projections.sums.selection import Query
from service.store import quarantine


class AsOf(NamedTuple):
    """Where the figures stand: in words, and whether that is all that is known."""

    position: str
    moment: str
    current: bool
    waiting: list[str]


async def read(desk: Desk) -> AsOf:
    """Return the line of a page."""
    view, writer = desk.view, desk.writer
    return AsOf(
        writer.number(view.as_of.position), writer.moment(view.as_of.recorded_at), view.current, await _waiting(desk)
    )


async def _waiting(desk: Desk) -> list[str]:
    """Say what waits: amounts without a rate, links to what has not arrived, and what could not be taken at all."""
    view, writer, found = desk.view, desk.writer, []
    unconverted, links = await view.waiting(Query(()), {*REPORTS["roi"].measures, "opportunities.value"})
    amounts: dict[str, Decimal] = {}
    for one in unconverted:
        amounts[one["currency"]] = amounts.get(one["currency"], Decimal(0)) + Decimal(one["amount"]) * one["entries"]
    if unconverted:
        told = ", ".join(writer.money(str(amount), currency) for currency, amount in sorted(amounts.items()))
        count = len(unconverted)
        words = desk.ngettext(
            "%(amount)s in one entry without a rate", "%(amount)s in %(count)s entries without a rate", count
        )
        found.append(words % {"amount": told, "count": writer.number(count)})
    if links:
        words = desk.ngettext("one link to what has not arrived", "%(count)s links to what has not arrived", links)
        found.append(words % {"count": writer.number(links)})
    moment = None if view.current else view.as_of.recorded_at
    long_ago = datetime.now(UTC) - timedelta(days=36_500)
    refused = await quarantine.waiting(view.connection, view.ledger.ledger, view.as_of.position, moment, long_ago)
    if items := sum(one.items for one in refused):
        known = [one for one in refused if one.currency in MINOR_DIGITS]
        money = ", ".join(
            writer.money(Decimal(one.minor).scaleb(-MINOR_DIGITS[one.currency or ""]), one.currency)
            for one in known
            if one.minor
        )
        words = desk.ngettext("one item in quarantine", "%(count)s items in quarantine", items) % {
            "count": writer.number(items)
        }
        found.append(f"{words} ({money})" if money else words)
    return found
