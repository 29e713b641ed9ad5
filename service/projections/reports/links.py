"""The pending links of a view with the money that they stand for: some thousand links in memory at a time, whatever waits.

Each link is told with what its entity stands for by the facts of its component, as known at the view's moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from service.domain import outstanding
from service.domain.facts import Fact
from service.domain.money import Money
from service.domain.stated import stated_money
from service.domain.voids import Voids
from service.projections.engine import logged_facts
from service.projections.engine.components import decode
from service.projections.reports.reading import Snapshot
from service.store.log import by_identity

_AT_ONCE = 2_000  # links
_SMALL = 20_000  # bytes of a component, up to which some hundred are read together
_TOGETHER = 200
_json = msgspec.json.Decoder()
_OWN = ", ".join(f"'{kind}'" for kind in sorted(outstanding.KINDS))


class Link(NamedTuple):
    """What waits for what, since which event; `component` holds it."""

    entity: str
    target: str
    position: int
    recorded_at: datetime
    component: int | None


async def pending(view: Snapshot) -> AsyncIterator[tuple[Link, Money | None]]:
    """Yield every pending link with its money."""
    voids = await logged_facts.voids(view.connection, view.ledger.ledger, view.as_of.position)
    page: list[Link] = []
    # An event that waits belongs to the component of what it waits for, anything else to its own.
    rows = view.connection.cursor(
        f"""
        WITH links AS (
            SELECT entity, detail, max(position) AS since FROM postings
            WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = 'pending_links'
            GROUP BY entity, detail HAVING sum(amount) <> 0
        ), owned AS (
            SELECT *, CASE WHEN split_part(entity, ':', 1) IN ({_OWN}) THEN entity ELSE detail END AS owner FROM links
        )
        SELECT o.entity, o.detail, since, e.recorded_at, n.component
        FROM owned o JOIN events e ON e.ledger = $1 AND e.position = since
        LEFT JOIN entities n ON n.ledger = $1 AND n.generation = $2
            AND n.kind = split_part(owner, ':', 1) AND n.id = substr(owner, strpos(owner, ':') + 1)
        ORDER BY n.component, since, o.entity, o.detail
        """,
        view.ledger.ledger, view.generation, view.as_of.position, prefetch=_AT_ONCE,
    )  # fmt: skip
    async for row in rows:
        page.append(Link(*row))
        if len(page) == _AT_ONCE:
            for one in await _with_money(view, page, voids):
                yield one
            page = []
    for one in await _with_money(view, page, voids):
        yield one


async def _with_money(
    view: Snapshot, links: Sequence[Link], voids: Voids
) -> list[tuple[Link, Money | None]]:  # fmt: skip
    facts = await _facts(view, links)
    if not view.current:
        facts = await _known_then(view, facts)
    live = {key: [one for one in several if not voids.is_void((one.source, one.id))] for key, several in facts.items()}
    unkept = await _unkept(view, live)
    return [(one, _money(one, live, unkept)) for one in links]


def _money(link: Link, live: dict[tuple[int, str], list[Fact]], unkept: dict[tuple[str, str], Money]) -> Money | None:
    facts = live.get((link.component or 0, link.entity), [])
    stated = (unkept.get((one.source, one.id)) for one in outstanding.statements(link.entity, facts))
    return outstanding.money_of(link.entity, facts) or next((one for one in stated if one), None)


async def _facts(view: Snapshot, links: Sequence[Link]) -> dict[tuple[int, str], list[Fact]]:
    """Return the facts about what waits; of a large component nothing else is kept."""
    names: dict[int, set[str]] = {}
    for one in links:
        if one.component is not None:
            names.setdefault(one.component, set()).add(one.entity)
    found: dict[tuple[int, str], list[Fact]] = {}

    def take(component: int, kind: str, state: bytes) -> None:
        of = outstanding.by_name(decode(component, kind, state).facts, frozenset(names[component]))
        found.update({(component, name): facts for name, facts in of.items()})

    small = view.connection.cursor(
        f"""
        SELECT component, kind, state FROM components
        WHERE ledger = $1 AND generation = $2 AND component = ANY($3) AND octet_length(state) <= {_SMALL}
        """,
        view.ledger.ledger, view.generation, list(names), prefetch=_TOGETHER,
    )  # fmt: skip
    met = set()
    async for row in small:
        take(*row)
        met.add(row[0])
    for component in names.keys() - met:
        row = await view.connection.fetchrow(
            "SELECT component, kind, state FROM components WHERE ledger = $1 AND generation = $2 AND component = $3",
            view.ledger.ledger, view.generation, component,
        )  # fmt: skip
        take(*row)
    return found


async def _known_then(view: Snapshot, facts: dict[tuple[int, str], list[Fact]]) -> dict[tuple[int, str], list[Fact]]:
    identities = [(one.source, one.id) for several in facts.values() for one in several]
    known = set(await by_identity.positions(view.connection, view.ledger.ledger, identities, view.as_of.position))
    return {key: [one for one in several if (one.source, one.id) in known] for key, several in facts.items()}


async def _unkept(view: Snapshot, live: dict[tuple[int, str], list[Fact]]) -> dict[tuple[str, str], Money]:
    """Return the money that the events of opportunities and quotes state, by their identity."""
    asked: Iterable[Fact] = (one for (_, name), facts in live.items() for one in outstanding.statements(name, facts))
    identities = [(one.source, one.id) for one in asked]
    rows = await view.connection.fetch(
        """
        SELECT e.source, e.id, e.data -> 'value', e.data -> 'estimated_value'
        FROM unnest($2::text[], $3::text[]) AS u (source, id)
        JOIN events e ON e.ledger = $1 AND e.source = u.source COLLATE "C" AND e.id = u.id COLLATE "C"
        """,
        view.ledger.ledger, [source for source, _ in identities], [identity for _, identity in identities],
    )  # fmt: skip
    found: dict[tuple[str, str], Money] = {}
    for source, identity, *stated in rows:
        values = dict(zip(("value", "estimated_value"), stated, strict=True))
        money = stated_money({name: _json.decode(value) for name, value in values.items() if value})
        if money:
            found[source, identity] = money
    return found
