"""What merged accounts and contacts go by, as known at a moment: whoever asks for one by an alias means its class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.domain.facts import Fact, Merges
from service.projections.engine import logged_facts
from service.projections.engine.components import decode
from service.store.log import by_identity


async def read(
    connection: Any, key: tuple[int, int], position: int, kind: str, identities: Iterable[str]
) -> dict[str, str]:  # fmt: skip
    """Return by id what accounts or contacts go by that were merged; those that were not are not there."""
    wanted = sorted({*identities} - {""})
    rows = await connection.fetch(
        """
        SELECT DISTINCT c.component, c.kind, c.state FROM entities e JOIN components c USING (ledger, generation, component)
        WHERE e.ledger = $1 AND e.generation = $2 AND e.kind = $3 AND e.id = ANY($4)
        """,
        *key, kind, wanted,
    )  # fmt: skip
    facts = [fact for row in rows for fact in decode(*row).facts if fact.type == f"{kind}.merged"]
    merges = Merges()
    for fact in await _live(connection, key[0], position, facts):
        merges.take(fact)
    return {one: merges.name(one) for one in wanted if merges.name(one) != one}


async def _live(connection: Any, ledger: int, position: int, facts: list[Fact]) -> list[Fact]:
    """Return the facts that were known at a position, and not voided then."""
    if not facts:
        return []
    known = await by_identity.positions(connection, ledger, [(one.source, one.id) for one in facts], position)
    voids = await logged_facts.voids(connection, ledger, position)
    return [one for one in facts if (one.source, one.id) in known and not voids.is_void((one.source, one.id))]
