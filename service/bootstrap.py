"""Puts the parts together: database (embedded or by URL), migrations, the way in, and the projector in its own thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from service import telemetry
from service.intake import outgoing
from service.intake.acceptance import Intake
from service.intake.decoding import Limits
from service.intake.hooks import Hooks
from service.intake.translator import Translator
from service.projections.worker import Worker
from service.settings import Settings
from service.store import database, embedded, ledgers, log, migrate
from service.store.vault import Vault

_log = telemetry.logger("service")
DEFAULT_LEDGER = "default"
_T = TypeVar("_T")
_CONNECTIONS_KEPT = 3  # of the pool, from reads: to store events, look keys up, and answer /readyz
_LAST_SECONDS = 10.0  # that the translator has to finish what it has in hand


class Service:
    """One running service: what routes and commands work with."""

    def __init__(
        self, settings: Settings, pool: asyncpg.Pool, appender: log.Appender, wake: Callable[[int], None] | None = None
    ) -> None:
        self._wake = wake
        self.settings = settings
        self.pool = pool
        self.appender = appender
        self.vault = Vault(settings.master_key.get_secret_value() if settings.master_key else None)
        self.intake = Intake(pool, appender, Limits(settings.max_json_depth, settings.max_string_length))
        self.outgoing = outgoing.GuardedTransport(settings.private_hosts)
        self.translator = Translator(pool, self.intake, self.vault, settings, self.outgoing)
        self.hooks = Hooks(pool, self.vault, settings, self.translator.wake)
        self.newest_migration = migrate.newest()

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
        try:
            yield
        finally:
            self.translator.stop()
            if task and not (await asyncio.wait({task}, timeout=_LAST_SECONDS))[0]:
                task.cancel()  # it waits for a sender's API; what it has in hand is done again
                await asyncio.wait({task})
            await self.outgoing.aclose()


@contextmanager
def database_of(settings: Settings, *, own: bool = False) -> Iterator[str]:
    """Give the URL of the database: the one set, else the embedded server's, started here and stopped at the end.

    A command beside a running service uses that service's server; `own` refuses to (DataDirectoryHeldError).
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    data_dir: Path = settings.data_dir or embedded.default_data_dir()
    running = None if own else embedded.attach(data_dir)
    if running is not None:
        yield running
        return
    server = embedded.start(data_dir)
    try:
        asyncio.run(migrate.migrate(server.dsn))
        yield server.dsn
    finally:
        server.stop()


@asynccontextmanager
async def opened(
    settings: Settings, dsn: str, *, projector: bool, appended: Callable[[int], None] | None = None
) -> AsyncIterator[Service]:
    """Open the service on a migrated database; with `projector`, read models are kept up to date in a thread.

    `appended` is told of each commit, for a projector elsewhere.
    """
    pool = await database.connect(dsn, size=settings.pool_size, statement_timeout=settings.statement_timeout)
    thread = _ProjectorThread(dsn, settings) if projector else None
    appender = log.Appender(
        pool,
        queue_events=settings.append_queue_events,
        queue_bytes=settings.append_queue_bytes,
        batch_events=settings.append_batch_events,
        appended=thread.wake if thread else appended,
    )
    try:
        await _check_migrated(pool)
        await _bootstrap_key(pool, settings)
        if thread:
            await asyncio.to_thread(thread.start)
        service = Service(settings, pool, appender, thread.wake if thread else None)
        async with service.translating():
            yield service
    finally:
        await appender.close()
        if thread:
            await asyncio.to_thread(thread.stop)
        await pool.close()


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
        return runner.run(work)


class _ProjectorThread:
    """The projector beside the API in one process: its own thread, event loop and connections."""

    def __init__(self, dsn: str, settings: Settings) -> None:
        self._dsn = dsn
        self._settings = settings
        self._worker: Worker | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._main, name="projector", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._started.wait(30)

    def wake(self, _: int) -> None:
        if self._worker:
            self._worker.wake()

    def stop(self) -> None:
        if not self._thread.is_alive():  # ended, or never begun
            return
        if self._worker:
            self._worker.stop()
        self._thread.join(30)

    def _main(self) -> None:
        try:
            run(run_worker(self._dsn, self._settings, self._begun))
        except Exception as error:  # noqa: BLE001  the thread's last word
            _log.error("the projector has ended", exc_info=error)
        finally:
            self._started.set()

    def _begun(self, worker: Worker) -> None:
        self._worker = worker
        self._started.set()


async def run_worker(dsn: str, settings: Settings, begun: object) -> None:
    """Run a worker until it is stopped; `begun` is called with it when it is ready."""
    pool = await database.connect(dsn, size=10, statement_timeout=max(settings.statement_timeout, 600.0))
    try:
        worker = Worker(pool, settings)
        if callable(begun):
            begun(worker)
        await worker.run()
    finally:
        await pool.close()
