"""Files of tables: CSV that no spreadsheet runs, workbooks that show every cent, typed Parquet; and who gets which format."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet
from starlette.requests import Request

from service.api import formats
from service.api.exporting import disposition, file_name
from service.api.problems import ProblemError
from service.domain.contributions import REPORTS
from service.exports import columns, tables, xlsx
from service.exports.columns import Column
from service.exports.csv import Csv
from service.exports.events import table as events_table
from service.exports.parquet import Parquet
from service.exports.xlsx import Xlsx
from service.store.log.stored_events import Stored

COLUMNS = [
    Column("campaign_id"), Column("roi.booked", columns.NUMBER), Column("cost", columns.MONEY, 2), Column("leads", columns.COUNT),
    Column("day", columns.DAY), Column("at", columns.TIME), Column("overdue", columns.TRUTH), Column("orders", columns.LIST),
]  # fmt: skip
ROWS: list[list[Any]] = [
    ['=1+"1"', -0.5, "-1234.50", 3, "2026-03-01", "2026-03-01T13:00:00.5+01:00", True, ["SO-1", "SO-2"]],
    ['Fair, "big"\r\nhall', 0.000001, "123456789012345678.91", 0, None, None, False, []],
    [None] * 8,
]


def as_csv(rows: list[Any], of: list[Column]) -> str:
    sink = io.BytesIO()
    made = Csv(sink, of)
    made.rows(rows)
    made.close()
    return sink.getvalue().decode()


def as_xlsx(rows: list[Any], of: list[Column], **more: Any) -> openpyxl.Workbook:
    sink = io.BytesIO()
    made = Xlsx(sink, of, **more)
    made.rows(rows)
    made.close()
    return openpyxl.load_workbook(io.BytesIO(sink.getvalue()))


def test_csv_is_rfc_4180_with_points_and_without_exponents() -> None:
    assert as_csv(ROWS, COLUMNS) == (
        "campaign_id,roi.booked,cost,leads,day,at,overdue,orders\r\n"
        '"\'=1+""1""",-0.5,-1234.50,3,2026-03-01,2026-03-01T13:00:00.5+01:00,true,SO-1; SO-2\r\n'
        '"Fair, ""big""\r\nhall",0.000001,123456789012345678.91,0,,,false,\r\n'
        ",,,,,,,\r\n"
    )


@pytest.mark.parametrize("text", ["=A1", "+49 30", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_text_is_a_formula_and_no_number_is_taken_for_one(text: str) -> None:
    (_, (cell,)) = csv.reader(io.StringIO(as_csv([[text]], [Column("name")]), newline=""))
    assert cell == f"'{text}"
    (_, (cell,)) = csv.reader(io.StringIO(as_csv([["-1.00"]], [Column("cost", columns.MONEY, 2)]), newline=""))
    assert cell == "-1.00"
    (_, (cell,)) = csv.reader(io.StringIO(as_csv([[["=A1"]]], [Column("orders", columns.LIST)]), newline=""))
    assert cell == "'=A1"


def test_a_workbook_has_numbers_days_and_texts_and_no_formula() -> None:
    about = [("ledger", "=acme"), ("position", 7), (), ("cost", Decimal("-1.50"), "money")]
    book = as_xlsx(ROWS, COLUMNS, title="roi", about=about)
    assert book.sheetnames == ["roi", "about"]
    first, second, empty = list(book["roi"].iter_rows(min_row=2, max_row=4))
    assert [cell.value for cell in first] == [
        '=1+"1"', -0.5, -1234.5, 3, datetime.fromisoformat("2026-03-01"), datetime.fromisoformat("2026-03-01T12:00:00.5"), True,
        "SO-1; SO-2",
    ]  # fmt: skip
    assert first[0].data_type == "s"  # a text, whatever it begins with
    assert [cell.number_format for cell in first[2:5]] == ["#,##0.00", "#,##0", "yyyy-mm-dd"]
    assert second[2].value == "123456789012345678.91"  # more digits than a spreadsheet keeps: as text, to the cent
    assert [cell.value for cell in empty] == [None] * 8
    assert [[cell.value for cell in row][:3] for row in book["about"].iter_rows()] == [
        ["ledger", "=acme", None], ["position", 7, None], [None] * 3, ["cost", -1.5, "money"]
    ]  # fmt: skip
    assert book["about"]["B1"].data_type == "s"


def test_a_workbook_goes_on_in_another_sheet_where_one_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "_MOST_ROWS", 3)
    book = as_xlsx([[number] for number in range(5)], [Column("n", columns.COUNT)], title="events")
    assert [[cell.value for cell in sheet["A"]] for sheet in book] == [["n", 0, 1], ["n", 2, 3], ["n", 4]]
    assert book.sheetnames == ["events", "events 2", "events 3"]


def test_parquet_is_typed_and_exact() -> None:
    sink = io.BytesIO()
    made = Parquet(sink, COLUMNS)
    made.rows(ROWS)
    made.close()
    found = parquet.read_table(io.BytesIO(sink.getvalue()))
    assert found.schema.types == [
        pa.string(), pa.float64(), pa.decimal128(38, 2), pa.int64(), pa.date32(), pa.timestamp("us", "UTC"), pa.bool_(),
        pa.list_(pa.string()),
    ]  # fmt: skip
    assert found["cost"].to_pylist() == [Decimal("-1234.50"), Decimal("123456789012345678.91"), None]
    assert found["day"].to_pylist() == [date(2026, 3, 1), None, None]
    assert found["campaign_id"].to_pylist() == [ROWS[0][0], ROWS[1][0], None]
    assert found["orders"].to_pylist() == [["SO-1", "SO-2"], [], None]


def test_columns_of_a_report_are_keys_names_and_figures_as_declared() -> None:
    report = REPORTS["roi"]
    figures = {"budget": "1.00", "roi": {"booked": 0.5, "invoiced": None, "margin": None}, "leads": 2}
    row = {"campaign_id": "fair", "day": "2026-03-01", **figures, "reasons": {"roi.margin": "no"}}
    body = {"rows": [row], "total": {}, "currency": "JPY"}
    table = tables.of_report(report, ["campaign_id", "day"], body, {"fair": "Fair"})
    assert table.columns == [
        Column("campaign_id"), Column("day", columns.DAY), Column("campaign_name"), Column("budget", columns.MONEY, 0),
        Column("roi.booked", columns.NUMBER), Column("roi.invoiced", columns.NUMBER), Column("roi.margin", columns.NUMBER),
        Column("leads", columns.COUNT),
    ]  # fmt: skip
    assert table.values(row) == ["fair", "2026-03-01", "Fair", "1.00", 0.5, None, None, 2]


def test_columns_of_a_comparison_stand_beside_their_figure() -> None:
    row = {"month": "2026-03", "budget": "2.00", "compared": {"budget": "1.00"}}
    row["change"] = {"budget": {"absolute": "1.00", "relative": 1.0}}
    body = {"rows": [row, {"month": None, "budget": "0.00", "compared": None, "change": None}], "currency": "EUR"}
    table = tables.of_report(REPORTS["roi"], ["month"], {**body, "compared_to": {}})
    names = ["month", "budget", "compared.budget", "change.budget.absolute", "change.budget.relative"]
    assert [one.name for one in table.columns] == names
    assert list(map(table.values, body["rows"])) == [
        ["2026-03", "2.00", "1.00", "1.00", 1.0],
        [None, "0.00", None, None, None],
    ]


def test_figures_inside_members_that_only_answers_know_have_their_types_too() -> None:
    row = {"campaign_id": None, "models": {"linear": {"booked_revenue": "1.00", "roi": {"booked": 0.1}}}, "hits": 3}
    table = tables.of_report(REPORTS["roi"], ["campaign_id"], {"rows": [row], "currency": "EUR"})
    assert {one.name: one.type for one in table.columns} == {
        "campaign_id": columns.TEXT, "hits": columns.COUNT, "campaign_name": columns.TEXT,
        "models.linear.booked_revenue": columns.MONEY, "models.linear.roi.booked": columns.NUMBER,
    }  # fmt: skip


def stored(kind: str, data: str) -> Stored:
    at = datetime.fromisoformat("2026-03-01T12:00:00Z")
    return Stored(1, at, 0, 1, "/s", "e", kind, "2026-03-01T12:00:00Z", "", None, None, data, None)


def test_events_have_what_their_type_states_and_all_of_their_data() -> None:
    table = events_table(["order.placed"])
    names = [one.name for one in table.columns]
    assert names[:8] == ["position", "type", "time", "source", "id", "subject", "recorded_at", "data.order_id"]
    assert names[-3:] == ["data", "dataschema", "extensions"]
    told = '{"order_id": "O", "net_value": {"amount": "1.50", "currency": "EUR"}, "new_customer": true, "mine": 1}'
    row = dict(zip(names, table.values(stored("order.placed", told)), strict=True))
    assert (row["data.net_value.amount"], row["data.net_value.currency"], row["data.new_customer"]) == (
        "1.50",
        "EUR",
        True,
    )
    assert row["data"] == told
    odd = stored("order.placed", '{"order_id": 7, "net_value": "none", "new_customer": "yes"}')  # of a version to come
    row = dict(zip(names, table.values(odd), strict=True))
    assert [value for name, value in row.items() if name.startswith("data.") and value is not None] == []


def asked(*accept: str) -> Request:
    return Request({"type": "http", "headers": [(b"accept", one.encode()) for one in accept]})


XLSX = formats.XLSX.media_types[0]


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ((), "json"), (("*/*",), "json"), (("text/csv",), "csv"), (("text/*",), "csv"), (("application/json, text/csv",), "json"),
        (("application/json;q=0.4, text/csv;q=0.5",), "csv"), ((f"text/html, {XLSX};q=0.9, */*;q=0.1",), "xlsx"),
        (("text/html,application/xhtml+xml,*/*;q=0.8",), "json"), (("application/json;q=0, */*",), "csv"),
        (("text/html", "application/vnd.apache.parquet"), "parquet"), (("TEXT/CSV; Q=0.1",), "csv"), (("",), "json"),
    ],
)  # fmt: skip
def test_accept_chooses_what_it_likes_best(accept: tuple[str, ...], name: str) -> None:
    assert formats.wanted(asked(*accept), None, formats.TABLES).name == name
    assert formats.wanted(asked("text/html"), "csv", formats.TABLES) is formats.CSV


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, text/csv;q=0.0", "image/*"])
def test_accept_that_nothing_fits_is_refused(accept: str) -> None:
    with pytest.raises(ProblemError) as refused:
        formats.wanted(asked(accept), None, formats.TABLES)
    assert refused.value.status == 406


def test_a_file_is_named_by_what_it_is() -> None:
    assert file_name("roi", "Nord/Süd & Söhne", None, "all", 7) == "roi_Nord-Süd-Söhne_all_7"
    told = disposition("roi_Süd_all_7", formats.CSV)
    assert told == "attachment; filename=\"roi_S-d_all_7.csv\"; filename*=UTF-8''roi_S%C3%BCd_all_7.csv"
    assert disposition("roi_acme_all_7", formats.XLSX) == 'attachment; filename="roi_acme_all_7.xlsx"'
