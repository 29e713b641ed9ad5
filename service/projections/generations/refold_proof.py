"""The deep proof: journeys folded afresh from the log, against what is stored of them.

For a sample of events (or all), the components they belong to are folded again by a new engine that has nothing but the log;
facts, contributions and what accounts know of orders must be what is stored, and postings must add up to just that.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import date
from typing import Any, NamedTuple

import asyncpg

from service.domain.contributions import LAYOUT
from service.domain.facts import Fact, Key
from service.domain.kinds import KIND_OF, REGISTERS, keys_of
from service.domain.postings import Cells, Segments
from service.projections.engine import set_aside
from service.projections.engine.components import Component, decode
from service.projections.engine.engine import Engine
from service.projections.engine.logged_facts import read_rows
from service.projections.engine.tables import Tables
from service.projections.reports.reading import serving
from service.projections.sums.known_campaigns import Known
from service.store.ledgers import Ledger
from service.store.log import feed, registers
from service.store.log.stored_events import COLUMNS, Stored

_PAGE = 500
_MOST_TOLD = 5
_FOLDED = [name for name, kind in KIND_OF.items() if kind not in REGISTERS]


class Folded(NamedTuple):
    """What a deep proof came to: how much was folded, and what is wrong."""

    events: int
    components: int
    left_out: int
    wrong: list[str]

    @property
    def detail(self) -> str:
        """Say it in a sentence."""
        if self.wrong:
            more = f" and {len(self.wrong) - _MOST_TOLD} more" if len(self.wrong) > _MOST_TOLD else ""
            return "; ".join(self.wrong[:_MOST_TOLD]) + more
        out = f"; {self.left_out} set aside and left out" if self.left_out else ""
        return f"{self.components} journeys and other components fold from their {self.events} events to what is stored{out}"


async def fold_afresh(pool: asyncpg.Pool, ledger: Ledger, sample: int | None) -> Folded:
    """Prove `sample` events chosen at random (None = all) in one snapshot of the serving generation."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        generation, checkpoint, *_ = await serving(connection, ledger)
        proof = _Proof(connection, ledger, generation, checkpoint)
        await proof.open()
        if sample is None:
            async for page in proof.everything():
                await proof.check(page)
            await proof.complete()
        else:
            for page in await proof.chosen(sample):
                await proof.check(page)
        await proof.postings(whole=sample is None)
        return Folded(proof.events, proof.components, proof.left_out, proof.wrong)


class _Nothing:
    """The tables of an engine that has nothing but the log."""

    def __init__(self, stored: Tables) -> None:
        self.segments = Segments(LAYOUT)
        self.known = Known()
        self.attributes = dict(stored.attributes)
        self._stored = stored

    async def event(self, identity: tuple[str, str], until: int) -> Stored | None:
        return await self._stored.event(identity, until)

    async def owners(self, _: Sequence[Key]) -> dict[Key, int]:
        return {}

    async def components(self, _: Collection[int]) -> list[Component]:
        return []

    async def write(self, _: Any) -> None:
        """Nothing is written: what is folded is only looked at."""

    async def show_life(self) -> None:
        """Show the database that the proof goes on."""
        await self._stored.show_life()


class _Proof:
    def __init__(self, connection: Any, ledger: Ledger, generation: int, checkpoint: int) -> None:
        self.events = self.components = self.left_out = 0
        self.wrong: list[str] = []
        self._connection = connection
        self._ledger = ledger
        self._key = (ledger.ledger, generation)
        self._checkpoint = checkpoint
        self._tables = Tables(connection, *self._key)
        self._seen = bytearray(checkpoint + 1)

    async def open(self) -> None:
        await self._tables.load_segments()
        await self._tables.load_attributes()
        self._labels = self._tables.segments.labels
        self._registers = await registers.read(self._connection, self._ledger.ledger, self._checkpoint)
        self._blank = self._engine()
        self._aside = await set_aside.load(self._connection, self._key)
        await self._connection.execute(
            """
            CREATE TEMP TABLE stored_cells (
                measure text, entity text, segment integer, day date, cohort date, value bigint, detail text, amount numeric
            ) ON COMMIT DROP
            """
        )

    def _engine(self) -> Engine:
        return Engine(self._ledger, _Nothing(self._tables), 1, self._registers)  # type: ignore[arg-type]  # a stand-in

    async def chosen(self, sample: int) -> list[list[Component]]:
        """Return the components of events chosen at random; an event that none has is wrong."""
        chance = random.SystemRandom()
        count = min(sample, self._checkpoint)
        positions = chance.sample(range(1, self._checkpoint + 1), count)
        rows = await self._connection.fetch(
            f"SELECT {COLUMNS} FROM events WHERE ledger = $1 AND position = ANY($2) AND type = ANY($3)",
            self._ledger.ledger, positions, _FOLDED,
        )  # fmt: skip
        facts, _ = read_rows([Stored(*row) for row in rows])
        owners = await self._tables.owners(list({keys_of(fact)[0] for _, fact in facts}))
        found = {one.id: one for one in await self._tables.components(set(owners.values()))}
        for position, fact in facts:
            if self._blank.is_void((fact.source, fact.id)):
                continue
            component = found.get(owners.get(keys_of(fact)[0], 0))
            if component is None or fact[:4] not in {one[:4] for one in component.facts}:
                self.wrong.append(f"the event at position {position} is in no component")
        components = list(found.values())
        return [components[start : start + _PAGE] for start in range(0, len(components), _PAGE)]

    async def everything(self) -> AsyncIterator[list[Component]]:
        """Yield all components, a page at a time."""
        last = 0
        while True:
            rows = await self._connection.fetch(
                """
                SELECT component, kind, state FROM components WHERE ledger = $1 AND generation = $2 AND component > $3
                ORDER BY component LIMIT $4
                """,
                *self._key, last, _PAGE,
            )  # fmt: skip
            if not rows:
                return
            last = rows[-1][0]
            yield [decode(*row) for row in rows]

    async def check(self, page: list[Component]) -> None:
        """Fold the events of some components afresh and compare."""
        rows = await self._rows(page)
        engine = self._engine()
        await engine.project(rows)
        accounts = await self._accounts(page)
        for component in page:
            if self._aside.get(component.id) is not None:
                self.left_out += 1
                continue
            if component.kind != "account":
                self._compare(component, engine)
            for order in component.exports.values():
                account = accounts.get(("account", order.account_id))
                if account is None or account.orders.get(order.order_id) != order:
                    self.wrong.append(f"account {order.account_id} does not know order {order.order_id} as it is")
        for account in {one.id: one for one in (*accounts.values(), *page) if one.kind == "account"}.values():
            if self._aside.get(account.id) is None:
                self._equal(account, account.all_cells(), await engine.contributed_by(account), engine)
        self.events += len(rows)
        self.components += len(page)
        await self._keep(page)

    async def _rows(self, page: list[Component]) -> list[Stored]:
        facts = [fact for component in page for fact in component.facts]
        found = await self._connection.fetch(
            f"""
            SELECT {", ".join(f"e.{one}" for one in Stored._fields)}
            FROM unnest($2::text[], $3::text[]) AS u (source, id) CROSS JOIN LATERAL (
                SELECT * FROM events WHERE ledger = $1 AND source = u.source COLLATE "C" AND id = u.id COLLATE "C" LIMIT 1
            ) e WHERE e.position <= $4 ORDER BY e.position
            """,
            self._ledger.ledger, [fact.source for fact in facts], [fact.id for fact in facts], self._checkpoint,
        )  # fmt: skip
        rows = [Stored(*row) for row in found]
        for row in rows:
            if self._seen[row.position]:
                self.wrong.append(f"the event at position {row.position} is in two components")
            self._seen[row.position] = 1
        if len(rows) < len(facts):
            self.wrong.append(f"{len(facts) - len(rows)} facts are of no event in the log")
        return rows

    async def _accounts(self, page: list[Component]) -> dict[Key, Component]:
        keys = {("account", order.account_id) for component in page for order in component.exports.values()}
        owners = await self._tables.owners(list(keys))
        found = {one.id: one for one in await self._tables.components(set(owners.values()))}
        return {key: found[owner] for key, owner in owners.items() if owner in found}

    def _compare(self, component: Component, engine: Engine) -> None:
        fresh = engine.component_of(keys_of(component.facts[0])[0]) if component.facts else None
        if fresh is None or [one[:4] for one in fresh.facts] != [one[:4] for one in component.facts]:
            self.wrong.append(f"{_name(component)}: its events hang together otherwise")
            return
        if _plain(fresh.facts) != _plain(component.facts):
            self.wrong.append(f"{_name(component)}: its events say something else")
        if fresh.exports != component.exports:
            self.wrong.append(f"{_name(component)}: its accounts were told something else")
        self._equal(component, component.all_cells(), fresh.all_cells(), engine)

    def _equal(self, component: Component, stored: Cells, fresh: Cells, engine: Engine) -> None:
        old, new = _labelled(stored, self._labels), _labelled(fresh, engine.tables.segments.labels)
        if old != new:
            apart = {cell[:2] for cell in old.keys() | new.keys() if old.get(cell) != new.get(cell)}
            figures = ", ".join(" of ".join(one) for one in sorted(apart)[:3])
            self.wrong.append(f"{_name(component)}: {figures} differ")

    async def _keep(self, page: list[Component]) -> None:
        """Note what components contribute, to be held against the postings."""
        records = [
            (cell[0], cell[1], cell[2], date.fromordinal(cell[3]), date.fromordinal(cell[4]), cell[5], cell[6], amount)
            for component in page
            for cell, amount in component.all_cells().items()
            if amount
        ]
        await self._connection.copy_records_to_table("stored_cells", records=records)

    async def complete(self) -> None:
        """Find events that are in no component: after `check` of all of them."""
        rows = await self._connection.fetch(
            "SELECT position FROM events WHERE ledger = $1 AND position <= $2 AND type = ANY($3)",
            self._ledger.ledger, self._checkpoint, _FOLDED,
        )  # fmt: skip
        missing = [row[0] for row in rows if not self._seen[row[0]] and self._aside.get(-row[0]) is None]
        for position in missing[:100]:
            rows = await feed.read(self._connection, self._ledger.ledger, position - 1, 1)
            if not self._blank.is_void(
                (rows[0].source, rows[0].id)
            ):  # such a one may have been unreadable when it came
                self.wrong.append(f"the event at position {position} is in no component")

    async def postings(self, *, whole: bool) -> None:
        """Compare the sums of postings with what components contribute, of the sample's figures or of all."""
        only = "" if whole else "AND (measure, entity) IN (SELECT measure, entity FROM stored_cells)"
        cell = "measure, entity, segment, day, cohort, value, detail"
        posted = f"""
            SELECT {cell}, sum(amount) FROM postings WHERE ledger = $1 AND generation = $2 AND position <= $3 {only}
            GROUP BY {cell} HAVING sum(amount) <> 0
        """
        stored = f"SELECT {cell}, sum(amount) FROM stored_cells GROUP BY {cell}"
        rows = await self._connection.fetch(
            f"""
            SELECT DISTINCT measure, entity FROM (
                (({stored}) EXCEPT ({posted})) UNION ALL (({posted}) EXCEPT ({stored}))
            ) apart LIMIT 100
            """,
            *self._key, self._checkpoint, timeout=3600,
        )  # fmt: skip
        self.wrong += [f"{measure} of {entity}: its postings do not add up to it" for measure, entity in rows]


def _labelled(cells: Cells, labels: dict[int, Any]) -> dict[tuple[Any, ...], int]:
    return {(*cell[:2], labels[cell[2]], *cell[3:]): amount for cell, amount in cells.items() if amount}


def _plain(facts: Sequence[Fact]) -> list[tuple[Any, ...]]:
    return [tuple(fact) for fact in facts]


def _name(component: Component) -> str:
    entity = next(iter(component.keys()), ("component", str(component.id)))
    return f"{component.kind} of {entity[0]} {entity[1]}"
