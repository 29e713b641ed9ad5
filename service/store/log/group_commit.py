"""Group commit: callers of a ledger that wait at the same time share one transaction, and each keeps its own answer.

`Appender.append` is the only way in. A commit waits for the disk; shared by many, it costs each of them little, and the more
wait, the more share it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import asyncpg

from service import telemetry
from service.store.log.append import Outcome, append_rows
from service.store.rows import Row

_ROW_BYTES = 1_000  # that a row takes besides


class QueueFullError(RuntimeError):
    """More events of a ledger wait than may: the caller should come back later."""


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
        # One writer per ledger: a second one would wait for the head that the first has locked, with a connection in its hand.
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
        # One ledger may take half of the memory: what another one sends finds room in the other half.
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
            outcomes = await append_rows(self._pool, ledger, [row for one in group for row in one.rows])
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
