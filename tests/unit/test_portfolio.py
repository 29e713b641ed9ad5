"""The demo portfolio: deterministic, valid, believable, and as untidy in its arrival as real systems are."""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.demo.portfolio import everything, portfolio, surroundings
from service.demo.tables import CAMPAIGNS
from service.domain.events import read_event

Event = dict[str, Any]


@pytest.fixture(scope="module")
def arrived() -> list[Event]:
    return list(portfolio())


@pytest.fixture(scope="module")
def events(arrived: list[Event]) -> list[Event]:
    """Every event once, in the order of first arrival."""
    return list({(event["source"], event["id"]): event for event in reversed(arrived)}.values())[::-1]


@pytest.fixture(scope="module")
def by_type(events: list[Event]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        found[event["type"]].append(event["data"])
    return found


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    first, second, other = (list(portfolio(seed, leads=200)) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_every_event_is_valid_by_the_catalogue(events: list[Event]) -> None:
    for event in events:
        read_event(event)


def test_there_are_about_forty_thousand_events_of_nine_thousand_leads(
    arrived: list[Event], by_type: dict[str, list[dict[str, Any]]]
) -> None:
    assert 36_000 <= len(arrived) <= 46_000
    assert len(by_type["lead.captured"]) == 9000
    assert len(by_type["campaign.registered"]) == 12


@pytest.mark.parametrize(
    ("event_type", "least"),
    [
        ("campaign.cost_booked", 500), ("campaign.cost_reversed", 20), ("campaign.budget_set", 24),
        ("campaign.messages_sent", 24), ("fx.rate_published", 48), ("touchpoint.recorded", 4000),
        ("touchpoint.suppressed", 5), ("call.completed", 1000), ("lead.qualified", 3000), ("lead.merged", 50),
        ("lead.campaign_reassigned", 80), ("lead.followed_up", 3000), ("lead.disqualified", 500),
        ("opportunity.opened", 1000), ("opportunity.won", 300), ("opportunity.lost", 500),
        ("opportunity.reopened", 40), ("quote.sent", 800), ("quote.accepted", 200), ("quote.rejected", 200),
        ("order.placed", 400), ("order.amended", 15), ("order.cancelled", 15), ("invoice.posted", 400),
        ("invoice.credited", 15), ("invoice.cancelled", 8), ("payment.received", 300), ("event.voided", 10),
        ("sla.defined", 1),
    ],
)  # fmt: skip
def test_there_is_enough_of_each_kind_to_look_at(
    by_type: dict[str, list[dict[str, Any]]], event_type: str, least: int
) -> None:
    assert len(by_type[event_type]) >= least


def test_everything_happens_within_the_two_years(events: list[Event]) -> None:
    assert min(event["time"] for event in events) >= "2024-07-01T00:00:00Z"
    assert max(event["time"] for event in events) < "2026-07-01T00:00:00Z"


def test_another_end_moves_the_two_years() -> None:
    times = [event["time"] for event in portfolio(leads=100, end=date(2025, 2, 14))]
    assert min(times) >= "2023-03-01T00:00:00Z"
    assert max(times) < "2025-02-15T00:00:00Z"


def test_one_event_in_twenty_arrives_late_by_days_to_months(events: list[Event]) -> None:
    newest, delays = datetime.fromisoformat(events[0]["time"]), []
    for event in events:
        time = datetime.fromisoformat(event["time"])
        newest = max(newest, time)
        if newest - time > timedelta(days=1):
            delays.append(newest - time)
    assert 0.04 <= len(delays) / len(events) <= 0.06
    assert max(delays) > timedelta(days=60)


def test_one_event_in_fifty_arrives_again_exactly_as_it_was(arrived: list[Event], events: list[Event]) -> None:
    assert 0.015 <= 1 - len(events) / len(arrived) <= 0.025
    once = {(event["source"], event["id"]): event for event in events}
    assert all(event == once[event["source"], event["id"]] for event in arrived)


def test_a_few_leads_have_no_campaign(by_type: dict[str, list[dict[str, Any]]]) -> None:
    none = sum("campaign_id" not in lead for lead in by_type["lead.captured"])
    assert 0.02 <= none / 9000 <= 0.04


def test_whatever_an_event_refers_to_is_said_as_well(events: list[Event], by_type: dict[str, list[Any]]) -> None:
    def ids(event_type: str, name: str) -> set[str]:
        return {data[name] for data in by_type[event_type]}

    leads, opportunities = ids("lead.captured", "lead_id"), ids("opportunity.opened", "opportunity_id")
    orders, invoices = ids("order.placed", "order_id"), ids("invoice.posted", "invoice_id")
    assert all(set(data["lead_ids"]) <= leads for data in by_type["opportunity.opened"])
    assert {data["opportunity_id"] for data in by_type["order.placed"] if "opportunity_id" in data} <= opportunities
    assert ids("quote.accepted", "quote_id") <= ids("quote.sent", "quote_id")
    assert ids("invoice.posted", "order_id") | ids("order.amended", "order_id") <= orders
    assert ids("invoice.credited", "invoice_id") | ids("payment.received", "invoice_id") <= invoices
    assert ids("campaign.cost_reversed", "cost_entry_id") <= ids("campaign.cost_booked", "cost_entry_id")
    said = {(event["source"], event["id"]) for event in events}
    assert all((data["source"], data["id"]) in said for data in by_type["event.voided"])


def test_costs_come_in_three_currencies_and_one_rate_after_the_costs_that_need_it(events: list[Event]) -> None:
    costs = [event["data"] for event in events if event["type"] == "campaign.cost_booked"]
    assert {cost["amount"]["currency"] for cost in costs} == {"EUR", "USD", "GBP"}
    order = [
        event["type"]
        for event in events
        if event["data"].get("quote") == "GBP" or event["data"].get("amount", {}).get("currency") == "GBP"
    ]
    assert order.index("campaign.cost_booked") < order.index("fx.rate_published")


def test_repeat_orders_come_from_accounts_that_ordered_before(by_type: dict[str, list[dict[str, Any]]]) -> None:
    orders = Counter(order["account_id"] for order in by_type["order.placed"])
    assert sum(count > 1 for count in orders.values()) > 50


def test_most_invoices_state_their_cost_of_goods(by_type: dict[str, list[dict[str, Any]]]) -> None:
    known = sum("cogs" in invoice for invoice in by_type["invoice.posted"])
    assert 0.85 <= known / len(by_type["invoice.posted"]) < 1


def test_campaigns_differ_believably_in_what_they_cost_and_bring(by_type: dict[str, list[dict[str, Any]]]) -> None:
    """A rough reckoning at a rate of 1, good enough to tell good campaigns from bad ones."""
    lead_of = {lead["lead_id"]: lead.get("campaign_id") for lead in by_type["lead.captured"]}
    deal_of = {deal["opportunity_id"]: lead_of[deal["lead_ids"][0]] for deal in by_type["opportunity.opened"]}
    cost: Counter[str | None] = Counter()
    for entry in by_type["campaign.cost_booked"]:
        cost[entry["campaign_id"]] += int(Decimal(entry["amount"]["amount"]))
    sold: dict[str | None, list[int]] = defaultdict(list)
    for order in by_type["order.placed"]:
        campaign = order.get("campaign_id") or deal_of[order["opportunity_id"]]
        sold[campaign].append(int(Decimal(order["net_value"]["amount"])))
    ratio = {one.campaign_id: sum(sold[one.campaign_id]) / cost[one.campaign_id] for one in CAMPAIGNS}
    size = {one.campaign_id: sum(sold[one.campaign_id]) / len(sold[one.campaign_id]) for one in CAMPAIGNS}
    assert max(ratio, key=lambda name: ratio[name]) == "CMP-NEWS"
    assert min(ratio, key=lambda name: ratio[name]) == "CMP-TV"
    assert ratio["CMP-TV"] < 1
    assert max(size, key=lambda name: size[name]) == "CMP-FAIR"
    assert max(cost, key=lambda name: cost[name]) == "CMP-FAIR"
    assert 3 < sum(map(sum, sold.values())) / sum(cost.values()) < 10
    assert 0.04 < len(by_type["opportunity.won"]) / 9000 < 0.08


@pytest.fixture(scope="module")
def around() -> list[Event]:
    return list(surroundings())


def test_what_surrounds_the_portfolio_is_valid_and_says_nothing_that_it_says(
    around: list[Event], events: list[Event]
) -> None:
    for event in around:
        read_event(event)
    assert {event["id"] for event in around}.isdisjoint(event["id"] for event in events)


def test_everything_is_the_portfolio_in_its_order_among_its_surroundings() -> None:
    parts = [list(told(leads=200)) for told in (portfolio, surroundings)]
    whole = list(everything(leads=200))
    outer = {event["id"] for event in parts[1]}
    assert [[one for one in whole if (one["id"] in outer) is around] for around in (False, True)] == parts


def test_together_they_are_about_fifty_five_thousand_events(arrived: list[Event], around: list[Event]) -> None:
    assert 50_000 <= len(arrived) + len(around) <= 56_000


@pytest.mark.parametrize(
    ("event_type", "least"),
    [
        ("touchpoint.recorded", 2000), ("touchpoint.suppressed", 5), ("activity.completed", 1000),
        ("lead.followed_up", 1000), ("contact.registered", 1000), ("contact.consent_changed", 1000),
        ("campaign.messages_sent", 48), ("stage.defined", 3), ("sla.defined", 2), ("target.set", 20),
        ("case.opened", 200), ("case.resolved", 200), ("csat.recorded", 100), ("account.renewed", 50),
        ("account.churned", 10), ("payment.received", 20),
    ],
)  # fmt: skip
def test_there_is_enough_around_it_to_look_at(around: list[Event], event_type: str, least: int) -> None:
    assert sum(event["type"] == event_type for event in around) >= least


def test_what_surrounds_the_portfolio_refers_to_what_that_says(
    around: list[Event], by_type: dict[str, list[dict[str, Any]]]
) -> None:
    for name, event_type in (
        ("lead_id", "lead.captured"), ("contact_id", "lead.captured"), ("account_id", "order.placed"),
        ("campaign_id", "campaign.registered"), ("opportunity_id", "opportunity.opened"),
        ("invoice_id", "invoice.posted"),
    ):  # fmt: skip
        said = {data[name] for data in by_type[event_type]}
        named = {e["data"][name] for e in around if name in e["data"] and e["type"] != "contact.registered"}
        assert named
        assert named <= said
