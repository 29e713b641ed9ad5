"""docs/importing.md says what the code does: its keys, filters and options are all there are, and its examples hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from service.cli import app
from service.domain.catalogue import check_data
from service.intake import tabular_mapping, tabular_tables
from service.intake.blanks import BLANKS
from service.intake.tabular import load_mapping, open_tables
from service.intake.tabular_conditions import FORMS, OPERATORS
from service.intake.tabular_filters import FILTERS, Reading
from service.intake.tabular_templates import Row, template
from tests.support.tables import read

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/importing.md").read_text(encoding="utf-8")
_CELL = re.compile(r"(?<!\\)\|")


def tables() -> list[list[list[str]]]:
    """Return the tables of the page, with the code of each cell."""
    found = re.findall(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n)+)", PAGE, re.MULTILINE)
    split = [[_CELL.split(line)[1:-1] for line in table.splitlines()] for table in found]
    return [[[cell.strip().strip("`").replace("\\|", "|") for cell in row] for row in table] for table in split]


def firsts() -> list[set[str]]:
    """Return the first column of each table."""
    return [{row[0] for row in table} for table in tables()]


@pytest.mark.parametrize(
    "names",
    [
        {*tabular_tables.MAPPING[0], *tabular_tables.MAPPING[1]}, {*tabular_tables.ENTRY[0], *tabular_tables.ENTRY[1]},
        {*tabular_mapping.RULE[0], *tabular_mapping.RULE[1], *tabular_mapping.OF_IMPORTS},
        {*tabular_mapping.TIME[0], *tabular_mapping.TIME[1]}, {*FORMS, *OPERATORS}, set(tabular_tables.LOOKUP),
        {*tabular_tables.ROW_COLUMNS, "@title 1"},
    ],
)  # fmt: skip
def test_a_table_of_the_page_lists_the_keys_that_there_are(names: set[str]) -> None:
    assert names in firsts()


def test_the_page_lists_the_options_that_there_are() -> None:
    command: Any = get_command(app)
    options = {
        one.opts[0] for one in command.commands["import"].get_params(typer.Context(command)) if one.opts[0][0] == "-"
    }
    assert options - {"--help"} in firsts()


EXAMPLES = [row for table in tables() for row in table if len(row) == 4]


def test_the_page_lists_the_filters_that_there_are() -> None:
    assert {row[0].partition(":")[0] for row in EXAMPLES} == set(FILTERS)


@pytest.mark.parametrize("row", EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_an_example_of_a_filter_holds(row: list[str]) -> None:
    class Regions:
        def find(self, key: str, column: str) -> str:
            return {("A-1", "Region"): "EMEA"}[key, column]

    step, cell, becomes, _ = row
    given = Row("page", 1, {"x": cell}, Reading(lookups={"accounts": Regions()}))
    assert template(f"{{x|{step}}}", "page").render(given) == json.loads(becomes)


def test_the_page_lists_the_words_for_nothing() -> None:
    section = PAGE.partition("## What states nothing")[2].partition("A list of your own")[0]
    assert set(re.findall(r"`([^`]+)`", section)) == set(BLANKS)


def test_the_mapping_of_the_page_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0], encoding="utf-8")
    (tmp_path / "accounts.csv").write_text("Account Id,Region\nA-1,EMEA\n", encoding="utf-8")
    (tmp_path / "deals.csv").write_text(
        "Deal Id,Stage,Created,Close Date,Lead Ids,Account Id,Probability,Amount (USD)\n"
        '7,Won,03/01/2026 09:30 PM,04/01/2026,101;102,A-1,100 %,"$22,700.00"\n'
        "8,1 - New,03/02/2026 09:30 AM,,--,unknown,20%,\n"
        'Total,,,,,,,"$22,700.00"\n',
        encoding="utf-8",
    )
    (table,) = open_tables(load_mapping(tmp_path / "mapping.yaml"), tmp_path / "deals.csv").tables
    events, errors = read(table)
    assert errors == []
    assert [(event["id"], event["time"]) for event in events] == [
        ("opened-7", "2026-03-02T02:30:00Z"), ("placed-7", "2026-04-01T04:00:00Z"), ("opened-8", "2026-03-02T14:30:00Z"),
    ]  # fmt: skip
    assert events[0]["data"] == {
        "opportunity_id": "7", "lead_ids": ["101", "102"], "account_id": "A-1", "region": "EMEA", "probability": 1.0,
    }  # fmt: skip
    assert events[1]["data"]["net_value"] == {"amount": "22700.00", "currency": "USD"}
    assert events[2]["data"] == {"opportunity_id": "8", "stage": "New", "probability": 0.2}


@pytest.mark.parametrize(
    ("vendor", "costs", "skipped"),
    [
        ("google-ads", {"2026-02-28": "1250.00", "2026-03-01": "68.10", "2026-03-02": "1048.79"}, 3),
        ("meta-ads", {"2026-03-01": "45.50", "2026-03-02": "86.00"}, 1),
        ("linkedin-ads", {"2026-03-01": "33.33", "2026-03-02": "1066.67"}, 1),
    ],
)
def test_a_ready_mapping_reads_the_export_of_its_vendor(vendor: str, costs: dict[str, str], skipped: int) -> None:
    folder = ROOT / "docs/examples" / vendor
    found = open_tables(load_mapping(folder / "mapping.yaml"), folder)
    assert found.passed_over == []
    booked: dict[str, tuple[str, int]] = {}
    for table in found.tables:
        events, errors = read(table)
        assert errors == []
        for event in events:
            assert (event["type"], event["data"]["amount"]["currency"]) == ("campaign.cost_booked", "EUR")
            day, amount = event["data"]["cost_date"], event["data"]["amount"]["amount"]
            entry = booked.setdefault(event["data"]["cost_entry_id"], (day, int(amount.replace(".", ""))))
            assert entry == (day, int(amount.replace(".", "")))  # two files may say the same of a day
    spent = {day: sum(cents for other, cents in booked.values() if other == day) for day, _ in booked.values()}
    assert {day: f"{cents // 100}.{cents % 100:02}" for day, cents in spent.items()} == costs
    assert sum(table.passed.skipped for table in found.tables) == skipped


@pytest.mark.parametrize(
    ("folder", "expected", "skipped"),
    [
        ("google-analytics", [
            ("2026-03-01T09:00:00Z", "C-1", "fair-2026", "website_visit", "click"),
            ("2026-03-03T09:00:00Z", "C-1", "newsletter-march", "website_visit", "click"),
        ], 2),
        ("mailing", [
            ("2026-03-03T08:00:10Z", "C-1", "newsletter-march", "newsletter", "view"),
            ("2026-03-03T08:00:42Z", "C-1", "newsletter-march", "newsletter", "click"),
            ("2026-03-04T17:30:00Z", "C-2", "webinar", "newsletter", "offline"),
        ], 1),
    ],
)  # fmt: skip
def test_a_ready_mapping_reads_touches(folder: str, expected: list[tuple[str, ...]], skipped: int) -> None:
    (table,) = open_tables(
        load_mapping(ROOT / "docs/examples" / folder / "mapping.yaml"), ROOT / "docs/examples" / folder
    ).tables
    events, errors = read(table)
    assert errors == []
    told = [(event["time"], event["data"]) for event in events]
    names = ("contact_id", "campaign_id", "activity_type", "interaction")
    assert [(time, *(data[name] for name in names)) for time, data in told] == expected
    assert all(
        event["type"] == "touchpoint.recorded" and not list(check_data(event["type"], event["data"]))
        for event in events
    )
    assert len({event["data"]["touchpoint_id"] for event in events}) == len(expected)
    assert table.passed.skipped == skipped
