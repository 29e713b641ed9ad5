from itertools import islice
from pathlib import Path

import msgspec
import pytest

from benchmarks import journeys, table
from benchmarks.table import Row


def test_the_median_of_ratios_is_taken_round_by_round() -> None:
    row = Row("rebuild beside the peer's in memory", 0, [10, 30, 90], "/s", "peer", [10, 10, 10])
    assert row.ratios == [1, 3, 9]
    assert row.verdict == "≥ 200%: met"
    assert "300%" in table.side_by_side([row])
    assert "100% – 900%" in table.side_by_side([row])


def test_a_target_missed_is_told_as_missed() -> None:
    assert Row("memory of a rebuild", 10, [501.0], "MB").verdict == "≤ 500 MB: **missed**"
    assert Row("freshness at 1,000 events/s", 10, [50.0], "ms", p50=50, p99=101).verdict == "≤ p99 100 ms: **missed**"


def test_growth_compares_the_largest_size_with_the_smallest() -> None:
    rows = [Row("a read", size, [100.0], p99=p99) for size, p99 in ((1_000, 10.0), (10_000, 13.0))]
    line = table.growth([*rows, Row("start", 0, [1.0], "s")]).splitlines()[-1]
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "a read, p99",
        "10.0 ms",
        "13.0 ms",
        "1.30",
        "≤ 1.2: **missed**",
    ]


def test_contestants_take_turns_in_both_orders() -> None:
    order: list[str] = []
    table.compare(2, {name: lambda name=name: order.append(name) for name in "ab"})  # type: ignore[misc]
    assert order == ["a", "b", "b", "a"]


def test_a_section_is_replaced_between_its_markers_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x -->\nold\n<!-- end of x -->\nafter\n")
    table.write_section(page, "x", r"new \1")
    assert page.read_text() == "before\n<!-- x -->\nnew \\1\n<!-- end of x -->\nafter\n"
    with pytest.raises(ValueError, match="markers"):
        table.write_section(page, "y", "new")


def test_a_larger_ledger_begins_as_a_smaller_one_in_the_order_of_time() -> None:
    events = [msgspec.json.decode(line) for line in islice(journeys.lines(), 3_000)]
    assert events[:10] == [msgspec.json.decode(line) for line in islice(journeys.lines(), 10)]
    assert [one["time"] for one in events] == sorted(one["time"] for one in events)
    assert len({one["id"] for one in events}) == len(events)
