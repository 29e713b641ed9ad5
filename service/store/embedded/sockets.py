"""The socket: the only way in, in a directory that only its owner may enter, and the database URL that leads there."""

import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

DATABASE = "campaign_ledger"
_PATH_LIMIT = 103  # bytes; Linux has 107, macOS 103
_STRAY_PREFIX = "campaign-ledger-"


def dsn(socket_dir: Path) -> str:
    """Return the URL of our database for clients."""
    return f"postgresql://postgres@/{DATABASE}?host={quote(str(socket_dir))}"


def new_socket_dir(data_dir: Path) -> Path:
    """Make an empty directory for the socket: in the data directory, or below the temp directory if that path does not fit."""
    near = data_dir / "socket"
    path = str(near / ".s.PGSQL.5432")
    # Clients split host lists at commas and colons, so that a path must be plain as well as short.
    if len(path) > _PATH_LIMIT or not re.fullmatch(r"[\w./+~-]+", path, re.ASCII):
        return Path(tempfile.mkdtemp(prefix=_STRAY_PREFIX))
    if near.exists():
        shutil.rmtree(near)
    near.mkdir(mode=0o700)
    return near


def remove_stray(socket_dir: Path) -> None:
    """Remove what a killed owner has left below the temp directory; one in the data directory is made anew anyway."""
    if socket_dir.name.startswith(_STRAY_PREFIX):
        shutil.rmtree(socket_dir, ignore_errors=True)
