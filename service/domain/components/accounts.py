"""Accounts: which of their orders brought a new customer, and from when to when they were customers.

Journeys tell accounts of their orders. Where an order of an account says so either way (a cancelled one too), the live orders
that say true are the new customers; where none says anything, the account's first live order is (SPEC section 2, "What posts
when", and section 7).

An account is a customer from a live order or a renewal on, until it churns (REPORTS section 3, retention). What comes first after
a churn, or first of all, gains the customer; a churn that nothing came before, since the last one, is none.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from service.domain.calendar import Zone
from service.domain.components.entities import NO_DAY, Entity, Order
from service.domain.components.kind import Kind
from service.domain.cubes import Dimensions
from service.domain.facts import Fact, Merges, Rule

_ACCOUNT = (("account_id", "account"),)
RULES = {
    "account.merged": Rule((("survivor_id", "account"), ("merged_id", "account"))),
    "account.churned": Rule(_ACCOUNT, ("amount",)),
    "account.renewed": Rule(_ACCOUNT, ("amount",)),
}
_at = attrgetter("at")


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


class Moment(Entity):
    """What makes an account a customer, or no longer one, `at` a place in event order, on a day.

    `since` is the day from which on it was a customer, where that begins or ends there.
    """

    at: tuple[Any, ...] = ()
    day = NO_DAY
    since: int | None = None


class AccountsOrder(Moment):
    """An order as its account knows it; `counted` while it counts as a new customer."""

    kind = "account_order"
    counted: AccountOrder | None = None
    known: AccountOrder | None = None

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.name = f"order:{identity}"


class AccountStep(Moment):
    """A renewal or a churn of an account; `withdrawn` once that is voided."""

    kind = "account_step"
    withdrawn = False

    def __init__(self, fact: Fact, day: int) -> None:
        self.fact = fact
        self.name = f"account:{fact.data['account_id']}"
        self.at = fact[:4]
        self.day = day

    @property
    def churns(self) -> bool:
        """Whether the account leaves."""
        return self.fact.type == "account.churned"


class _Account:
    """The orders and steps of an account, or of accounts that were merged into one."""

    def __init__(self) -> None:
        self.live: list[AccountOrder] = []  # in event order
        self.stating = 0  # how many say either way whether their customer is new
        self.active: list[Moment] = []  # live orders and renewals, in event order
        self.churns: list[Moment] = []

    @property
    def first(self) -> AccountOrder | None:
        return self.live[0] if self.live else None

    @property
    def size(self) -> int:
        return len(self.active) + len(self.churns)

    def counts(self, order: AccountOrder) -> bool:
        return order.live and bool(order.new_customer if self.stating else order is self.first)

    def since(self, one: Moment) -> int | None:
        """Return since when it is a customer, if that begins or ends at a moment."""
        churns, place = self.churns, bisect_left(self.churns, one.at, key=_at)
        first = bisect_left(self.active, churns[place - 1].at, key=_at) if place else 0
        if first == len(self.active) or (begin := self.active[first]).at > one.at:
            return None
        ends = place < len(churns) and churns[place] is one
        return begin.day if ends or begin is one else None


class Accounts:
    """The fold of a component of accounts that were merged."""

    def __init__(self, zone: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self._zone = zone
        self._merges = Merges()
        self._accounts: dict[str, _Account] = {}
        self._orders: dict[str, AccountsOrder] = {}

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""
        yield from self._orders.values()
        yield from self._steps()

    def touch_all(self) -> None:
        """Have all steps contribute anew: a rate may have changed."""
        self.touched.update(dict.fromkeys(self._steps()))

    def _steps(self) -> Iterator[Moment]:
        for account in self._accounts.values():
            yield from (one for one in (*account.active, *account.churns) if isinstance(one, AccountStep))

    def take(self, fact: Fact) -> None:
        """Take in one live fact."""
        if fact.type == "account.merged":
            self._merge(fact)
        else:
            step = AccountStep(fact, self._zone.day(fact.micros))
            self.touched[step] = None
            self._put(self._account(fact.data["account_id"]), step)

    def _merge(self, fact: Fact) -> None:
        """Make one account of two: the smaller joins the larger."""
        pair = (fact.data["survivor_id"], fact.data["merged_id"])
        classes = dict.fromkeys(map(self._merges.name, pair))
        self._merges.take(fact)
        found = [account for one in classes if (account := self._accounts.pop(one, None))]
        if found:
            large, *small = sorted(found, key=lambda account: -account.size)
            firsts = [account.first for account in found]
            for account in small:
                large.stating += account.stating
                for order in account.live:
                    insort(large.live, order)
                for one in (*account.active, *account.churns):
                    self._put(large, one)
            self._accounts[self._merges.name(pair[0])] = large
            for first in firsts:
                self._judge(large, first)
            self._judge(large, large.first)

    def withdraw(self, fact: Fact, _: Iterable[Fact]) -> bool:
        """Take back a fact that was voided; have accounts folded anew whose merge was."""
        if fact.type == "account.merged":
            return False
        account = self._account(fact.data["account_id"])
        moments = account.churns if fact.type == "account.churned" else account.active
        step = moments[bisect_left(moments, fact[:4], key=_at)]
        assert isinstance(step, AccountStep)  # noqa: S101  nothing else is at that place
        step.withdrawn = True
        self._take_out(account, step)
        return True

    def tell(self, order_id: str, order: AccountOrder | None) -> None:
        """Take in what is known of an order now; None if it is none of these accounts' any more."""
        one = self._orders.get(order_id)
        if one is None:
            one = self._orders[order_id] = AccountsOrder(order_id)
        was, one.known = one.known, order
        accounts = []
        if was is not None:
            account = self._account(was.account_id)
            accounts.append((account, account.first))
            account.stating -= was.new_customer is not None
            if was.live:
                del account.live[bisect_left(account.live, was)]
                self._take_out(account, one)
            self._count(one, None)
        if order is not None:
            account = self._account(order.account_id)
            accounts.append((account, account.first))
            account.stating += order.new_customer is not None
            if order.live:
                insort(account.live, order)
                one.at, one.day = order.placed, order.day
                self._put(account, one)
            self._judge(account, order)
        for account, first in accounts:
            self._judge(account, first)
            self._judge(account, account.first)

    def _account(self, identity: str) -> _Account:
        return self._accounts.setdefault(self._merges.name(identity), _Account())

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

    def _put(self, account: _Account, one: Moment) -> None:
        """Put a moment in its place."""
        insort(_moments(account, one), one, key=_at)
        self._look_around(account, one)

    def _take_out(self, account: _Account, one: Moment) -> None:
        moments = _moments(account, one)
        del moments[bisect_left(moments, one.at, key=_at)]
        self._see(one, None)
        self._look_around(account, one)

    def _look_around(self, account: _Account, one: Moment) -> None:
        """See where being a customer begins and ends around a moment: at it, and at what comes next."""
        for moments in (account.active, account.churns):
            place = bisect_left(moments, one.at, key=_at)
            for near in moments[place : place + 2]:
                self._see(near, account.since(near))

    def _see(self, one: Moment, since: int | None) -> None:
        self.touched[one] = None
        one.since = since


def _moments(account: _Account, one: Moment) -> list[Moment]:
    return account.churns if isinstance(one, AccountStep) and one.churns else account.active


KIND = Kind("account", RULES, Accounts)
