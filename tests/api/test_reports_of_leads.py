"""Leads over HTTP and on PostgreSQL: costs that are dealt on reading, and what they open down to."""

from __future__ import annotations

from tests.conftest import Api
from tests.support.sending import cost, event, lead, order


def test_a_cost_that_is_dealt_to_leads_opens_down_to_the_costs_of_campaigns(api: Api) -> None:
    api.post(
        lead("L1", "a", source="x"), lead("L2", "a", source="y"), lead("L3", "b", source="x"),
        event("opportunity.opened", "2026-03-05", opportunity_id="O", lead_ids=["L2"]),
        order("S", "80.00", "2026-04-01", opportunity_id="O"), cost("K", "a", "10.01"), cost("K2", "c", "1.00"),
    )  # fmt: skip
    answer = api.read("/v1/reports/leads", **{"group_by": "source", "from": "2026-03-01", "to": "2026-04-01"})
    assert [(row["source"], row["leads"], row["cost"], row["booked_revenue"]) for row in answer["rows"]] == [
        ("x", 2, "5.01", "0.00"), ("y", 1, "5.00", "80.00"), (None, 0, "1.00", "0.00"),
    ]  # fmt: skip
    assert answer["total"]["cost"] == "11.01"
    opened = api.read("/v1/reports/leads/entries", measure="cost")
    assert (opened["sum"], [one["entity"]["id"] for one in opened["entries"]]) == ("11.01", ["K", "K2"])
    money = api.read("/v1/reports/leads/entries", measure="booked_revenue", source="y")
    assert (money["sum"], [one["entity"]["id"] for one in money["entries"]]) == ("80.00", ["S"])
    refused = api.http.get("/v1/reports/leads/entries", params={"measure": "cost_per_lead", "source": "x"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "source")
