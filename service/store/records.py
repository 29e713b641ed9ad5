"""What was stated about records, and which events that gave: the memory behind translating again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from service.store.database import Connection
from service.store.rows import encode_json

_LEASE = "30 seconds"


class Stated(NamedTuple):
    """A statement as it is stored; `fields` is JSON."""

    record: str
    delivery: int
    key: str
    digest: bytes
    at: str
    order: str
    verb: str
    fields: str


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


class Noted(NamedTuple):
    """How a record stands: translated, waiting or failed, why, with what money, and with which others it was translated."""

    record: str
    state: str
    reasons: list[str]
    amounts: Sequence[Mapping[str, str]] = ()
    lookups: Sequence[str] = ()


_STATED = 'record, delivery, key, digest, at, "order", verb, fields'
_ISSUED = ", ".join(Issued._fields)


async def of_deliveries(connection: Connection, ledger: int, deliveries: Collection[int]) -> list[Stated]:
    """Return what deliveries stated when they were read before."""
    rows = await connection.fetch(
        f"SELECT {_STATED} FROM statements WHERE ledger = $1 AND delivery = ANY($2)", ledger, list(deliveries)
    )
    return [Stated(*row) for row in rows]


async def lock(connection: Connection, ledger: int, source: str, records: Collection[str]) -> None:
    """Lock records until the transaction ends, in one order for everybody; those not known yet are made."""
    await connection.execute(
        """
        INSERT INTO records (ledger, source, record) SELECT $1, $2, r FROM unnest($3::text[]) AS r ORDER BY r COLLATE "C"
        ON CONFLICT (ledger, source, record) DO UPDATE SET due = records.due
        """,
        ledger, source, sorted(set(records)),
    )  # fmt: skip


async def restate(
    connection: Connection, ledger: int, source: str, deliveries: Collection[int], stated: Iterable[Stated]
) -> None:
    """Replace what deliveries stated."""
    await connection.execute(
        "DELETE FROM statements WHERE ledger = $1 AND delivery = ANY($2)", ledger, list(deliveries)
    )
    if rows := list(stated):
        await connection.execute(
            f"""
            INSERT INTO statements (ledger, source, {_STATED})
            SELECT $1, $2, s.record, s.delivery, s.key, s.digest, s.at, s.ord, s.verb, s.fields::json
            FROM unnest($3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::text[], $8::text[], $9::text[], $10::text[])
                 AS s (record, delivery, key, digest, at, ord, verb, fields)
            ON CONFLICT DO NOTHING
            """,
            ledger, source, *zip(*rows, strict=True),
        )  # fmt: skip


async def statements(connection: Connection, ledger: int, source: str, records: Collection[str]) -> list[Stated]:
    """Return everything stated about records."""
    rows = await connection.fetch(
        f"SELECT {_STATED} FROM statements WHERE ledger = $1 AND source = $2 AND record = ANY($3)",
        ledger, source, list(records),
    )  # fmt: skip
    return [Stated(*row) for row in rows]


async def issued(
    connection: asyncpg.Pool | Connection, ledger: int, source: str, records: Collection[str]
) -> list[Issued]:
    """Return everything that records gave, in the order of issue."""
    rows = await connection.fetch(
        f"SELECT {_ISSUED} FROM drafts WHERE ledger = $1 AND source = $2 AND record = ANY($3) ORDER BY record, key, issue",
        ledger, source, list(records),
    )  # fmt: skip
    return [Issued(*row) for row in rows]


async def plan(
    connection: Connection, ledger: int, source: str, new: Sequence[Issued], voids: Sequence[tuple[str, str, int, str]]
) -> None:
    """Write down what is going to be appended: new events, and voids as (record, key, issue, event)."""
    if new:
        await connection.execute(
            """
            INSERT INTO drafts (ledger, source, record, key, issue, fingerprint, event)
            SELECT $1, $2, d.record, d.key, d.issue, d.fingerprint, d.event::json
            FROM unnest($3::text[], $4::text[], $5::integer[], $6::bytea[], $7::text[])
                 AS d (record, key, issue, fingerprint, event)
            """,
            ledger, source, *list(zip(*new, strict=True))[:5],
        )  # fmt: skip
    if voids:
        await connection.execute(
            """
            UPDATE drafts d SET void = v.event::json
            FROM unnest($3::text[], $4::text[], $5::integer[], $6::text[]) AS v (record, key, issue, event)
            WHERE d.ledger = $1 AND d.source = $2 AND d.record = v.record AND d.key = v.key AND d.issue = v.issue
            """,
            ledger, source, *zip(*voids, strict=True),
        )  # fmt: skip


async def appended(
    pool: asyncpg.Pool, ledger: int, source: str, done: Sequence[tuple[str, str, int, bool, int | None, str | None]]
) -> None:
    """Note positions or problems of what was appended: (record, key, issue, is it the void?, position, problem)."""
    await pool.execute(
        """
        UPDATE drafts d SET position = CASE WHEN a.void THEN d.position ELSE a.position END,
               void_position = CASE WHEN a.void THEN a.position ELSE d.void_position END, problem = a.problem
        FROM unnest($3::text[], $4::text[], $5::integer[], $6::boolean[], $7::bigint[], $8::text[])
             AS a (record, key, issue, void, position, problem)
        WHERE d.ledger = $1 AND d.source = $2 AND d.record = a.record AND d.key = a.key AND d.issue = a.issue
        """,
        ledger, source, *zip(*done, strict=True),
    )  # fmt: skip


async def note(connection: Connection, ledger: int, source: str, notes: Sequence[Noted]) -> None:
    """Note how records stand."""
    if notes:
        await connection.execute(
            """
            UPDATE records r SET state = n.state, reasons = n.reasons::json, amounts = n.amounts::json,
                   lookups = ARRAY(SELECT json_array_elements_text(n.lookups::json)),
                   since = CASE WHEN r.state = n.state THEN r.since ELSE now() END
            FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
                 AS n (record, state, reasons, amounts, lookups)
            WHERE r.ledger = $1 AND r.source = $2 AND r.record = n.record
            """,
            ledger, source, [one.record for one in notes], [one.state for one in notes],
            *([encode_json(list(part(one))).decode() for one in notes] for part in _NOTED_AS_JSON),
        )  # fmt: skip


_NOTED_AS_JSON: tuple[Callable[[Noted], Iterable[Any]], ...] = (
    lambda one: one.reasons, lambda one: one.amounts, lambda one: one.lookups,
)  # fmt: skip


async def wake(pool: asyncpg.Pool, ledger: int, source: str, names: Collection[str]) -> None:
    """Have the records translated again that were translated with others of these names."""
    await pool.execute(
        """
        UPDATE records r SET due = least(due, now()) FROM (
            SELECT ledger, source, record FROM records
            WHERE ledger = $1 AND source = $2 AND lookups <> '{}' AND lookups && $3::text[] AND record <> ALL ($3::text[])
            ORDER BY record FOR UPDATE
        ) c
        WHERE r.ledger = c.ledger AND r.source = c.source AND r.record = c.record
        """,
        ledger, source, list(names),
    )  # fmt: skip


async def due(pool: asyncpg.Pool, ledger: int, source: str, names: Collection[str]) -> None:
    """Have records translated again."""
    await pool.execute(
        "UPDATE records SET due = least(due, now()) WHERE ledger = $1 AND source = $2 AND record = ANY($3)",
        ledger,
        source,
        sorted(names),
    )


async def listed(
    pool: asyncpg.Pool, ledger: int, source: str, after: str, limit: int, state: str | None
) -> list[Noted]:
    """Return how records of a source stand, those after a name, in the order of names."""
    rows = await pool.fetch(
        """
        SELECT record, state, reasons, amounts FROM records
        WHERE ledger = $1 AND source = $2 AND record > $3 AND ($5::text IS NULL OR state = $5) ORDER BY record LIMIT $4
        """,
        ledger, source, after, limit, state,
    )  # fmt: skip
    return [Noted(row[0], row[1], msgspec.json.decode(row[2]), msgspec.json.decode(row[3])) for row in rows]


async def again(pool: asyncpg.Pool, ledger: int, source: str) -> int:
    """Have those records translated again that no delivery with a body will bring up; return how many."""
    done = await pool.execute(
        """
        UPDATE records r SET due = least(due, now()) WHERE ledger = $1 AND source = $2 AND NOT EXISTS (
            SELECT FROM statements s JOIN deliveries d ON d.ledger = s.ledger AND d.delivery = s.delivery
            WHERE s.ledger = r.ledger AND s.source = r.source AND s.record = r.record AND d.body IS NOT NULL
        )
        """,
        ledger,
        source,
    )
    return int(done.split()[1])


async def ledgers_due(pool: asyncpg.Pool) -> list[int]:
    """Return the ledgers that have records to be translated again, longest waiting first."""
    rows = await pool.fetch("SELECT ledger FROM records WHERE due <= now() GROUP BY ledger ORDER BY min(due)")
    return [row[0] for row in rows]


class Claimed(NamedTuple):
    """A record that is to be translated again. Whoever takes it and fails, loses it when the lease ends.

    `discarded`: a person has taken out something that was stated of it.
    """

    ledger: int
    source: str
    record: str
    lease: datetime
    discarded: bool


async def claim(pool: asyncpg.Pool, ledger: int, limit: int) -> list[Claimed]:
    """Claim records that are due."""
    rows = await pool.fetch(
        f"""
        UPDATE records r SET due = now() + interval '{_LEASE}' FROM (
            SELECT source, record, due FROM records WHERE ledger = $1 AND due <= now() ORDER BY due LIMIT $2
            FOR UPDATE SKIP LOCKED
        ) c
        WHERE r.ledger = $1 AND r.source = c.source AND r.record = c.record
        RETURNING r.ledger, r.source, r.record, r.due, c.due = '-infinity'
        """,
        ledger,
        limit,
    )
    return [Claimed(*row) for row in rows]


async def done(pool: asyncpg.Pool, claimed: Sequence[Claimed]) -> None:
    """Make claimed records due no longer, unless they were made due again meanwhile."""
    await pool.execute(
        """
        UPDATE records r SET due = NULL
        FROM unnest($1::integer[], $2::text[], $3::text[], $4::timestamptz[]) AS c (ledger, source, record, lease)
        WHERE r.ledger = c.ledger AND r.source = c.source AND r.record = c.record AND r.due = c.lease
        """,
        *zip(*(one[:4] for one in claimed), strict=True),
    )
