"""The tables of one generation: what the engine loads and writes, set-wise, inside the transaction of a batch."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from service.domain import layout as layouts
from service.domain.contributions import LAYOUT
from service.domain.durations import bucket_of
from service.domain.facts import Key
from service.domain.postings import LARGEST, Cell, Segment, Segments
from service.projections.engine import set_aside
from service.projections.engine.components import Component, decode
from service.projections.sums import balances, known_campaigns
from service.projections.sums.known_campaigns import Known
from service.store import copying
from service.store.log import by_identity, feed
from service.store.log.stored_events import Stored

# A posting as COPY takes it, in pieces of which most come again at once.
_number = struct.Struct("!iqii").pack  # position and line
_duration = struct.Struct("!ihiqiq").pack  # bucket, amount, value


def _begin(ledger: int, generation: int) -> bytes:
    return struct.pack("!hiiii", 14, 4, ledger, 4, generation)


@lru_cache(maxsize=16_384)
def _place(segment: int, campaign: int, day: int, cohort: int) -> bytes:
    return struct.pack("!iiiiiiii", 4, segment, 4, campaign, 4, copying.date(day), 4, copying.date(cohort))


@lru_cache(maxsize=8_192)
def _count(amount: int, measure: str) -> bytes:
    return struct.pack("!ihiqi", 2, 0, 8, amount, -1) + copying.known_text(measure)


@lru_cache(maxsize=8_192)
def _entity(name: str) -> bytes:
    return copying.text(name) + copying.NULL  # for what has no detail


class Journal:
    """What events have posted and not yet written: postings, and what campaigns are called from a position on."""

    def __init__(self) -> None:
        self.postings: list[tuple[int, Cell, int]] = []
        self.campaigns: list[tuple[str, int, dict[str, Any]]] = []


class Changes:
    """Which components have changed and are not yet stored (`kept`), and which entities belong to them now."""

    def __init__(self) -> None:
        self.new_owners: dict[Key, int] = {}
        self.owners: dict[Key, int] = {}
        self.kept: dict[int, Component] = {}
        self.removed: set[int] = set()

    def own(self, key: Key, component: int, *, new: bool) -> None:
        """Note the component that an entity belongs to now; `new` = no row says yet to which."""
        (self.new_owners if new or key in self.new_owners else self.owners)[key] = component

    def remove(self, component: Component) -> None:
        """Note a component that another one has absorbed."""
        self.kept.pop(component.id, None)
        self.removed.add(component.id)


class Tables:
    """One generation of one ledger, on the connection of the current batch."""

    def __init__(self, connection: Any, ledger: int, generation: int, *, fresh: bool = False) -> None:
        """`fresh`: the generation has no balances yet."""
        self.connection = connection
        self.key = (ledger, generation)
        self.segments = Segments(LAYOUT)
        self.known = Known()
        self.attributes: dict[str, Mapping[str, Any]] = {}  # of campaigns, as last described
        self._unsettled = balances.Unsettled()
        self._addition = balances.NOTHING
        self.unsettled = 0  # postings not yet in the balances
        self._fresh = fresh
        self._line = self._last_position = 0

    async def owners(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Return the components that entities belong to, one index look-up each."""
        rows = await self.connection.fetch(
            """
            SELECT u.kind, u.id, e.component FROM unnest($3::text[], $4::text[]) AS u (kind, id)
            CROSS JOIN LATERAL (
                SELECT component FROM entities WHERE ledger = $1 AND generation = $2
                AND kind = u.kind COLLATE "C" AND id = u.id COLLATE "C" LIMIT 1
            ) e
            """,
            *self.key, [kind for kind, _ in keys], [identity for _, identity in keys],
        )  # fmt: skip
        return {(kind, identity): component for kind, identity, component in rows}

    async def components(self, identities: Collection[int]) -> list[Component]:
        """Load components."""
        rows = await self.connection.fetch(
            """
            SELECT c.component, c.kind, c.state FROM unnest($3::bigint[]) AS u (component)
            CROSS JOIN LATERAL (
                SELECT * FROM components WHERE ledger = $1 AND generation = $2 AND component = u.component LIMIT 1
            ) c
            """,
            *self.key, list(identities),
        )  # fmt: skip
        return [decode(*row) for row in rows]

    async def asking_for(self, currency: str, day: int) -> list[int]:
        """Return the components that asked for a rate of a currency on or after a day."""
        rows = await self.connection.fetch(
            """
            SELECT component FROM conversions WHERE ledger = $1 AND generation = $2 AND currency = $3 AND last_day >= $4
            ORDER BY component
            """,
            *self.key, currency, day,
        )  # fmt: skip
        return [row[0] for row in rows]

    async def event(self, identity: tuple[str, str], until: int) -> Stored | None:
        """Return the event of an identity, if it had arrived by a position."""
        return await by_identity.read_identity(self.connection, self.key[0], identity, until)

    async def event_at(self, position: int) -> list[Stored]:
        """Return the event at a position."""
        return await feed.read(self.connection, self.key[0], position - 1, 1)

    async def go_on_at(self, position: int) -> None:
        """Number what is posted next at a position after what is posted there already."""
        self._last_position = position
        self._line = await self.connection.fetchval(
            "SELECT coalesce(max(line), 0) FROM postings WHERE ledger = $1 AND generation = $2 AND position = $3",
            *self.key, position,
        )  # fmt: skip

    async def show_life(self) -> None:
        """Send the least there is over the connection."""
        await self.connection.execute("SELECT")

    async def set_aside(self, kept: list[set_aside.Entry], gone: list[tuple[int, int]]) -> None:
        """Store what has been set aside and remove what no longer is."""
        await set_aside.store(self.connection, self.key, kept, gone)

    async def store(self, changes: Changes) -> None:
        """Store components in a few set-wise statements."""
        await self._write_new_owners(changes.new_owners)
        if changes.owners:
            await self._write_owners(changes.owners)
        if changes.kept or changes.removed:
            await self._write_components(list(changes.kept.values()), list(changes.removed))

    async def write(self, journal: Journal) -> None:
        """Write postings, the segments they are the first to use, campaigns, and which of them are known."""
        await self._write_segments()
        counts, self.known.new = self.known.new, {}
        if counts:
            await known_campaigns.store(self.connection, self.key, counts.items())
        if journal.postings:
            await self._write_postings(journal.postings)
            self._leave(journal.postings)
        if journal.campaigns:
            last = {(campaign, position): attributes for campaign, position, attributes in journal.campaigns}
            await self.connection.executemany(
                "INSERT INTO campaigns VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                [(*self.key, *key, msgspec.json.encode(attributes).decode()) for key, attributes in last.items()],
            )

    async def add_up(self) -> None:
        """Add up what is in no balance yet, for `settle`; others have their turn meanwhile."""
        unsettled, self._unsettled, self.unsettled = self._unsettled, balances.Unsettled(), 0
        self._addition = await asyncio.to_thread(unsettled.addition, self.segments)

    async def settle(self) -> None:
        """Add the postings that are in no balance yet to the balances."""
        if self.unsettled:
            await self.add_up()
        addition, self._addition = self._addition, balances.NOTHING
        if addition.balances:
            await balances.write(self.connection, self.key, addition, fresh=self._fresh)
            self._fresh = False

    async def _write_postings(self, postings: Iterable[tuple[int, Cell, int]]) -> None:
        campaigns, rows, text, start = self.segments.campaigns, [copying.START], copying.text, _begin(*self.key)
        line, last = self._line, self._last_position
        for position, (measure, entity, segment, day, cohort, value, detail), amount in postings:
            for part in (amount,) if -LARGEST <= amount <= LARGEST else balances.pieces(amount):
                line, last = (line + 1 if position == last else 1), position
                rows += (
                    start, _number(8, position, 4, line), _place(segment, campaigns[segment], day, cohort),
                    _count(part, measure) if value is None else
                    _duration(2, bucket_of(value), 8, part, 8, value) + copying.known_text(measure),
                    _entity(entity) if detail is None else text(entity) + text(detail),
                )  # fmt: skip
        self._line, self._last_position = line, last  # the same event may go on in the next write
        await copying.copy(self.connection, "postings", rows)

    async def _write_new_owners(self, owners: dict[Key, int]) -> None:
        records = [(*self.key, kind, identity, component) for (kind, identity), component in owners.items()]
        if records:
            await self.connection.copy_records_to_table("entities", records=records)

    async def _write_owners(self, owners: dict[Key, int]) -> None:
        await self.connection.execute(
            """
            INSERT INTO entities SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::bigint[])
            ON CONFLICT (ledger, generation, kind, id) DO UPDATE SET component = excluded.component
            """,
            *self.key, [kind for kind, _ in owners], [identity for _, identity in owners], list(owners.values()),
        )  # fmt: skip

    async def _write_components(self, kept: list[Component], removed: list[int]) -> None:
        new = [(*self.key, one.id, one.kind, one.encode()) for one in kept if not one.stored]
        if new:
            await self.connection.copy_records_to_table("components", records=new)
        changed = [one for one in kept if one.stored]
        if changed:
            await self.connection.execute(
                """
                INSERT INTO components SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::bytea[])
                ON CONFLICT (ledger, generation, component) DO UPDATE SET state = excluded.state
                """,
                *self.key, [one.id for one in changed], [one.kind for one in changed], [one.encode() for one in changed],
            )  # fmt: skip
        for one in kept:
            one.stored = True
        asked = [(one.id, currency, day) for one in kept for currency, day in one.lookups.items()]
        if asked:
            await self.connection.execute(
                """
                INSERT INTO conversions (ledger, generation, component, currency, last_day)
                SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::integer[])
                ON CONFLICT (ledger, generation, currency, component) DO UPDATE SET last_day = excluded.last_day
                """,
                *self.key, *map(list, zip(*asked, strict=True)),
            )  # fmt: skip
        if removed:
            for table in ("components", "conversions"):
                await self.connection.execute(
                    f"DELETE FROM {table} WHERE ledger = $1 AND generation = $2 AND component = ANY($3)",
                    *self.key, removed,
                )  # fmt: skip

    async def load_segments(self) -> None:
        """Take in the layout of the generation, which an earlier release may have made, and the segments that are numbered."""
        layout = await self.connection.fetchval(
            "SELECT layout::text FROM generations WHERE ledger = $1 AND generation = $2", *self.key
        )
        self.segments = Segments(layouts.read(layout))
        rows = await self.connection.fetch(
            """
            SELECT segment, campaign_segment, cube, labels FROM segments WHERE ledger = $1 AND generation = $2
            """,
            *self.key,
        )
        for number, campaign, cube, labels in rows:
            self.segments.add(Segment(number, campaign, cube, tuple(labels)))

    async def load_known(self) -> None:
        """Take in which campaigns are known."""
        await known_campaigns.load(self.connection, self.key, self.known)

    async def load_attributes(self) -> None:
        """Take in what campaigns are like."""
        self.attributes = await known_campaigns.described(self.connection, self.key)

    async def load_unsettled(self, settled: int, checkpoint: int) -> None:
        """Take in the postings that are in no balance yet."""
        rows = await self.connection.fetch(
            """
            SELECT measure, entity, segment, day, cohort, value, detail, position, amount FROM postings
            WHERE ledger = $1 AND generation = $2 AND position > $3 AND position <= $4
            """,
            *self.key, settled, checkpoint,
        )  # fmt: skip
        self._leave([
            (position, (measure, entity, segment, day.toordinal(), cohort.toordinal(), value, detail), amount)
            for measure, entity, segment, day, cohort, value, detail, position, amount in rows
        ])  # fmt: skip

    def _leave(self, postings: list[tuple[int, Cell, int]]) -> None:
        """Note what is still to be added to the balances."""
        self._unsettled.add(postings, self.segments.campaigns)
        self.unsettled += len(postings)

    async def _write_segments(self) -> None:
        new, self.segments.new = self.segments.new, []
        if new:
            await self.connection.executemany(
                """
                INSERT INTO segments (ledger, generation, segment, campaign_segment, cube, campaign, labels)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                """,
                [(*self.key, *one[:3], self.segments.campaign_of(one), [*one.labels]) for one in new],
            )
