"""One append: rows go into the log in one transaction, numbered without a gap; what is there already is compared.

An append is simply tried. Only where an identity is there already is it looked up, and its content tells a duplicate from a
conflict; the others are tried again without it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec

from service.store import sealing
from service.store.log.chain import chained, digest_of
from service.store.rows import COPIED, Row, copied

MANY = 100  # rows from which COPY is faster than one round trip
# Ours; a unique violation of COPY; and how a distributed table reports that.
_SOME_ARE_THERE = ("CL001", "23505", "XX000")

# A whole append in one round trip, by the function that the first migration makes. It locks the head as _LOCK_HEAD does.
_APPEND = "SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"

# The head, locked until the commit. Without the lock, two appends would give the same positions and the chain would fork; and
# a later position could be seen before an earlier one, which whoever follows the log would then never get. The moment is later
# than the last one even where the clock was set back: the search for the position at a moment relies on that, and `verify`
# tells appends apart by their moments.
_LOCK_HEAD = """
    SELECT position, chain, greatest(clock_timestamp(), recorded_at + interval '1 microsecond')
    FROM heads WHERE ledger = $1 FOR UPDATE
"""

_HEAD_AS_IT_IS = """
    SELECT position, chain, greatest(recorded_at, timestamptz 'epoch') FROM heads WHERE ledger = $1 FOR UPDATE
"""

# The head after the append. It has room on its page, so that this stays one small write.
_MOVE_HEAD = "UPDATE heads SET position = $2, chain = $3, recorded_at = $4 WHERE ledger = $1"

# What is stored under identities, by their place in the request; one index look-up each, since a join would scan the log while
# the table has no statistics.
_STORED = """
    SELECT u.n, e.* FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (source, id, n)
    CROSS JOIN LATERAL (
        SELECT position, type, micros, rest, subject, data FROM events
        WHERE ledger = $1 AND source = u.source AND id = u.id LIMIT 1
    ) e
"""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one event: accepted, duplicate or conflict, and the position of the one that is stored."""

    status: str
    position: int


class _There(NamedTuple):
    """What is compared of the event that has an identity already."""

    position: int
    type: str
    micros: int
    rest: str
    subject: str | None
    data: str


async def append_rows(pool: asyncpg.Pool, ledger: int, rows: Sequence[Row]) -> list[Outcome]:
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
                outcomes[new[number]] = _compare(wanted[number], ledger, stored)
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
            outcomes[index] = _compare(rows[index], ledger, there[number])
    return [one for one in outcomes if one is not None]


def _first(rows: Sequence[Row], indexes: Iterable[int]) -> list[int]:
    """Return the indexes without those whose identity another one before has."""
    first: dict[tuple[str, str], int] = {}
    for index in indexes:
        first.setdefault((rows[index].source, rows[index].id), index)
    return list(first.values())


async def _insert(pool: asyncpg.Pool, ledger: int, rows: Sequence[Row]) -> int:
    """Append in one round trip; return the last position."""
    *columns, _, _, _ = zip(*map(msgspec.structs.astuple, rows), strict=True)
    last: int = await pool.fetchval(_APPEND, ledger, digest_of(rows), *columns)
    return last


async def _copy(pool: asyncpg.Pool, ledger: int, rows: Sequence[Row]) -> int:
    """Append by COPY: the same as `append_events` in the database, in four round trips but with less work per row."""
    digest = digest_of(rows)
    async with pool.acquire() as connection, connection.transaction():
        head = await connection.fetchrow(_LOCK_HEAD, ledger)
        if head is None:
            raise LookupError(f"there is no ledger {ledger}")
        position, chain, moment = head

        async def binary() -> AsyncIterator[bytes]:
            for piece in copied(rows, ledger, position + 1, moment):
                yield piece

        await connection.copy_to_table("events", source=binary(), columns=COPIED, format="binary")
        last: int = position + len(rows)
        await connection.execute(_MOVE_HEAD, ledger, last, chained(chain, digest, moment), moment)
    return last


async def append_recorded(pool: asyncpg.Pool, ledger: int, groups: Sequence[tuple[datetime, Sequence[Row]]]) -> int:
    """Append rows at the moments at which another log had recorded them, all or nothing; return the last position.

    Rows of one moment have to come in one group: they are one link of the chain. ValueError if moments do not grow.
    """
    async with pool.acquire() as connection, connection.transaction():
        head = await connection.fetchrow(_HEAD_AS_IT_IS, ledger)
        if head is None:
            raise LookupError(f"there is no ledger {ledger}")
        position, chain, last = head
        for moment, rows in groups:
            if moment <= last:
                raise ValueError(f"recorded_at {moment} does not come after {last}")
            pieces = copied(rows, ledger, position + 1, moment)
            await connection.copy_to_table("events", source=_each(pieces), columns=COPIED, format="binary")
            position, chain, last = position + len(rows), chained(chain, digest_of(rows), moment), moment
        await connection.execute(_MOVE_HEAD, ledger, position, chain, last)
    appended: int = position
    return appended


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _stored(pool: asyncpg.Pool, ledger: int, rows: Sequence[Row]) -> dict[int, _There]:
    """Look rows up by identity; return what is there, by the row's index."""
    found = await pool.fetch(_STORED, ledger, [row.source for row in rows], [row.id for row in rows])
    return {number - 1: _There(*there) for number, *there in found}


def _compare(row: Row, ledger: int, there: _There) -> Outcome:
    """Tell a duplicate from a conflict: content is the same when instants and JSON values are equal (SPEC section 7)."""
    same = (row.type, row.micros, row.rest) == there[1:4] and sealing.same(
        row, ledger, there.subject, there.data.encode()
    )
    return Outcome("duplicate" if same else "conflict", there.position)
