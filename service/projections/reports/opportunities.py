"""The list of opportunities (REPORTS section 3), each as it stands: its sums are those of the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from service.domain.details import LISTED, ORDERED
from service.domain.money import format_minor
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Query
from service.store.people.keys import Subjects

Row = dict[str, Any]
SORTS = (
    "opportunity_id", "name", "status", "stage", "stage_since", "value", "probability", "weighted_value", "expected_close",
    "overdue", "opened_on", "age_days", "account", "owner", "team", "region", "campaign_id",
)  # fmt: skip


class Chosen(NamedTuple):
    """Which ones besides those of a query: these statuses and contacts ("" = none), a close expected in [since, until)."""

    status: frozenset[str] = frozenset()
    contacts: frozenset[str] = frozenset()
    since: date | None = None
    until: date | None = None

    def holds(self, row: Row) -> bool:
        """Tell whether an opportunity is one of them."""
        close = row["expected_close"] and date.fromisoformat(row["expected_close"])
        return (
            (not self.status or row["status"] in self.status)
            and (not self.contacts or not self.contacts.isdisjoint(row["contacts"] or [""]))
            and (self.since is None or (close is not None and close >= self.since))
            and (self.until is None or (close is not None and close < self.until))
        )


async def read(
    view: Snapshot, query: Query, chosen: Chosen, today: date, subjects: Subjects | None = None
) -> tuple[list[Row], dict[str, Any]]:
    """Return the opportunities opened in the window, by id, and their total. `subjects` opens their names, where sealed."""
    orders: dict[str, list[str]] = {}
    for one in await view.posted(query, ORDERED):
        orders.setdefault(one.detail, []).append(one.entity.partition(":")[2])
    found = [
        _row(one.entity, json.loads(one.detail), one.where, one.day, today)
        | {"orders": sorted(orders.get(one.entity, ()))}
        for one in await view.posted(query, LISTED)
    ]
    aliases = await view.aliases("contact", chosen.contacts) if chosen.contacts else {}
    chosen = chosen._replace(contacts=frozenset(aliases.get(one, one) for one in chosen.contacts))
    if subjects is not None:
        names = await subjects.titles(view.connection, view.ledger.ledger, [row["name"] for row in found])
        found = [row | {"name": names.get(row["name"], row["name"])} for row in found]
    rows = sorted((row for row in found if chosen.holds(row)), key=lambda row: row["opportunity_id"])
    total = {
        "opened": len(rows), "pipeline_value": _sum(rows, "value"), "weighted_value": _sum(rows, "weighted_value"),
    }  # fmt: skip
    currency = view.ledger.currency
    written = ("pipeline_value", "weighted_value")
    return rows, {name: format_minor(one, currency) if name in written else one for name, one in total.items()}


def _row(entity: str, told: Mapping[str, Any], where: Mapping[str, Any], opened: date, today: date) -> Row:
    """Return an opportunity, its money in minor units."""
    since, decided, close = told["stage_since"], told["decided"], told["expected_close"]
    until = date.fromordinal(decided) if decided else today
    return {
        "opportunity_id": entity.partition(":")[2],
        **{name: told[name] for name in ("name", "status", "stage")},
        "stage_since": since and date.fromordinal(since).isoformat(),
        **{name: told[name] for name in ("value", "probability", "weighted_value", "expected_close")},
        "overdue": told["status"] == "open" and close is not None and date.fromisoformat(close) < today,
        "opened_on": opened.isoformat(),
        "age_days": max(0, (until - opened).days),
        "account": where["account"],
        **{name: told[name] for name in ("contacts", "leads")},
        **{name: where[name] for name in ("owner", "team", "region")},
        "campaign_id": where["campaign"],
    }


def _sum(rows: Iterable[Row], name: str) -> int:
    return sum(row[name] or 0 for row in rows)


def in_order(rows: list[Row], sort: str, falling: bool) -> list[Row]:
    """Sort rows, which are in their own order, by a member: null last either way, equal ones as they are."""
    known = [row for row in rows if row[sort] is not None]
    if falling:
        known.reverse()  # so that equal ones are in their own order once more
    known.sort(key=lambda row: row[sort])
    if falling:
        known.reverse()
    return [*known, *(row for row in rows if row[sort] is None)]


def written(row: Row, currency: str) -> Row:
    """Write a row's money."""
    money = {name: row[name] for name in ("value", "weighted_value") if row[name] is not None}
    return row | {name: format_minor(minor, currency) for name, minor in money.items()}
