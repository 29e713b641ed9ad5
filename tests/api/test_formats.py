"""Reports, lists, entries and the log as files: what is downloaded is what is answered, to the cent, and all of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import openpyxl
import pytest
from defusedxml.ElementTree import fromstring
from pyarrow import parquet

from service.domain import words
from service.domain.contributions import REPORTS
from tests.conftest import Api
from tests.support.sending import cost, event, lead

COSTS = 130  # more than a page
TABLES = ("csv", "xlsx", "parquet")
FORMULA = "=cmd|'/c calc'!A1"


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    """Post an event of each type, more costs than a page has, and a text that is a formula."""
    kinds = [one for one in words.EVENTS if one not in {"subject.erased", "order.cancelled", "invoice.cancelled"}]
    more = [cost(f"k{n}", "fair-2026", "10.01", "2026-03-02") for n in range(COSTS)]
    ugly = [
        lead("L-9", FORMULA, "2026-03-03", channel="+49"),
        event("campaign.registered", campaign_id=FORMULA, name="-Süd"),
    ]
    assert {one["status"] for one in module_api.post(*map(words.example_of, kinds), *more, *ugly)["items"]} == {
        "accepted"
    }
    module_api.read("/v1/roi")
    return module_api


def get(api: Api, path: str, form: str, **asked: Any) -> httpx.Response:
    answer = api.http.get(path, params={"format": form, **asked})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith("attachment; filename="), answer.headers
    return answer


def read(answer: httpx.Response, form: str) -> list[dict[str, Any]]:
    """Read a file as its user would."""
    if form == "csv":
        return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))
    if form == "parquet":
        return list(parquet.read_table(io.BytesIO(answer.content)).to_pylist())
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets[0]
    heads, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(map(str, heads), row, strict=True)) for row in rows]


def flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if name == "change":
            yield from ((f"{name}.{figure}.{part}", one[part]) for figure, one in (value or {}).items() for part in one)
        elif isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.") if name != "reasons" else ()
        elif name != "compared":
            yield f"{prefix}{name}", value


def same(found: Any, value: Any, form: str) -> bool:
    """Tell whether a cell has what the answer says."""
    if form == "csv":
        written = (
            "; ".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value
        )
        number = isinstance(value, float | int) and not isinstance(value, bool)
        return bool(Decimal(found) == Decimal(str(value)) if number else found.removeprefix("'") == (written or ""))
    if isinstance(found, datetime) and isinstance(value, str) and "T" in value:
        moved = found.replace(tzinfo=UTC) - datetime.fromisoformat(value)
        return bool(abs(moved.total_seconds()) < 0.001)
    if isinstance(found, date):
        return bool(str(found)[:10] == value)
    if isinstance(found, Decimal | float | int) and isinstance(value, str):
        return Decimal(str(found)) == Decimal(value)
    return bool(found == ("; ".join(value) if isinstance(value, list) and form == "xlsx" else value))


def check(rows: list[dict[str, Any]], answered: list[dict[str, Any]], form: str) -> None:
    assert len(rows) == len(answered)
    for row, known in zip(rows, answered, strict=True):
        for name, value in flat(known):
            assert name in row or value is None, name
            assert same(row.get(name, "" if form == "csv" else None), value, form), (name, row.get(name), value)


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_downloaded_as_it_is_answered(told: Api, name: str, form: str) -> None:
    path = f"/v1/reports/{name}"
    at = {"as_of": told.http.get("/v1/ledger").json()["last_position"]}
    answered = told.read(path, **at)
    rows = read(get(told, path, form, **at), form)
    if REPORTS[name].keys == ():  # the total is the row of a file
        answered["rows"] = [{one: value for one, value in answered["total"].items() if one not in REPORTS[name].parts}]
    check(rows, answered["rows"], form)
    if rows:
        figures = [one for one in rows[0] if one in REPORTS[name].figures]
        assert figures == [one for one in REPORTS[name].figures if one in figures]
        assert set(figures) == set(REPORTS[name].figures) - REPORTS[name].on_request


@pytest.mark.parametrize("form", TABLES)
def test_filters_comparison_pages_and_one_campaign_are_what_they_are_in_json(told: Api, form: str) -> None:
    window = {"from": "2026-03-01", "to": "2026-04-01", "compare": "previous", "group_by": "campaign,day"}
    for path, asked in (
        ("/v1/roi", window), ("/v1/roi", {"sort": "-actual_cost", "limit": 2}), ("/v1/opportunities", {}),
        ("/v1/roi", {"campaign_id": FORMULA, "group_by": "channel"}), ("/v1/roi", {"include": "break_even_on"}),
    ):  # fmt: skip
        answered = told.read(path, **asked)
        found = get(told, path, form, **asked)
        check(read(found, form), answered["rows"], form)
        assert ("next" in found.links) == (answered["next"] is not None)
    answered = told.read("/v1/campaigns/fair-2026/roi")
    (row,) = read(get(told, "/v1/campaigns/fair-2026/roi", form), form)
    assert same(row["actual_cost"], answered["actual_cost"], form)
    assert row["campaign_name"] == answered.get("name", "Spring fair 2026") or row["campaign_name"]


def test_names_and_formulas(told: Api) -> None:
    rows = {row["campaign_id"]: row for row in read(get(told, "/v1/roi", "csv"), "csv")}
    assert rows[f"'{FORMULA}"]["campaign_name"] == "'-Süd"
    rows = {row["campaign_id"]: row for row in read(get(told, "/v1/roi", "xlsx"), "xlsx")}
    assert rows[FORMULA]["campaign_name"] == "-Süd"
    about = openpyxl.load_workbook(io.BytesIO(get(told, "/v1/roi", "xlsx").content))["about"]
    lines = {row[0]: row[1] for row in about.iter_rows(values_only=True)}
    total = told.read("/v1/roi")["total"]
    assert (lines["ledger"], Decimal(str(lines["actual_cost"]))) == (told.ledger.name, Decimal(total["actual_cost"]))


@pytest.mark.parametrize("form", [*TABLES, "json"])
def test_all_entries_of_a_figure_are_in_a_file_and_add_up_to_it(told: Api, form: str) -> None:
    asked = {"measure": "actual_cost", "campaign_id": "fair-2026"}
    page = told.read("/v1/roi/entries", **asked, limit=1000)
    assert page["count"] > COSTS
    found = get(told, "/v1/roi/entries", form, **asked)
    if form == "json":
        assert found.json() == page
    else:
        rows = read(found, form)
        check(rows, page["entries"], form)
        assert sum(Decimal(str(row["amount"])) for row in rows) == Decimal(page["sum"])
    of_campaign = get(told, "/v1/campaigns/fair-2026/roi/entries", form, measure="actual_cost")
    assert len(of_campaign.content) > len(found.content) * 0.9
    first = get(told, "/v1/roi/entries", form, **asked, limit=3)
    assert len(first.json()["entries"] if form == "json" else read(first, form)) == 3
    assert "next" in first.links
    days = {"measure": "full_cycle.mean_days"}
    if form in TABLES:
        check(
            read(get(told, "/v1/velocity/entries", form, **days), form),
            told.read("/v1/velocity/entries", **days)["entries"],
            form,
        )


@pytest.mark.parametrize("form", [*TABLES, "json"])
def test_the_log_is_downloaded_as_a_whole(told: Api, form: str) -> None:
    known = [one for after in (0, 100) for one in told.http.get("/v1/events", params={"after": after}).json()]
    assert len(known) > 150
    found = get(told, "/v1/events", form)
    if form == "json":
        assert found.json() == known
        assert found.headers["content-type"] == "application/cloudevents-batch+json"
        return
    rows = read(found, form)
    assert [int(row["position"]) for row in rows] == [one["position"] for one in known]
    for row, one in zip(rows, known, strict=True):
        for name in ("type", "source", "id", "time"):
            assert same(row[name], one[name], form)
        campaign = one["data"].get("campaign_id")
        assert same(row["data.campaign_id"] or ("" if form == "csv" else None), campaign, form)
    some = read(get(told, "/v1/events", form, type="campaign.cost_booked", limit=3, after=5), form)
    assert [row["type"] for row in some] == ["campaign.cost_booked"] * 3
    assert not any(name.startswith("data.order") for name in some[0])


def test_a_chart_shows_one_figure_of_each_row(told: Api) -> None:
    answered = told.read("/v1/roi", sort="-actual_cost")
    found = told.http.get("/v1/roi", params={"format": "svg", "sort": "-actual_cost"})
    assert found.headers["content-type"] == "image/svg+xml"
    assert "roi-actual_cost" in found.headers["content-disposition"]
    texts = ["".join(one.itertext()) for one in fromstring(found.text).iter("{http://www.w3.org/2000/svg}text")]
    shown = [
        answered["names"].get(row["campaign_id"], row["campaign_id"] or "unattributed") for row in answered["rows"]
    ]
    assert [one for one in texts if one in shown] == shown
    assert {f"{Decimal(row['actual_cost']):,}" for row in answered["rows"]} <= {*texts}
    periods = told.http.get(
        "/v1/roi", params={"group_by": "month", "figure": "roi.booked"}, headers={"Accept": "image/svg+xml"}
    )
    assert "2026-03" in periods.text
    assert "roi.booked by month" in periods.text
    again = told.http.get(
        "/v1/roi", params={"format": "svg", "sort": "-actual_cost"}, headers={"If-None-Match": found.headers["etag"]}
    )
    assert again.status_code == 304
    drawn = told.http.get("/v1/roi", params={"format": "png"})
    assert (drawn.headers["content-type"], drawn.content[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    for name in REPORTS:
        drawn = told.http.get(f"/v1/reports/{name}", params={"format": "svg"})
        assert drawn.status_code == (422 if REPORTS[name].keys == () else 200), name  # without rows there is no chart
    for path, asked in (
        ("/v1/roi", {"figure": "roas"}), ("/v1/roi", {"figure": "none", "format": "svg"}),
        ("/v1/opportunities", {"format": "svg"}),
        ("/v1/roi/entries", {"format": "png", "measure": "roas"}), ("/v1/events", {"format": "svg"}),
    ):  # fmt: skip
        assert told.http.get(path, params=asked).status_code == 422


def test_accept_chooses_the_format_and_answers_are_kept_apart(told: Api) -> None:
    at = told.http.get("/v1/ledger").json()["last_position"]
    tags = set()
    for _ in range(2):  # the second time from memory
        for accept, begins in (
            ("text/csv", b"campaign_id,"),
            ("application/json", b"{"),
            ("*/*", b"{"),
            ("text/csv", b"campaign_id,"),
        ):
            found = told.http.get("/v1/roi", headers={"Accept": accept})
            assert found.content.startswith(begins), accept
            assert found.headers["content-type"].startswith("text/csv" if b"," in begins else "application/json")
            assert "Accept," in found.headers["vary"]
            tags.add(found.headers["etag"])
            again = told.http.get("/v1/roi", headers={"Accept": accept, "If-None-Match": found.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
    assert len(tags) == 2
    found = told.http.get("/v1/events", headers={"Accept": "text/csv"})
    assert len(found.text.splitlines()) > at
    assert told.http.get("/v1/roi", headers={"Accept": "text/html"}).status_code == 406
    assert told.http.get("/v1/events", headers={"Accept": "text/html"}).status_code == 406
    refused = told.http.get("/v1/reports/calls", params={"format": "doc"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "format"
    early = told.http.get("/v1/roi/entries", params={"format": "csv", "measure": "actual_cost", "now": "noon"})
    assert early.status_code == 422  # found while it is made, and a problem, for nothing has been sent yet


def test_entries_say_that_nothing_is_new(told: Api) -> None:
    asked = {"measure": "actual_cost", "format": "csv"}
    found = told.http.get("/v1/roi/entries", params=asked)
    again = told.http.get("/v1/roi/entries", params=asked, headers={"If-None-Match": found.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("form", [*TABLES, "json"])
def test_head_makes_nothing_and_tells_the_same(told: Api, form: str) -> None:
    for path in ("/v1/events", "/v1/roi/entries?measure=actual_cost", "/v1/roi"):
        url = f"{path}{'&' if '?' in path else '?'}format={form}"
        head, whole = told.http.head(url), told.http.get(url)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-disposition", "etag"):
            assert head.headers.get(name) == whole.headers.get(name)


def test_files_are_named_and_compressed(told: Api) -> None:
    at = told.http.get("/v1/ledger").json()["last_position"]
    asked = {"from": "2026-03-01", "to": "2026-04-01"}
    found = get(told, "/v1/roi", "xlsx", **asked)
    name = f'filename="roi_{told.ledger.name}_2026-03-01_2026-04-01_{at}.xlsx"'
    assert name in found.headers["content-disposition"]
    assert "content-encoding" not in found.headers  # it is packed already
    for path in ("/v1/events", "/v1/roi/entries?measure=actual_cost"):
        plain = told.http.get(
            path,
            params=[*httpx.URL(path).params.multi_items(), ("format", "csv")],
            headers={"Accept-Encoding": "identity"},
        )
        packed = told.http.get(
            path, params=[*httpx.URL(path).params.multi_items(), ("format", "csv")], headers={"Accept-Encoding": "gzip"}
        )
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.text == plain.text
        assert "content-encoding" not in plain.headers
        assert packed.num_bytes_downloaded * 4 < len(plain.content)
