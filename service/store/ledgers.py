"""Ledgers and their API keys. A key decides the ledger; only its SHA-256 is stored, and a prefix that may be shown.

A key may end by itself, and may open only for some networks. When it was used first and last is written together for all keys
every so often (`uses`), not with each request.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from service.domain.contributions import LAYOUT, READ_MODEL_VERSION
from service.domain.money import MINOR_DIGITS
from service.store import audit, networks
from service.store.database import Queryable
from service.store.networks import Network

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

_KEY_COLUMNS = (
    "key_id, name, scopes, created_at, revoked_at, expires_at, addresses, first_used_at, last_used_at, last_used_from"
)

_CREATE_KEY = f"""
    INSERT INTO api_keys (key_id, ledger, name, hash, scopes, expires_at, addresses) VALUES ($1, $2, $3, $4, $5, $6, $7)
    RETURNING {_KEY_COLUMNS}
"""

# One process at a time, until the commit: two that start at once with different keys would not see each other's, and both keys
# would stay in force.
_LOCK_BOOTSTRAP = "SELECT pg_advisory_xact_lock(hashtext('bootstrap'))"

# The key of the environment, made or found. The update changes nothing: without it, a key that is there would not be returned.
_BOOTSTRAP_KEY = """
    INSERT INTO api_keys (key_id, ledger, name, hash, scopes) VALUES ($1, $2, 'bootstrap', $3, $4)
    ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash RETURNING key_id, ledger, revoked_at, xmax = 0 AS made
"""

# Every other key that came from the environment.
_REVOKE_OTHER_BOOTSTRAP_KEYS = f"""
    UPDATE api_keys SET revoked_at = now() WHERE ledger = $1 AND key_id LIKE '{BOOTSTRAP}%' AND key_id <> $2
    AND revoked_at IS NULL RETURNING key_id
"""

_KEYS = f"SELECT {_KEY_COLUMNS} FROM api_keys WHERE ledger = $1 ORDER BY created_at, key_id"

_KEY = f"SELECT {_KEY_COLUMNS} FROM api_keys WHERE ledger = $1 AND key_id = $2"

# What may be changed of a key that is in force.
_CHANGE_KEY = f"""
    UPDATE api_keys SET name = $3, expires_at = $4, addresses = $5
    WHERE ledger = $1 AND key_id = $2 AND revoked_at IS NULL RETURNING {_KEY_COLUMNS}
"""

_REVOKE_KEY = """
    UPDATE api_keys SET revoked_at = now() WHERE key_id = $1 AND ledger = coalesce($2, ledger) AND revoked_at IS NULL
    RETURNING ledger
"""

# What a key opens, in one look-up with its ledger: this is asked for whoever presents a key that is not remembered.
_ACCESS = """
    SELECT ledger, l.name, currency, timezone, scopes, key_id, expires_at, addresses
    FROM api_keys JOIN ledgers l USING (ledger) WHERE hash = $1 AND revoked_at IS NULL
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
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None
    addresses: tuple[str, ...]
    first_used_at: datetime | None
    last_used_at: datetime | None
    last_used_from: str | None

    @property
    def state(self) -> str:
        """In force, revoked or expired."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= datetime.now(UTC) else "in force"


class Access(NamedTuple):
    """What a presented key may do, and where. Of a signed-in person, `key_id` is the person, `session` the session's id."""

    ledger: Ledger
    scopes: frozenset[str]
    key_id: str = ""
    expires_at: datetime | None = None
    networks: tuple[Network, ...] = ()
    session: str | None = None
    issuer: str | None = None
    subject: str | None = None

    def has_ended(self) -> bool:
        """Tell whether its time is over."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)

    def opens_for(self, address: str | None) -> bool:
        """Tell whether it may be used from an address."""
        return not self.networks or (address is not None and networks.is_within(address, self.networks))

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
        await audit.note(connection, number, "ledger.created", name, currency=currency, timezone=timezone)
    return Ledger(number, name, currency, timezone)


async def ledgers(pool: asyncpg.Pool) -> list[Ledger]:
    """Return all ledgers by number."""
    return [Ledger(**row) for row in await pool.fetch(_LEDGERS)]


async def ledger_named(pool: asyncpg.Pool, name: str) -> Ledger | None:
    """Return the ledger of a name, if there is one."""
    row = await pool.fetchrow(_LEDGER_NAMED, name)
    return Ledger(**row) if row else None


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    """Return scopes, each once; ValueError says which there are."""
    given = sorted(set(scopes), key=lambda one: SCOPES.index(one) if one in SCOPES else len(SCOPES))
    unknown = [one for one in given if one not in SCOPES]
    if unknown or not given:
        raise ValueError(f"scopes are {', '.join(SCOPES)}" + (f", not {', '.join(unknown)}" if unknown else ""))
    return given


def _checked_end(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= datetime.now(UTC)):
        raise ValueError("expires_at: expected a time in the future, with its offset, as 2027-01-01T00:00:00Z")
    return expires_at


async def make_key(
    pool: asyncpg.Pool, ledger: Ledger, scopes: Iterable[str], name: str = "", *, expires_at: datetime | None = None,
    addresses: Iterable[str] = (),
) -> tuple[Key, str]:  # fmt: skip
    """Create an API key and return it with its secret, this only time; ValueError for what is not possible."""
    given, within, end = checked_scopes(scopes), networks.checked(addresses), _checked_end(expires_at)
    secret = "cl_" + secrets.token_urlsafe(32)
    key_id = f"{secret[:PREFIX]}-{secrets.token_hex(3)}"
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            _CREATE_KEY, key_id, ledger.ledger, name, hash_of(secret), given, end, within
        )  # fmt: skip
        await audit.note(
            connection, ledger.ledger, "key.created", key_id, name=name, scopes=given, expires_at=end,
            addresses=within or None,
        )  # fmt: skip
        assert row is not None  # noqa: S101  an insert returns its row
    return _key(row), secret


async def create_key(pool: asyncpg.Pool, ledger: Ledger, scopes: Iterable[str], name: str = "") -> str:
    """Create an API key without an end, for all addresses, and return its secret."""
    return (await make_key(pool, ledger, scopes, name))[1]


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
        revoked = await connection.fetch(_REVOKE_OTHER_BOOTSTRAP_KEYS, ledger.ledger, stored["key_id"])
        with audit.acting(audit.Actor("environment")):
            if stored["made"]:
                await audit.note(connection, ledger.ledger, "key.created", stored["key_id"], scopes=SCOPES)
            for (key_id,) in revoked:
                await audit.note(connection, ledger.ledger, "key.revoked", key_id)
    return True


async def keys(pool: asyncpg.Pool, ledger: Ledger) -> list[Key]:
    """Return the keys of a ledger, revoked ones too, oldest first."""
    return [_key(row) for row in await pool.fetch(_KEYS, ledger.ledger)]


async def key(pool: Queryable, ledger: Ledger, key_id: str) -> Key:
    """Return a key of a ledger; LookupError if there is none."""
    if (row := await pool.fetchrow(_KEY, ledger.ledger, key_id)) is None:
        raise LookupError(f"there is no key {key_id[:80]!r} in ledger {ledger.name}")
    return _key(row)


async def change_key(
    pool: asyncpg.Pool, ledger: Ledger, key_id: str, *, name: str, expires_at: datetime | None, addresses: Iterable[str]
) -> Key:  # fmt: skip
    """Give a key in force another name, end and addresses; LookupError if there is none, ValueError for what is not possible."""
    within = networks.checked(addresses)
    async with pool.acquire() as connection, connection.transaction():
        before = await key(connection, ledger, key_id)
        end = expires_at if expires_at == before.expires_at else _checked_end(expires_at)
        row = await connection.fetchrow(_CHANGE_KEY, ledger.ledger, key_id, name, end, within)
        if row is None:
            raise LookupError(f"key {key_id[:80]!r} is revoked")
        if (changed := _key(row)) != before:
            await audit.note(
                connection, ledger.ledger, "key.changed", key_id, name=name, expires_at=end, addresses=within
            )
    return changed


async def revoke_key(pool: asyncpg.Pool, key_id: str, ledger: int | None = None) -> bool:
    """Revoke a key by its id (of a ledger, where that is known); False if there is no such key in force."""
    async with pool.acquire() as connection, connection.transaction():
        found: int | None = await connection.fetchval(_REVOKE_KEY, key_id, ledger)
        if found is not None:
            await audit.note(connection, found, "key.revoked", key_id)
    return found is not None


def _key(row: asyncpg.Record) -> Key:
    return Key(**{**dict(row), "scopes": tuple(row["scopes"]), "addresses": tuple(row["addresses"])})


async def access(pool: asyncpg.Pool, secret: str) -> Access | None:
    """Return what a presented key opens; None if it opens nothing. Keys are random, so a hash look-up leaks nothing."""
    row = await pool.fetchrow(_ACCESS, hash_of(secret))
    if row is None:
        return None
    return Access(Ledger(*row[:4]), frozenset(row[4]), row[5], row[6], networks.of(row[7]))


def hash_of(secret: str) -> bytes:
    """Return what is stored of a key."""
    return hashlib.sha256(secret.encode()).digest()
