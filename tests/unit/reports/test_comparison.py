"""Comparison: windows before, and rows beside rows."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import pytest

from service.domain.contributions import REPORTS
from service.projections.reports import comparison
from service.projections.reports.answers import Page
from service.projections.reports.dues import now_at
from service.projections.sums.selection import Query
from tests.support import memory
from tests.support.sending import cost, event, lead, money, order

NOW = now_at(datetime(2026, 4, 1, tzinfo=UTC), "UTC")


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("since", "until", "before"),
    [
        ("2026-03-01", "2026-04-01", "2026-02-01"),
        ("2026-04-01", "2026-07-01", "2026-01-01"),
        ("2026-01-01", "2027-01-01", "2025-01-01"),
        ("2026-03-02", "2026-03-12", "2026-02-20"),
        ("2026-03-01", "2026-03-31", "2026-01-30"),
        ("2026-03-01", "2026-03-01", "2026-03-01"),
    ],
)
def test_the_previous_window_is_as_many_days_or_whole_months_just_before(since: str, until: str, before: str) -> None:
    assert comparison.previous(day(since), day(until)) == (day(before), day(since))


@pytest.mark.parametrize(
    ("since", "until", "then"),
    [
        ("2026-03-05", "2026-04-01", ("2025-03-05", "2025-04-01")),
        ("2024-02-29", "2024-03-01", ("2023-02-28", "2023-03-01")),
        ("2024-02-28", "2024-02-29", ("2023-02-28", "2023-03-01")),
        ("2025-02-01", "2025-03-01", ("2024-02-01", "2024-03-01")),
    ],
)
def test_a_year_before_are_the_same_days_and_29_february_is_the_28th(
    since: str, until: str, then: tuple[str, str]
) -> None:
    assert comparison.year_before(day(since), day(until)) == tuple(map(day, then))


@pytest.mark.parametrize("until", ["1900-02-01", "1900-01-05", "9999-01-01"])
def test_there_is_no_window_before_all_days(until: str) -> None:
    for before in (comparison.previous, comparison.year_before):
        with pytest.raises(ValueError, match="1900-01-01"):
            before(day("1900-01-01"), day(until))


EVENTS = [
    cost("k1", "a", "1000.00", "2026-02-01"), order("o1", "3000.00", "2026-02-10", campaign_id="a"),
    cost("k2", "a", "1500.00", "2026-03-01"), order("o2", "2500.00", "2026-03-31", campaign_id="a"),
    cost("k3", "gone", "200.00", "2026-02-28"), cost("k4", "new", "400.00", "2026-03-30"),
    lead("L1", "a", "2026-03-02"), event("campaign.budget_set", "2026-01-01", campaign_id="a", amount=money("9.00")),
]  # fmt: skip


def compared(
    groups: tuple[str, ...], since: str, until: str, other: tuple[str, str], page: Page = Page()
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    async def run() -> Any:
        view: Any = memory.MemorySnapshot(await memory.project(EVENTS))
        query = Query(groups, day(since), day(until))
        beside = comparison.Other(view, Query(groups, day(other[0]), day(other[1])))
        return await comparison.read(view, beside, REPORTS["roi"], query, NOW, frozenset(), page)

    found = asyncio.run(run())
    return found.rows, found.total


MARCH = ("2026-03-01", "2026-04-01", ("2026-02-01", "2026-03-01"))


def test_each_row_and_the_total_have_what_they_are_compared_with_and_what_changed() -> None:
    rows, total = compared(("campaign",), *MARCH)
    (row,) = [one for one in rows if one["campaign_id"] == "a"]
    assert (row["actual_cost"], row["compared"]["actual_cost"]) == ("1500.00", "1000.00")
    assert row["change"]["actual_cost"] == {"absolute": "500.00", "relative": 0.5}
    assert (row["roi"]["booked"], row["compared"]["roi"]["booked"]) == (0.666667, 2.0)
    assert row["change"]["roi.booked"] == {"absolute": -1.333333, "relative": -0.666666}  # of the values as answered
    assert total["change"]["actual_cost"] == {"absolute": "700.00", "relative": 0.583333}
    assert total["change"]["booked_revenue"] == {"absolute": "-500.00", "relative": -0.166667}


def test_there_is_no_share_of_what_is_not_positive_and_no_change_of_what_is_not_known() -> None:
    rows, _ = compared(("campaign",), *MARCH)
    (row,) = [one for one in rows if one["campaign_id"] == "a"]
    assert row["change"]["leads"] == {"absolute": 1, "relative": None}
    assert row["change"]["cost_per_lead"] == {"absolute": None, "relative": None}
    loss, gain = ({"gross_margin": one} for one in ("-2.00", "1.50"))
    report = REPORTS["roi"]
    assert comparison.changes(report, gain, loss) == {"gross_margin": {"absolute": "3.50", "relative": None}}
    days = ({"break_even_on": one} for one in ("2026-03-31", "2026-02-27"))
    assert comparison.changes(report, *days) == {"break_even_on": {"absolute": 32, "relative": None}}


def test_a_row_that_one_side_lacks_has_there_what_an_empty_row_has() -> None:
    rows, _ = compared(("campaign",), *MARCH)
    assert [one["campaign_id"] for one in rows] == ["a", "gone", "new", None]
    gone, new = rows[1:3]
    assert (gone["actual_cost"], gone["roas"], gone["reasons"]["roas"]) == ("0.00", None, "actual_cost is 0")
    assert gone["change"]["actual_cost"] == {"absolute": "-200.00", "relative": -1.0}
    assert (new["compared"]["actual_cost"], new["compared"]["reasons"]["roas"]) == ("0.00", "actual_cost is 0")
    assert new["change"]["actual_cost"] == {"absolute": "400.00", "relative": None}


def test_the_nth_period_stands_beside_the_nth_and_one_without_counterpart_alone() -> None:
    rows, total = compared(("day",), *MARCH)
    shown = {row["day"]: (row["actual_cost"], row["compared"] and row["compared"]["actual_cost"]) for row in rows}
    assert shown == {
        "2026-03-01": ("1500.00", "1000.00"), "2026-03-02": ("0.00", "0.00"), "2026-03-10": ("0.00", "0.00"),
        "2026-03-28": ("0.00", "200.00"), "2026-03-30": ("400.00", None), "2026-03-31": ("0.00", None), None: ("0.00", "0.00"),
    }  # fmt: skip
    assert rows[-2]["change"] is None
    assert total["change"]["actual_cost"]["absolute"] == "700.00"


def test_a_period_that_only_the_compared_window_has_stands_alone_under_its_own_name() -> None:
    rows, _ = compared(("day",), "2026-03-01", "2026-03-02", ("2026-02-27", "2026-03-02"))
    shown = [(row["day"], row["actual_cost"], row["compared"] and row["compared"]["actual_cost"]) for row in rows]
    assert shown == [
        ("2026-02-28", "0.00", "200.00"), ("2026-03-01", "1500.00", "0.00"), ("2026-03-01", "0.00", "1500.00"),
        (None, "0.00", "0.00"),
    ]  # fmt: skip
    assert [row["change"] is None for row in rows] == [True, False, True, False]


def test_several_period_groups_are_told_apart_together() -> None:
    rows, _ = compared(("year", "month", "campaign"), "2026-02-01", "2026-04-01", ("2025-12-01", "2026-03-01"))
    shown = [(*(row[one] for one in ("year", "month", "campaign_id")), row["actual_cost"]) for row in rows]
    assert [(*one, row["compared"] and row["compared"]["actual_cost"]) for one, row in zip(shown, rows, strict=True)] == [
        ("2026", "2026-02", "a", "1000.00", "0.00"), ("2026", "2026-02", "a", "0.00", "1000.00"),
        ("2026", "2026-02", "gone", "200.00", "0.00"), ("2026", "2026-02", "gone", "0.00", "200.00"),
        ("2026", "2026-03", "a", "1500.00", "0.00"), ("2026", "2026-03", "new", "400.00", "0.00"),
        (None, None, "a", "0.00", "0.00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sort", "falling", "expected"),
    [
        (None, False, ["a", "gone", "new", None]), ("actual_cost", False, ["gone", None, "new", "a"]),
        ("actual_cost", True, ["a", "new", "gone", None]), ("roas", True, ["a", "new", "gone", None]),
        ("break_even_on", False, ["a", "gone", "new", None]),
    ],
)  # fmt: skip
def test_rows_of_both_sides_come_sorted_and_in_pages(sort: str | None, falling: bool, expected: list[str]) -> None:
    whole, total = compared(("campaign",), *MARCH, Page(sort, falling))
    assert [row["campaign_id"] for row in whole] == expected
    pages = [compared(("campaign",), *MARCH, Page(sort, falling, after, 1)) for after in (None, *zip(expected))]
    assert [row for rows, _ in pages for row in rows] == whole
    assert {repr(one) for _, one in pages} == {repr(total)}


def test_a_page_may_begin_between_two_rows_of_one_period() -> None:
    windows = "2026-03-01", "2026-03-02", ("2026-02-27", "2026-03-02")
    (row,), _ = compared(("day",), *windows, Page(None, False, ("2026-03-01",), 1))
    assert (row["actual_cost"], row["compared"]["actual_cost"]) == ("0.00", "1500.00")
    (row,), _ = compared(("day",), *windows, Page(None, False, ("2026-03-01", "alone"), 1))
    assert row["day"] is None
