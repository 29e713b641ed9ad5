"""Reports over HTTP: listed, asked by name, filtered, sorted, page by page, with what they have on request and by which day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from service.api import parameters
from service.domain.contributions import REPORTS
from service.projections.sums.selection import column_of
from tests.conftest import Api
from tests.support.sending import cost, event, invoice, lead, order


def campaigns(api: Api) -> None:
    """Three campaigns, the first of which is the parent of the second."""
    api.post(
        event("campaign.registered", campaign_id="a", name="A"), cost("C1", "a", "10.00"), cost("C2", "b", "30.00"),
        event("campaign.registered", campaign_id="b", name="B", parent_id="a"), cost("C3", "c", "20.00"),
        order("O1", "10.00", "2026-03-04", campaign_id="a"), lead("L1", "a", "2026-02-20", channel="web"), lead("L2", "b"),
    )  # fmt: skip


def actual_costs(answer: dict[str, Any], key: str = "campaign_id") -> dict[str | None, str]:
    return {row[key]: row["actual_cost"] for row in answer["rows"]}


def test_every_report_is_listed_with_its_figures_and_answers_by_its_name(module_api: Api) -> None:
    listed = {one["name"]: one for one in module_api.http.get("/v1/reports").json()["rows"]}
    assert listed.keys() == REPORTS.keys()
    for name, one in listed.items():
        assert [figure["name"] for figure in one["measures"]] == list(REPORTS[name].different)
        keys = REPORTS[name].keys
        asked = {"group_by": one["groups"][-1]} if keys is None else {}
        rows = module_api.read(f"/v1/reports/{name}", **asked)["rows"]
        assert rows == [] or name in {"forecast", "forecast-accuracy"}  # which have some whatever is in them
        usual = ("group_by", "sort") if keys is None else ()
        for parameter in (*usual, "as_of", "now", *map(column_of, parameters.dimensions_of(REPORTS[name]))):
            assert parameter in {known["name"] for known in one["parameters"]}


@pytest.mark.parametrize("name", ["roi", "conversion", "velocity"])
def test_a_short_path_answers_what_the_report_does(api: Api, name: str) -> None:
    campaigns(api)
    asked = {"group_by": "campaign,week", "now": "2026-04-01T00:00:00Z"}
    assert api.read(f"/v1/{name}", **asked) == api.read(f"/v1/reports/{name}", **asked)


def test_rows_are_those_of_any_value_of_a_filter_and_of_all_filters(api: Api) -> None:
    campaigns(api)
    assert actual_costs(api.read("/v1/roi", campaign_id=["a", "c"])) == {"a": "10.00", "c": "20.00"}
    assert actual_costs(api.read("/v1/roi", parent="a")) == {"a": "10.00", "b": "30.00"}
    assert actual_costs(api.read("/v1/roi", parent="a", campaign_id=["b", "c"])) == {"b": "30.00"}
    assert api.read("/v1/roi", channel=["", "web"], group_by="channel")["total"]["leads"] == 2
    assert api.read("/v1/roi", channel="web")["total"]["leads"] == 1


def test_the_topmost_campaign_above_is_a_group_and_has_its_name(api: Api) -> None:
    campaigns(api)
    answer = api.read("/v1/roi", group_by="parent")
    assert actual_costs(answer, "parent") == {"a": "40.00", "c": "20.00"}
    assert answer["names"] == {"a": "A"}
    assert api.read("/v1/roi")["names"] == {"a": "A", "b": "B"}


def test_sorted_pages_make_up_all_rows_as_known_at_the_first_whatever_comes_meanwhile(api: Api) -> None:
    campaigns(api)
    whole, pages, path = api.read("/v1/roi", sort="-actual_cost"), [], "/v1/roi?sort=-actual_cost&limit=1"
    assert [row["campaign_id"] for row in whole["rows"]] == ["b", "c", "a", None]
    while path:
        response = api.http.get(path)
        pages.append(response.json())
        path = response.links.get("next", {}).get("url", "")
        assert pages[-1]["next"] == (path or None)
        api.post(cost(f"late-{len(pages)}", "c", "100.00"))
        api.read("/v1/roi")
    assert [row for page in pages for row in page["rows"]] == whole["rows"]
    assert {page["as_of"]["position"] for page in pages} == {whole["as_of"]["position"]}
    assert [page["total"] for page in pages] == [whole["total"]] * 4
    for wrong in ("sort=nothing", 'after=["nobody"]', "after=x", "limit=0"):
        answer = api.http.get(f"/v1/roi?{wrong}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, wrong.partition("=")[0])


def test_break_even_is_in_rows_where_it_is_asked_for_and_always_in_the_total_and_for_one_campaign(api: Api) -> None:
    campaigns(api)
    plain, asked = api.read("/v1/roi"), api.read("/v1/roi", include="break_even_on")
    assert plain["total"]["reasons"]["break_even_on"] == asked["total"]["reasons"]["break_even_on"]
    assert not any("break_even_on" in {**row, **row["reasons"]} for row in plain["rows"])
    assert all(("break_even_on" in row["reasons"]) == (row["break_even_on"] is None) for row in asked["rows"])
    api.post(invoice("I", "10.00", "2026-03-09", order_id="O1"))
    days = {row["campaign_id"]: row["break_even_on"] for row in api.read("/v1/roi", include="break_even_on")["rows"]}
    assert days == {"a": "2026-03-09", "b": None, "c": None, None: None}
    assert api.read("/v1/campaigns/a/roi")["break_even_on"] == "2026-03-09"
    assert api.read("/v1/roi", campaign_id="a")["rows"][0]["break_even_on"] == "2026-03-09"


def test_what_depends_on_today_is_told_as_of_now_else_of_what_was_known_else_of_the_clock(api: Api) -> None:
    campaigns(api)
    asked = api.read("/v1/conversion", now="2026-03-31T23:30:00-01:00")  # 1 April in the ledger's zone
    assert (asked["total"]["maturity_days"], asked["now"]) == (31, {"at": "2026-04-01T00:30:00Z", "from": "now"})
    known = api.read("/v1/conversion", as_of="2030-01-01T00:00:00Z")
    assert (known["total"]["maturity_days"], known["now"]["from"]) == (
        (date(2030, 1, 1) - date(2026, 3, 1)).days,
        "as_of",
    )
    both = api.read("/v1/conversion", as_of="2030-01-01T00:00:00Z", now="2026-03-02T00:00:00Z")
    assert (both["total"]["maturity_days"], both["now"]["from"]) == (1, "now")
    position = api.read("/v1/conversion", as_of=7)
    assert position["now"] == {"at": position["as_of"]["recorded_at"], "from": "as_of"}
    clock = api.read("/v1/conversion")
    told = datetime.fromisoformat(clock["now"]["at"])
    assert clock["now"]["from"] == "clock"
    assert abs((datetime.now(UTC) - told).total_seconds()) < 600
    assert "now" not in api.read("/v1/roi", now="2026-03-31T00:00:00Z")
    first, later = (api.http.get(f"/v1/conversion?now=2026-0{month}-01T00:00:00Z").headers["ETag"] for month in (3, 4))
    assert first != later
