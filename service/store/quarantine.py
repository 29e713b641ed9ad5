"""The quarantine: items that could not be taken as they came, kept until they become events or somebody dismisses them.

An item waits until an event of its identity (source, id) is recorded behind it, until it is retried with success, or until
it is dismissed with a reason. The first of these needs nobody to say so: whoever reads the quarantine looks whether there is
such an event, so that taking events in costs nothing for it; `settle` notes it now and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from service.domain.money import Money

STATES = ("waiting", "resolved", "dismissed")
SHOWN = 2_000  # bytes of a body in a list
EXAMPLES = 5
_MOST_COUNTS = 1_000
_PAGE_BYTES = 8 * 2**20  # of problems and bodies with which a page ends


class Refused(NamedTuple):
    """An item to be kept: the bytes as they were sent, the problem, and what can be told of it."""

    body: bytes
    problem: dict[str, object]
    source: str | None
    id: str | None
    type: str | None
    reason: str
    money: Money | None


class Kept(NamedTuple):
    """A quarantined item. `position` is that of the event that it has become; `problem` is JSON."""

    item: int
    received_at: datetime
    state: str
    position: int | None
    source: str | None
    id: str | None
    type: str | None
    reason: str
    settled_at: datetime | None
    dismissal: str | None
    dismissed_by: str | None
    problem: str
    size: int
    body: bytes


class Chosen(NamedTuple):
    """Which items: of a type, a source, a reason; empty = those that have none, None = any."""

    type: str | None = None
    source: str | None = None
    reason: str | None = None


class Count(NamedTuple):
    """How many items have something in common, and since when."""

    value: str | None
    items: int
    since: datetime

    def as_dict(self) -> dict[str, Any]:
        """Return it as answers write it."""
        return {"value": self.value, "count": self.items, "since": self.since}


class Sum(NamedTuple):
    """What waits, in one currency (None: no money can be read), old or not: how many, how much, since when, the first few."""

    currency: str | None
    old: bool
    items: int
    minor: int
    since: datetime
    first: list[int]


# Each item with the event that came behind it under its identity, if it still waits to its own knowledge.
_ITEMS = """
    quarantine q LEFT JOIN LATERAL (
        SELECT e.position AS at, e.recorded_at AS moment FROM events e
        WHERE q.state = 'waiting' AND e.ledger = q.ledger AND e.source = q.source AND e.id = q.id AND e.position > q.head LIMIT 1
    ) arrived ON true
"""
_IN_STATE = {
    "waiting": "q.state = 'waiting' AND arrived.at IS NULL",
    "resolved": "(q.state = 'resolved' OR arrived.at IS NOT NULL)",
    "dismissed": "q.state = 'dismissed'",
}
_COLUMNS = """
    q.item, q.received_at, CASE WHEN arrived.at IS NULL THEN q.state ELSE 'resolved' END, coalesce(arrived.at, q.position),
    q.source, q.id, q.type, q.reason, coalesce(arrived.moment, q.settled_at), q.dismissal, q.dismissed_by, q.problem,
    octet_length(q.body)
"""
_CHOSEN = """
    coalesce(coalesce(q.type, '') = $2, true) AND coalesce(coalesce(q.source, '') = $3, true)
    AND coalesce(q.reason = $4, true)
"""


async def keep(pool: asyncpg.Pool, ledger: int, items: Sequence[Refused], head: int | None = None) -> None:
    """Keep items; the same body waits only once, however often its sender tries.

    `head` is the last position before what was sent along with them; without it, the ledger's last position is taken.
    """
    new = {hashlib.sha256(one.body).digest(): one for one in items}
    there = await pool.fetch(
        "SELECT fingerprint FROM quarantine WHERE ledger = $1 AND state = 'waiting' AND fingerprint = ANY($2)",
        ledger, list(new),
    )  # fmt: skip
    for (fingerprint,) in there:
        del new[fingerprint]
    if not new:
        return
    async with pool.acquire() as connection, connection.transaction():
        last = await connection.fetchval(
            """
            INSERT INTO quarantine_numbers AS n (ledger, last) VALUES ($1, $2)
            ON CONFLICT (ledger) DO UPDATE SET last = n.last + $2 RETURNING last
            """,
            ledger, len(new),
        )  # fmt: skip
        if head is None:
            head = await connection.fetchval("SELECT position FROM heads WHERE ledger = $1", ledger)
        await connection.execute(
            """
            INSERT INTO quarantine (ledger, head, item, fingerprint, body, problem, source, id, type, reason, minor, currency)
            SELECT $1, $2, $3 + n, fingerprint, body, problem, source, id, type, reason, minor, currency
            FROM unnest($4::bytea[], $5::bytea[], $6::text[]::json[], $7::text[], $8::text[], $9::text[], $10::text[],
                        $11::bigint[], $12::text[]) WITH ORDINALITY
                 AS i (fingerprint, body, problem, source, id, type, reason, minor, currency, n)
            ON CONFLICT (ledger, fingerprint) WHERE state = 'waiting' DO NOTHING
            """,
            ledger, head, last - len(new), list(new), *_columns(list(new.values())),
        )  # fmt: skip


def _columns(items: Sequence[Refused]) -> tuple[list[Any], ...]:
    return (
        [one.body for one in items], [msgspec.json.encode(one.problem).decode() for one in items],
        [one.source for one in items], [one.id for one in items], [one.type for one in items],
        [one.reason for one in items], [one.money and one.money.minor for one in items],
        [one.money and one.money.currency for one in items],
    )  # fmt: skip


async def listed(
    pool: asyncpg.Pool, ledger: int, after: int, limit: int, state: str, chosen: Chosen = Chosen(), *, whole: bool = False
) -> list[Kept]:  # fmt: skip
    """Return kept items after an item number, oldest first, each with the beginning of its body, or all of it."""
    body = "q.body" if whole else f"substr(q.body, 1, {SHOWN})"
    rows = await pool.fetch(
        f"""
        WITH page AS MATERIALIZED (
            SELECT q.item, octet_length(q.problem::text) + octet_length({body}) AS size FROM {_ITEMS}
            WHERE q.ledger = $1 AND {_CHOSEN} AND q.item > $5 AND {_IN_STATE[state]} ORDER BY q.item LIMIT $6
        )
        SELECT {_COLUMNS}, {body} FROM {_ITEMS}
        JOIN (SELECT item, sum(size) OVER (ORDER BY item) - size AS before FROM page) sized USING (item)
        WHERE q.ledger = $1 AND before < {_PAGE_BYTES} ORDER BY item
        """,
        ledger, *chosen, after, limit,
    )  # fmt: skip
    return [Kept(*row) for row in rows]


def is_full(kept: Sequence[Kept], limit: int) -> bool:
    """Tell whether `listed` may have left out more."""
    return len(kept) == limit or sum(len(one.problem.encode()) + len(one.body) for one in kept) >= _PAGE_BYTES


async def counts(pool: asyncpg.Pool, ledger: int, by: str, state: str, chosen: Chosen) -> list[Count]:
    """Return how many items there are by `reason`, `type` or `source`, the most first."""
    rows = await pool.fetch(
        f"""
        SELECT q.{by}, count(*), min(q.received_at) FROM {_ITEMS}
        WHERE q.ledger = $1 AND {_CHOSEN} AND {_IN_STATE[state]}
        GROUP BY q.{by} ORDER BY 2 DESC, 1 LIMIT {_MOST_COUNTS}
        """,
        ledger, *chosen,
    )  # fmt: skip
    return [Count(*row) for row in rows]


async def waiting(
    connection: Any, ledger: int, position: int, moment: datetime | None, old: datetime
) -> list[Sum]:  # fmt: skip
    """Return what waits now, with the log up to a position; with a `moment`, what waited then.

    What was received before `old` is told apart. The money is what the items state of it.
    """
    rows = await connection.fetch(
        f"""
        SELECT q.currency, q.received_at < $4, count(*), coalesce(sum(q.minor), 0), min(q.received_at),
               (array_agg(q.item ORDER BY q.item))[1:{EXAMPLES}]
        FROM {_ITEMS}
        WHERE q.ledger = $1 AND coalesce(q.received_at <= $3, true) AND CASE q.state
            WHEN 'waiting' THEN coalesce(arrived.at > $2, true)
            WHEN 'resolved' THEN $3 IS NOT NULL AND q.position > $2
            ELSE q.settled_at > $3
        END
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        ledger, position, moment, old,
    )  # fmt: skip
    return [Sum(row[0], row[1], row[2], int(row[3]), row[4], row[5]) for row in rows]


async def one(pool: asyncpg.Pool, ledger: int, item: int) -> Kept | None:
    """Return one kept item."""
    row = await pool.fetchrow(
        f"SELECT {_COLUMNS}, q.body FROM {_ITEMS} WHERE q.ledger = $1 AND q.item = $2", ledger, item
    )
    return Kept(*row) if row else None


async def resolve(pool: asyncpg.Pool, ledger: int, positions: dict[int, int]) -> None:
    """Note that items have become the events at positions, given by item."""
    await pool.execute(
        """
        UPDATE quarantine q SET state = 'resolved', position = p.position, settled_at = now()
        FROM unnest($2::bigint[], $3::bigint[]) AS p (item, position) WHERE q.ledger = $1 AND q.item = p.item
        """,
        ledger, list(positions), list(positions.values()),
    )  # fmt: skip


async def explain(pool: asyncpg.Pool, ledger: int, items: dict[int, tuple[dict[str, object], str]]) -> None:
    """Note why items still cannot be taken: the problem and its reason, by item."""
    await pool.execute(
        """
        UPDATE quarantine q SET problem = p.problem, reason = p.reason
        FROM unnest($2::bigint[], $3::text[]::json[], $4::text[]) AS p (item, problem, reason)
        WHERE q.ledger = $1 AND q.item = p.item
        """,
        ledger, list(items), [msgspec.json.encode(problem).decode() for problem, _ in items.values()],
        [reason for _, reason in items.values()],
    )  # fmt: skip


async def dismiss(
    pool: asyncpg.Pool, ledger: int, dismissal: str, by: str, *, chosen: Chosen = Chosen(), item: int | None = None
) -> int:  # fmt: skip
    """Put waiting items away for a reason: one, or those chosen; return how many there were."""
    done: str = await pool.execute(
        f"""
        UPDATE quarantine d SET state = 'dismissed', dismissal = $5, dismissed_by = $6, settled_at = now()
        FROM {_ITEMS} WHERE d.ledger = $1 AND q.ledger = $1 AND d.item = q.item AND {_CHOSEN}
        AND coalesce(q.item = $7, true) AND {_IN_STATE["waiting"]}
        """,
        ledger, *chosen, dismissal, by, item,
    )  # fmt: skip
    return int(done.rpartition(" ")[2])


async def settle(pool: asyncpg.Pool, days: int) -> None:
    """Note which items have become events by themselves; drop what was settled longer than so many days ago.

    What waits is never dropped: nobody has said yet that it may be missing from the figures.
    """
    await pool.execute(
        f"""
        UPDATE quarantine d SET state = 'resolved', position = arrived.at, settled_at = arrived.moment
        FROM {_ITEMS} WHERE d.ledger = q.ledger AND d.item = q.item AND q.state = 'waiting' AND arrived.at IS NOT NULL
        """
    )
    await pool.execute("DELETE FROM quarantine WHERE settled_at < now() - $1 * interval '1 day'", days)
