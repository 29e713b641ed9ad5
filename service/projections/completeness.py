"""Completeness: what waits and moves no figure yet, how much money it stands for and since when; and who has gone silent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from service.domain import details
from service.domain.lineage import split_entity
from service.domain.money import MINOR_DIGITS, format_minor, minor_of, parse_amount
from service.projections.reading import Snapshot
from service.store import quarantine

_json = msgspec.json.Decoder()
_MONEY = ("net_value", "net_amount", "amount", "value", "estimated_value")  # the first that an event states
_EXAMPLES = 5
_SILENT_FROM = 3  # times the longest usual interval
_USUAL_FROM = 5  # arrivals, below which nothing is usual


@dataclass
class Waiting:
    """What waits for one reason."""

    kind: str
    waits_for: str
    see: str
    count: int = 0
    amounts: dict[str, int] = field(default_factory=dict)
    since: tuple[datetime, int | None] | None = None
    examples: list[str] = field(default_factory=list)

    def add(self, name: str, money: tuple[int, str] | None, moment: datetime, position: int | None) -> None:
        """Count one thing that waits."""
        self.count += 1
        if money:
            self.amounts[money[1]] = self.amounts.get(money[1], 0) + money[0]
        if self.since is None or moment < self.since[0]:
            self.since = (moment, position)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(name)

    def described(self) -> dict[str, Any]:
        """Return it as answers write it."""
        moment, position = self.since or (None, None)
        amounts = [
            {"amount": format_minor(minor, currency), "currency": currency}
            for currency, minor in sorted(self.amounts.items())
        ]
        return {
            "kind": self.kind, "waits_for": self.waits_for, "count": self.count, "amounts": amounts,
            "since": {"position": position, "recorded_at": moment}, "examples": self.examples, "see": self.see,
        }  # fmt: skip


Groups = dict[tuple[str, str], Waiting]


async def read(view: Snapshot) -> dict[str, Any]:
    """Return everything that waits, and how fresh each source is."""
    waiting: Groups = {}
    for collect in COLLECTED:
        await collect(view, waiting)
    rows = [waiting[key].described() for key in sorted(waiting)]
    return {"complete": not rows, "currency": view.ledger.currency, "waiting": rows, "sources": await _sources(view)}


def _group(waiting: Groups, kind: str, waits_for: str, see: str) -> Waiting:
    return waiting.setdefault((kind, waits_for), Waiting(kind, waits_for, see))


def money_in(data: Any) -> tuple[int, str] | None:
    """Return the amount that an event states, in minor units and its currency, if it states one."""
    for name in _MONEY:
        stated = data.get(name) if isinstance(data, Mapping) else None
        if isinstance(stated, Mapping) and stated.get("currency") in MINOR_DIGITS:
            try:
                return parse_amount(str(stated.get("amount")), stated["currency"]), stated["currency"]
            except ValueError:
                return None
    return None


async def _links(view: Snapshot, waiting: Groups) -> None:
    """What names something that has not arrived, with the money that it last stated."""
    rows = await view.connection.fetch(
        """
        WITH links AS (
            SELECT entity, detail, max(position) AS since FROM postings
            WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = 'pending_links'
            GROUP BY entity, detail HAVING sum(amount) <> 0
        )
        SELECT links.entity, links.detail, since, e.recorded_at, coalesce(last.data, e.data)
        FROM links JOIN events e ON e.ledger = $1 AND e.position = since
        LEFT JOIN LATERAL (
            SELECT data FROM events s WHERE s.ledger = $1 AND s.position <= $3 AND s.entity =
                CASE WHEN links.entity LIKE 'order:%' THEN 'order.placed:' || substr(links.entity, 7)
                     WHEN links.entity LIKE 'invoice:%' THEN 'invoice.posted:' || substr(links.entity, 9) END
            ORDER BY s.micros DESC, s.rest DESC, s.source DESC, s.id DESC LIMIT 1
        ) last ON true
        ORDER BY since, links.entity, links.detail
        """,
        view.ledger.ledger, view.generation, view.as_of.position,
    )  # fmt: skip
    for entity, target, position, recorded_at, data in rows:
        kind, name = split_entity(entity)
        group = _group(waiting, kind, details.pending(target).kind, "/v1/pending-links")
        group.add(name, money_in(_json.decode(data)), recorded_at, position)


async def _rates(view: Snapshot, waiting: Groups) -> None:
    """Amounts that no rate converts yet."""
    rows = await view.connection.fetch(
        """
        WITH amounts AS (
            SELECT entity, detail, max(position) AS since, sum(amount)::bigint AS times FROM postings
            WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = 'unconverted'
            GROUP BY entity, detail HAVING sum(amount) <> 0
        )
        SELECT amounts.entity, detail, since, times, recorded_at FROM amounts
        JOIN events e ON e.ledger = $1 AND e.position = since ORDER BY since, amounts.entity, detail
        """,
        view.ledger.ledger, view.generation, view.as_of.position,
    )  # fmt: skip
    for entity, detail, position, times, recorded_at in rows:
        kind, name = split_entity(entity)
        waits = details.unconverted(detail)
        group = _group(waiting, kind, f"rate {waits.currency}/{view.ledger.currency}", "/v1/roi")
        group.add(name, (minor_of(waits.amount) * times, waits.currency), recorded_at, position)


async def _quarantined(view: Snapshot, waiting: Groups) -> None:
    """Items that could not be taken; what money they stand for, as far as they can be read."""
    then = None if view.current else (view.as_of.position, view.as_of.recorded_at)
    async for kept in quarantine.waiting(view.connection, view.ledger.ledger, then):
        try:
            body = _json.decode(kept.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            body = {}
        data = body.get("data", body) if isinstance(body, Mapping) else {}
        _group(waiting, "quarantined item", "a correction", "/v1/quarantine").add(
            str(kept.item), money_in(data), kept.received_at, None
        )


async def _set_aside(view: Snapshot, waiting: Groups) -> None:
    """Events that could not be processed; those that have been retried since are not told as of earlier moments."""
    rows = await view.connection.fetch(
        """
        SELECT e.type, e.source || ' ' || e.id, position, recorded_at, data FROM events e
        WHERE ledger = $1 AND position IN (
            SELECT position FROM set_aside WHERE ledger = $1 AND generation = $2 AND position <= $3
        ) ORDER BY position
        """,
        view.ledger.ledger, view.generation, view.as_of.position,
    )  # fmt: skip
    for event_type, name, position, recorded_at, data in rows:
        group = _group(waiting, event_type, "a fix", "/v1/set-aside")
        group.add(name, money_in(_json.decode(data)), recorded_at, position)


async def _of_senders(view: Snapshot, waiting: Groups) -> None:
    """Records of sending systems that wait for a message or cannot be read. How they stood earlier is not kept."""
    if not view.current:
        return
    rows = await view.connection.fetch(
        """
        SELECT s.name, r.record, r.state, r.since, r.amounts FROM records r
        JOIN sources s ON s.ledger = r.ledger AND s.source = r.source
        WHERE r.ledger = $1 AND r.state <> 'translated' AND s.deleted_at IS NULL ORDER BY r.since, s.name, r.record
        """,
        view.ledger.ledger,
    )
    unread = await view.connection.fetch(
        """
        SELECT s.name, d.delivery, d.received_at FROM deliveries d
        JOIN sources s ON s.ledger = d.ledger AND s.source = d.source
        WHERE d.ledger = $1 AND d.state = 'failed' AND s.deleted_at IS NULL
              AND NOT EXISTS (SELECT FROM statements t WHERE t.ledger = d.ledger AND t.delivery = d.delivery)
        ORDER BY d.delivery
        """,
        view.ledger.ledger,
    )
    for name, delivery, received_at in unread:
        see = "/v1/sources/{source}/deliveries?state=failed"  # whoever reads figures need not know a hook's URL
        _group(waiting, f"message of {name}", "a correction", see).add(str(delivery), None, received_at, None)
    for name, record, state, since, amounts in rows:
        what = "a message" if state == "waiting" else "a correction"
        see = f"/v1/sources/{{source}}/records?state={state}"
        group = _group(waiting, f"{record.partition(':')[0]} of {name}", what, see)
        group.add(record, None, since, None)
        for amount in _json.decode(amounts):
            minor, currency = money_in({"amount": amount}) or (0, amount["currency"])
            group.amounts[currency] = group.amounts.get(currency, 0) + minor


# Each adds what it knows to wait.
COLLECTED: tuple[Callable[[Snapshot, Groups], Awaitable[None]], ...] = (
    _links, _rates, _quarantined, _set_aside, _of_senders,
)  # fmt: skip


async def _sources(view: Snapshot) -> list[dict[str, Any]]:
    """Return how fresh each source is: its last event, its usual interval between arrivals, and its silence since."""
    rows = await view.connection.fetch(
        """
        WITH arrivals AS (
            SELECT source, recorded_at, max(position) AS position, count(*) AS events FROM events
            WHERE ledger = $1 AND position <= $2 GROUP BY source, recorded_at
        ), gaps AS (
            SELECT *, extract(epoch FROM recorded_at - lag(recorded_at) OVER (PARTITION BY source ORDER BY recorded_at)) AS gap
            FROM arrivals
        )
        SELECT source, sum(events)::bigint, count(*), max(position), max(recorded_at),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY gap), percentile_cont(0.95) WITHIN GROUP (ORDER BY gap)
        FROM gaps GROUP BY source ORDER BY source
        """,
        view.ledger.ledger, view.as_of.position,
    )  # fmt: skip
    now = datetime.now(UTC) if view.current else view.as_of.recorded_at
    return [_source(tuple(row), now) for row in rows]


def _source(row: tuple[Any, ...], now: datetime | None) -> dict[str, Any]:
    source, events, arrivals, position, last, median, longest = row
    silent = max(0.0, (now - last).total_seconds()) if now else 0.0
    known = longest is not None and arrivals >= _USUAL_FROM
    return {
        "source": source, "events": events, "last_event": {"position": position, "recorded_at": last},
        "usual_interval_seconds": _rounded(median), "longest_usual_interval_seconds": _rounded(longest),
        "silent_seconds": round(silent, 3), "silent": known and silent > _SILENT_FROM * max(longest or 0.0, 1.0),
    }  # fmt: skip


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(float(seconds), 3)
