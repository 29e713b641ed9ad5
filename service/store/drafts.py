"""The events that records gave: written down before they are appended, so that a crash in between repeats exactly the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import asyncpg

from service.store.database import Connection, Queryable


class Issued(NamedTuple):
    """An event that a record gave: not yet appended without a position, taken back with a void. Events are JSON."""

    record: str
    key: str
    issue: int
    fingerprint: bytes
    event: str
    position: int | None = None
    problem: str | None = None
    void: str | None = None
    void_position: int | None = None

    @property
    def stands(self) -> bool:
        """Whether the record still says so, and the log could take it."""
        return self.void is None and self.problem is None

    @property
    def to_append(self) -> bool:
        """Whether it has to be appended. What the log refused is tried again, unless the record says otherwise by now."""
        return self.position is None and (self.problem is None or self.void is None)

    @property
    def to_void(self) -> bool:
        """Whether its void has to be appended: what never came into the log needs none."""
        return self.position is not None and self.void is not None and self.void_position is None


# All that records gave, in the order of issue: an event before the one that takes its place.
_OF_RECORDS = f"""
    SELECT {", ".join(Issued._fields)} FROM drafts WHERE ledger = $1 AND source = $2 AND record = ANY($3)
    ORDER BY record, key, issue
"""

# New events, planned under a number that their key has not had: the key of the table refuses a plan that was made twice.
_PLAN = """
    INSERT INTO drafts (ledger, source, record, key, issue, fingerprint, event)
    SELECT $1, $2, d.record, d.key, d.issue, d.fingerprint, d.event::json
    FROM unnest($3::text[], $4::text[], $5::integer[], $6::bytea[], $7::text[])
         AS d (record, key, issue, fingerprint, event)
"""

# The voids of events given before, planned.
_PLAN_VOIDS = """
    UPDATE drafts d SET void = v.event::json
    FROM unnest($3::text[], $4::text[], $5::integer[], $6::text[]) AS v (record, key, issue, event)
    WHERE d.ledger = $1 AND d.source = $2 AND d.record = v.record AND d.key = v.key AND d.issue = v.issue
"""

# Where planned events and voids stand in the log by now, or why it took them not.
_APPENDED = """
    UPDATE drafts d SET position = CASE WHEN a.void THEN d.position ELSE a.position END,
           void_position = CASE WHEN a.void THEN a.position ELSE d.void_position END, problem = a.problem
    FROM unnest($3::text[], $4::text[], $5::integer[], $6::boolean[], $7::bigint[], $8::text[])
         AS a (record, key, issue, void, position, problem)
    WHERE d.ledger = $1 AND d.source = $2 AND d.record = a.record AND d.key = a.key AND d.issue = a.issue
"""


async def of_records(connection: Queryable, ledger: int, source: str, records: Collection[str]) -> list[Issued]:
    """Return everything that records gave, in the order of issue."""
    rows = await connection.fetch(_OF_RECORDS, ledger, source, list(records))
    return [Issued(*row) for row in rows]


async def plan(
    connection: Connection, ledger: int, source: str, new: Sequence[Issued], voids: Sequence[tuple[str, str, int, str]]
) -> None:
    """Write down what is going to be appended: new events, and voids as (record, key, issue, event)."""
    if new:
        await connection.execute(_PLAN, ledger, source, *list(zip(*new, strict=True))[:5])
    if voids:
        await connection.execute(_PLAN_VOIDS, ledger, source, *zip(*voids, strict=True))


async def appended(
    pool: asyncpg.Pool, ledger: int, source: str, done: Sequence[tuple[str, str, int, bool, int | None, str | None]]
) -> None:
    """Note positions or problems of what was appended: (record, key, issue, is it the void?, position, problem)."""
    await pool.execute(_APPENDED, ledger, source, *zip(*done, strict=True))
