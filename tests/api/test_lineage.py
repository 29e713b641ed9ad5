"""Lineage over real HTTP: entries that add up, why each was posted, journeys as timelines, and restatements in words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from service.domain.contributions import READ_MODEL_VERSION
from tests.conftest import Api
from tests.support.sending import cost, event, invoice, lead, money, order


def opened(key: str, *leads: str, **more: Any) -> dict[str, Any]:
    return event("opportunity.opened", opportunity_id=key, lead_ids=list(leads), **more)


def credit(key: str, of: str, amount: str, day: str = "2026-04-09", **more: Any) -> dict[str, Any]:
    return event(
        "invoice.credited", day, credit_note_id=key, invoice_id=of, net_amount=money(amount), posting_date=day, **more
    )


def entries(api: Api, path: str, **parameters: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read all pages."""
    answer = api.read(path, limit=2, **parameters)
    found, response = list(answer["entries"]), api.http.get(path, params={"limit": 2, **parameters})
    while "next" in response.links:
        response = api.http.get(response.links["next"]["url"])
        found += response.json()["entries"]
    return answer, found


def sold(api: Api) -> None:
    """A lead of campaign a that ends in an invoice and a credit note."""
    api.post(
        cost("C", "a", "1000.00"), lead("L", "a"), opened("OP", "L"), order("SO", "5000.00", opportunity_id="OP"),
        invoice("IN", "5000.00", order_id="SO"), credit("CN-17", "IN", "620.00"),
    )  # fmt: skip


def test_entries_add_up_to_the_figure_and_name_their_events(api: Api) -> None:
    sold(api)
    row = api.read("/v1/campaigns/a/roi")
    for measure in ("actual_cost", "booked_revenue", "invoiced_revenue_gross", "credited", "invoiced_revenue"):
        answer, found = entries(api, "/v1/roi/entries", campaign_id="a", measure=measure)
        assert answer["sum"] == row[measure] == str(sum(Decimal(one["amount"]) for one in found))
        assert answer["count"] == len(found)
        assert (answer["read_model_version"], answer["as_of"]["position"]) == (READ_MODEL_VERSION, 6)
    assert api.read("/v1/campaigns/a/roi/entries", measure="invoiced_revenue")["sum"] == "4380.00"
    note = found[-1]
    sent = api.http.get("/v1/events/6").json()
    assert note["event"] == {name: sent[name] for name in ("position", "type", "time", "source", "id", "recorded_at")}
    assert (note["amount"], note["day"], note["entity"]) == (
        "-620.00", "2026-04-09", {"kind": "credit_note", "id": "CN-17"},
    )  # fmt: skip
    assert (note["why"], found[0]["why"]) == ("credited", "posted")


def test_entries_are_as_known_then_and_keep_to_the_window(api: Api) -> None:
    sold(api)
    asked = {"measure": "invoiced_revenue", "campaign_id": "a"}
    assert api.read("/v1/roi/entries", **asked, as_of=5)["sum"] == "5000.00"
    assert api.read("/v1/roi/entries", **asked, **{"from": "2026-04-01"})["sum"] == "-620.00"
    assert api.read("/v1/roi/entries", **asked, date_basis="cohort", to="2026-04-01")["sum"] == "4380.00"


def test_each_entry_says_why_it_was_posted(open_api: Callable[..., Api]) -> None:
    def why(measure: str, *batches: list[dict[str, Any]], report: str = "roi") -> list[str]:
        api = open_api()
        for batch in batches:
            api.post(*batch)
        return [one["why"] for one in entries(api, f"/v1/{report}/entries", measure=measure)[1]]

    base = [lead("L", "a"), opened("OP", "L"), order("SO", "100.00", opportunity_id="OP")]
    reassigned = event("lead.campaign_reassigned", "2026-03-02", lead_id="L", campaign_id="b")
    assert why("booked_revenue", [*base, reassigned]) == ["placed", *["re-attributed from a to b"] * 2]
    assert why("booked_revenue", [order("SO", "100.00", opportunity_id="OP"), lead("L", "a"), opened("OP", "L")]) == [
        "placed", *["link arrived: attributed to a"] * 2,
    ]  # fmt: skip
    assert why("booked_revenue", [*base, order("SO", "80.00", "2026-03-02")]) == ["placed", "restated"]
    amended = event("order.amended", "2026-03-05", order_id="SO", net_value=money("90.00"))
    cancelled = event("order.cancelled", "2026-03-06", order_id="SO")
    assert why("booked_revenue", [*base, amended, cancelled]) == ["placed", "amended", "cancelled"]
    first = cost("C", "a", "10.00")
    void = event("event.voided", source=first["source"], id=first["id"])
    assert why("actual_cost", [first, void]) == ["booked", f"voided: /test {first['id']} counts as never sent"]
    assert why("actual_cost", [cost("D", "a", "10.00"), event("campaign.cost_reversed", cost_entry_id="D")]) == [
        "booked", "reversed",
    ]  # fmt: skip
    merged = event("lead.merged", "2026-03-03", survivor_id="L", merged_id="M")
    assert sorted(why("leads", [lead("L", "a"), lead("M", "b", "2026-03-02"), merged])) == [
        "captured", "captured", "merged: M into L", *["merged: M into L, from a to b"] * 2,
    ]  # fmt: skip
    assert why("funnel.ordered", base, report="conversion") == ["reached ordered"]
    assert why("won", base, report="conversion") == ["won"]


def test_a_converted_amount_shows_what_was_stated_and_at_which_rate(api: Api) -> None:
    rate = {"base": "EUR", "quote": "USD", "rate": "1.25", "rate_date": "2026-03-01"}
    api.post(cost("C", "a", "100.00", "2026-03-10", "USD"), event("fx.rate_published", **rate))
    changed = {**rate, "rate": "1.6", "rate_date": "2026-03-05"}
    api.post(event("fx.rate_published", "2026-03-06", **changed), cost("D", "a", "16.00", "2026-03-10", "USD"))
    answer, found = entries(api, "/v1/roi/entries", measure="actual_cost")
    assert (answer["sum"], [one["amount"] for one in found]) == ("72.50", ["80.00", "62.50", "-80.00", "10.00"])
    assert (found[0]["original"], found[0]["rate"], found[0]["rate_day"]) == (
        {"amount": "100.00", "currency": "USD"}, "0.8", "2026-03-01",
    )  # fmt: skip
    assert [one["why"] for one in found] == [
        "converted at rate 0.8 of 2026-03-01", "rate changed: now converted at rate 0.625 of 2026-03-05",
        "rate changed: was rate 0.8 of 2026-03-01", "booked, converted at rate 0.625 of 2026-03-05",
    ]  # fmt: skip


def test_velocity_s_entries_have_their_lengths(api: Api) -> None:
    api.post(lead("L", "a"), event("lead.qualified", "2026-03-03", lead_id="L"))
    answer, found = entries(api, "/v1/velocity/entries", measure="captured_to_qualified")
    assert (answer["sum"], found[0]["days"]) == (1, 2.0)


def test_a_dimension_or_the_lack_of_one_can_be_asked_for(api: Api) -> None:
    api.post(lead("L", "a", channel="web"), lead("M", channel="mail"), lead("N", "a"))
    for only, expected in [
        ({"channel": "web"}, 1), ({"channel": ""}, 1), ({"campaign_id": ""}, 1), ({"campaign_id": "a"}, 2), ({}, 3),
    ]:  # fmt: skip
        assert api.read("/v1/roi/entries", measure="leads", **only)["sum"] == expected
    assert [row["campaign_id"] for row in api.read("/v1/roi", campaign_id="")["rows"]] == [None]


def test_a_journey_is_told_as_a_timeline_with_its_money_and_attribution(api: Api) -> None:
    sold(api)
    api.post(lead("OTHER", "z"), event("lead.campaign_reassigned", "2026-03-02", lead_id="L", campaign_id="b"))
    answer = api.read("/v1/journeys/credit_note/CN-17")
    assert [(one["position"], one["type"]) for one in answer["events"]] == [
        (2, "lead.captured"), (3, "opportunity.opened"), (4, "order.placed"), (5, "invoice.posted"),
        (8, "lead.campaign_reassigned"), (6, "invoice.credited"),
    ]  # fmt: skip
    moved = {one["position"]: one["moved"] for one in answer["events"]}
    assert [(one["measure"], one["amount"], one["why"]) for one in moved[6]] == [("credited", "620.00", "credited")]
    assert {one["campaign_id"] for one in moved[8]} == {"a", "b"}
    standing = {(one["kind"], one["id"]): one for one in answer["entities"]}
    assert {one["campaign_id"] for one in standing.values()} == {"b"}
    assert standing["invoice", "IN"]["parent"] == {"kind": "order", "id": "SO"}
    earlier = api.read("/v1/journeys/lead/L", as_of=4)
    assert [one["position"] for one in earlier["events"]] == [2, 3, 4]
    assert {one["campaign_id"] for one in earlier["entities"]} == {"a"}


def test_a_journey_says_what_it_waits_for_and_what_moved_it_from_outside(api: Api) -> None:
    waiting = order("SO", "100.00", currency="USD", opportunity_id="OP")
    rate = event("fx.rate_published", "2026-03-02", base="USD", quote="EUR", rate="0.5", rate_date="2026-01-01")
    api.post(waiting, rate, event("event.voided", "2026-05-01", source=waiting["source"], id=waiting["id"]))
    before = api.read("/v1/journeys/order/SO", as_of=2)
    assert before["pending_links"] == [{"from": "order:SO", "to": "opportunity:OP"}]
    assert [one["type"] for one in before["events"]] == ["order.placed", "fx.rate_published"]
    after = api.read("/v1/journeys/order/SO")
    assert (after["events"][0]["type"], after["events"][0]["voided"]) == ("order.placed", True)
    assert (after["entities"], after["pending_links"]) == ([], [])


def test_a_long_journey_comes_in_pages_that_together_are_all_of_it(api: Api) -> None:
    opened = event("opportunity.opened", "2026-01-01", opportunity_id="OP", campaign_id="a", lead_ids=["L"])
    api.post(opened, *(order(f"O-{number}", "1.00", "2026-03-01", opportunity_id="OP") for number in range(700)))
    api.post(
        *(event("order.amended", "2026-03-02", order_id=f"O-{n}", net_value=money("2.00")) for n in range(0, 700, 7))
    )
    api.post(lead("L", "b", "2026-01-02"), event("event.voided", "2026-03-03", source=opened["source"], id="nobody"))
    api.read("/v1/roi")
    path, pages = "/v1/journeys/order/O-3?limit=150", []
    while path:
        answer = api.http.get(path)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        api.post(order(f"late-{len(pages)}", "1.00", "2025-01-01", opportunity_id="OP"))  # it is in no later page
        api.read("/v1/roi")
        path = answer.links.get("next", {}).get("url", "")
    whole = api.http.get("/v1/journeys/order/O-3", params={"as_of": pages[0]["as_of"]["position"]}).json()
    assert [len(page["events"]) for page in pages] == [150, 150, 150, 150, 150, 52]
    assert {page["count"] for page in pages} == {whole["count"]} == {802}
    assert [one for page in pages for one in page["events"]] == whole["events"]
    told = [one for page in pages for one in page["entities"]]
    assert sorted(told, key=str) == sorted(whole["entities"], key=str)
    assert len(told) == 702
    assert {one["campaign_id"] for one in told if one["kind"] == "order"} == {"a"}
    later = api.read("/v1/journeys/lead/L")
    assert later["count"] == whole["count"] + len(pages)
    for mark in ("nothing", "5.99999999", "1.2.3", "99999999"):
        assert api.http.get("/v1/journeys/order/O-3", params={"after": mark}).status_code == 422


def test_what_waits_in_a_long_journey_is_told_once_with_its_entity(api: Api) -> None:
    api.post(*(order(f"O-{number}", "1.00", opportunity_id="OP", quote_id=f"Q-{number}") for number in range(30)))
    whole = api.read("/v1/journeys/order/O-3")
    pages = [api.http.get("/v1/journeys/order/O-3", params={"limit": 20})]
    pages.append(api.http.get(pages[0].links["next"]["url"]))
    assert len(whole["pending_links"]) == 60
    told = [one for page in pages for one in page.json()["pending_links"]]
    assert sorted(told, key=str) == sorted(whole["pending_links"], key=str)


@pytest.mark.parametrize("path", ["/v1/journeys/lead/nobody", "/v1/journeys/campaign/a"])
def test_a_journey_that_there_is_not_is_not_found(module_api: Api, path: str) -> None:
    assert module_api.http.get(path).status_code == 404


def test_a_restatement_says_in_words_what_moved_a_figure(api: Api) -> None:
    sold(api)
    answer = api.read("/v1/restatement", from_as_of=5, to_as_of=6, measure="invoiced_revenue", date_basis="cohort")
    assert answer["rows"] == [{
        "campaign_id": "a", "month": "2026-03", "measure": "invoiced_revenue", "then": "5000.00", "now": "4380.00",
        "difference": "-620.00",
    }]  # fmt: skip
    assert answer["total"]["invoiced_revenue"]["difference"] == "-620.00"
    assert [one["sentence"] for one in answer["lines"]] == [
        "2026-03 moved by -620.00 because credit note CN-17 was posted on 2026-04-09"
    ]
    assert api.read("/v1/restatement", from_as_of=0)["total"]["booked_revenue"]["now"] == "5000.00"
    assert api.read("/v1/restatement", from_as_of=6)["lines"] == []


def test_a_call_that_is_told_of_again_is_restated(api: Api) -> None:
    for hour, outcome in ((12, "answered"), (13, "missed")):
        call = {"call_id": "C", "rep_id": "R", "duration_s": 60, "outcome": outcome}
        api.post(event("call.completed", f"2026-03-01T{hour}:00:00Z", **call))
    for measure, expected in (
        ("calls", [(1, "completed")]), ("answered", [(1, "completed"), (-1, "restated")]), ("missed", [(1, "restated")]),
        ("talk_s", [(60, "completed"), (-60, "restated")]),
    ):  # fmt: skip
        found = entries(api, "/v1/reports/calls/entries", measure=measure)[1]
        assert [(one["amount"], one["why"]) for one in found] == expected
    for asked in ({"report": "calls"}, {"measure": "missed"}):
        answer = api.read("/v1/restatement", from_as_of=1, **asked)
        (row,) = [one for one in answer["rows"] if one["measure"] == "missed"]
        assert (row["owner"], row["month"], row["difference"]) == ("R", "2026-03", 1)
        (line,) = [one for one in answer["lines"] if one["measure"] == "calls.missed"]
        assert line["sentence"] == "2026-03 moved by +1 because call C was completed on 2026-03-01"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("roi/entries?measure=revenue", "measure"), ("roi/entries", "measure"), ("roi/entries?measure=leads&after=x", "after"),
        ("roi/entries?measure=leads&chanel=web", "chanel"), ("velocity/entries?measure=budget", "measure"),
        ("restatement", "from_as_of"), ("restatement?from_as_of=x", "from_as_of"),
        ("restatement?from_as_of=0&to_as_of=x", "to_as_of"), ("restatement?from_as_of=0&group_by=channel", "group_by"),
        ("restatement?from_as_of=0&measure=roi", "measure"), ("restatement?from_as_of=0&group_by=", "group_by"),
        ("restatement?from_as_of=0&report=calls&group_by=campaign", "group_by"),
        ("restatement?from_as_of=0&measure=talk_s&campaign_id=a", "campaign_id"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_problem_that_names_it(module_api: Api, query: str, field: str) -> None:
    answer = module_api.http.get(f"/v1/{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_a_restatement_back_in_time_is_refused(api: Api) -> None:
    sold(api)
    api.read("/v1/roi")
    answer = api.http.get("/v1/restatement?from_as_of=5&to_as_of=4")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "to_as_of")


def test_a_ratio_opens_down_to_the_entries_of_what_it_is_made_of(api: Api) -> None:
    api.post(cost("C", "A", "10.00"), lead("L", "A"), order("O", "30.00", campaign_id="A"))
    answer = api.read("/v1/roi/entries", measure="roi.booked", campaign_id="A")
    assert (answer["sum"], answer["sums"]) == (None, {"booked_revenue": "30.00", "actual_cost": "10.00"})
    assert {(one["measure"], one["amount"]) for one in answer["entries"]} == {
        ("booked_revenue", "30.00"), ("actual_cost", "10.00"),
    }  # fmt: skip
    assert api.read("/v1/campaigns/A/roi/entries", measure="cost_per_lead")["sums"] == {
        "actual_cost": "10.00",
        "leads": 1,
    }
