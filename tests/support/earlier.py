"""Events as an earlier release has stored them, which this one would refuse: rows made without looking at what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from service.domain.calendar import parse_instant
from service.store.ledgers import Ledger, ledger_named
from service.store.log.append import append_rows
from service.store.rows import CORRECTABLE, Row, content_of, encode_json


def row(event: dict[str, Any]) -> Row:
    """Return the row of an event, whatever its `data`."""
    micros, rest = parse_instant(event["time"])
    field = CORRECTABLE.get(event["type"])
    entity = f"{event['type']}:{event['data'][field]}" if field else None
    columns = (
        micros, 1, event["source"], event["id"], event["type"], event["time"], rest, None, None,
        encode_json(event["data"]), None,
    )  # fmt: skip
    return Row(*columns, entity, content_of(*columns))


async def append(pool: asyncpg.Pool, ledger: Ledger, events: Sequence[dict[str, Any]]) -> None:
    """Append events by the log's own append."""
    await append_rows(pool, ledger.ledger, [row(one) for one in events])


def stored_in(dsn: str, name: str, *events: dict[str, Any]) -> None:
    """Append events to the ledger of a name, from outside of any event loop."""

    async def found() -> Ledger | None:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            return await ledger_named(pool, name)

    ledger = asyncio.run(found())
    assert ledger is not None
    stored(dsn, ledger, *events)


def stored(dsn: str, ledger: Ledger, *events: dict[str, Any]) -> None:
    """Append events from outside of any event loop."""

    async def work() -> None:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            await append(pool, ledger, events)

    asyncio.run(work())
