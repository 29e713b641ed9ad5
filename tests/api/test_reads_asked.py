"""How reads are asked: parameters, waiting for a position, paging through campaigns, and what waits for its link."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Api, Running, start_service, stop_service
from tests.support.sending import cost, event, lead, money, order

REPORTS = ("/v1/roi", "/v1/conversion", "/v1/velocity", "/v1/campaigns/c/roi")
SUMMED = ("actual_cost", "booked_revenue", "invoiced_revenue")


@pytest.fixture(scope="module")
def unprojected(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that waits 0.3 s for a position."""
    environment = {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_MIN_POSITION_TIMEOUT": "0.3"}
    running = start_service(["--no-projector"], environment, tmp_path_factory.mktemp("impatient") / "log")
    yield running
    stop_service(running)


@pytest.mark.parametrize("path", REPORTS)
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("form=2026-01-01", "form"), ("from=01.02.2026", "from"), ("from=2026-02-30", "from"), ("to=tomorrow", "to"),
        ("from=2026-02-01&to=2026-01-31", "to"), ("as_of=yesterday", "as_of"), ("as_of=2026-03-01", "as_of"),
        ("as_of=2026-03-01T00:00:00", "as_of"), ("as_of=-1", "as_of"), ("as_of=1.5", "as_of"), ("as_of=", "as_of"),
        ("date_basis=lead", "date_basis"), ("min_position=x", "min_position"), ("min_position=-1", "min_position"),
        ("group_by=campain", "group_by"), ("group_by=", "group_by"), ("group_by=month,month", "group_by"),
        ("group_by=campaign,channel,owner,month", "group_by"),
    ],
)  # fmt: skip
def test_a_parameter_that_makes_no_sense_is_a_problem_that_names_it(
    module_api: Api, path: str, query: str, field: str
) -> None:
    answer = module_api.http.get(f"{path}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == field
    assert field in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/conversion", "/v1/reports/calls", "/v1/campaigns/c/roi"])
def test_what_has_no_figure_on_request_knows_no_include(module_api: Api, path: str) -> None:
    answer = module_api.http.get(f"{path}?include=break_even_on")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "include")


@pytest.mark.parametrize("path", ["/v1/pending-links", "/v1/flags", "/v1/campaigns", "/v1/quarantine", "/v1/ledger"])
def test_lists_name_a_misspelt_parameter_too(module_api: Api, path: str) -> None:
    answer = module_api.http.get(f"{path}?limits=3")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "limits")


@pytest.mark.parametrize(
    "path",
    ["/v1/roi?campaign_id=%00", "/v1/campaigns/%00/roi", "/v1/pending-links?after=%00", '/v1/flags?after=["%5Cu0000","b"]'],
)  # fmt: skip
def test_a_character_that_nothing_can_have_is_the_asker_s_mistake(module_api: Api, path: str) -> None:
    assert module_api.http.get(path).status_code in {404, 422}


def test_a_plus_in_an_as_of_time_may_stand_unescaped(api: Api) -> None:
    api.post(cost("C", "c", "5.00"))
    recorded = api.read("/v1/roi")["as_of"]["recorded_at"]
    answer = api.http.get(f"/v1/roi?as_of={recorded.replace('Z', '+00:00')}")
    assert (answer.status_code, answer.json()["as_of"]["position"]) == (200, 1)


def test_a_read_that_waits_for_a_position_in_vain_says_when_to_come_back(api: Api, unprojected: Running) -> None:
    api.post(cost("C", "c", "5.00"))
    api.read("/v1/roi")
    for path in (*REPORTS, "/v1/campaigns", "/v1/campaigns/c"):
        url = f"{unprojected.url}{path}"
        assert api.http.get(url, params={"min_position": 1}).status_code == 200
        before = time.monotonic()
        answer = api.http.get(url, params={"min_position": 2})
        assert 0.25 < time.monotonic() - before < 3
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json().items() >= {"type": "/problems/not-projected-yet", "position": 1}.items()


def test_a_read_that_waits_is_answered_as_soon_as_the_position_is_projected(api: Api) -> None:
    for number in range(1, 11):
        last = api.post(cost(f"C{number}", "c", "1.00"))["last_position"]
        answer = api.http.get("/v1/roi", params={"min_position": last})
        assert answer.json()["total"]["actual_cost"] == f"{number}.00"


def test_an_event_taken_by_another_process_is_in_the_answers_of_all(api: Api, unprojected: Running) -> None:
    first = cost("C", "c", "5.00")
    api.post(first)
    answer = api.http.post(f"{unprojected.url}/v1/events", json=first)
    assert (answer.json()["status"], answer.json()["last_position"]) == ("duplicate", 1)
    api.http.post(f"{unprojected.url}/v1/events", json=cost("D", "c", "6.00"))
    assert api.http.post("/v1/events", json=first).json()["last_position"] == 2
    assert api.read("/v1/roi")["total"]["actual_cost"] == "11.00"


def test_campaigns_are_listed_by_id_page_by_page_registered_or_only_named(api: Api) -> None:
    api.post(
        event("campaign.registered", campaign_id="b", name="B", campaign_type="fair", channel="event"), lead("L", "ü&x=1"),
        event("campaign.updated", "2026-03-02", campaign_id="b", name="B2"), cost("C", "a", "1.00"), lead("M", "c"),
        event("campaign.registered", campaign_id="d", name="D", parent_id="b"),
    )  # fmt: skip
    api.read("/v1/campaigns")
    pages, path = [], "/v1/campaigns?limit=2"
    while path:
        answer = api.http.get(path)
        pages.append([row["campaign_id"] for row in answer.json()["rows"]])
        path = answer.links.get("next", {}).get("url", "")
    assert pages == [["a", "b"], ["c", "d"], ["ü&x=1"]]
    one = api.http.get("/v1/campaigns/b").json()
    assert {name: one[name] for name in ("campaign_id", "name", "campaign_type", "channel")} == {
        "campaign_id": "b", "name": "B2", "campaign_type": "fair", "channel": "event",
    }  # fmt: skip
    assert one["as_of"]["position"] == 6
    assert api.http.get("/v1/campaigns/b?as_of=0").status_code == 404
    assert api.http.get("/v1/campaigns/b?as_of=2").json()["name"] == "B"


@pytest.mark.parametrize("path", ["/v1/campaigns/none", "/v1/campaigns/none/roi", "/v1/campaigns/none/velocity"])
def test_a_campaign_that_nothing_names_is_not_found(module_api: Api, path: str) -> None:
    answer = module_api.http.get(path)
    assert (answer.status_code, "none" in answer.json()["detail"]) == (404, True)


def test_a_registered_campaign_without_figures_is_found_with_zeros(api: Api) -> None:
    api.post(event("campaign.registered", campaign_id="quiet", name="Quiet"))
    assert api.read("/v1/campaigns/quiet/roi")["actual_cost"] == "0.00"
    assert api.read("/v1/campaigns/quiet/conversion")["entered"]["captured"] == 0
    assert api.read("/v1/campaigns/quiet/velocity")["full_cycle"]["count"] == 0


def test_what_waits_for_its_link_is_listed_and_counted_until_it_arrives(api: Api) -> None:
    waiting = [
        order("SO|1", "10.00", opportunity_id="OP|1"), event("quote.accepted", quote_id="Q", opportunity_id="OP|1"),
        event("invoice.credited", credit_note_id="N", invoice_id="I", net_amount=money("1.00"), posting_date="2026-03-02"),
        event("opportunity.opened", opportunity_id="OP-2", lead_ids=["L"]), event("campaign.cost_reversed", cost_entry_id="C"),
    ]  # fmt: skip
    api.post(*waiting)
    assert api.read("/v1/roi")["pending_links"] == 5
    rows: list[dict[str, Any]] = []
    path = "/v1/pending-links?limit=2"
    for _ in range(10):
        answer = api.http.get(path)
        rows += answer.json()["rows"]
        path = answer.links.get("next", {}).get("url", "")
        if not path:
            break
    assert len(rows) == len({(row["from"], row["to"]) for row in rows}) == 5
    assert {row["from"]: row["to"] for row in rows}["order:SO|1"] == "opportunity:OP|1"
    assert sorted(row["since_position"] for row in rows) == [1, 2, 3, 4, 5]
    api.post(event("opportunity.opened", opportunity_id="OP|1"), lead("L"), cost("C", "c", "1.00"))
    assert api.read("/v1/roi")["pending_links"] == 1
    assert api.read("/v1/roi", as_of=5)["pending_links"] == 5
    last = api.http.get("/v1/pending-links").json()["rows"]
    assert [(row["from"], row["to"]) for row in last] == [("credit_note:N", "invoice:I")]


def test_a_broken_page_mark_is_named(module_api: Api) -> None:
    answer = module_api.http.get("/v1/pending-links?after=order")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "after")


def test_an_order_joins_its_campaign_when_its_lead_arrives_years_late(api: Api) -> None:
    api.post(order("O", "10.00", opportunity_id="OP"), event("opportunity.opened", opportunity_id="OP", lead_ids=["L"]))
    before = api.read("/v1/roi")
    assert [(row["campaign_id"], row["booked_revenue"]) for row in before["rows"]] == [(None, "10.00")]
    api.post(lead("L", "c", "2019-03-01"))
    after = api.read("/v1/roi")
    assert [(row["campaign_id"], row["booked_revenue"]) for row in after["rows"]] == [("c", "10.00"), (None, "0.00")]
    assert {name: after["total"][name] for name in SUMMED} == {name: before["total"][name] for name in SUMMED}


def test_a_reversal_of_more_than_was_booked_is_capped_and_flagged(api: Api) -> None:
    api.post(cost("C", "c", "5.00"), event("campaign.cost_reversed", cost_entry_id="C", amount=money("9.00")))
    assert api.read("/v1/roi")["total"]["actual_cost"] == "0.00"
    flags = api.http.get("/v1/flags").json()["rows"]
    assert [(row["campaign_id"], row["since_position"], "capped" in row["reason"]) for row in flags] == [("c", 2, True)]
