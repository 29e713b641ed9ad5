"""What the server says: its log, kept small, and the error that shows the end of it and says what to do."""

import contextlib
import os
import shutil
from pathlib import Path

_LOG_LIMIT = 4 << 20
_FULL_DISK = 64 << 20


class EmbeddedStartError(RuntimeError):
    """The server cannot run; the message has the end of its log and what to do."""


def size(path: Path) -> int:
    """Return the size of a file in bytes; 0 if there is none yet."""
    return path.stat().st_size if path.exists() else 0


def trim(log: Path) -> None:
    """Begin a log anew that has become long, and keep what it was as server.log.1."""
    if size(log) > _LOG_LIMIT:
        with contextlib.suppress(OSError):  # on a full disk the truncation alone is the better half
            shutil.copyfile(log, log.with_name("server.log.1"))
        os.truncate(log, 0)  # the server appends, hence goes on at the new end


def failure(data_dir: Path, log_start: int, what: str) -> EmbeddedStartError:
    """Return the error for what went wrong, with what the server has said since `log_start` (bytes into its log)."""
    log = data_dir / "server.log"
    last = log.read_bytes()[log_start:].decode(errors="replace").splitlines()[-12:]
    return EmbeddedStartError("\n".join([f"{what}. {advice(data_dir)} The end of {log}:", *last]))


def advice(data_dir: Path) -> str:
    """Say what to do about a data directory that cannot be used."""
    free = shutil.disk_usage(next(path for path in (data_dir, *data_dir.parents) if path.is_dir())).free
    if free < _FULL_DISK:
        return f"The disk is full ({free >> 20} MiB free): make room, or choose another data directory."
    return "Make sure that this user may write there, or choose another data directory, or give a database URL."
