"""The projector: follows a ledger's log in batches, one transaction each, under a lease with a fencing token.

A batch reads the events after the checkpoint, has the engine project them and moves the checkpoint, all or nothing. Whoever
lost its lease (stopped, paused, replaced) finds the fence moved and writes nothing.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg

from service import telemetry
from service.domain import contributions
from service.domain.events import newest_version
from service.projections.engine import set_aside
from service.projections.engine.engine import Engine
from service.projections.engine.tables import Tables
from service.projections.sums import closings
from service.store import faults
from service.store.ledgers import Ledger
from service.store.log import by_identity, feed, registers
from service.store.log.stored_events import Brief, Stored

_log = telemetry.logger("projector")
_WORKING_SET = 20_000  # components kept in memory between batches
SHORTEST_IDLE = 5.0  # seconds: folding may take some between two statements
_LARGEST_BATCH = 1_000_000
LONGEST_BATCH = 10.0  # seconds of folding
_LONGEST_STATEMENT = 60.0  # seconds, for a usual batch
_SLOWEST = 100  # events per second of a larger one, on the slowest machine
_PAGE = 5_000  # events read at a time
_MOST_UNSETTLED = 2_000  # postings: a read adds up so many in a few milliseconds
_MOST_BEHIND = 50_000  # the same after a full batch: the less often balances are made, the sooner all is projected
# What reads choose their rows by. To look at the other columns, of which balances have many, costs several times as much.
_ANALYZED = """
    segments, balances (ledger, generation, basis, cube, grain, start, segment), histograms,
    postings (ledger, generation, position, segment, campaign, day, cohort, measure, entity),
    components (ledger, generation, component), entities
"""


class LeaseLostError(RuntimeError):
    """Somebody else projects this generation now."""


class CorruptLogError(RuntimeError):
    """The log has a hole: positions are dense by construction, so something removed an event."""


class _Page(NamedTuple):
    rows: list[Brief]
    voided: list[Stored]


class Projector:
    """Projects one generation of one ledger. Open it with `take`, then call `step` until it returns 0."""

    def __init__(self, pool: asyncpg.Pool, ledger: Ledger, generation: int, fence: int, lease_seconds: float) -> None:
        self.ledger = ledger
        self.generation = generation
        self.checkpoint = 0
        self._settled = 0
        self._pool = pool
        self._fence = fence
        self._lease_seconds = lease_seconds
        self._most = _LARGEST_BATCH  # events of a batch: fewer after one has failed, to find the event that did it
        self._engine: Engine | None = None

    @property
    def fence(self) -> int:
        """The token that this projector was given: a later one has taken over from it."""
        return self._fence

    @property
    def _key(self) -> tuple[int, int]:
        return self.ledger.ledger, self.generation

    async def step(self, limit: int, seconds: float = LONGEST_BATCH) -> int:
        """Project the next batch, in one transaction; return how many events it had.

        It has at most `limit` events, and ends with the one at which it has folded for `seconds`: however long a batch takes to
        work on, it is stored, and others have their turn. What events post is added to the balances later, when there is more of
        it or nothing to project: until then, reads add it up themselves, and no event waits for that.
        """
        last, more = await self._next(limit, seconds)
        before, self.checkpoint = self.checkpoint, last
        most = _MOST_BEHIND if more else _MOST_UNSETTLED
        many = self._engine is not None and self._engine.unsettled > most
        if self._settled < last and (many or last == before):
            await self.settle()
        if len(str(last)) > len(str(before)):
            await self.analyze()
        if self._engine is not None:
            self._engine.forget(_WORKING_SET)
        return last - before

    async def _next(self, limit: int, seconds: float) -> tuple[int, bool]:
        """Project the next batch; return the position reached, and whether to go on.

        What a rule fails at concerns a component (`folding`). Whatever else fails at an event must not stop its ledger either:
        smaller batches find the event, which is set aside.
        """
        while True:
            tried = min(limit, self._most)
            try:
                async with self._transaction(tried) as connection:
                    found = await self._project(connection, tried, seconds)
            except (LeaseLostError, CorruptLogError):
                raise
            except Exception as error:
                if faults.is_fault(error):
                    raise
                where = {"ledger": self.ledger.name, "after": self.checkpoint, "events": tried}
                _log.warning("a batch failed", **where, exc_info=error)
                if tried == 1:
                    return await self._pass_over(error), True
                self._most = max(1, tried // 10)
            else:
                self._most = min(10 * self._most, _LARGEST_BATCH)
                return found

    async def _pass_over(self, error: Exception) -> int:
        """Set the next event aside, and return its position; raises the error where there is none."""
        position = self.checkpoint + 1
        async with self._transaction(1) as connection:
            if not (await self._page(connection, self.checkpoint, 1)).rows:
                raise error
            engine = await self._opened(connection)
            engine.set_aside.note(position, error)
            await engine.store()
            await self._reached(connection, engine, position)
        return position

    async def settle(self) -> None:
        """Add the postings that are in no balance yet to the balances, in one transaction."""
        if self._engine is not None:
            await self._engine.tables.add_up()  # takes long where there are many: no transaction has to wait for it
        async with self._transaction(max(_PAGE, self.checkpoint - self._settled)) as connection:
            engine = await self._opened(connection)
            await self._settle(connection, engine.tables)
        self._settled = self.checkpoint

    async def _settle(self, connection: Any, tables: Tables) -> None:
        await tables.settle()
        await connection.execute(
            """
            UPDATE generations SET settled = checkpoint, lease_until = clock_timestamp() + make_interval(secs => $3)
            WHERE ledger = $1 AND generation = $2
            """,
            *self._key, self._lease_seconds,
        )  # fmt: skip

    async def analyze(self) -> None:
        """Tell the planner how large the tables are: it would otherwise find out minutes after they have grown."""
        await self._pool.execute(f"ANALYZE {_ANALYZED}", timeout=600)

    @asynccontextmanager
    async def _transaction(self, events: int) -> AsyncIterator[Any]:
        """Open a transaction that projects so many events; if it fails, the working set goes with it: that is ahead of it."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await self._begin(connection, events)
                try:
                    yield connection
                except BaseException:
                    if self._engine is not None:
                        await self._engine.abandon()
                    raise
        except BaseException:
            self._engine = None
            raise

    async def _begin(self, connection: Any, events: int) -> None:
        """Begin a transaction that projects so many events, if the lease still holds.

        What a crash loses of it is projected again. If this process is stopped in the middle, its row stays locked: then the
        server has to end the transaction, so that another process can take over.
        """
        idle = int(max(self._lease_seconds, SHORTEST_IDLE) * 1000)
        longest = int(max(_LONGEST_STATEMENT, events / _SLOWEST) * 1000)
        row = await connection.fetchrow(
            """
            UPDATE generations SET lease_until = now() + make_interval(secs => $4)
            WHERE ledger = $1 AND generation = $2 AND fence = $3 AND state IN ('serving', 'building')
            RETURNING checkpoint, settled, set_config('synchronous_commit', 'off', true),
                set_config('idle_in_transaction_session_timeout', $5, true), set_config('statement_timeout', $6, true)
            """,
            *self._key, self._fence, self._lease_seconds, str(idle), str(longest),
        )  # fmt: skip
        if row is None:
            raise LeaseLostError(f"ledger {self.ledger.name}: another worker has taken over")
        if (self.checkpoint, self._settled) != row[:2]:  # a crash of the database may have lost what had been committed
            self._engine = None
        if self._engine is None:
            self.checkpoint, self._settled = row[:2]

    async def _project(self, connection: Any, limit: int, seconds: float) -> tuple[int, bool]:
        """Project page by page and store all that comes of it but balances; return the position reached, and whether to go on."""
        page, last = await self._page(connection, self.checkpoint, limit), self.checkpoint
        if not page.rows:
            return last, False
        engine, end, until = await self._opened(connection), self.checkpoint + limit, time.monotonic() + seconds
        stopped = False
        while page.rows and not stopped:
            read = page.rows[-1].position
            more = read < end and len(page.rows) == _PAGE
            reading_on = asyncio.create_task(self._page(self._pool, read, end - read)) if more else None
            try:
                last = await engine.project(*page, until - time.monotonic())
                stopped = last < read
            finally:
                page = await reading_on if reading_on else _Page([], [])
        await engine.store()
        await self._reached(connection, engine, last)
        return last, stopped or last == end

    async def _reached(self, connection: Any, engine: Engine, position: int) -> None:
        """Note the position up to which all is stored."""
        await connection.execute(
            """
            UPDATE generations SET checkpoint = $3, next_component = $4,
                lease_until = clock_timestamp() + make_interval(secs => $5)
            WHERE ledger = $1 AND generation = $2
            """,
            *self._key, position, engine.next_component, self._lease_seconds,
        )  # fmt: skip

    async def _opened(self, connection: Any) -> Engine:
        """Return the engine, which goes on over this connection."""
        engine = self._engine = self._engine or await self._open(connection)
        engine.tables.connection = connection
        return engine

    async def _page(self, connection: Any, after: int, limit: int) -> _Page:
        rows = await feed.read_brief(connection, self.ledger.ledger, after, min(limit, _PAGE))
        if rows and rows[-1].position != after + len(rows):
            raise CorruptLogError(
                f"ledger {self.ledger.name}: an event between {after} and {rows[-1].position} is missing"
            )
        voids = [row for row in rows if row.type == "event.voided" and row.version == newest_version(row.type)]
        return _Page(rows, await by_identity.targets(connection, self.ledger.ledger, voids))

    async def _open(self, connection: Any) -> Engine:
        tables = Tables(connection, *self._key, fresh=self._settled == 0)
        await tables.load_segments()
        await tables.load_known()
        await tables.load_attributes()
        if self._settled < self.checkpoint:
            await tables.load_unsettled(self._settled, self.checkpoint)
            await self._settle(connection, tables)
            self._settled = self.checkpoint
        next_component = await connection.fetchval(
            "SELECT next_component FROM generations WHERE ledger = $1 AND generation = $2", *self._key
        )
        known = await registers.read(connection, self.ledger.ledger, self.checkpoint)
        return Engine(self.ledger, tables, next_component, known, await set_aside.load(connection, self._key))

    async def retry(self) -> tuple[int, int]:
        """Process again what is set aside, in one transaction; return how much that was before and is after."""
        async with self._pool.acquire() as connection, connection.transaction():
            await self._begin(connection, _PAGE)
            engine = await self._open(connection)
            waiting = engine.set_aside.waiting()
            await engine.retry()
            await engine.store()
            await engine.tables.settle()
            if waiting:
                await closings.reopen(connection, self._key, min(entry.position for entry in waiting))
            await connection.execute(
                """
                UPDATE generations SET next_component = $3, revision = revision + 1 WHERE ledger = $1 AND generation = $2
                """,
                *self._key, engine.next_component,
            )  # fmt: skip
        return len(waiting), len(engine.set_aside.waiting())


def spare_the_collector() -> None:
    """Let Python look for garbage less often: a projector makes many short-lived objects and keeps many long-lived ones."""
    gc.set_threshold(50_000, 50, 1000)


async def take(
    pool: asyncpg.Pool,
    ledger: Ledger,
    holder: str,
    lease_seconds: float,
    generation: int | None = None,
    *,
    force: bool = False,
) -> Projector | None:
    """Take the lease of a generation (default: the serving one), with `force` even from whoever holds it.

    None while somebody else holds it, and for a generation that was made by other definitions than this code has: to go on
    with it would mix the two.
    """
    row = await pool.fetchrow(
        f"""
        UPDATE generations SET holder = $2, fence = fence + 1, lease_until = now() + make_interval(secs => $3)
        WHERE ledger = $1 AND generation IN (
            SELECT generation FROM generations
            WHERE ledger = $1 AND (holder IS NULL OR holder = $2 OR lease_until < now() OR $5) AND version = $6
            AND CASE WHEN $4::integer IS NULL THEN state = 'serving' ELSE generation = $4 END
            AND state IN ('serving', 'building')
            FOR UPDATE {"" if force else "SKIP LOCKED"}
        )
        RETURNING generation, fence, checkpoint
        """,
        ledger.ledger, holder, lease_seconds, generation, force, contributions.READ_MODEL_VERSION,
    )  # fmt: skip
    if row is None:
        return None
    projector = Projector(pool, ledger, row[0], row[1], lease_seconds)
    projector.checkpoint = row[2]
    return projector


class Fenced(NamedTuple):
    """The serving generation while nobody projects it."""

    generation: int
    fence: int
    checkpoint: int
    version: str


async def fence_off(pool: asyncpg.Pool, ledger: Ledger, holder: str, lease_seconds: float) -> Fenced:
    """Take the serving generation's lease from whoever has it, whichever release made it, so that it stands still."""
    row = await pool.fetchrow(
        """
        UPDATE generations SET holder = $2, fence = fence + 1, lease_until = now() + make_interval(secs => $3)
        WHERE ledger = $1 AND state = 'serving' RETURNING generation, fence, checkpoint, version
        """,
        ledger.ledger, holder, lease_seconds,
    )  # fmt: skip
    if row is None:
        raise LookupError(f"ledger {ledger.name} has no read models")
    return Fenced(*row)


async def release(pool: asyncpg.Pool, holder: str) -> None:
    """Give back every lease of a holder, so that another worker need not wait for it to run out."""
    await pool.execute("UPDATE generations SET holder = NULL, lease_until = '-infinity' WHERE holder = $1", holder)
