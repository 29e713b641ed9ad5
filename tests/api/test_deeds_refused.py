"""Forms of the page do what their sender may, and nothing that another site's page has a browser send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import Api


def path_of(api: Api, screen: str) -> str:
    return f"/ledgers/{quote(api.ledger.name, safe='')}/{screen}"


@contextmanager
def browser_of(api: Api, service_url: str) -> Iterator[httpx.Client]:
    """Give a browser that is signed in with the key of a ledger."""
    with httpx.Client(base_url=service_url, timeout=60) as browser:
        assert browser.post("/login", data={"key": api.key}).status_code == 303
        yield browser


@pytest.fixture
def browser(api: Api, service_url: str) -> Iterator[httpx.Client]:
    with browser_of(api, service_url) as one:
        yield one


def csrf_of(browser: httpx.Client) -> str:
    return str(re.findall(r'name="csrf" value="([0-9a-f]{64})"', browser.get("/sessions").text)[0])


MAKE = {"do": "make_key", "name": "x", "scope": "read"}


def test_a_form_needs_the_token_of_its_session_and_to_come_from_here(
    api: Api, browser: httpx.Client, service_url: str
) -> None:
    where, good = path_of(api, "operations"), csrf_of(browser)
    with browser_of(api, service_url) as another:
        others = csrf_of(another)
    for csrf, headers in (
        ("", {}), ("0" * 64, {}), (others, {}), (good, {"Origin": "https://evil.example"}),
        (good, {"Sec-Fetch-Site": "cross-site"}),
    ):  # fmt: skip
        answer = browser.post(where, data={**MAKE, "csrf": csrf}, headers=headers)
        assert answer.status_code == 403, (csrf, headers)
    assert len(api.http.get("/v1/keys").json()["items"]) == 1
    made = browser.post(where, data={**MAKE, "csrf": good}, headers={"Origin": service_url})
    assert (made.status_code, "cl_" in made.text) == (200, True)
    assert made.headers["cache-control"] == "no-store"


def test_a_key_in_a_header_sends_no_forms(api: Api, service_url: str) -> None:
    for auth in ({"Authorization": f"Bearer {api.key}"}, {}):
        answer = httpx.post(f"{service_url}{path_of(api, 'operations')}", data=MAKE, headers=auth)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=%2Fledgers%2F")
    assert len(api.http.get("/v1/keys").json()["items"]) == 1


def test_a_form_does_what_its_scopes_allow_in_its_own_ledger(open_api: Callable[..., Api], service_url: str) -> None:
    reader, other = open_api(scopes=("read",)), open_api()
    reader.http.post("/v1/events", json={"id": "x"})
    with browser_of(reader, service_url) as browser:
        csrf = csrf_of(browser)
        for screen, form in (
            ("operations", MAKE), ("completeness", {"do": "dismiss", "item": "1", "reason": "x"}),
            ("completeness", {"do": "retry", "item": "1"}), ("import", {"do": "run", "upload": "0" * 32}),
            ("connect", {"do": "connect", "kind": "generic", "name": "x"}), ("start", {"do": "demo"}),
        ):  # fmt: skip
            answer = browser.post(path_of(reader, screen), data={**form, "csrf": csrf})
            assert answer.status_code == 403, (screen, form)
            assert browser.post(path_of(other, screen), data={**form, "csrf": csrf}).status_code == 404
        assert browser.get(path_of(reader, "operations")).status_code == 403
        assert "Operations" not in browser.get(path_of(reader, "completeness")).text


def test_what_cannot_be_so_is_said_and_changes_nothing(api: Api, browser: httpx.Client) -> None:
    csrf = csrf_of(browser)
    for screen, form, status, words in (
        ("operations", {"do": "nothing"}, 422, "do: expected one of"),
        ("operations", {"do": "make_key"}, 422, "scopes are"),
        ("operations", {**MAKE, "addresses": "everywhere"}, 422, "addresses: expected"),
        ("operations", {**MAKE, "expires": "2001-01-01"}, 422, "expires_at: expected"),
        ("operations", {"do": "revoke_key", "key": "cl_unknown"}, 404, "no key"),
        ("operations", {"do": "ask", "rebuild": "77", "action": "apply"}, 404, "no rebuild"),
        ("operations", {"do": "ask", "rebuild": "one", "action": "apply"}, 422, "rebuild: expected a whole number"),
        ("operations", {"do": "go_back"}, 409, "no earlier generation"),
        ("completeness", {"do": "dismiss", "item": "7"}, 422, "reason: expected"),
        ("completeness", {"do": "retry", "item": "7"}, 404, "no quarantined item"),
        ("connect", {"do": "connect", "kind": "abacus", "name": "x"}, 422, "kind: expected one of"),
        ("connect", {"do": "connect", "kind": "generic", "name": "x", "mapping": "- a"}, 422, "mapping: expected"),
        ("import", {"do": "run", "upload": "../../etc"}, 404, "no such upload"),
        ("import", {"do": "upload"}, 422, "file: expected"),
    ):  # fmt: skip
        answer = browser.post(path_of(api, screen), data={**form, "csrf": csrf})
        assert (answer.status_code, words in answer.text) == (status, True), (form, answer.text)
    assert browser.get(path_of(api, "import"), params={"upload": "../../etc"}).status_code == 404
    assert browser.get(path_of(api, "quarantine"), params={"item": "-1"}).status_code == 404


def test_whoever_is_not_signed_in_is_led_to_where_that_is_done_and_back(service_url: str, api: Api) -> None:
    with httpx.Client(base_url=service_url) as browser:
        asked = browser.get(path_of(api, "campaigns"), params={"period": "2026"})
        assert asked.status_code == 303
        page = browser.get(asked.headers["location"])
        (after,) = re.findall(r'name="next" value="([^"]+)"', page.text)
        answer = browser.post("/login", data={"key": api.key, "next": after.replace("&amp;", "&")})
        assert answer.headers["location"] == f"{path_of(api, 'campaigns')}?period=2026"
        assert browser.get(answer.headers["location"]).status_code == 200
        assert browser.get("/").headers["location"] == path_of(api, "start")  # nothing is recorded yet
