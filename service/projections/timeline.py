"""One journey as a timeline: its events in event order, what each moved, its entities as they stand, and what waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec

from service.domain import lineage, pending
from service.domain.calendar import Zone
from service.domain.entities import NO_DAY, CreditNote, Entity, Invoice, Opportunity, Order, Quote, Where
from service.domain.facts import Fact, Key, keys_of, read_fact
from service.domain.journey import Journey, fold
from service.domain.postings import Book, Segments
from service.domain.rates import Rates
from service.domain.voids import Voids
from service.projections import entries
from service.projections.reading import Snapshot
from service.projections.selection import OF_SEGMENT
from service.projections.state import decode
from service.store import log
from service.store.log import Stored

KINDS = ("lead", "opportunity", "quote", "order", "invoice", "credit_note")
_json = msgspec.json.Decoder(float_hook=str)


async def read(view: Snapshot, kind: str, identity: str) -> dict[str, Any] | None:
    """Return the journey that an entity belongs to, as known then; None if no event has named the entity."""
    rows = await _events(view, (kind, identity))
    voids = Voids()
    registers = await log.registers(view.connection, view.ledger.ledger, view.as_of.position)
    for row in registers:
        if row.type == "event.voided":
            voids.add(_fact(row))
    journey_rows = _hanging_together(rows, (kind, identity), voids)
    if not any((kind, identity) in keys_of(_fact(row)) for row in journey_rows):
        return None
    facts = [_fact(row) for row in journey_rows]
    live = [fact for fact in facts if not voids.is_void((fact.source, fact.id))]
    journey = fold(live, Zone(view.ledger.timezone))
    reaching = _reaching(registers, {(row.source, row.id) for row in journey_rows}, voids)
    told = sorted([*journey_rows, *reaching], key=lambda row: (row.micros, row.rest, row.source, row.id))
    names = {f"{one}:{name}" for fact in facts for one, name in keys_of(fact)}
    moved = await _moved(view, told, names)
    return {
        "journey": {"kind": kind, "id": identity},
        "currency": view.ledger.currency,
        "events": [
            _event(row, moved.get(row.position, []), void=voids.is_void((row.source, row.id)))
            for row in told
            if row in journey_rows or row.position in moved
        ],
        "entities": list(_entities(journey)),
        "pending_links": _pending(journey, view),
    }


def _fact(row: Stored) -> Fact:
    return read_fact(row.micros, row.rest, row.source, row.id, row.type, _json.decode(row.data))


async def _events(view: Snapshot, key: Key) -> list[Stored]:
    """Return the events, up to the moment, of the component that holds the entity."""
    row = await view.connection.fetchrow(
        """
        SELECT c.component, c.kind, c.state FROM entities e JOIN components c USING (ledger, generation, component)
        WHERE e.ledger = $1 AND e.generation = $2 AND e.kind = $3 AND e.id = $4
        """,
        view.ledger.ledger, view.generation, *key,
    )  # fmt: skip
    if row is None:
        return []
    identities = [(fact.source, fact.id) for fact in decode(*row).facts]
    return await log.read_identities(view.connection, view.ledger.ledger, identities, view.as_of.position)


def _hanging_together(rows: Sequence[Stored], key: Key, voids: Voids) -> list[Stored]:
    """Return the events of the exact journey: a component may hold several that once hung together."""
    keys = {row.position: set(keys_of(_fact(row))) for row in rows}
    live = [row for row in rows if not voids.is_void((row.source, row.id))]
    reached, before = {key}, 0
    while len(reached) > before:
        before = len(reached)
        for row in live:
            if not keys[row.position].isdisjoint(reached):
                reached |= keys[row.position]
    return [row for row in rows if not keys[row.position].isdisjoint(reached)]


def _reaching(registers: Iterable[Stored], identities: set[tuple[str, str]], voids: Voids) -> Iterable[Stored]:
    """The events from outside that may have moved the journey: rates, and voids of its events."""
    for row in registers:
        if row.type != "event.voided" or voids.concerned(_fact(row)) in identities:
            yield row


async def _moved(view: Snapshot, told: Sequence[Stored], names: set[str]) -> dict[int, list[dict[str, Any]]]:
    """Return by position what each event posted about the journey's entities: money, counts and outcomes."""
    rows = await view.connection.fetch(
        f"""
        SELECT position, measure, entity, s.campaign, s.channel, s.source, s.medium, s.owner, day, cohort, amount, value, detail
        FROM postings p {OF_SEGMENT}
        WHERE p.ledger = $1 AND p.generation = $2 AND position = ANY($3) AND entity = ANY($4) AND value IS NULL
        AND measure NOT LIKE 'funnel.%' AND measure NOT IN ('pending_links', 'flag', 'invoiced_with_cogs')
        ORDER BY position, line
        """,
        view.ledger.ledger, view.generation, [row.position for row in told], sorted(names),
    )  # fmt: skip
    lines: dict[int, list[lineage.Line]] = {}
    for row in map(tuple, rows):
        lines.setdefault(row[0], []).append(lineage.Line(row[1], row[2], row[3:8], *row[8:13]))
    found: dict[int, list[dict[str, Any]]] = {}
    for event in told:
        data = _json.decode(event.data)
        for line in lines.get(event.position, []):
            alike = [one for one in lines[event.position] if one.entity == line.entity]
            kind, identity = lineage.split_entity(line.entity)
            found.setdefault(event.position, []).append({
                "measure": line.measure,
                "amount": entries.amount(line.measure, line.amount, view.ledger.currency),
                "campaign_id": line.where[0],
                "day": entries.written(line.day),
                "entity": {"kind": kind, "id": identity},
                "why": lineage.why(event.type, data, line, alike),
            })  # fmt: skip
    return found


def _event(row: Stored, moved: list[dict[str, Any]], *, void: bool) -> dict[str, Any]:
    return {
        "position": row.position, "type": row.type, "time": row.time, "source": row.source, "id": row.id,
        "recorded_at": row.recorded_at, "voided": void, "data": msgspec.Raw(row.data.encode()), "moved": moved,
    }  # fmt: skip


def _entities(journey: Journey) -> Iterable[dict[str, Any]]:
    """Describe each entity as it stands, parents first: its campaign and dimensions, its cohort day, and whose part it is."""
    for one in sorted(journey.entities.values(), key=lambda entity: KINDS.index(entity.kind)):
        if isinstance(one, CreditNote):
            if one.invoice:
                yield _entity(one, one.invoice, part_of=one.invoice)
            continue
        yield _entity(one, _parent(one), live=one.live if isinstance(one, Order | Invoice) else None)


def _parent(one: Entity) -> Entity | None:
    """Return what an entity has its dimensions from."""
    if isinstance(one, Opportunity):
        return one.giver
    return one.parent if isinstance(one, Quote | Order | Invoice) else None


def _entity(
    one: Entity, parent: Entity | None, *, part_of: Entity | None = None, live: bool | None = None
) -> dict[str, Any]:
    """Describe an entity; one that is `part_of` another has that one's dimensions."""
    where, cohort = (part_of or one).where, (part_of or one).cohort
    dimensions = {"campaign_id": where.campaign, **dict(zip(Where._fields[1:], where[1:], strict=True))}
    day = None if cohort == NO_DAY else date.fromordinal(cohort).isoformat()
    told = {"kind": parent.kind, "id": parent.id} if parent else None
    stands = {} if live is None else {"live": live}
    return {"kind": one.kind, "id": one.id, **dimensions, "cohort_day": day, "parent": told, **stands}


def _pending(journey: Journey, view: Snapshot) -> list[dict[str, str]]:
    """Return what the journey waits for."""
    book = Book(Zone(view.ledger.timezone), Rates(view.ledger.currency), Segments())
    for entity in journey.contributing():
        if rule := pending.RULES.get(entity.kind):
            rule(entity, book)
    return [{"from": cell[1], "to": cell[6] or ""} for cell in book.cells]
