"""Turns of reads: how many are worked out at once, in all and for one key, so that posts always find a connection.

    async with turns.turn(key) as turn:      # waits; raises a 503 problem if that takes too long
        async with turn.set_down(): ...      # lets others go while it waits for something else

Keys take turns: a key with many questions waits behind its own, not before those of others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.api.problems import ProblemError

_MOST_WAITING = 100  # reads of one key; more are refused at once


class Turns:
    """Who reads at this moment, and who waits to."""

    def __init__(self, at_once: int, of_one: int, seconds: float) -> None:
        """Let `at_once` reads go at a time, `of_one` of the same key; none waits longer than `seconds`."""
        self._at_once, self._of_one, self._seconds = at_once, of_one, seconds
        self._going: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # whose turn is next first

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[Turn]:
        """Wait for a turn, and have it while the block lasts."""
        turn = Turn(self, key)
        await turn.take()
        try:
            yield turn
        finally:
            turn.give()

    async def take(self, key: str) -> None:
        """Wait until one more read of a key may go."""
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= _MOST_WAITING:
            raise _busy()
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(granted)
        self._next()
        try:
            await asyncio.wait_for(asyncio.shield(granted), self._seconds)
        except BaseException as error:
            if granted.done():
                self.give(key)  # it came too late
            granted.cancel()
            if isinstance(error, TimeoutError):
                raise _busy() from None
            raise

    def give(self, key: str) -> None:
        """End a turn; the next ones begin."""
        self._going[key] -= 1
        if not self._going[key]:
            del self._going[key]
        self._next()

    def _next(self) -> None:
        """Let as many go as may, a key after the other."""
        for key in list(self._waiting):
            queue = self._waiting[key]
            while queue and queue[0].done():  # gave up
                queue.popleft()
            if not queue:
                del self._waiting[key]
            elif self._going.total() < self._at_once and self._going[key] < self._of_one:
                queue.popleft().set_result(None)
                self._going[key] += 1
                self._waiting.move_to_end(key)


class Turn:
    """One read's turn."""

    def __init__(self, turns: Turns, key: str) -> None:
        self._turns, self._key, self._has = turns, key, False

    async def take(self) -> None:
        """Wait for it."""
        await self._turns.take(self._key)
        self._has = True

    def give(self) -> None:
        """End it."""
        if self._has:
            self._has = False
            self._turns.give(self._key)

    @asynccontextmanager
    async def set_down(self) -> AsyncIterator[None]:
        """Let others go while the block lasts, then wait for a turn again."""
        self.give()
        yield
        await self.take()


def _busy() -> ProblemError:
    detail = "too many reads wait for their turn: ask fewer at once, and again in a moment"
    return ProblemError(503, detail, kind="too-many-reads", headers={"Retry-After": "2"})
