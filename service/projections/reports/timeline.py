"""One journey as a timeline: its events in event order, what each moved, its entities as they stand, and what waits.

A journey may have many thousand events: they come in pages, each with the entities that its events name first, and what those
wait for. All pages together are the journey. What is in memory is its facts, as the engine has them, and one page of events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import msgspec

from service.domain import lineage
from service.domain.calendar import Zone
from service.domain.components.billing import CreditNote, Invoice, Payment
from service.domain.components.entities import NO_DAY, Change, Entity, Opportunity, Order, Quote
from service.domain.components.journey import Journey, fold
from service.domain.contributions import LAYOUT
from service.domain.facts import Fact, Key, Merges
from service.domain.kinds import keys_of
from service.domain.postings import Book, Segments
from service.domain.rates import Rates
from service.domain.reports import pending
from service.domain.voids import Voids
from service.projections.engine import logged_facts
from service.projections.engine.components import decode
from service.projections.reports import entries
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import OF_SEGMENT, column_of
from service.projections.sums.threads import apart
from service.store.log import by_identity
from service.store.log.stored_events import Stored
from service.store.people.keys import Subjects

KINDS = ("lead", "opportunity", "quote", "order", "invoice", "credit_note", "payment")
LIMIT = 1_000  # events of a page
_MOST_MOVED = 100  # entities that are told of one event: a rate may move all of a journey
_MOST_LINES = 20_000  # of moved entities with which a page ends
_BYTES_OF_A_FACT = 200  # about
_json = msgspec.json.Decoder(float_hook=str)
Place = tuple[int, str, str, str]  # in event order


class _Whole(NamedTuple):
    """A journey: its facts and their places, what the live ones fold to, and where each entity is named first."""

    facts: list[Fact]
    journey: Journey
    first: Mapping[Key, Place]


class Page(NamedTuple):
    """A page of a timeline; `last` is the position of its last event, if there are more."""

    body: dict[str, Any]
    last: int | None


async def read(
    view: Snapshot, kind: str, identity: str, after: int = 0, limit: int = LIMIT, *, subjects: Subjects | None = None
) -> Page | None:
    """Return events, behind the one at a position, of the journey that an entity belongs to, as known then.

    `subjects` opens what is said of people, which is sealed without it. None if no event has named the entity.
    ValueError if there is no event at that position.
    """
    registers = await logged_facts.void_facts(view.connection, view.ledger.ledger, view.as_of.position)
    voids = Voids()
    for void in registers:
        voids.add(void)
    facts = await _facts(view, (kind, identity))
    whole = await apart(len(facts), _whole, facts, (kind, identity), voids, Zone(view.ledger.timezone))
    if whole is None:
        return None
    names = sorted({f"{one}:{name}" for fact in whole.facts for one, name in keys_of(fact)})
    identities = {(fact.source, fact.id) for fact in whole.facts}
    outside = await _outside(view, whole, [one for one in registers if voids.concerned(one) in identities], names)
    places = sorted([fact[:4] for fact in whole.facts] + outside)
    start = bisect_right(places, await _place(view, after)) if after else 0
    rows, moved = await _rows(view, places[start : start + limit], names)
    if subjects is not None:
        rows = await subjects.opened(view.connection, view.ledger.ledger, rows)
    end = start + len(rows)
    low, high = (places[start - 1] if start else None), (places[end - 1] if end else None)
    shown = {key for key, at in whole.first.items() if (low is None or at > low) and high is not None and at <= high}
    body = {
        "journey": {"kind": kind, "id": identity},
        "currency": view.ledger.currency,
        "count": len(places),
        "events": [
            _event(row, moved.get(row.position, ()), view.ledger.currency, void=voids.is_void((row.source, row.id)))
            for row in rows
        ],
        "entities": list(_entities(whole.journey, shown)),
        "pending_links": _pending(whole.journey, shown, view),
    }
    _let_go(whole.journey)
    return Page(body, rows[-1].position if rows and end < len(places) else None)


async def _facts(view: Snapshot, key: Key) -> list[Fact]:
    """Return the facts, as known then, of the component that holds the entity; in event order."""
    row = await view.connection.fetchrow(
        """
        SELECT c.component, c.kind, c.state FROM entities e JOIN components c USING (ledger, generation, component)
        WHERE e.ledger = $1 AND e.generation = $2 AND e.kind = $3 AND e.id = $4
        """,
        view.ledger.ledger, view.generation, *key,
    )  # fmt: skip
    if row is None:
        return []
    facts = (await apart(len(row["state"]) // _BYTES_OF_A_FACT, decode, *row)).facts
    if view.current:
        return facts
    identities = [(fact.source, fact.id) for fact in facts]
    known = await by_identity.positions(view.connection, view.ledger.ledger, identities, view.as_of.position)
    return [fact for fact in facts if (fact.source, fact.id) in known]


def _whole(facts: Sequence[Fact], key: Key, voids: Voids, zone: Zone) -> _Whole | None:
    live = [fact for fact in facts if not voids.is_void((fact.source, fact.id))]
    reached = _hanging_together(live, key)
    known = [fact for fact in facts if not reached.isdisjoint(keys_of(fact))]
    if not any(key in keys_of(fact) for fact in known):
        return None
    known_live = [fact for fact in live if not reached.isdisjoint(keys_of(fact))]
    merges = Merges()
    for fact in known_live:
        if fact.type == "lead.merged":
            merges.take(fact)
    first: dict[Key, Place] = {}
    for fact in known_live:
        for kind, identity in keys_of(fact):
            first.setdefault((kind, merges.name(identity) if kind == "lead" else identity), fact[:4])
    return _Whole(known, fold(known_live, zone), first)


def _let_go(journey: Journey) -> None:
    """Take entities that hold each other apart: a process that spares its collector would keep every page's for minutes."""
    for entity in [*journey.contributing()]:
        vars(entity).clear()


def _hanging_together(live: Sequence[Fact], key: Key) -> set[Key]:
    """Return the entities of the exact journey: a component may hold several that once hung together."""
    naming: dict[Key, list[Fact]] = {}
    for fact in live:
        for one in keys_of(fact):
            naming.setdefault(one, []).append(fact)
    reached, following = {key}, [key]
    while following:
        for fact in naming.pop(following.pop(), ()):
            new = [one for one in keys_of(fact) if one not in reached]
            reached.update(new)
            following += new
    return reached


async def _outside(view: Snapshot, whole: _Whole, voids: Sequence[Fact], names: Sequence[str]) -> list[Place]:
    """Return the events from outside that moved the journey: voids of its events, and rates of its currencies."""
    stated = (value for fact in whole.facts for value in fact.data.values() if type(value) is dict)
    currencies = {one["currency"] for one in stated if "currency" in one} - {view.ledger.currency}
    rows = await view.connection.fetch(
        """
        SELECT micros, rest, source, id FROM events e
        WHERE ledger = $1 AND position <= $3 AND type IN ('fx.rate_published', 'event.voided')
        AND CASE type WHEN 'event.voided' THEN (source, id) IN (SELECT * FROM unnest($4::text[], $5::text[]))
            ELSE data ->> 'base' = ANY($6) OR data ->> 'quote' = ANY($6) END
        AND EXISTS (
            SELECT FROM postings p
            WHERE p.ledger = $1 AND p.generation = $2 AND p.position = e.position AND p.entity = ANY($7)
        )
        """,
        view.ledger.ledger, view.generation, view.as_of.position, [one.source for one in voids], [one.id for one in voids],
        sorted(currencies), names,
    )  # fmt: skip
    return [tuple(row) for row in rows]


async def _place(view: Snapshot, position: int) -> Place:
    row = await view.connection.fetchrow(
        "SELECT micros, rest, source, id FROM events WHERE ledger = $1 AND position = $2", view.ledger.ledger, position
    )
    if row is None:
        raise ValueError(f"there is no event at position {position}")
    return row[0], row[1], row[2], row[3]


async def _rows(
    view: Snapshot, places: Sequence[Place], names: Sequence[str]
) -> tuple[list[Stored], dict[int, list[lineage.Line]]]:  # fmt: skip
    """Return the events at places, as many as make a page, and the lines that each of them posted about entities."""
    rows = await by_identity.read_page(view.connection, view.ledger.ledger, [place[2:] for place in places])
    lines: dict[int, list[lineage.Line]] = {}
    fetched = view.connection.cursor(
        f"""
        SELECT position, measure, entity, s.cube, s.labels, day, cohort, amount, value, detail
        FROM (
            SELECT *, dense_rank() OVER (PARTITION BY position ORDER BY entity) AS number FROM postings
            WHERE ledger = $1 AND generation = $2 AND position = ANY($3) AND entity = ANY($4) AND value IS NULL
            AND NOT measure LIKE ANY(ARRAY['funnel.%', 'opportunities.%', 'paths.%', 'quality.%', 'told.%'])
            AND measure NOT IN ('pending_links', 'flag', 'invoiced_with_cogs')
            -- money that stands elsewhere, too
            AND measure NOT IN ('leads.booked_revenue', 'leads.invoiced_revenue', 'payments.billed', 'payments.open')
        ) p {OF_SEGMENT}
        WHERE number <= {_MOST_MOVED} ORDER BY array_position($3, position), line
        """,
        view.ledger.ledger, view.generation, [row.position for row in rows], names, prefetch=1_000,
    )  # fmt: skip
    total = 0
    async for row in fetched:
        if row[0] not in lines and total >= _MOST_LINES:
            return rows[: [one.position for one in rows].index(row[0])], lines
        lines.setdefault(row[0], []).append(entries.line_of(view, row[1:]))
        total += 1
    return rows, lines


def _moved(row: Stored, lines: Sequence[lineage.Line], currency: str) -> Iterable[dict[str, Any]]:
    """Tell what an event posted about the journey's entities: money, counts and outcomes."""
    data = _json.decode(row.data)
    of: dict[str, list[lineage.Line]] = {}
    for line in lines:
        of.setdefault(line.entity, []).append(line)
    for line in lines:
        kind, identity = lineage.split_entity(line.entity)
        yield {
            "measure": line.measure,
            "amount": entries.amount(line.measure, line.amount, currency),
            "campaign_id": line.where.get("campaign"),
            "day": entries.written(line.day),
            "entity": {"kind": kind, "id": identity},
            "why": lineage.why(row.type, data, line, of[line.entity]),
        }


def _event(row: Stored, lines: Sequence[lineage.Line], currency: str, *, void: bool) -> dict[str, Any]:
    return {
        "position": row.position, "type": row.type, "time": row.time, "source": row.source, "id": row.id,
        "recorded_at": row.recorded_at, "voided": void, "data": msgspec.Raw(row.data.encode()),
        "moved": list(_moved(row, lines, currency)),
    }  # fmt: skip


def _entities(journey: Journey, shown: set[Key]) -> Iterable[dict[str, Any]]:
    """Describe entities as they stand, parents first: its campaign and dimensions, its cohort day, and whose part it is."""
    known = [journey.entities[key] for key in journey.entities.keys() & shown]
    for one in sorted(known, key=lambda entity: (KINDS.index(entity.kind), entity.id)):
        if isinstance(one, CreditNote | Payment):
            if one.invoice:
                yield _entity(one, one.invoice, part_of=one.invoice)
            continue
        yield _entity(one, _parent(one), live=one.live if isinstance(one, Order | Invoice) else None)


def _parent(one: Entity) -> Entity | None:
    """Return what an entity has its dimensions from."""
    if isinstance(one, Opportunity):
        return one.attributing_lead
    return one.parent if isinstance(one, Quote | Order | Invoice) else None


def _entity(
    one: Entity, parent: Entity | None, *, part_of: Entity | None = None, live: bool | None = None
) -> dict[str, Any]:
    """Describe an entity; one that is `part_of` another has that one's dimensions."""
    where, cohort = (part_of or one).where, (part_of or one).cohort
    dimensions = {column_of(name): label for name, label in where._asdict().items()}
    day = None if cohort == NO_DAY else date.fromordinal(cohort).isoformat()
    told = {"kind": parent.kind, "id": parent.id} if parent else None
    stands = {} if live is None else {"live": live}
    return {"kind": one.kind, "id": one.id, **dimensions, "cohort_day": day, "parent": told, **stands}


def _pending(journey: Journey, shown: set[Key], view: Snapshot) -> list[dict[str, str]]:
    """Return what entities wait for, and the changes of them."""
    book = Book(Zone(view.ledger.timezone), Rates(view.ledger.currency), Segments(LAYOUT))
    for entity in journey.contributing():
        about = entity.of if isinstance(entity, Change) else entity
        if (about.kind, about.id) in shown and (rule := pending.RULES.get(entity.kind)):
            rule(entity, book)
    return [{"from": cell[1], "to": cell[6] or ""} for cell in book.cells]
