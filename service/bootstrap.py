"""Puts the parts together: database (embedded or by URL), migrations, the way in, and the projector in its own thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from service import telemetry
from service.intake import outgoing
from service.intake.acceptance import Intake
from service.intake.decoding import Limits
from service.intake.hooks import Hooks
from service.intake.translator import Translator
from service.projections.reports import bi_views
from service.projections.worker import Worker
from service.settings import Settings
from service.store import bi, database, embedded, faults, ledgers, migrate, quarantine, sessions, vault
from service.store.log.group_commit import Appender
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects
from service.store.uses import Uses
from service.store.vault import Vault
from service.store.watch import Watch
from service.supervision import Parts

_log = telemetry.logger("service")
DEFAULT_LEDGER = "default"
_T = TypeVar("_T")
_CONNECTIONS_KEPT = 3  # of the pool, from reads: to store events, look keys up, and answer /readyz
_SETTLING_SECONDS = 600.0  # between looks for what has left the quarantine
_ERASING_SECONDS = 2.0  # between looks for erasures that came by another way
_STARTING_SECONDS = 120.0  # that a command waits for a service that is starting: the first time takes longest
_HELD_SECONDS = 15.0  # that a service waits for a command, or for a service that is ending
_USES_SECONDS = 2.0  # between writes of when keys and sessions were used
_LAST_SECONDS = 10.0  # that the translator has to finish what it has in hand


class Service:
    """One running service: what routes and commands work with."""

    def __init__(
        self, settings: Settings, pool: asyncpg.Pool, appender: Appender, wake: Callable[[int], None] | None = None,
        parts: Parts | None = None,
    ) -> None:  # fmt: skip
        self._wake = wake
        self.parts = parts or Parts()
        self.settings = settings
        self.pool = pool
        self.appender = appender
        self.vault = vault_of(settings)
        self.subjects = Subjects(pool, self.vault)
        self.eraser = Eraser(pool, self.subjects)
        self.intake = Intake(pool, appender, Limits(settings.max_json_depth, settings.max_string_length), self.eraser)
        self.outgoing = outgoing.GuardedTransport(settings.private_hosts)
        self.translator = Translator(pool, self.intake, self.vault, settings, self.outgoing, self.parts)
        self.watch = Watch(pool, self.parts)
        self.hooks = Hooks(pool, self.vault, settings, self.translator.wake)
        self.newest_migration = migrate.newest()
        self.uses = Uses(pool)
        self.session_life = sessions.Lifetime(
            timedelta(minutes=settings.session_idle_minutes), timedelta(hours=settings.session_hours)
        )

    @property
    def reads_at_once(self) -> int:
        """How many reads may be worked out at a time: never so many that nothing is left to store events with."""
        return max(1, min(self.settings.reads_at_once, self.settings.pool_size - _CONNECTIONS_KEPT))

    def appended(self) -> None:
        """Wake the projector of this process: another process has appended."""
        if self._wake:
            self._wake(0)

    @asynccontextmanager
    async def translating(self) -> AsyncIterator[None]:
        """Translate what senders post while the block lasts; without a master key no sender can post."""
        task = asyncio.create_task(self.translator.run()) if self.vault.is_open else None
        watching = asyncio.create_task(self.watch.run())
        settling = asyncio.create_task(self.parts.beside("quarantine").repeat(self._settle))
        noting = asyncio.create_task(self.parts.beside("uses of keys").repeat(self._note_uses))
        erasing = asyncio.create_task(self.parts.beside("erasing").repeat(self._erase))
        try:
            yield
        finally:
            watching.cancel()
            settling.cancel()
            noting.cancel()
            erasing.cancel()
            await asyncio.gather(watching, settling, noting, erasing, return_exceptions=True)
            with suppress(Exception):  # without its database, the service ends all the same
                await database.within(_LAST_SECONDS, self.uses.write())
            self.translator.stop()
            if task and not (await asyncio.wait({task}, timeout=_LAST_SECONDS))[0]:
                task.cancel()  # it waits for a sender's API; what it has in hand is done again
                await asyncio.wait({task})
            await self.outgoing.aclose()

    async def _settle(self) -> float:
        """Note what has left the quarantine, and drop what left it long ago."""
        await quarantine.settle(self.pool, self.settings.quarantine_days)
        await sessions.forget(self.pool, self.session_life)
        return _SETTLING_SECONDS

    async def _note_uses(self) -> float:
        """Write when keys and sessions were used."""
        await self.uses.write()
        return _USES_SECONDS

    async def _erase(self) -> float:
        """Forget whom events erase that came otherwise, or while something of them was under way."""
        await self.eraser.step()
        return _ERASING_SECONDS


def vault_of(settings: Settings) -> Vault:
    """Return what encrypts at rest: by the master key of the environment, and the embedded database's own."""
    keys = [settings.master_key.get_secret_value()] if settings.master_key else []
    if settings.database_url is None:
        keys.append(vault.kept_in(settings.data_dir or embedded.default_data_dir()))
    return Vault(",".join(keys) or None)


def _tell_of_waiting(process: str) -> None:
    _log.info("waiting for the service that is starting", process=process)


@contextmanager
def database_of(settings: Settings, *, own: bool = False, parts: Parts | None = None) -> Iterator[str]:
    """Give the URL of the database: the one set, else the embedded server's, started here and stopped at the end.

    A command beside a running service uses that service's server, and waits for one that is just starting; `own` refuses to
    (DataDirectoryHeldError), unless the other one is a command that ends in a moment. An embedded
    server that ends by itself is started again; `parts` tells of it.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    data_dir: Path = settings.data_dir or embedded.default_data_dir()
    part = (parts or Parts())["embedded PostgreSQL"]
    while True:
        if not own and (running := embedded.attach(data_dir, _STARTING_SECONDS, _tell_of_waiting)) is not None:
            yield running
            return
        try:
            server = embedded.start(
                data_dir, patience=_HELD_SECONDS if own else 0.5, ended=part.failed, runs=part.works
            )
            break
        except embedded.DataDirectoryHeldError:
            if own:
                raise  # else another process was faster, and is waited for
    try:
        asyncio.run(migrate.migrate(server.dsn))
        yield server.dsn
    finally:
        server.stop()


@asynccontextmanager
async def opened(
    settings: Settings, dsn: str, *, projector: bool, appended: Callable[[int], None] | None = None,
    parts: Parts | None = None,
) -> AsyncIterator[Service]:  # fmt: skip
    """Open the service on a migrated database; with `projector`, read models are kept up to date in a thread.

    `appended` is told of each commit, for a projector elsewhere; `parts` are told of what goes and comes back.
    """
    parts = parts or Parts()
    pool = await database.connect(dsn, size=settings.pool_size, statement_timeout=settings.statement_timeout)
    thread = _ProjectorThread(Projection(dsn, settings, parts)) if projector else None
    appender = _appender(settings, pool, thread.wake if thread else appended)
    try:
        await _check_migrated(pool)
        await _bootstrap_key(pool, settings)
        if await bi.are_read(pool):
            async with pool.acquire() as connection, connection.transaction():
                await bi.define(connection, bi_views.views(), bi_views.fingerprint())
        if thread:
            await asyncio.to_thread(thread.start)
        service = Service(settings, pool, appender, thread.wake if thread else None, parts)
        async with service.translating():
            yield service
    finally:
        await appender.close()
        if thread:
            await asyncio.to_thread(thread.stop)
        await database.close(pool)


@asynccontextmanager
async def beside(settings: Settings, dsn: str) -> AsyncIterator[Service]:
    """Open a service on a migrated database for one command: it works only at what it is asked."""
    pool = await database.connect(dsn, size=settings.pool_size, statement_timeout=settings.statement_timeout)
    appender = _appender(settings, pool)
    try:
        await _check_migrated(pool)
        service = Service(settings, pool, appender)
        try:
            yield service
        finally:
            await service.outgoing.aclose()
    finally:
        await appender.close()
        await database.close(pool)


def _appender(
    settings: Settings, pool: asyncpg.Pool, appended: Callable[[int], None] | None = None
) -> Appender:  # fmt: skip
    return Appender(
        pool,
        queue_events=settings.append_queue_events,
        queue_bytes=settings.append_queue_bytes,
        batch_events=settings.append_batch_events,
        appended=appended,
    )


async def _check_migrated(pool: asyncpg.Pool) -> None:
    at, newest = await database.head_of_migrations(pool), migrate.newest()
    if at != newest:
        raise RuntimeError(
            f"the database is at migration {at}, this version needs {newest}: run `campaign-ledger migrate`"
        )


async def _bootstrap_key(pool: asyncpg.Pool, settings: Settings) -> None:
    """Put the key that the environment asks for in force, with all scopes on the ledger `default`."""
    if settings.bootstrap_key is None:
        return
    ledger = await ledgers.ledger_named(pool, DEFAULT_LEDGER)
    if ledger is None:
        try:
            ledger = await ledgers.create_ledger(pool, DEFAULT_LEDGER)
        except ValueError:  # another process was faster
            ledger = await ledgers.ledger_named(pool, DEFAULT_LEDGER)
            if ledger is None:
                raise
    if not await ledgers.bootstrap_key(pool, ledger, settings.bootstrap_key):
        _log.error("the key in CAMPAIGN_LEDGER_BOOTSTRAP_KEY was revoked and opens nothing: set another one")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run on the fastest event loop there is."""
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415  not to be had on Windows

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_exception_handler(_tell)
        return runner.run(work)


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell of an error that nobody waits for; not of those in which the driver drops what a lost connection had under way."""
    error = context.get("exception")
    if error is None or not faults.is_fault(error):
        loop.default_exception_handler(context)


class Projection:
    """A worker with connections of its own, and another one whenever that ends before `stop`."""

    def __init__(self, dsn: str, settings: Settings, parts: Parts, *, watches: bool = False) -> None:
        """With `watches`, it also watches over the database: nothing else in this process does."""
        self._watches = watches
        self._dsn = dsn
        self._settings = settings
        self._parts = parts
        self._worker: Worker | None = None
        self._stopping = False

    async def run(self, begun: Callable[[Worker], None] = lambda _: None) -> None:
        """Project until `stop`; `begun` is called with each worker when it is ready."""

        async def work() -> float:
            pool = await database.connect(
                self._dsn, size=10, statement_timeout=max(self._settings.statement_timeout, 600.0)
            )
            watching = asyncio.create_task(Watch(pool, self._parts).run()) if self._watches else None
            try:
                self._worker = Worker(pool, self._settings, self._parts)
                if self._stopping:
                    self._worker.stop()
                begun(self._worker)
                await self._worker.run()
            finally:
                self._worker = None
                if watching:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
                await database.close(pool)
            return 0.0

        await self._parts["projector"].repeat(work, stopped=lambda: self._stopping)

    def wake(self) -> None:
        """Say that events were appended; may be called from any thread."""
        if worker := self._worker:
            worker.wake()

    def stop(self) -> None:
        """Finish the batch in hand and end; may be called from any thread."""
        self._stopping = True
        if worker := self._worker:
            worker.stop()


class _ProjectorThread:
    """The projector beside the API in one process: its own thread, event loop and connections."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._main, name="projector", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._started.wait(30)

    def wake(self, _: int) -> None:
        self._projection.wake()

    def stop(self) -> None:
        self._projection.stop()
        if self._thread.is_alive():  # neither ended, nor never begun
            self._thread.join(30)

    def _main(self) -> None:
        run(self._projection.run(lambda _: self._started.set()))
