"""Completeness: what waits and moves no figure yet, how much money it stands for and since when; and who has gone silent."""

from __future__ import annotations

from bisect import insort
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from service.domain import details
from service.domain.lineage import split_entity
from service.domain.money import MINOR_DIGITS, Money, format_minor, minor_of
from service.domain.stated import stated_money
from service.projections.reports import links
from service.projections.reports.reading import Snapshot
from service.store import quarantine

_json = msgspec.json.Decoder(float_hook=str)  # a number too large for a float is no reason to tell nothing
_EXAMPLES = quarantine.EXAMPLES
_SILENT_FROM = 3  # times the longest usual interval
_USUAL_FROM = 5  # arrivals, below which nothing is usual
_AT_ONCE = 20  # events, each of which may have a megabyte, in memory
OVERDUE_DAYS = 30
Amounts = dict[str, int]


@dataclass
class Waiting:
    """What waits for one reason; `overdue` of it for longer than it should."""

    kind: str
    waits_for: str
    see: str
    count: int = 0
    amounts: Amounts = field(default_factory=dict)
    overdue: int = 0
    overdue_amounts: Amounts = field(default_factory=dict)
    since: tuple[datetime, int | None] | None = None
    examples: list[tuple[int, str]] = field(default_factory=list)  # the first, with their positions

    def add(
        self, names: list[tuple[int, str]], money: Money | None, moment: datetime, position: int | None, *, overdue: bool,
        count: int = 1,
    ) -> None:  # fmt: skip
        """Count things that wait, and their money; `names` are the first of them, by position."""
        self.count += count
        self.overdue += count if overdue else 0
        for amounts in (self.amounts, *((self.overdue_amounts,) if overdue else ())):
            if money:
                amounts[money.currency] = amounts.get(money.currency, 0) + money.minor
        if self.since is None or moment < self.since[0]:
            self.since = (moment, position)
        for one in names:
            insort(self.examples, one)
        del self.examples[_EXAMPLES:]

    def described(self) -> dict[str, Any]:
        """Return it as answers write it."""
        moment, position = self.since or (None, None)
        return {
            "kind": self.kind, "waits_for": self.waits_for, "count": self.count, "amounts": _written(self.amounts),
            "overdue": {"count": self.overdue, "amounts": _written(self.overdue_amounts)},
            "since": {"position": position, "recorded_at": moment}, "examples": [name for _, name in self.examples],
            "see": self.see,
        }  # fmt: skip


def _written(amounts: Amounts) -> list[dict[str, str]]:
    return [
        {"amount": format_minor(minor, currency), "currency": currency} for currency, minor in sorted(amounts.items())
    ]


class Groups(dict[tuple[str, str], Waiting]):
    """What waits, by kind and reason. What was recorded before `old` is overdue."""

    def __init__(self, old: datetime) -> None:
        super().__init__()
        self.old = old

    def of(self, kind: str, waits_for: str, see: str) -> Waiting:
        """Return what waits for a reason, which may be nothing yet."""
        return self.setdefault((kind, waits_for), Waiting(kind, waits_for, see))

    def add(
        self, group: tuple[str, str, str], name: str, money: Money | None, moment: datetime, position: int
    ) -> None:  # fmt: skip
        """Count one thing that waits since a position."""
        self.of(*group).add([(position, name)], money, moment, position, overdue=moment < self.old)


async def read(view: Snapshot, overdue_days: int = OVERDUE_DAYS) -> dict[str, Any]:
    """Return everything that waits, and how fresh each source is."""
    now = None if view.current else view.as_of.recorded_at
    waiting = Groups((now or datetime.now(UTC)) - timedelta(days=overdue_days))
    for collect in COLLECTED:
        await collect(view, waiting)
    rows = [waiting[key].described() for key in sorted(waiting)]
    return {
        "complete": not rows, "currency": view.ledger.currency, "overdue_days": overdue_days, "waiting": rows,
        "sources": await _sources(view), "addresses_as_ids": await _addresses(view),
    }  # fmt: skip


# Ids of people that look like an e-mail address or a phone number: ids are open, and no erasure takes them out.
_ADDRESSES = r"""
    SELECT kind, count(*) FROM entities WHERE ledger = $1 AND generation = $2 AND kind IN ('contact', 'lead')
    AND (id LIKE '%_@_%._%' OR id ~ '^\+[0-9][0-9 ()/.-]{6,}$') GROUP BY kind ORDER BY kind
"""


async def _addresses(view: Snapshot) -> dict[str, int]:
    """Return by kind how many ids of people are an address."""
    return dict(await view.connection.fetch(_ADDRESSES, view.ledger.ledger, view.generation))


async def _links(view: Snapshot, waiting: Groups) -> None:
    """What names something that has not arrived, with the money that it stands for."""
    async for link, money in links.pending(view):
        kind, name = split_entity(link.entity)
        group = (kind, details.pending(link.target).kind, "/v1/pending-links")
        waiting.add(group, name, money, link.recorded_at, link.position)


async def _rates(view: Snapshot, waiting: Groups) -> None:
    """Amounts that no rate converts yet."""
    rows = view.connection.cursor(
        """
        WITH amounts AS (
            SELECT entity, detail, max(position) AS since, sum(amount)::bigint AS times FROM postings
            WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = 'unconverted'
            GROUP BY entity, detail HAVING sum(amount) <> 0
        )
        SELECT amounts.entity, detail, since, times, recorded_at FROM amounts
        JOIN events e ON e.ledger = $1 AND e.position = since
        """,
        view.ledger.ledger, view.generation, view.as_of.position, prefetch=1_000,
    )  # fmt: skip
    async for entity, detail, position, times, recorded_at in rows:
        kind, name = split_entity(entity)
        waits = details.unconverted(detail)
        group = (kind, f"rate {waits.currency}/{view.ledger.currency}", "/v1/roi")
        waiting.add(group, name, Money(minor_of(waits.amount) * times, waits.currency), recorded_at, position)


async def _quarantined(view: Snapshot, waiting: Groups) -> None:
    """Items that could not be taken, and what money they stand for as far as that could be read when they came."""
    moment = None if view.current else view.as_of.recorded_at
    found = await quarantine.waiting(
        view.connection, view.ledger.ledger, view.as_of.position, moment, waiting.old
    )  # fmt: skip
    for one in found:
        money = Money(one.minor, one.currency) if one.currency else None
        names = [(item, str(item)) for item in one.first]
        group = waiting.of("quarantined item", "a correction", "/v1/quarantine")
        group.add(names, money, one.since, None, overdue=one.old, count=one.items)


async def _set_aside(view: Snapshot, waiting: Groups) -> None:
    """Events that could not be processed; those that have been retried since are not told as of earlier moments."""
    rows = view.connection.cursor(
        """
        SELECT e.type, e.source || ' ' || e.id, position, recorded_at, data FROM events e
        WHERE ledger = $1 AND position IN (
            SELECT position FROM set_aside WHERE ledger = $1 AND generation = $2 AND position <= $3
        )
        """,
        view.ledger.ledger, view.generation, view.as_of.position, prefetch=_AT_ONCE,
    )  # fmt: skip
    async for event_type, name, position, recorded_at, data in rows:
        group = (event_type, "a fix", "/v1/set-aside")
        waiting.add(group, name, stated_money(_json.decode(data)), recorded_at, position)


async def _of_senders(view: Snapshot, waiting: Groups) -> None:
    """Records of sending systems that wait for a message or cannot be read. How they stood earlier is not kept."""
    if not view.current:
        return
    ledger, old = view.ledger.ledger, waiting.old
    unread = await view.connection.fetch(
        f"""
        SELECT s.name, d.received_at < $2 AS old, count(*), min(d.received_at),
               (array_agg(d.delivery::text ORDER BY d.delivery))[1:{_EXAMPLES}]
        FROM deliveries d JOIN sources s ON s.ledger = d.ledger AND s.source = d.source
        WHERE d.ledger = $1 AND d.state = 'failed' AND s.deleted_at IS NULL
              AND NOT EXISTS (SELECT FROM statements t WHERE t.ledger = d.ledger AND t.delivery = d.delivery)
        GROUP BY 1, 2 ORDER BY 1, 2 DESC
        """,
        ledger, old,
    )  # fmt: skip
    for name, overdue, count, since, first in unread:
        see = "/v1/sources/{source}/deliveries?state=failed"  # whoever reads figures need not know a hook's URL
        group = waiting.of(f"message of {name}", "a correction", see)
        group.add(_numbered(first, overdue), None, since, None, overdue=overdue, count=count)
    records = await view.connection.fetch(
        f"""
        SELECT name, kind, state, old, count(*), min(since), (array_agg(record ORDER BY since, record))[1:{_EXAMPLES}]
        FROM ({_RECORDS}) AS waiting GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 DESC
        """,
        ledger, old,
    )  # fmt: skip
    for name, kind, state, overdue, count, since, first in records:
        group = _of_records(waiting, name, kind, state)
        group.add(_numbered(first, overdue), None, since, None, overdue=overdue, count=count)
    sums = await view.connection.fetch(
        f"""
        SELECT name, kind, state, old, min(since), one ->> 'currency', sum((one ->> 'amount')::numeric)
        FROM ({_RECORDS}) AS waiting, json_array_elements(amounts) AS one
        WHERE one ->> 'amount' ~ '^-?[0-9]{{1,18}}([.][0-9]{{1,4}})?$' GROUP BY 1, 2, 3, 4, 6
        """,
        ledger, old,
    )  # fmt: skip
    for name, kind, state, overdue, since, currency, amount in sums:
        money = Money(int(amount.scaleb(MINOR_DIGITS[currency])), currency) if currency in MINOR_DIGITS else None
        _of_records(waiting, name, kind, state).add([], money, since, None, overdue=overdue, count=0)


_RECORDS = """
    SELECT s.name, split_part(r.record, ':', 1) AS kind, r.record, r.state, r.since, r.since < $2 AS old, r.amounts
    FROM records r JOIN sources s ON s.ledger = r.ledger AND s.source = r.source
    WHERE r.ledger = $1 AND r.state <> 'translated' AND s.deleted_at IS NULL
"""


def _of_records(waiting: Groups, name: str, kind: str, state: str) -> Waiting:
    what = "a message" if state == "waiting" else "a correction"
    return waiting.of(f"{kind} of {name}", what, f"/v1/sources/{{source}}/records?state={state}")


def _numbered(names: Sequence[str], old: bool) -> list[tuple[int, str]]:
    """Return names as places in a list, in which those that are old come first."""
    return list(enumerate(names, 0 if old else _EXAMPLES))


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
