"""Figures and what explains them, over HTTP and on PostgreSQL: known campaigns, restatements, what waits for a rate."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api
from tests.support.sending import event, invoice, lead, money, order


def named(api: Api, **query: str) -> set[str]:
    return {row["campaign_id"] for row in api.read("/v1/campaigns", **query)["rows"]}


@pytest.mark.parametrize("order_of", [1, -1])
def test_a_campaign_that_a_later_event_took_a_lead_from_is_known_in_any_order(api: Api, order_of: int) -> None:
    for one in [lead("L", "A", "2026-01-01"), lead("L", "B", "2026-01-02")][::order_of]:
        api.post(one)
    assert named(api) == {"A", "B"}
    assert api.http.get("/v1/campaigns/A").status_code == 200


NAMING: list[tuple[str, dict[str, Any]]] = [
    ("campaign.cost_booked", {"cost_entry_id": "K", "amount": money("1.00"), "cost_date": "2026-03-01"}),
    ("lead.captured", {"lead_id": "L"}),
    ("lead.campaign_reassigned", {"lead_id": "L"}),
    ("opportunity.opened", {"opportunity_id": "O"}),
    ("order.placed", {"order_id": "SO", "net_value": money("0.00")}),
    ("campaign.registered", {"name": "A"}),
    ("campaign.updated", {}),
    ("campaign.budget_set", {"amount": money("0.00")}),
    ("campaign.messages_sent", {"count": 0}),
    ("touchpoint.recorded", {"touchpoint_id": "T", "activity_type": "call", "lead_id": "L"}),
]


@pytest.mark.parametrize(("kind", "data"), NAMING, ids=[kind for kind, _ in NAMING])
def test_every_live_event_makes_the_campaign_that_it_names_known_and_a_voided_one_does_not(
    api: Api, kind: str, data: dict[str, Any]
) -> None:
    late, early = event(kind, **data, campaign_id="late"), event(kind, **data, campaign_id="early")
    api.post({**late, "id": "late"})
    api.post(event("event.voided", source=late["source"], id="early"))
    api.post({**early, "id": "early"})
    assert named(api) == {"late"}
    api.post({**event("event.voided", "2026-03-02T00:00:00Z", source=late["source"], id="late"), "id": "void"})
    assert named(api) == set()
    assert named(api, as_of="3") == {"late"}
    api.post(event("event.voided", "2026-03-03T00:00:00Z", source=late["source"], id="void"))
    assert named(api) == {"late"}
    assert (named(api, as_of="4"), named(api, as_of="0")) == (set(), set())


def test_a_campaign_is_known_until_the_last_event_that_names_it_is_voided(api: Api) -> None:
    sent = [{**lead("L", "A", f"2026-01-0{day}"), "id": f"{day}"} for day in range(1, 4)]
    api.post(*sent)
    for day in range(1, 4):
        assert named(api) == {"A"}
        api.post(event("event.voided", source=sent[0]["source"], id=f"{day}"))
    assert named(api) == set()
