"""How far the figures are behind the log, in events and in time: where one stands still, few events may wait, but for long."""

from __future__ import annotations

from typing import Any, NamedTuple


class Lag(NamedTuple):
    """Where a ledger's serving read models are. `seconds` is how long the next event has waited, 0 if none does."""

    ledger: str
    head: int
    checkpoint: int
    seconds: float
    generation: int
    version: str
    worker: str | None
    set_aside: int

    @property
    def events(self) -> int:
        """How many events are not in the figures yet."""
        return self.head - self.checkpoint


async def lags(connection: Any, ledger: int | None = None) -> list[Lag]:
    """Return the lag of every ledger, or of one, in the order in which they were made."""
    rows = await connection.fetch(
        """
        SELECT l.name, h.position, g.checkpoint,
               coalesce(extract(epoch FROM clock_timestamp() - waiting.recorded_at), 0)::float8,
               g.generation, g.version, g.holder,
               (SELECT count(*) FROM set_aside s WHERE s.ledger = g.ledger AND s.generation = g.generation)
        FROM ledgers l JOIN heads h USING (ledger) JOIN generations g USING (ledger)
        LEFT JOIN LATERAL (
            SELECT recorded_at FROM events e WHERE e.ledger = g.ledger AND e.position = g.checkpoint + 1 LIMIT 1
        ) waiting ON true
        WHERE g.state = 'serving' AND coalesce(l.ledger = $1, true) ORDER BY l.ledger
        """,
        ledger,
    )
    return [Lag(*row) for row in rows]
