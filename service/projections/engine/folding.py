"""Folding components: taking in what has come, and posting what that changes.

A component that fails keeps its facts, contributes what it did before, and is set aside; everything else goes on. However long a
fold takes, other work of the process goes on beside it, and the database is shown that the transaction is alive.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterable

from service.domain.calendar import Zone
from service.domain.components.accounts import AccountOrder, Accounts, account_order
from service.domain.components.campaigns import Campaign
from service.domain.components.entities import Order
from service.domain.components.kind import Folded
from service.domain.contributions import contribute
from service.domain.facts import Fact
from service.domain.kinds import begin
from service.domain.postings import Book, Cells, difference, sum_by_key
from service.domain.voids import FOR_GOOD, Voids
from service.projections.engine.components import Component
from service.projections.engine.set_aside import SetAside
from service.projections.engine.working_set import WorkingSet
from service.projections.engine.writer import Writer

_TURN = 25  # facts or entities between two looks at the clock
_LET_SECONDS = 0.01  # of folding at a stretch, while other ledgers wait
_LIFE_SECONDS = 1.0  # without a statement, after which the database is shown that the transaction is alive
_LARGE = 1_000  # facts, from which on a component is not folded in vain
MOST_FACTS = 250_000  # of one component: beyond, what is stored of it would take too long to write with each batch
_NOTHING: Cells = {}

AccountOrders = dict[str, AccountOrder | None]  # orders as accounts know them, None for one that no account is to know


class TooLargeError(Exception):
    """A component of more facts than can be worked on."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"this {kind} hangs together of more than {MOST_FACTS:,} events: void what ties it together wrongly, such as "
            "an id that stands for many"
        )


class Folding:
    """Folds components of the working set. `position` is that of the event in hand, which all that is posted bears.

    `until` is the moment at which the batch is to end; what it takes to fold what has just been loaded moves it. `described` are
    the campaigns of which something else is known than when it was last emptied.
    """

    def __init__(
        self, working_set: WorkingSet, writer: Writer, book: Book, zone: Zone, voids: Voids, set_aside: SetAside
    ) -> None:  # fmt: skip
        self.position = 0
        self.until = math.inf
        self.described: list[str] = []
        self._set = working_set
        self._writer = writer
        self._book = book
        self._zone = zone
        self._voids = voids
        self._set_aside = set_aside
        self._let = self._shown = time.monotonic()

    async def contributed_by(self, component: Component) -> Cells:
        """Return what a component contributes by its facts and orders, without posting anything."""
        folded = await self._folded(component)
        await self._contributed(folded)
        return sum_by_key(self._book.found.values())

    def _live(self, facts: Iterable[Fact]) -> Iterable[Fact]:
        """Return those of some facts that are not voided."""
        voids = self._voids
        if not voids:
            return facts
        return (fact for fact in facts if fact[4] == FOR_GOOD or not voids.is_void((fact[2], fact[3])))

    async def _folded(self, component: Component) -> Folded:
        """Fold the live facts and the orders of a component."""
        folded = begin(component.kind, self._zone)
        begun = time.monotonic()
        for number, fact in enumerate(self._live(component.facts), 1):
            folded.take(fact)
            if number % _TURN == 0:
                await self.let_others()
        if isinstance(folded, Accounts):
            for order_id, order in component.orders.items():
                folded.tell(order_id, order)
        self.until += time.monotonic() - begun
        return folded

    async def _contributed(self, folded: Folded) -> None:
        """Have all that was touched contribute to the book."""
        book, touched = self._book, folded.touched
        book.begin()
        for number, entity in enumerate(touched, 1):
            contribute(entity, book)
            if number % _TURN == 0:
                await self.let_others()

    async def let_others(self) -> None:
        """Let other work of this process go on every so often, and show the database that this transaction is alive."""
        now = time.monotonic()
        if now - self._let >= _LET_SECONDS:
            await self._writer.take_turns(begin=False)
            if now - self._shown >= _LIFE_SECONDS:
                await self._writer.show_life()
                self._shown = now
            self._let = time.monotonic()

    async def fold(self, component: Component, *, anew: bool = False) -> None:
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
            self._set_aside.note(self.position, error, component.id)
            self._set.ask(component, self._book.lookups, whole=False)  # another rate may be what it needs
            return
        if self._set_aside:
            self._set_aside.clear(component.id)
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
        position, postings, found = self.position, self._writer.journal.postings, self._book.found
        # The changes of one order share cells with it, and so does a lead with what it was before a merge.
        shared = len(found) > 1 and len({one.name for one in found}) < len(found)
        if component.cells or shared:
            before = sum_by_key((component.cells, *(one.cells for one in found)))
            lines = difference(before, sum_by_key(found.values()))
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
            self._set_aside.note(self.position, TooLargeError(component.kind), component.id)
            return True
        return not anew and component.folded is None and self._set_aside.get(component.id) is not None

    def _describe(self, component: Component, campaign: Campaign) -> None:
        """Note what a campaign is called and how it is classed, where that has changed."""
        attributes = campaign.description.attributes
        if attributes != component.attributes:
            component.attributes = attributes
            identity = component.facts[0].data["campaign_id"]
            self._writer.journal.campaigns.append((identity, self.position, attributes))
            self._book.campaigns[identity] = attributes
            self.described.append(identity)

    async def _tell_accounts(self, component: Component, orders: AccountOrders, *, whole: bool) -> None:
        """Bring what accounts know of a journey's orders up to date, and fold those for which it changed."""
        known = component.exports
        accounts: dict[int, Component] = {}
        for order_id in sorted(known.keys() | orders.keys()) if whole else orders:
            was, order = known.get(order_id), orders.get(order_id)
            if was == order:
                continue
            if was is not None:
                del known[order_id]
                if order is None or order.account_id != was.account_id:
                    self._tell(was.account_id, order_id, None, accounts)
            if order is not None:
                known[order_id] = order
                self._tell(order.account_id, order_id, order, accounts)
        for identity in sorted(accounts):
            await self.fold(accounts[identity])

    def _tell(self, account_id: str, order_id: str, order: AccountOrder | None, accounts: dict[int, Component]) -> None:
        """Tell an account of an order; None if it is not its any more."""
        account = self._set.component("account", [("account", account_id)])
        accounts[account.id] = account
        if order is None:
            account.orders.pop(order_id, None)
        else:
            account.orders[order_id] = order
        if isinstance(account.folded, Accounts):
            account.folded.tell(order_id, order)

    def stand(self, component: Component, fact: Fact, *, before: bool) -> None:
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
            return
        try:
            withdrawn = component.folded.withdraw(fact, self._live(component.facts))
        except Exception:  # noqa: BLE001  folding it anew will tell
            withdrawn = False
        if not withdrawn:
            component.unfold()
