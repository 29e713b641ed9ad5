"""`campaign-ledger report`, in processes of its own, beside a running service."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from pyarrow import parquet

from service.cli import tables
from tests.conftest import Api
from tests.support.commands import Ran, call, good, refused
from tests.support.sending import cost, event, lead, order

Ask = Callable[..., Ran]


@pytest.fixture
def ask(api: Api, service_url: str) -> Ask:
    """Post a few events, and ask for reports of them as a user would."""
    api.post(
        cost("k1", "fair", "1000.00", "2026-02-01"), order("o1", "3000.00", "2026-02-10", campaign_id="fair"),
        cost("k2", "fair", "1500.00", "2026-03-01"), lead("L1", "=ads", "2026-03-02", channel="=cmd|'/c calc'!A1"),
        event("campaign.registered", campaign_id="fair", name="Fair 2026"),
    )  # fmt: skip
    api.read("/v1/roi")

    def ran(*arguments: str) -> Ran:
        return call("report", *arguments, CAMPAIGN_LEDGER_URL=service_url, CAMPAIGN_LEDGER_API_KEY=api.key)

    return ran


def test_without_a_name_the_reports_are_listed_with_their_questions(ask: Ask) -> None:
    listed = good(ask())
    assert "roi" in listed
    assert "Who calls how often" in listed


def test_a_report_is_a_table_with_its_total_and_what_it_rests_on(ask: Ask) -> None:
    shown = good(ask("roi", "--figure", "actual_cost", "--figure", "roi"))
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    assert lines[0] == ["campaign_id", "actual_cost", "roi.booked", "roi.invoiced", "roi.margin"]
    assert ["fair", "·", "Fair", "2026", "2,500.00", "0.2", "-1.0", "–"] in lines
    assert ["total", "2,500.00", "0.2", "-1.0", "–"] in lines
    assert lines[-1] == ["EUR,", "by", "event", "day,", "as", "of", "position", "5"]


def test_a_comparison_shows_what_it_was_and_how_far_it_is_from_that(ask: Ask) -> None:
    asked = ("--from", "2026-03-01", "--to", "2026-04-01", "--compare", "previous", "--group-by", "month")
    lines = [line.split() for line in good(ask("roi", *asked, "--figure", "actual_cost")).splitlines() if line.strip()]
    assert lines[0] == ["month", "actual_cost", "before", "change"]
    assert ["2026-03", "1,500.00", "1,000.00", "+50.0%"] in lines
    assert lines[-1][:4] == ["compared", "to", "[2026-02-01,", "2026-03-01),"]


def test_json_is_the_answer_and_parameters_are_passed_on(ask: Ask, api: Api) -> None:
    asked = (
        "--group-by",
        "channel,month",
        "--filter",
        "campaign_id=fair",
        "--filter",
        "campaign_id=",
        "--sort=-actual_cost",
    )
    found = json.loads(good(ask("roi", *asked, "--limit", "1", "--as-of", "5", "--json")))
    there = api.read(
        "/v1/roi", group_by="channel,month", campaign_id=["fair", ""], sort="-actual_cost", limit=1, as_of=5
    )  # fmt: skip
    assert {**found, "next": None} == {**there, "next": None}
    assert found["rows"][0]["month"] == "2026-03"


def test_csv_has_nested_names_and_no_formulas(ask: Ask) -> None:
    text = good(ask("roi", "--group-by", "channel", "--csv"))
    first, *others = csv.DictReader(io.StringIO(text))
    assert first["channel"] == "'=cmd|'/c calc'!A1"
    assert [(row["channel"], row["actual_cost"], row["roi.booked"]) for row in others] == [("", "2500.00", "0.2")]
    compared = ("--from", "2026-03-01", "--to", "2026-04-01", "--compare", "previous", "--figure", "roi.booked")
    text = good(ask("roi", *compared, "--csv"))
    heads = (
        "campaign_id,campaign_name,roi.booked,compared.roi.booked,change.roi.booked.absolute,change.roi.booked.relative"
    )
    rows = {row["campaign_id"]: row for row in csv.DictReader(io.StringIO(text))}
    assert text.splitlines()[0] == heads
    assert (rows["fair"]["roi.booked"], rows["fair"]["compared.roi.booked"]) == ("-1.0", "2.0")
    assert (rows["fair"]["change.roi.booked.absolute"], rows["'=ads"]["roi.booked"]) == ("-3.0", "")


def test_files_are_written_as_their_name_says(ask: Ask, tmp_path: Path) -> None:
    for ending in ("xlsx", "parquet"):
        assert good(ask("roi", "--output", str(tmp_path / f"roi.{ending}"))) == ""
    (row,) = [one for one in parquet.read_table(tmp_path / "roi.parquet").to_pylist() if one["campaign_id"] == "fair"]
    assert (row["actual_cost"], row["campaign_name"]) == (Decimal("2500.00"), "Fair 2026")
    sheet = openpyxl.load_workbook(tmp_path / "roi.xlsx")["roi"]
    assert [cell.value for cell in sheet[1]][:3] == ["campaign_id", "campaign_name", "budget"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("none", "'none', but"), ("roi --group-by nothing", "group_by: expected"), ("roi --compare previous", "from: expected"),
        ("roi --figure none", "--figure: expected one of"), ("roi --filter owner", "NAME=VALUE"),
        ("roi --json --csv", "one of them"), ("roi --csv --format xlsx", "one of them"), ("roi --output roi.doc", ".parquet"),
        ("roi --figure roas --output roi.xlsx", "columns of the table"),
        ("roi --filter nobody=1", "nobody"), ("--csv", "of a report"), ("roi --key wrong", "401"),
        ("roi --url http://127.0.0.1:9", "CAMPAIGN_LEDGER_URL"), ("roi --key=", "API key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(ask: Ask, arguments: str, told: str) -> None:
    assert told in refused(ask(*arguments.split()))


def test_a_table_wider_than_the_terminal_is_cut_into_several(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(tables, "_WIDE", 40)
    row = {"owner": "REP-1", **{f"figure_{number}": "1234567.00" for number in range(5)}}
    total = {name: value for name, value in row.items() if name != "owner"}
    tables.show_report(
        {"rows": [row], "total": total, "as_of": {"position": 1}, "currency": "EUR", "date_basis": "event"}
    )
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 40 for line in lines)
    assert [line.split() for line in lines if "figure" in line] == [
        ["owner", "figure_0", "figure_1"], ["owner", "figure_2", "figure_3"], ["owner", "figure_4"],
    ]  # fmt: skip
    assert sum("1,234,567.00" in line for line in lines) == 6


def test_rows_without_a_total_are_told_apart_by_their_first_column(capsys: Any) -> None:
    tables.show_report(
        {"rows": [{"measure": "orders", "target": 10, "ahead": True}, {"measure": "leads", "target": None}]}
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["measure", "target", "ahead"]
    assert lines[2:4] == [["orders", "10", "yes"], ["leads", "–", "–"]]


def test_a_total_alone_is_a_line_without_the_rows_of_other_reports(capsys: Any) -> None:
    tables.show_report({"rows": [], "total": {"database_value": "3.00", "reach": [{"contacts": 1}]}})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert (lines[0], lines[2]) == (["database_value"], ["3.00"])


def test_what_has_not_moved_has_no_sign(capsys: Any) -> None:
    changes = {
        "kept": ("0.00", None),
        "new": ("5.00", None),
        "lost": (-2, None),
        "share": (1, 0.5),
        "unknown": (None, None),
    }
    figures = dict.fromkeys(changes, 1)
    change = {name: dict(zip(("absolute", "relative"), one, strict=True)) for name, one in changes.items()}
    side = {"from": None, "to": None, "as_of": {"position": 1}}
    total = {**figures, "compared": figures, "change": change}
    tables.show_report({"rows": [{"owner": "REP-1", **total}], "total": total, "compared_to": side})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "REP-1" in line]
    assert lines == [["REP-1", *(cell for one in ("0.00", "+5.00", "-2", "+50.0%", "–") for cell in ("1", "1", one))]]
