"""What is done on the page: by forms, without JavaScript too; and what goes on elsewhere shows up by itself."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import Source
from tests.browser.conftest import AXE, Looked, path_of
from tests.browser.ledgers import HOSTILE, LONG, UNBROKEN
from tests.browser.test_screens import _STICKS_OUT, WIDTHS
from tests.conftest import Api
from tests.support.sending import cost, lead, order
from tests.support.tables import COSTS

SAMPLES = Path(__file__).parents[2] / "docs/senders/samples"
_numbers = itertools.count(1)
CSV = "No,Day,Campaign,Net\n1,2026-03-01,Fair,10.00\n2,not a day,Fair,11.00\n3,2026-03-03,Mail,12.50\n"


def bad(number: int, identity: str = "") -> dict[str, Any]:
    """Return an order whose amount has a digit too many."""
    wrong = order(f"O-{number}", "10.00", campaign_id="c")
    wrong["data"]["net_value"]["amount"] = "10.005"
    return {**wrong, "id": identity or f"bad-{number}"}


@pytest.fixture
def waiting(make_ledger: Callable[..., Api]) -> Api:
    """A ledger in which something waits in every way."""
    api = make_ledger(
        f"waiting {next(_numbers)}", [lead("L", "c"), cost("C", "c", "5.00"), cost("J", "c", "700", currency="JPY")]
    )
    for number in range(3):
        api.http.post("/v1/events", json=bad(number))
    api.http.post("/v1/events", json={**bad(9), "type": "order.place"})
    api.post(order("O-late", "7.00", opportunity_id="never"))
    api.read("/v1/roi")
    return api


async def status(method: str, url: str, headers: dict[str, str], body: bytes = b"") -> int:
    """Ask as a program does, and return the status."""
    async with httpx.AsyncClient() as http:
        return (await http.request(method, url, headers=headers, content=body)).status_code


async def text(looked: Looked, selector: str = "main") -> str:
    return await looked.page.inner_text(selector)


async def test_what_waits_is_told_as_the_api_tells_it(waiting: Api, look: Callable[..., Any]) -> None:
    told = waiting.read("/v1/completeness")["waiting"]
    async with look(waiting) as looked:
        await looked.open(path_of(waiting, "completeness"))
        rows = looked.page.locator("table.waiting tbody tr")
        counts = [int(await one.get_attribute("value") or 0) for one in await rows.locator("data").all()]
        assert sorted(counts) == sorted(one["count"] for one in told)
        assert "JP¥700" in await text(looked, "table.waiting")
        assert await looked.page.locator("form.one").count() == 0  # nobody is signed in
        assert "Sign in" in await text(looked, "#quarantine")


async def test_items_are_corrected_tried_again_and_dismissed_without_javascript(
    waiting: Api, look: Callable[..., Any]
) -> None:
    async with look(waiting, javascript=False, signed_in=True) as looked:
        page = looked.page
        await looked.open(path_of(waiting, "completeness"))
        await page.locator(".items li").first.locator("a.button").click()
        body = await page.input_value("textarea")
        await page.click("text=Try it so")
        assert "at most 2 decimal places" in await text(looked, ".refused, .sentences")
        await page.fill("textarea", body.replace("10.005", "10.00"))
        await page.click("text=Try it so")
        assert "is an event now" in await text(looked, ".done")
        item = page.locator(".items li").first
        await item.locator("summary", has_text="Dismiss").click()
        await item.locator("input[name=reason]").fill("a test, agreed with finance")
        await item.locator("button", has_text="Dismiss").click()
        assert "Put away" in await text(looked, ".done")
        await page.click("button:has-text('Try all again')")
        assert "some still wait" in await text(looked, ".done")
    states = {
        state: [one["id"] for one in waiting.http.get("/v1/quarantine", params={"state": state}).json()["items"]]
        for state in ("resolved", "dismissed", "waiting")
    }
    assert states == {"resolved": [1], "dismissed": [2], "waiting": [3, 4]}
    (entry,) = waiting.http.get("/v1/audit", params={"action": "quarantine.dismissed"}).json()["items"]
    assert entry["details"] == {"items": 1, "reason": "a test, agreed with finance"}
    assert waiting.read("/v1/roi")["total"]["booked_revenue"] == "17.00"


async def test_a_rebuild_is_begun_and_watched_until_it_serves(waiting: Api, look: Callable[..., Any]) -> None:
    async with look(waiting, signed_in=True) as looked:
        await looked.open(path_of(waiting, "operations"))
        await looked.page.locator("#rebuilds button", has_text="Rebuild").click()
        await looked.page.locator("#rebuilds", has_text="Generation 2 serves: the same").wait_for()
        await looked.page.locator("#rebuilds summary", has_text="Go back").click()
        await looked.page.locator("#rebuilds button", has_text="Go back").click()
        await looked.page.locator("#rebuilds", has_text="Generation 1 serves").wait_for()
    done = [one["action"] for one in waiting.http.get("/v1/audit").json()["items"]]
    assert {"rebuild.begun", "generation.rolled_back"} <= set(done)


async def test_a_key_is_made_shown_once_and_revoked(waiting: Api, look: Callable[..., Any], service_url: str) -> None:
    async with look(waiting, javascript=False, signed_in=True) as looked:
        page = looked.page
        await looked.open(path_of(waiting, "operations"))
        await page.click("summary:has-text('Make a key')")
        await page.fill("#keys input[name=name]", HOSTILE)
        await page.fill("#keys input[name=addresses]", "127.0.0.1, 10.0.0.0/8")
        await page.click("button:has-text('Make it')")
        key = await text(looked, ".secret")
        opened = {"Authorization": f"Bearer {key}"}
        assert await status("GET", f"{service_url}/v1/roi", opened) == 200
        assert await status("GET", f"{service_url}/v1/audit", opened) == 403
        await looked.open(path_of(waiting, "operations"))
        assert key not in await page.content()
        row = page.locator("#keys tr", has_text=HOSTILE)
        assert "127.0.0.1/32, 10.0.0.0/8" in await row.inner_text()
        await row.locator("summary").click()
        await row.locator("button").click()
        assert "opens nothing any more" in await text(looked, ".done")
    assert await status("GET", f"{service_url}/v1/roi", opened) == 401


async def test_a_system_is_connected_and_its_first_delivery_shows_up_by_itself(
    empty: Api, look: Callable[..., Any]
) -> None:
    async with look(empty, signed_in=True) as looked:
        page = looked.page
        assert page.url.endswith("/start")  # an empty ledger leads there
        await page.click("text=standard-webhooks")
        await page.fill("input[name=name]", "the-shop")
        await page.click("button:has-text('Make it')")
        url, secret = await page.locator(".secret").all_inner_texts()
        await page.click("text=I have entered it")
        assert "Nothing yet" in await text(looked)
        sent = (SAMPLES / "standard-webhooks/order-placed.json").read_bytes()
        kind = KINDS["standard-webhooks"]
        source = Source("x", kind.name, "the-shop", (secret,), kind.check_mapping({}), url)
        headers = kind.sign(sent, source, datetime.now(UTC))
        assert await status("POST", url, headers, sent) == 202
        await page.wait_for_selector("table.deliveries td")
        await looked.page.locator("table.deliveries", has_text="accepted").wait_for()
        assert "URL" in await text(looked)
        assert secret not in await page.content()


async def test_a_file_is_looked_at_before_it_is_imported(
    make_ledger: Callable[..., Api], look: Callable[..., Any], tmp_path: Path
) -> None:
    api = make_ledger("importing", ())
    (tmp_path / "costs.csv").write_text(CSV, encoding="utf-8")
    async with look(api, javascript=False, signed_in=True) as looked:
        page = looked.page
        await looked.open(path_of(api, "import"))
        await page.set_input_files("input[type=file]", tmp_path / "costs.csv")
        await page.fill("textarea", "files: 7")
        await page.click("text=Look at it")
        assert "files" in await text(looked, ".refused")
        await page.fill("textarea", COSTS)
        await page.click("text=Look at it")
        events = await text(looked, "table.events")
        assert [events.count(one) for one in ("campaign.cost_booked", '"12.50"')] == [2, 1]
        problems = await text(looked, "table.problems")
        assert re.search(r"^3\s.*not a day", problems, re.MULTILINE | re.DOTALL)
        assert api.http.get("/v1/ledger").json()["last_position"] == 0
        await page.click("text=Import it")
        for _ in range(50):
            if "All of it is in" in await text(looked):
                break
            await asyncio.sleep(0.1)
            await page.reload()
        assert "new\n2" in await text(looked, ".made-of")
        assert "not a day" in await text(looked, "table.problems")
        await looked.open(path_of(api, "import"))  # the same once more adds nothing
        await page.set_input_files("input[type=file]", tmp_path / "costs.csv")
        await page.fill("textarea", COSTS)
        await page.click("text=Look at it")
        assert "is in already" in await text(looked)
    assert api.read("/v1/roi")["total"]["actual_cost"] == "22.50"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing_where_something_can_be_done_and_nothing_sticks_out(
    waiting: Api, look: Callable[..., Any], *, dark: bool
) -> None:
    for number, name in enumerate((LONG, UNBROKEN, HOSTILE)):
        waiting.http.post("/v1/events", json=bad(20 + number, name))
    waiting.http.post("/v1/keys", json={"scopes": ["read"], "name": UNBROKEN}).raise_for_status()
    grant = {"issuer": "https://id.example.com/" + "x" * 150, "subject": UNBROKEN, "scopes": ["read"]}
    waiting.http.post("/v1/grants", json=grant).raise_for_status()
    waiting.http.post("/v1/sources", json={"kind": "odoo", "name": "erp", "path_secret": True}).raise_for_status()
    rebuild = waiting.http.post("/v1/rebuilds", json={"dry_run": True}).json()["id"]
    screens = {
        "completeness": "", "quarantine": "item=1", "operations": "", "differences": f"rebuild={rebuild}", "start": "",
        "connect": "kind=generic", "import": "",
    }  # fmt: skip
    async with look(waiting, dark=dark, signed_in=True, bypass_csp=True) as looked:
        for path in ["/sessions", *(path_of(waiting, path, query) for path, query in screens.items())]:
            await looked.open(path)
            await looked.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            for width in WIDTHS if not dark else (360,):
                await looked.page.set_viewport_size({"width": width, "height": 900})
                assert await looked.page.evaluate(_STICKS_OUT) == [], (path, width)
            if AXE.exists():
                await looked.page.add_script_tag(path=AXE)
                found = await looked.page.evaluate("axe.run({resultTypes: ['violations']})")
                told = [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found["violations"]]
                assert told == [], path
