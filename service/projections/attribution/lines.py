"""The lines that attribution is made of: what is told of deals and touches, and the amounts that are dealt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any, NamedTuple

from service.domain.attribution.measures import AMOUNTS
from service.domain.details import TOLD

_PREFETCH = 2_000


class Line(NamedTuple):
    """A posting, or what several of one entity add up to: then without a position."""

    measure: str
    entity: str
    day: int
    cohort: int
    detail: str | None
    amount: int
    position: int = 0


async def standing(
    connection: Any, key: tuple[int, int], position: int, *, parts: Collection[str | None] | None = None,
    measures: Collection[str] = TOLD,
) -> list[Line]:  # fmt: skip
    """Return what stood at a position: what was told then, of some parts or of all, and without parts the amounts."""
    segments = await connection.fetch(
        "SELECT segment, cube, labels[1] FROM segments WHERE ledger = $1 AND generation = $2 AND cube = 'told'", *key
    )
    told = [number for number, _, part in segments if parts is None or part in parts]
    rows = await connection.fetch(
        """
        SELECT measure, entity, day, cohort, detail, sum(amount)::bigint FROM postings
        WHERE ledger = $1 AND generation = $2 AND position <= $3 AND campaign = ANY($4) AND measure = ANY($5)
        GROUP BY measure, entity, day, cohort, detail HAVING sum(amount) <> 0
        """,
        *key, position, told, list(measures),
    )  # fmt: skip
    found = [Line(row[0], row[1], row[2].toordinal(), row[3].toordinal(), row[4], row[5]) for row in rows]
    return found if parts is not None else found + await _amounts(connection, key, position)


async def _amounts(
    connection: Any, key: tuple[int, int], position: int, of: str = "", values: tuple[Any, ...] = ()
) -> list[Line]:  # fmt: skip
    rows = await connection.fetch(
        f"""
        SELECT measure, entity, day, cohort, sum(amount)::text FROM postings
        WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = ANY($4)
        AND campaign = ANY(ARRAY(
            SELECT DISTINCT campaign_segment FROM segments WHERE ledger = $1 AND generation = $2 AND cube = 'deals'
        )) {of}
        GROUP BY measure, entity, day, cohort HAVING sum(amount) <> 0
        """,
        *key, position, list(AMOUNTS), *values,
    )  # fmt: skip
    return [Line(row[0], row[1], row[2].toordinal(), row[3].toordinal(), None, int(row[4])) for row in rows]


async def amounts_of(connection: Any, key: tuple[int, int], position: int, entities: Collection[str]) -> list[Line]:
    """Return the amounts of some entities."""
    return await _amounts(connection, key, position, "AND entity = ANY($5)", (list(entities),))


async def moved(connection: Any, key: tuple[int, int], after: int, until: int) -> AsyncIterator[Line]:
    """Yield what was posted at positions (after, until], in order."""
    rows = connection.cursor(
        """
        SELECT measure, entity, day, cohort, detail, amount, position FROM postings
        WHERE ledger = $1 AND generation = $2 AND position > $3 AND position <= $4 AND measure = ANY($5)
        ORDER BY position, line
        """,
        *key, after, until, [*TOLD, *AMOUNTS], prefetch=_PREFETCH,
    )  # fmt: skip
    async for row in rows:
        yield Line(row[0], row[1], row[2].toordinal(), row[3].toordinal(), *row[4:])
