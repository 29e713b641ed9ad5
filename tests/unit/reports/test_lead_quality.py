"""What becomes of leads by the criteria that they meet (REPORTS section 3), worked out on paper."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from service.projections.sums.selection import Query
from tests.support.asking import ask
from tests.support.sending import event, lead, order

CRITERIA = ("criterion", "state")
Events = list[dict[str, Any]]


def opened(key: str, *leads: str) -> dict[str, Any]:
    return event("opportunity.opened", "2026-04-01", opportunity_id=key, lead_ids=[*leads])


def step(kind: str, key: str, day: str = "2026-04-02", **more: Any) -> dict[str, Any]:
    return event(f"lead.{kind}", day, lead_id=key, **more)


def leads_by(events: Events, *groups: str, only: tuple[Any, ...] = ()) -> dict[Any, int]:
    """Return how many leads each row has, those of all together under "total"."""
    rows, total, _ = ask("lead-quality", events, Query(groups, only=only))
    return {**{tuple(row[name] for name in groups): row["leads"] for row in rows}, "total": total["leads"]}


def test_a_lead_stands_once_for_each_criterion_that_any_lead_states() -> None:
    events = [
        lead("L1", "a", criteria={"budget": True, "need": True}), lead("L2", "a", criteria={"budget": False}),
        lead("L3", "b"), step("handed_over", "L1"), step("accepted", "L1"), step("handed_over", "L2"), step("rejected", "L2"),
        opened("O", "L1"), order("S", "900.00", "2026-05-01", opportunity_id="O"),
    ]  # fmt: skip
    rows, total, _ = ask("lead-quality", events, Query(CRITERIA))
    assert [(row["criterion"], row["state"], row["leads"]) for row in rows] == [
        ("budget", "false", 1), ("budget", "true", 1), ("budget", "unstated", 1), ("need", "true", 1), ("need", "unstated", 2),
    ]  # fmt: skip
    assert rows[1] == {
        "criterion": "budget", "state": "true", "leads": 1, "handed_over": 1, "accepted": 1, "rejected": 0, "opportunity": 1,
        "ordered": 1, "rate_to_accepted": 1.0, "rate_to_rejected": 0.0, "rate_to_opportunity": 1.0, "rate_to_ordered": 1.0,
        "booked_revenue": "900.00", "booked_revenue_per_lead": "900.00", "reasons": {},
    }  # fmt: skip
    assert (rows[4]["rejected"], rows[4]["handed_over"], rows[4]["booked_revenue"]) == (1, 1, "0.00")
    assert (total["leads"], total["accepted"], total["booked_revenue_per_lead"]) == (3, 1, "300.00")


def test_a_criterion_is_as_last_stated_whoever_stated_it() -> None:
    said = step("qualified", "L", "2026-04-05", criteria={"budget": False})
    events = [lead("L", criteria={"budget": True}), said, lead("M"), step("qualified", "M", criteria={"budget": True})]
    assert leads_by(events, *CRITERIA) == {("budget", "false"): 1, ("budget", "true"): 1, "total": 2}
    void = event("event.voided", "2026-06-01", source="/test", id=said["id"])
    assert leads_by([*events, void], *CRITERIA) == {("budget", "true"): 2, "total": 2}


def test_merged_leads_state_together_what_any_of_them_stated() -> None:
    merged = event("lead.merged", "2026-06-01", survivor_id="L", merged_id="M")
    events = [
        lead("L", criteria={"need": True}),
        lead("M", criteria={"budget": True, "need": False}, day="2026-03-02"),
        merged,
    ]
    assert leads_by(events, *CRITERIA) == {("budget", "true"): 1, ("need", "false"): 1, "total": 1}


def test_other_groups_and_filters_tell_criteria_apart() -> None:
    events = [lead("L1", "a", criteria={"budget": True}), lead("L2", "b"), lead("L3", "b", "2026-04-01")]
    rows = ask("lead-quality", events, Query((*CRITERIA, "campaign"))).rows
    assert [(row["criterion"], row["state"], row["campaign_id"], row["leads"]) for row in rows] == [
        ("budget", "true", "a", 1), ("budget", "unstated", "b", 2),
    ]  # fmt: skip
    assert leads_by(events, *CRITERIA, only=(("campaign", ("b",)),)) == {"total": 2}
    assert leads_by(events, "state", only=(("criterion", ("budget",)),)) == {("true",): 1, ("unstated",): 2, "total": 3}
    assert leads_by(events, "criterion", only=(("state", ("unstated",)),)) == {("budget",): 2, "total": 2}
    assert leads_by(events, "month") == {("2026-03",): 2, ("2026-04",): 1, "total": 3}


def test_rejected_leads_are_told_by_the_reason_of_the_last_rejection() -> None:
    events = [
        lead("L1"), step("rejected", "L1", reason="spam"), step("rejected", "L1", "2026-04-03", reason="no budget"),
        lead("L2"), step("rejected", "L2", reason="spam"), step("rejected", "L2", "2026-04-03"),
        lead("L3"), step("rejected", "L3", reason="spam"), step("accepted", "L3", "2026-04-03"), lead("L4"),
    ]  # fmt: skip
    assert leads_by(events, "reason") == {("no budget",): 1, (None,): 1, "total": 2}


@pytest.mark.parametrize(
    ("score", "band"), [(70, "70-79"), (79.5, "70-79"), (80, "80-89"), (0, "0-9"), (100, "100-109")]
)
def test_a_score_falls_into_a_band_of_ten(score: float, band: str) -> None:
    events = [lead("L"), step("qualified", "L", score=5), step("qualified", "L", "2026-05-01", score=score), lead("M")]
    assert leads_by(events, "score") == {(band,): 1, (None,): 1, "total": 2}


def test_a_level_is_the_last_one_stated() -> None:
    events = [
        lead("L"),
        step("qualified", "L", level="mql"),
        step("qualified", "L", "2026-05-01", level="sql"),
        lead("M"),
    ]
    assert leads_by(events, "level") == {("sql",): 1, (None,): 1, "total": 2}
    assert leads_by(events, "level", only=(("level", ("",)),)) == {(None,): 1, "total": 1}


def test_only_leads_captured_in_the_period_count() -> None:
    events = [lead("L", criteria={"x": True}), step("qualified", "never captured", criteria={"y": True}),
              lead("M", criteria={"z": True}, day="2026-05-01")]  # fmt: skip
    rows = ask("lead-quality", events, Query(CRITERIA, date(2026, 3, 1), date(2026, 4, 1))).rows
    assert [(row["criterion"], row["leads"]) for row in rows] == [("x", 1)]


def test_money_follows_what_a_lead_states_later_of_its_quality() -> None:
    events = [lead("L"), opened("O", "L"), order("S", "10.00", opportunity_id="O"),
              step("qualified", "L", level="sql", criteria={"need": True})]  # fmt: skip
    (row,) = ask("lead-quality", events, Query(CRITERIA)).rows
    assert (row["state"], row["booked_revenue"]) == ("true", "10.00")
    (row,) = ask("lead-quality", events, Query(("level",))).rows
    assert (row["level"], row["booked_revenue"]) == ("sql", "10.00")
