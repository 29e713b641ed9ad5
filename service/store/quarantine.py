"""The quarantine: items that could not be taken as they came, kept until they become events or somebody dismisses them.

An item waits until an event of its identity (source, id) is recorded behind it, until it is retried with success, or until
it is dismissed with a reason. The first of these needs nobody to say so: whoever reads the quarantine looks whether there is
such an event, so that taking events in costs nothing for it; `settle` notes it now and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec

from service.domain.money import Money
from service.store import audit
from service.store.database import Queryable

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

    def as_dict(self) -> dict[str, object]:
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


# Each item with the event that came behind it under its identity, if it still waits to its own knowledge: one look-up in the
# log's own index, so that appending needs not look into the quarantine.
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
# A Kept without its body.
_COLUMNS = """
    q.item, q.received_at, CASE WHEN arrived.at IS NULL THEN q.state ELSE 'resolved' END, coalesce(arrived.at, q.position),
    q.source, q.id, q.type, q.reason, coalesce(arrived.moment, q.settled_at), q.dismissal, q.dismissed_by, q.problem,
    octet_length(q.body)
"""
# Whether an item is one of a Chosen: what is NULL chooses all.
_CHOSEN = """
    coalesce(coalesce(q.type, '') = $2, true) AND coalesce(coalesce(q.source, '') = $3, true)
    AND coalesce(q.reason = $4, true)
"""

# Which bodies wait already.
_SAME = "SELECT fingerprint FROM quarantine WHERE ledger = $1 AND state = 'waiting' AND fingerprint = ANY($2)"

# The next numbers of a ledger's items. The row stays locked until the commit, so that items are seen in the order of their
# numbers: a page after some number would else miss those that were numbered before and committed later.
_NUMBER = """
    INSERT INTO quarantine_numbers AS n (ledger, last) VALUES ($1, $2)
    ON CONFLICT (ledger) DO UPDATE SET last = n.last + $2 RETURNING last
"""

_HEAD = "SELECT position FROM heads WHERE ledger = $1"

# New items. The index of what waits refuses a body that another process has kept since _SAME was asked.
_KEEP = """
    INSERT INTO quarantine (ledger, head, item, fingerprint, body, problem, source, id, type, reason, minor, currency)
    SELECT $1, $2, $3 + n, fingerprint, body, problem, source, id, type, reason, minor, currency
    FROM unnest($4::bytea[], $5::bytea[], $6::text[]::json[], $7::text[], $8::text[], $9::text[], $10::text[],
                $11::bigint[], $12::text[]) WITH ORDINALITY
         AS i (fingerprint, body, problem, source, id, type, reason, minor, currency, n)
    ON CONFLICT (ledger, fingerprint) WHERE state = 'waiting' DO NOTHING
"""

# One item, with all of its body.
_ONE = f"SELECT {_COLUMNS}, q.body FROM {_ITEMS} WHERE q.ledger = $1 AND q.item = $2"

# What waits by currency and age, at a position now, or at a moment of the past as things stood then.
_SUMS = f"""
    SELECT q.currency, q.received_at < $4, count(*), coalesce(sum(q.minor), 0), min(q.received_at),
           (array_agg(q.item ORDER BY q.item))[1:{EXAMPLES}]
    FROM {_ITEMS}
    WHERE q.ledger = $1 AND coalesce(q.received_at <= $3, true) AND CASE q.state
        WHEN 'waiting' THEN coalesce(arrived.at > $2, true)
        WHEN 'resolved' THEN $3 IS NOT NULL AND q.position > $2
        ELSE q.settled_at > $3
    END
    GROUP BY 1, 2 ORDER BY 1, 2
"""

# Items that were retried with success, and the events that they have become.
_RESOLVE = """
    UPDATE quarantine q SET state = 'resolved', position = p.position, settled_at = now()
    FROM unnest($2::bigint[], $3::bigint[]) AS p (item, position) WHERE q.ledger = $1 AND q.item = p.item
"""

# Why items still cannot be taken: the rules may have changed since they came.
_EXPLAIN = """
    UPDATE quarantine q SET problem = p.problem, reason = p.reason
    FROM unnest($2::bigint[], $3::text[]::json[], $4::text[]) AS p (item, problem, reason)
    WHERE q.ledger = $1 AND q.item = p.item
"""

# Items that somebody puts away; one that an event has resolved meanwhile waits no longer and is left alone.
_DISMISS = f"""
    UPDATE quarantine d SET state = 'dismissed', dismissal = $5, dismissed_by = $6, settled_at = now()
    FROM {_ITEMS} WHERE d.ledger = $1 AND q.ledger = $1 AND d.item = q.item AND {_CHOSEN}
    AND coalesce(q.item = $7, true) AND {_IN_STATE["waiting"]}
"""

# Items that events have resolved, noted, so that nobody has to look for those events again.
_SETTLE = f"""
    UPDATE quarantine d SET state = 'resolved', position = arrived.at, settled_at = arrived.moment
    FROM {_ITEMS} WHERE d.ledger = q.ledger AND d.item = q.item AND q.state = 'waiting' AND arrived.at IS NOT NULL
"""

_FORGET = "DELETE FROM quarantine WHERE settled_at < now() - $1 * interval '1 day'"


def _page(state: str, body: str) -> str:
    """Return the statement for a page of items in a state, with `body` of each, until they have _PAGE_BYTES.

    First their numbers and sizes, then the items: large bodies that do not fit into the page are not read for it.
    """
    return f"""
        WITH page AS MATERIALIZED (
            SELECT q.item, octet_length(q.problem::text) + octet_length({body}) AS size FROM {_ITEMS}
            WHERE q.ledger = $1 AND {_CHOSEN} AND q.item > $5 AND {_IN_STATE[state]} ORDER BY q.item LIMIT $6
        )
        SELECT {_COLUMNS}, {body} FROM {_ITEMS}
        JOIN (SELECT item, sum(size) OVER (ORDER BY item) - size AS before FROM page) sized USING (item)
        WHERE q.ledger = $1 AND before < {_PAGE_BYTES} ORDER BY item
    """


def _counts(by: str, state: str) -> str:
    """Return the statement that counts items in a state by one of their columns, the most first."""
    return f"""
        SELECT q.{by}, count(*), min(q.received_at) FROM {_ITEMS}
        WHERE q.ledger = $1 AND {_CHOSEN} AND {_IN_STATE[state]}
        GROUP BY q.{by} ORDER BY 2 DESC, 1 LIMIT {_MOST_COUNTS}
    """


async def keep(pool: asyncpg.Pool, ledger: int, items: Sequence[Refused], head: int | None = None) -> None:
    """Keep items; the same body waits only once, however often its sender tries.

    `head` is the last position before what was sent along with them; without it, the ledger's last position is taken.
    """
    new = {hashlib.sha256(one.body).digest(): one for one in items}
    for (fingerprint,) in await pool.fetch(_SAME, ledger, list(new)):
        del new[fingerprint]
    if not new:
        return
    async with pool.acquire() as connection, connection.transaction():
        last = await connection.fetchval(_NUMBER, ledger, len(new))
        if head is None:
            head = await connection.fetchval(_HEAD, ledger)
        several = list(new.values())
        await connection.execute(
            _KEEP, ledger, head, last - len(new), list(new),
            [one.body for one in several], [_json(one.problem) for one in several],
            [one.source for one in several], [one.id for one in several], [one.type for one in several],
            [one.reason for one in several], [one.money and one.money.minor for one in several],
            [one.money and one.money.currency for one in several],
        )  # fmt: skip


def _json(problem: dict[str, object]) -> str:
    return msgspec.json.encode(problem).decode()


async def listed(
    pool: asyncpg.Pool, ledger: int, after: int, limit: int, state: str, chosen: Chosen = Chosen(), *, whole: bool = False
) -> list[Kept]:  # fmt: skip
    """Return kept items after an item number, oldest first, each with the beginning of its body, or all of it."""
    body = "q.body" if whole else f"substr(q.body, 1, {SHOWN})"
    rows = await pool.fetch(_page(state, body), ledger, *chosen, after, limit)
    return [Kept(*row) for row in rows]


def is_full(kept: Sequence[Kept], limit: int) -> bool:
    """Tell whether `listed` may have left out more."""
    return len(kept) == limit or sum(len(one.problem.encode()) + len(one.body) for one in kept) >= _PAGE_BYTES


async def counts(pool: asyncpg.Pool, ledger: int, by: str, state: str, chosen: Chosen) -> list[Count]:
    """Return how many items there are by `reason`, `type` or `source`, the most first."""
    rows = await pool.fetch(_counts(by, state), ledger, *chosen)
    return [Count(*row) for row in rows]


async def waiting(
    connection: Queryable, ledger: int, position: int, moment: datetime | None, old: datetime
) -> list[Sum]:  # fmt: skip
    """Return what waits now, with the log up to a position; with a `moment`, what waited then.

    What was received before `old` is told apart. The money is what the items state of it.
    """
    rows = await connection.fetch(_SUMS, ledger, position, moment, old)
    return [Sum(row[0], row[1], row[2], int(row[3]), row[4], row[5]) for row in rows]


async def one(pool: asyncpg.Pool, ledger: int, item: int) -> Kept | None:
    """Return one kept item."""
    row = await pool.fetchrow(_ONE, ledger, item)
    return Kept(*row) if row else None


async def resolve(pool: asyncpg.Pool, ledger: int, positions: dict[int, int]) -> None:
    """Note that items have become the events at positions, given by item."""
    await pool.execute(_RESOLVE, ledger, list(positions), list(positions.values()))


async def explain(pool: asyncpg.Pool, ledger: int, items: dict[int, tuple[dict[str, object], str]]) -> None:
    """Note why items still cannot be taken: the problem and its reason, by item."""
    problems = [_json(problem) for problem, _ in items.values()]
    await pool.execute(_EXPLAIN, ledger, list(items), problems, [reason for _, reason in items.values()])


async def dismiss(
    pool: asyncpg.Pool, ledger: int, dismissal: str, by: str, *, chosen: Chosen = Chosen(), item: int | None = None
) -> int:  # fmt: skip
    """Put waiting items away for a reason: one, or those chosen; return how many there were."""
    async with pool.acquire() as connection, connection.transaction():
        done: str = await connection.execute(_DISMISS, ledger, *chosen, dismissal, by, item)
        if count := int(done.rpartition(" ")[2]):
            about = None if item is None else f"item {item}"
            await audit.note(connection, ledger, "quarantine.dismissed", about, items=count, reason=dismissal)
    return count


async def settle(pool: asyncpg.Pool, days: int) -> None:
    """Note which items have become events by themselves; drop what was settled longer than so many days ago.

    What waits is never dropped: nobody has said yet that it may be missing from the figures.
    """
    await pool.execute(_SETTLE)
    await pool.execute(_FORGET, days)
