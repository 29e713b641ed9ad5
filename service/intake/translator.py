"""The translator: makes events of what the inbox holds, in the background, ledger by ledger.

    claim deliveries of a ledger (FOR UPDATE SKIP LOCKED) → per source: read, translate the records → settle the deliveries

Each ledger has its turn with a batch, so that one with very much to do, or to do slowly, does not hold up the others. What
has to be asked for at a sender's API is left to `readback`. Several processes share the work by row locks, which a crash
gives back at once; doing some of it again changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import asyncpg
import httpx

from service import telemetry
from service.intake.acceptance import Intake
from service.intake.deliveries import Deliveries, failed, has_to_wait
from service.intake.readback import Readback
from service.intake.translation import Translation
from service.settings import Settings
from service.store import inbox, inbox_work, records
from service.store.database import Connection
from service.store.inbox import Delivery
from service.store.records import Claimed
from service.store.vault import Vault
from service.supervision import Parts

_log = telemetry.logger("translator")
_BATCH = 100  # deliveries of one ledger's turn, and as many records
_BATCH_BYTES = 8 * 1024 * 1024
_ROOMY = 8  # connections: each turn holds up to two, and those who post need some
_POLL_SECONDS = 1.0
_TIDY_SECONDS = 300.0
T = TypeVar("T")


class Translator:
    """Translates until stopped; `wake` tells that something has come."""

    def __init__(
        self, pool: asyncpg.Pool, intake: Intake, vault: Vault, settings: Settings, transport: httpx.AsyncBaseTransport,
        parts: Parts | None = None,
    ) -> None:  # fmt: skip
        self._pool = pool
        self._translation = Translation(pool, intake)
        self._deliveries = Deliveries(pool, self._translation, vault, settings)
        self._settings = settings
        roomy = settings.pool_size >= _ROOMY
        self._turns_at_once = 2 if roomy else 1
        # Whoever holds deliveries holds one connection and, to translate, a second one. If more turns did so than the pool has
        # room for, each would wait for its second connection while it holds the first, for ever.
        self._room = asyncio.Semaphore(self._turns_at_once)
        self.readback = Readback(pool, self._deliveries, transport, asyncio.Semaphore(1) if roomy else self._room)
        self._in_hand: set[int] = set()  # ledgers: one with much to do would else have all turns
        self._parts = parts or Parts()
        self._woken = asyncio.Event()
        self._stopping = False
        self._tidied = 0.0

    def wake(self) -> None:
        """Say that there is something to translate."""
        self._woken.set()
        self.readback.woken.set()

    def stop(self) -> None:
        """Finish what is in hand and end."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Translate until `stop`; two ledgers at once, so that one with a long turn does not hold up the others."""
        turns = [
            self._turns(f"translator {number + 1}", self.step, self._woken) for number in range(self._turns_at_once)
        ]
        try:
            await asyncio.gather(*turns, self._turns("reading back", self.readback.step, self.readback.woken))
        finally:
            await self.readback.finish()

    async def _turns(self, name: str, step: Callable[[], Awaitable[bool]], woken: asyncio.Event) -> None:
        async def turn() -> float:
            woken.clear()
            busy = await step()
            await self._tidy()
            return 0.0 if busy else _POLL_SECONDS

        async def rest(seconds: float) -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), seconds)

        await self._parts.beside(name).repeat(turn, rest, lambda: self._stopping)

    async def step(self, limit: int = _BATCH) -> bool:
        """Give each ledger with something due a turn of up to `limit` deliveries and records; return whether there was any."""
        busy = False
        due = [*await inbox_work.ledgers_due(self._pool, asks=False), *await records.ledgers_due(self._pool)]
        for ledger in dict.fromkeys(due):
            if ledger in self._in_hand or self._stopping:
                continue
            self._in_hand.add(ledger)
            try:
                async with self._room:
                    busy |= await self._due_deliveries(ledger, limit)
                    busy |= await self._due_records(ledger, limit)
            finally:
                self._in_hand.discard(ledger)
        return busy

    async def _due_deliveries(self, ledger: int, limit: int) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            deliveries = await inbox_work.claim(connection, ledger, limit, _BATCH_BYTES)
            asking = [
                await self._done(connection, ledger, source, several)
                for source, several in _grouped((one.source, one) for one in deliveries).items()
            ]
        if any(asking):
            self.readback.woken.set()
        return bool(deliveries)

    async def _done(self, connection: Connection, ledger: int, source: str, several: Sequence[Delivery]) -> bool:
        """Translate deliveries of a source and settle them; return whether there are others, whose sender has to be asked."""
        try:
            hook = await self._deliveries.hook(ledger, source)
        except Exception as error:
            if has_to_wait(error):
                raise
            await inbox_work.settle(connection, [failed(one, error) for one in several])
            return False
        before = await self._deliveries.before(ledger, several)
        readings = {
            one.delivery: await self._deliveries.read(hook, one, before.get(one.delivery, ())) for one in several
        }
        asking = [one for one in several if readings[one.delivery] is None]
        await inbox_work.set_asking(connection, asking)
        ready = {number: reading for number, reading in readings.items() if reading is not None}
        told = [one for one in several if one.delivery in ready]
        await inbox_work.settle(connection, await self._deliveries.translated(hook, told, ready))
        return bool(asking)

    async def _due_records(self, ledger: int, limit: int) -> bool:
        """Translate records that are to be translated again; those that fail come back when their lease has run out."""
        claimed = await records.claim(self._pool, ledger, limit)
        for several in _grouped((one.source, one) for one in claimed).values():
            await self._translated(several)
        return bool(claimed)

    async def _translated(self, claimed: Sequence[Claimed]) -> None:
        """Translate claimed records of a source; if that fails for all, it is done one by one."""
        ledger, source, record, *_ = claimed[0]
        discarded = {one.record for one in claimed if one.discarded}
        try:
            hook = await self._deliveries.hook(ledger, source)
            await self._translation.run(hook, {}, [one.record for one in claimed], discarded)
            await records.done(self._pool, claimed)
        except Exception as error:
            if has_to_wait(error):
                raise
            if len(claimed) == 1:
                _log.error("a record cannot be translated", source=source, record=record, exc_info=error)
                return
            for one in claimed:
                await self._translated([one])

    async def _tidy(self) -> None:
        """Drop what is past its retention, now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._tidied >= _TIDY_SECONDS:
            self._tidied = now
            await inbox.forget(self._pool, self._settings.retention_days, self._settings.rejected_hours)


def _grouped(several: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for name, one in several:
        groups[name].append(one)
    return groups
