"""Payments of the invoices of a period (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from service.projections.sums.selection import Query
from tests.support.asking import ask
from tests.support.sending import credit, event, invoice, money, order

Events = list[dict[str, Any]]


def paid(key: str, of: str, amount: str, day: str = "2026-04-10", currency: str = "EUR") -> dict[str, Any]:
    return event("payment.received", day, payment_id=key, invoice_id=of, amount=money(amount, currency))


def figures(events: Events, today: date = date(2026, 7, 1)) -> tuple[Any, ...]:
    total = ask("payments", events, today=today).total
    return tuple(total[name] for name in ("billed", "paid", "open_items", "overdue_items", "mean_days_to_pay"))


def rate(value: str, day: str) -> dict[str, Any]:
    return event("fx.rate_published", day, base="USD", quote="EUR", rate=value, rate_date=day)


def test_what_an_invoice_bills_is_net_and_tax_and_what_is_paid_of_it_is_not_open_any_more() -> None:
    bill = invoice("I", "100.00", "2026-03-05", tax=money("19.00"), due_date="2026-04-04")
    assert figures([bill, paid("P", "I", "50.00")]) == ("119.00", "50.00", "69.00", "69.00", None)
    assert figures([bill, paid("P", "I", "50.00"), paid("P2", "I", "69.00", "2026-04-15")]) == (
        "119.00", "119.00", "0.00", "0.00", 41.0,
    )  # fmt: skip


def test_an_open_item_is_overdue_from_the_day_after_it_is_due_and_never_without_such_a_day() -> None:
    events = [invoice("I", "10.00", due_date="2026-04-04"), invoice("J", "5.00")]
    assert [figures(events, date(2026, 4, day))[3] for day in (4, 5)] == ["0.00", "10.00"]


def test_a_due_date_is_the_last_one_stated() -> None:
    events = [invoice("I", "10.00", due_date="2026-04-04"), invoice("I", "10.00", "2026-03-20", due_date="2026-12-31")]
    assert figures(events)[2:4] == ("10.00", "0.00")


def test_all_of_an_invoice_stands_in_the_month_of_its_posting_date() -> None:
    events = [
        invoice("I", "10.00", "2026-03-31"), invoice("J", "5.00", "2026-04-01"), paid("P", "I", "10.00", "2026-06-30"),
        credit("N", "J", "1.00", "2026-05-01"),
    ]  # fmt: skip
    rows = ask("payments", events).rows
    assert [(row["month"], row["billed"], row["paid"], row["open_items"], row["mean_days_to_pay"]) for row in rows] == [
        ("2026-03", "10.00", "10.00", "0.00", 91.0), ("2026-04", "4.00", "0.00", "4.00", None),
    ]  # fmt: skip


def test_a_credit_note_takes_tax_back_in_proportion_rounded_once() -> None:
    bill = invoice("I", "100.00", tax=money("19.00"))
    assert figures([bill, credit("N", "I", "33.33")])[0] == "79.34"  # 33.33 + 6.3327
    assert figures([bill, credit("N", "I", "33.33"), credit("M", "I", "66.67")])[0] == "0.00"


def test_a_credit_note_may_complete_what_was_paid_in_part() -> None:
    events = [invoice("I", "100.00", "2026-03-01"), paid("P", "I", "60.00", "2026-03-11"), credit("N", "I", "40.00")]
    assert figures(events) == ("60.00", "60.00", "0.00", "0.00", 10.0)


def test_a_cancelled_invoice_bills_nothing_and_what_was_paid_stays_paid() -> None:
    events = [
        invoice("I", "100.00", tax=money("19.00"), due_date="2026-03-02"), paid("P", "I", "20.00"),
        credit("N", "I", "10.00"), event("invoice.cancelled", "2026-05-01", invoice_id="I"),
    ]  # fmt: skip
    assert figures(events) == ("0.00", "20.00", "0.00", "0.00", None)


def test_more_paid_than_billed_leaves_nothing_open_and_makes_up_for_no_other_invoice() -> None:
    events = [invoice("I", "10.00"), invoice("J", "7.00"), paid("P", "I", "15.00")]
    assert figures(events)[:3] == ("17.00", "15.00", "7.00")


def test_a_payment_told_again_is_restated_day_and_invoice_included() -> None:
    events = [
        invoice("I", "10.00", "2026-03-01"), invoice("J", "10.00", "2026-03-01"),
        paid("P", "I", "10.00", "2026-03-05"), paid("P", "J", "10.00", "2026-03-09"),
    ]  # fmt: skip
    assert figures(events) == ("20.00", "10.00", "10.00", "0.00", 8.0)
    again = event("event.voided", "2026-05-01", source="/test", id=events[3]["id"])
    assert figures([*events, again]) == ("20.00", "10.00", "10.00", "0.00", 4.0)


def test_a_voided_payment_was_never_made() -> None:
    first, second = paid("P", "I", "10.00", "2026-03-05"), paid("P", "I", "4.00", "2026-03-09")
    void = event("event.voided", "2026-05-01", source="/test", id=second["id"])
    assert figures([invoice("I", "10.00"), first, second, void]) == ("10.00", "10.00", "0.00", "0.00", 4.0)


def test_payment_before_the_posting_date_is_not_averaged() -> None:
    events = [
        invoice("I", "10.00", "2026-03-10"), paid("P", "I", "10.00", "2026-03-09"),
        invoice("J", "10.00", "2026-03-10"), paid("Q", "J", "10.00", "2026-03-10"),
    ]  # fmt: skip
    assert figures(events)[4] == 0.0


def test_money_paid_back_opens_an_invoice_until_it_is_paid_again() -> None:
    events = [
        invoice("I", "10.00", "2026-03-01"), paid("P", "I", "10.00", "2026-03-02"), paid("Q", "I", "-4.00", "2026-03-03"),
    ]  # fmt: skip
    assert figures(events)[1:] == ("6.00", "4.00", "0.00", None)
    assert figures([*events, paid("R", "I", "4.00", "2026-03-08")])[1:] == ("10.00", "0.00", "0.00", 7.0)


@pytest.mark.parametrize("places", [("0.05", "0.05", "0.05"), ("0.05", "0.10")])
def test_the_payment_that_completes_an_invoice_takes_all_that_is_left_of_it(places: tuple[str, ...]) -> None:
    payments = [paid(f"P{number}", "I", amount, currency="USD") for number, amount in enumerate(places)]
    events = [rate("0.9", "2026-01-01"), rate("2", "2026-04-01"), invoice("I", "0.15", currency="USD"), *payments]
    assert figures(events)[:3] == ("0.14", "0.14", "0.00")  # 0.135; 0.045 each would come to 0.12


def test_what_has_no_rate_is_in_no_sum_until_one_comes() -> None:
    events = [invoice("I", "10.00", currency="USD", due_date="2026-03-02"), paid("P", "I", "4.00", currency="USD")]
    assert figures(events)[:4] == ("0.00", "0.00", "0.00", "0.00")
    assert figures([*events, rate("0.5", "2026-03-01")])[:4] == ("5.00", "2.00", "3.00", "3.00")


def test_a_payment_or_tax_in_another_currency_counts_nothing() -> None:
    bill = invoice("I", "10.00", tax=money("2.00", "USD"))
    assert figures([rate("1", "2026-01-01"), bill, paid("P", "I", "4.00", currency="USD")])[:3] == (
        "10.00",
        "0.00",
        "10.00",
    )


def test_payments_do_not_tie_journeys_together() -> None:
    events = [
        invoice("I", "10.00", "2026-03-10"), invoice("J", "10.00", "2026-03-05"), order("S", "1.00", "2026-03-01"),
        paid("P", "I", "1.00"), paid("P", "J", "1.00", "2026-04-20"),
    ]  # fmt: skip
    rows = ask("roi", events, Query(("day",), basis="cohort")).rows
    assert [(row["day"], row["invoiced_revenue"]) for row in rows] == [
        ("2026-03-01", "0.00"), ("2026-03-05", "10.00"), ("2026-03-10", "10.00"),
    ]  # fmt: skip


def test_an_account_is_the_opportunitys_else_the_invoices_else_the_orders_and_a_merged_one_is_its_survivor() -> None:
    def opened(**more: Any) -> dict[str, Any]:
        return event("opportunity.opened", "2026-02-01", opportunity_id="O", **more)

    sold = order("S", "9.00", opportunity_id="O", account_id="order's")
    own = invoice("I", "1.00", order_id="S", account_id="own")
    bare = invoice("J", "2.00", order_id="S")
    merged = event("account.merged", "2026-05-01", survivor_id="new", merged_id="own")

    def accounts(*events: dict[str, Any]) -> dict[str, str]:
        return {row["account"]: row["billed"] for row in ask("payments", events, Query(("account",))).rows}

    assert accounts(own, bare) == {"own": "1.00", None: "2.00"}
    assert accounts(own, bare, sold) == {"own": "1.00", "order's": "2.00"}
    assert accounts(own, bare, sold, opened()) == {"own": "1.00", "order's": "2.00"}
    assert accounts(own, bare, sold, opened(account_id="deal's")) == {"deal's": "3.00"}
    assert accounts(own, bare, sold, merged) == {"new": "1.00", "order's": "2.00"}
    back = event("event.voided", "2026-06-01", source="/test", id=merged["id"])
    assert accounts(own, bare, sold, merged, back) == {"own": "1.00", "order's": "2.00"}
    twice = event("account.merged", "2026-05-01", survivor_id="newest", merged_id="new")
    assert accounts(own, bare, sold, merged, twice, paid("P", "I", "1.00")) == {"newest": "1.00", "order's": "2.00"}
