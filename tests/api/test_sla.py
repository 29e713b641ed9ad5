"""Clocks of agreements over HTTP and on PostgreSQL: figures, what makes them up, and the list of the overdue ones."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.conftest import Api
from tests.support.sending import event, lead


def agreed(within: float, at: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    parts = {"from_event": "lead.captured", "to_event": "lead.followed_up", "within_hours": within} | more
    return event("sla.defined", at, sla_id="first-response", **parts)


LEADS = [
    event("campaign.registered", "2026-01-01", campaign_id="a", name="Fair", campaign_type="fair"),
    lead("L1", "a", "2026-03-02T09:00:00Z", owner_id="ada", channel="web"),
    lead("L2", None, "2026-03-02T08:00:00Z", owner_id="bob"),
    lead("L3", "a", "2026-03-03T09:00:00Z"),
    event("lead.followed_up", "2026-03-02T11:30:00Z", lead_id="L2"),
    lead("L4", "a", "2026-03-03T08:00:00Z", owner_id="ada"),
    lead("L5", "a", "2026-04-07T09:00:00Z", owner_id="ada"),
]
NOW = {"now": "2026-03-03T12:30:00Z"}


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    module_api.post(*LEADS)
    module_api.read("/v1/sla/overdue", **NOW)  # they are projected before there is an agreement
    module_api.post(agreed(4), agreed(1, "2026-04-01", where={"campaign_type": "fair"}))
    return module_api


def test_agreements_are_told_by_owner_as_of_now(told: Api) -> None:
    answer = told.read("/v1/reports/sla", group_by="sla,owner", **NOW)
    names = ("owner", "started", "met", "late", "running", "overdue", "met_rate", "mean_hours")
    assert [tuple(row[name] for name in names) for row in answer["rows"]] == [
        ("ada", 3, 0, 0, 1, 2, 0.0, None), ("bob", 1, 1, 0, 0, 0, 1.0, 3.5), (None, 1, 0, 0, 1, 0, None, None),
    ]  # fmt: skip
    assert answer["total"]["met_rate"] == pytest.approx(1 / 3, abs=1e-6)
    assert answer["now"]["from"] == "now"


def test_clocks_that_run_open_down_to_what_started_them(told: Api) -> None:
    for measure, expected in (("overdue", ["L1", "L4"]), ("running", ["L3", "L5"])):
        found = told.read("/v1/reports/sla/entries", measure=measure, **NOW)
        assert found["sum"] == len(expected)
        left = Counter({one["entity"]["id"]: 0 for one in found["entries"]})
        for one in found["entries"]:
            left[one["entity"]["id"]] += one["amount"]
        assert dict(left) == dict.fromkeys(expected, 1)
        assert {one["why"] for one in found["entries"]} == {"defined"}
    alone = told.read("/v1/reports/sla/entries", measure="overdue", channel="web", **NOW)
    assert (alone["sum"], alone["count"]) == (1, 1)
    rate = told.read("/v1/reports/sla/entries", measure="met_rate", **NOW)
    assert rate["sums"] == {"met": 1, "late": 0, "overdue": 2}
    assert {one["entity"]["id"] for one in rate["entries"]} == {"L1", "L2", "L4"}


def test_the_overdue_ones_are_listed_the_oldest_first_page_by_page(told: Api) -> None:
    first = told.read("/v1/sla/overdue", limit="1", **NOW)
    assert first["rows"] == [
        {"sla": "first-response", "lead_id": "L1", "owner": "ada", "campaign_id": "a", "started": "2026-03-02T09:00:00Z",
         "hours": 27.5}
    ]  # fmt: skip
    assert (first["total"], first["names"]) == ({"overdue": 2}, {"a": "Fair"})
    second = told.http.get(first["next"]).raise_for_status().json()
    assert ([row["lead_id"] for row in second["rows"]], second["next"]) == (["L4"], None)
    later = told.read("/v1/sla/overdue", now="2026-04-07T10:00:01Z", owner="ada", channel="")
    assert [(row["lead_id"], row["hours"]) for row in later["rows"]][1:] == [("L5", 1.0003)]
    assert told.read("/v1/sla/overdue", to="2026-03-03", **NOW)["total"] == {"overdue": 1}


def test_what_was_known_then_has_the_agreements_of_then(told: Api) -> None:
    assert told.read("/v1/sla/overdue", as_of=str(len(LEADS)), **NOW)["rows"] == []
    known = told.read("/v1/reports/sla", as_of=str(len(LEADS) + 1), now="2026-04-07T12:00:00Z")["total"]
    assert (known["started"], known["overdue"], known["running"]) == (5, 3, 1)
    now = told.read("/v1/reports/sla", now="2026-04-07T12:00:00Z")["total"]
    assert (now["started"], now["overdue"], now["running"]) == (5, 4, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"to_event": "lead.captured"}, {"from_event": "quote.sent"}, {"to_event": "order.placed"},
        {"hours": {"mon": [["17:00", "09:00"]]}}, {"hours": {"mon": [["09:00", "24:30"]]}}, {"hours": {"monday": []}},
        {"holidays": ["Christmas"]}, {"where": {"colour": "red"}}, {"within_hours": -1},
    ],
)  # fmt: skip
def test_an_agreement_that_cannot_be_kept_is_refused(told: Api, wrong: dict[str, Any]) -> None:
    assert told.http.post("/v1/events", json=[agreed(4, **wrong)]).json()["items"][0]["status"] == "invalid"


@pytest.mark.parametrize(
    "asked",
    [{"group_by": "owner"}, {"sort": "hours"}, {"after": "somewhere"}, {"date_basis": "cohort"}, {"team": "north"}],
)
def test_what_the_list_has_no_use_for_is_refused(told: Api, asked: dict[str, str]) -> None:
    assert told.http.get("/v1/sla/overdue", params=asked).status_code == 422
