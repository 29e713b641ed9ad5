"""Writing while folding goes on: the database works on what has been posted, the engine on what comes next.

All of it goes over the one connection of the batch, one write at a time. Whoever wants to read over it waits for the write in
hand first (`written`).
"""

from __future__ import annotations

import asyncio

from service.projections.engine.tables import Journal, Tables

_BACKLOG = 50_000  # postings that may wait for a write


class Writer:
    """Writes a journal in the background; `journal` is what has been posted since the last write began."""

    def __init__(self, tables: Tables) -> None:
        self.journal = Journal()
        self._tables = tables
        self._writing: asyncio.Task[None] | None = None

    async def take_turns(self, *, begin: bool) -> None:
        """Let the database go on; `begin` to write what has been posted so far, if it is free or much waits for it."""
        free = self._writing is None or self._writing.done() or len(self.journal.postings) > _BACKLOG
        if begin and free:
            await self.written()
            self._writing = asyncio.create_task(self._tables.write(self._taken()))
        await asyncio.sleep(0)

    async def show_life(self) -> None:
        """Have the database see that the transaction is alive, unless a write shows it: it ends one that is silent for long."""
        if self._writing is None or self._writing.done():
            await self.written()
            await self._tables.show_life()

    async def written(self) -> None:
        """Wait for the write in hand."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def write(self) -> None:
        """Write everything that has been posted."""
        await self.written()
        await self._tables.write(self._taken())

    async def abandon(self) -> None:
        """Let go of the connection after a failure."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    def _taken(self) -> Journal:
        journal, self.journal = self.journal, Journal()
        return journal
