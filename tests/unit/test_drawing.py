"""Charts of rows: bars to scale, with what they are compared with; and PNGs with words on machines without any font."""

from __future__ import annotations

import re

from defusedxml.ElementTree import fromstring

from service.api import drawing
from service.charts import rows
from service.charts.rows import Row
from service.charts.svg import Words

WORDS = Words("Did <it> pay?", "Yes & no.")
SVG = "{http://www.w3.org/2000/svg}"


def bars_of(picture: str) -> list[tuple[float, float, str]]:
    """Return (left, width, fill) of each bar."""
    root = fromstring(picture)
    return [(float(one.attrib["x"]), float(one.attrib["width"]), one.attrib["fill"]) for one in root.iter(f"{SVG}rect")]


def test_bars_are_to_scale_and_go_left_where_negative() -> None:
    drawn = rows.bars(
        [Row("a", 100.0, "100"), Row("b", -50.0, "-50"), Row("c", None, "–"), Row("d", 25.0, "25", 100.0)],
        WORDS,
        "told",
    )
    (left, wide, good), (minus_left, minus_wide, bad), (_, quarter, _) = bars_of(drawn)
    assert good != bad
    assert (round(wide / minus_wide, 1), round(wide / quarter, 1)) == (2.0, 4.0)
    assert abs(minus_left + minus_wide - left) < 0.2
    assert drawn.count("<line") == 2  # the axis, and what d is compared with


def test_what_there_is_no_room_for_is_told() -> None:
    drawn = rows.bars([Row(f"row {number}", 1.0, "1") for number in range(50)], WORDS, "told", more="and others")
    assert "and others" in drawn
    assert len(bars_of(drawn)) == 40


def test_long_and_hostile_labels_stay_words() -> None:
    drawn = rows.bars([Row("<script>" + "x" * 300, 1.0, "1")], WORDS, "&")
    assert "<script" not in drawn
    assert max(len(one) for one in re.findall(r">([^<]*)</text>", drawn)) < 60
    empty = rows.columns([], WORDS, "told", str)
    assert fromstring(empty) is not None


def test_columns_stand_on_zero() -> None:
    drawn = rows.columns([Row("2026-01", 10.0, "10"), Row("2026-02", -10.0, "-10", 5.0)], WORDS, "told", str)
    root = fromstring(drawn)
    up, down = ((float(one.attrib["y"]), float(one.attrib["height"])) for one in root.iter(f"{SVG}rect"))
    assert abs(up[0] + up[1] - down[0]) < 0.2


def test_a_png_has_the_words() -> None:
    drawn = rows.bars([Row("Newsletter", 1.0, "1")], WORDS, "told")
    wordless = re.sub(r"<text.*?</text>", "", drawn)
    with_words, without = drawing.png(drawn), drawing.png(wordless)
    assert with_words.startswith(b"\x89PNG")
    assert len(with_words) > 2 * len(without)
