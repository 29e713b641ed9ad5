"""Credentials of a source that are replaced by using them: leased to one process, and stored before they are used again.

    lease (one statement) → whoever asks the sender's API, without a connection → store, if the lease still stands

A lease ends by itself after a crash. What an administrator has set meanwhile stands: the lease went with the old ones.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import msgspec

from service.store.rows import encode_json
from service.store.sources import Stored
from service.store.vault import Vault

# The credentials of a source, locked for the moment in which they are replaced: two processes would else both find no lease, and
# both use up a token that serves once.
_LOCK = "SELECT credentials FROM sources WHERE ledger = $1 AND source = $2 AND deleted_at IS NULL FOR UPDATE"

_STORE = "UPDATE sources SET credentials = $3 WHERE ledger = $1 AND source = $2"

LEASE_SECONDS = 60.0  # longer than an answer may take
_LEASE = "renewing"
Credentials = Mapping[str, str]


class BusyError(Exception):
    """Another process is renewing them, or they were changed, or the source closed, while this one did."""


async def renew(
    pool: asyncpg.Pool, vault: Vault, stored: Stored, renewed: Callable[[Credentials], Awaitable[Credentials]]
) -> Credentials:
    """Give a function the credentials of a source as they stand, and store what it returns before that is returned."""
    mine = f"{time.time() + LEASE_SECONDS:.3f}/{secrets.token_hex(8)}"

    def taken(now: Credentials) -> Credentials:
        if float(now.get(_LEASE, "0").partition("/")[0]) > time.time():
            raise BusyError("another process is just getting a new token for this source")
        return {**now, _LEASE: mine}

    old = _plain(await _changed(pool, vault, stored, taken))

    async def kept(new: Credentials) -> Credentials:
        def given(now: Credentials) -> Credentials:
            if now.get(_LEASE) != mine:
                raise BusyError("the credentials of this source were changed while a new token was had")
            return new

        return await _changed(pool, vault, stored, given)

    try:
        new = await renewed(old)
    except BaseException:
        await asyncio.shield(kept(old))  # the lease goes: others need not wait for its end
        raise
    return await asyncio.shield(kept(new))  # whoever is cancelled now must not lose what serves only once


def _plain(credentials: Credentials) -> dict[str, str]:
    return {name: value for name, value in credentials.items() if name != _LEASE}


async def _changed(
    pool: asyncpg.Pool, vault: Vault, stored: Stored, change: Callable[[Credentials], Credentials]
) -> Credentials:
    """Store what a function makes of the credentials, and return it."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(_LOCK, stored.ledger, stored.source)
        if row is None:
            raise BusyError("the source is closed")
        new = change(msgspec.json.decode(vault.unlock(row["credentials"])) if row["credentials"] else {})
        await connection.execute(_STORE, stored.ledger, stored.source, vault.lock(encode_json(dict(new))))
        return new
