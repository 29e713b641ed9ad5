"""Sources: the sending systems of a ledger, with their secrets encrypted."""

from __future__ import annotations

import hashlib
import secrets as random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
import msgspec

from service.store import audit
from service.store.rows import encode_json
from service.store.vault import Vault

_COLUMNS = (
    "ledger, source, kind, name, secrets, secrets_at, credentials, path_hash, mapping, rate_per_minute, retention_days,"
    " created_at, updated_at"
)


class Stored(NamedTuple):
    """A source as it is stored: `secrets` and `credentials` encrypted, `mapping` as JSON."""

    ledger: int
    source: str
    kind: str
    name: str
    secrets: list[bytes]
    secrets_at: list[datetime]
    credentials: bytes | None
    path_hash: bytes | None
    mapping: str
    rate_per_minute: int | None
    retention_days: int | None
    created_at: datetime
    updated_at: datetime

    def opened(self, vault: Vault) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the secrets and the credentials."""
        credentials = msgspec.json.decode(vault.unlock(self.credentials)) if self.credentials else {}
        return tuple(vault.unlock(one).decode() for one in self.secrets), credentials


class Change(NamedTuple):
    """What may be changed of a source; None leaves it as it is."""

    secrets: Sequence[str] | None = None
    credentials: Mapping[str, str] | None = None
    mapping: Mapping[str, object] | None = None
    rate_per_minute: int | None = None
    retention_days: int | None = None


# A new source. DO NOTHING, so that a name that is taken is told apart from a fault.
_CREATE = f"""
    INSERT INTO sources (ledger, source, kind, name, secrets, secrets_at, credentials, path_hash, mapping,
                         rate_per_minute, retention_days)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
"""

# All of a source that can be changed, at once; nothing if it was closed meanwhile.
_CHANGE = f"""
    UPDATE sources SET secrets = $3, secrets_at = $4, credentials = $5, path_hash = $6, mapping = $7,
           rate_per_minute = $8, retention_days = $9, updated_at = now()
    WHERE ledger = $1 AND source = $2 AND deleted_at IS NULL RETURNING {_COLUMNS}
"""

# A source is closed: the row stays for its name, which events carry, and nothing secret stays in it.
_DELETE = """
    UPDATE sources SET deleted_at = now(), secrets = '{}', secrets_at = '{}', credentials = NULL, path_hash = NULL
    WHERE ledger = $1 AND source = $2 AND deleted_at IS NULL
"""

_OF_LEDGER = f"SELECT {_COLUMNS} FROM sources WHERE ledger = $1 AND deleted_at IS NULL ORDER BY name"

# A source by its id alone, as a hook's URL has it, or of a ledger.
_ONE = f"""
    SELECT {_COLUMNS} FROM sources WHERE source = $1 AND ledger = coalesce($2, ledger) AND (deleted_at IS NULL OR $3)
"""

# What is encrypted of the sources changed last, and how many there are: enough to see whether the master key is the right one.
_LOCKED = """
    SELECT secrets, credentials, count(*) OVER () FROM sources WHERE deleted_at IS NULL ORDER BY updated_at DESC LIMIT 1000
"""

# The secrets of all sources, locked: a secret that is changed while they are encrypted anew would else be overwritten with the
# one before.
_ALL_SECRETS = "SELECT ledger, source, secrets, credentials FROM sources FOR UPDATE"

_RELOCK = "UPDATE sources SET secrets = $3, credentials = $4 WHERE ledger = $1 AND source = $2"

# The heads of the inbox, not locked, since intake goes on meanwhile. One that was forgotten meanwhile stays forgotten.
_ALL_HEADS = "SELECT ledger, delivery, head FROM deliveries WHERE head IS NOT NULL"

_RELOCK_HEAD = "UPDATE deliveries SET head = $3 WHERE ledger = $1 AND delivery = $2 AND head IS NOT NULL"


def path_hash(secret: str) -> bytes:
    """Return what is stored of a secret in a path."""
    return hashlib.sha256(secret.encode()).digest()


def new_path_secret() -> str:
    """Return a secret that stands well in a path."""
    return random.token_urlsafe(24)


async def create(
    pool: asyncpg.Pool, vault: Vault, ledger: int, kind: str, name: str, first: Change, path_secret: str | None
) -> Stored:
    """Create a source under an unguessable id; ValueError if its name is taken, even by a deleted one."""
    locked = [vault.lock(one.encode()) for one in first.secrets or ()]
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            _CREATE, ledger, f"src_{random.token_urlsafe(24)}", kind, name, locked, [datetime.now(UTC)] * len(locked),
            vault.lock(encode_json(first.credentials)) if first.credentials else None,
            path_hash(path_secret) if path_secret else None, encode_json(first.mapping or {}).decode(),
            first.rate_per_minute, first.retention_days,
        )  # fmt: skip
        if row is None:
            raise ValueError(
                f"name: expected one of its own, there is or was a source named {name!r}, and events carry that name"
            )
        made = Stored(*row)
        await audit.note(connection, ledger, "source.created", made.source, kind=kind, name=name)
    return made


async def change(pool: asyncpg.Pool, vault: Vault, stored: Stored, wanted: Change, path_secret: str | None) -> Stored:
    """Change a source. Secrets that stay keep their date."""
    locked, dates = stored.secrets, stored.secrets_at
    if wanted.secrets is not None:
        known = {vault.unlock(one).decode(): (one, at) for one, at in zip(locked, dates, strict=True)}
        pairs = [known.get(one) or (vault.lock(one.encode()), datetime.now(UTC)) for one in wanted.secrets]
        locked, dates = [one for one, _ in pairs], [at for _, at in pairs]
    credentials = stored.credentials
    if wanted.credentials is not None:
        credentials = vault.lock(encode_json(wanted.credentials)) if wanted.credentials else None
    given = [name for name, value in wanted._asdict().items() if value is not None]
    changed = [*given, "path_secret"] if path_secret else given
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            _CHANGE, stored.ledger, stored.source, locked, dates, credentials,
            path_hash(path_secret) if path_secret else stored.path_hash,
            stored.mapping if wanted.mapping is None else encode_json(wanted.mapping).decode(),
            wanted.rate_per_minute or stored.rate_per_minute, wanted.retention_days or stored.retention_days,
        )  # fmt: skip
        if row is None:
            raise LookupError(f"there is no source {stored.source}")
        await audit.note(connection, stored.ledger, "source.changed", stored.source, name=stored.name, changed=changed)
    return Stored(*row)


async def delete(pool: asyncpg.Pool, ledger: int, source: str) -> bool:
    """Close a source and forget its secrets. What it gave stays, and so does its name."""
    async with pool.acquire() as connection, connection.transaction():
        done = bool(await connection.execute(_DELETE, ledger, source) == "UPDATE 1")
        if done:
            await audit.note(connection, ledger, "source.deleted", source)
    return done


async def of_ledger(pool: asyncpg.Pool, ledger: int) -> list[Stored]:
    """Return the sources of a ledger by name."""
    rows = await pool.fetch(_OF_LEDGER, ledger)
    return [Stored(*row) for row in rows]


async def locked(pool: asyncpg.Pool) -> tuple[int, set[bytes]]:
    """Return how many sources there are, and what is encrypted of those that were changed last."""
    rows = await pool.fetch(_LOCKED)
    tokens = {one for secrets, credentials, _ in rows for one in (*secrets, credentials) if one}
    return (rows[0][2] if rows else 0), tokens


async def one(pool: asyncpg.Pool, source: str, ledger: int | None = None, *, deleted: bool = False) -> Stored | None:
    """Return a source by its id (of a ledger, where that is known); with `deleted`, even if it is."""
    row = await pool.fetchrow(_ONE, source, ledger, deleted)
    return Stored(*row) if row else None


async def rekey(pool: asyncpg.Pool, vault: Vault) -> int:
    """Encrypt the secrets of all sources and the heads of the inbox with the first master key; return how many."""
    count = 0
    async with pool.acquire() as connection, connection.transaction():
        for row in await connection.fetch(_ALL_SECRETS):
            locked = [vault.relock(one) for one in row["secrets"]]
            credentials = vault.relock(row["credentials"]) if row["credentials"] else None
            await connection.execute(_RELOCK, row["ledger"], row["source"], locked, credentials)
            count += len(locked) + bool(credentials)
        async for row in connection.cursor(_ALL_HEADS):
            await connection.execute(_RELOCK_HEAD, row["ledger"], row["delivery"], vault.relock(row["head"]))
            count += 1
    return count
