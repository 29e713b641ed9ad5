"""Opportunities (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from typing import Any

from service.projections.sums.selection import Query
from tests.support.asking import ask, only
from tests.support.sending import event, lead, money, order


def opened(key: str, day: str = "2026-03-01", value: str | None = None, **more: Any) -> dict[str, Any]:
    stated = {"estimated_value": money(value)} if value else {}
    return event("opportunity.opened", day, opportunity_id=key, **stated, **more)


def later(what: str, key: str, day: str, **more: Any) -> dict[str, Any]:
    return event(f"opportunity.{what}", day, opportunity_id=key, **more)


def stage(name: str, day: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    return event("stage.defined", day, stage=name, **more)


def void(of: dict[str, Any]) -> dict[str, Any]:
    return event("event.voided", "2026-06-01", source=of["source"], id=of["id"])


def test_an_opportunity_counts_on_the_day_it_was_opened_as_it_stands_now() -> None:
    events = [
        lead("L", "a", owner_id="ada"),
        opened("O1", value="100.00", lead_ids=["L"], probability=0.5),
        later("value_changed", "O1", "2026-03-05", estimated_value=money("200.01")),
        opened("O2", value="50.00", owner_id="bob"), later("lost", "O2", "2026-04-01", reason="price"),
        later("reopened", "O2", "2026-04-02"),
        opened("O3", "2026-03-02", value="70.00", owner_id="bob"), later("won", "O3", "2026-05-01"),
        opened("O4", "2026-03-02", value="30.00", owner_id="bob"), later("lost", "O4", "2026-05-01", reason="time"),
        order("S3", "80.00", "2026-03-04", opportunity_id="O3"), order("S4", "20.00", "2026-03-12", opportunity_id="O4"),
        event("order.amended", "2026-04-01", order_id="S3", net_value=money("90.00")),
        order("S5", "5.00", "2026-03-12", opportunity_id="O3"), event("order.cancelled", "2026-03-13", order_id="S5"),
    ]  # fmt: skip
    ada, bob = ask("opportunities", events).rows
    assert ada | {"reasons": {}} == {
        "owner": "ada", "opened": 1, "pipeline_value": "200.01", "open": 1, "won": 0, "lost": 0, "open_value": "200.01",
        "weighted_value": "100.00", "unweighted_value": "0.00", "booked_revenue": "0.00", "win_rate": None,
        "average_deal_size": None, "mean_cycle_days": None, "reasons": {},
    }  # fmt: skip
    assert bob | {"reasons": {}} == {
        "owner": "bob", "opened": 3, "pipeline_value": "150.00", "open": 1, "won": 1, "lost": 1, "open_value": "50.00",
        "weighted_value": "0.00", "unweighted_value": "50.00", "booked_revenue": "110.00", "win_rate": 0.5,
        "average_deal_size": "55.00", "mean_cycle_days": 6.0, "reasons": {},
    }  # fmt: skip
    reasons = {row["lost_reason"]: row["opened"] for row in ask("opportunities", events, Query(("lost_reason",))).rows}
    assert reasons == {"price": 1, "time": 1, None: 2}
    months = ask("opportunities", events, Query(("month",))).rows
    assert [(row["month"], row["won"], row["booked_revenue"]) for row in months] == [("2026-03", 1, "110.00")]


def test_orders_move_with_the_stage_and_the_account_of_their_opportunity() -> None:
    events = [
        opened("O", stage="new", account_id="acme"), order("S", "10.00", opportunity_id="O"),
        event("quote.sent", quote_id="Q", opportunity_id="O"), order("T", "5.00", quote_id="Q"),
        later("stage_changed", "O", "2026-03-02", stage="offer"),
    ]  # fmt: skip
    (row,) = ask("opportunities", events, Query(("stage", "account"))).rows
    assert only(row, "stage", "account", "opened", "booked_revenue") == {
        "stage": "offer", "account": "acme", "opened": 1, "booked_revenue": "15.00",
    }  # fmt: skip


def weighted(*events: dict[str, Any]) -> tuple[str, str]:
    total = ask("opportunities", events).total
    return total["weighted_value"], total["unweighted_value"]


def test_the_probability_is_the_last_that_the_opportunity_states_or_that_a_stage_has_which_it_entered() -> None:
    offer, start = stage("offer", probability=0.4), opened("O", value="10.00", stage="new", probability=0.1)
    moved = later("stage_changed", "O", "2026-03-03", stage="offer")
    assert weighted(start, moved) == ("1.00", "0.00")
    assert weighted(start, moved, offer) == ("4.00", "0.00")
    own = later("value_changed", "O", "2026-03-04", estimated_value=money("10.00"), probability=0.7)
    assert weighted(start, moved, offer, own) == ("7.00", "0.00")
    again = later("stage_changed", "O", "2026-03-05", stage="offer")
    assert weighted(start, moved, offer, own, again) == ("7.00", "0.00")
    there_and_back = [
        later("stage_changed", "O", f"2026-03-0{day}", stage=name) for day, name in ((5, "new"), (6, "offer"))
    ]
    assert weighted(start, moved, offer, own, *there_and_back) == ("4.00", "0.00")


def test_in_one_event_the_opportunitys_own_probability_wins_over_its_stage() -> None:
    start = opened("O", value="10.00", stage="new", probability=0.1)
    assert weighted(start, stage("new", probability=0.9)) == ("1.00", "0.00")


def test_a_stage_defined_anew_holds_for_the_past_and_a_voided_definition_does_not() -> None:
    start, first, second = opened("O", value="10.00", stage="new"), stage("new", probability=0.2), stage(
        "new", "2026-02-01", probability=0.3)  # fmt: skip
    assert weighted(start, first, second) == ("3.00", "0.00")
    assert weighted(start, first, second, void(second)) == ("2.00", "0.00")
    assert weighted(start, stage("new", "2026-02-02", order=1), first) == ("0.00", "10.00")


def test_each_weighted_value_is_rounded_half_even() -> None:
    events = [opened(f"O{cents}", value=f"0.0{cents}", probability=0.5) for cents in (1, 3, 5)]
    assert weighted(*events) == ("0.04", "0.00")


def test_a_value_converts_at_the_rate_of_the_day_of_the_opening() -> None:
    rates = [
        event("fx.rate_published", day, base="USD", quote="EUR", rate=rate, rate_date=day)
        for day, rate in (("2026-03-01", "0.5"), ("2026-03-08", "0.6"))
    ]
    changed = later("value_changed", "O", "2026-03-09", estimated_value=money("100.00", "USD"))
    assert ask("opportunities", [opened("O"), changed, *rates]).total["pipeline_value"] == "50.00"
