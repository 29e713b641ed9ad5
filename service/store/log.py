"""The event log: append with dense positions and group commit, read back in order (DESIGN section 2).

`Appender.append` is the only way in. Waiting callers of a ledger share one transaction; each keeps its own answer. What is
already there is answered with its position (duplicate) or refused (conflict) by comparing it with what is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from service import telemetry
from service.store.rows import COPIED, Row, chained, content_of, copied, digest_of, same_json

_data = msgspec.json.Encoder()
_SOME_ARE_THERE = (
    "CL001",
    "23505",
    "XX000",
)  # ours; a unique violation of COPY; and how a distributed table reports that
_ROW_BYTES = 1_000  # that a row takes besides
PAGE_BYTES = 8 * 2**20  # of data with which a page ends: a thousand events of a megabyte do not fit into memory
MANY = 100  # rows from which COPY is faster than one round trip


class Stored(NamedTuple):
    """An event read back from the log. `data` and `extensions` are JSON text."""

    position: int
    recorded_at: datetime
    micros: int
    version: int
    source: str
    id: str
    type: str
    time: str
    rest: str
    subject: str | None
    dataschema: str | None
    data: str
    extensions: str | None


class Brief(NamedTuple):
    """What the projections need of an event. `data` is JSON text."""

    position: int
    micros: int
    rest: str
    source: str
    id: str
    type: str
    version: int
    data: str


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one event: accepted, duplicate or conflict, and the position of the one that is stored."""

    status: str
    position: int


class QueueFullError(RuntimeError):
    """More events of a ledger wait than may: the caller should come back later."""


class Chain:
    """Works the hash chain out again from stored events, in order. What was appended together has one moment of its own."""

    def __init__(self) -> None:
        self._chain = hashlib.sha256(b"").digest()
        self._moment: datetime | None = None
        self._contents = hashlib.sha256()

    def add(self, row: Stored) -> None:
        """Go on with the next event."""
        if row.recorded_at != self._moment:
            self._chain, self._moment, self._contents = self.value(), row.recorded_at, hashlib.sha256()
        columns = (
            row.micros, row.version, row.source, row.id, row.type, row.time, row.rest, row.subject, row.dataschema,
            row.data.encode(), row.extensions.encode() if row.extensions else None,
        )  # fmt: skip
        self._contents.update(content_of(*columns))

    def value(self) -> bytes:
        """Return the chain over all events so far."""
        return self._chain if self._moment is None else chained(self._chain, self._contents.digest(), self._moment)


class _Waiting(NamedTuple):
    rows: Sequence[Row]
    size: int
    answer: asyncio.Future[list[Outcome]]


class Appender:
    """Appends to the ledgers of one database; one writing task per ledger while anything waits."""

    def __init__(
        self, pool: asyncpg.Pool, *, queue_events: int, batch_events: int, queue_bytes: int = 2**30,
        appended: Callable[[int], None] | None = None,
    ) -> None:  # fmt: skip
        """`appended` is called with the ledger after each commit, to wake whoever follows the log."""
        self._pool = pool
        self._queue_events = queue_events
        self._queue_bytes = queue_bytes
        self._batch_events = batch_events
        self._appended = appended
        self._queues: dict[int, deque[_Waiting]] = {}
        self._waiting: dict[int, int] = {}
        self._bytes: Counter[int] = Counter()  # that what waits takes, by ledger
        self._writers: dict[int, asyncio.Task[None]] = {}
        self.last_positions: dict[int, int] = {}  # by ledger, as far as this process has appended

    async def append(self, ledger: int, rows: Sequence[Row]) -> list[Outcome]:
        """Store rows in order and return what became of each; raises QueueFullError instead of waiting too long.

        The answer comes after the commit. A caller that goes away does not undo what others wait for.
        """
        if not rows:
            return []
        waiting = self._waiting.get(ledger, 0)
        if waiting and waiting + len(rows) > self._queue_events:
            raise QueueFullError(f"{waiting} events wait to be stored")
        size = sum(map(_size, rows))
        if self._bytes[ledger] and self._bytes[ledger] + size > self._queue_bytes // 2:
            raise QueueFullError(f"{self._bytes[ledger]} bytes of events wait to be stored")
        if (total := self._bytes.total()) and total + size > self._queue_bytes:
            raise QueueFullError(f"{total} bytes of events wait to be stored")
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(ledger, deque()).append(_Waiting(rows, size, answer))
        self._waiting[ledger] = waiting + len(rows)
        self._bytes[ledger] += size
        if ledger not in self._writers:
            self._writers[ledger] = asyncio.create_task(self._write(ledger))
        return await answer

    async def close(self) -> None:
        """Wait until everything that was taken in is stored."""
        await asyncio.gather(*self._writers.values(), return_exceptions=True)

    async def _write(self, ledger: int) -> None:
        queue = self._queues[ledger]
        try:
            while queue:
                group = [queue.popleft()]
                size = len(group[0].rows)
                while queue and size + len(queue[0].rows) <= self._batch_events:
                    group.append(queue.popleft())
                    size += len(group[-1].rows)
                await self._store(ledger, group)
                self._waiting[ledger] -= size
                self._bytes[ledger] -= sum(one.size for one in group)
        finally:
            del self._writers[ledger], self._bytes[ledger]

    async def _store(self, ledger: int, group: list[_Waiting]) -> None:
        try:
            outcomes = await store(self._pool, ledger, [row for one in group for row in one.rows])
        except Exception as error:  # noqa: BLE001  whatever it is, the callers have to hear of it
            for one in group:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        last = next((one.position for one in reversed(outcomes) if one.status == "accepted"), None)
        if last is not None:
            self.last_positions[ledger] = last
            if self._appended:
                self._appended(ledger)
        telemetry.APPEND_BATCH.observe(len(outcomes))
        at = 0
        for one in group:
            if not one.answer.done():
                one.answer.set_result(outcomes[at : at + len(one.rows)])
            at += len(one.rows)


def _size(row: Row) -> int:
    """Return about how many bytes a row takes in memory: its data are there twice, once within `content`."""
    return _ROW_BYTES + len(row.data) + len(row.content)


async def store(pool: asyncpg.Pool, ledger: int, rows: Sequence[Row]) -> list[Outcome]:
    """Append rows in one transaction; outcomes are in the order of the rows."""
    outcomes: list[Outcome | None] = [None] * len(rows)
    new: Sequence[int] = range(len(rows))
    while new:
        wanted = [rows[index] for index in new]
        try:
            last = await (_copy if len(new) >= MANY else _insert)(pool, ledger, wanted)
        except asyncpg.PostgresError as error:
            if error.sqlstate not in _SOME_ARE_THERE:
                raise
            there = await _stored(pool, ledger, wanted)
            for number, stored in there.items():
                outcomes[new[number]] = _compare(wanted[number], stored)
            tried, new = new, _first(rows, [index for index in new if outcomes[index] is None])
            if len(new) == len(tried):
                raise  # it was something else
            continue
        for position, index in enumerate(new, last - len(new) + 1):
            outcomes[index] = Outcome("accepted", position)
        break
    again = [index for index, one in enumerate(outcomes) if one is None]  # an identity twice in this transaction
    if again:
        there = await _stored(pool, ledger, [rows[index] for index in again])
        for number, index in enumerate(again):
            outcomes[index] = _compare(rows[index], there[number])
    return [one for one in outcomes if one is not None]


def _first(rows: Sequence[Row], indexes: Iterable[int]) -> list[int]:
    """Return the indexes without those whose identity another one before has."""
    first: dict[tuple[str, str], int] = {}
    for index in indexes:
        first.setdefault((rows[index].source, rows[index].id), index)
    return list(first.values())


async def _insert(pool: asyncpg.Pool, ledger: int, rows: Sequence[Row]) -> int:
    """Append in one round trip; return the last position."""
    *columns, _ = zip(*map(msgspec.structs.astuple, rows), strict=True)
    last: int = await pool.fetchval(_APPEND, ledger, digest_of(rows), *columns)
    return last


async def _copy(pool: asyncpg.Pool, ledger: int, rows: Sequence[Row]) -> int:
    """Append by COPY: the same as `append_events` in the database, in four round trips but with less work per row."""
    digest = digest_of(rows)
    async with pool.acquire() as connection, connection.transaction():
        head = await connection.fetchrow(
            """
            SELECT position, chain, greatest(clock_timestamp(), recorded_at + interval '1 microsecond')
            FROM heads WHERE ledger = $1 FOR UPDATE
            """,
            ledger,
        )
        if head is None:
            raise LookupError(f"there is no ledger {ledger}")
        position, chain, moment = head

        async def binary() -> AsyncIterator[bytes]:
            for piece in copied(rows, ledger, position + 1, moment):
                yield piece

        await connection.copy_to_table("events", source=binary(), columns=COPIED, format="binary")
        last: int = position + len(rows)
        await connection.execute(
            "UPDATE heads SET position = $2, chain = $3, recorded_at = $4 WHERE ledger = $1",
            ledger,
            last,
            chained(chain, digest, moment),
            moment,
        )
    return last


_APPEND = "SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"


class _There(NamedTuple):
    """What is compared of the event that has an identity already."""

    position: int
    type: str
    micros: int
    rest: str
    subject: str | None
    data: str


def _compare(row: Row, there: _There) -> Outcome:
    """Tell a duplicate from a conflict: content is the same when instants and JSON values are equal (SPEC section 7)."""
    same = (row.type, row.micros, row.rest, row.subject) == there[1:5] and same_json(row.data, there.data.encode())
    return Outcome("duplicate" if same else "conflict", there.position)


async def _stored(pool: asyncpg.Pool, ledger: int, rows: Sequence[Row]) -> dict[int, _There]:
    """Look rows up by identity, one index look-up each: a join would scan while the table has no statistics."""
    found = await pool.fetch(
        """
        SELECT u.n, e.* FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (source, id, n)
        CROSS JOIN LATERAL (
            SELECT position, type, micros, rest, subject, data FROM events
            WHERE ledger = $1 AND source = u.source COLLATE "C" AND id = u.id COLLATE "C" LIMIT 1
        ) e
        """,
        ledger, [row.source for row in rows], [row.id for row in rows],
    )  # fmt: skip
    return {number - 1: _There(*there) for number, *there in found}


COLUMNS = ", ".join(Stored._fields)


async def read(
    pool: asyncpg.Pool | asyncpg.pool.PoolConnectionProxy,
    ledger: int,
    after: int,
    limit: int,
    types: Sequence[str] = (),
) -> list[Stored]:
    """Return up to `limit` events after a position, in order, of the given types only (none given = all).

    The last one is that with which they have PAGE_BYTES of data: there may be more even where there are fewer than `limit`.
    """
    of_types, values = (" AND type = ANY($4)", [list(types)]) if types else ("", [])
    found = f"FROM events WHERE ledger = $1 AND position > $2{of_types}"
    rows = await pool.fetch(
        f"""
        SELECT {COLUMNS} {found} AND position <= (
            SELECT max(position) FROM (
                SELECT position, sum(size) OVER (ORDER BY position) - size AS before FROM (
                    SELECT position, octet_length(data::text) AS size {found} ORDER BY position LIMIT $3
                ) AS page
            ) AS sized WHERE before < {PAGE_BYTES}
        ) ORDER BY position
        """,
        ledger, after, limit, *values,
    )  # fmt: skip
    return [Stored(*row) for row in rows]


async def read_brief(connection: Any, ledger: int, after: int, limit: int) -> list[Brief]:
    """Return up to `limit` events after a position, in order."""
    rows = await connection.fetch(
        f"SELECT {', '.join(Brief._fields)} FROM events WHERE ledger = $1 AND position > $2 ORDER BY position LIMIT $3",
        ledger, after, limit,
    )  # fmt: skip
    return list(map(Brief._make, rows))


async def read_one(pool: asyncpg.Pool, ledger: int, position: int) -> Stored | None:
    """Return the event at a position, if there is one."""
    rows = await read(pool, ledger, position - 1, 1)
    return rows[0] if rows and rows[0].position == position else None


async def read_identity(connection: Any, ledger: int, identity: tuple[str, str], until: int) -> Stored | None:
    """Return the event of a (source, id), if it has a position up to `until`."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM events WHERE ledger = $1 AND source = $2 AND id = $3 AND position <= $4",
        ledger, *identity, until,
    )  # fmt: skip
    return Stored(*row) if row else None


async def targets(connection: Any, ledger: int, voids: Sequence[Brief]) -> list[Stored]:
    """Return the events that voids name, as far as they have arrived."""
    if not voids:
        return []
    named = [msgspec.json.decode(void.data) for void in voids]
    rows = await connection.fetch(
        f"""
        SELECT {", ".join(f"e.{one}" for one in Stored._fields)} FROM unnest($2::text[], $3::text[]) AS u (source, id)
        JOIN events e ON e.ledger = $1 AND e.source = u.source COLLATE "C" AND e.id = u.id COLLATE "C"
        """,
        ledger, [one["source"] for one in named], [one["id"] for one in named],
    )  # fmt: skip
    return [Stored(*row) for row in rows]


async def read_identities(
    connection: Any, ledger: int, identities: Sequence[tuple[str, str]], until: int
) -> list[Stored]:  # fmt: skip
    """Return the events of (source, id) pairs that have a position up to `until`."""
    rows = await connection.fetch(
        f"""
        SELECT {", ".join(f"e.{one}" for one in Stored._fields)} FROM unnest($2::text[], $3::text[]) AS u (source, id)
        CROSS JOIN LATERAL (
            SELECT * FROM events
            WHERE ledger = $1 AND source = u.source COLLATE "C" AND id = u.id COLLATE "C" AND position <= $4 LIMIT 1
        ) e
        """,
        ledger, [source for source, _ in identities], [identity for _, identity in identities], until,
    )  # fmt: skip
    return [Stored(*row) for row in rows]


async def registers(connection: Any, ledger: int, until: int) -> list[Stored]:
    """Return the exchange rates and voids up to a position, which the engine keeps in memory."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM events
        WHERE ledger = $1 AND position <= $2 AND type IN ('fx.rate_published', 'event.voided') ORDER BY position
        """,
        ledger, until,
    )  # fmt: skip
    return [Stored(*row) for row in rows]


async def read_page(connection: Any, ledger: int, identities: Sequence[tuple[str, str]]) -> list[Stored]:
    """Return the events of (source, id) pairs in their order, until those so far have PAGE_BYTES of data."""
    columns = ", ".join(Stored._fields)
    rows = await connection.fetch(
        f"""
        SELECT {columns} FROM (
            SELECT e.*, n, sum(octet_length(data::text)) OVER (ORDER BY n) - octet_length(data::text) AS before
            FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (u_source, u_id, n)
            CROSS JOIN LATERAL (
                SELECT {columns} FROM events
                WHERE ledger = $1 AND source = u_source COLLATE "C" AND id = u_id COLLATE "C" LIMIT 1
            ) e
        ) sized WHERE before < {PAGE_BYTES} ORDER BY n
        """,
        ledger, [source for source, _ in identities], [identity for _, identity in identities],
    )  # fmt: skip
    return [Stored(*row) for row in rows]


async def positions(
    connection: Any, ledger: int, identities: Sequence[tuple[str, str]], until: int
) -> dict[tuple[str, str], int]:  # fmt: skip
    """Return the positions of the events of (source, id) pairs, those up to `until`."""
    rows = await connection.fetch(
        """
        SELECT e.source, e.id, e.position FROM unnest($2::text[], $3::text[]) AS u (source, id)
        CROSS JOIN LATERAL (
            SELECT source, id, position FROM events
            WHERE ledger = $1 AND source = u.source COLLATE "C" AND id = u.id COLLATE "C" AND position <= $4 LIMIT 1
        ) e
        """,
        ledger, [source for source, _ in identities], [identity for _, identity in identities], until,
    )  # fmt: skip
    return {(source, identity): position for source, identity, position in rows}


async def voids(connection: Any, ledger: int, until: int) -> AsyncIterator[Brief]:
    """Yield the voids up to a position; only within a transaction."""
    rows = connection.cursor(
        f"""
        SELECT {", ".join(Brief._fields)} FROM events
        WHERE ledger = $1 AND position <= $2 AND type IN ('fx.rate_published', 'event.voided') AND type = 'event.voided'
        """,  # as the index of registers has it, and less
        ledger, until,
    )  # fmt: skip
    async for row in rows:
        yield Brief._make(row)


async def read_all(pool: asyncpg.Pool, ledger: int, page: int = 5_000, after: int = 0) -> AsyncIterator[Stored]:
    """Yield all events after a position in order, a page in memory at a time."""
    while rows := await read(pool, ledger, after, page):
        for row in rows:
            yield row
        after = rows[-1].position


def is_full(rows: Sequence[Stored], limit: int) -> bool:
    """Tell whether `read` may have left out more."""
    return len(rows) == limit or sum(len(row.data.encode()) for row in rows) >= PAGE_BYTES


async def head(pool: asyncpg.Pool, ledger: int) -> tuple[int, datetime | None, bytes]:
    """Return the last position, when it was recorded (None before the first), and the chain over all events."""
    row = await pool.fetchrow("SELECT position, recorded_at, chain FROM heads WHERE ledger = $1", ledger)
    if row is None:
        raise LookupError(f"there is no ledger {ledger}")
    return row[0], row[1] if row[0] else None, row[2]


async def position_at(connection: Any, ledger: int, moment: datetime) -> int:
    """Return the last position recorded at or before a moment; recorded_at never decreases with position.

    A binary search over the primary key: a dozen or two single-row look-ups, however long the log is.
    """
    found: int = await connection.fetchval(
        """
        WITH RECURSIVE search (low, high) AS (
            SELECT 0::bigint, position FROM heads WHERE ledger = $1
            UNION ALL
            SELECT CASE WHEN recorded_at <= $2 THEN position ELSE low END,
                   CASE WHEN recorded_at <= $2 THEN high ELSE position - 1 END
            FROM search JOIN events ON ledger = $1 AND position = (low + high + 1) / 2 WHERE low < high
        )
        SELECT low FROM search WHERE low = high
        """,
        ledger, moment,
    )  # fmt: skip
    return found


async def statements(pool: asyncpg.Pool, ledger: int, entities: Iterable[str]) -> list[Stored]:
    """Return the events that state correctable entities (`type:id`)."""
    rows = await pool.fetch(
        f"SELECT {COLUMNS} FROM events WHERE ledger = $1 AND entity = ANY($2)", ledger, list(entities)
    )
    return [Stored(*row) for row in rows]


def as_cloudevent(row: Stored) -> bytes:
    """Return a stored event as the JSON of a CloudEvent, with the server's position and recorded_at."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": row.id,
        "source": row.source,
        "type": row.type,
        "time": row.time,
    }
    if row.subject is not None:
        event["subject"] = row.subject
    event["datacontenttype"] = "application/json"
    if row.dataschema is not None:
        event["dataschema"] = row.dataschema
    event["data"] = msgspec.Raw(row.data.encode())
    if row.extensions is not None:
        event.update(msgspec.json.decode(row.extensions))
    event["position"], event["recorded_at"] = row.position, row.recorded_at
    return _data.encode(event)
