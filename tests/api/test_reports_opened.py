"""Leads and payments over HTTP and on PostgreSQL: dealt costs, what is overdue, and what they open down to."""

from __future__ import annotations

from tests.conftest import Api
from tests.support.sending import cost, event, invoice, lead, money, order


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


def test_overdue_items_open_down_to_what_is_due_before_the_day_that_is_asked_as(api: Api) -> None:
    api.post(
        invoice("I", "10.00", due_date="2026-04-04"), invoice("J", "5.00", due_date="2026-06-01"), invoice("M", "1.00"),
        event("payment.received", "2026-03-09", payment_id="P", invoice_id="I", amount=money("4.00")),
    )  # fmt: skip
    may, june = {"now": "2026-05-01T00:00:00Z"}, {"now": "2026-06-02T00:00:00Z"}
    overdue = [api.read("/v1/reports/payments", **now)["rows"][0]["overdue_items"] for now in (may, june)]
    assert overdue == ["6.00", "11.00"]
    opened = api.read("/v1/reports/payments/entries", measure="overdue_items", **may)
    assert (opened["sum"], {one["entity"]["id"] for one in opened["entries"]}, opened["now"]["at"]) == (
        "6.00", {"I"}, "2026-05-01T00:00:00Z",
    )  # fmt: skip
    none = api.read("/v1/reports/payments/entries", measure="overdue_items", now="2026-03-01T00:00:00Z")
    assert (none["sum"], none["entries"]) == ("0.00", [])
    paid = api.read("/v1/reports/payments/entries", measure="paid")
    assert [(one["entity"], one["why"], one["amount"]) for one in paid["entries"]] == [
        ({"kind": "payment", "id": "P"}, "received", "4.00")
    ]


def test_criteria_open_down_to_the_leads_that_state_them_and_one_such_group_is_asked_at_a_time(api: Api) -> None:
    api.post(
        lead("L1", "a", criteria={"budget": True}), lead("L2", "a"),
        event("lead.qualified", "2026-03-02", lead_id="L2", level="sql", score=75),
    )  # fmt: skip
    path = "/v1/reports/lead-quality"
    rows = api.read(path)["rows"]
    assert [(row["criterion"], row["state"], row["leads"]) for row in rows] == [
        ("budget", "true", 1), ("budget", "unstated", 1),
    ]  # fmt: skip
    assert [(row["score"], row["leads"]) for row in api.read(path, group_by="score")["rows"]] == [
        ("70-79", 1),
        (None, 1),
    ]
    opened = api.read(f"{path}/entries", measure="leads", criterion="budget", state="true")
    assert (opened["sum"], [one["entity"]["id"] for one in opened["entries"]]) == (1, ["L1"])
    assert api.read(f"{path}/entries", measure="leads")["sum"] == 2
    for parameters in ({"group_by": "level,score"}, {"group_by": "level", "reason": "spam"}):
        assert api.http.get(path, params=parameters).status_code == 422
    assert (opened["entries"][0]["criterion"], "facet" in opened["entries"][0]) == ("budget", False)
    unstated = api.read(f"{path}/entries", measure="leads", criterion="budget", state="unstated")
    assert (unstated["sum"], [(one["entity"]["id"], one["amount"]) for one in unstated["entries"]]) == (
        1, [("L1", 1), ("L1", -1), ("L2", 1)],
    )  # fmt: skip
    assert api.read(f"{path}/entries", measure="leads", criterion="budget")["sum"] == 2
    assert api.read(f"{path}/entries", measure="leads", score="")["sum"] == 1
    assert api.read(f"{path}/entries", measure="leads", score=["", "70-79"])["sum"] == 2
    refused = api.http.get(f"{path}/entries", params={"measure": "leads", "state": "unstated"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "criterion")


def test_a_restatement_of_stages_counts_an_opportunity_once_unless_it_is_by_stage(api: Api) -> None:
    then = api.post(lead("L"))["last_position"]
    api.post(
        event("opportunity.opened", "2026-03-02", opportunity_id="O", stage="first"),
        event("opportunity.stage_changed", "2026-03-05", opportunity_id="O", stage="second"),
    )  # fmt: skip
    asked = {"report": "stages", "measure": "entered", "from_as_of": then}
    months = api.read("/v1/restatement", group_by="month", **asked)
    assert [(row["month"], row["difference"]) for row in months["rows"]] == [("2026-03", 1)]
    stages = api.read("/v1/restatement", group_by="stage", **asked)
    assert [(row["stage"], row["difference"]) for row in stages["rows"]] == [("first", 1), ("second", 1)]
