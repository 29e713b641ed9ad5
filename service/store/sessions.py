"""Sessions of browsers: a random token in a cookie, of which the hash is stored, and what it opens.

Somebody signs in with a key, and the session opens what the key opens as long as that does; or as a subject of an issuer – an
OpenID provider, a proxy, the operator's terminal – and it opens what is granted to that, in one ledger at a time. A session ends
by itself when it was not used for a while, and after a time in any case.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from service.store import audit, ledgers, networks
from service.store.database import Connection
from service.store.ledgers import Access, Ledger

TERMINAL = "terminal"  # the issuer of links that the operator's terminal shows: whoever has it has the database
PROXY = "proxy"  # the issuer of names that a trusted proxy tells
_LONGEST = 300  # characters of what a browser says that it is

_BEGIN = """
    INSERT INTO sessions (hash, session_id, ledger, key_id, issuer, subject, groups, address, agent, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10)
"""

# What a session opens, in one look-up: of its key, if that is still in force, or of what is granted to its subject now.
_ACCESS = """
    SELECT l.ledger, l.name, l.currency, l.timezone,
        CASE WHEN s.key_id IS NOT NULL THEN k.scopes WHEN s.issuer = $3 THEN $4 ELSE coalesce((
            SELECT array_agg(DISTINCT scope) FROM grants g, unnest(g.scopes) scope
            WHERE g.ledger = l.ledger AND g.issuer = s.issuer AND (g.subject = s.subject OR g.in_group = ANY(s.groups))
        ), '{}') END,
        coalesce(s.key_id, s.subject || ' @ ' || s.issuer), least(s.expires_at, s.seen_at + $2, k.expires_at),
        coalesce(k.addresses, '{}'), s.session_id, s.issuer, s.subject
    FROM sessions s JOIN ledgers l
        ON CASE WHEN $5::text IS NULL OR s.key_id IS NOT NULL THEN l.ledger = s.ledger ELSE l.name = $5 END
    LEFT JOIN api_keys k ON k.key_id = s.key_id AND k.revoked_at IS NULL
    WHERE s.hash = $1 AND (s.key_id IS NULL OR k.key_id IS NOT NULL)
"""

# The ledgers that an identity has something granted in; to the terminal, all are open.
_LEDGERS = """
    SELECT ledger, name, currency, timezone FROM ledgers l WHERE $1 = $4 OR EXISTS (
        SELECT FROM grants g WHERE g.ledger = l.ledger AND g.issuer = $1 AND (g.subject = $2 OR g.in_group = ANY($3))
    ) ORDER BY name
"""

_IDENTITY = "SELECT issuer, subject, groups FROM sessions WHERE session_id = $1 AND issuer IS NOT NULL"

_MOVE = "UPDATE sessions SET ledger = $2 WHERE session_id = $1"

_ACTOR = "coalesce(key_id, subject || ' @ ' || issuer)"

_OF_LEDGER = f"""
    SELECT session_id, {_ACTOR}, address, agent, created_at, seen_at, least(expires_at, seen_at + $2)
    FROM sessions WHERE ledger = $1 AND least(expires_at, seen_at + $2) > now() ORDER BY created_at DESC
"""

_END = f"""
    DELETE FROM sessions WHERE ledger = $1 AND session_id = $2 AND ($3::text IS NULL OR {_ACTOR} = $3)
    RETURNING {_ACTOR}
"""

# Sessions and tickets whose time is over.
_FORGET = "DELETE FROM sessions WHERE least(expires_at, seen_at + $1) < now()"
_FORGET_TICKETS = "DELETE FROM tickets WHERE expires_at < now()"

_NEW_TICKET = "INSERT INTO tickets (hash, kind, payload, expires_at) VALUES ($1, $2, $3, now() + $4)"
_TAKE_TICKET = "DELETE FROM tickets WHERE hash = $1 AND kind = $2 RETURNING payload, expires_at > now()"


class Identity(NamedTuple):
    """Who somebody is, by whom: a subject of an issuer, and the groups that the issuer says they are in."""

    issuer: str
    subject: str
    groups: tuple[str, ...] = ()


class Session(NamedTuple):
    """A session as it may be shown."""

    id: str
    actor: str
    address: str | None
    agent: str | None
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class Lifetime(NamedTuple):
    """How long a session may be idle, and how long it may last at all."""

    idle: timedelta
    whole: timedelta


def csrf_of(token: str) -> str:
    """Return what a page has to send along with a write, which no other site's page knows."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


async def begin(
    pool: asyncpg.Pool, ledger: int, who: str | Identity, life: Lifetime, *, by: str, agent: str = ""
) -> str:  # fmt: skip
    """Begin a session of a key (by its id) or of an identity, and return its token: the only time that it can be seen.

    `by` says how somebody signed in: key, link, openid, proxy.
    """
    token, session = secrets.token_urlsafe(32), f"ses_{secrets.token_hex(6)}"
    key, identity = (who, None) if isinstance(who, str) else (None, who)
    actor = audit.ACTOR.get()._replace(name=who if isinstance(who, str) else f"{who.subject} @ {who.issuer}")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            _BEGIN, ledgers.hash_of(token), session, ledger, key, identity and identity.issuer,
            identity and identity.subject, list(identity.groups) if identity else [], actor.address,
            agent[:_LONGEST] or None, life.whole,
        )  # fmt: skip
        with audit.acting(actor):
            await audit.note(connection, ledger, "session.created", session, by=by)
    return token


async def access(pool: asyncpg.Pool, token: str, life: Lifetime, ledger: str | None = None) -> Access | None:
    """Return what a session opens, of an identity in the ledger of a name; None if there is none."""
    row = await pool.fetchrow(_ACCESS, ledgers.hash_of(token), life.idle, TERMINAL, list(ledgers.SCOPES), ledger)
    if row is None:
        return None
    found = Access(Ledger(*row[:4]), frozenset(row[4]), row[5], row[6], networks.of(row[7]), *row[8:])
    return None if found.has_ended() else found


async def ledgers_of(pool: asyncpg.Pool, identity: Identity) -> list[Ledger]:
    """Return the ledgers in which something is granted to an identity, by name."""
    rows = await pool.fetch(_LEDGERS, identity.issuer, identity.subject, list(identity.groups), TERMINAL)
    return [Ledger(*row) for row in rows]


async def open_to(pool: asyncpg.Pool, session: str) -> list[Ledger]:
    """Return the ledgers that a session may go on to; none for one of a key, which has its ledger."""
    row = await pool.fetchrow(_IDENTITY, session)
    return [] if row is None else await ledgers_of(pool, Identity(row[0], row[1], tuple(row[2])))


async def move(pool: asyncpg.Pool, session: str, name: str) -> Ledger:
    """Have a session go on to another ledger; LookupError if that is not open to it."""
    found = next((one for one in await open_to(pool, session) if one.name == name), None)
    if found is None:
        raise LookupError(f"there is no ledger {name[:100]!r} that is open to you")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_MOVE, session, found.ledger)
        await audit.note(connection, found.ledger, "session.moved", session)
    return found


async def listed(pool: asyncpg.Pool, ledger: int, life: Lifetime) -> list[Session]:
    """Return the sessions of a ledger that have not ended, newest first."""
    return [Session(*row) for row in await pool.fetch(_OF_LEDGER, ledger, life.idle)]


async def end(pool: asyncpg.Pool, ledger: int, session: str, actor: str | None = None) -> bool:
    """End a session of a ledger (only one of `actor`'s, where that is given); False if there is none."""
    async with pool.acquire() as connection, connection.transaction():
        whose: str | None = await connection.fetchval(_END, ledger, session, actor)
        if whose is not None:
            await audit.note(connection, ledger, "session.ended", session, of=whose)
    return whose is not None


async def forget(pool: asyncpg.Pool, life: Lifetime) -> None:
    """Drop sessions and tickets whose time is over."""
    await pool.execute(_FORGET, life.idle)
    await pool.execute(_FORGET_TICKETS)


async def new_ticket(pool: asyncpg.Pool | Connection, kind: str, payload: dict[str, Any], seconds: float) -> str:
    """Return a random text that can be taken once, within some seconds, to have a payload back."""
    token = secrets.token_urlsafe(32)
    life = timedelta(seconds=seconds)
    await pool.execute(_NEW_TICKET, ledgers.hash_of(token), kind, json.dumps(payload), life)
    return token


async def take_ticket(pool: asyncpg.Pool, kind: str, token: str) -> dict[str, Any] | None:
    """Return the payload of a ticket and use it up; None if there is none, or no longer."""
    row = await pool.fetchrow(_TAKE_TICKET, ledgers.hash_of(token), kind)
    if row is None or not row[1]:
        return None
    payload: dict[str, Any] = json.loads(row[0])
    return payload
