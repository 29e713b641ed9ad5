"""Customers that stay, come and go, worked out on paper."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.asked_in_any_order import ask, by_key, figures
from tests.support.sending import event, money, order


def churned(account: str, day: str, amount: str | None = None, currency: str = "EUR") -> dict[str, Any]:
    stated = {"amount": money(amount, currency)} if amount else {}
    return event("account.churned", day, account_id=account, **stated)


def renewed(account: str, day: str, amount: str | None = None, currency: str = "EUR") -> dict[str, Any]:
    stated = {"amount": money(amount, currency)} if amount else {}
    return event("account.renewed", day, account_id=account, **stated)


EVENTS = [
    order("S1", "10.00", "2026-01-05", account_id="A"),
    order("S2", "10.00", "2026-01-06", account_id="B"),
    renewed("C", "2026-01-07", "70.00"),
    churned("D", "2026-01-08", "99.00"),  # was never a customer
    renewed("A", "2026-02-01", "30.00"),
    churned("B", "2026-02-10", "20.00"),
    churned("B", "2026-02-11", "20.00"),  # had left already
    order("S3", "10.00", "2026-02-20", account_id="B"),  # comes back …
    churned("B", "2026-02-25", "5.00"),  # … and leaves, in the same month
    order("S4", "10.00", "2026-03-01", account_id="E"),
    event("order.cancelled", "2026-03-09", order_id="S4"),  # nobody's first live order
    order("S5", "10.00", "2026-03-02"),  # of no account
    churned("C", "2026-03-03"),
]
COUNTED = ("customers_at_start", "gained", "churned", "churned_of_start", "retention_rate")


def test_customers_come_and_go_and_each_start_is_the_one_before_with_what_changed() -> None:
    found = ask("retention", EVENTS, until="2026-05-01")
    assert by_key(found, "month", *COUNTED) == {
        "2026-01": (0, 3, 0, 0, None),
        "2026-02": (3, 1, 2, 1, 0.666667),  # B left twice, and was there at the start once
        "2026-03": (2, 0, 1, 1, 0.5),
        "2026-04": (1, 0, 0, 0, 1.0),
    }
    assert by_key(found, "month", "renewals", "renewed_amount", "churned_amount") == {
        "2026-01": (1, "70.00", "0.00"), "2026-02": (1, "30.00", "25.00"), "2026-03": (0, "0.00", "0.00"),
        "2026-04": (0, "0.00", "0.00"),
    }  # fmt: skip
    assert figures(found["total"], *COUNTED) == (0, 4, 3, 0, None)


def test_the_total_of_a_window_starts_with_who_was_a_customer_before_it() -> None:
    found = ask("retention", EVENTS, "month", "2026-01-06", "2026-03-02")
    assert by_key(found, "month", *COUNTED) == {
        "2026-01": (1, 2, 0, 0, 1.0), "2026-02": (3, 1, 2, 1, 0.666667), "2026-03": (2, 0, 0, 0, 1.0)
    }  # fmt: skip
    assert figures(found["total"], *COUNTED) == (1, 3, 2, 0, 1.0)
    assert figures(ask("retention", EVENTS, "year", "2026-02-01", "2026-04-01")["total"], *COUNTED) == (
        3, 1, 3, 2, 0.333333
    )  # fmt: skip


def test_merged_accounts_are_one_customer() -> None:
    events = [
        order("S1", "10.00", "2026-01-05", account_id="A"),
        order("S2", "10.00", "2026-01-06", account_id="B"),
        churned("A", "2026-02-01"),
        churned("B", "2026-02-02"),
        event("account.merged", "2026-05-01", survivor_id="B", merged_id="A"),
    ]
    assert figures(ask("retention", events, "year")["total"], "gained", "churned") == (1, 1)
    apart = [*events, event("event.voided", "2026-06-01", source="/test", id=events[-1]["id"])]
    assert figures(ask("retention", apart, "year")["total"], "gained", "churned") == (2, 2)


@pytest.mark.parametrize("voided", [2, 5, 8])
def test_a_voided_step_counts_as_never_sent(voided: int) -> None:
    void = event("event.voided", "2026-06-01", source="/test", id=EVENTS[voided]["id"])
    without = [*EVENTS[:voided], *EVENTS[voided + 1 :]]
    assert ask("retention", [*EVENTS, void]) == ask("retention", without)


def test_amounts_convert_at_the_rate_of_their_day_and_wait_for_it() -> None:
    events = [renewed("A", "2026-02-01", "10.00", "USD"), churned("A", "2026-03-01", "8.00", "USD")]
    rate = event("fx.rate_published", "2026-02-15", base="USD", quote="EUR", rate="0.5", rate_date="2026-02-15")
    assert figures(ask("retention", events)["total"], "renewed_amount", "churned_amount") == ("0.00", "0.00")
    assert figures(ask("retention", [*events, rate])["total"], "renewed_amount", "churned_amount") == (
        "0.00", "4.00"
    )  # fmt: skip
