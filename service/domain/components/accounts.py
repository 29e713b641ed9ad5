"""Accounts: which of their orders brought a new customer (SPEC section 2, "What posts when", and section 7).

Journeys tell accounts of their orders. Where an order of an account says so either way (a cancelled one too), the live orders
that say true are the new customers; where none says anything, the account's first live order is.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from service.domain.calendar import Zone
from service.domain.components.entities import Entity, Order
from service.domain.components.kind import Kind
from service.domain.cubes import Dimensions
from service.domain.facts import Fact, Merges, Rule

RULES = {"account.merged": Rule((("survivor_id", "account"), ("merged_id", "account")))}


class AccountOrder(NamedTuple):
    """What an account needs to know of one of its orders to count new customers."""

    placed: tuple[int, str, str, str]  # event order of the first placing
    order_id: str
    account_id: str
    live: bool
    new_customer: bool | None
    where: Dimensions
    day: int
    cohort: int


def account_order(order: Order, zone: Zone) -> AccountOrder | None:
    """Return what its account needs to know of an order; None unless it is placed and names one."""
    if order.placed is None or order.account is None:
        return None
    return AccountOrder(
        order.placed[:4], order.id, order.account, order.live, order.new_customer, order.where,
        zone.day(order.placed.micros), order.cohort,
    )  # fmt: skip


class AccountsOrder(Entity):
    """An order as its account knows it; `counted` while it counts as a new customer."""

    kind = "account_order"
    counted: AccountOrder | None = None
    known: AccountOrder | None = None

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.name = f"order:{identity}"


class _Account:
    """The orders of an account, or of accounts that were merged into one."""

    def __init__(self) -> None:
        self.live: list[AccountOrder] = []  # in event order
        self.stating = 0  # how many say either way whether their customer is new

    @property
    def first(self) -> AccountOrder | None:
        return self.live[0] if self.live else None

    def counts(self, order: AccountOrder) -> bool:
        return order.live and bool(order.new_customer if self.stating else order is self.first)


class Accounts:
    """The fold of a component of accounts that were merged."""

    def __init__(self, _: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self._merges = Merges()
        self._accounts: dict[str, _Account] = {}
        self._orders: dict[str, AccountsOrder] = {}

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""
        yield from self._orders.values()

    def touch_all(self) -> None:
        """Do nothing: no rate matters here."""

    def take(self, fact: Fact) -> None:
        """Take in a merge: the smaller account joins the larger one."""
        pair = (fact.data["survivor_id"], fact.data["merged_id"])
        classes = dict.fromkeys(map(self._merges.name, pair))
        self._merges.take(fact)
        found = [account for one in classes if (account := self._accounts.pop(one, None))]
        if found:
            large, *small = sorted(found, key=lambda account: -len(account.live))
            firsts = [account.first for account in found]
            for account in small:
                large.stating += account.stating
                for order in account.live:
                    insort(large.live, order)
            self._accounts[self._merges.name(pair[0])] = large
            for first in firsts:
                self._judge(large, first)
            self._judge(large, large.first)

    def withdraw(self, _: Fact, __: Iterable[Fact]) -> bool:
        """Have accounts folded anew whose merge was voided."""
        return False

    def tell(self, order_id: str, order: AccountOrder | None) -> None:
        """Take in what is known of an order now; None if it is none of these accounts' any more."""
        one = self._orders.get(order_id)
        if one is None:
            one = self._orders[order_id] = AccountsOrder(order_id)
        was, one.known = one.known, order
        accounts = []
        if was is not None:
            account = self._account(was)
            accounts.append((account, account.first))
            account.stating -= was.new_customer is not None
            if was.live:
                del account.live[bisect_left(account.live, was)]
            self._count(one, None)
        if order is not None:
            account = self._account(order)
            accounts.append((account, account.first))
            account.stating += order.new_customer is not None
            if order.live:
                insort(account.live, order)
            self._judge(account, order)
        for account, first in accounts:
            self._judge(account, first)
            self._judge(account, account.first)

    def _account(self, order: AccountOrder) -> _Account:
        return self._accounts.setdefault(self._merges.name(order.account_id), _Account())

    def _judge(self, account: _Account, order: AccountOrder | None) -> None:
        """Count an order of an account, or do not any more. Those that say nothing count only as the first."""
        if order is not None:
            one = self._orders[order.order_id]
            if one.known is order:
                self._count(one, order if account.counts(order) else None)

    def _count(self, one: AccountsOrder, counted: AccountOrder | None) -> None:
        if one.counted != counted:
            one.counted = counted
            self.touched[one] = None


KIND = Kind("account", RULES, Accounts)
