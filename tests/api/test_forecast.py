"""The forecast and what it is held against, targets and revenue performance, over HTTP and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from service.domain.calendar import after
from tests.conftest import Api
from tests.support.sending import cost, event, lead, money, order

THIS = datetime.now(UTC).date().replace(day=1)
NEXT, LATER = after(THIS), after(after(THIS))
NOW = {"now": f"{LATER.replace(day=15)}T12:00:00Z"}
AT_HOME = {"now": f"{THIS}T00:00:00Z"}


def month(day: date) -> str:
    return day.isoformat()[:7]


def opened(key: str, close: date | str, value: str, chance: float, **more: Any) -> dict[str, Any]:
    stated = {"expected_close": str(close), "estimated_value": money(value), "probability": chance}
    return event("opportunity.opened", f"{THIS}T00:00:00Z", opportunity_id=key, **stated, **more)


def target(measure: str, period: str, value: Any, **of: str) -> dict[str, Any]:
    return event("target.set", f"{THIS}T00:00:00Z", measure=measure, period=period, value=value, **of)


STORY = [
    event("campaign.registered", campaign_id="fair", name="Fair 2026"),
    lead("L1", "fair", f"{THIS}T00:00:00Z", owner_id="ann"), lead("L2", "fair", f"{THIS}T00:00:00Z"),
    cost("k", "fair", "50.00", str(THIS)),
    opened("this", THIS, "100.00", 0.5, lead_ids=["L1"]), opened("next", NEXT, "200.00", 0.25, stage="offer"),
    opened("later", LATER.replace(day=20), "400.00", 1), opened("long ago", "2020-01-01", "800.00", 0.125),
    opened("some day", "", "1.00", 1),
    opened("sold", THIS, "100.00", 1, lead_ids=["L2"]), order("o1", "120.00", f"{THIS}T00:00:00Z", opportunity_id="sold"),
    order("o2", "30.00", f"{NEXT}T00:00:00Z"),
    target("booked_revenue", month(LATER), money("500.00")), target("leads", month(THIS), 4, campaign_id="fair"),
    target("booked_revenue", month(NEXT), money("90.00")), target("calls", month(LATER), 12.5, owner_id="ann"),
]  # fmt: skip


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    module_api.post(*STORY)
    return module_api


def entries(api: Api, report: str, measure: str, **asked: Any) -> tuple[Any, list[Any]]:
    found = api.read(f"/v1/reports/{report}/entries", measure=measure, **asked)
    return found.get("sum") or found["sums"], [(one["entity"]["id"], one["amount"]) for one in found["entries"]]


def refused(api: Api, report: str, **asked: Any) -> str:
    answer = api.http.get(f"/v1/reports/{report}", params=asked)
    assert answer.status_code == 422, answer.text
    return str(answer.json()["errors"][0]["field"])


def test_the_forecast_is_of_today_and_opens_down_to_what_is_open(told: Api) -> None:
    answer = told.read("/v1/reports/forecast", **NOW)
    names = ("month", "count", "value", "weighted", "empirical", "booked", "target")
    assert [tuple(row[name] for name in names) for row in answer["rows"]] == [
        (month(LATER), 1, "400.00", "400.00", "400.00", "0.00", "500.00"),
        ("overdue", 3, "1100.00", "200.00", "1100.00", None, None),
        (None, 1, "1.00", "1.00", "1.00", None, None),
    ]
    assert answer["total"]["empirical"] == "1501.00"
    assert answer["win_rates"] == [
        {"stage": "offer", "won": 0, "lost": 0, "win_rate": 1.0, "of_all": True},
        {"stage": None, "won": 0, "lost": 0, "win_rate": 1.0, "of_all": True},
    ]
    assert answer["now"]["from"] == "now"
    assert entries(told, "forecast", "value", **NOW)[0] == "1501.00"
    window = {"from": str(NEXT), "to": str(LATER)}
    asked = {**AT_HOME, **window}
    answer = told.read("/v1/reports/forecast", **asked)
    assert [(row["month"], row["weighted"], row["booked"]) for row in answer["rows"]] == [
        (month(NEXT), "50.00", "0.00"), ("overdue", "100.00", None), (None, "1.00", None),
    ]  # fmt: skip
    summed, lines = entries(told, "forecast", "weighted", **asked)
    assert (summed, sorted(lines)) == ("151.00", [("long ago", "100.00"), ("next", "50.00"), ("some day", "1.00")])
    assert entries(told, "forecast", "booked", **NOW, **window) == ({"booked_revenue": "30.00"}, [("o2", "30.00")])
    assert [row["owner"] for row in told.read("/v1/reports/forecast", group_by="owner", owner="ann")["rows"]] == ["ann"]


def test_an_answer_is_known_again_until_its_time_or_its_ledger_moves_on(told: Api) -> None:
    for report in ("forecast", "forecast-accuracy", "targets", "revenue-performance"):
        tag = told.http.get(f"/v1/reports/{report}", params=NOW).headers["ETag"]
        again = {"If-None-Match": tag}
        assert told.http.get(f"/v1/reports/{report}", params=NOW, headers=again).status_code == 304
        assert told.http.get(f"/v1/reports/{report}", params=AT_HOME, headers=again).status_code == 200


def test_accuracy_goes_by_what_was_known_when_each_month_began(told: Api) -> None:
    answer = told.read("/v1/reports/forecast-accuracy", **NOW)
    assert len(answer["rows"]) == 12
    names = ("month", "weighted", "booked", "error", "error_rate")
    assert [tuple(row[name] for name in names) for row in answer["rows"][-2:]] == [
        (month(THIS), "0.00", "120.00", "-120.00", -1.0),  # nothing was known when it began
        (month(NEXT), "50.00", "30.00", "20.00", 0.666667),
    ]
    assert entries(told, "forecast-accuracy", "weighted", **NOW) == ("50.00", [("next", "50.00")])
    summed, lines = entries(told, "forecast-accuracy", "error", **NOW)
    assert (summed, sorted(lines)) == ("-100.00", [("next", "50.00"), ("o1", "-120.00"), ("o2", "-30.00")])
    asked = {"from": str(NEXT), "to": str(LATER), "compare": "previous", **NOW}
    (row,) = told.read("/v1/reports/forecast-accuracy", **asked)["rows"]
    assert (row["compared"]["booked"], row["change"]["booked"]) == ("120.00", {"absolute": "-90.00", "relative": -0.75})
    assert refused(told, "forecast-accuracy", **{"from": "1990-01-01"}) == "to"


def test_targets_are_rows_of_their_own_without_a_total(told: Api) -> None:
    answer = told.read("/v1/reports/targets", **NOW)
    assert "total" not in answer
    assert answer["names"] == {"fair": "Fair 2026"}
    names = ("measure", "period", "campaign_id", "owner", "target", "actual", "attainment", "ahead")
    assert [tuple(row[name] for name in names) for row in answer["rows"]] == [
        ("booked_revenue", month(NEXT), None, None, "90.00", "30.00", 0.333333, False),
        ("booked_revenue", month(LATER), None, None, "500.00", "0.00", 0.0, False),
        ("calls", month(LATER), None, "ann", 12.5, 0, 0.0, False),
        ("leads", month(THIS), "fair", None, 4, 2, 0.5, False),
    ]
    some = told.read("/v1/reports/targets", measure="booked_revenue", sort="-attainment", limit=1, **NOW)
    assert [row["period"] for row in some["rows"]] == [month(NEXT)]
    assert len(told.http.get(some["next"]).json()["rows"]) == 1
    assert told.read("/v1/reports/targets", campaign_id="", to=str(LATER), **NOW)["rows"][0]["period"] == month(NEXT)
    then = told.read("/v1/reports/targets", against_as_of=len(STORY) - 1, owner="ann", **NOW)["rows"][0]
    assert (then["compared"]["target"], then["change"]["target"]) == (None, {"absolute": None, "relative": None})
    for asked in ({"group_by": "owner"}, {"compare": "previous"}, {"region": "x"}, {"sort": "nothing"}):
        assert refused(told, "targets", **asked) == next(iter(asked))
    found, lines = entries(told, "targets", "target", campaign_id="fair")
    assert (found, lines) == ({"targets.set": 1}, [(f'leads {month(THIS)} campaign_id="fair"', 1)])
    assert refused(told, "targets/entries", measure="actual") == "measure"
    bad = told.http.post("/v1/events", json=target("clicks", "2026", 3))
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "data.measure")


def test_revenue_performance_is_a_total_that_opens_and_compares(told: Api) -> None:
    answer = told.read("/v1/reports/revenue-performance", **NOW)
    total = answer["total"]
    assert (answer["rows"], answer["date_basis"]) == ([], "cohort")
    assert total["value"]["opportunity"] == {"leads": 2, "standing": 1, "value_per_lead": "60.00"}
    assert (total["database_value"], total["roi"]["roi"]["booked"], total["reach"]) == ("60.00", 2.0, [])
    standing, lines = entries(told, "revenue-performance", "value.opportunity.standing", **NOW)
    assert (standing, lines) == (1, [("L1", 1), ("L2", 1), ("L2", -1)])
    assert entries(told, "revenue-performance", "value.captured.value_per_lead", **NOW)[0] == {
        "leads.booked_revenue": "120.00", "funnel.captured": 2
    }  # fmt: skip
    asked = {"from": str(THIS), "to": str(NEXT), "compare": "previous", **NOW}
    change = told.read("/v1/reports/revenue-performance", **asked)["total"]["change"]
    assert change["value.captured.leads"] == {"absolute": 2, "relative": None}
    assert told.read("/v1/reports/revenue-performance", as_of=2)["total"]["value"]["captured"]["leads"] == 1
    ann = told.read("/v1/reports/revenue-performance", owner="ann", **NOW)["total"]
    assert (ann["database_value"], ann["value"]["captured"]["leads"]) == ("0.00", 1)
    refusals: tuple[dict[str, Any], ...] = ({"group_by": "owner"}, {"sort": "x"}, {"date_basis": "event"}, {"limit": 1})
    for refusal in refusals:
        assert refused(told, "revenue-performance", **refusal) == next(iter(refusal))
