"""CSV files as they come: what leaves no doubt is read, everything else is told as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.intake.tabular import MappingError, load_mapping, open_tables
from tests.support.tables import COSTS, HEADER, opened, read, rows

GOOD = ("1,2026-03-01,Fair,95.00", "2,2026-03-02,Mail,12.50")


def ids(folder: Path, text: str | bytes, mapping: str = COSTS) -> list[str]:
    """Return the ids that a file gives, of which nothing is wrong."""
    events, errors = read(opened(folder, mapping, text))
    assert errors == []
    return [event["id"] for event in events]


def refused(folder: Path, text: str | bytes, mapping: str = COSTS, name: str = "costs.csv") -> str:
    """Return why a file is not opened."""
    with pytest.raises(MappingError) as caught:
        opened(folder, mapping, text, name)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        rows(*GOOD), rows(*GOOD, delimiter=";"), rows(*GOOD, delimiter="\t"), rows(*GOOD, delimiter="|"),
        rows(*GOOD, end="\r\n"), "sep=;\n" + rows(*GOOD, delimiter=";"), '"sep=,"\n' + rows(*GOOD),
        'Cost report\n"March 1, 2026 – March 31, 2026"\n\n' + rows(*GOOD), rows(*GOOD, end=",\n"),
        rows(*GOOD, end=";;\n", delimiter=";"),
        rows(GOOD[0], HEADER, GOOD[1]), rows(GOOD[0], ",,,", "", GOOD[1], ",,,"), rows(*GOOD).replace("Net", " Net "),
        rows(*GOOD).encode("utf-8-sig"), rows(*GOOD).encode("utf-16"),
        ("\ufeff" + rows(*GOOD, delimiter="\t")).encode("utf-16-be"),
        "sep=;\nReport;;\n" + rows(*GOOD, delimiter=";"),
    ],
)  # fmt: skip
def test_what_leaves_no_doubt_is_read(tmp_path: Path, text: str | bytes) -> None:
    assert ids(tmp_path, text) == ["cost-1", "cost-2"]


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    table = opened(tmp_path, COSTS, "Report\nMarch\n" + rows(GOOD[0], ",,,", HEADER, ",,,", GOOD[1]))
    assert len(read(table)[0]) == 2
    passed = table.passed
    assert (table.sheet.titles, passed.rows, passed.empty, passed.headers) == (["Report", "March"], 2, 2, 1)


def test_lines_are_those_of_the_file_whatever_stands_before_the_header(tmp_path: Path) -> None:
    text = 'sep=,\n"Report\nof March"\n' + rows('1,2026-03-01,"Fair\n2026",95.00', "2,2026-03-02,Mail,nine")
    events, (error,) = read(opened(tmp_path, COSTS, text))
    assert events[0]["data"]["campaign_id"] == "fair-2026"
    assert str(error).startswith("costs.csv, line 7, Net: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "2,2026-03-02,Mail",
            "line 2, (row): expected 4 cells as in the header, found 3: cells are missing at its end",
        ),
        ("2,2026-03-02,Mail,1,234.50", 'found 5: a cell with "," in it needs quotes'),
        ('2,2026-03-02,"Mail,5', "a closing quote: from here on, a cell goes on to the end of the file"),
        ('2,2026-03-02,"Mail"x,5', "well-formed CSV"),
    ],
)
def test_a_row_that_does_not_fit_is_told_as_what_it_is(tmp_path: Path, text: str, said: str) -> None:
    events, (error,) = read(opened(tmp_path, COSTS, rows(text)))
    assert events == []
    assert said in str(error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (rows(*GOOD, header="No,Day,Campaign,Nett"),
         "one column 'Net' in costs.csv, which has No, Day, Campaign, Nett; did you mean 'Nett'?"),
        (rows(*GOOD, header="No,Day,Net,Net"), "one column 'Campaign' in costs.csv"),
        (rows(*GOOD, header="No,Day,Campaign,Net,Net"), "one column 'Net' in costs.csv, which has No, Day, Campaign, Net, Net"),
        ("", "a header in costs.csv, which is empty"), ("\n\n", "a header in costs.csv, which is empty"),
        (b"PK\x03\x04rest",
         "files[0].file: expected a CSV file: costs.csv is a workbook (.xlsx), which Excel saves as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0rest", "workbook (.xls)"),
        (rows("1,2026-03-01,Köln,1").encode("cp1252"), "which is not utf-8 (line 2); old spreadsheets write cp1252"),
        (rows(*GOOD).encode("utf-16-le"), "zero bytes in it: utf-16-le"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_told_as_what_it_is(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_what_the_mapping_says_of_a_file_has_to_be_so(tmp_path: Path) -> None:
    semicolons = COSTS.replace("    events:", '    delimiter: ";"\n    events:')
    said = refused(tmp_path, rows(*GOOD), semicolons)
    assert said == 'files[0].delimiter: expected ",", which separates the columns of costs.csv'
    western = COSTS.replace("    events:", "    encoding: cp1252\n    events:")
    assert "files[0].encoding: expected utf-16" in refused(tmp_path, rows(*GOOD).encode("utf-16"), western)
    assert ids(tmp_path, rows("1,2026-03-01,Köln,1").encode("cp1252"), western) == ["cost-1"]


def test_a_damaged_file_is_refused_before_its_first_row(tmp_path: Path) -> None:
    text = rows(*GOOD).encode() * 50_000 + b"3,2026-03-01,K\xf6ln,1\n"
    assert f"(line {text.count(10)})" in refused(tmp_path, text)


def test_files_of_a_folder_to_which_no_entry_applies_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    (folder / "archive").mkdir(parents=True)
    for name in ("costs.csv", "notes.txt", ".DS_Store"):
        (folder / name).write_text(rows(*GOOD), encoding="utf-8")
    (folder / "mapping.yaml").write_text(COSTS, encoding="utf-8")
    found = open_tables(load_mapping(folder / "mapping.yaml"), folder)
    assert ([table.name for table in found.tables], found.passed_over) == (["costs.csv"], ["archive/", "notes.txt"])


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(COSTS, encoding="utf-8")
    paths = [tmp_path / month / "costs.csv" for month in ("jan", "feb")]
    for path, row in zip(paths, GOOD, strict=True):
        path.parent.mkdir()
        path.write_text(rows(row), encoding="utf-8")
    found = open_tables(load_mapping(tmp_path / "mapping.yaml"), paths).tables
    assert [event["id"] for table in found for event in read(table)[0]] == ["cost-1", "cost-2"]
    assert [table.name for table in found] == list(map(str, paths))
    assert len({table.sheet.digest for table in found}) == 2


def test_an_optional_entry_needs_no_file_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    optional = COSTS.replace('file: "*.csv"', 'file: "*.csv"\n    optional: true')
    (tmp_path / "mapping.yaml").write_text(optional, encoding="utf-8")
    assert open_tables(load_mapping(tmp_path / "mapping.yaml"), folder).tables == []
