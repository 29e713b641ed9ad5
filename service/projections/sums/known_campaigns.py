"""Which campaigns are known (SPEC section 7): those that any live event names, whatever came first.

How many live events name a campaign is counted as they are projected. It is kept from the position on at which the campaign
became known, or was no longer, so that it can be told for every position since.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

_KNOWN = """
    SELECT n.campaign, (
        SELECT attributes FROM campaigns c WHERE c.ledger = $1 AND c.generation = $2 AND c.campaign = n.campaign
        AND c.position <= $3 ORDER BY c.position DESC LIMIT 1
    ) FROM (
        SELECT DISTINCT ON (campaign) campaign, events FROM known_campaigns
        WHERE ledger = $1 AND generation = $2 AND position <= $3 ORDER BY campaign, position DESC
    ) n WHERE events > 0 ORDER BY campaign
"""


class Known:
    """How many live events name each campaign, and what of that is not stored yet: (campaign, position) → how many."""

    def __init__(self) -> None:
        self.new: dict[tuple[str, int], int] = {}
        self._counts: dict[str, tuple[int, int]] = {}  # since a position, how many

    def add(self, campaign: str, position: int, events: int) -> None:
        """Take in a count that is stored already."""
        self._counts[campaign] = (position, events)

    def count(self, campaign: str, position: int, more: int) -> None:
        """Count events that name a campaign, which live from a position on, or (less than 0) do no longer."""
        since, events = self._counts.get(campaign, (0, 0))
        if events == 0 or events + more == 0:
            since = max(since, position)
        self._counts[campaign] = (since, events + more)
        self.new[campaign, since] = events + more


async def load(connection: Any, key: tuple[int, int], known: Known) -> None:
    """Take in what is stored of a generation."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (campaign) campaign, position, events FROM known_campaigns
        WHERE ledger = $1 AND generation = $2 ORDER BY campaign, position DESC
        """,
        *key,
    )
    for row in rows:
        known.add(*row)


async def store(connection: Any, key: tuple[int, int], counts: Iterable[tuple[tuple[str, int], int]]) -> None:
    """Store counts."""
    rows = [(campaign, position, events) for (campaign, position), events in counts]
    await connection.execute(
        """
        INSERT INTO known_campaigns SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::bigint[])
        ON CONFLICT (ledger, generation, campaign, position) DO UPDATE SET events = excluded.events
        """,
        *key, *map(list, zip(*rows, strict=True)),
    )  # fmt: skip


async def described(connection: Any, key: tuple[int, int]) -> dict[str, Any]:
    """Return the last attributes of every campaign that has been described, by id."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (campaign) campaign, attributes FROM campaigns
        WHERE ledger = $1 AND generation = $2 ORDER BY campaign, position DESC
        """,
        *key,
    )
    return {campaign: msgspec.json.decode(attributes) for campaign, attributes in rows}


async def read(connection: Any, key: tuple[int, int], position: int) -> dict[str, dict[str, Any]]:
    """Return the attributes of every campaign that is known at a position, by id."""
    rows = await connection.fetch(_KNOWN, *key, position)
    return {campaign: msgspec.json.decode(attributes) if attributes else {} for campaign, attributes in rows}
