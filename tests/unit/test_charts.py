"""Charts are the same numbers as pictures: bars as long as they should be, marks where they are, words escaped."""

from __future__ import annotations

import re
from datetime import date
from xml.etree import ElementTree as ET

import pytest

from service.charts import bars, lines, scales
from service.charts.lines import Axis, Line, Mark, Point
from service.charts.svg import PAINTS, Words


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 95, [0, 25, 50, 75, 100]), (-30, 60, [-50, -25, 0, 25, 50, 75]), (0, 0, [0.0, 0.25])],
)
def test_marks_of_an_axis_are_round_and_hold_all_of_it(low: float, high: float, expected: list[float]) -> None:
    found = scales.ticks(low, high)
    assert found[: len(expected)] == expected
    assert found[0] <= low
    assert found[-1] >= high


def test_a_bar_goes_right_of_zero_or_left_of_it_by_the_scale_of_its_table() -> None:
    up, down = (
        re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)"', bars.signed(value, -50, 50, 102))[0]
        for value in (50, -25)
    )
    assert (up, down) == (("51", "50"), ("26", "25"))
    assert "<rect" not in bars.signed(None, -50, 50)


def test_a_cumulative_chart_has_its_lines_marks_words_and_links_and_is_well_formed() -> None:
    start = date(2026, 1, 1).toordinal()
    axis = Axis(start, start + 90, lambda value: f"{value:g}", lambda day: day.strftime("%b"))
    drawn = [
        Line(
            "Cost", [Point(start + 3, 10.0), Point(start + 30, 40.0, "January <b>", "/entries?a=1&b=2")], "cost", "5 3"
        ),
        Line("Margin", [Point(start + 50, 60.0)], "good"),
    ]
    text = lines.cumulative(drawn, axis, Words("When?", "Cost 40."), Mark(start + 50, 60.0, "Break-even"))
    tree = ET.fromstring(text)  # noqa: S314  our own
    named = {"s": "http://www.w3.org/2000/svg"}
    assert tree.get("aria-label") == "When?"
    assert [one.get("href") for one in tree.findall(".//s:a", named)] == ["/entries?a=1&b=2"]
    assert [one.text for one in tree.findall(".//s:title", named)] == ["January <b>"]
    words = [one.text for one in tree.findall(".//s:text", named)]
    assert {"Cost", "Margin", "Break-even", "Jan"} <= set(words)
    paths = tree.findall(".//s:path", named)
    assert [one.get("stroke") for one in paths] == [PAINTS["cost"], PAINTS["good"]]
    assert [one.get("stroke-dasharray") for one in paths] == ["5 3", None]


def test_a_sparkline_has_a_gap_where_nothing_is_known() -> None:
    assert bars.spark([1.0, None, 2.0, 3.0]).count("<path") == 2
    assert "<path" not in bars.spark([None])
