"""Attribution over HTTP and on PostgreSQL: the report, one deal explained, published models, and what a late touch does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Api
from tests.support.sending import cost, credit, event, invoice, lead, order


def touch(key: str, campaign: str, day: str, **more: Any) -> dict[str, Any]:
    reached = {} if "lead_id" in more else {"contact_id": "C"}
    data = {"activity_type": "mail", **reached, **more}
    return event("touchpoint.recorded", day, touchpoint_id=key, campaign_id=campaign, **data)


MODEL = event(
    "attribution.model_published", "2026-01-01", model_id="acme v1.2", version=1, official=True,
    definition={"kind": "milestones", "shares": {"first": 0.5, "last": 0.25}},
)  # fmt: skip
STORY = [
    MODEL,
    event("campaign.registered", "2026-01-01", campaign_id="a", name="Fair", channel="event"),
    cost("K", "a", "20.00"), cost("K2", "b", "10.00"),
    lead("L", "x", "2026-03-02", contact_id="C", owner_id="ada"),
    touch("T1", "a", "2026-03-01"), touch("T2", "b", "2026-03-02"), touch("T3", "c", "2026-03-03", lead_id="L"),
    touch("T0", "z", "2025-03-03"), touch("TV", "v", "2026-03-18", interaction="view"),
    touch("TC", "a", "2026-03-04", interaction="click"),
    event("opportunity.opened", "2026-03-05", opportunity_id="OP", lead_ids=["L"]),
    order("SO/1", "100.00", "2026-03-20", opportunity_id="OP"),
    invoice("IN", "100.00", "2026-03-21", order_id="SO/1", cogs={"amount": "40.00", "currency": "EUR"}),
    order("SP", "7.00", "2026-03-22"),
]  # fmt: skip


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    module_api.post(*STORY)
    return module_api


def refused(api: Api, path: str, **asked: Any) -> int:
    return api.http.get(path, params=asked).status_code


def by_campaign(answer: dict[str, Any], model: str, name: str = "booked_revenue") -> dict[Any, Any]:
    return {row["campaign_id"]: row["models"][model][name] for row in answer["rows"]}


def test_rows_of_every_model_add_up_to_the_ledgers_totals(told: Api) -> None:
    answer, roi = told.read("/v1/reports/attribution"), told.read("/v1/roi")
    assert set(answer["total"]["models"]) == {
        "source_campaign", "first_touch", "last_touch", "linear", "u_shaped", "w_shaped", "full_path", "position_based",
        "time_decay", "acme v1.2",
    }  # fmt: skip
    for name in ("booked_revenue", "invoiced_revenue"):
        for model in answer["total"]["models"]:
            assert sum(map(Decimal, by_campaign(answer, model, name).values())) == Decimal(roi["total"][name])
            assert answer["total"]["models"][model][name] == roi["total"][name]
    assert by_campaign(answer, "linear") == {"a": "50.00", "b": "25.00", "c": "25.00", "x": "0.00", None: "7.00"}
    assert by_campaign(answer, "acme v1.2")["a"] == "75.00"
    assert answer["rows"][0]["models"]["linear"]["roi"] == {"booked": 1.5, "invoiced": 1.5, "margin": 0.5}
    assert {name.rpartition(".")[0] for name in answer["rows"][0]["reasons"]} == {
        "models.source_campaign",
        "models.source_campaign.roi",
    }
    assert answer["names"] == {"a": "Fair"}
    assert told.read("/v1/reports/attribution", model=["linear", "acme v1.2"])["total"]["models"].keys() == {
        "linear",
        "acme v1.2",
    }
    assert told.read("/v1/reports/attribution", sort="-models.acme v1.2.roi.booked")["rows"][0]["campaign_id"] == "a"
    for asked in ({"model": "shapley"}, {"model": "weighted_activities"}, {"group_by": "source"}):
        assert refused(told, "/v1/reports/attribution", **asked) == 422


def test_a_deal_is_explained(told: Api) -> None:
    deal = told.read("/v1/attribution/orders/SO%2F1")
    touches = {one["touchpoint_id"]: one for one in deal["touches"]}
    assert list(touches) == ["T0", "T1", "T2", "T3", "TC", "TV"]
    assert touches["T0"]["why_not"]["linear"] == "outside_lookback"
    assert touches["TV"]["why_not"]["linear"] == "click_beats_view"
    assert touches["T1"]["weights"]["position_based"] == 0.4
    assert touches["T1"]["time"] == "2026-03-01T12:00:00Z"
    assert "source_campaign" not in touches["T1"]["weights"]
    assert deal["amounts"]["linear"] == [
        {"campaign_id": "a", "booked_revenue": "50.00", "invoiced_revenue": "50.00"},
        {"campaign_id": "b", "booked_revenue": "25.00", "invoiced_revenue": "25.00"},
        {"campaign_id": "c", "booked_revenue": "25.00", "invoiced_revenue": "25.00"},
    ]
    assert deal["amounts"]["source_campaign"][0]["campaign_id"] == "x"
    assert deal["official"] == "acme v1.2"
    assert refused(told, "/v1/attribution/orders/none") == 404
    assert told.read("/v1/attribution/orders/SP")["amounts"]["linear"] == [
        {"campaign_id": None, "booked_revenue": "7.00", "invoiced_revenue": "0.00"}
    ]


@pytest.mark.parametrize("path", ["/v1/roi", "/v1/reports/revenue", "/v1/reports/profitability"])
def test_other_reports_by_a_model(told: Api, path: str) -> None:
    plain, dealt = told.read(path), told.read(path, attribution="linear")
    assert {row["campaign_id"]: row["booked_revenue"] for row in dealt["rows"]} == {
        "a": "50.00", "b": "25.00", "c": "25.00", "x": "0.00", None: "7.00",
    } or path != "/v1/roi"  # fmt: skip
    assert dealt["total"] == plain["total"]
    assert told.read(path, attribution="source_campaign") == plain
    official = told.read(path, attribution="official")
    assert {row["campaign_id"]: row["booked_revenue"] for row in official["rows"]}["a"] == "75.00"
    assert refused(told, path, attribution="markov") == 422


def test_break_even_by_a_model(told: Api) -> None:
    answer = told.read("/v1/roi", attribution="linear", include="break_even_on")
    assert {row["campaign_id"]: row["break_even_on"] for row in answer["rows"]}["a"] == "2026-03-21"


def test_a_figure_opens_down_to_what_events_dealt(told: Api) -> None:
    position = told.http.get("/v1/ledger").json()["last_position"]
    told.post(touch("T-9", "d", "2026-03-10"))
    asked = {"measure": "models.linear.booked_revenue", "campaign_id": "a"}
    page = told.read("/v1/reports/attribution/entries", **asked)
    assert page["sum"] == "40.00"
    assert [(one["amount"], one["model"], one["event"]["type"]) for one in page["entries"]] == [
        ("50.00", "linear", "order.placed"), ("-10.00", "linear", "touchpoint.recorded"),
    ]  # fmt: skip
    assert page["entries"][1]["why"].startswith("dealt anew because touch T-9 came in late")
    assert page["entries"][1]["day"] == "2026-03-20"
    of_roi = told.read("/v1/roi/entries", attribution="linear", measure="roi.booked", campaign_id="a")
    assert of_roi["sums"] == {"booked_revenue": "40.00", "actual_cost": "20.00"}
    assert of_roi["count"] == 3
    pages, after = [], ""
    while True:
        one = told.read(
            "/v1/roi/entries",
            attribution="linear",
            measure="roi.booked",
            limit=2,
            **({"after": after} if after else {}),
        )
        pages += one["entries"]
        if one["next"] is None:
            break
        after = one["next"].partition("after=")[2].partition("&")[0]
    assert len(pages) == one["count"]
    before = told.read("/v1/reports/attribution", as_of=position)
    assert by_campaign(before, "linear")["a"] == "50.00"
    restated = told.read(
        "/v1/restatement",
        report="attribution",
        measure="models.linear.booked_revenue",
        from_as_of=position,
        group_by="campaign",
    )
    assert {row["campaign_id"]: row["difference"] for row in restated["rows"]} == {
        "a": "-10.00", "b": "-5.00", "c": "-5.00", "d": "20.00",
    }  # fmt: skip
    assert len(restated["lines"]) == 4


def test_a_full_credit_nets_every_campaign_to_nothing(told: Api) -> None:
    told.post(credit("CN", "IN", "100.00"))
    answer = told.read("/v1/reports/attribution")
    for row in answer["rows"]:
        assert {of["invoiced_revenue"] for of in row["models"].values()} == {"0.00"}


def test_a_model_that_cannot_be_used_is_refused_with_what_to_change(told: Api) -> None:
    for data, field in (
        ({"model_id": "linear", "version": 1, "definition": {"kind": "linear"}}, "data.model_id"),
        ({"model_id": "m", "version": 1, "definition": {"kind": "milestones"}}, "data.definition.shares"),
    ):
        answer = told.http.post("/v1/events", json=event("attribution.model_published", **data))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field


def test_one_campaign_and_restatements_by_a_model(told: Api) -> None:
    position = told.http.get("/v1/ledger").json()["last_position"]
    assert told.read("/v1/campaigns/d/roi", attribution="linear")["booked_revenue"] == "20.00"
    told.post({**MODEL, "id": "again", "time": "2026-02-01T00:00:00Z",
               "data": {"model_id": "acme v1.2", "version": 2, "definition": {"kind": "last_touch"}}})  # fmt: skip
    for asked in ({"report": "attribution", "measure": "models.acme v1.2.booked_revenue"}, {"attribution": "official"}):
        one = told.read(
            "/v1/restatement", **{"measure": "booked_revenue", **asked}, from_as_of=position, group_by="campaign"
        )
        assert {row["campaign_id"]: row["difference"] for row in one["rows"]} == {
            "a": "-58.34", "b": "-8.33", "c": "-8.33", "d": "75.00",
        }  # fmt: skip
        assert {line["why"] for line in one["lines"]} == {"dealt anew because model acme v1.2 was published"}
    assert refused(told, "/v1/restatement", report="calls", attribution="linear", from_as_of=1) == 422
