"""Pages that are open stay up to date; what is new since the last look is told; and what a browser may do is little."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.browser.conftest import path_of
from tests.browser.test_figures import cost
from tests.conftest import Api


async def test_a_new_event_is_on_an_open_page_within_a_second_of_being_in_the_figures(
    make_ledger: Callable[..., Api], look: Callable[..., Any]
) -> None:
    api = make_ledger("live", [cost(str(number), "10.00") for number in range(40)])
    async with look(api, width=500) as looked:
        page = looked.page
        await looked.open(path_of(api, "campaigns"))
        await page.wait_for_selector(".live[data-state=live]")
        await page.click("details summary")
        link = "table.ranking tbody th a"
        await page.focus(link)
        await page.evaluate("scrollTo(0, 200)")
        api.post(cost("new", "7.00"))
        api.read("/v1/roi")
        begun = time.monotonic()
        await page.locator(".tile .large", has_text="€407").first.wait_for()
        assert time.monotonic() - begun < 5  # a second on a quiet machine
        assert await page.evaluate("document.activeElement.matches('table.ranking tbody th a')")
        assert await page.evaluate("scrollY") == 200
        assert await page.evaluate("document.querySelector('details').open")


async def test_what_changed_since_the_last_look_is_told_in_sentences(
    make_ledger: Callable[..., Api], look: Callable[..., Any]
) -> None:
    api = make_ledger("looked", [cost("1", "100.00")])
    async with look(api) as looked:
        page = looked.page
        await looked.open(path_of(api, "campaigns"))
        assert "first time" in await page.inner_text("#changed")
        api.post(cost("2", "310.50"))
        api.read("/v1/roi")
        await page.context.add_cookies([{**(await page.context.cookies())[0], "value": "1.1.1"}])
        await looked.open(path_of(api, "campaigns"))
        told = await page.inner_text("#changed")
        assert "Jan 2026, fair: Cost +€310.50 because cost entry 2 was booked on 5 Jan 2026" in told


async def test_a_page_may_run_and_load_what_comes_from_here_and_nothing_else(usual: Api) -> None:
    answer = usual.http.get(path_of(usual, "campaigns"))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
    )
    assert "require-trusted-types-for 'script'" in policy
    for forbidden in (" style=", "onclick=", "<script>", "<style"):
        assert forbidden not in answer.text
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert len(usual.http.get(path_of(usual, "campaigns"), headers={"Accept-Encoding": "gzip"}).content) > 20_000


async def test_a_page_asked_again_is_told_to_be_the_same(usual: Api) -> None:
    path = path_of(usual, "campaigns", "period=2025")
    first = usual.http.get(path)
    again = usual.http.get(
        path, headers={"If-None-Match": first.headers["etag"], "Cookie": first.headers["set-cookie"].partition(";")[0]}
    )
    assert first.status_code == 200
    assert again.status_code in {200, 304}  # the minute may have passed, and the look is remembered now
    asset = usual.http.get(first.text.partition('href="/static/page')[2].partition('"')[0].join(["/static/page", ""]))
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert usual.http.get("/static/page.0000000000000000.css").status_code == 404


async def test_nobody_sees_a_ledger_without_its_key(usual: Api, empty: Api) -> None:
    path = path_of(usual, "campaigns")
    for headers, status in (
        ({"Authorization": ""}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": f"Bearer {empty.key}"}, 404),
        ({"Authorization": "Basic !"}, 401),
    ):  # fmt: skip
        answer = usual.http.get(path, headers=headers)
        assert answer.status_code == status
        assert "<h1>" in answer.text
    assert usual.http.get(path, headers={"Authorization": ""}, auth=("anybody", usual.key)).status_code == 200


async def test_the_language_is_the_browsers_until_another_is_chosen(usual: Api) -> None:
    path = path_of(usual, "campaigns")
    assert '<html lang="de">' in usual.http.get(path, headers={"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"}).text
    chosen = usual.http.get("/language", params={"to": "sv", "back": "//elsewhere.example"})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/")
    assert "language=sv" in chosen.headers["set-cookie"]
    usual.http.cookies.clear()
