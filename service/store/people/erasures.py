"""Erasures: the log is followed for them, and for the merges that make one person of several ids.

    event appended → `follow`: whom it concerns is noted, and unreadable at once → `destroy`: copies go, then keys

Both can be done again: a crash in between loses nothing. Whoever is merged with somebody who is erased, before or after, is
erased too; a merge that is voided ties nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec

from service.domain import personal
from service.domain.events import newest_version
from service.domain.facts import Fact
from service.domain.voids import Voids
from service.store.database import Connection, Queryable
from service.store.log import by_identity, registers
from service.store.log.stored_events import COLUMNS, Stored

VOIDED = "event.voided"
AT_ONCE = (personal.ERASED, *personal.MERGES)  # types after which nobody may wait for `follow`
TYPES = (*AT_ONCE, VOIDED)
_PAGE = 1_000
_decode = msgspec.json.decode

# Ledgers with events that have not been looked at, or erasures whose copies are still there.
_WAITING = f"""
    SELECT h.ledger FROM heads h LEFT JOIN erasing e USING (ledger)
    WHERE EXISTS (
        SELECT FROM events v WHERE v.ledger = h.ledger AND v.position > coalesce(e.position, 0) AND v.type IN {TYPES}
    ) OR EXISTS (SELECT FROM erasures s WHERE s.ledger = h.ledger AND s.done_at IS NULL)
"""
# How far a log has been followed: the row is locked, so that one process follows at a time.
_BEGIN = "INSERT INTO erasing (ledger) VALUES ($1) ON CONFLICT DO NOTHING"
_AT = "SELECT position FROM erasing WHERE ledger = $1 FOR UPDATE"
_REACHED = "UPDATE erasing SET position = $2 WHERE ledger = $1"
_NEXT = f"""
    SELECT {COLUMNS} FROM events WHERE ledger = $1 AND position > $2 AND type IN {TYPES} ORDER BY position LIMIT {_PAGE}
"""
_TIE = """
    INSERT INTO aliases (ledger, one, other, source, id)
    SELECT $1, t.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS t (one, other, source, id)
    ON CONFLICT DO NOTHING
"""
# The merges that tie people to others, directly or by others in between; UNION ends where nobody new is found.
_TIED = """
    WITH RECURSIVE reached (name) AS (
        SELECT u COLLATE "C" FROM unnest($2::text[]) AS u
        UNION SELECT a.other FROM reached r JOIN aliases a ON a.ledger = $1 AND a.one = r.name
    )
    SELECT a.one, a.other, a.source, a.id FROM reached r JOIN aliases a ON a.ledger = $1 AND a.one = r.name
"""
_ERASED = "SELECT subject FROM subject_keys WHERE ledger = $1 AND subject = ANY($2) AND erased_at IS NOT NULL"
_ANY_ERASED = "SELECT EXISTS (SELECT FROM subject_keys WHERE ledger = $1 AND erased_at IS NOT NULL)"
# From here on nobody reads with these keys, nor is one made; those that have none yet get a row too.
_CONDEMN = """
    INSERT INTO subject_keys AS k (ledger, subject, number, erased_at, position)
    SELECT $1, s, 0, now(), $3 FROM unnest($2::text[]) AS s ORDER BY s COLLATE "C"
    ON CONFLICT (ledger, subject) DO UPDATE SET erased_at = now(), position = $3 WHERE k.erased_at IS NULL
"""
_NOTE = "INSERT INTO erasures (ledger, position, subjects) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_LISTED = """
    SELECT position, subjects, asked_at, done_at, receipt FROM erasures
    WHERE ledger = $1 AND position > $2 ORDER BY position LIMIT $3
"""


class Erasure(NamedTuple):
    """Whom the event at a position erased: what was destroyed where is in the receipt, once that is done."""

    position: int
    subjects: list[str]
    asked_at: datetime
    done_at: datetime | None
    receipt: str | None


async def waiting(pool: asyncpg.Pool) -> list[int]:
    """Return the ledgers where something is to be followed or destroyed."""
    return [row[0] for row in await pool.fetch(_WAITING)]


async def follow(pool: asyncpg.Pool, ledger: int) -> bool:
    """Note whom events erase that have not been looked at; return whether there may be more."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_BEGIN, ledger)
        after = await connection.fetchval(_AT, ledger)
        events = [Stored(*row) for row in await connection.fetch(_NEXT, ledger, after)]
        if not events:
            return False
        await _tie(connection, ledger, events)
        await _condemn(connection, ledger, events)
        await connection.execute(_REACHED, ledger, events[-1].position)
        return len(events) == _PAGE


async def _tie(connection: Connection, ledger: int, events: Iterable[Stored]) -> None:
    ties = []
    for event in events:
        if event.type in personal.MERGES:
            people = personal.concerned(event.type, _decode(event.data))
            ties += [(one, other, event.source, event.id) for one in people for other in people if one != other]
    if ties:
        await connection.execute(_TIE, ledger, *zip(*ties, strict=True))


async def _condemn(connection: Connection, ledger: int, events: Sequence[Stored]) -> None:
    """Erase whom events name, and whom they tie to somebody who is erased."""
    erasing = {event.position for event in events if event.type == personal.ERASED}
    if not erasing and not await connection.fetchval(_ANY_ERASED, ledger):
        return
    concerned = await _concerned(connection, ledger, events)
    classes = await _classes(connection, ledger, {one for several in concerned.values() for one in several})
    for position, people in sorted(concerned.items()):
        reached: set[str] = set()
        for same in {frozenset(classes[one]) for one in people}:
            erased = await connection.fetch(_ERASED, ledger, list(same))
            if position in erasing or 0 < len(erased) < len(same):
                reached |= same
        if reached:
            await connection.execute(_CONDEMN, ledger, sorted(reached), position)
            await connection.execute(_NOTE, ledger, position, sorted(reached))


async def _concerned(connection: Connection, ledger: int, events: Iterable[Stored]) -> dict[int, list[str]]:
    """Return by position whom events erase or tie; a void may bring a merge back that another void had taken out."""
    found: dict[int, list[str]] = {}
    about = {event.position: event for event in events}
    seen: set[tuple[int, str, str]] = set()
    while about:
        asked: dict[int, tuple[str, str]] = {}
        for position, event in about.items():
            data = _decode(event.data)
            if event.type != VOIDED:
                found[position] = personal.concerned(event.type, data)
            elif (position, *(target := (data["source"], data["id"]))) not in seen:
                seen.add((position, *target))
                asked[position] = target
        there = {
            (one.source, one.id): one
            for one in await by_identity.read_identities(connection, ledger, [*asked.values()])
        }
        about = {position: there[target] for position, target in asked.items() if target in there}
    return found


async def _classes(connection: Connection, ledger: int, people: Collection[str]) -> dict[str, set[str]]:
    """Return by person everybody who is the same person, by merges that stand."""
    ties = await connection.fetch(_TIED, ledger, sorted(people))
    voids = await _voids(connection, ledger) if ties else Voids()
    others: dict[str, set[str]] = defaultdict(set)
    for one, other, source, identity in ties:
        if not voids.is_void((source, identity)):
            others[one].add(other)
    classes: dict[str, set[str]] = {}
    for one in people:
        if one not in classes:
            found, waiting_for = {one}, [one]
            while waiting_for:
                new = others[waiting_for.pop()] - found
                found |= new
                waiting_for += new
            classes |= dict.fromkeys(found, found)
    return classes


async def same_person(connection: Queryable, ledger: int, people: Collection[str]) -> list[str]:
    """Return people with everybody whom merges make one with them."""
    classes = await _classes(connection, ledger, people)  # type: ignore[arg-type]
    return sorted(set().union(*classes.values()))


async def _voids(connection: Connection, ledger: int) -> Voids:
    voids = Voids()
    for row in await registers.read(connection, ledger):
        if row.type == VOIDED and row.version <= newest_version(row.type):
            voids.add(Fact(row.micros, row.rest, row.source, row.id, row.type, _decode(row.data)))
    return voids


async def listed(connection: Queryable, ledger: int, after: int, limit: int) -> list[Erasure]:
    """Return erasures behind a position, in order."""
    return [Erasure(*row) for row in await connection.fetch(_LISTED, ledger, after, limit)]
