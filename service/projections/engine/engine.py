"""The engine: events → components → postings (DESIGN section 3). A live follower and a rebuild run the same code.

For each event in log order: find the component that the event's entities belong to (joining components that turn out to
hang together), insert the fact, fold again, and post new minus old, tagged with the event's position. What reaches further
than one component: registers, as of exchange rates, and what campaigns are like (every component that asked), a void (the
component of the voided event) and an account's orders (which order brought a new customer).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from service.domain.agreements import Agreements
from service.domain.calendar import Zone
from service.domain.facts import Fact, Key
from service.domain.kinds import KIND_OF, REGISTER_OF, REGISTERS, keys_of
from service.domain.names import Names
from service.domain.postings import Book, Cells
from service.domain.rates import Rates
from service.domain.registers import Lookup, Register, lookup
from service.domain.stages import Stages
from service.domain.voids import FOR_GOOD, Identity, Voids
from service.projections.engine.components import Component
from service.projections.engine.folding import Folding
from service.projections.engine.logged_facts import Row, fact_of, read_rows
from service.projections.engine.set_aside import SetAside
from service.projections.engine.tables import Tables
from service.projections.engine.working_set import WorkingSet
from service.projections.engine.writer import Writer
from service.store.ledgers import Ledger
from service.store.log.stored_events import Stored

_STRETCH = 1_000  # events folded between two writes
_TURN = 25  # events folded between two turns of the event loop
_AT_ONCE = 2_000  # components that a new rate refolds between two writes


class Engine:
    """The working set of one generation of one ledger. `tables` is where it reads and writes."""

    def __init__(
        self,
        ledger: Ledger,
        tables: Tables,
        next_component: int,
        registers: Iterable[Stored],
        set_aside: SetAside | None = None,
    ) -> None:
        """`registers` are the ledger's rates and voids up to the generation's checkpoint, `set_aside` what waits for a fix."""
        self.set_aside, zone = set_aside or SetAside(), Zone(ledger.timezone)
        self.tables = tables
        self._writer = Writer(tables)
        self._set = WorkingSet(tables, self._writer, next_component, self.set_aside.move)
        self._voids = Voids()
        self._made: dict[str, Callable[[], Register]] = {
            "rates": lambda: Rates(ledger.currency), "stages": Stages, "agreements": lambda: Agreements(zone),
            "accounts": lambda: Names("account"), "contacts": lambda: Names("contact"),
        }  # fmt: skip
        self._registered: dict[str, list[Fact]] = {name: [] for name in self._made}
        self._targets: dict[Identity, Row] = {}
        for row in registers:
            with suppress(Exception):  # set aside when it came
                self._register(fact_of(row))
        self._book = Book(zone, Rates(ledger.currency), tables.segments)
        self._book.campaigns = tables.attributes
        for name in self._made:
            setattr(self._book, name, self._live(name))
        self._folding = Folding(self._set, self._writer, self._book, self._book.zone, self._voids, self.set_aside)

    async def project(
        self, rows: Sequence[Row], voided: Iterable[Stored] = (), seconds: float = math.inf
    ) -> int:  # fmt: skip
        """Project events in log order and begin to write what they post; `store` has to be the last word.

        `voided` may hold the targets of the voids among them, which are looked up otherwise. Return the position reached: that of
        the last event, or of one before where that took `seconds`, apart from what it took to bring components into memory.
        """
        self._targets = {(row.source, row.id): row for row in voided}
        facts, unreadable = read_rows(rows)
        named = [keys_of(fact) for _, fact in facts]
        await self._set.load((fact for _, fact in facts), named)
        self._folding.until, last = time.monotonic() + seconds, rows[-1].position if rows else 0
        for number, ((self._folding.position, fact), keys) in enumerate(zip(facts, named, strict=True), 1):
            if number % _TURN == 0:
                await self._writer.take_turns(begin=number % _STRETCH == 0)
            kind, register = KIND_OF[fact[4]], REGISTER_OF.get(fact[4])
            if "campaign_id" in fact[5] and not self._voids.is_void((fact[2], fact[3])):
                self.tables.known.count(fact[5]["campaign_id"], self._folding.position, 1)
            if kind == "voids":
                await self._void(fact)
            elif kind not in REGISTERS:
                one = self._set.component(kind, keys)
                one.insert(fact)
                await self._fold(one)
            if register is not None:
                await self._take(register, fact)
            if time.monotonic() > self._folding.until and number < len(facts):
                last = facts[number][0] - 1
                break
        for row, error in unreadable:
            if row.position <= last:
                self._note_unreadable(row, error)
        return last

    @property
    def unsettled(self) -> int:
        """How many of the postings stored are in no balance yet."""
        return self.tables.unsettled

    @property
    def next_component(self) -> int:
        """The number of the component that is made next."""
        return self._set.next_component

    async def abandon(self) -> None:
        """Let go of the connection after a failure; the working set is of no use any more."""
        await self._writer.abandon()

    def forget(self, most: int) -> None:
        """Drop the working set when it has grown beyond `most` components."""
        self._set.forget(most)

    def component_of(self, key: Key) -> Component | None:
        """Return the component of an entity, if it is in the working set."""
        return self._set.components.get(self._set.owners.get(key, 0))

    def is_void(self, identity: Identity) -> bool:
        """Tell whether the event of a (source, id) is voided."""
        return self._voids.is_void(identity)

    async def contributed_by(self, component: Component) -> Cells:
        """Return what a component contributes by its facts and orders, without posting anything."""
        return await self._folding.contributed_by(component)

    # What reaches further

    def _register(self, fact: Fact) -> None:
        if fact.type == "event.voided":
            self._voids.add(fact)
        else:
            self._registered[REGISTER_OF[fact.type]].append(fact)

    def _live(self, name: str) -> Register:
        """Return a register of its live facts."""
        register = self._made[name]()
        for fact in self._registered[name]:
            if not self._voids.is_void((fact.source, fact.id)):
                with suppress(Exception):  # set aside when it came
                    register.add(fact)
        return register

    async def _take(self, name: str, fact: Fact) -> None:
        """Have a register take a fact in, and all that it changes something for contribute anew."""
        self._register(fact)
        if not self._voids.is_void((fact.source, fact.id)):
            register: Register = getattr(self._book, name)
            try:
                changed = register.add(fact)
            except Exception as error:  # noqa: BLE001  as in Folding.fold
                self.set_aside.note(self._folding.position, error)
                return
            await self._fold_asking(changed)

    async def _void(self, fact: Fact) -> None:
        concerned = self._voids.concerned(fact)
        before = self._voids.is_void(concerned)
        self._register(fact)
        target = self._targets.get(concerned)
        if target is None:
            await self._writer.written()
            target = await self.tables.event(concerned, self._folding.position)
        facts, unreadable = read_rows([target] if target and target.position <= self._folding.position else [])
        unread = target is not None and self.set_aside.get(-target.position) is not None
        for row, error in unreadable:
            self._note_unreadable(row, error)
        if not facts:
            return
        voided = facts[0][1]
        if voided.type == FOR_GOOD:
            return
        kind, lives = KIND_OF[voided.type], not self._voids.is_void(concerned)
        if target is not None and not (lives and kind in REGISTERS):
            self.set_aside.clear(-target.position)  # it is dealt with here: a retry would take it in twice
        if "campaign_id" in voided.data:
            counted = not before and not unread
            if counted != lives:
                self.tables.known.count(voided.data["campaign_id"], self._folding.position, lives - counted)
        if kind not in REGISTERS:
            await self._set.load([voided], [keys_of(voided)])
            one = self._set.component(kind, keys_of(voided))
            self._folding.stand(one, voided, before=before)
            await self._fold(one, anew=one.folded is None)
        if (name := REGISTER_OF.get(voided.type)) is not None:
            was, live = getattr(self._book, name), self._live(name)
            setattr(self._book, name, live)
            await self._fold_asking([*was.concerned(voided), *live.concerned(voided)])

    def _note_unreadable(self, row: Row, error: Exception) -> None:
        """Set an event aside that cannot be read, unless it is voided: then it counts as never sent."""
        if self._voids.is_void((row.source, row.id)):
            self.set_aside.clear(-row.position)
        else:
            self.set_aside.note(row.position, error)

    async def retry(self) -> None:
        """Process again what is set aside. What it posts bears the position of the last event that waited with it."""
        for entry in self.set_aside.waiting():
            if self.set_aside.get(entry.key) is not entry:  # dealt with by one before it
                continue
            self._folding.position = entry.last_position
            await self.tables.go_on_at(entry.last_position)
            if entry.component:
                await self._fold_all([entry.component])
            else:
                await self.project(await self.tables.event_at(entry.position))
                if self.set_aside.get(entry.key) is entry:
                    self.set_aside.clear(entry.key)
            await self._writer.write()

    async def _fold(self, component: Component, *, anew: bool = False) -> None:
        """Fold a component, and whatever asked for what it says of a campaign."""
        await self._folding.fold(component, anew=anew)
        if self._folding.described:
            changed, self._folding.described = self._folding.described, []
            await self._fold_asking(lookup("campaign", one) for one in changed)

    async def _fold_asking(self, changed: Iterable[Lookup]) -> None:
        """Have all components contribute anew that asked for something of that."""
        await self._fold_all(sorted({one for what in changed for one in await self._set.asking_for(*what)}))

    async def _fold_all(self, identities: Sequence[int]) -> None:
        for start in range(0, len(identities), _AT_ONCE):
            page = identities[start : start + _AT_ONCE]
            await self._set.load_components(page)
            for identity in page:
                await self._fold(self._set.components[identity], anew=True)
                await self._folding.let_others()
            if len(identities) > _AT_ONCE:
                await self._writer.write()

    async def store(self) -> None:
        """Write what has been posted and store the components that have changed."""
        await self._writer.write()
        await self.tables.store(self._set.take_changes())
        await self.tables.set_aside(*self.set_aside.changes())
