"""Forgetting people: what is said of them becomes unreadable, its copies go, their keys are destroyed, and a receipt says so."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from service.store.database import Connection
from service.store.log import heads
from service.store.people import copies, erasures, reading
from service.store.people.copies import Person
from service.store.people.keys import Subjects
from service.store.quarantine import Refused
from service.store.rows import encode_json
from service.store.sealing import Keys

# Erasures whose copies are still there. SKIP LOCKED, so that two processes do not do the same.
_WAITING = """
    SELECT position, subjects, asked_at FROM erasures WHERE ledger = $1 AND position > $2 AND done_at IS NULL
    ORDER BY position LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_CONDEMNED = """
    SELECT subject, number, key FROM subject_keys WHERE ledger = $1 AND subject = ANY($2) AND key IS NOT NULL
"""
_DESTROY = """
    UPDATE subject_keys SET key = NULL WHERE ledger = $1 AND subject = ANY($2) AND erased_at IS NOT NULL AND key IS NOT NULL
"""
_DONE = """
    UPDATE erasures SET done_at = coalesce(done_at, $3), receipt = coalesce(receipt, $4) WHERE ledger = $1 AND position = $2
"""
# What has come since about who is erased: its copies go as those before.
_AGAIN = "UPDATE erasures SET done_at = NULL WHERE ledger = $1 AND position = $2"


class Eraser:
    """Forgets whom events in the logs of one database erase."""

    def __init__(self, pool: asyncpg.Pool, subjects: Subjects) -> None:
        self._pool = pool
        self.subjects = subjects

    async def catch_up(self, ledger: int, *, destroy: bool = True) -> None:
        """Erase whom events that have come erase.

        Without `destroy`, copies and keys go later: whoever is in the middle of translating holds some of the former.
        """
        while await erasures.follow(self._pool, ledger):
            pass
        self.subjects.forget()
        if destroy:
            await self.destroy(ledger)

    async def step(self) -> None:
        """Do what waits in all ledgers; what fails in one does not hold up the others."""
        for ledger, position in await copies.later(self._pool):
            await self._pool.execute(_AGAIN, ledger, position)
        failed: list[Exception] = []
        for ledger in await erasures.waiting(self._pool):
            try:
                await self.catch_up(ledger)
            except Exception as error:  # noqa: BLE001  told when the others have had their turn
                failed.append(error)
        if failed:
            raise failed[0]

    async def without_erased(self, ledger: int, items: Sequence[Refused]) -> list[Refused]:
        """Return items that could not be taken, without what is said in them of people who are erased."""
        named = [copies.people_of(one.body) for one in items]
        people = {one for several in named for one in several}
        keys = await self.subjects.for_reading(self._pool, ledger, people) if people else {}
        return [
            copies.emptied(item) if any(keys.get(one, b"") is None for one in several) else item
            for item, several in zip(items, named, strict=True)
        ]

    async def destroy(self, ledger: int) -> None:
        """Remove the copies of what was said of those who are erased, then their keys."""
        position = 0
        while True:
            async with self._pool.acquire() as connection, connection.transaction():
                waiting = await connection.fetchrow(_WAITING, ledger, position)
                if waiting is None:
                    break
                position, names, asked_at = waiting
                await self._destroy(connection, ledger, position, names, asked_at)

    async def _destroy(
        self, connection: Connection, ledger: int, position: int, names: list[str], asked_at: datetime
    ) -> None:
        person = await self._person(connection, ledger, position, names)
        counts, waits = await copies.removed(connection, ledger, person)
        if waits:  # what is being translated is looked for again, with the keys that are needed for that
            return
        done = await connection.execute(_DESTROY, ledger, names)
        counts = {"keys": int(done.rpartition(" ")[2]), **counts}
        receipt = await self._receipt(connection, ledger, position, names, asked_at, counts)
        await connection.execute(_DONE, ledger, position, receipt["done_at"], encode_json(receipt).decode())

    async def _person(self, connection: Connection, ledger: int, position: int, names: Sequence[str]) -> Person:
        """Return whom to look for; their addresses are read with keys that nothing else is read with any more."""
        condemned = await connection.fetch(_CONDEMNED, ledger, names)
        addresses: set[str] = set()
        if condemned:
            events = await copies.events_of(connection, ledger, names)
            keys: Keys = await self.subjects.for_reading(connection, ledger, reading.named(events))
            keys = {
                **keys,
                **{name: self.subjects.unwrapped(ledger, name, number, key) for name, number, key in condemned},
            }
            for event in events:
                addresses.update(copies.addresses_in(reading.opened(event, ledger, keys)))
        ids = sorted({name.partition(":")[2] for name in names})
        return Person(position, frozenset(names), ids, sorted(addresses))

    async def _receipt(
        self, connection: Connection, ledger: int, position: int, names: Sequence[str], asked_at: datetime,
        counts: dict[str, int],
    ) -> dict[str, Any]:  # fmt: skip
        """Return what was destroyed where, when and at which position, signed by the ledger's own key."""
        last, _, chain = await heads.head(connection, ledger)
        told = {
            "position": position, "subjects": list(names), "asked_at": asked_at, "done_at": datetime.now(UTC),
            "destroyed": counts, "log": {"position": last, "chain": chain.hex()},
        }  # fmt: skip
        signature, public = await self.subjects.signed(ledger, encode_json(told))
        return {
            **told,
            "signature": base64.b64encode(signature).decode(),
            "public_key": base64.b64encode(public).decode(),
        }
