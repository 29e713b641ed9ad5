"""Attribution by data, over HTTP and on PostgreSQL: it deals all that stands on the cohort basis, to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Api
from tests.support.sending import cost, credit, event, invoice, lead, order

STORY = [
    event("campaign.registered", "2026-01-01", campaign_id="a", name="A", campaign_type="fair", channel="event"),
    event("campaign.registered", "2026-01-01", campaign_id="b", name="B", campaign_type="fair", parent_id="top"),
    event("campaign.registered", "2026-01-01", campaign_id="c", name="C"), cost("K", "a", "8.00"),
    *(lead(f"L{number}", "b", contact_id=f"C{number}") for number in (1, 2, 3, 4)),
    *(
        event("touchpoint.recorded", f"2026-02-{day:02}", touchpoint_id=f"T{whom}{day}", campaign_id=campaign,
              activity_type="ad", contact_id=f"C{whom}")
        for whom, path in ((1, "abc"), (2, "a"), (3, "bc")) for day, campaign in enumerate(path, 1)
    ),
    *(
        one
        for number, amount in ((1, "100.00"), (4, "7.00"))
        for one in (
            event("opportunity.opened", "2026-03-02", opportunity_id=f"O{number}", lead_ids=[f"L{number}"]),
            order(f"S{number}", amount, "2026-03-03", opportunity_id=f"O{number}"),
        )
    ),
    invoice("I1", "80.00", "2026-03-05", order_id="S1", cogs={"amount": "20.00", "currency": "EUR"}),
    credit("N1", "I1", "20.00"),
    # A lead whose order was cancelled, and whose invoice still counts
    event("opportunity.opened", "2026-03-02", opportunity_id="O2", lead_ids=["L2"]),
    order("S2", "9.00", "2026-03-03", opportunity_id="O2"), event("order.cancelled", "2026-03-04", order_id="S2"),
    invoice("I2", "9.00", "2026-03-05", order_id="S2"), order("S9", "3.00", "2026-03-06"),
]  # fmt: skip
PATH = "/v1/reports/attribution"
COHORT: dict[str, Any] = {"date_basis": "cohort", "model": ["markov", "shapley"]}


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    module_api.post(*STORY)
    return module_api


def figures(answer: dict[str, Any], model: str, *names: str) -> dict[Any, tuple[Any, ...]]:
    """Return figures of a model by the first column of rows."""
    return {next(iter(row.values())): tuple(row["models"][model][name] for name in names) for row in answer["rows"]}


def test_the_published_example_deals_a_fifth_and_two_fifths_twice(told: Api) -> None:
    found = figures(told.read(PATH, **COHORT), "markov", "booked_revenue", "invoiced_revenue", "deals")
    assert found == {
        "a": ("20.00", "12.00", 0.2), "b": ("40.00", "24.00", 0.4), "c": ("40.00", "24.00", 0.4), None: ("10.00", "9.00", 2),
    }  # fmt: skip


def test_equal_parts_are_dealt_by_largest_remainder(told: Api) -> None:
    found = figures(told.read(PATH, **COHORT), "shapley", "booked_revenue", "invoiced_revenue", "deals")
    assert found == {
        "a": ("33.34", "20.00", 0.333334), "b": ("33.33", "20.00", 0.333333), "c": ("33.33", "20.00", 0.333333),
        None: ("10.00", "9.00", 2),
    }  # fmt: skip
    (only,) = told.read(PATH, **COHORT, campaign_id="a")["rows"]
    assert only["models"]["shapley"]["roi"] == {"booked": 3.1675, "invoiced": 1.5, "margin": 0.875}


@pytest.mark.parametrize("group", ["campaign", "campaign_type", "parent", "channel", "campaign_type,parent"])
def test_rows_add_up_to_what_the_ledger_has_whatever_they_are_by(told: Api, group: str) -> None:
    answer, roi = told.read(PATH, **COHORT, group_by=group), told.read("/v1/roi", date_basis="cohort")["total"]
    for model in COHORT["model"]:
        for name in ("booked_revenue", "invoiced_revenue"):
            assert sum(Decimal(row["models"][model][name]) for row in answer["rows"]) == Decimal(roi[name])
            assert answer["total"]["models"][model][name] == roi[name]


def test_filters_choose_what_was_dealt_and_periods_what_there_is(told: Api) -> None:
    whole = figures(told.read(PATH, **COHORT), "markov", "booked_revenue")
    assert figures(told.read(PATH, **COHORT, campaign_id=["a", ""]), "markov", "booked_revenue") == {
        one: whole[one] for one in ("a", None)
    }
    assert figures(told.read(PATH, **COHORT, parent="top"), "markov", "booked_revenue") == {"b": whole["b"]}
    early = told.read(PATH, **COHORT, to="2026-03-01")
    assert early["total"]["models"]["markov"]["booked_revenue"] == "0.00"
    beside = told.read(PATH, date_basis="cohort", model=["linear", "markov"])
    assert figures(beside, "markov", "booked_revenue") == whole
    assert set(beside["total"]["models"]) == {"linear", "markov"}
    assert not {"markov", "shapley"} & set(told.read(PATH, date_basis="cohort")["total"]["models"])


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        (PATH, {"date_basis": "event"}, "date_basis"), (PATH, {"group_by": "campaign,month"}, "group_by"),
        (PATH, {"group_by": "owner"}, "group_by"), (PATH, {"team": "north"}, "team"),
        (f"{PATH}/entries", {"measure": "models.markov.booked_revenue"}, "model"),
    ],
)  # fmt: skip
def test_what_goes_by_paths_is_of_campaigns_on_the_cohort_basis(
    told: Api, path: str, asked: dict[str, str], field: str
) -> None:
    answer = told.http.get(path, params={"date_basis": "cohort", "model": "markov", **asked})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert told.http.get("/v1/roi", params={"attribution": "markov"}).status_code == 422


def test_a_late_touch_deals_anew_and_what_was_known_stays(told: Api) -> None:
    before = told.read(PATH, **COHORT)
    at = str(before["as_of"]["position"])
    late = event(
        "touchpoint.recorded", "2026-02-10", touchpoint_id="T9", campaign_id="d", activity_type="ad", contact_id="C1"
    )
    told.post(late)
    assert figures(told.read(PATH, **COHORT), "shapley", "booked_revenue")["d"] == ("25.00",)
    assert told.read(PATH, **COHORT, as_of=at)["rows"] == before["rows"]
