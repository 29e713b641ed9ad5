"""What operators see of events and components that are set aside, and how they have them processed again."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import asyncpg

from service.projections.engine.components import decode
from service.projections.engine.projector import release, take
from service.store.ledgers import Ledger

_MOST_ENTITIES = 20


async def listed(
    pool: asyncpg.Pool, ledger: int, after: tuple[int, int] = (0, 0), limit: int = 100
) -> list[dict[str, Any]]:
    """Return what is set aside in the serving read models after a (position, component), with its event and entities."""
    rows = await pool.fetch(
        """
        SELECT s.position, s.component, s.last_position, s.error, s.attempts, s.since, e.type, e.source, e.id, e.time,
               c.kind, c.state AS stored
        FROM set_aside s JOIN generations g USING (ledger, generation)
        JOIN events e ON e.ledger = s.ledger AND e.position = s.position
        LEFT JOIN components c ON c.ledger = s.ledger AND c.generation = s.generation AND c.component = s.component
        WHERE s.ledger = $1 AND g.state = 'serving' AND (s.position, s.component) > ($2, $3)
        ORDER BY s.position, s.component LIMIT $4
        """,
        ledger, *after, limit,
    )  # fmt: skip
    return [_shown(row) for row in rows]


def _shown(row: Any) -> dict[str, Any]:
    entities: list[str] = []
    if row["stored"] is not None:
        keys = dict.fromkeys(decode(row["component"], row["kind"], row["stored"]).keys())
        entities = [f"{kind}:{identity}" for kind, identity in list(keys)[:_MOST_ENTITIES]]
    return {
        "position": row["position"], "component": row["component"], "kind": row["kind"], "entities": entities,
        "event": {"type": row["type"], "source": row["source"], "id": row["id"], "time": row["time"]},
        "last_position": row["last_position"], "error": row["error"], "attempts": row["attempts"], "since": row["since"],
    }  # fmt: skip


class OtherReleaseError(RuntimeError):
    """The serving read models were made by the definitions of another release."""


class Retried(NamedTuple):
    """What a retry came to."""

    cleared: int
    remaining: int


async def retry(pool: asyncpg.Pool, ledger: Ledger, lease_seconds: float = 30.0) -> Retried:
    """Process what is set aside again, with the rules of this process; OtherReleaseError if they are not those that serve.

    The lease is taken from whoever has it: that worker finds the fence moved, and takes the ledger up again afterwards.
    """
    holder = f"retry:{secrets.token_hex(8)}"
    taken = await take(pool, ledger, holder, lease_seconds, force=True)
    if taken is None:
        raise OtherReleaseError(
            f"the read models of ledger {ledger.name} were made by another release: `campaign-ledger replay` makes new ones"
        )
    try:
        before, after = await taken.retry()
    finally:
        await release(pool, holder)
    return Retried(before - after, after)
