"""docs/events.md and docs/figures.md are what the code says, and say all there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from service.api import pages
from service.domain import words
from service.domain.catalogue import CATALOGUE, check_data
from service.domain.contributions import REPORTS
from service.domain.events import read_event
from service.domain.report import Report

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


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_every_figure_of_a_report_is_explained_with_a_value(report: Report) -> None:
    row = pages.examples()[report.name]
    assert {name.rpartition("captured.")[2] for name in row["reasons"]} <= {
        "rate_from_previous"
    }  # every example is a value
    section = pages.figures_page().partition(f"\n## /v1/reports/{report.name}\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE) == list(report.different)
    assert all(figure.formula for figure in report.figures.values())
