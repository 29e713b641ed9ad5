"""Secrets at rest: encrypted with a master key that the environment has, or the data directory, and the database never sees.

`CAMPAIGN_LEDGER_MASTER_KEY` is a Fernet key, or several divided by commas: the first encrypts, all decrypt. So a key is
rotated by putting a new one in front, running `campaign-ledger sources rekey`, and taking the old one away.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

NAME = "CAMPAIGN_LEDGER_MASTER_KEY"


class MasterKeyError(RuntimeError):
    """There is no master key, or not the right one; the text says what to do."""


class Vault:
    """Encrypts and decrypts with the master key; without one, every use says that it is missing."""

    def __init__(self, master_key: str | None) -> None:
        self._keys = master_key
        self._fernet = _fernet(master_key) if master_key else None

    @property
    def is_open(self) -> bool:
        """Whether there is a master key at all."""
        return self._fernet is not None

    @property
    def keys(self) -> str:
        """The master keys, as the environment has them."""
        return self._keys or ""

    def lock(self, plain: bytes) -> bytes:
        """Encrypt."""
        return self._key().encrypt(plain)

    def unlock(self, token: bytes) -> bytes:
        """Decrypt; MasterKeyError if another key has encrypted this."""
        try:
            return self._key().decrypt(token)
        except InvalidToken:
            raise MasterKeyError(f"this was encrypted with another master key: add that one to {NAME}") from None

    def relock(self, token: bytes) -> bytes:
        """Encrypt anew with the first key."""
        try:
            return self._key().rotate(token)
        except InvalidToken:
            raise MasterKeyError(f"this was encrypted with another master key: add that one to {NAME}") from None

    def _key(self) -> MultiFernet:
        if self._fernet is None:
            raise MasterKeyError(
                f"{NAME} is not set: without it no secret can be kept; `campaign-ledger sources key` makes one"
            )
        return self._fernet


def new_key() -> str:
    """Return a new master key."""
    return Fernet.generate_key().decode()


def kept_in(directory: Path) -> str:
    """Return the master key that a data directory has, made when it is first needed; only its owner may read it."""
    place = directory / "master.key"
    if not place.exists():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=directory, prefix="master.key-", delete=False) as made:
            made.write(new_key())
            made.flush()
            os.fsync(made.fileno())
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(made.name, place)
        Path(made.name).unlink()
    return place.read_text(encoding="ascii").strip()


def _fernet(keys: str) -> MultiFernet:
    try:
        return MultiFernet([Fernet(one.strip()) for one in keys.split(",")])
    except ValueError:
        raise MasterKeyError(
            f"{NAME} is not a key (32 bytes in URL-safe base64): `campaign-ledger sources key` makes one"
        ) from None
