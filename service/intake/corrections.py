"""Corrections must be in the currency of what they correct (SPEC section 7, "Money"): refused where that is known on arrival.

Known are the log and what came earlier in the same request. What is corrected is in the currency of its last statement in
event order; a statement that is voided has never been made. Whatever is there already is no news: it is a duplicate or a
conflict, whatever currency it is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
import msgspec

from service.domain.catalogue import Problem
from service.domain.events import newest_version, upcast
from service.domain.facts import Fact
from service.domain.kinds import read_fact
from service.domain.voids import Voids
from service.store.log import by_identity, registers
from service.store.log.stored_events import Stored
from service.store.rows import Row


class Correction(NamedTuple):
    """What a type of event corrects: another type, by an id; and (its money, the money that it corrects) as fields."""

    type: str
    field: str
    money: tuple[tuple[str, str], ...]


CORRECTIONS = {
    "order.amended": Correction("order.placed", "order_id", (("net_value", "net_value"), ("cogs", "cogs"))),
    "invoice.credited": Correction("invoice.posted", "invoice_id", (("net_amount", "net_amount"), ("cogs", "cogs"))),
    "campaign.cost_reversed": Correction("campaign.cost_booked", "cost_entry_id", (("amount", "amount"),)),
}


def is_correction(row: Row) -> bool:
    """Tell whether a row corrects something, in a form that this release reads."""
    return row.type in CORRECTIONS and row.version <= newest_version(row.type)


async def wrong_currency(pool: asyncpg.Pool, ledger: int, rows: Mapping[int, Row]) -> dict[int, Problem]:
    """Return what is wrong with the corrections among rows, which are given by their place in the request."""
    asked = {index: row for index, row in rows.items() if is_correction(row)}
    entities = {_corrected(row) for row in asked.values()}
    known: list[tuple[int, Row | Stored]] = [(-1, row) for row in await by_identity.statements(pool, ledger, entities)]
    known += [(index, row) for index, row in rows.items() if row.entity in entities]
    wrong = _mismatches(asked, known, Voids())
    if wrong:
        voids = await _voids(pool, ledger, rows.values())
        wrong = _mismatches({index: asked[index] for index in wrong}, known, voids)
    if wrong:
        identities = [(asked[index].source, asked[index].id) for index in wrong]
        there = {(one.source, one.id) for one in await by_identity.read_identities(pool, ledger, identities)}
        wrong = {index: one for index, one in wrong.items() if (asked[index].source, asked[index].id) not in there}
    return wrong


def _mismatches(
    asked: Mapping[int, Row], known: Sequence[tuple[int, Row | Stored]], voids: Voids
) -> dict[int, Problem]:
    statements: dict[str, list[tuple[int, Row | Stored]]] = {}
    for index, row in known:
        if not voids.is_void((row.source, row.id)):
            statements.setdefault(_entity(row), []).append((index, row))
    found: dict[int, Problem] = {}
    for index, row in asked.items():
        before = [one for at, one in statements.get(_corrected(row), ()) if at < index]
        if before:
            last = max(before, key=lambda one: (one.micros, one.rest, one.source, one.id))
            problem = _mismatch(CORRECTIONS[row.type], _data(row), _data(last))
            if problem is not None:
                found[index] = problem
    return found


def _mismatch(correction: Correction, data: Mapping[str, Any], corrected: Mapping[str, Any]) -> Problem | None:
    for own, other in correction.money:
        stated, expected = data.get(own), corrected.get(other)
        if stated and expected and stated["currency"] != expected["currency"]:
            said = f"the currency of what it corrects, {expected['currency']}"
            return Problem(f"data.{own}.currency", said, stated["currency"])
    return None


async def _voids(pool: asyncpg.Pool, ledger: int, rows: Iterable[Row]) -> Voids:
    voids = Voids()
    everything: list[Row | Stored] = [*await registers.read(pool, ledger), *rows]
    for row in everything:
        if row.type == "event.voided" and row.version <= newest_version(row.type):
            voids.add(_fact(row))
    return voids


def _fact(row: Row | Stored) -> Fact:
    return read_fact(row.micros, row.rest, row.source, row.id, row.type, _data(row))


def _corrected(row: Row) -> str:
    """Return the entity that a correction corrects, as rows name it."""
    correction = CORRECTIONS[row.type]
    return f"{correction.type}:{_data(row)[correction.field]}"


def _entity(row: Row | Stored) -> str:
    fields = {correction.type: correction.field for correction in CORRECTIONS.values()}
    return f"{row.type}:{_data(row)[fields[row.type]]}"


def _data(row: Row | Stored) -> Any:
    return upcast(row.type, row.version, msgspec.json.decode(row.data))
