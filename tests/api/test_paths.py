"""Paths, over HTTP and on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api
from tests.support.sending import event, lead, order


def touch(key: str, campaign: str, day: str, /, **more: Any) -> dict[str, Any]:
    return event("touchpoint.recorded", day, touchpoint_id=key, campaign_id=campaign, activity_type="ad", **more)


def deal(key: str, leads: list[str], amount: str, day: str) -> list[dict[str, Any]]:
    opened = event("opportunity.opened", "2026-03-02", opportunity_id=key, lead_ids=leads)
    return [opened, order(f"S-{key}", amount, day, opportunity_id=key)]


FIRST = touch("T2", "b", "2026-03-03", contact_id="C1")
STORY = [
    event("campaign.registered", "2026-01-01", campaign_id="a", name="Fair"),
    lead("L1", "a", contact_id="C1", owner_id="ada"),
    touch("T1", "a", "2026-02-20", lead_id="L1"), FIRST, touch("T3", "a", "2026-03-04", contact_id="C1", lead_id="L1"),
    touch("T4", "a", "2026-03-20", contact_id="C1"),  # after the order
    *deal("O1", ["L1"], "100.00", "2026-03-12"),
    lead("L2", "b", contact_id="C2"),
    touch("T5", "a", "2026-02-21", contact_id="C0"), touch("T6", "b", "2026-03-01", lead_id="K2"),
    touch("T7", "a", "2026-03-02", contact_id="C2"), touch("T8", "c", "2026-03-02", contact_id="C2"),
    event("touchpoint.suppressed", touchpoint_id="T8"),
    *deal("O2", ["L2", "L3"], "50.00", "2026-03-13"),
    event("contact.merged", survivor_id="C2", merged_id="C0"), event("lead.merged", survivor_id="L2", merged_id="K2"),
    lead("L3"), lead("L4", "b", contact_id="C4"), touch("T9", "b", "2026-03-05", contact_id="C4"),
    touch("T10", "b", "2026-03-06", contact_id="C4"), lead("L5", "b", "2026-04-01", contact_id="C1"),
]  # fmt: skip


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    module_api.post(*STORY)
    return module_api


def read(api: Api, **asked: str) -> dict[str, Any]:
    return api.read("/v1/attribution/paths", **asked)


def short(answer: dict[str, Any]) -> dict[str, tuple[int, int, str]]:
    """Return (converted, not converted, booked revenue) by path."""
    figures = ("converted", "not_converted", "booked_revenue")
    return {">".join(row["path"]): tuple(row[one] for one in figures) for row in answer["rows"]}


MARCH = {"from": "2026-03-01", "to": "2026-04-01"}


def test_paths_are_of_the_leads_of_a_period(told: Api) -> None:
    answer = read(told, **MARCH)
    assert answer["rows"] == [
        # L1 from 20 February noon to 12 March noon, L2 from 21 February to 13 March; T3 names the lead and its contact
        {"path": ["a", "b", "a"], "converted": 2, "not_converted": 0, "booked_revenue": "150.00", "mean_touches": 3.0,
         "mean_days": 20.0, "reasons": {}},
        {"path": [], "converted": 1, "not_converted": 0, "booked_revenue": "0.00", "mean_touches": 0.0,
         "mean_days": None, "reasons": {"mean_days": "no order after a touch"}},
        {"path": ["b"], "converted": 0, "not_converted": 1, "booked_revenue": "0.00", "mean_touches": 2.0,
         "mean_days": None, "reasons": {"mean_days": "no order after a touch"}},
    ]  # fmt: skip
    assert answer["total"] == {
        "converted": 3, "not_converted": 1, "booked_revenue": "150.00", "mean_touches": 2.0, "mean_days": 20.0, "reasons": {},
    }  # fmt: skip
    assert answer["names"] == {"a": "Fair"}
    leads = told.read("/v1/reports/leads", group_by="campaign", **MARCH)["total"]
    assert (leads["ordered"], leads["leads"], leads["booked_revenue"]) == (3, 4, "150.00")


def test_paths_are_filtered_by_what_leads_have_and_come_in_pages(told: Api) -> None:
    assert short(read(told, owner="ada")) == {"a>b>a": (1, 0, "100.00")}
    assert short(read(told, campaign_id="")) == {"": (1, 0, "0.00")}
    assert short(read(told, **{"from": "2026-04-01"})) == {"b>a": (0, 1, "0.00")}
    first = read(told, limit="1")
    second = told.http.get(first["next"]).raise_for_status().json()
    assert [one["path"] for one in (*first["rows"], *second["rows"])] == [["a", "b", "a"], []]
    assert (second["total"], second["as_of"], "limit=1" in second["next"]) == (first["total"], first["as_of"], True)
    last = read(told, sort="-mean_days", limit="1", after='["a","b","a"]')
    assert ([row["path"] for row in last["rows"]], read(told, after='["b","a"]')["rows"]) == ([[]], [])


@pytest.mark.parametrize(
    "asked",
    [{"sort": "leads"}, {"team": "x"}, {"date_basis": "cohort"}, {"after": "x"}, {"now": "soon"}, {"limit": "0"}],
)
def test_what_paths_have_no_use_for_is_refused(told: Api, asked: dict[str, str]) -> None:
    assert told.http.get("/v1/attribution/paths", params=asked).status_code == 422


def test_an_answer_that_still_holds_is_not_sent_again(told: Api) -> None:
    tag = told.http.get("/v1/attribution/paths").headers["ETag"]
    assert told.http.get("/v1/attribution/paths", headers={"If-None-Match": tag}).status_code == 304


def test_corrections_move_paths_and_what_was_known_stays(api: Api) -> None:
    api.post(*STORY)
    before = read(api, **MARCH)
    at = str(before["as_of"]["position"])
    # A field is restated, the day with it; others stay as they were.
    api.post(
        event(
            "touchpoint.recorded", "2026-03-14", touchpoint_id="T2", campaign_id="c", activity_type="ad", lead_id="L3"
        )
    )
    assert short(read(api, **MARCH)) == {
        "a": (1, 0, "100.00"), "a>b>a": (1, 0, "50.00"), "": (1, 0, "0.00"), "b": (0, 1, "0.00"),
    }  # fmt: skip
    api.post(
        event("touchpoint.suppressed", touchpoint_id="T6"), event("order.cancelled", "2026-03-15", order_id="S-O1")
    )
    moved = {"a>c>a": (0, 1, "0.00"), "a": (1, 0, "50.00"), "": (1, 0, "0.00"), "b": (0, 1, "0.00")}
    assert short(read(api, **MARCH)) == moved
    merge = next(one for one in STORY if one["type"] == "contact.merged")
    api.post(event("event.voided", source=merge["source"], id=merge["id"]))
    assert read(api, **MARCH)["total"]["mean_touches"] == (4 + 1 + 0 + 2) / 4
    assert {**read(api, as_of=at, **MARCH), "next": None} == before
    # The lead that gives the cohort day is another one now, with whom the money goes.
    api.post(
        lead("L0", "a", "2026-03-01T06:00:00Z"),
        event("opportunity.opened", "2026-03-05", opportunity_id="O2", lead_ids=["L0", "L2"]),
    )
    assert short(read(api, **MARCH)) == {
        "": (1, 0, "50.00"), "a": (1, 0, "0.00"), "a>c>a": (0, 1, "0.00"), "b": (0, 1, "0.00"), "c": (0, 1, "0.00"),
    }  # fmt: skip


def test_paths_are_the_same_whatever_came_first(told: Api, api: Api) -> None:
    api.post(*STORY[:1:-1])
    api.post(*STORY[::2])
    api.post(*STORY)
    assert (read(api)["rows"], read(api)["total"]) == (read(told)["rows"], read(told)["total"])


def test_a_contact_of_many_touches_stops_nothing(api: Api) -> None:
    touches = [touch(f"T{number:05}", "ab"[number % 2], "2026-03-01", contact_id="C") for number in range(3_000)]
    touches += [touch("Z", "c", "2026-03-04T00:00:00Z", lead_id="L7")]
    leads = [lead(f"L{number}", contact_id="C") for number in range(20)]
    for start in range(0, 3_000, 1_000):
        api.post(*touches[start : start + 1_000])
    api.post(*leads, touches[-1], *deal("O", ["L3"], "9.00", "2026-03-02"))
    answer = read(api)
    assert [(len(row["path"]), row["path"][-1], row["converted"], row["mean_touches"]) for row in answer["rows"]] == [
        (20, "b", 1, 3000.0), (20, "c", 0, 3001.0),
    ]  # fmt: skip
    assert answer["rows"][0]["not_converted"] == 18
