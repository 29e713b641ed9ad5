"""Each screen, in a real browser: it opens, without JavaScript too, nothing bars anybody's way, and nothing sticks out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.dashboard.app import SCREENS
from tests.browser.conftest import AXE, path_of
from tests.conftest import Api

_QUERY = {  # what a screen is of that is not in the menu
    "campaign": "campaign_id=CMP-FAIR",
    "entries": "report=roi&measure=roi.margin&campaign_id=CMP-FAIR",
    "journey": "kind=invoice&id={invoice}",
    "event": "position=7",
    "deal": "id={order}",
    "connect": "kind=hubspot",
    "quarantine": "",  # these two are looked at where there is something to see: test_deeds
    "differences": "",
}
_UGLY = {
    "campaign": "campaign_id=C-0001",
    "entries": "report=roi&measure=left.invoiced",
    "journey": "kind=invoice&id=I-5",
    "event": "position=2",
    "deal": "id=O-5",
    "connect": "kind=odoo",
}
_EMPTY = {"entries": "report=roi&measure=actual_cost"}
WIDTHS = (360, 768, 1100, 1440)
_STICKS_OUT = """() => {
    const wide = document.documentElement.clientWidth;
    const clipped = (one) => one.closest('.unseen, .go, .skip, details:not([open]) > :not(summary)');
    return [...document.querySelectorAll('body *')]
        .filter((one) => one.getClientRects().length && !clipped(one) && one.getBoundingClientRect().right > wide + 1)
        .map((one) => `${one.tagName}.${one.getAttribute('class') || ''} ${(one.textContent || '').trim().slice(0, 40)}`)
        .concat(document.documentElement.scrollWidth > wide ? ['scrolls sideways'] : []);
}"""


def named(api: Api) -> dict[str, str]:
    """Return an invoice that has a journey, and an order."""
    credited, placed = (
        api.http.get("/v1/events", params={"type": one, "limit": 1}).json()[0]["data"]
        for one in ("invoice.credited", "order.placed")
    )
    return {"invoice": credited["invoice_id"], "order": placed["order_id"]}


def queries(api: Api, known: dict[str, str]) -> dict[str, str]:
    """Return what each screen is to be asked for; those that need something that a ledger has not are left out."""
    left_out = {path for path in _QUERY if not known.get(path)}
    wanted = {one.path: known.get(one.path, "") for one in SCREENS if one.path not in left_out}
    return {path: query.format(**named(api)) if "{" in query else query for path, query in wanted.items()}


async def test_each_screen_opens_with_its_question_and_says_what_it_is_as_of(
    usual: Api, look: Callable[..., Any]
) -> None:
    position = usual.http.get("/v1/ledger").json()["last_position"]
    async with look(usual) as looked:
        for path, query in queries(usual, _QUERY).items():
            await looked.open(path_of(usual, path, query))
            assert await looked.page.locator("h1").count() == 1, path
            assert f"As of position {position:,}" in await looked.page.inner_text(".as-of"), path


async def test_each_screen_is_there_without_javascript(usual: Api, look: Callable[..., Any]) -> None:
    async with look(usual, javascript=False) as looked:
        await looked.open(path_of(usual, "campaigns"))
        await looked.page.select_option("select[name=period]", "2025")
        await looked.page.click(".filters .go")
        assert "period=2025" in looked.page.url
        assert await looked.page.locator("table.ranking tbody tr").count() > 10
        await looked.page.click("table.ranking tbody tr:first-child th a")
        assert "campaign_id=" in looked.page.url


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing(usual: Api, look: Callable[..., Any], *, dark: bool) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `make browser` does that, where there is npm")
    async with look(usual, dark=dark, bypass_csp=True) as looked:
        for width in (1240,) if dark else (1240, 360):
            await looked.page.set_viewport_size({"width": width, "height": 900})
            for path, query in queries(usual, _QUERY).items():
                await looked.open(path_of(usual, path, query))
                await looked.page.evaluate(
                    "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
                )
                await looked.page.add_script_tag(path=AXE)
                found = await looked.page.evaluate("axe.run({resultTypes: ['violations']})")
                told = [(one["id"], [node["html"][:150] for node in one["nodes"][:3]]) for one in found["violations"]]
                assert told == [], (path, width)


@pytest.fixture(params=["usual", "ugly", "empty"])
def any_ledger(request: pytest.FixtureRequest, usual: Api, ugly: Api, empty: Api) -> tuple[Api, dict[str, str]]:
    known = {"usual": (usual, _QUERY), "ugly": (ugly, _UGLY), "empty": (empty, _EMPTY)}
    return known[request.param]


async def test_nothing_sticks_out_at_any_width(
    any_ledger: tuple[Api, dict[str, str]], look: Callable[..., Any]
) -> None:
    api, known = any_ledger
    async with look(api) as looked:
        for path, query in queries(api, known).items():
            await looked.open(path_of(api, path, query))
            for width in WIDTHS:
                await looked.page.set_viewport_size({"width": width, "height": 900})
                assert await looked.page.evaluate(_STICKS_OUT) == [], (path, width)


async def test_names_are_shown_as_they_are_whatever_is_in_them(ugly: Api, look: Callable[..., Any]) -> None:
    async with look(ugly) as looked:
        await looked.open(path_of(ugly, "campaigns", "sort=actual_cost"))
        assert "<img src=x onerror=alert(1)> & \"quoted\" 'one'" in await looked.page.inner_text("table.ranking")
        assert await looked.page.locator("table.ranking img").count() == 0


async def test_all_can_be_reached_and_done_by_the_keyboard(usual: Api, look: Callable[..., Any]) -> None:
    async with look(usual) as looked:
        page = looked.page
        await looked.open(path_of(usual, "campaigns"))
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.name") == "period"
        reached = set()
        for _ in range(250):
            reached.add(
                await page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.name || ''")
            )
            await page.keyboard.press("Tab")
        links = await page.eval_on_selector_all(
            "main a[href]:not([tabindex='-1'])",
            "all => all.filter((one) => one.checkVisibility()).map((one) => one.getAttribute('href'))",
        )
        assert set(links) - reached == set()
        await page.focus("select[name=date_basis]")
        async with page.expect_navigation():
            await page.keyboard.press("ArrowDown")
        assert "date_basis=cohort" in page.url
