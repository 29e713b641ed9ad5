"""From rows of the log to facts: decoded, lifted to the newest payload version, without what no figure needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from service.domain.catalogue import shown
from service.domain.events import check_version, upcast
from service.domain.facts import Fact
from service.domain.kinds import RULES, read_fact
from service.domain.money import parse_rate
from service.domain.voids import Voids
from service.store.log import registers
from service.store.log.stored_events import Brief, Stored

Row = Brief | Stored
_json = msgspec.json.Decoder(float_hook=str)  # no figure is made of a JSON number, and none may stop the ledger
_LARGEST = 2**63  # beyond it, a number does not fit into a component's stored form


def read_rows(rows: Iterable[Row]) -> tuple[list[tuple[int, Fact]], list[tuple[Row, Exception]]]:
    """Return (position, fact) of the events that move a figure, and those that cannot be read, with the reason."""
    facts: list[tuple[int, Fact]] = []
    unreadable: list[tuple[Row, Exception]] = []
    for row in rows:
        try:
            if row.type in RULES:
                facts.append((row.position, fact_of(row)))
            else:
                check_version(row.type, row.version)
        except Exception as error:  # noqa: BLE001  whatever an upcaster raises concerns this event alone
            unreadable.append((row, error))
    return facts, unreadable


def fact_of(row: Row) -> Fact:
    """Return the fact of one event whose type moves a figure; raises what decoding or an upcaster raises.

    A rate beyond the limits is none either: it may have been taken before there were any.
    """
    data: Any = upcast(row.type, row.version, _json.decode(row.data))
    fact = read_fact(row.micros, row.rest, row.source, row.id, row.type, data)
    stated = fact[5]
    for name, value in [*stated.items()]:
        if type(value) is dict:
            stated[name] = _without_huge(value)
        elif type(value) is int and abs(value) >= _LARGEST:
            del stated[name]  # an earlier release took it; it is no number of anything
    if row.type == "fx.rate_published":
        try:
            parse_rate(stated["rate"])
        except ValueError as error:
            raise ValueError(f"rate: expected {error}, got {shown(stated['rate'])}") from None
    return fact


async def void_facts(connection: Any, ledger: int, until: int) -> list[Fact]:
    """Return the voids up to a position, those that can be read."""
    rows = [row async for row in registers.voids(connection, ledger, until)]
    return [fact for _, fact in read_rows(rows)[0]]


async def voids(connection: Any, ledger: int, until: int) -> Voids:
    """Return what is voided up to a position."""
    found = Voids()
    for fact in await void_facts(connection, ledger, until):
        found.add(fact)
    return found


def _without_huge(value: Any) -> Any:
    """Write integers beyond 64 bits as text: no figure is made of them."""
    if type(value) is dict:
        return {name: _without_huge(one) for name, one in value.items()}
    if type(value) is list:
        return [_without_huge(one) for one in value]
    return str(value) if type(value) is int and abs(value) >= _LARGEST else value
