"""Retention (REPORTS section 3): how many customers stay, come and go, and what renewals and churns are worth."""

from __future__ import annotations

from datetime import date

from service.domain.components.accounts import AccountsOrder, AccountStep, Moment
from service.domain.cubes import NOWHERE, Cube, Posts
from service.domain.figures import quotient, total
from service.domain.money import money_of
from service.domain.postings import Book, Remainder
from service.domain.report import Report
from service.domain.standing import Earlier, Stock
from service.domain.units import COUNT, MONEY

CUSTOMERS = Cube("customers", by=("since",))


def contribute_order(one: AccountsOrder, book: Book) -> None:
    """A live order gains a customer where there was none."""
    _turn(one, "customers.gained", 1, book)


def contribute_step(one: AccountStep, book: Book) -> None:
    """A renewal counts, and gains a customer where there was none; a churn counts where there was one."""
    if one.withdrawn:
        return
    if one.churns:
        _turn(one, "customers.churned", -1, book)
        if one.since is not None:
            _amount(one, "customers.churned_amount", book)
        return
    _turn(one, "customers.gained", 1, book)
    book.put(("customers.renewals", one.name, book.at(CUSTOMERS), one.day, one.day, None, None))
    _amount(one, "customers.renewed_amount", book)


def _turn(one: Moment, measure: str, change: int, book: Book) -> None:
    """Post that an account becomes a customer, or is none any more, under the day since which it is one."""
    if one.since is not None:
        place = (
            one.name,
            book.at(CUSTOMERS, since=date.fromordinal(one.since).isoformat()),
            one.day,
            one.day,
            None,
            None,
        )
        book.put((measure, *place))
        book.put(("customers.active", *place), change)


def _amount(one: AccountStep, measure: str, book: Book) -> None:
    if "amount" in one.fact.data:
        amount = money_of(one.fact.data["amount"])
        left = Remainder(book, amount.currency, one.day)
        left.post({measure: 1}, one.name, NOWHERE, one.day, one.day, amount.minor, book.at(CUSTOMERS))


POSTS = Posts(
    CUSTOMERS,
    rules={"account_order": contribute_order, "account_step": contribute_step},
    money=("customers.renewed_amount", "customers.churned_amount"),
    counts=("customers.active", "customers.gained", "customers.churned", "customers.renewals"),
)

REPORT = Report(
    "retention",
    "How many customers stay, come and go?",
    CUSTOMERS,
    {
        "customers_at_start": Stock(
            unit=COUNT, of={"customers.active": 1}, opening=True,
            definition="accounts that are customers before the first day of the period, or of the window",
        ),
        "gained": total("customers.gained", COUNT, "accounts that become customers, by a live order or a renewal"),
        "churned": total("customers.churned", COUNT, "customers that leave"),
        "churned_of_start": Earlier(
            unit=COUNT, of="customers.churned", since="since", definition="customers at the start that leave in the period"
        ),
        "retention_rate": quotient("customers_at_start - churned_of_start", "customers_at_start"),
        "renewals": total("customers.renewals", COUNT, "renewals"),
        "renewed_amount": total("customers.renewed_amount", MONEY, "Σ amounts of renewals"),
        "churned_amount": total("customers.churned_amount", MONEY, "Σ amounts of customers that leave"),
    },
    group_by="month",
    notes=("Customers are accounts from a live order or a renewal on, until they churn; `since` is the day when that began.",),
)  # fmt: skip
