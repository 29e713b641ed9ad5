"""Activities, worked out on paper."""

from __future__ import annotations

from tests.support.asked_in_any_order import ask, by_key
from tests.support.sending import event, order


def activity(key: str, rep: str, kind: str, day: str) -> dict[str, object]:
    return event("activity.completed", day, activity_id=key, rep_id=rep, activity=kind)


EVENTS = [
    activity("A1", "kim", "email", "2026-03-01"),
    activity("A2", "kim", "demo", "2026-03-02"),
    activity("A2", "kim", "meeting", "2026-04-02"),  # restated, day included
    activity("A3", "lee", "visit", "2026-03-05"),
    event("call.completed", "2026-03-06", call_id="C1", rep_id="kim", duration_s=60, outcome="missed"),
    event("opportunity.opened", "2026-03-07", opportunity_id="O1", owner_id="kim"),
    event("opportunity.opened", "2026-03-07", opportunity_id="O2"),
    event("quote.sent", "2026-03-09", quote_id="Q1", opportunity_id="O1"),
    event("quote.sent", "2026-03-08", quote_id="Q1", opportunity_id="O1"),
    event("quote.accepted", "2026-03-10", quote_id="Q1", opportunity_id="O1"),
    event("opportunity.won", "2026-03-11", opportunity_id="O1"),
    order("S1", "900.00", "2026-03-11", opportunity_id="O1"),
    order("S2", "50.00", "2026-03-12", opportunity_id="O2"),
]


def test_activities_count_once_by_their_last_statement_beside_what_their_owner_does() -> None:
    found = ask("activities", EVENTS)
    counted = by_key(found, "owner", "emails", "meetings", "demos", "visits", "other", "calls", "quotes_sent")
    assert counted == {
        "kim": (1, 1, 0, 0, 0, 1, 1), "lee": (0, 0, 0, 1, 0, 0, 0), None: (0, 0, 0, 0, 0, 0, 0)
    }  # fmt: skip
    beside = by_key(found, "owner", "opportunities", "won", "won_per_activity", "booked_revenue")
    assert beside == {
        "kim": (1, 1, 0.333333, "900.00"), "lee": (0, 0, 0.0, "0.00"), None: (1, 1, None, "50.00")
    }  # fmt: skip
    total = found["total"]
    assert (total["won_per_activity"], total["booked_revenue"], total["meetings"]) == (0.5, "950.00", 1)


def test_an_activity_is_in_the_period_of_its_last_statement() -> None:
    assert by_key(ask("activities", EVENTS, "month"), "month", "meetings", "demos") == {
        "2026-03": (0, 0), "2026-04": (1, 0)
    }  # fmt: skip


def test_a_quote_is_sent_on_the_first_day_that_is_not_voided() -> None:
    first = {**EVENTS[8], "id": "first"}
    events = [*EVENTS[:8], first, *EVENTS[9:], event("event.voided", "2026-05-01", source="/test", id="first")]
    days = by_key(ask("activities", events, "day"), "day", "quotes_sent")
    assert (days.get("2026-03-08", (0,)), days["2026-03-09"]) == ((0,), (1,))
