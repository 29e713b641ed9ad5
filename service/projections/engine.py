"""The engine: events → components → postings (DESIGN section 3). A live follower and a rebuild run the same code.

For each event in log order: find the component that the event's entities belong to (joining components that turn out to
hang together), insert the fact, fold again, and post new minus old, tagged with the event's position. Three things
reach further than one component: an exchange rate (every component that asked for it), a void (the component of the
voided event) and an account's orders (which order brought a new customer).
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from contextlib import suppress

from service.domain.accounts import AccountOrder, Accounts, account_order
from service.domain.calendar import Zone, recorded_day
from service.domain.campaigns import Campaign
from service.domain.component import FOLDS, Folded, contribute
from service.domain.entities import Order
from service.domain.facts import RULES, Fact, Key, keys_of
from service.domain.postings import Book, Cells, difference, together
from service.domain.rates import Rates
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
_LET_SECONDS = 0.01  # of folding at a stretch, while other ledgers wait
_LIFE_SECONDS = 1.0  # without a statement, after which the database is shown that the transaction is alive
_LARGE = 1_000  # facts, from which on a component is not folded in vain
MOST_FACTS = 250_000  # of one component: beyond, what is stored of it would take too long to write with each batch

Told = dict[str, AccountOrder | None]  # orders as accounts know them, None for one that no account is to know


class TooLargeError(Exception):
    """A component of more facts than can be worked on."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"this {kind} hangs together of more than {MOST_FACTS:,} events: void what ties it together wrongly, such as "
            "an id that stands for many"
        )


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
        self._until = math.inf
        self._let = self._shown = time.monotonic()
        for row in registers:
            with suppress(Exception):  # set aside when it came
                self._register(fact_of(row))
        self._rates = self._live_rates()
        self._book = Book(self._zone, self._rates, self._segments)

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
        self._until, last = time.monotonic() + seconds, rows[-1].position if rows else 0
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
                one.insert(fact)
                await self._fold(one)
            if time.monotonic() > self._until and number < len(facts):
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
        folded = await self._folded(component)
        await self._contributed(folded)
        return together(self._book.found.values())

    # One component

    def _live(self, facts: Iterable[Fact]) -> Iterable[Fact]:
        """Return those of some facts that are not voided."""
        voids = self._voids
        return (fact for fact in facts if not voids.is_void((fact[2], fact[3]))) if voids else facts

    async def _folded(self, component: Component) -> Folded:
        """Fold the live facts and the orders of a component."""
        folded = FOLDS[component.kind](self._zone)
        begun = time.monotonic()
        for number, fact in enumerate(self._live(component.facts), 1):
            folded.take(fact)
            if number % _TURN == 0:
                await self._let_others()
        if isinstance(folded, Accounts):
            for order_id, order in component.orders.items():
                folded.tell(order_id, order)
        self._until += time.monotonic() - begun
        return folded

    async def _contributed(self, folded: Folded) -> None:
        """Have all that was touched contribute to the book."""
        book, touched = self._book, folded.touched
        book.begin()
        for number, entity in enumerate(touched, 1):
            contribute(entity, book)
            if number % _TURN == 0:
                await self._let_others()

    async def _let_others(self) -> None:
        """Let other work of this process go on every so often, and show the database that this transaction is alive."""
        now = time.monotonic()
        if now - self._let >= _LET_SECONDS:
            await self._writer.take_turns(begin=False)
            if now - self._shown >= _LIFE_SECONDS:
                await self._writer.show_life()
                self._shown = now
            self._let = time.monotonic()

    async def _fold(self, component: Component, *, anew: bool = False) -> None:
        """Take in what a component has not taken in and post the difference; with `anew` all of it contributes again.

        If a rule fails at it, the component keeps its facts, contributes what it did before, and is set aside.
        """
        self._set.changes.kept[component.id] = component
        if len(component.facts) > _LARGE and self._stays_aside(component, anew=anew):
            return
        folded, whole = component.folded, anew or component.folded is None
        try:
            if folded is None:
                folded = await self._folded(component)
            else:
                for fact in self._live(component.untaken):
                    folded.take(fact)
            if anew:
                folded.touch_all()
            await self._contributed(folded)
        except Exception as error:  # noqa: BLE001  whatever a rule raises concerns this component alone
            component.unfold()
            self.aside.note(self._position, error, component.id)
            self._set.ask(component, self._book.lookups, whole=False)  # another rate may be what it needs
            return
        if self.aside:
            self.aside.clear(component.id)
        self._post(component, folded)
        lookups = self._book.lookups
        if lookups or (whole and component.lookups):
            self._set.ask(component, lookups, whole=whole)
        if isinstance(folded, Campaign):
            self._describe(component, folded)
        orders = {one.id: account_order(one, self._zone) for one in folded.touched if isinstance(one, Order)}
        folded.touched = {}
        if orders or (whole and component.exports):
            await self._tell_accounts(component, orders, whole=whole)

    def _post(self, component: Component, folded: Folded) -> None:
        """Post what the entities of a component contribute now less what they, or others before them, did."""
        position, postings, found = self._position, self._writer.journal.postings, self._book.found
        shared = len(found) > 1 and len({one.name for one in found}) < len(
            found
        )  # changes of one order, a lead merged anew
        if component.cells or shared:
            before = together((component.cells, *(one.cells for one in found)))
            lines = difference(before, together(found.values()))
            postings += [(position, cell, amount) for cell, amount in lines]
            component.cells = _NOTHING
            for one, now in found.items():
                one.cells = now
        else:
            for one, now in found.items():
                if now != one.cells:
                    postings += [(position, cell, amount) for cell, amount in difference(one.cells, now)]
                    one.cells = now
        component.folded, component.untaken = folded, []

    def _stays_aside(self, component: Component, *, anew: bool) -> bool:
        """Tell whether a large component is not to be folded: it has failed, and each try would take long.

        What is voided, a rate, and a retry have it folded again (`anew`); one that is larger than any may be never is.
        """
        if len(component.facts) > MOST_FACTS:
            component.unfold()
            self.aside.note(self._position, TooLargeError(component.kind), component.id)
            return True
        return not anew and component.folded is None and self.aside.get(component.id) is not None

    def _describe(self, component: Component, campaign: Campaign) -> None:
        """Note what a campaign is called and how it is classed, where that has changed."""
        attributes = campaign.description.attributes
        if attributes != component.attributes:
            component.attributes = attributes
            identity = component.facts[0].data["campaign_id"]
            self._writer.journal.campaigns.append((identity, self._position, attributes))

    async def _tell_accounts(self, component: Component, orders: Told, *, whole: bool) -> None:
        """Bring what accounts know of a journey's orders up to date, and fold those for which it changed."""
        known = component.exports
        told: dict[int, Component] = {}
        for order_id in sorted(known.keys() | orders.keys()) if whole else orders:
            was, order = known.get(order_id), orders.get(order_id)
            if was == order:
                continue
            if was is not None:
                del known[order_id]
                if order is None or order.account_id != was.account_id:
                    self._tell(was.account_id, order_id, None, told)
            if order is not None:
                known[order_id] = order
                self._tell(order.account_id, order_id, order, told)
        for identity in sorted(told):
            await self._fold(told[identity])

    def _tell(self, account_id: str, order_id: str, order: AccountOrder | None, told: dict[int, Component]) -> None:
        """Tell an account of an order; None if it is not its any more."""
        account = self._set.component("account", [("account", account_id)])
        told[account.id] = account
        if order is None:
            account.orders.pop(order_id, None)
        else:
            account.orders[order_id] = order
        if isinstance(account.folded, Accounts):
            account.folded.tell(order_id, order)

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
        concerned = self._voids.concerned(fact)
        before = self._voids.is_void(concerned)
        self._register(fact)
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
            self._stand(one, voided, before=before)
            await self._fold(one, anew=one.folded is None)

    def _stand(self, component: Component, fact: Fact, *, before: bool) -> None:
        """Have a component take a fact back, or in again, whose standing has changed; `before`, it was void."""
        at = bisect_left(component.facts, fact[:4], key=lambda one: one[:4])
        if at == len(component.facts) or component.facts[at][:4] != fact[:4]:
            component.insert(fact)  # it could not be read when it came
            return
        void = self._voids.is_void((fact.source, fact.id))
        if component.folded is None or void == before:
            return
        if not void:
            component.untaken.append(fact)
        elif not component.folded.withdraw(fact, self._live(component.facts)):
            component.unfold()

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
                await self._fold(self._set.components[identity], anew=True)
                await self._let_others()
            if len(identities) > _AT_ONCE:
                await self._writer.write()

    async def store(self) -> None:
        """Write what has been posted and store the components that have changed."""
        await self._writer.write()
        await self.tables.store(self._set.take_changes())
        await self.tables.set_aside(*self.aside.changes())
