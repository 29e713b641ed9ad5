"""Grants: what a subject of an issuer, or whoever the issuer says is in a group, may do in a ledger."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import asyncpg

from service.store import audit, ledgers
from service.store.ledgers import Ledger

_LONGEST = 300  # characters

_CREATE = """
    INSERT INTO grants (grant_id, ledger, issuer, subject, in_group, scopes) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING RETURNING grant_id, issuer, subject, in_group, scopes, created_at
"""
_LISTED = """
    SELECT grant_id, issuer, subject, in_group, scopes, created_at FROM grants WHERE ledger = $1 ORDER BY created_at, grant_id
"""
_REVOKE = """
    DELETE FROM grants WHERE ledger = $1 AND grant_id = $2 RETURNING grant_id, issuer, subject, in_group, scopes, created_at
"""


class Grant(NamedTuple):
    """What is granted, and to whom: one subject, or a group."""

    id: str
    issuer: str
    subject: str | None
    group: str | None
    scopes: list[str]
    created_at: datetime


class ThereIsOneError(ValueError):
    """The same issuer and subject or group have a grant in this ledger."""


async def create(
    pool: asyncpg.Pool, ledger: Ledger, issuer: str, scopes: Iterable[str], *, subject: str | None, group: str | None
) -> Grant:  # fmt: skip
    """Grant scopes to a subject or a group of an issuer; ValueError says what is wrong."""
    given = ledgers.checked_scopes(scopes)
    if bool(subject) == bool(group):
        raise ValueError("subject, group: expected one of the two")
    if not issuer or any(len(one) > _LONGEST for one in (issuer, subject or "", group or "")):
        raise ValueError(f"issuer, subject, group: expected 1 to {_LONGEST} characters")
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            _CREATE, f"grant_{secrets.token_hex(6)}", ledger.ledger, issuer.rstrip("/"), subject or None, group or None, given
        )  # fmt: skip
        if row is None:
            raise ThereIsOneError(
                "this subject or group of the issuer has a grant in this ledger: revoke that one first"
            )
        made = Grant(*row)
        await _note(connection, ledger, "grant.created", made)
    return made


async def listed(pool: asyncpg.Pool, ledger: Ledger) -> list[Grant]:
    """Return the grants of a ledger, oldest first."""
    return [Grant(*row) for row in await pool.fetch(_LISTED, ledger.ledger)]


async def revoke(pool: asyncpg.Pool, ledger: Ledger, grant: str) -> bool:
    """Take a grant back; who is signed in by it sees nothing any more within seconds. False if there is none."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(_REVOKE, ledger.ledger, grant)
        if row is not None:
            await _note(connection, ledger, "grant.revoked", Grant(*row))
    return row is not None


async def _note(connection: asyncpg.pool.PoolConnectionProxy, ledger: Ledger, action: str, grant: Grant) -> None:
    told = {"issuer": grant.issuer, "subject": grant.subject, "group": grant.group, "scopes": grant.scopes}
    await audit.note(connection, ledger.ledger, action, grant.id, **told)
