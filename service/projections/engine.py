"""The engine: events → components → postings (DESIGN section 3). A live follower and a rebuild run the same code.

For each event in log order: find the component that the event's entities belong to (joining components that turn out to
hang together), insert the fact, fold again, and post new minus old, tagged with the event's position. Three things
reach further than one component: an exchange rate (every component that asked for it), a void (the component of the
voided event) and an account's orders (which order brought a new customer).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from service.domain.appending import fold_on
from service.domain.calendar import Zone, recorded_day
from service.domain.component import campaign_attributes, contribute_entity, contribute_others
from service.domain.entities import Journey, Order
from service.domain.facts import RULES, Fact, Key, keys_of
from service.domain.journey import fold
from service.domain.postings import Book, Cells, difference, together
from service.domain.rates import Rates
from service.domain.roi import AccountOrder, account_order
from service.domain.voids import Identity, Voids
from service.projections.aside import SetAside
from service.projections.state import Component
from service.projections.tables import Tables
from service.projections.vouchers import Row, fact_of, read_rows
from service.projections.working_set import WorkingSet
from service.projections.writing import Writer
from service.store.ledgers import Ledger
from service.store.log import Stored

_STRETCH = 1_000  # events folded between two writes
_TURN = 25  # events folded between two turns of the event loop
_NOTHING: Cells = {}
_AT_ONCE = 2_000  # components that a new rate refolds between two writes

Told = dict[str, AccountOrder | None]  # orders as accounts know them, None for one that no account is to know


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
        self.tables = tables
        self._writer = Writer(tables)
        self._set = WorkingSet(tables, self._writer, next_component, self.aside.move)
        self._zone = Zone(ledger.timezone)
        self._currency = ledger.currency
        self._voids = Voids()
        self._rate_facts: list[Fact] = []
        self._targets: dict[Identity, Row] = {}
        self._segments = tables.segments
        self._position = 0
        for row in registers:
            with suppress(Exception):  # set aside when it came
                self._register(fact_of(row))
        self._rates = self._live_rates()
        self._book = Book(self._zone, self._rates, self._segments)

    async def project(self, rows: Sequence[Row], voided: Iterable[Stored] = ()) -> None:
        """Project events in log order and begin to write what they post; `store` has to be the last word.

        `voided` may hold the targets of the voids among them, which are looked up otherwise.
        """
        self._targets = {(row.source, row.id): row for row in voided}
        facts, unreadable = read_rows(rows)
        named = [keys_of(fact) for _, fact in facts]
        await self._set.load((fact for _, fact in facts), named)
        for number, ((self._position, fact), keys) in enumerate(zip(facts, named, strict=True), 1):
            if number % _TURN == 0:
                await self._writer.take_turns(begin=number % _STRETCH == 0)
            component = RULES[fact[4]].component
            if component == "rates":
                await self._rate(fact)
            elif component == "voids":
                await self._void(fact)
            else:
                one = self._set.component(component, keys)
                self._fold(one, fact if one.insert(fact) else None)
        for row, error in unreadable:
            self._note_unreadable(row, error)

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

    def contributed_by(self, component: Component) -> Cells:
        """Return what a component contributes by its facts and orders, without posting anything."""
        return together(self._contributed(component, None)[0].values())

    # One component

    def _live(self, component: Component) -> Sequence[Fact]:
        """Return the facts of a component that are not voided."""
        if not self._voids:
            return component.facts
        return [fact for fact in component.facts if not self._voids.is_void((fact.source, fact.id))]

    def _contributed(self, component: Component, appended: Fact | None) -> tuple[dict[str, Cells], Told, bool]:
        """Return what the entities of a component contribute now, by name, and their orders as accounts are to know them.

        These are all of them (then the last is true) or, where the component could be folded on, those that this touched.
        """
        book = self._book
        book.lookups.clear()
        if component.kind != "journey":
            orders = list(component.orders.values())
            return {"": contribute_others(component.kind, self._live(component), orders, book)}, {}, True
        journey, component.journey, touched = component.journey, None, None
        if appended is not None and (journey is not None or len(component.facts) == 1):
            journey = journey or Journey()
            void = self._voids and self._voids.is_void((appended.source, appended.id))
            touched = () if void else fold_on(journey, appended, self._zone)
        whole = touched is None
        if journey is None or touched is None:
            journey = fold(self._live(component), self._zone)
            touched = list(journey.entities())
        found = {entity.name: contribute_entity(entity, book) for entity in touched}
        told: Told = {}
        if not journey.only_leads:
            told = {one.id: account_order(one, self._zone) for one in touched if isinstance(one, Order)}
        component.journey = journey
        return found, told, whole

    def _fold(self, component: Component, appended: Fact | None = None) -> None:
        """Fold a component again and post the difference; `appended` is the one new fact, where it came last.

        If a rule fails at it, the component keeps its facts, contributes what it did before, and is set aside.
        """
        self._set.changes.kept[component.id] = component
        try:
            found, told, whole = self._contributed(component, appended)
        except Exception as error:  # noqa: BLE001  whatever a rule raises concerns this component alone
            self.aside.note(self._position, error, component.id)
            self._set.ask(component, self._book.lookups, whole=False)  # another rate may be what it needs
            return
        if self.aside:
            self.aside.clear(component.id)
        position, postings, cells = self._position, self._writer.journal.postings, component.cells
        if whole:
            component.cells = found
            lines = difference(together(cells.values()), together(found.values()))
            postings += [(position, cell, amount) for cell, amount in lines]
        else:
            for name, now in found.items():
                before = cells.get(name, _NOTHING)
                if now != before:
                    postings += [(position, cell, amount) for cell, amount in difference(before, now)]
                    cells[name] = now
        lookups = self._book.lookups
        if lookups or (whole and component.lookups):
            self._set.ask(component, lookups, whole=whole)
        if component.kind == "campaign":
            self._describe(component)
        if told or (whole and component.exports):
            self._tell_accounts(component, told, whole=whole)

    def _describe(self, campaign: Component) -> None:
        """Note what a campaign is called and how it is classed, where that has changed."""
        attributes = campaign_attributes(self._live(campaign))
        if attributes != campaign.attributes:
            campaign.attributes = attributes
            identity = campaign.facts[0].data["campaign_id"]
            self._writer.journal.campaigns.append((identity, self._position, attributes))

    def _tell_accounts(self, component: Component, orders: Told, *, whole: bool) -> None:
        """Bring what accounts know of a journey's orders up to date, and fold those for which it changed."""
        before = component.exports
        after = {order_id: one for order_id, one in orders.items() if one is not None}
        component.exports = after if whole else {**before, **after}
        told: dict[int, Component] = {}
        for order_id in before.keys() | orders.keys() if whole else orders.keys():
            was, order = before.get(order_id), after.get(order_id)
            if was == order:
                continue
            if was is not None and (order is None or order.account_id != was.account_id):
                account = self._set.component("account", [("account", was.account_id)])
                account.orders = {name: one for name, one in account.orders.items() if name != order_id}
                told[account.id] = account
            if order is not None:
                account = self._set.component("account", [("account", order.account_id)])
                account.orders = {**account.orders, order_id: order}
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
                await self._fold_all(await self._set.asking_for(*changed))

    async def _void(self, fact: Fact) -> None:
        self._register(fact)
        concerned = self._voids.concerned(fact)
        target = self._targets.get(concerned)
        if target is None:
            await self._writer.written()
            target = await self.tables.event(concerned, self._position)
        facts, unreadable = read_rows([target] if target and target.position <= self._position else [])
        for row, error in unreadable:
            self._note_unreadable(row, error)
        if not facts:
            return
        voided = facts[0][1]
        rule = RULES[voided.type]
        if rule.component == "rates":
            self._rates = self._book.rates = self._live_rates()
            day = recorded_day(voided.data["rate_date"])
            for currency in {voided.data["base"], voided.data["quote"]} - {self._currency}:
                await self._fold_all(await self._set.asking_for(currency, day))
        elif rule.component != "voids":
            await self._set.load([voided], [keys_of(voided)])
            one = self._set.component(rule.component, keys_of(voided))
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
            await self._writer.write()

    async def _fold_all(self, identities: Sequence[int]) -> None:
        for start in range(0, len(identities), _AT_ONCE):
            page = identities[start : start + _AT_ONCE]
            await self._set.load_components(page)
            for identity in page:
                self._fold(self._set.components[identity])
            if len(identities) > _AT_ONCE:
                await self._writer.write()

    async def store(self) -> None:
        """Write what has been posted and store the components that have changed."""
        await self._writer.write()
        await self.tables.store(self._set.take_changes())
        await self.tables.set_aside(*self.aside.changes())
