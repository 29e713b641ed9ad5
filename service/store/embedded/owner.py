"""Whose data directory it is: a file that its owner holds locked for its whole life, and in it how to reach the server.

The kernel gives the lock back however the owner ends. A pid in a file would prove nothing: after a reboot, or in a new
container, it is some other process.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from service.store.embedded.sockets import dsn

_GLANCE = 0.1  # seconds between looks for whether the owner is ready


class DataDirectoryHeldError(RuntimeError):
    """Another living process owns the data directory; the message says which."""


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
                return dsn(Path(socket_dir))
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
        return noted(lock)
    finally:
        os.close(lock)
    return None


def hold(data_dir: Path, undo: contextlib.ExitStack, patience: float) -> int:
    """Lock the owner's file and return it; DataDirectoryHeldError if another process still holds it after so many seconds.

    Two servers on the same files would destroy them. `patience` is at least as long as an `attach` elsewhere holds the lock
    for the instant in which it looks.
    """
    lock = os.open(data_dir / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    undo.callback(os.close, lock)
    give_up = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                owner = next(iter(noted(lock)), "(unknown)")
                what_to_do = "Stop that process, or choose another data directory."
                raise DataDirectoryHeldError(f"Process {owner} holds {data_dir}. {what_to_do}") from None
            time.sleep(0.02)
        else:
            undo.callback(os.ftruncate, lock, 0)
            return lock


def note(lock: int, *lines: str) -> None:
    """Write into the owner's file: our pid, then the socket directory, then "ready"."""
    text = os.fsencode("\n".join(lines))
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))


def noted(lock: int) -> list[str]:
    """Return the lines that an owner has written, this one or one before it."""
    return os.fsdecode(os.pread(lock, 1 << 16, 0)).splitlines()
