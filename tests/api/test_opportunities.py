"""The list of opportunities, over HTTP and on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api
from tests.support.sending import event, lead, money, order


def opened(key: str, day: str = "2026-03-01", **more: Any) -> dict[str, Any]:
    return event("opportunity.opened", day, opportunity_id=key, **more)


STORY = [
    event("stage.defined", "2026-01-01", stage="offer", probability=0.25, order=2),
    event("campaign.registered", "2026-01-01", campaign_id="a", name="Fair"),
    lead("L", "a", owner_id="ada"),
    opened("O1", name="Ten pumps", lead_ids=["L"], contact_ids=["C1", "C2"], account_id="acme", stage="new",
           estimated_value=money("1000.00"), expected_close="2026-05-01", team="north", region="emea"),
    event("opportunity.stage_changed", "2026-03-05", opportunity_id="O1", stage="offer"),
    event("opportunity.stage_changed", "2026-03-07", opportunity_id="O1", stage="offer"),
    event("opportunity.contact_unlinked", "2026-03-06", opportunity_id="O1", contact_id="C2"),
    event("opportunity.contact_linked", "2026-03-06", opportunity_id="O1", contact_id="C3"),
    opened("O2", "2026-03-02", estimated_value=money("500.00"), probability=1, owner_id="bob"),
    order("S1", "450.00", "2026-03-22", opportunity_id="O2"),
    event("opportunity.won", "2026-03-22", opportunity_id="O2"),
    opened("O3", "2026-04-02", expected_close="2026-06-01", account_id="acme"),
]  # fmt: skip
NOW = {"now": "2026-05-11T12:00:00Z"}


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    module_api.post(*STORY)
    return module_api


def ids(answer: dict[str, Any]) -> list[str]:
    return [row["opportunity_id"] for row in answer["rows"]]


def test_an_opportunity_is_told_as_it_stands(told: Api) -> None:
    answer = told.read("/v1/opportunities", **NOW)
    assert answer["rows"][0] == {
        "opportunity_id": "O1", "name": "Ten pumps", "status": "open", "stage": "offer", "stage_since": "2026-03-05",
        "value": "1000.00", "probability": 0.25, "weighted_value": "250.00", "expected_close": "2026-05-01", "overdue": True,
        "opened_on": "2026-03-01", "age_days": 71, "account": "acme", "contacts": ["C1", "C3"], "leads": ["L"],
        "owner": "ada", "team": "north", "region": "emea", "campaign_id": "a", "orders": [],
    }  # fmt: skip
    won = answer["rows"][1]
    assert (won["status"], won["weighted_value"], won["overdue"], won["age_days"], won["orders"]) == (
        "won", None, False, 20, ["S1"],
    )  # fmt: skip
    assert answer["names"] == {"a": "Fair"}
    assert answer["now"]["from"] == "now"


def test_its_sums_are_those_of_the_report(told: Api) -> None:
    for filters in (
        {},
        {"owner": "ada"},
        {"account": "acme"},
        {"from": "2026-03-02"},
        {"stage": ""},
        {"campaign_id": "a"},
    ):
        total = told.read("/v1/opportunities", **filters)["total"]
        report = told.read("/v1/reports/opportunities", **filters)["total"]
        assert total == {name: report[name] for name in ("opened", "pipeline_value", "weighted_value")}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"status": "open"}, ["O1", "O3"]), ({"account_id": "acme"}, ["O1", "O3"]), ({"account_id": ""}, ["O2"]),
        ({"contact_id": "C3"}, ["O1"]), ({"contact_id": ""}, ["O2", "O3"]), ({"expected_from": "2026-05-02"}, ["O3"]),
        ({"expected_to": "2026-06-01"}, ["O1"]), ({"sort": "-value"}, ["O1", "O2", "O3"]),
        ({"sort": "value"}, ["O2", "O1", "O3"]), ({"sort": "-opened_on"}, ["O3", "O2", "O1"]),
        ({"to": "2026-03-02"}, ["O1"]), ({"channel": ""}, ["O1", "O2", "O3"]),
    ],
)  # fmt: skip
def test_opportunities_are_filtered_and_sorted(told: Api, asked: dict[str, str], expected: list[str]) -> None:
    assert ids(told.read("/v1/opportunities", **NOW, **asked)) == expected


def test_pages_make_up_the_list_and_all_have_its_total(told: Api) -> None:
    first = told.read("/v1/opportunities", limit="2", sort="-value")
    assert ids(first) == ["O1", "O2"]
    second = told.http.get(first["next"]).raise_for_status().json()
    assert (ids(second), second["next"], second["total"]) == (["O3"], None, first["total"])
    assert first["total"]["opened"] == 3


def test_the_list_as_known_then_and_what_makes_up_the_report(told: Api) -> None:
    then = told.read("/v1/opportunities", as_of="4")
    assert [(row["stage"], row["contacts"], row["probability"]) for row in then["rows"]] == [
        ("new", ["C1", "C2"], None)
    ]
    entries = told.read("/v1/reports/opportunities/entries", measure="weighted_value")
    assert entries["sum"] == "250.00"
    assert [one["amount"] for one in entries["entries"]] == ["250.00", "500.00", "-500.00"]


@pytest.mark.parametrize(
    "asked", [{"group_by": "owner"}, {"sort": "nothing"}, {"status": "gone"}, {"date_basis": "cohort"}]
)
def test_what_the_list_has_no_use_for_is_refused(told: Api, asked: dict[str, str]) -> None:
    assert told.http.get("/v1/opportunities", params=asked).status_code == 422


def test_merged_accounts_and_contacts_are_one_whichever_of_their_ids_is_asked_for(told: Api) -> None:
    survivor = {"account": "acme", "contacts": ["C1", "C9"]}
    before = told.read("/v1/opportunities")["as_of"]["position"]
    told.post(
        event("account.merged", "2026-04-01", survivor_id="acme", merged_id="acme-old"),
        event("contact.merged", "2026-04-01", survivor_id="C9", merged_id="C3"),
        event("contact.merged", "2026-04-01", survivor_id="C9", merged_id="C8"),
        opened("O4", "2026-04-03", account_id="acme-old", contact_ids=["C8", "C1"]),
        event("opportunity.contact_unlinked", "2026-04-04", opportunity_id="O4", contact_id="C3"),
        opened("O5", "2026-04-03", account_id="acme-old", contact_ids=["C8", "C1"]),
    )
    rows = {row["opportunity_id"]: row for row in told.read("/v1/opportunities")["rows"]}
    assert {name: rows["O5"][name] for name in survivor} == survivor
    assert rows["O4"]["contacts"] == ["C1"]
    for account in ("acme", "acme-old"):
        assert ids(told.read("/v1/opportunities", account_id=account)) == ["O1", "O3", "O4", "O5"]
        report = told.read("/v1/reports/opportunities", account=account, group_by="account")
        assert [(row["account"], row["opened"]) for row in report["rows"]] == [("acme", 4)]
        assert told.read("/v1/reports/opportunities/entries", account=account, measure="opened")["sum"] == 4
        known = told.read("/v1/opportunities", account_id=account, as_of=str(before))
        assert ids(known) == (["O1", "O3"] if account == "acme" else [])
    for contact in ("C3", "C8", "C9"):
        assert ids(told.read("/v1/opportunities", contact_id=contact)) == ["O1", "O5"]
