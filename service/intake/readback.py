"""Reading back: what notifications only point at is asked for at the senders' APIs, ledger by ledger, and then translated.

    lease deliveries of one source → ask its API, outside of any transaction → lock those still held, translate, settle

An API that is slow, silent or without end costs its own ledger's turn and nobody else's: each ledger has one turn at a
time, with so many seconds and bytes, and all of them go on beside each other and beside what needs no asking. What is not
begun when a turn ends is due again at once; what was read of a delivery stays read. A lease ends by itself after a crash;
asking again then changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import httpx

from service.intake.deliveries import Deliveries, failed, has_to_wait
from service.intake.hooks import Hook
from service.intake.outgoing import RationedTransport, client_over
from service.intake.reading import Api, Reading
from service.store import inbox_work
from service.store.database import Connection
from service.store.inbox import Delivery

TURN_SECONDS = 90.0
TURN_BYTES = 32 * 1024 * 1024
LEASE_SECONDS = TURN_SECONDS + 60  # with time to write down what was read
_TURNS = 16  # at once, of so many ledgers
_BATCH = 20  # deliveries of a turn
_BATCH_BYTES = 4 * 1024 * 1024
_AT_ONCE = 4  # of these are asked for at once


class Readback:
    """Takes turns until stopped; `room` is for who holds connections to the database."""

    def __init__(
        self, pool: asyncpg.Pool, deliveries: Deliveries, transport: httpx.AsyncBaseTransport, room: asyncio.Semaphore
    ) -> None:
        self._pool = pool
        self._deliveries = deliveries
        self._transport = transport
        self._room = room
        self._turns: dict[int, asyncio.Task[None]] = {}
        self._begun: dict[int, float] = {}  # when each ledger had its last turn
        self.woken = asyncio.Event()

    async def step(self) -> bool:
        """Begin a turn of each ledger that waits for one; raise what has ended another. It never asks to be called at once."""
        for ledger in [ledger for ledger, turn in self._turns.items() if turn.done()]:
            self._turns.pop(ledger).result()
        due = await inbox_work.ledgers_due(self._pool, asks=True)
        for ledger in sorted(due, key=lambda one: self._begun.get(one, 0.0)):
            if len(self._turns) >= _TURNS:
                break
            if ledger not in self._turns:
                self._begun[ledger] = time.monotonic()
                self._turns[ledger] = turn = asyncio.create_task(self.turn(ledger))
                turn.add_done_callback(lambda _: self.woken.set())
        return False

    async def finish(self) -> None:
        """Wait for the turns in hand; if this is cancelled, they give back what they have."""
        turns = list(self._turns.values())
        try:
            if turns:
                await asyncio.wait(turns)
        finally:
            for turn in turns:
                turn.cancel()
            await asyncio.gather(*turns, return_exceptions=True)

    async def turn(self, ledger: int) -> None:
        """Ask for one source of a ledger what its deliveries want, and translate that."""
        leased = await inbox_work.lease(self._pool, ledger, _BATCH, _BATCH_BYTES, LEASE_SECONDS)
        if not leased:
            return
        try:
            await self._done(leased)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) or has_to_wait(error):
                # Shielded from a second cancellation, at the end of the process: the leases would hold for minutes after it.
                await asyncio.shield(inbox_work.give_back(self._pool, leased))
            raise  # whatever else it is, the lease is the pause before the next try
        await inbox_work.give_back(self._pool, leased)  # what was not begun; the others are settled

    async def _done(self, leased: Sequence[Delivery]) -> None:
        try:
            hook = await self._deliveries.hook(leased[0].ledger, leased[0].source)
        except Exception as error:
            if has_to_wait(error):
                raise
            async with self._still(leased) as (connection, several):
                await inbox_work.settle(connection, [failed(one, error) for one in several])
            return
        readings = await self._asked(hook, leased)
        async with self._still([one for one in leased if one.delivery in readings]) as (connection, several):
            await inbox_work.settle(connection, await self._deliveries.translated(hook, several, readings))

    @asynccontextmanager
    async def _still(self, leased: Sequence[Delivery]) -> AsyncIterator[tuple[Connection, list[Delivery]]]:
        """Give what is still ours, locked, in a transaction that settles it.

        Only here are connections held, as few at once as the pool has room for: the API has answered before.
        """
        async with self._room, self._pool.acquire() as connection, connection.transaction():
            yield connection, await inbox_work.held(connection, leased)

    async def _asked(self, hook: Hook, leased: Sequence[Delivery]) -> dict[int, Reading]:
        """Read deliveries, the first one alone, to see whether there is an answer; those not begun are not in the result."""
        before = await self._deliveries.before(hook.stored.ledger, leased)
        api = Api(client_over(RationedTransport(self._transport, TURN_SECONDS, TURN_BYTES)))
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one_of(one: Delivery) -> Reading | None:
            async with at_once:
                if api.spent:
                    return None
                return await self._deliveries.read(hook, one, before.get(one.delivery, ()), api)

        first = await one_of(leased[0])
        rest = await asyncio.gather(*(one_of(one) for one in leased[1:]))
        return {
            one.delivery: reading for one, reading in zip(leased, [first, *rest], strict=True) if reading is not None
        }
