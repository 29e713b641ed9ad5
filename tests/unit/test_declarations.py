"""What is declared once, by a report's module: cubes and their layout, figures, kinds of components, and how they are found."""

from __future__ import annotations

import importlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from service.domain import contributions, kinds, layout, modules
from service.domain.calendar import Zone
from service.domain.components.campaigns import topmost
from service.domain.cubes import DEALS, Cube, Posts
from service.domain.figures import Absent, Figure, Mean, Percentile, quotient, terms, total
from service.domain.report import Report, Row
from service.domain.units import COUNT, DAYS, MONEY, RATIO, SECONDS, written

CALLS = Cube("calls", by=("owner",))
VISITS = Cube("visits", by=("campaign", "owner"), rollups=(("campaign",),), cohort=True)


def posts(cube: Cube, *names: str, **more: Any) -> Posts:
    return Posts(cube, {}, counts=names, **more)


# Kinds of components, and how all that is declared is found


def test_an_unknown_kind_of_component_is_an_error_that_says_so() -> None:
    with pytest.raises(LookupError, match="there is no kind of component 'visit'"):
        kinds.begin("visit", Zone("UTC"))


def test_a_module_without_what_is_looked_for_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_reports"
    package.mkdir()
    for name, text in (
        ("__init__", ""),
        ("visits", "REPORT = 'visits'"),
        ("helpers", "POSTS = 1"),
        ("calls", "REPORT = 'calls'"),
    ):
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert modules.found(importlib.import_module("some_reports"), "REPORT") == ["calls", "visits"]


# Topmost ancestors


def test_a_campaign_s_parent_is_the_topmost_above_it_and_itself_where_its_line_ends_in_a_circle() -> None:
    parents = {"a": "b", "b": "c", "c": None, "x": "y", "y": "x", "z": "x", "s": "s", "k": "unknown"}
    assert topmost(parents) == {"a": "c", "b": "c", "x": "x", "y": "y", "z": "z", "s": "s", "k": "unknown"}


# Layouts


def test_a_measure_that_is_posted_to_two_cubes_is_refused() -> None:
    with pytest.raises(ValueError, match="posted to two cubes: made"):
        layout.laid_out([posts(CALLS, "made", "missed"), posts(VISITS, "made")])


def test_several_may_post_a_measure_to_one_cube() -> None:
    both = layout.laid_out([posts(CALLS, "made", "missed"), posts(CALLS, "made", "late")])
    assert both.measures == ["made", "missed", "late"]


def test_more_measures_than_a_balance_has_columns_are_refused() -> None:
    many = [f"m{number}" for number in range(layout.COLUMNS + 1)]
    assert len(layout.laid_out([posts(CALLS, *many[1:])]).columns) == layout.COLUMNS
    with pytest.raises(
        ValueError, match=f"cube calls has {layout.COLUMNS + 1} measures, and there are {layout.COLUMNS}"
    ):
        layout.laid_out([posts(CALLS, *many)])


@pytest.mark.parametrize(
    "kept",
    [contributions.LAYOUT, layout.laid_out([posts(VISITS, "seen", durations=("stay",)), posts(CALLS, "made")])],
    ids=["all that there is", "other cubes"],
)
def test_a_layout_that_is_read_back_equals_the_one_that_was_kept(kept: layout.Layout) -> None:
    back = layout.read(kept.as_json())
    assert back.cubes == kept.cubes
    assert [back.column(one) for one in back.measures] == [kept.column(one) for one in kept.measures]
    assert back.as_json() == kept.as_json()


def test_no_two_cubes_have_a_letter_in_common_and_the_deals_keep_theirs() -> None:
    cubes = layout.laid_out([posts(VISITS, "seen"), posts(CALLS, "made"), posts(DEALS, "won")]).cubes
    letters = "".join(one.letters for one in cubes.values())
    assert len(letters) == len({*letters})
    assert cubes["deals"].letters == "sct"


def test_a_read_takes_the_coarsest_sums_that_tell_its_dimensions_apart() -> None:
    visits = layout.laid_out([posts(VISITS, "seen")]).cubes["visits"]
    finest, by_campaign = [*visits.letters]
    assert visits.letter([]) == visits.letter(["campaign"]) == by_campaign
    assert visits.letter(["owner"]) == visits.letter(["campaign", "owner"]) == finest
    assert visits.letter(["stage"]) == by_campaign  # which it does not know


def test_a_layout_says_where_a_measure_is_and_knows_no_other() -> None:
    both = layout.laid_out([posts(VISITS, "seen", durations=("stay",)), posts(CALLS, "made")])
    assert {one: (both.cube_of(one), both.column(one)) for one in both.measures} == {
        "made": ("calls", "m1"), "seen": ("visits", "m1"), "stay": ("visits", "m2"), "stay.total": ("visits", "m3"),
    }  # fmt: skip
    assert both.by_column() == {"m1": ["made", "seen"], "m2": ["stay"], "m3": ["stay.total"]}
    assert ("made" in both, "late" in both, both.cube_of("late")) == (True, False, None)
    with pytest.raises(KeyError):
        both.column("late")


# Figures


FIGURES: dict[str, Figure] = {
    "cost": total("cost", MONEY, "Σ cost"),
    "left": total("budget - cost", MONEY, "budget − cost"),
    "margin": total("margin", MONEY, "Σ margin", unless=lambda sums: None if "margin" in sums else "no margin is known"),
    "return": quotient("margin - cost", "cost"),
    "per_lead": quotient("cost", "leads", MONEY, called="the number of leads"),
    "needed": quotient("cost", "margin", both=True),
    "stay.mean_days": Mean(unit=DAYS, of="stay"),
    "stay.p50_days": Percentile(unit=DAYS, of="stay", share=Fraction(1, 2)),
    "before": Absent(unit=RATIO, of="leads", reason="there is none before"),
}  # fmt: skip
REPORT = Report("visits", "Who comes?", VISITS, FIGURES)


def row(**sums: int) -> dict[str, Any]:
    return Row(REPORT, "EUR", sums).written()


def test_a_quotient_is_exact_until_it_is_written() -> None:
    found = row(cost=300, margin=1_000, leads=8)
    assert (found["return"], found["per_lead"], found["needed"]) == (2.333333, "0.38", 0.3)
    assert row(cost=-300, leads=8)["per_lead"] == "-0.38"  # half-even, also of what is negative


@pytest.mark.parametrize(
    ("sums", "name", "reason"),
    [
        ({"cost": 0, "margin": 1}, "return", "cost is 0"),
        ({"cost": -1, "margin": 1}, "return", "cost is negative"),
        ({"cost": 1}, "return", "margin is not known"),
        ({"cost": 1}, "margin", "no margin is known"),
        ({"cost": 1}, "per_lead", "the number of leads is 0"),
        ({"cost": -1, "margin": 1}, "needed", "cost is negative"),
        ({}, "before", "there is none before"),
        ({}, "stay", "no such duration yet"),
    ],
)
def test_what_is_null_says_why(sums: dict[str, int], name: str, reason: str) -> None:
    found = row(**sums)
    value = found[name]
    assert value is None or {*value.values()} == {None}
    assert found["reasons"][name] == reason


def test_a_measure_that_the_generation_does_not_have_makes_all_that_is_made_of_it_null() -> None:
    found = Row(REPORT, "EUR", {"cost": 5, "leads": 1}, missing=frozenset({"budget"}), version="2").written()
    assert (found["left"], found["per_lead"]) == (None, "0.05")
    assert found["reasons"]["left"] == "is in no read model of version 2: have the ledger rebuilt"


def test_a_figure_opens_down_to_the_sums_that_it_is_made_of() -> None:
    assert REPORT.additive("left") == {"left": {"budget": 1, "cost": -1}}
    assert REPORT.additive("return") == {"margin": {"margin": 1}, "cost": {"cost": 1}}
    assert REPORT.additive("per_lead") == {"cost": {"cost": 1}, "leads": {"leads": 1}}
    assert REPORT.additive("stay") == REPORT.additive("stay.p50_days") == {"stay": {"stay": 1}}
    assert REPORT.additive("leads") == {"leads": {"leads": 1}}
    assert REPORT.additive("visits") is None
    assert REPORT.measures == ("cost", "budget", "margin", "leads", "stay.total", "stay")


def test_an_expression_has_its_names_with_their_signs() -> None:
    assert terms("won") == {"won": 1}
    assert terms("gross - credited + corrected") == {"gross": 1, "credited": -1, "corrected": 1}


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (Fraction(5, 2), MONEY, "0.02"), (-150, MONEY, "-1.50"), (3, COUNT, 3), (Fraction(2, 3), RATIO, 0.666667),
        (312_000_000, SECONDS, 312), (300_000, SECONDS, 0.3), (Fraction(1, 2), SECONDS, 0), (90 * 3_600_000_000, DAYS, 3.75),
    ],
)  # fmt: skip
def test_a_value_is_written_in_its_unit(value: Fraction | int, unit: str, expected: Any) -> None:
    assert written(value, unit, "EUR") == expected
