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


@pytest.mark.parametrize("basis", ["event", "cohort"])
def test_a_line_has_the_day_of_its_row_on_either_date_basis(api: Api, basis: str) -> None:
    api.post(
        lead("L", "A", "2026-01-01"), event("opportunity.opened", opportunity_id="OP", lead_ids=["L"]),
        order("SO", "10.00", "2026-02-01", opportunity_id="OP"), invoice("IN", "10.00", "2026-03-01", order_id="SO"),
    )  # fmt: skip
    for answer, entries in (
        (api.read("/v1/restatement", from_as_of="0", group_by="day", date_basis=basis), "lines"),
        (api.read("/v1/roi/entries", measure="invoiced_revenue", date_basis=basis), "entries"),
    ):
        days = {row["day"] for row in answer.get("rows", [])} | {line["day"] for line in answer[entries]}
        assert {line["day"] for line in answer[entries]} == days
        (of_invoice,) = [line for line in answer[entries] if line["measure"] == "invoiced_revenue_gross"]
        assert of_invoice["day"] == ("2026-03-01" if basis == "event" else "2026-01-01")
        assert (of_invoice["event_day"], of_invoice["cohort_day"]) == ("2026-03-01", "2026-01-01")


def test_an_order_without_a_rate_tells_in_its_journey_what_it_waits_for(api: Api) -> None:
    api.post(order("SO", "100.00", "2026-03-01", "USD"))
    (placed,) = api.read("/v1/journeys/order/SO")["events"]
    assert [one["why"] for one in placed["moved"] if one["measure"] == "unconverted"] == [
        "placed: booked_revenue of 100.00 USD waits for a rate of 2026-03-01 or before"
    ]
    rate = event("fx.rate_published", base="USD", quote="EUR", rate="0.9", rate_date="2026-03-01")
    api.post(rate)
    published = api.read("/v1/journeys/order/SO")["events"][-1]["moved"]
    assert {one["why"] for one in published} == {
        "rate published: booked_revenue of 100.00 USD waits for no rate any more", "converted at rate 0.9 of 2026-03-01",
    }  # fmt: skip
