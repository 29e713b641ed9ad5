"""The keys of people: one each, made when something of them is first to be sealed, and destroyed for good when they are erased.

    master key (environment, or the data directory) → the ledger's key → a person's key → what is sealed

Without a master key the ledger's key is stored as it is. The row of a person who is erased stays, without a key, so that none
is ever made again. Keys are remembered for a while to seal with, never to read: what a process seals with a key that
another one has just destroyed is unreadable as it should be.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.store import sealing
from service.store.database import Queryable
from service.store.log.stored_events import Stored
from service.store.people import reading
from service.store.rows import Row
from service.store.sealing import Keys
from service.store.vault import NAME, MasterKeyError, Vault

KEY = 32  # bytes
_SIGNING = 0  # the number of the key that signs receipts
_REMEMBERED, _SECONDS = 50_000, 300.0
_AT_ONCE = 50  # events sealed between two turns of the event loop

_LEDGER_KEYS = "SELECT number, key, wrapped FROM ledger_keys WHERE ledger = $1"
_MAKE_LEDGER_KEY = (
    "INSERT INTO ledger_keys (ledger, number, key, wrapped) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
)

_KNOWN = "SELECT subject, number, key, erased_at FROM subject_keys WHERE ledger = $1 AND subject = ANY($2)"

# New keys, in one order for everybody, or two processes could be a deadlock. The key that wraps them is held meanwhile: once
# another one has taken its place (`rekey`), nothing is stored. What another process has made first stays.
_MAKE = """
    INSERT INTO subject_keys (ledger, subject, number, key)
    SELECT $1, n.subject, l.number, n.key
    FROM (SELECT number FROM ledger_keys WHERE ledger = $1 AND number = $4 FOR SHARE) l,
         unnest($2::text[], $3::bytea[]) AS n (subject, key)
    ORDER BY n.subject COLLATE "C"
    ON CONFLICT DO NOTHING RETURNING subject
"""
_IS_LAST = "SELECT true FROM ledger_keys WHERE ledger = $1 AND number = $2"
# The commit of what is sealed with them flushes them too: they are durable whenever that is.
_NOT_YET = "SET LOCAL synchronous_commit = off"


async def _turn(number: int) -> None:
    """Let others have their turn now and then."""
    if number % _AT_ONCE == _AT_ONCE - 1:
        await asyncio.sleep(0)


class _OfLedger(NamedTuple):
    """The keys of a ledger, by number, and the last number."""

    by_number: dict[int, bytes]
    last: int


class Subjects:
    """Seals what comes in and opens what is read, with the keys of one database."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault | None = None, *, makes: bool = True) -> None:
        """Without `makes`, keys that are missing are made up, for what is not stored."""
        self._makes = makes
        self._pool = pool
        self._vault = vault or Vault(None)
        self._of_ledgers: dict[int, _OfLedger] = {}
        self._remembered: dict[tuple[int, str], bytes] = {}
        self._since = 0.0

    async def sealed(self, ledger: int, rows: Sequence[Row]) -> list[Row]:
        """Return rows as they are stored."""
        divided = {}
        for index, row in enumerate(rows):
            if row.seals and (found := sealing.divided(row)):
                divided[index] = found
                await _turn(len(divided))
        if not divided:
            return list(rows)
        keys = await self._for_sealing(ledger, {person for people, _, _ in divided.values() for person in people})
        stored = list(rows)
        for number, (index, found) in enumerate(divided.items()):
            stored[index] = sealing.sealed(rows[index], ledger, found, keys)
            await _turn(number)
        return stored

    async def opened(self, connection: Queryable, ledger: int, rows: Sequence[Stored]) -> list[Stored]:
        """Return stored events as they came; what is erased of them says so in its place."""
        people = reading.named(rows)
        if not people:
            return list(rows)
        keys = await self.for_reading(connection, ledger, people)
        return [reading.opened(row, ledger, keys) for row in rows]

    async def titles(self, connection: Queryable, ledger: int, texts: Iterable[str | None]) -> dict[str, str | None]:
        """Return by sealed title what it came as; None where it is erased. Others are not there."""
        about = {text: people for text in texts if (people := sealing.titled(text))}
        keys = (
            await self.for_reading(connection, ledger, {one for people in about.values() for one in people})
            if about
            else {}
        )
        return {str(text): sealing.untitled(str(text), ledger, keys) for text in about}

    async def for_reading(self, connection: Queryable, ledger: int, people: Iterable[str]) -> Keys:
        """Return the keys of those people who have a row: None for who is erased."""
        return await self._known(connection, ledger, sorted(people))

    async def signed(self, ledger: int, text: bytes) -> tuple[bytes, bytes]:
        """Return the ledger's signature (Ed25519) under a text, and the public key that proves it."""
        if not self._numbers(ledger):
            await self._make_ledger_key(ledger)
        key = Ed25519PrivateKey.from_private_bytes(self._of_ledgers[ledger].by_number[_SIGNING])
        return key.sign(text), key.public_key().public_bytes_raw()

    def forget(self) -> None:
        """Forget the keys that are remembered."""
        self._remembered.clear()

    async def _for_sealing(self, ledger: int, people: set[str]) -> Keys:
        if time.monotonic() - self._since > _SECONDS or len(self._remembered) > _REMEMBERED:
            self._remembered.clear()
            self._since = time.monotonic()
        found: dict[str, bytes | None] = {}
        for one in people:
            if key := self._remembered.get((ledger, one)):
                found[one] = key
        if len(found) < len(people):
            asked = sorted(people - found.keys())
            known = await self._known(self._pool, ledger, asked)
            missing = [one for one in asked if one not in known]
            if not self._makes:
                known |= {one: os.urandom(KEY) for one in missing}
            elif missing:
                known |= await self._make(ledger, missing)
                if there := [one for one in missing if one not in known]:  # another process was faster
                    known |= await self._known(self._pool, ledger, there)
            found |= known
            self._remembered.update({(ledger, one): key for one, key in known.items() if key is not None})
        return found

    async def _known(self, connection: Queryable, ledger: int, people: Sequence[str]) -> dict[str, bytes | None]:
        rows = await connection.fetch(_KNOWN, ledger, people)
        if any(row[1] not in self._numbers(ledger) for row in rows):
            await self._read_ledger_keys(connection, ledger)
        return {
            subject: None if erased_at or key is None else self.unwrapped(ledger, subject, number, key)
            for subject, number, key, erased_at in rows
        }

    async def _make(self, ledger: int, people: Sequence[str]) -> dict[str, bytes]:
        """Make keys, and return those that nobody else has made meanwhile."""
        fresh = os.urandom(KEY * len(people))
        keys = {one: fresh[KEY * at : KEY * (at + 1)] for at, one in enumerate(people)}
        while True:
            if not self._numbers(ledger):
                await self._make_ledger_key(ledger)
            own = self._of_ledgers[ledger]
            wrapping = AESGCM(own.by_number[own.last])
            wrapped = [sealing.locked(wrapping, key, one.encode()) for one, key in keys.items()]
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_NOT_YET)
                made = await connection.fetch(_MAKE, ledger, people, wrapped, own.last)
                if made or await connection.fetchval(_IS_LAST, ledger, own.last):
                    return {one: keys[one] for (one,) in made}
            del self._of_ledgers[ledger]  # another key has taken its place

    def unwrapped(self, ledger: int, subject: str, number: int, key: bytes) -> bytes:
        """Return the key of a person, of the form in which it is stored."""
        return sealing.unlocked(AESGCM(self._of_ledgers[ledger].by_number[number]), key, subject.encode())

    def _numbers(self, ledger: int) -> Iterable[int]:
        found = self._of_ledgers.get(ledger)
        return found.by_number.keys() if found else ()

    async def _make_ledger_key(self, ledger: int) -> None:
        await self._read_ledger_keys(self._pool, ledger)
        if self._numbers(ledger):
            return
        for number in (_SIGNING, _SIGNING + 1):
            key = os.urandom(KEY)
            await self._pool.execute(_MAKE_LEDGER_KEY, ledger, number, *_stored(self._vault, key))
        await self._read_ledger_keys(self._pool, ledger)

    async def _read_ledger_keys(self, connection: Queryable, ledger: int) -> None:
        rows = await connection.fetch(_LEDGER_KEYS, ledger)
        keys = {number: self._vault.unlock(key) if wrapped else key for number, key, wrapped in rows}
        if keys:
            self._of_ledgers[ledger] = _OfLedger(keys, max(keys))


_LEDGERS = "SELECT DISTINCT ledger FROM ledger_keys ORDER BY ledger"
_LOCKED = "SELECT number, key, wrapped FROM ledger_keys WHERE ledger = $1 ORDER BY number FOR UPDATE"
_OLD = "SELECT subject, number, key FROM subject_keys WHERE ledger = $1 AND number < $2 AND key IS NOT NULL LIMIT 5000"
_REWRAP = """
    UPDATE subject_keys s SET key = n.key, number = $4 FROM unnest($2::text[], $3::bytea[]) AS n (subject, key)
    WHERE s.ledger = $1 AND s.subject = n.subject
"""
_SIGNING_AGAIN = "UPDATE ledger_keys SET key = $2, wrapped = $3 WHERE ledger = $1 AND number = 0"
_DROP = "DELETE FROM ledger_keys WHERE ledger = $1 AND number > 0 AND number < $2"
_STORED_OPEN = "SELECT count(*) FROM ledger_keys WHERE NOT wrapped"
_WRAPPED = "SELECT key FROM ledger_keys WHERE wrapped"


async def rekey(pool: asyncpg.Pool, vault: Vault) -> int:
    """Wrap the keys of people anew, by new keys of the ledgers that the first master key encrypts; return how many.

    What is left on disk of keys that were destroyed before opens nothing any more once the old master key is gone.
    """
    done = 0
    for (ledger,) in await pool.fetch(_LEDGERS):
        async with pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_LOCKED, ledger)
            keys = {number: vault.unlock(key) if wrapped else key for number, key, wrapped in rows}
            new, fresh = max(keys) + 1, os.urandom(KEY)
            await connection.execute(_SIGNING_AGAIN, ledger, *_stored(vault, keys[_SIGNING]))
            await connection.execute(_MAKE_LEDGER_KEY, ledger, new, *_stored(vault, fresh))
            wrapping, old = AESGCM(fresh), {number: AESGCM(key) for number, key in keys.items()}
            while page := await connection.fetch(_OLD, ledger, new):
                names = [row[0] for row in page]
                wrapped_anew = [
                    sealing.locked(wrapping, sealing.unlocked(old[number], key, subject.encode()), subject.encode())
                    for subject, number, key in page
                ]
                await connection.execute(_REWRAP, ledger, names, wrapped_anew, new)
                done += len(page)
            await connection.execute(_DROP, ledger, new)
    return done


def _stored(vault: Vault, key: bytes) -> tuple[bytes, bool]:
    return (vault.lock(key), True) if vault.is_open else (key, False)


async def state(pool: asyncpg.Pool, vault: Vault) -> str:
    """Return "ok" if the master key opens the keys of people, or what is wrong; without one, they are stored as they are."""
    try:
        for (key,) in await pool.fetch(_WRAPPED):
            vault.unlock(key)
    except MasterKeyError as error:
        return f"wrong: {error}"
    if await pool.fetchval(_STORED_OPEN):
        return f"stored as they are: set {NAME} and run `campaign-ledger sources rekey`"
    return "ok" if vault.is_open else f"to be stored as they are: set {NAME}"
