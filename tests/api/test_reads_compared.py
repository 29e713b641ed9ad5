"""Reports beside another window, or beside what was known at another moment, over HTTP and on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api
from tests.support.description import Description
from tests.support.sending import cost, order

MARCH = {"from": "2026-03-01", "to": "2026-04-01"}


@pytest.fixture
def told(api: Api) -> Api:
    api.post(
        cost("k1", "a", "1000.00", "2026-02-01"), order("o1", "3000.00", "2026-02-10", campaign_id="a"),
        cost("k2", "a", "1500.00", "2026-03-01"), cost("k3", "gone", "200.00", "2026-02-28"),
        order("o2", "10.00", "2026-02-03", "USD"),
    )  # fmt: skip
    return api


def figures(row: dict[str, Any], *more: str) -> dict[str, Any]:
    return {name: one for name, one in row.items() if name not in ("campaign_id", "month", "compared", "change", *more)}


@pytest.mark.parametrize("report", ["roi", "conversion", "velocity", "calls"])
def test_what_is_compared_is_what_the_report_says_of_the_window_before(told: Api, report: str) -> None:
    now = told.read(f"/v1/reports/{report}", **MARCH)
    compared = told.read(f"/v1/reports/{report}", **MARCH, compare="previous")
    then = told.read(f"/v1/reports/{report}", **{"from": "2026-02-01", "to": "2026-03-01"})
    assert figures(compared["total"]) == now["total"]
    assert compared["total"]["compared"] == then["total"]
    assert (compared["compared_to"]["from"], compared["compared_to"]["to"]) == ("2026-02-01", "2026-03-01")
    assert compared["compared_to"]["unconverted"] == then["unconverted"] != compared["unconverted"]
    assert not {"compared", "change"} & now["total"].keys()


def test_rows_of_either_window_are_there_with_their_names_and_in_pages(told: Api) -> None:
    asked = {**MARCH, "compare": "previous"}
    whole = told.read("/v1/roi", **asked)
    assert [row["campaign_id"] for row in whole["rows"]] == ["a", "gone", None]
    assert whole["rows"][0]["change"]["actual_cost"] == {"absolute": "500.00", "relative": 0.5}
    page, rows = told.read("/v1/roi", **asked, limit=2), []
    rows += page["rows"]
    page = told.http.get(page["next"]).json()
    assert ([*rows, *page["rows"]], page["next"]) == (whole["rows"], None)


def test_a_period_is_compared_with_its_counterpart_a_year_before(api: Api) -> None:
    api.post(cost("k1", "a", "100.00", "2025-02-03"), cost("k2", "a", "150.00", "2026-02-20"))
    asked = {"from": "2026-01-01", "to": "2026-04-01", "group_by": "month", "compare": "year"}
    (row,) = api.read("/v1/roi", **asked)["rows"]
    assert (row["month"], row["compared"]["actual_cost"]) == ("2026-02", "100.00")
    before_and_after = {**asked, "compare": "2025-02-01,2025-04-01"}
    shown = [(row["month"], row["actual_cost"]) for row in api.read("/v1/roi", **before_and_after)["rows"]]
    assert shown == [("2026-01", "0.00"), ("2026-02", "150.00")]


def test_what_is_known_now_is_compared_with_what_was_known_then(told: Api) -> None:
    at = told.http.get("/v1/ledger").json()["last_position"]
    told.post(cost("late", "late", "50.00", "2026-03-05"))
    compared = told.read("/v1/roi", against_as_of=at, **MARCH)
    assert compared["total"]["compared"] == told.read("/v1/roi", as_of=at, **MARCH)["total"]
    assert compared["total"]["change"]["actual_cost"] == {"absolute": "50.00", "relative": 0.033333}
    assert compared["compared_to"]["as_of"]["position"] == at
    without_days = told.read("/v1/roi", against_as_of=at, group_by="month")
    assert [row["change"]["actual_cost"]["absolute"] for row in without_days["rows"]] == ["0.00", "50.00"]


def test_pages_of_a_comparison_rest_on_the_same_two_moments(told: Api) -> None:
    told.post(cost("late", "late", "50.00", "2026-03-05"))
    first = told.read("/v1/roi", against_as_of="2099-01-01T00:00:00Z", limit=1)
    told.post(cost("later", "late", "70.00", "2026-03-05"))
    told.read("/v1/roi")
    rows, page = first["rows"], first
    while page["next"]:
        page = told.http.get(page["next"]).json()
        rows += page["rows"]
    assert {row["campaign_id"]: row["change"]["actual_cost"]["absolute"] for row in rows} == {
        "a": "0.00", "gone": "0.00", "late": "0.00", None: "0.00",
    }  # fmt: skip
    assert {row["campaign_id"]: row["actual_cost"] for row in rows}["late"] == "50.00"


@pytest.mark.parametrize("asked", [{"against_as_of": "999"}, {"as_of": "2", "against_as_of": "2099-01-01T00:00:00Z"}])
def test_an_answer_ends_when_either_side_of_it_may_be_another(told: Api, asked: dict[str, str]) -> None:
    told.read("/v1/roi")
    before = told.http.get("/v1/roi", params=asked)
    again = told.http.get("/v1/roi", params=asked, headers={"If-None-Match": before.headers["ETag"]})
    assert again.status_code == 304
    told.post(cost("late", "a", "50.00", "2026-03-05"))
    told.read("/v1/roi")
    after = told.http.get("/v1/roi", params=asked, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    sides = [answer.json()["total"]["compared"]["actual_cost"] for answer in (before, after)]
    assert sides == ["2700.00", "2750.00"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"compare": "previous"}, "from"), ({"compare": "year", "from": "2026-01-01"}, "to"),
        ({"compare": "2025-01-01,2025-02-01", "to": "2026-01-01"}, "from"), ({**MARCH, "compare": "before"}, "compare"),
        ({**MARCH, "compare": "2026-01-01"}, "compare"), ({**MARCH, "compare": "2026-02-01,2026-01-01"}, "compare"),
        ({**MARCH, "compare": "2026-02-01,"}, "compare"), ({**MARCH, "compare": "2026-02-30,2026-03-01"}, "compare"),
        ({**MARCH, "compare": "previous", "against_as_of": "1"}, "against_as_of"), ({"against_as_of": "then"}, "against_as_of"),
        ({"from": "1900-01-01", "to": "1901-01-01", "compare": "previous"}, "from"),
        ({"from": "1910-01-01", "to": "9999-01-01", "compare": "year", "group_by": "day"}, "group_by"),
    ],
)  # fmt: skip
def test_a_comparison_that_makes_no_sense_is_a_problem_that_names_what_to_change(
    module_api: Api, asked: dict[str, str], field: str
) -> None:
    answer = module_api.http.get("/v1/roi", params=asked)
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, [field])


def test_a_comparison_is_as_described(told: Api) -> None:
    description = Description(told.http.get("/openapi.json").json())
    for asked in ({**MARCH, "compare": "previous", "group_by": "day"}, {"against_as_of": "1"}):
        for report in ("roi", "conversion"):
            answer = told.read(f"/v1/{report}", **asked)
            assert list(description.faults(description.answer(f"/v1/{report}", "get", 200), answer)) == []
