"""Files that are uploaded to be imported: kept in a folder of this machine until they are in, a day at most.

Each upload has a folder of its own under a random name, with the file, its mapping, and how far it has come. So every process
of this machine can show it, and whoever comes back to its page finds it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from service.store.ledgers import Ledger

_KEPT_SECONDS = 86_400.0
_STALLED_SECONDS = 30.0  # without a sign of life, whoever imported it is gone
_LONGEST_NAME = 150
_ID = re.compile(r"[0-9a-f]{32}")
_EVENTS = (".ndjson", ".jsonl")


class Upload:
    """An upload."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name.partition("-")[2]
        self.mapping = folder / "mapping.yaml"

    @property
    def path(self) -> Path:
        """The file."""
        return next((self.folder / "file").iterdir())

    @property
    def has_events(self) -> bool:
        """Whether its lines are events, and need no mapping."""
        return self.path.suffix.lower() in _EVENTS

    @property
    def progress(self) -> dict[str, Any] | None:
        """How far its import has come; None before it begins."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "progress.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return {**found, "stalled": not found["done"] and time.time() - found["at"] > _STALLED_SECONDS}

    def went_on(self, **told: Any) -> None:
        """Note how far its import has come."""
        fresh = self.folder / "progress.new"
        fresh.write_text(json.dumps({"at": time.time(), "done": False, **told}), encoding="utf-8")
        fresh.replace(self.folder / "progress.json")  # nobody reads half of it


def keep(ledger: Ledger, name: str, content: bytes, mapping: str) -> Upload:
    """Keep an uploaded file under its own name, by which a mapping may know it; ValueError if that is none."""
    name = Path(name.replace("\\", "/")).name.strip()
    if not name or name.startswith(".") or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ValueError("file: expected one whose name can be read, of 150 characters at most")
    _forget_old()
    folder = _place() / f"{ledger.ledger}-{secrets.token_hex(16)}"
    (folder / "file").mkdir(mode=0o700, parents=True)
    (folder / "file" / name).write_bytes(content)
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    return Upload(folder)


def find(ledger: Ledger, identity: str) -> Upload | None:
    """Return an upload of a ledger; None if there is none, or no longer."""
    folder = _place() / f"{ledger.ledger}-{identity}"
    return Upload(folder) if _ID.fullmatch(identity) and (folder / "file").is_dir() else None


def drop(upload: Upload) -> None:
    """Drop the file of an upload; how far it came stays for a day."""
    for one in (upload.folder / "file").iterdir():
        one.write_bytes(b"")


def _place() -> Path:
    owner = os.getuid() if hasattr(os, "getuid") else 0
    place = Path(tempfile.gettempdir()) / f"campaign-ledger-uploads-{owner}"
    place.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and place.stat().st_uid != owner:
        raise OSError(f"{place} belongs to somebody else")
    return place


def _forget_old() -> None:
    for folder in _place().iterdir():
        if time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
