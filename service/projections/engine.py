"""The engine: events → components → postings (DESIGN section 3). A live follower and a rebuild run the same code.

For each event in log order: find the component that the event's entities belong to (joining components that turn out to
hang together), insert the fact, fold again, and post new minus old, tagged with the event's position. Three things
reach further than one component: an exchange rate (every component that asked for it), a void (the component of the
voided event) and an account's orders (which order brought a new customer).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from service.domain.calendar import Zone, parse_day
from service.domain.component import campaign_attributes, contributions
from service.domain.events import check_version, upcast
from service.domain.facts import RULES, Fact, Key, keys_of, read_fact
from service.domain.journey import Journey, fold, fold_on
from service.domain.postings import Book, Cells, difference
from service.domain.rates import Rates
from service.domain.roi import AccountOrder
from service.domain.voids import Identity, Voids
from service.projections.aside import SetAside
from service.projections.state import Component
from service.projections.tables import Changes, Journal, Tables
from service.store.ledgers import Ledger
from service.store.log import Brief, Stored

Row = Brief | Stored
_json = msgspec.json.Decoder(float_hook=str)  # no figure is made of a JSON number, and none may stop the ledger
_HUGE = re.compile(r"\d{19}")  # a number, perhaps, beyond the 64 bits of a component's stored form
_LARGEST = 2**63
_STRETCH = 1_000  # events folded between two writes
_TURN = 25  # events folded between two turns of the event loop
_MANY = 50_000  # postings from which on balances are brought up to date before the end of the batch
_BACKLOG = 50_000  # postings that may wait for a write
_AT_ONCE = 2_000  # components that a new rate refolds between two writes


class Engine:
    """The working set of one generation of one ledger. `tables` is where it reads and writes."""

    def __init__(
        self,
        ledger: Ledger,
        tables: Tables,
        next_component: int,
        registers: Iterable[Stored],
        aside: SetAside | None = None,
    ) -> None:
        """`registers` are the ledger's rates and voids up to the generation's checkpoint, `aside` what waits for a fix."""
        self.aside = aside or SetAside()
        self.next_component = next_component
        self.tables = tables
        self._zone = Zone(ledger.timezone)
        self._currency = ledger.currency
        self._voids = Voids()
        self._rate_facts: list[Fact] = []
        self._components: dict[int, Component] = {}
        self._owners: dict[Key, int] = {}
        self._asked: dict[str, dict[int, int]] = {}  # currency → component in memory → last day it asked for
        self._targets: dict[Identity, Brief | Stored] = {}
        self._segments = tables.segments
        self._complete = next_component == 1  # nothing is stored that is not in memory
        self._changes = Changes()
        self._journal = Journal()
        self._position = 0
        self._writing: asyncio.Task[None] | None = None
        for row in registers:
            with suppress(Exception):  # set aside when it came
                self._register(_fact(row))
        self._rates = self._live_rates()

    async def project(self, rows: Sequence[Row], voided: Iterable[Stored] = ()) -> None:
        """Project events in log order and begin to write what they post; `store` has to be the last word.

        `voided` may hold the targets of the voids among them, which are looked up otherwise.
        """
        self._targets = {(row.source, row.id): row for row in voided}
        facts, unreadable = read_rows(rows)
        named = [keys_of(fact) for _, fact in facts]
        await self._load((fact for _, fact in facts), named)
        for number, ((position, fact), keys) in enumerate(zip(facts, named, strict=True), 1):
            self._position = position
            if number % _TURN == 0:
                await self._take_turns(number)
            component = RULES[fact[4]].component
            if component == "rates":
                await self._rate(fact)
            elif component == "voids":
                await self._void(fact)
            else:
                one = self._component(component, keys)
                self._fold(one, fact if one.insert(fact) else None)
        for row, error in unreadable:
            self._note_unreadable(row, error)

    async def _take_turns(self, number: int) -> None:
        """Let the database work on what has been folded so far while folding goes on."""
        if number % _STRETCH == 0 and self._may_write():
            await self._written()
            journal, self._journal = self._journal, Journal()
            self._writing = asyncio.create_task(self._put(journal))
        if self._writing is not None:
            await asyncio.sleep(0)

    def _may_write(self) -> bool:
        """Tell whether the last write is done, or what waits behind it has become much."""
        return self._writing is None or self._writing.done() or len(self._journal.postings) > _BACKLOG

    async def _put(self, journal: Journal) -> None:
        await self.tables.write(journal)
        if self.tables.unsettled >= _MANY:
            await self.tables.settle(await self.tables.add_up())

    async def _written(self) -> None:
        """Wait for the write in hand."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def abandon(self) -> None:
        """Let go of the connection after a failure; the working set is of no use any more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    def forget(self, most: int) -> None:
        """Drop the working set when it has grown beyond `most` components; it is loaded again when needed."""
        too_large = len(self._components) > most or len(self._owners) > 8 * most
        if too_large and not self._changes.kept:
            self._components.clear()
            self._owners.clear()
            self._asked.clear()
            self._complete = False

    def component_of(self, key: Key) -> Component | None:
        """Return the component of an entity, if it is in the working set."""
        return self._components.get(self._owners.get(key, 0))

    def is_void(self, identity: Identity) -> bool:
        """Tell whether the event of a (source, id) is voided."""
        return self._voids.is_void(identity)

    def contributed_by(self, component: Component) -> Cells:
        """Return what a component contributes by its facts and orders, without posting anything."""
        contributed = self._contributions(component, None)
        return contributed[0].cells if contributed else component.cells

    # One component

    def _component(self, kind: str, keys: Sequence[Key]) -> Component:
        """Return the one component of all these entities: the largest that any of them has, the others absorbed."""
        owners = self._owners
        if len(keys) == 1 and keys[0] in owners:
            return self._components[owners[keys[0]]]
        found = {owners[key] for key in keys if key in owners}
        if len(found) == 1:
            component = self._components[found.pop()]
        elif found:
            ranked = sorted((self._components[one] for one in found), key=lambda one: (-len(one.facts), one.id))
            component = ranked[0]
            for other in ranked[1:]:
                component.absorb(other)
                self._own(other.keys(), component)
                del self._components[other.id]
                for currency in other.lookups:
                    self._asked[currency].pop(other.id, None)
                self._changes.remove(other)
                self.aside.move(other.id, component.id)
        else:
            component = Component(self.next_component, kind)
            self.next_component += 1
            self._components[component.id] = component
        self._own(keys, component)
        return component

    def _own(self, keys: Iterable[Key], component: Component) -> None:
        for key in keys:
            owner = self._owners.get(key)
            if owner != component.id:
                self._owners[key] = component.id
                self._changes.own(key, component.id, new=owner is None)

    def _live(self, component: Component) -> Sequence[Fact]:
        """Return the facts of a component that are not voided."""
        if not self._voids:
            return component.facts
        return [fact for fact in component.facts if not self._voids.is_void((fact.source, fact.id))]

    def _journey(self, component: Component, appended: Fact | None) -> Journey | None:
        """Fold on from where the journey stood with the fact that came last, else fold all anew; None = nothing changed."""
        journey, component.journey = component.journey, None
        changed = None
        if journey is not None and appended is not None:
            void = self._voids and self._voids.is_void((appended.source, appended.id))
            changed = False if void else fold_on(journey, appended, self._zone)
        component.journey = fold(self._live(component), self._zone) if changed is None else journey
        return None if changed is False else component.journey

    def _contributions(self, component: Component, appended: Fact | None) -> tuple[Book, list[AccountOrder]] | None:
        """Return what a component contributes now; None = the same as before."""
        journey = component.kind == "journey"
        folded = self._journey(component, appended) if journey else self._live(component)
        if folded is None:
            return None
        return contributions(
            component.kind, folded, list(component.orders.values()), self._zone, self._rates, self._segments
        )  # fmt: skip

    def _fold(self, component: Component, appended: Fact | None = None) -> None:
        """Fold a component again and post the difference; `appended` is the one new fact, where it came last.

        If a rule fails at it, the component keeps its facts, contributes what it did before, and is set aside.
        """
        try:
            contributed = self._contributions(component, appended)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a rule raises concerns this component alone
            component.journey = None
            self.aside.note(self._position, error, component.id)
            self._changes.keep(component)
            return
        if contributed is None:
            self._changes.keep(component)
            return
        book, exports = contributed
        if self.aside:
            self.aside.clear(component.id)
        lines = difference(component.cells, book.cells)
        if lines:
            position = self._position
            self._journal.postings += [(position, cell, amount) for cell, amount in lines]
        component.cells = book.cells
        if book.lookups or component.lookups:
            component.lookups = {}
            for currency, day in sorted(book.lookups):
                component.lookups[currency] = day
                self._asked.setdefault(currency, {})[component.id] = day
        self._changes.keep(component)
        if component.kind == "campaign":
            attributes = campaign_attributes(self._live(component))
            if attributes != component.attributes:
                component.attributes = attributes
                self._journal.campaigns.append((component.facts[0].data["campaign_id"], self._position, attributes))
        if exports != component.exports:
            before, component.exports = component.exports, exports
            self._tell_accounts(before, exports)

    def _tell_accounts(self, before: list[AccountOrder], after: list[AccountOrder]) -> None:
        """Bring what accounts know of a journey's orders up to date, and fold those for which it changed."""
        old, new = {one.order_id: one for one in before}, {one.order_id: one for one in after}
        told: dict[int, Component] = {}
        for order_id in old.keys() | new.keys():
            was, now = old.get(order_id), new.get(order_id)
            if was == now:
                continue
            if was is not None and (now is None or now.account_id != was.account_id):
                account = self._component("account", [("account", was.account_id)])
                account.orders.pop(order_id, None)
                told[account.id] = account
            if now is not None:
                account = self._component("account", [("account", now.account_id)])
                account.orders[order_id] = now
                told[account.id] = account
        for identity in sorted(told):
            self._fold(told[identity])

    # What reaches further

    def _register(self, fact: Fact) -> None:
        if fact.type == "event.voided":
            self._voids.add(fact)
        else:
            self._rate_facts.append(fact)

    def _live_rates(self) -> Rates:
        rates = Rates(self._currency)
        for fact in self._rate_facts:
            if not self._voids.is_void((fact.source, fact.id)):
                with suppress(Exception):  # set aside when it came
                    rates.add(fact)
        return rates

    async def _rate(self, fact: Fact) -> None:
        self._register(fact)
        if not self._voids.is_void((fact.source, fact.id)):
            try:
                changed = self._rates.add(fact)
            except Exception as error:  # noqa: BLE001  as in _fold
                self.aside.note(self._position, error)
                return
            if changed is not None:
                await self._fold_all(await self._asking_for(*changed))

    async def _void(self, fact: Fact) -> None:
        self._register(fact)
        concerned = self._voids.concerned(fact)
        target = self._targets.get(concerned)
        if target is None:
            await self._written()
            target = await self.tables.event(concerned, self._position)
        facts, unreadable = read_rows([target] if target and target.position <= self._position else [])
        for row, error in unreadable:
            self._note_unreadable(row, error)
        if not facts:
            return
        voided = facts[0][1]
        rule = RULES[voided.type]
        if rule.component == "rates":
            self._rates = self._live_rates()
            day = parse_day(voided.data["rate_date"])
            for currency in {voided.data["base"], voided.data["quote"]} - {self._currency}:
                await self._fold_all(await self._asking_for(currency, day))
        elif rule.component != "voids":
            await self._load([voided], [keys_of(voided)])
            one = self._component(rule.component, keys_of(voided))
            if all(fact[:4] != voided[:4] for fact in one.facts):  # it could not be read when it came
                one.insert(voided)
            await self._fold_all([one.id])

    def _note_unreadable(self, row: Row, error: Exception) -> None:
        """Set an event aside that cannot be read, unless it is voided: then it counts as never sent."""
        if self._voids.is_void((row.source, row.id)):
            self.aside.clear(-row.position)
        else:
            self.aside.note(row.position, error)

    async def retry(self) -> None:
        """Process again what is set aside. What it posts bears the position of the last event that waited with it."""
        for entry in self.aside.waiting():
            if self.aside.get(entry.key) is not entry:  # dealt with by one before it
                continue
            self._position = entry.last_position
            await self.tables.go_on_at(entry.last_position)
            if entry.component:
                await self._fold_all([entry.component])
            else:
                await self.project(await self.tables.event_at(entry.position))
                if self.aside.get(entry.key) is entry:
                    self.aside.clear(entry.key)
            await self._write()

    async def _asking_for(self, currency: str, day: int) -> list[int]:
        asking = {one for one, last in self._asked.get(currency, {}).items() if last >= day}
        if not self._complete:
            await self._written()
            asking |= {*await self.tables.asking_for(currency, day)} - self._changes.removed
        return sorted(asking)

    async def _fold_all(self, identities: Sequence[int]) -> None:
        for start in range(0, len(identities), _AT_ONCE):
            page = identities[start : start + _AT_ONCE]
            await self._load_components(page)
            for identity in page:
                self._fold(self._components[identity])
            if len(identities) > _AT_ONCE:
                await self._write()

    # Loading and writing

    async def _load(self, facts: Iterable[Fact], named: Iterable[Sequence[Key]]) -> None:
        """Bring the components of facts, and of the accounts of their orders, into the working set."""
        keys = {key for some in named for key in some}
        for fact in facts:
            if fact.type == "order.placed" and "account_id" in fact.data:
                keys.add(("account", fact.data["account_id"]))
        await self._load_keys(keys)

    async def _load_keys(self, keys: Iterable[Key]) -> None:
        missing = [] if self._complete else [key for key in keys if key not in self._owners]
        if missing:
            await self._written()
            found = await self.tables.owners(missing)
            self._owners.update(found)
            await self._load_components(found.values())

    async def _load_components(self, identities: Iterable[int]) -> None:
        missing = {one for one in identities if one not in self._components}
        if missing:
            await self._written()
            loaded = await self.tables.components(missing)
            accounts: set[Key] = set()
            for component in loaded:
                self._components[component.id] = component
                self._owners.update(dict.fromkeys(component.keys(), component.id))
                accounts.update(component.accounts())
            await self._load_keys(accounts)

    async def _write(self) -> None:
        await self._written()
        journal, self._journal = self._journal, Journal()
        await self.tables.write(journal)

    async def store(self) -> None:
        """Store the components that have changed, and bring the balances up to date."""
        await self._write()
        changes, self._changes = self._changes, Changes()
        adding_up = asyncio.create_task(self.tables.add_up())
        await self.tables.store(changes)
        await self.tables.set_aside(*self.aside.changes())
        await self.tables.settle(await adding_up)


def read_rows(rows: Iterable[Row]) -> tuple[list[tuple[int, Fact]], list[tuple[Row, Exception]]]:
    """Return (position, fact) of the events that move a figure, and those that cannot be read, with the reason."""
    facts: list[tuple[int, Fact]] = []
    unreadable: list[tuple[Row, Exception]] = []
    for row in rows:
        try:
            if row.type in RULES:
                facts.append((row.position, _fact(row)))
            else:
                check_version(row.type, row.version)
        except Exception as error:  # noqa: BLE001  whatever an upcaster raises concerns this event alone
            unreadable.append((row, error))
    return facts, unreadable


def _fact(row: Row) -> Fact:
    text = row.data or ""
    data: Any = _json.decode(text)
    if _HUGE.search(text):
        data = _without_huge(data)
    data = upcast(row.type, row.version, data)
    return read_fact(row.micros, row.rest, row.source, row.id, row.type, data)


def _without_huge(value: Any) -> Any:
    """Write integers beyond 64 bits as text: no figure is made of them."""
    if type(value) is dict:
        return {name: _without_huge(one) for name, one in value.items()}
    if type(value) is list:
        return [_without_huge(one) for one in value]
    return str(value) if type(value) is int and abs(value) >= _LARGEST else value
