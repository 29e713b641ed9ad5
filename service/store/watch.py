"""Watches over the database: whether it takes what is written, and whether there is room on its disk.

Whoever meets a fault of the database says so (`doubt`); from then on it is tried, after pauses that grow, until it works again.
While all is well, it is tried every so often, and the parts of this process are written to the table `parts`, where `status`
and the metrics find those of all processes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from service.store import database, faults
from service.store.database import Connection, Queryable
from service.supervision import Parts, State

_EVERY = 5.0  # seconds
_DOUBT = 0.3  # seconds between a fault and the first look: what comes and goes has to be told of a few times a second at most
_FRESH = 1.0  # seconds for which nobody needs to look again
_PATIENCE = 5.0  # seconds: a server that stands still is as good as none
_GONE = 60  # seconds after which a process that says nothing is not there any more
_SPILLED = 20_000  # numbers, sorted on disk: some hundred KiB

# Whether the server's disk takes anything: numbers that do not fit into the memory allowed are sorted on it. A row may fit into a
# page that is there, and the journal into an old piece of it.
_LITTLE_MEMORY = "SET LOCAL work_mem = '64kB'"
_SPILL = "SELECT count(*) FROM generate_series(1, $1)"

# What a crash loses of the parts is written again within seconds: it need not wait for the disk.
_UNSAFE = "SET LOCAL synchronous_commit = off"

# How the parts of a process are.
_KEEP = """
    INSERT INTO parts (process, part, up, needed, since, why, failures, seen_at)
    SELECT $1, *, now() FROM unnest($2::text[], $3::boolean[], $4::boolean[], $5::timestamptz[], $6::text[], $7::integer[])
    ON CONFLICT (process, part) DO UPDATE SET up = excluded.up, needed = excluded.needed, since = excluded.since,
        why = excluded.why, failures = excluded.failures, seen_at = excluded.seen_at
"""

# Processes that have said nothing for long, and parts that this one no longer has.
_FORGET = "DELETE FROM parts WHERE seen_at < now() - make_interval(secs => $1) OR process = $2 AND part <> ALL($3)"

# A process takes leave.
_LEAVE = "DELETE FROM parts WHERE process = $1"


class Seen(NamedTuple):
    """A part of some process, as that process told it last."""

    process: str
    part: str
    up: bool
    needed: bool
    since: datetime
    why: str | None
    failures: int
    seen_at: datetime


class Watch:
    """Watches for one process, as its part `database`."""

    def __init__(self, pool: asyncpg.Pool, parts: Parts) -> None:
        self._pool = pool
        self._parts = parts
        self._part = parts["database"]
        self._doubted = asyncio.Event()
        self._trying: asyncio.Task[None] | None = None
        self._looked = -_FRESH

    def doubt(self, error: BaseException) -> None:
        """Tell of a fault that somebody met."""
        if faults.is_outage(error):
            self._part.failed(error)
            self._doubted.set()

    async def run(self) -> None:
        """Watch until cancelled, and take leave."""
        try:
            await self._part.repeat(self._look, self._rest)
        finally:
            if self._trying is not None:
                self._trying.cancel()
            with contextlib.suppress(Exception):
                async with asyncio.timeout(1):
                    await self._pool.execute(_LEAVE, self._parts.process)

    async def _look(self) -> float:
        self._doubted.clear()
        await self._check()
        return _EVERY

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._doubted.wait(), seconds)
            await asyncio.sleep(_DOUBT)

    async def look(self) -> State:
        """Return how the database is now, or was a moment ago."""
        if asyncio.get_running_loop().time() - self._looked >= _FRESH:
            try:
                await self._check()
            except Exception as error:  # noqa: BLE001  whatever it is, the answer is no
                self._part.failed(error)
                self._doubted.set()
            else:
                self._part.works()
        return self._part.state

    async def _check(self) -> None:
        """Try the database once, for all who want to know; raises what is wrong."""
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try())
        try:
            await database.within(_PATIENCE, self._trying)
        finally:
            self._looked = asyncio.get_running_loop().time()

    async def _try(self) -> None:
        """Write to the database and to its disk."""
        async with self._pool.acquire() as connection:
            await _spill(connection)
            await keep(connection, self._parts.process, self._parts.states())


async def _spill(connection: Connection) -> None:
    """Have the server write to its disk."""
    async with connection.transaction(readonly=True):
        await connection.execute(_LITTLE_MEMORY)
        await connection.fetchval(_SPILL, _SPILLED)


async def keep(connection: Connection, process: str, states: Sequence[State]) -> None:
    """Write how the parts of a process are, and forget processes that have said nothing for long."""
    async with connection.transaction():
        await connection.execute(_UNSAFE)
        columns = [
            [getattr(one, name) for one in states] for name in ("part", "up", "needed", "since", "why", "failures")
        ]
        await connection.execute(_KEEP, process, *columns)
        await connection.execute(_FORGET, _GONE, process, columns[0])


_SEEN = f"SELECT {', '.join(Seen._fields)} FROM parts ORDER BY process, part"


async def seen(connection: Queryable) -> list[Seen]:
    """Return the parts of all processes that have said something of late."""
    rows = await connection.fetch(_SEEN)
    return [Seen(*row) for row in rows]
