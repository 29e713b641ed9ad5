"""Who may read a ledger by SQL: roles of the database, one ledger each, and the views that they read.

A view is of the ledger of the session's user, which no SET changes but a superuser's. A role that could read more than its views
is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from service.store import audit
from service.store.database import Queryable
from service.store.ledgers import Ledger

_LOCK = 7_261_905_016  # one process defines the views at a time
_ROUNDS = 4_096
_LONGEST_NAME = 63
_CONNECTIONS = 20
_LIMITS = {
    "default_transaction_read_only": "on", "statement_timeout": "'60s'", "idle_in_transaction_session_timeout": "'10min'",
    "search_path": "bi",
}  # fmt: skip

# Why a role may read more than views: what it is, what it owns or is a member of, and what it may do with our tables.
_RIGHTS = """
    SELECT r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls OR r.rolcreatedb
        OR EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid)
        OR EXISTS (SELECT FROM pg_class WHERE relowner = r.oid)
        OR EXISTS (
            SELECT FROM pg_class c WHERE c.relkind IN ('r', 'v') AND c.relnamespace = current_schema()::regnamespace
            AND has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
        )
    FROM pg_roles r WHERE r.rolname = $1
"""
_VIEWS = """
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v' AND (n.nspname = 'bi' OR (n.nspname = current_schema() AND c.relname LIKE 'bi\\_%'))
    ORDER BY n.nspname = 'bi' DESC, c.relname
"""


class Grant(NamedTuple):
    """A role, and the ledger that it reads."""

    role: str
    ledger: str


async def grant(connection: Any, ledger: Ledger, role: str, views: Mapping[str, str], fingerprint: str) -> str | None:
    """Let a role read a ledger; return the password of one that was made for it. ValueError says why not."""
    _check_name(role)
    async with connection.transaction():
        rights = await connection.fetchrow(_RIGHTS, role)
        if rights is not None and rights[0]:
            raise ValueError(
                f"role {role!r} has more rights than those of a reader: name another one, which is made then"
            )
        other = await connection.fetchval(
            "SELECT l.name FROM bi_grants b JOIN ledgers l USING (ledger) WHERE role = $1 AND ledger <> $2",
            role,
            ledger.ledger,
        )
        if other is not None:
            raise ValueError(f"role {role!r} reads ledger {other!r}, and a role reads one: name another one")
        password = None
        if rights is None:
            password = secrets.token_urlsafe(24)
            await connection.execute(
                f"CREATE ROLE {_quoted(role)} LOGIN NOINHERIT CONNECTION LIMIT {_CONNECTIONS} PASSWORD '{_verifier(password)}'"
            )
        for name, value in _LIMITS.items():
            await connection.execute(f"ALTER ROLE {_quoted(role)} SET {name} = {value}")
        await connection.execute(
            "INSERT INTO bi_grants (ledger, role) VALUES ($1, $2) ON CONFLICT DO NOTHING", ledger.ledger, role
        )
        await define(connection, views, fingerprint)
        await _let_read(connection, role)
        await audit.note(connection, ledger.ledger, "bi.granted", role)
    return password


async def revoke(connection: Any, ledger: Ledger, role: str) -> bool:
    """Take a role's ledger from it, at once; tell whether it had it. The role itself stays."""
    async with connection.transaction():
        done = await connection.fetchval(
            "DELETE FROM bi_grants WHERE ledger = $1 AND role = $2 RETURNING role", ledger.ledger, role
        )
        if done is not None and await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA bi FROM {_quoted(role)}")
            await connection.execute(f"REVOKE ALL ON SCHEMA bi FROM {_quoted(role)}")
        if done is not None:
            await audit.note(connection, ledger.ledger, "bi.revoked", role)
    return done is not None


async def grants(connection: Queryable) -> list[Grant]:
    """Return who reads what."""
    rows = await connection.fetch(
        "SELECT role, l.name FROM bi_grants JOIN ledgers l USING (ledger) ORDER BY l.name, role"
    )
    return [Grant(*row) for row in rows]


async def define(connection: Any, views: Mapping[str, str], fingerprint: str) -> None:
    """Make the views as they are declared, unless they are so already; whoever could read them still can."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    if await connection.fetchval("SELECT obj_description('bi'::regnamespace, 'pg_namespace')") == fingerprint:
        return
    await drop(connection)
    for name, sql in views.items():
        await connection.execute(f"CREATE VIEW {name} WITH (security_barrier) AS {sql}")
    for role in await connection.fetch("SELECT role FROM bi_grants JOIN pg_roles ON rolname = role"):
        await _let_read(connection, role[0])
    await connection.execute(f"COMMENT ON SCHEMA bi IS '{fingerprint}'")


async def are_read(connection: Queryable) -> bool:
    """Tell whether anybody reads views."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM bi_grants)"))


async def drop(connection: Any) -> None:
    """Drop the views: no table that they are of can be changed while they are there."""
    for view in await connection.fetch(_VIEWS):
        await connection.execute(f"DROP VIEW {view[0]}")
    await connection.execute("COMMENT ON SCHEMA bi IS NULL")


async def _let_read(connection: Any, role: str) -> None:
    await connection.execute(f"GRANT USAGE ON SCHEMA bi TO {_quoted(role)}")
    await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA bi TO {_quoted(role)}")


def _check_name(role: str) -> None:
    if not role or len(role.encode()) > _LONGEST_NAME or "\x00" in role or role.lower().startswith("pg_"):
        raise ValueError(f"the name of a role has 1 to {_LONGEST_NAME} bytes and does not begin with pg_")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _verifier(password: str) -> str:
    """Return what PostgreSQL keeps of a password (SCRAM-SHA-256), so that no log of statements has the password itself."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)

    def keyed(text: bytes) -> bytes:
        return hmac.digest(salted, text, "sha256")

    stored = hashlib.sha256(keyed(b"Client Key")).digest()
    salt_text, stored_text, server_text = (
        base64.b64encode(one).decode() for one in (salt, stored, keyed(b"Server Key"))
    )
    return f"SCRAM-SHA-256${_ROUNDS}:{salt_text}${stored_text}:{server_text}"
