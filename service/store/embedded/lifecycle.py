"""The life of a server: started by its owner, started again if it ends by itself, and stopped with its owner."""

import atexit
import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from service.store.embedded import cluster, owner, postmaster, server_log, sockets
from service.store.embedded.programs import end
from service.store.embedded.server_log import EmbeddedStartError

_TRIM_SECONDS = 60.0
_GLANCE = 0.1  # seconds between looks for whether the server runs


class EmbeddedServer:
    """A running server. Stop it with `stop`, or leave its `with` block; if its owner dies, it shuts down by itself.

    If it ends by itself – killed, or for lack of room on the disk – it is started again, with the same dsn.
    """

    def __init__(
        self, data_dir: Path, socket_dir: Path, process: subprocess.Popen[bytes], undo: contextlib.ExitStack, timeout: float,
        ended: Callable[[Exception], float], runs: Callable[[], None],
    ) -> None:  # fmt: skip
        self.data_dir = data_dir
        self.dsn = sockets.dsn(socket_dir)
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
        end(self._process)
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
                    server_log.trim(self.data_dir / "server.log")
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may do better
                if self._process.poll() is not None:
                    pause = max(pause, self._ended(error))

    def _start_again(self) -> None:
        for left in self._socket_dir.iterdir():  # nobody listens there: its server was our child, and has been reaped
            left.unlink()
        give_up = time.monotonic() + self._timeout
        self._process = postmaster.launch(self.data_dir, self._socket_dir, self._timeout, give_up, self._stopped)


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
            socket_dir, process = _start_held(data_dir, owner.hold(data_dir, undo, patience), startup_timeout, undo)
            return EmbeddedServer(data_dir, socket_dir, process, undo.pop_all(), startup_timeout, ended, runs)
    except OSError as error:
        raise EmbeddedStartError(
            f"Cannot use the data directory {data_dir}: {error}. {server_log.advice(data_dir)}"
        ) from error


def _start_held(
    data_dir: Path, lock: int, timeout: float, undo: contextlib.ExitStack
) -> tuple[Path, subprocess.Popen[bytes]]:
    """Start the server of a directory that we hold; return its socket directory and its process."""
    pid, files = str(os.getpid()), data_dir / "cluster"
    for left in owner.noted(lock)[1:2]:  # by a killed owner
        sockets.remove_stray(Path(left))
    owner.note(lock, pid)
    server_log.trim(data_dir / "server.log")
    if not files.exists():
        cluster.create(data_dir)
    cluster.check_version(files)
    give_up = time.monotonic() + timeout
    postmaster.await_end_of_predecessor(files, give_up)
    socket_dir = sockets.new_socket_dir(data_dir)
    undo.callback(shutil.rmtree, socket_dir, ignore_errors=True)
    owner.note(lock, pid, str(socket_dir))
    server = postmaster.launch(data_dir, socket_dir, timeout, give_up)
    undo.callback(end, server)
    cluster.create_database(data_dir, socket_dir, timeout)
    owner.note(lock, pid, str(socket_dir), "ready")
    return socket_dir, server
