"""docs/events.md and docs/figures.md are what the code says, and say all there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.api import pages
from service.domain import lineage, words
from service.domain.catalogue import CATALOGUE, check_data
from service.domain.events import read_event

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages.PAGES[name](), "`make openapi` writes it anew"


def test_a_page_that_has_drifted_is_found_and_written_anew(tmp_path: Path) -> None:
    assert pages.main(str(tmp_path)) == 0
    assert pages.main(str(tmp_path), "--check") == 0
    (tmp_path / "events.md").write_text("# Events\n", encoding="utf-8")
    assert pages.main(str(tmp_path), "--check") == 1


def test_every_event_and_every_field_has_words() -> None:
    assert set(words.EVENTS) == set(CATALOGUE)
    assert set(words.FIELDS) == {name for one in CATALOGUE.values() for name in (*one.required, *one.optional)}


@pytest.mark.parametrize("event_type", CATALOGUE)
def test_the_example_of_an_event_is_one(event_type: str) -> None:
    example = words.example_of(event_type)
    assert read_event(example).type == event_type
    assert list(check_data(event_type, example["data"])) == []


def test_the_page_of_events_has_the_example_of_each_and_all_of_its_fields() -> None:
    page = pages.events_page()
    examples = {one["type"]: one for one in map(json.loads, re.findall(r"```json\n(.*?)\n```", page))}
    assert examples == {name: words.example_of(name) for name in CATALOGUE}
    for name, entry in CATALOGUE.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {*entry.required, *entry.optional}


def names_of(row: dict[str, Any], inside: str = "") -> set[str]:
    """Return the figures of a row, those in objects with their path; what a figure itself consists of is left out."""
    found = set()
    for name, value in row.items():
        if isinstance(value, dict) and name in {"roi", "entered", "funnel"}:
            found |= names_of(value, f"{name}.")
        elif name != "reasons":
            found.add(inside + name)
    return found


@pytest.mark.parametrize("report", words.FIGURES)
def test_every_figure_of_a_report_has_words_and_nothing_else_has(report: str) -> None:
    row = pages.examples()[report]
    assert row["reasons"].keys() <= {"funnel.captured.rate_from_previous"}  # every example is a value
    assert names_of(row) == set(words.FIGURES[report])
    opened = {name for name in (*lineage.MEASURES[report], *lineage.RATIOS[report]) if "out_of_sequence" not in name}
    assert opened <= set(words.FIGURES[report])
