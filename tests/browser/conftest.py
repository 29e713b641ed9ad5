"""A real browser, and ledgers to look at: Debian's chromium through playwright."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import asyncpg
import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright

from service.store import ledgers as store
from tests.browser import ledgers
from tests.conftest import RUN, Api

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = HERE / "node_modules/axe-core/axe.min.js"
WITHOUT_CHROMIUM = (
    "\n\n*** THE PAGE IS NOT LOOKED AT: there is no chromium on this machine. `apt-get install chromium` gets it on Debian; "
    "`make test` does so as root. ***\n"
)


class Looked(NamedTuple):
    """A page that is looked at, and what was said of it that should not have been."""

    page: Page
    complaints: list[str]

    async def open(self, path: str) -> None:
        """Open a screen."""
        await self.page.goto(path, wait_until="load")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(WITHOUT_CHROMIUM)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        await started.close()


@pytest.fixture(scope="session")
def make_ledger(dsn: str, service_url: str) -> Iterator[Callable[[str, Iterable[dict[str, Any]]], Api]]:
    """Make a ledger with events, which are in the figures when it is given."""
    clients: list[httpx.Client] = []

    def make(name: str, events: Iterable[dict[str, Any]]) -> Api:
        async def create() -> tuple[store.Ledger, str]:
            async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as one:
                made = await store.create_ledger(one, f"{RUN} / {name}")
                return made, await store.create_key(one, made, store.SCOPES)

        made, key = (
            ThreadPoolExecutor(1).submit(lambda: asyncio.run(create())).result()
        )  # a loop may run in this thread
        http = httpx.Client(base_url=service_url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        clients.append(http)
        api, several = Api(http, made, key), list(events)
        for number in range(0, len(several), 500):
            answer = http.post("/v1/events", json=several[number : number + 500])
            assert answer.status_code in {200, 207}, answer.text
        api.read("/v1/roi")
        return api

    yield make
    for one in clients:
        one.close()


@pytest.fixture(scope="session")
def usual(make_ledger: Callable[..., Api]) -> Api:
    return make_ledger("usual", ledgers.usual())


@pytest.fixture(scope="session")
def ugly(make_ledger: Callable[..., Api]) -> Api:
    return make_ledger("ugly", ledgers.ugly())


@pytest.fixture(scope="session")
def empty(make_ledger: Callable[..., Api]) -> Api:
    return make_ledger("empty", ())


def path_of(api: Api, screen: str, query: str = "") -> str:
    """Return where a screen of a ledger is."""
    return f"/ledgers/{quote(api.ledger.name, safe='')}/{screen}{'?' + query if query else ''}"


@pytest.fixture
def look(browser: Browser) -> Callable[..., Any]:
    """Look at pages of a ledger: `async with look(api, width=360) as looked`. In the end nothing may have been complained of.

    Pages are read with the key, or by somebody who is `signed_in` with it and can send forms.
    """

    @asynccontextmanager
    async def looking(
        api: Api, *, width: int = 1240, dark: bool = False, javascript: bool = True, tolerates: tuple[str, ...] = (),
        signed_in: bool = False, **more: Any,
    ) -> AsyncIterator[Looked]:  # fmt: skip
        base = str(api.http.base_url).rstrip("/")
        if not signed_in:
            more["extra_http_headers"] = {"Authorization": f"Bearer {api.key}"}
        context = await browser.new_context(
            base_url=base, viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light",
            java_script_enabled=javascript, locale="en-GB", **more,
        )  # fmt: skip
        page, complaints = await context.new_page(), []
        page.on(
            "console",
            lambda one: complaints.append(f"{one.type}: {one.text}") if one.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda one: complaints.append(f"error: {one}"))
        page.on(
            "request",
            lambda one: None if one.url.startswith((base, "data:")) else complaints.append(f"asked: {one.url}"),
        )
        page.set_default_timeout(20_000)
        if signed_in:
            await page.goto("/login")
            await page.fill("input[name=key]", api.key)
            await page.click("main button")
        yield Looked(page, complaints)
        await context.close()
        assert [one for one in complaints if not any(words in one for words in tolerates)] == []

    return looking
