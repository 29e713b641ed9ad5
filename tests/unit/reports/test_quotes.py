"""Quotes (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from typing import Any

from service.projections.sums.selection import Query
from tests.support.asking import ask, only
from tests.support.sending import event, lead, money


def quote(
    what: str, key: str, day: str, value: str | None = None, currency: str = "EUR", of: str = "O"
) -> dict[str, Any]:
    stated = {"value": money(value, currency)} if value else {}
    return event(f"quote.{what}", day, quote_id=key, opportunity_id=of, **stated)


OPENED = event("opportunity.opened", "2026-03-01", opportunity_id="O", lead_ids=["L"], owner_id="ada", team="north")


def test_a_quote_counts_once_for_each_of_what_happens_to_it_on_the_first_day() -> None:
    events = [
        lead("L", "a"), OPENED,
        quote("sent", "Q1", "2026-03-02", "100.00"), quote("sent", "Q1", "2026-04-02", "120.00"),
        quote("accepted", "Q1", "2026-04-05"),
        quote("sent", "Q2", "2026-03-03", "50.00"), quote("rejected", "Q2", "2026-03-09"),
        quote("expired", "Q3", "2026-04-01"), quote("sent", "Q4", "2026-04-01", "7.00", of="never opened"),
    ]  # fmt: skip
    rows, total, _ = ask("quotes", events)
    assert [row["owner"] for row in rows] == ["ada", None]
    assert rows[0] | {"reasons": {}} == {
        "owner": "ada", "sent": 2, "accepted": 1, "rejected": 1, "expired": 1, "sent_value": "170.00",
        "accepted_value": "120.00", "acceptance_rate": 0.333333, "reasons": {},
    }  # fmt: skip
    assert only(rows[1], "sent", "sent_value", "acceptance_rate") == {
        "sent": 1, "sent_value": "7.00", "acceptance_rate": None,
    }  # fmt: skip
    assert (total["sent"], total["sent_value"]) == (3, "177.00")
    months = {row["month"]: (row["sent"], row["accepted"]) for row in ask("quotes", events, Query(("month",))).rows}
    assert months == {"2026-03": (2, 0), "2026-04": (1, 1)}


def test_a_quote_is_worth_what_its_events_of_that_kind_last_state_else_what_any_does() -> None:
    events = [
        OPENED, quote("accepted", "Q", "2026-03-10", "90.00"), quote("sent", "Q", "2026-03-02", "100.00"),
        quote("rejected", "Q", "2026-03-12", "80.00"), quote("accepted", "P", "2026-03-02"),
        quote("sent", "R", "2026-03-03"), quote("expired", "R", "2026-03-04", "10.00"),
    ]  # fmt: skip
    assert only(ask("quotes", events).total, "sent_value", "accepted_value") == {
        "sent_value": "110.00", "accepted_value": "90.00",
    }  # fmt: skip


def test_a_value_converts_at_the_rate_of_the_day_on_which_it_counts() -> None:
    rates = [
        event("fx.rate_published", day, base="USD", quote="EUR", rate=rate, rate_date=day)
        for day, rate in (("2026-03-01", "0.5"), ("2026-03-08", "0.6"))
    ]
    events = [OPENED, quote("sent", "Q", "2026-03-02", "100.00", "USD"), quote("accepted", "Q", "2026-03-09"), *rates]
    assert only(ask("quotes", events).total, "sent_value", "accepted_value") == {
        "sent_value": "50.00", "accepted_value": "60.00",
    }  # fmt: skip
    unrated = ask("quotes", events[:-2]).total
    assert (unrated["sent"], unrated["sent_value"]) == (1, "0.00")


def test_a_voided_sending_leaves_the_next_one() -> None:
    first = quote("sent", "Q", "2026-03-02", "100.00")
    events = [
        OPENED, first, quote("sent", "Q", "2026-04-02", "40.00"),
        event("event.voided", "2026-05-01", source=first["source"], id=first["id"]),
    ]  # fmt: skip
    (row,) = ask("quotes", events, Query(("month",))).rows
    assert (row["month"], row["sent"], row["sent_value"]) == ("2026-04", 1, "40.00")
