"""How campaigns are answered (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from service.projections.sums.selection import Query
from tests.support.asking import ask
from tests.support.sending import event, invoice, lead, money, order


def touch(key: str, campaign: str, interaction: str | None = None, day: str = "2026-03-02") -> dict[str, Any]:
    said = {"interaction": interaction} if interaction else {}
    names = {"touchpoint_id": key, "campaign_id": campaign, "activity_type": "mail", "contact_id": "P"}
    return event("touchpoint.recorded", day, **names, **said)


def sent(campaign: str, count: int, day: str = "2026-03-01") -> dict[str, Any]:
    return event("campaign.messages_sent", day, campaign_id=campaign, count=count)


def suppressed(key: str, day: str = "2026-05-01") -> dict[str, Any]:
    return event("touchpoint.suppressed", day, touchpoint_id=key)


def void(of: dict[str, Any]) -> dict[str, Any]:
    return event("event.voided", "2026-06-01", source="/test", id=of["id"])


def campaign(key: str, day: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    return event("campaign.updated", day, campaign_id=key, **more)


def test_a_campaign_has_its_audience_its_messages_what_they_led_to_and_what_was_expected_of_it() -> None:
    events = [
        campaign("a", target_audience_size=5000, expected_revenue=money("1000.00")), sent("a", 300), sent("a", 100),
        touch("T1", "a", "view"), touch("T2", "a", "click"), touch("T3", "a", "response"), touch("T4", "a", "offline"),
        touch("T5", "a"), lead("L", "a"), order("S", "400.00", campaign_id="a"), invoice("I", "250.00", order_id="S"),
    ]  # fmt: skip
    (row, _), total, _ = ask("response", events)
    assert row == {
        "campaign_id": "a", "audience": 5000, "messages_sent": 400, "touches": 5, "views": 1, "clicks": 1, "responses": 1,
        "response_rate": 0.0025, "leads": 1, "expected_revenue": "1000.00", "invoiced_revenue": "250.00",
        "expected_share": 0.25, "reasons": {},
    }  # fmt: skip
    assert total == {name: value for name, value in row.items() if name != "campaign_id"}


def test_a_suppressed_touch_does_not_count_unless_the_suppression_was_voided() -> None:
    gone = suppressed("T")
    events = [touch("T", "a", "click"), touch("U", "a", "click"), gone]
    assert ask("response", events).total["clicks"] == 1
    assert ask("response", [*events, void(gone)]).total["clicks"] == 2
    assert ask("response", [suppressed("never recorded")]).total["touches"] == 0


def test_a_touch_told_again_is_restated_field_by_field_with_its_day_but_a_suppression_is_no_statement() -> None:
    events = [touch("T", "a", "view", "2026-03-02"), touch("T", "b", None, "2026-04-02"), sent("c", 1)]
    rows = ask("response", events, Query(("campaign", "month"), date(2026, 4, 1))).rows
    assert [(row["campaign_id"], row["month"], row["touches"], row["views"]) for row in rows] == [
        ("b", "2026-04", 1, 1)
    ]
    later = [touch("T", "a", "view"), suppressed("T", "2026-07-01"), void(events[0])]
    assert ask("response", later).total["touches"] == 0


def test_messages_count_event_by_event_on_their_day_and_a_voided_one_was_never_sent() -> None:
    twice, wrong = sent("a", 7), sent("a", 100)
    rows = ask(
        "response", [twice, sent("a", 7), sent("a", 1, "2026-04-01"), wrong, void(wrong)], Query(("month",))
    ).rows
    assert [(row["month"], row["messages_sent"]) for row in rows] == [("2026-03", 14), ("2026-04", 1)]


def test_audience_and_expected_revenue_are_whole_in_every_period_and_as_last_stated() -> None:
    first = campaign("a", target_audience_size=10, expected_revenue=money("5.00"))
    last = campaign("a", "2026-02-01", target_audience_size=20)
    window = Query(("campaign",), date(2027, 1, 1), date(2027, 2, 1))
    (row, _), _, _ = ask("response", [first, last], window)
    assert (row["audience"], row["expected_revenue"]) == (20, "5.00")
    assert ask("response", [first, last, void(last)], window).total["audience"] == 10
    assert ask("response", [first, last, void(first)], window).total["expected_revenue"] == "0.00"


def test_expected_revenue_converts_at_the_day_on_which_it_was_stated() -> None:
    rates = [
        event("fx.rate_published", base="USD", quote="EUR", rate=rate, rate_date=day)
        for rate, day in (("0.5", "2026-01-01"), ("0.9", "2026-02-01"))
    ]
    said = campaign("a", "2026-01-31", expected_revenue=money("10.00", "USD"))
    assert ask("response", [said, *rates]).total["expected_revenue"] == "5.00"


@pytest.mark.parametrize("name", ["name", "id", "cells"])
def test_what_a_campaign_is_called_does_not_matter(name: str) -> None:
    said = event("campaign.registered", campaign_id="a", name=name, target_audience_size=3)
    (row, _), _, _ = ask("response", [said, campaign("a", "2026-05-01", name="other", channel="x")])
    assert (row["campaign_id"], row["audience"]) == ("a", 3)
