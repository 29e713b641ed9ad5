"""The worker: keeps the serving generation of every ledger up to date, sharing the ledgers with other workers by leases."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket

import asyncpg

from service import telemetry
from service.domain import contributions
from service.projections.engine.projector import (
    SHORTEST_IDLE,
    LeaseLostError,
    Projector,
    release,
    spare_the_collector,
    take,
)
from service.projections.generations import rebuild
from service.projections.sums.closings import Bookkeeper
from service.settings import Settings
from service.store import database, faults
from service.store.ledgers import Ledger
from service.supervision import Part, Parts

_log = telemetry.logger("projector")
_AT_ONCE = 4  # ledgers; each takes a connection or two, and they share one processor
_ROUND = 1.0  # seconds of folding until whoever waits has its turn, however many do
_SHORTEST_TURN = 0.1  # seconds: storing what a batch gives takes some, too
_DEARER = 6  # a batch that fails costs more than a look whether the database is there: pauses of 0.6 to 30 seconds


class Worker:
    """Projects until stopped. `wake` tells it that something was appended; without it, it looks every so often."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings, parts: Parts | None = None) -> None:
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._pool = pool
        self._settings = settings
        self._projectors: dict[int, Projector] = {}
        self._parts = parts or Parts()
        self._resting: dict[int, float] = {}
        self._batches: dict[int, asyncio.Task[bool]] = {}  # by ledger, while one is under way
        self._turns: dict[int, float] = {}  # by ledger, when its last batch began
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._stopping = False
        self._rebuilding: asyncio.Task[None] | None = None
        self._far_behind = False
        self._silent: set[database.Silence] = set()
        self._bookkeeper = Bookkeeper(pool, part=self._parts.beside("closings"))

    def wake(self) -> None:
        """Say that events were appended; may be called from any thread."""
        if not self._woken.is_set():
            self._loop.call_soon_threadsafe(self._woken.set)

    def stop(self) -> None:
        """Finish the batch in hand and end; may be called from any thread."""
        self._stopping = True
        self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Project all ledgers until `stop`, whatever happens to the database."""
        spare_the_collector()
        looking = asyncio.create_task(self._parts.beside("watch for silent processes").repeat(self._end_silence))
        try:
            await self._parts["projector"].repeat(self._step, self._rest, lambda: self._stopping)
            await asyncio.gather(*self._batches.values(), return_exceptions=True)
            if self._rebuilding is not None:
                await self._rebuilding  # it ends with the step in hand; whoever takes it up goes on from there
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await self._bookkeeper.stop()
        try:
            await release(self._pool, self.holder)
        except Exception as error:
            if not faults.is_fault(error):
                raise
            _log.warning("leases are kept until they run out", error=str(error))

    async def _step(self) -> float:
        """Do what there is to do once; return how long there will be nothing."""
        self._woken.clear()
        try:
            busy = await self._round()
        except Exception:  # a batch that ended meanwhile has nothing to add, and would tell the same after the pause
            self._batches = {number: batch for number, batch in self._batches.items() if not batch.done()}
            raise
        await self._take_up_rebuild()
        if not self._far_behind:
            self._bookkeeper.tend()
        return 0.0 if busy else self._settings.projection_poll

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return

    async def _end_silence(self) -> float:
        """Look every so often for a process that was stopped at a bad moment: nobody gets past what it holds."""
        now = await database.silent(self._pool)
        if both := self._silent & now:
            _log.warning("ended what waited for a silent process", commands=await database.end(self._pool, both))
        self._silent = now - both
        return max(self._settings.lease_seconds, SHORTEST_IDLE)

    async def _round(self) -> bool:
        """Begin a batch of those ledgers that are behind, and wait for the first that is done; return whether there may be more.

        Several are under way at once and let each other go on, so that nobody waits for a ledger with much to do.
        """
        behind = await self._pool.fetch(
            """
            SELECT l.ledger, l.name, l.currency, l.timezone, h.position - g.checkpoint AS lag
            FROM generations g JOIN heads h USING (ledger) JOIN ledgers l USING (ledger)
            WHERE g.state = 'serving' AND h.position > g.settled AND g.version = $1
            """,
            contributions.READ_MODEL_VERSION,
        )
        for number in self._resting.keys() - {row["ledger"] for row in behind}:  # another worker has done it
            self._recovered(number)
        self._far_behind = any(row["lag"] > self._settings.projection_batch for row in behind)
        now = self._loop.time()
        seconds = max(_SHORTEST_TURN, min(_ROUND, _ROUND * _AT_ONCE / max(1, len(behind))))
        for number, name, currency, timezone, lag in sorted(
            behind, key=lambda row: self._turns.get(row["ledger"], 0.0)
        ):
            telemetry.LAG.labels(name).set(lag)
            free = number not in self._batches and len(self._batches) < _AT_ONCE
            if free and self._resting.get(number, 0.0) <= now and not self._stopping:
                self._turns[number] = now
                batch = self._batch(Ledger(number, name, currency, timezone), seconds)
                self._batches[number] = asyncio.create_task(batch)
        return await self._first_done()

    async def _first_done(self) -> bool:
        """Wait until a batch is done, or until something was appended; return whether there may be more to do at once."""
        if not self._batches:
            return False
        woken = asyncio.create_task(self._woken.wait())
        await asyncio.wait(
            {woken, *self._batches.values()}, timeout=self._settings.projection_poll,
            return_when=asyncio.FIRST_COMPLETED,
        )  # fmt: skip
        woken.cancel()
        done = {number: batch for number, batch in self._batches.items() if batch.done()}
        for number in done:
            del self._batches[number]
        return any(batch.result() for batch in done.values()) or bool(self._batches)

    async def _take_up_rebuild(self) -> None:
        """Build a generation that nobody builds: asked for over the API, or left by a process that ended."""
        if self._stopping or (self._rebuilding is not None and not self._rebuilding.done()):
            return
        row = await self._pool.fetchrow(
            """
            SELECT l.ledger, l.name, l.currency, l.timezone, g.generation FROM generations g JOIN ledgers l USING (ledger)
            WHERE g.state = 'building' AND g.lease_until < now() AND g.version = $1 ORDER BY g.created_at LIMIT 1
            """,
            contributions.READ_MODEL_VERSION,
        )
        if row is not None:
            self._rebuilding = asyncio.create_task(self._rebuild(Ledger(*row[:4]), row[4]))

    async def _rebuild(self, ledger: Ledger, generation: int) -> None:
        _log.info("rebuild taken up", ledger=ledger.name, generation=generation)
        try:
            done = await rebuild.run(
                self._pool, ledger, generation, holder=rebuild.new_holder(), batch=self._settings.rebuild_batch,
                lease_seconds=self._settings.lease_seconds, stopping=lambda: self._stopping,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001  it is taken up again when its lease runs out
            _log.error("rebuild failed", ledger=ledger.name, generation=generation, exc_info=error)
        else:
            _log.info("rebuild ended", ledger=ledger.name, generation=generation, state=done.state)

    async def _batch(self, ledger: Ledger, seconds: float) -> bool:
        projector = self._projectors.get(ledger.ledger)
        try:
            if projector is None:
                projector = await take(self._pool, ledger, self.holder, self._settings.lease_seconds)
                if projector is None:
                    return False
                self._projectors[ledger.ledger] = projector
            done = await projector.step(self._settings.projection_batch, seconds)
        except LeaseLostError:
            self._projectors.pop(ledger.ledger, None)
            return True
        except Exception as error:
            if faults.is_outage(error):  # of all ledgers' database
                raise
            self._leave_alone(ledger, error)  # one ledger's failure must not stop the others
            return False
        self._recovered(ledger.ledger)
        telemetry.PROJECTED.labels(ledger.name).inc(done)
        if done < self._settings.projection_batch:
            telemetry.LAG.labels(ledger.name).set(0)
        return done > 0

    def _leave_alone(self, ledger: Ledger, error: Exception) -> None:
        """Leave a failing ledger alone for a while that grows."""
        telemetry.PROJECTION_ERRORS.labels(ledger.name).inc()
        self._resting[ledger.ledger] = self._loop.time() + _DEARER * self._part_of(ledger.ledger).failed(error)

    def _recovered(self, number: int) -> None:
        if self._resting.pop(number, None) is not None:
            part = self._part_of(number)
            part.works()
            self._parts.forget(part.name)

    def _part_of(self, number: int) -> Part:
        return self._parts.beside(f"projection of ledger {number}")
