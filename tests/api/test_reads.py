"""The read models over real HTTP: golden figures, groups, windows, earlier states, and what else a reader can ask."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from service.demo.portfolio import portfolio
from tests.conftest import Api
from tests.reference import oracle
from tests.support.sending import cost, event, invoice, lead, money, order

MONEY = (
    "budget", "actual_cost", "budget_variance", "booked_revenue", "invoiced_revenue_gross", "credited", "invoiced_revenue",
    "cogs",
)  # fmt: skip
GROUPS = ("campaign", "campaign_type", "channel", "source", "medium", "owner", "month", "quarter", "year")


def by(answer: dict[str, Any], name: str = "campaign_id") -> dict[str | None, dict[str, Any]]:
    return {row[name]: row for row in answer["rows"]}


def story() -> list[dict[str, Any]]:
    """A small but untidy portfolio; the oracle is quadratic."""
    return list(portfolio(leads=60))


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    lines = "\n".join(json.dumps(one) for one in story())
    answer = module_api.http.post("/v1/events", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json()["invalid"] == answer.json()["conflict"] == 0
    return module_api


def test_golden_cost_12000_and_margin_75000_is_a_return_of_525_percent(api: Api) -> None:
    api.post(
        event("campaign.budget_set", campaign_id="fair", amount=money("15000.00")), cost("C", "fair", "12000.00"),
        lead("L", "fair"), event("opportunity.opened", opportunity_id="OP", lead_ids=["L"]),
        order("SO", "100000.00", opportunity_id="OP"), invoice("IN", "100000.00", order_id="SO", cogs=money("25000.00")),
    )  # fmt: skip
    answer = api.read("/v1/roi", include="break_even_on")
    row = by(answer)["fair"]
    assert (row["gross_margin"], row["margin_coverage"], row["roi"]["margin"]) == ("75000.00", 1.0, 5.25)
    assert (row["budget_variance"], row["break_even_on"], row["cac"]) == ("3000.00", "2026-03-01", None)
    assert (answer["currency"], answer["date_basis"], answer["unconverted"], answer["pending_links"]) == (
        "EUR",
        "event",
        [],
        0,
    )
    assert answer["as_of"]["position"] == 6
    assert answer["as_of"]["recorded_at"] == api.http.get("/v1/events/6").json()["recorded_at"]
    assert by(answer)[None]["booked_revenue"] == "0.00"
    flat = api.read("/v1/campaigns/fair/roi")
    assert {name: flat[name] for name in row} == row


def test_golden_two_campaigns_of_the_same_cost(api: Api) -> None:
    api.post(
        cost("CA", "A", "50000.00"), cost("CB", "B", "50000.00"), *(lead(f"L{number}", "A") for number in range(1_000))
    )
    api.post(*(order(f"A{number}", "400.00", campaign_id="A") for number in range(100)))
    api.post(*(order(f"B{number}", "400.00", campaign_id="B") for number in range(1_000)))
    api.post(invoice("IA", "40000.00", order_id="A1"), invoice("IB", "400000.00", order_id="B1"))
    rows = by(api.read("/v1/roi"))
    assert [rows[name]["roas"] for name in "AB"] == [0.8, 8.0]
    assert [rows[name]["roi"]["invoiced"] for name in "AB"] == [-0.2, 7.0]
    assert [rows[name]["roi"]["booked"] for name in "AB"] == [-0.2, 7.0]
    assert [rows[name]["cost_per_order"] for name in "AB"] == ["500.00", "50.00"]
    assert (rows["A"]["cost_per_lead"], rows["B"]["cost_per_lead"]) == ("50.00", None)
    assert rows["B"]["reasons"]["cost_per_lead"]


def test_golden_cost_1000_and_return_11000_is_10(api: Api) -> None:
    api.post(cost("C", "c", "1000.00"), order("O", "11000.00", campaign_id="c"), order("N", "7.00"))
    answer = api.read("/v1/roi")
    assert by(answer)["c"]["roi"] == {"booked": 10.0, "invoiced": -1.0, "margin": None}
    assert by(answer)[None]["booked_revenue"] == "7.00"
    assert answer["total"]["booked_revenue"] == "11007.00"


@pytest.mark.parametrize("report", ["roi", "conversion", "velocity"])
@pytest.mark.parametrize("basis", ["event", "cohort"])
def test_the_service_answers_what_the_reference_answers(told: Api, report: str, basis: str) -> None:
    for group, since, until in [
        ("campaign", None, None), ("channel", "2025-01-15", "2026-02-01"), ("month", None, "2026-01-01"),
        ("owner", "2025-03-01", None),
    ]:  # fmt: skip
        asked = {name: value for name, value in (("from", since), ("to", until)) if value}
        asked |= {"include": "break_even_on"} if report == "roi" else {}
        answer = told.read(f"/v1/{report}", group_by=group, date_basis=basis, **asked)
        first, end = (date.fromisoformat(one) if one else None for one in (since, until))
        expected = oracle.answer(story(), report, group_by=group, from_=first, to=end, date_basis=basis)
        name = "campaign_id" if group == "campaign" else group
        rows, wanted = by(answer, name), by(expected, name)
        assert len(rows) == len(answer["rows"]) > 1
        for key, row in wanted.items():
            assert {figure: rows[key][figure] for figure in row} == row, (key, since, until)
        for key in rows.keys() - wanted.keys():  # the reference lists no row that has only a pipeline
            assert report == "velocity"
            assert not any(one["count"] for one in rows[key].values() if isinstance(one, dict) and "count" in one)
        assert {name: answer["total"][name] for name in expected["total"]} == expected["total"], (group, since, until)
        assert answer["pending_links"] == expected["pending_links"]


@pytest.mark.parametrize("group", [*GROUPS, "campaign,month", "channel,source,quarter"])
def test_rows_add_up_to_the_total_to_the_cent_however_they_are_grouped(told: Api, group: str) -> None:
    whole = told.read("/v1/roi")["total"]
    for basis in ("event", "cohort"):
        answer = told.read("/v1/roi", group_by=group, date_basis=basis)
        names = {"campaign": "campaign_id"}
        assert all(names.get(one, one) in row for row in answer["rows"] for one in group.split(","))
        for measure in MONEY:
            assert sum(Decimal(row[measure]) for row in answer["rows"]) == Decimal(answer["total"][measure])
            assert answer["total"][measure] == whole[measure]
        assert sum(row["leads"] for row in answer["rows"]) == whole["leads"] > 0
    assert Decimal(whole["booked_revenue"]) > 0


def test_periods_are_half_open_and_neighbours_add_up(api: Api) -> None:
    days = ("2026-02-28", "2026-03-01", "2026-03-31", "2026-04-01")
    api.post(*(cost(day, "c", f"{10**number}.00", day) for number, day in enumerate(days)))
    for since, until, expected in [
        ("2026-03-01", "2026-04-01", "110.00"), ("2026-02-28", "2026-03-31", "11.00"), (None, "2026-03-01", "1.00"),
        ("2026-04-01", None, "1000.00"), ("2026-03-01", "2026-03-01", "0.00"), (None, None, "1111.00"),
    ]:  # fmt: skip
        limits = {name: value for name, value in (("from", since), ("to", until)) if value}
        assert api.read("/v1/roi", **limits)["total"]["actual_cost"] == expected


def test_cohort_basis_puts_what_came_out_of_a_lead_on_its_capture_day(api: Api) -> None:
    api.post(
        lead("L", "c", "2026-01-10"), event("opportunity.opened", "2026-02-10", opportunity_id="OP", lead_ids=["L"]),
        order("O", "100.00", "2026-03-10", opportunity_id="OP"), cost("C", "c", "40.00", "2026-02-01"),
    )  # fmt: skip
    months = {
        basis: by(api.read("/v1/roi", group_by="month", date_basis=basis), "month") for basis in ("event", "cohort")
    }
    assert months["event"]["2026-03"]["booked_revenue"] == months["cohort"]["2026-01"]["booked_revenue"] == "100.00"
    assert months["event"]["2026-02"]["actual_cost"] == months["cohort"]["2026-02"]["actual_cost"] == "40.00"
    assert "2026-03" not in months["cohort"]


def test_days_are_those_of_the_ledger_s_time_zone(open_api: Callable[..., Api]) -> None:
    times = ("2026-03-31T22:30:00Z", "2026-04-01T01:00:00+03:00", "2026-10-24T22:30:00Z", "2026-10-25T23:30:00Z")
    expected = {
        "UTC": {"2026-03-31": 2, "2026-10-24": 1, "2026-10-25": 1},
        "Europe/Berlin": {"2026-04-01": 2, "2026-10-25": 1, "2026-10-26": 1},
        "America/New_York": {"2026-03-31": 2, "2026-10-24": 1, "2026-10-25": 1},
        "Pacific/Kiritimati": {"2026-04-01": 2, "2026-10-25": 1, "2026-10-26": 1},
    }
    for zone, days in expected.items():
        api = open_api(timezone=zone)
        api.post(*(lead(f"L{number}", None, one) for number, one in enumerate(times)))
        rows = api.read("/v1/conversion", group_by="day")["rows"]
        assert {row["day"]: row["entered"]["captured"] for row in rows} == days, zone


@pytest.mark.parametrize(
    ("currency", "amount", "paid", "zero"),
    [("JPY", "1234567", "411522", "0"), ("KWD", "1234.567", "411.522", "0.000"), ("EUR", "12.35", "4.12", "0.00")],
)
def test_money_has_the_digits_of_the_ledger_s_currency(
    open_api: Callable[..., Api], currency: str, amount: str, paid: str, zero: str
) -> None:
    api = open_api(currency=currency)
    api.post(
        cost("C", "c", amount, currency=currency),
        *(order(f"O{n}", amount, "2026-03-01", currency, campaign_id="c") for n in range(3)),
    )
    answer = api.read("/v1/roi")  # fmt: skip
    row = by(answer)["c"]
    assert (answer["currency"], row["actual_cost"], row["credited"]) == (currency, amount, zero)
    assert row["cost_per_order"] == paid
    finer = api.http.post(
        "/v1/events", json=cost("D", "c", amount + ("1" if "." in amount else ".1"), currency=currency)
    )
    assert (finer.status_code, currency in finer.json()["detail"]) == (422, True)


def test_an_amount_without_a_rate_is_listed_and_joins_by_itself(api: Api) -> None:
    api.post(invoice("IN", "100.00", "2026-03-10", "USD"), cost("C", "c", "10.00"))
    before = api.read("/v1/roi")
    assert before["total"]["invoiced_revenue"] == "0.00"
    waiting = {"kind": "invoice", "id": "IN", "amount": "100.00", "currency": "USD", "rate_date": "2026-03-10"}
    assert [one.items() >= waiting.items() for one in before["unconverted"]] == [True]
    rate = {"base": "EUR", "quote": "USD", "rate": "1.25", "rate_date": "2026-03-11"}
    api.post(event("fx.rate_published", **rate))
    assert api.read("/v1/roi")["total"]["invoiced_revenue"] == "0.00"
    api.post(event("fx.rate_published", **{**rate, "rate_date": "2026-03-09"}))
    after = api.read("/v1/roi")
    assert (after["total"]["invoiced_revenue"], after["unconverted"]) == ("80.00", [])
    earlier = api.read("/v1/roi", as_of=before["as_of"]["position"])
    assert earlier == before


def test_what_was_known_then_is_answered_by_position_and_by_time(api: Api) -> None:
    known: list[dict[str, Any]] = []
    today = {"now": "2026-04-01T00:00:00Z"}  # by which the age of a cohort is told
    paths: dict[str, dict[str, str]] = {"/v1/roi": {}, "/v1/conversion": today, "/v1/velocity": {}, "/v1/campaigns": {}}
    steps = [
        [lead("L", "a"), cost("C", "a", "5.00")],
        [event("lead.campaign_reassigned", lead_id="L", campaign_id="b")],
        [event("event.voided", source="/test", id="nothing"), event("lead.qualified", "2026-03-05", lead_id="L")],
    ]
    for sent in steps:
        api.post(*sent)
        known.append({path: api.read(path, **asked) for path, asked in paths.items()})
        time.sleep(0.002)
    assert known[0]["/v1/conversion"]["rows"] != known[1]["/v1/conversion"]["rows"]
    for then in known:
        moment = then["/v1/roi"]["as_of"]
        for path, asked in paths.items():
            assert api.read(path, **asked, as_of=moment["position"]) == then[path]
            assert api.read(path, **asked, as_of=moment["recorded_at"]) == then[path]
    assert api.read("/v1/roi", as_of=0)["total"]["actual_cost"] == "0.00"
    assert api.read("/v1/roi", as_of="2001-01-01T00:00:00Z")["as_of"] == {"position": 0, "recorded_at": None}
    assert api.read("/v1/roi", as_of="2099-01-01T00:00:00+01:00") == known[-1]["/v1/roi"]


def test_an_etag_holds_until_something_is_recorded(api: Api) -> None:
    api.post(cost("C", "c", "5.00"))
    for path in ("/v1/roi", "/v1/velocity?group_by=month", "/v1/campaigns", "/v1/campaigns/c", "/v1/campaigns/c/roi"):
        api.read(path.partition("?")[0])
        tag = api.http.get(path).headers["etag"]
        assert tag.startswith('W/"')
        for known in (tag, f'"x", {tag}', "*", tag.removeprefix("W/")):
            answer = api.http.get(path, headers={"If-None-Match": known})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        api.post(lead(f"L{path}"))
        api.read("/v1/roi")
        assert api.http.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_ids_with_slashes_unicode_and_percent_signs_are_read_like_any_other(api: Api) -> None:
    names = ["a/b", "ü 100%", "%2F", "x/roi", "roi", "a?b#c", "..", "😀", "with,comma"]
    api.post(*(cost(name, name, f"{number + 1}.00") for number, name in enumerate(names)))
    assert [row["campaign_id"] for row in api.read("/v1/campaigns")["rows"]] == sorted(names)
    for number, name in enumerate(names):
        path = f"/v1/campaigns/{quote(name, safe='')}".replace("/..", "/%2E%2E")
        assert api.read(path)["campaign_id"] == name
        assert api.read(f"{path}/roi")["actual_cost"] == f"{number + 1}.00"
        assert [row["campaign_id"] for row in api.read("/v1/roi", campaign_id=name)["rows"]] == [name]
    assert api.read("/v1/campaigns/a/b/roi")["actual_cost"] == "1.00"


def test_a_campaign_whose_cohort_has_a_pipeline_has_a_row_in_its_window(api: Api) -> None:
    api.post(
        lead("L", "A", "2026-01-01"),
        event("opportunity.opened", "2026-01-05", opportunity_id="P", lead_ids=["L"]),
        order("O", "300.00", "2026-02-04", opportunity_id="P"),
    )
    window = {"from": "2026-01-01", "to": "2026-02-01"}
    answer = api.read("/v1/velocity", **window)
    assert [(row["campaign_id"], row["pipeline_velocity"]) for row in answer["rows"]] == [("A", "10.00"), (None, None)]
    assert answer["total"]["pipeline_velocity"] == api.read("/v1/campaigns/A/velocity", **window)["pipeline_velocity"]


def test_a_campaign_that_everything_was_taken_from_is_still_known(api: Api) -> None:
    api.post(lead("L", "A"), event("lead.campaign_reassigned", "2026-03-02", lead_id="L", campaign_id="B"))
    assert api.read("/v1/campaigns/A/roi")["leads"] == 0
    assert [row["campaign_id"] for row in api.read("/v1/campaigns")["rows"]] == ["A", "B"]
