"""What deliveries stated about records: kept after their bodies are gone, so that a record can be translated again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from service.store.database import Connection


class Stated(NamedTuple):
    """A statement as it is stored; `fields` is JSON."""

    record: str
    delivery: int
    key: str
    digest: bytes
    at: str
    order: str
    verb: str
    fields: str


_COLUMNS = 'record, delivery, key, digest, at, "order", verb, fields'

_OF_DELIVERIES = f"SELECT {_COLUMNS} FROM statements WHERE ledger = $1 AND delivery = ANY($2)"

_OF_RECORDS = f"SELECT {_COLUMNS} FROM statements WHERE ledger = $1 AND source = $2 AND record = ANY($3)"

# What deliveries stated when they were read before goes, before what they state now is put in its place.
_REMOVE = "DELETE FROM statements WHERE ledger = $1 AND delivery = ANY($2)"

# A sender may say the same twice within a delivery: it is stated once.
_ADD = f"""
    INSERT INTO statements (ledger, source, {_COLUMNS})
    SELECT $1, $2, s.record, s.delivery, s.key, s.digest, s.at, s.ord, s.verb, s.fields::json
    FROM unnest($3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::text[], $8::text[], $9::text[], $10::text[])
         AS s (record, delivery, key, digest, at, ord, verb, fields)
    ON CONFLICT DO NOTHING
"""


async def of_deliveries(connection: Connection, ledger: int, deliveries: Collection[int]) -> list[Stated]:
    """Return what deliveries stated when they were read before."""
    rows = await connection.fetch(_OF_DELIVERIES, ledger, list(deliveries))
    return [Stated(*row) for row in rows]


async def of_records(connection: Connection, ledger: int, source: str, records: Collection[str]) -> list[Stated]:
    """Return everything stated about records."""
    rows = await connection.fetch(_OF_RECORDS, ledger, source, list(records))
    return [Stated(*row) for row in rows]


async def restate(
    connection: Connection, ledger: int, source: str, deliveries: Collection[int], stated: Iterable[Stated]
) -> None:
    """Replace what deliveries stated."""
    await connection.execute(_REMOVE, ledger, list(deliveries))
    if rows := list(stated):
        await connection.execute(_ADD, ledger, source, *zip(*rows, strict=True))
