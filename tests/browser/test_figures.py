"""The figures on the page are the API's, and each opens to entries whose sum it is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from tests.browser.conftest import path_of
from tests.conftest import Api

PERIOD = {"from": "2025-07-01", "to": "2026-07-01"}
OPENED = [
    ("campaigns", "return=invoiced"), ("campaign", "campaign_id=CMP-FAIR"), ("profit", ""), ("leads", ""), ("sales", ""),
]  # fmt: skip
_FIGURE = re.compile(r'<a href="([^"]*/entries[^"]*)"[^>]*><data value="([^"]*)"')
_SUM = re.compile(r'id="sum">([^<]*)<')
ASKED = "period=custom&from=2025-07-01&to=2026-07-01"


async def test_the_ranking_is_the_report_and_adds_up(usual: Api, look: Callable[..., Any]) -> None:
    answer = usual.read("/v1/roi", include="break_even_on", **PERIOD)
    expected = {row["campaign_id"]: row for row in [*answer["rows"], {"campaign_id": "total", **answer["total"]}]}
    async with look(usual) as looked:
        await looked.open(path_of(usual, "campaigns", f"{ASKED}&return=invoiced"))
        rows = await looked.page.evaluate(
            """() => [...document.querySelectorAll('table.ranking tbody tr, table.ranking tfoot tr')].map((row) => ({
                of: row.className, href: (row.querySelector('th a') || {href: ''}).href,
                values: [...row.querySelectorAll('td data')].map((one) => one.value) }))"""
        )
    costs = {"row": Decimal(0), "rest": Decimal(0), "total": Decimal(0)}
    for row in rows:
        campaign = dict(parse_qsl(urlsplit(row["href"]).query)).get("campaign_id")
        known = expected["total" if row["of"] == "total" else campaign]
        assert row["values"][:2] == [known["actual_cost"], known["invoiced_revenue"]]
        assert Decimal(row["values"][2]) == Decimal(known["invoiced_revenue"]) - Decimal(known["actual_cost"])
        costs[row["of"] or "row"] += Decimal(row["values"][0])
    assert len(rows) == len(expected)
    assert costs["row"] + costs["rest"] == costs["total"]


async def test_tiles_funnel_and_velocity_are_those_of_the_reports(usual: Api, look: Callable[..., Any]) -> None:
    roi, funnel = usual.read("/v1/roi", **PERIOD)["total"], usual.read("/v1/conversion", **PERIOD)["total"]["funnel"]
    velocity = usual.read("/v1/velocity", **PERIOD)["total"]
    async with look(usual) as looked:
        await looked.open(path_of(usual, "campaigns", ASKED))
        tiles = await looked.page.locator(".tile .large").all_inner_texts()
        assert tiles[0] == f"€{round(Decimal(roi['actual_cost'])):,}"
        assert tiles[4] == f"{roi['new_customers']:,}"
        counts = await looked.page.eval_on_selector_all(
            "table.funnel tbody tr", "all => all.map((one) => one.querySelector('data').value)"
        )
        assert counts == [str(step["count"]) for step in funnel.values()]
        medians = await looked.page.eval_on_selector_all(
            "table.velocity tbody tr", "all => all.map((one) => (one.querySelectorAll('data')[1] || {}).value)"
        )
        assert medians[0] == str(velocity["captured_to_qualified"]["p50_days"])


@pytest.mark.parametrize(("path", "query"), OPENED, ids=[path for path, _ in OPENED])
def test_every_figure_opens_to_entries_whose_sum_it_is(usual: Api, path: str, query: str) -> None:
    found = _FIGURE.findall(usual.http.get(path_of(usual, path, f"{query}&{ASKED}")).text)
    assert len(found) > 40
    for href, value in found[:: max(1, len(found) // 60)]:
        opened = usual.http.get(unescape(href))
        assert opened.status_code == 200, href
        told = _SUM.search(opened.text)
        assert told, href
        sum_of = "".join(one for one in told[1].replace("\N{MINUS SIGN}", "-") if one in "-.%0123456789")
        if sum_of.endswith("%"):
            assert Decimal(sum_of[:-1]) / 100 == Decimal(value), href
        elif value.count("-") < 2 and (
            "." in sum_of or "." not in value
        ):  # else a day; or a share, opened as what it is of
            assert Decimal(sum_of) == Decimal(value), href


async def test_a_figure_leads_to_its_entries_their_journey_and_the_event_as_sent_and_back(
    usual: Api, look: Callable[..., Any]
) -> None:
    async with look(usual) as looked:
        page = looked.page
        await looked.open(path_of(usual, "campaigns", f"{ASKED}&return=invoiced"))
        await page.click("table.ranking tbody tr:first-child td:nth-of-type(2) a")
        amounts = await page.eval_on_selector_all("table.entries td data", "all => all.map((one) => one.value)")
        total = await page.inner_text("#sum")
        assert sum(map(Decimal, amounts)) == Decimal(total.replace(",", "").replace("EUR", "").strip())
        await page.click("table.entries tbody tr:first-child td a:has-text('invoice')")
        assert await page.locator(".timeline li").count() > 2
        await page.click(".timeline a:has-text('invoice.posted')")
        assert '"type": "invoice.posted"' in await page.inner_text("pre.sent")
        for _ in range(3):
            await page.locator(".crumbs a").last.click()
        assert "/campaigns?" in page.url
        assert "from=2025-07-01" in page.url


async def test_a_pinned_url_shows_the_same_after_more_has_come(
    make_ledger: Callable[..., Api], look: Callable[..., Any]
) -> None:
    api = make_ledger("pinned", [cost("1", "100.00")])
    async with look(api) as looked:
        await looked.open(path_of(api, "campaigns"))
        await looked.page.click(".as-of a")
        pinned = looked.page.url
        api.post(cost("2", "23.00"))
        api.read("/v1/roi")
        await looked.open(pinned)
        assert await looked.page.inner_text(".tile .large >> nth=0") == "€100"
        await looked.page.click(".as-of a")
        assert await looked.page.inner_text(".tile .large >> nth=0") == "€123"


def cost(name: str, amount: str) -> dict[str, Any]:
    """Return a booked cost of this year."""
    data = {
        "cost_entry_id": name,
        "campaign_id": "fair",
        "amount": {"amount": amount, "currency": "EUR"},
        "cost_date": "2026-01-05",
    }
    return {
        "specversion": "1.0",
        "id": f"cost-{name}",
        "source": "/erp",
        "type": "campaign.cost_booked",
        "time": "2026-01-05T09:00:00Z",
        "data": data,
    }


def test_what_is_downloaded_is_what_is_shown(usual: Api) -> None:
    page = usual.http.get(path_of(usual, "campaigns", f"{ASKED}&return=invoiced")).text
    shown = dict.fromkeys(value for _, value in _FIGURE.findall(page))
    files = [unescape(one) for one in re.findall(r'href="([^"]*/data/reports/roi[^"]*)"', page)]
    by_form = {parse_qs(urlsplit(one).query)["format"][0]: one for one in files}
    assert {"csv", "xlsx", "parquet", "json"} <= by_form.keys()
    rows = usual.http.get(by_form["json"]).json()
    assert {row["invoiced_revenue"] for row in [*rows["rows"], rows["total"]]} <= set(shown)
    table = list(csv.DictReader(io.StringIO(usual.http.get(by_form["csv"]).text)))
    assert {row["actual_cost"] for row in table} >= {row["actual_cost"] for row in rows["rows"]}


async def test_every_model_ends_in_the_same_total(usual: Api, look: Callable[..., Any]) -> None:
    async with look(usual) as looked:
        await looked.open(path_of(usual, "attribution", f"{ASKED}&return=booked"))
        totals = await looked.page.eval_on_selector_all("tfoot data", "all => all.map((one) => one.value)")
    assert len(set(totals[:-1])) == 1
    assert totals[0] == usual.read("/v1/roi", **PERIOD)["total"]["booked_revenue"]
    assert Decimal(totals[-1]) == 0
