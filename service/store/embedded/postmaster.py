"""The postmaster: the options that it runs with, its start, and when it is ready."""

import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path

from service.store.embedded.programs import binary, end, spawn
from service.store.embedded.server_log import EmbeddedStartError, failure, size

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


def _pid_file(cluster: Path) -> list[str]:
    """PostgreSQL's note: pid, directory, start time, port, socket directory, address, shared memory, status."""
    try:
        return (cluster / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def await_end_of_predecessor(cluster: Path, give_up: float) -> None:
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


def launch(
    data_dir: Path, socket_dir: Path, timeout: float, give_up: float, stopped: threading.Event | None = None
) -> subprocess.Popen[bytes]:
    """Start the postmaster and return it when it is ready; `stopped` ends the attempt."""
    cluster = data_dir / "cluster"
    settings = [*_SETTINGS.split(), f"unix_socket_directories={socket_dir}"]
    command = [binary("postgres"), "-D", str(cluster), *(f"--{setting}" for setting in settings)]
    while True:
        stale, log_start = _pid_file(cluster), size(data_dir / "server.log")
        server = spawn(data_dir, [cluster, socket_dir], command, stale_pid="".join(stale[:1]))
        with contextlib.ExitStack() as undo:
            undo.callback(end, server)
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
        if (now := size(data_dir / "server.log")) != seen:
            seen, give_up = now, time.monotonic() + timeout
        if time.monotonic() > give_up or (stopped and stopped.is_set()):
            return failure(data_dir, log_start, f"PostgreSQL showed no progress for {timeout:g} s")
        time.sleep(0.005)
    return failure(data_dir, log_start, "PostgreSQL does not start")
