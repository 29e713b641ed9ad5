"""Rivals: two events that state the same thing at the same time under different ids, of which only one counts.

Which one would be decided by how their ids sort, which says nothing about which is right. An import tells it: mostly, the id in
its mapping holds something that changes when a figure is corrected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import asyncpg

from service.intake.acceptance import read_item
from service.intake.decoding import Limits
from service.store import imports
from service.store.rows import Row, same_json

_THINGS = {
    "order.placed": "order",
    "invoice.posted": "invoice",
    "campaign.cost_booked": "cost entry",
}  # as in CORRECTABLE
_ISSUE = re.compile(r"~[1-9][0-9]*$")  # what restates has the id of what it restates, with a number


async def rivals(
    pool: asyncpg.Pool, ledger: int, raws: Sequence[bytes | None], limits: Limits
) -> dict[int, str]:  # fmt: skip
    """Return what to say of events (None are passed over) that have a rival in the log, by their index."""
    read = [(index, read_item(raw, limits)) for index, raw in enumerate(raws) if raw is not None]
    stated = [(index, row) for index, row in read if row.entity is not None]
    if not stated:
        return {}
    found = await imports.stated_then(pool, ledger, [(str(row.entity), row.source, row.micros) for _, row in stated])
    other = {
        stated[number][0]: (stated[number][1], position, identity)
        for number, position, identity, data in reversed(found)
        if _base(identity) != _base(stated[number][1].id) and not same_json(stated[number][1].data, data.encode())
    }
    void = await imports.voided(pool, ledger, [(row.source, identity) for row, _, identity in other.values()])
    return {index: _told(*one) for index, one in sorted(other.items()) if (one[0].source, one[2]) not in void}


def _base(identity: str) -> str:
    return _ISSUE.sub("", identity)


def _told(row: Row, position: int, identity: str) -> str:
    return (
        f"the event {identity} at position {position} states the same {_THINGS[row.type]} at the same time, but "
        "otherwise: one of the two does not count. Give such rows one id, with `restates: true` where the later one holds; void "
        "the event that is wrong"
    )
