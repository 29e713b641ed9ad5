"""The translator: makes events of what the inbox holds, in the background and in batches.

    claim deliveries (FOR UPDATE SKIP LOCKED) → per source: read, translate the records → settle the deliveries

Several processes share the work by row locks, which a crash gives back at once; doing some of it again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import asyncpg
import httpx

from service import telemetry
from service.intake.acceptance import Intake
from service.intake.hooks import Hook, opened, request_of
from service.intake.reading import Api, Reading, read, reasons
from service.intake.translation import Outcome, Translation
from service.settings import Settings
from service.store import inbox, records, sources
from service.store.inbox import Delivery, Settled
from service.store.log import QueueFullError
from service.store.vault import MasterKeyError, Vault

_log = telemetry.logger("translator")
_BATCH = 100
_CONNECTIONS_OF_TWO = 6  # each turn holds up to two connections, and those who post need some
_READ_AT_ONCE = 8
_POLL_SECONDS = 1.0
_PAUSE_SECONDS = 2.0  # after the database or the log could not be reached
_TIDY_SECONDS = 300.0
_OUTAGES = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, QueueFullError, OSError)
T = TypeVar("T")


class Translator:
    """Translates until stopped; `wake` tells that something has come."""

    def __init__(
        self, pool: asyncpg.Pool, intake: Intake, vault: Vault, settings: Settings, client: httpx.AsyncClient
    ) -> None:
        self._pool = pool
        self._translation = Translation(pool, intake)
        self._vault = vault
        self._settings = settings
        self._client = client
        self._woken = asyncio.Event()
        self._stopping = False
        self._tidied = 0.0

    def wake(self) -> None:
        """Say that there is something to translate."""
        self._woken.set()

    def stop(self) -> None:
        """Finish what is in hand and end."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Translate until `stop`; in two turns, so that one slow sender's API does not hold up the others."""
        turns = 2 if self._settings.pool_size >= _CONNECTIONS_OF_TWO else 1
        await asyncio.gather(*(self._turns() for _ in range(turns)))

    async def _turns(self) -> None:
        batch = _BATCH
        while not self._stopping:
            self._woken.clear()
            try:
                busy = await self.step(batch)
                batch = _BATCH
                await self._tidy()
            except _OUTAGES as error:
                _log.error("translation has to wait", error=str(error), kind=type(error).__name__)
                await self._rest(_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001  whatever it is, the next delivery must have its turn
                _log.error("translation failed", deliveries=batch, exc_info=error)
                batch = 1  # find the one that does it
            else:
                if not busy:
                    await self._rest(_POLL_SECONDS)

    async def _rest(self, seconds: float) -> None:
        if not self._stopping:
            try:
                await asyncio.wait_for(self._woken.wait(), seconds)
            except TimeoutError:
                return

    async def step(self, limit: int = _BATCH) -> bool:
        """Translate what is due, up to `limit` deliveries and as many records; return whether there was anything."""
        async with self._pool.acquire() as connection, connection.transaction():
            deliveries = await inbox.claim(connection, limit)
            if deliveries:
                await inbox.settle(connection, await self._translated(deliveries))
        return await self._due_records(limit) or bool(deliveries)

    async def _due_records(self, limit: int) -> bool:
        """Translate records that are to be translated again; those that fail come back when their lease has run out."""
        claimed = await records.claim(self._pool, limit)
        for (ledger, source), several in _grouped((one[0], one[1], one) for one in claimed).items():
            try:
                await self._translation.run(await self._hook(ledger, source), {}, [one[2] for one in several])
                await records.done(self._pool, several)
            except MasterKeyError as error:
                _log.error("records wait for the master key", source=source, error=str(error))
        return bool(claimed)

    async def _translated(self, deliveries: Sequence[Delivery]) -> list[Settled]:
        """Translate deliveries; one that fails even by itself is set aside."""
        try:
            return await self._translate(deliveries)
        except _OUTAGES:
            raise
        except Exception as error:
            if len(deliveries) > 1:
                raise
            _log.error("a delivery cannot be translated", delivery=deliveries[0].delivery, exc_info=error)
            reason = f"translation failed: {type(error).__name__}, which is a fault of ours; the log says more"
            return [Settled(one.ledger, one.delivery, "failed", reason, again=True) for one in deliveries]

    async def _translate(self, deliveries: Sequence[Delivery]) -> list[Settled]:
        settled: list[Settled] = []
        for (ledger, source), several in _grouped((one.ledger, one.source, one) for one in deliveries).items():
            try:
                hook = await self._hook(ledger, source)
                readings = await self._read(hook, several)
            except MasterKeyError as error:
                settled += [Settled(ledger, one.delivery, "failed", str(error), again=True) for one in several]
                continue
            outcomes, first = await self._translation.run(hook, readings)
            results = [_settled(one, readings[one.delivery], outcomes, first=one.delivery in first) for one in several]
            for state, count in Counter(one.state for one in results).items():
                telemetry.DELIVERIES.labels(hook.kind.name, state).inc(count)
            settled += results
        return settled

    async def _hook(self, ledger: int, source: str) -> Hook:
        stored = await sources.one(self._pool, source, ledger, deleted=True)
        if stored is None:
            raise LookupError(f"there is no source {source} in ledger {ledger}")
        return opened(stored, self._vault, self._settings)

    async def _read(self, hook: Hook, deliveries: Sequence[Delivery]) -> dict[int, Reading]:
        """Read deliveries, several at once where the sender's API is asked."""
        before = defaultdict(list)
        async with self._pool.acquire() as connection:
            again = [one.delivery for one in deliveries if one.attempts or one.settled_at]
            for stated in await records.of_deliveries(connection, hook.stored.ledger, again):
                before[stated.delivery].append(stated)
        turns, api = asyncio.Semaphore(_READ_AT_ONCE), Api(self._client)

        async def one_of(delivery: Delivery) -> Reading:
            async with turns:
                await asyncio.sleep(0)  # whoever posts meanwhile gets a turn
                request = request_of(delivery, self._vault)
                return await read(hook, delivery.delivery, request, before[delivery.delivery], api)

        readings = await asyncio.gather(*(one_of(one) for one in deliveries))
        return {one.delivery: reading for one, reading in zip(deliveries, readings, strict=True)}

    async def _tidy(self) -> None:
        """Drop what is past its retention, now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._tidied >= _TIDY_SECONDS:
            self._tidied = now
            await inbox.forget(self._pool, self._settings.retention_days, self._settings.rejected_hours)


def _settled(delivery: Delivery, reading: Reading, outcomes: Mapping[str, Outcome], *, first: bool) -> Settled:
    """Say what became of a delivery, from what became of the records it speaks of."""
    mine = [outcomes[name] for name in {one.record for one in reading.stated} if name in outcomes]
    problems = [*reading.problems, *(text for one in mine for text in one.problems)]
    waiting = [text for one in mine for text in one.waiting]
    changed = any(one.changed for one in mine)

    def settled(state: str, texts: Sequence[str] = (), *, again: bool = False) -> Settled:
        return Settled(delivery.ledger, delivery.delivery, state, reasons(texts), again)

    if problems:
        return settled("failed", problems, again=True)
    if not mine:
        return settled("ignored", reading.ignored or ["the message states nothing"])
    if not first:
        return settled("duplicate", ["the same was stated before", *waiting])
    if changed or waiting:
        return settled("accepted", [*waiting, *reading.ignored])
    if any(one.gives for one in mine):
        return settled("duplicate", ["what it states is in the ledger already, or changes no event"])
    return settled("ignored", reading.ignored or ["what it states gives no event"])


def _grouped(several: Iterable[tuple[int, str, T]]) -> dict[tuple[int, str], list[T]]:
    groups: dict[tuple[int, str], list[T]] = defaultdict(list)
    for ledger, source, one in several:
        groups[(ledger, source)].append(one)
    return groups
