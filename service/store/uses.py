"""When keys and sessions were used: remembered in memory, and written together every few seconds, never with a request.

A process that is killed forgets the uses of its last few seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg

from service.store import audit

# The keys that were never used before, marked as used: rows locked in one order, for other processes do the same.
_FIRST = """
    UPDATE api_keys k SET first_used_at = f.at FROM (
        SELECT key_id, u.at FROM api_keys JOIN unnest($1::text[], $2::timestamptz[]) AS u (key_id, at) USING (key_id)
        WHERE first_used_at IS NULL ORDER BY key_id FOR UPDATE OF api_keys
    ) f WHERE k.key_id = f.key_id RETURNING k.ledger, k.key_id
"""

_LAST = """
    UPDATE api_keys k SET last_used_at = l.at, last_used_from = l.address FROM (
        SELECT key_id, u.at, u.address FROM api_keys
        JOIN unnest($1::text[], $2::timestamptz[], $3::text[]) AS u (key_id, at, address) USING (key_id)
        WHERE last_used_at IS NULL OR last_used_at < u.at ORDER BY key_id FOR UPDATE OF api_keys
    ) l WHERE k.key_id = l.key_id
"""

_SEEN = """
    UPDATE sessions s SET seen_at = l.at FROM (
        SELECT session_id, u.at FROM sessions JOIN unnest($1::text[], $2::timestamptz[]) AS u (session_id, at) USING (session_id)
        WHERE seen_at < u.at ORDER BY session_id FOR UPDATE OF sessions
    ) l WHERE s.session_id = l.session_id
"""


class _Use(NamedTuple):
    first: audit.Actor
    since: datetime
    last: datetime
    address: str | None


class Uses:
    """The uses of keys and sessions that are not written yet."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._keys: dict[str, _Use] = {}
        self._sessions: dict[str, datetime] = {}

    def of_key(self, actor: audit.Actor) -> None:
        """Remember that a key was used now."""
        now = datetime.now(UTC)
        known = self._keys.get(actor.name)
        first, since = (known.first, known.since) if known else (actor, now)
        self._keys[actor.name] = _Use(first, since, now, actor.address)

    def of_session(self, session: str) -> None:
        """Remember that a session was used now."""
        self._sessions[session] = datetime.now(UTC)

    async def write(self) -> None:
        """Write what is remembered; what cannot be written now is, the next time."""
        keys, self._keys = self._keys, {}
        seen, self._sessions = self._sessions, {}
        try:
            await self._write(keys, seen)
        except BaseException:
            for name, use in keys.items():
                later = self._keys.get(name, use)
                self._keys[name] = use._replace(last=later.last, address=later.address)
            self._sessions = seen | self._sessions
            raise

    async def _write(self, keys: dict[str, _Use], seen: dict[str, datetime]) -> None:
        if keys:
            names, uses = list(keys), keys.values()
            async with self._pool.acquire() as connection, connection.transaction():
                for ledger, name in await connection.fetch(_FIRST, names, [one.since for one in uses]):
                    with audit.acting(keys[name].first):
                        await audit.note(connection, ledger, "key.first_used", name)
                await connection.execute(_LAST, names, [one.last for one in uses], [one.address for one in uses])
        if seen:
            await self._pool.execute(_SEEN, list(seen), list(seen.values()))
