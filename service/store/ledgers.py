"""Ledgers and their API keys. A key decides the ledger; only its SHA-256 is stored, and a prefix that may be shown."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from service.domain.contributions import LAYOUT, READ_MODEL_VERSION
from service.domain.money import MINOR_DIGITS

SCOPES = ("ingest", "read", "figures", "admin")
_OPENS = {"read": ("figures",)}  # what a scope has in it
BOOTSTRAP = "bootstrap-"  # how the id of a key from the environment begins
PREFIX = 11  # characters of a key that are shown: "cl_" and eight more


# A ledger under a new number; nothing if its name is taken.
_CREATE = "INSERT INTO ledgers (name, currency, timezone) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING ledger"

# The row that each append locks: there from the beginning, so that the first append finds it.
_CREATE_HEAD = "INSERT INTO heads (ledger) VALUES ($1)"

# The generation that serves from the beginning, with the layout of its balances.
_CREATE_GENERATION = """
    INSERT INTO generations (ledger, generation, state, version, layout) VALUES ($1, 1, 'serving', $2, $3)
"""

_LEDGERS = "SELECT ledger, name, currency, timezone FROM ledgers ORDER BY ledger"

_LEDGER_NAMED = "SELECT ledger, name, currency, timezone FROM ledgers WHERE name = $1"

_CREATE_KEY = "INSERT INTO api_keys (key_id, ledger, name, hash, scopes) VALUES ($1, $2, $3, $4, $5)"

# One process at a time, until the commit: two that start at once with different keys would not see each other's, and both keys
# would stay in force.
_LOCK_BOOTSTRAP = "SELECT pg_advisory_xact_lock(hashtext('bootstrap'))"

# The key of the environment, made or found. The update changes nothing: without it, a key that is there would not be returned.
_BOOTSTRAP_KEY = """
    INSERT INTO api_keys (key_id, ledger, name, hash, scopes) VALUES ($1, $2, 'bootstrap', $3, $4)
    ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash RETURNING key_id, ledger, revoked_at
"""

# Every other key that came from the environment.
_REVOKE_OTHER_BOOTSTRAP_KEYS = f"""
    UPDATE api_keys SET revoked_at = now() WHERE ledger = $1 AND key_id LIKE '{BOOTSTRAP}%' AND key_id <> $2
    AND revoked_at IS NULL
"""

_KEYS = "SELECT key_id, name, scopes, created_at, revoked_at FROM api_keys WHERE ledger = $1 ORDER BY created_at"

_REVOKE_KEY = "UPDATE api_keys SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL"

# What a key opens, in one look-up with its ledger: this is asked for whoever presents a key that is not remembered.
_ACCESS = """
    SELECT ledger, l.name, currency, timezone, scopes, key_id FROM api_keys JOIN ledgers l USING (ledger)
    WHERE hash = $1 AND revoked_at IS NULL
"""


class Ledger(NamedTuple):
    """One customer's books: everything of it carries the number `ledger`."""

    ledger: int
    name: str
    currency: str
    timezone: str


class Key(NamedTuple):
    """An API key as it may be shown."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: object
    revoked_at: object


class Access(NamedTuple):
    """What a presented key may do, and where."""

    ledger: Ledger
    scopes: frozenset[str]
    key_id: str = ""

    def may(self, scope: str) -> bool:
        """Tell whether it opens what needs a scope."""
        return scope in self.scopes or any(scope in _OPENS.get(one, ()) for one in self.scopes)


@cache
def time_zones() -> frozenset[str]:
    """Return the names of IANA: the machine has more of its own, which mean something else on another one (localtime)."""
    listed = (files("tzdata") / "zones").read_text("utf-8").split()
    return frozenset(listed) - {"Factory"}  # stands for a zone that nobody has set


async def timezone_of(pool: asyncpg.Pool, ledger: int) -> str:
    """Return the time zone of a ledger; LookupError if there is no such ledger."""
    found: str | None = await pool.fetchval("SELECT timezone FROM ledgers WHERE ledger = $1", ledger)
    if found is None:
        raise LookupError(f"there is no ledger {ledger}")
    return found


async def create_ledger(pool: asyncpg.Pool, name: str, currency: str = "EUR", timezone: str = "UTC") -> Ledger:
    """Create a ledger with its head and its first, serving generation; ValueError says what is wrong with the input."""
    if not name or len(name) > 100:  # noqa: PLR2004  a name for people
        raise ValueError("a ledger's name has 1 to 100 characters")
    if currency not in MINOR_DIGITS:
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code such as EUR")
    if timezone not in time_zones():
        raise ValueError(f"{timezone!r} is not an IANA time zone such as Europe/Berlin")
    async with pool.acquire() as connection, connection.transaction():
        number = await connection.fetchval(_CREATE, name, currency, timezone)
        if number is None:
            raise ValueError(f"there is already a ledger named {name!r}")
        await connection.execute(_CREATE_HEAD, number)
        await connection.execute(_CREATE_GENERATION, number, READ_MODEL_VERSION, LAYOUT.as_json())
    return Ledger(number, name, currency, timezone)


async def ledgers(pool: asyncpg.Pool) -> list[Ledger]:
    """Return all ledgers by number."""
    return [Ledger(**row) for row in await pool.fetch(_LEDGERS)]


async def ledger_named(pool: asyncpg.Pool, name: str) -> Ledger | None:
    """Return the ledger of a name, if there is one."""
    row = await pool.fetchrow(_LEDGER_NAMED, name)
    return Ledger(**row) if row else None


async def create_key(pool: asyncpg.Pool, ledger: Ledger, scopes: tuple[str, ...], name: str = "") -> str:
    """Create an API key and return it: the only time that it can be seen."""
    if not scopes or (unknown := set(scopes) - set(SCOPES)):
        raise ValueError(f"scopes are {', '.join(SCOPES)}" + (f", not {', '.join(sorted(unknown))}" if scopes else ""))
    secret = "cl_" + secrets.token_urlsafe(32)
    await pool.execute(
        _CREATE_KEY, f"{secret[:PREFIX]}-{secrets.token_hex(3)}", ledger.ledger, name, hash_of(secret), list(scopes),
    )  # fmt: skip
    return secret


async def bootstrap_key(pool: asyncpg.Pool, ledger: Ledger, secret: str) -> bool:
    """Put the key of the environment in force in place of any other that came from there; False if it was revoked.

    Its id shows nothing of it, for it was not made here and may be guessed from a part. What was revoked stays so and ends no
    other: a process that starts again with the environment of yesterday changes nothing.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_LOCK_BOOTSTRAP)
        stored = await connection.fetchrow(
            _BOOTSTRAP_KEY, f"{BOOTSTRAP}{secrets.token_hex(4)}", ledger.ledger, hash_of(secret), list(SCOPES),
        )  # fmt: skip
        assert stored is not None  # noqa: S101  an upsert returns its row
        if stored["ledger"] != ledger.ledger:
            raise ValueError("the bootstrap key belongs to another ledger")
        if stored["revoked_at"] is not None:
            return False
        await connection.execute(_REVOKE_OTHER_BOOTSTRAP_KEYS, ledger.ledger, stored["key_id"])
    return True


async def keys(pool: asyncpg.Pool, ledger: Ledger) -> list[Key]:
    """Return the keys of a ledger, revoked ones too, oldest first."""
    rows = await pool.fetch(_KEYS, ledger.ledger)
    return [Key(row[0], row[1], tuple(row[2]), row[3], row[4]) for row in rows]


async def revoke_key(pool: asyncpg.Pool, key_id: str) -> bool:
    """Revoke a key by its id; False if there is no such key in force."""
    status = await pool.execute(_REVOKE_KEY, key_id)
    return bool(status == "UPDATE 1")


async def access(pool: asyncpg.Pool, secret: str) -> Access | None:
    """Return what a presented key opens; None if it opens nothing. Keys are random, so a hash look-up leaks nothing."""
    row = await pool.fetchrow(_ACCESS, hash_of(secret))
    if row is None:
        return None
    return Access(Ledger(row[0], row[1], row[2], row[3]), frozenset(row[4]), row[5])


def hash_of(secret: str) -> bytes:
    """Return what is stored of a key."""
    return hashlib.sha256(secret.encode()).digest()
