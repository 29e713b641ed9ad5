"""Signing in with a key, a link, an OpenID provider or a proxy's word; what a session opens, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from service.settings import Settings
from service.store import grants, ledgers, sessions
from tests.conftest import Api, start_service, stop_service
from tests.support import commands
from tests.support.commands import Run, good
from tests.support.openid_provider import CLIENT, SECRET, OpenIdProvider, openid_provider
from tests.support.sending import lead

LIFE = sessions.Lifetime(timedelta(minutes=1), timedelta(hours=1))


class Door(NamedTuple):
    """A service with a provider, behind a proxy that signs people in: this machine."""

    url: str
    provider: OpenIdProvider
    ledger: ledgers.Ledger
    key: str

    def browser(self, address: str = "", **headers: str) -> httpx.Client:
        """Open a browser at an address of its own, or at a new one."""
        told = {"X-Forwarded-For": address or _new_address(), "User-Agent": "A Browser", **headers}
        return httpx.Client(base_url=self.url, headers=told, timeout=30)


_addresses = iter(f"198.51.{first}.{last}" for first in range(100) for last in range(1, 250))


def _new_address() -> str:
    return next(_addresses)


@pytest.fixture(scope="module")
def door(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    async def prepare(issuer: str) -> tuple[ledgers.Ledger, str]:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            made = await ledgers.create_ledger(pool, f"door-{time.time_ns()}")
            await grants.create(pool, made, issuer, ("read",), subject="ada", group=None)
            await grants.create(pool, made, issuer, ("figures",), subject=None, group="marketing")
            await grants.create(pool, made, sessions.PROXY, ("read", "ingest"), subject="grace", group=None)
            return made, await ledgers.create_key(pool, made, ledgers.SCOPES)

    with openid_provider() as provider:
        ledger, key = asyncio.run(prepare(provider.url))
        environment = {
            "CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_OIDC_ISSUER": provider.url,
            "CAMPAIGN_LEDGER_OIDC_CLIENT_ID": CLIENT, "CAMPAIGN_LEDGER_OIDC_CLIENT_SECRET": SECRET,
            "CAMPAIGN_LEDGER_PROXIES": '["127.0.0.0/8"]', "CAMPAIGN_LEDGER_PROXY_USER_HEADER": "X-Remote-User",
            "CAMPAIGN_LEDGER_PROXY_GROUPS_HEADER": "X-Remote-Groups",
        }  # fmt: skip
        running = start_service(["--no-projector"], environment, tmp_path_factory.mktemp("door") / "log")
        yield Door(running.url, provider, ledger, key)
        stop_service(running)


def csrf_in(page: str) -> str:
    return str(re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)[0])


def test_a_key_opens_a_session_that_does_what_the_key_does(service_url: str, api: Api) -> None:
    with httpx.Client(base_url=service_url) as browser:
        assert 'name="key"' in browser.get("/login").text
        answer = browser.post("/login", data={"key": api.key, "next": "/sessions?x=1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sessions?x=1")
        kept = answer.headers["set-cookie"].lower()
        assert kept.startswith("session=")  # plain http: browsers keep `__Host-` over https only
        for part in ("httponly", "samesite=lax", "path=/", "max-age=604800"):
            assert part in kept
        assert "secure" not in kept
        assert "domain" not in kept
        assert browser.get("/v1/ledger").json()["name"] == api.ledger.name
        page = browser.get("/sessions").text
        refused = browser.post("/v1/events", json=lead("L"))
        assert (refused.status_code, "X-CSRF-Token" in refused.json()["detail"]) == (403, True)
        token = {"X-CSRF-Token": csrf_in(page)}
        elsewhere = browser.post("/v1/events", json=lead("L"), headers={**token, "Origin": "https://evil.example"})
        assert elsewhere.status_code == 403
        assert browser.post("/v1/events", json=lead("L"), headers={**token, "Origin": service_url}).status_code == 201
        key = browser.post("/v1/keys", json={"scopes": ["read"]}, headers=token)
        assert key.status_code == 201
        assert browser.post("/logout", data={"csrf": "0" * 64}).status_code == 403
        cookie = {"session": browser.cookies["session"]}
        assert browser.post("/logout", data={"csrf": csrf_in(page)}).headers["location"] == "/login"
        assert "session" not in browser.cookies
    gone = httpx.get(f"{service_url}/v1/ledger", cookies=cookie)
    assert (gone.status_code, "ended" in gone.json()["detail"]) == (401, True)
    noted = [one["action"] for one in api.http.get("/v1/audit").json()["items"] if one["action"] != "key.first_used"]
    assert noted[:3] == ["session.ended", "key.created", "session.created"]


def test_a_session_ends_with_its_key_and_a_wrong_key_opens_none(service_url: str, api: Api) -> None:
    made = api.http.post("/v1/keys", json={"scopes": ["read"]}).json()
    with httpx.Client(base_url=service_url) as browser:
        wrong = browser.post("/login", data={"key": "cl_wrong"})
        assert (wrong.status_code, "unknown or revoked" in wrong.text, "set-cookie" in wrong.headers) == (
            401,
            True,
            False,
        )
        assert browser.post("/login", data={"key": made["key"]}).status_code == 303
        assert browser.get("/v1/roi").status_code == 200
        assert browser.get("/v1/audit").status_code == 403  # as the key
        (session,) = api.http.get("/v1/sessions").json()["items"]
        assert (session["actor"], session["address"]) == (made["id"], "127.0.0.1")
        api.http.delete(f"/v1/keys/{made['id']}").raise_for_status()
        assert browser.get("/v1/roi").status_code == 401


def test_sessions_are_listed_and_ended(service_url: str, api: Api, open_api: Callable[..., Api]) -> None:
    one, other = (httpx.Client(base_url=service_url, headers={"User-Agent": name}) for name in ("<b>One", "Other"))
    with one, other:
        for browser in (one, other):
            browser.post("/login", data={"key": api.key})
        page = one.get("/sessions").text
        assert "&lt;b&gt;One" in page
        (session,) = re.findall(r'name="session" value="(ses_\w+)"', page)
        stranger = open_api().http
        assert stranger.delete(f"/v1/sessions/{session}").status_code == 404
        assert one.post("/sessions/end", data={"session": session, "csrf": csrf_in(page)}).status_code == 303
        assert [browser.get("/v1/ledger").status_code for browser in (one, other)] == [200, 401]
        (left,) = api.http.get("/v1/sessions").json()["items"]
        assert api.http.delete(f"/v1/sessions/{left['id']}").status_code == 204
        assert one.get("/v1/ledger").status_code == 401
        assert one.get("/sessions").status_code == 401


async def test_a_session_ends_when_it_is_idle_or_old(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    made, _ = await ledgers.make_key(pool, ledger, ("read",))
    token = await sessions.begin(pool, ledger.ledger, made.key_id, LIFE, by="key")
    assert (await sessions.access(pool, token, LIFE)) is not None
    await pool.execute("UPDATE sessions SET seen_at = now() - interval '61 seconds' WHERE ledger = $1", ledger.ledger)
    assert await sessions.access(pool, token, LIFE) is None
    assert await sessions.listed(pool, ledger.ledger, LIFE) == []
    await pool.execute("UPDATE sessions SET seen_at = now() WHERE ledger = $1", ledger.ledger)
    assert (await sessions.access(pool, token, LIFE)) is not None
    await pool.execute("UPDATE sessions SET expires_at = now() WHERE ledger = $1", ledger.ledger)
    assert await sessions.access(pool, token, LIFE) is None
    await sessions.forget(pool, LIFE)
    assert await pool.fetchval("SELECT count(*) FROM sessions WHERE ledger = $1", ledger.ledger) == 0


def test_tools_read_with_basic_and_change_nothing_by_it(service_url: str, api: Api) -> None:
    for user in ("", "anybody", "a:b"):
        assert httpx.get(f"{service_url}/v1/roi", auth=(user.replace(":", ""), api.key)).status_code == 200
    assert httpx.head(f"{service_url}/v1/roi", auth=("x", api.key)).status_code == 200
    asked = httpx.get(f"{service_url}/v1/roi")
    assert 'Basic realm="campaign-ledger"' in asked.headers["www-authenticate"]
    browser = httpx.get(f"{service_url}/v1/roi", headers={"Sec-Fetch-Mode": "no-cors"})
    assert browser.headers["www-authenticate"] == "Bearer"  # no dialogue on another site's page
    refused = httpx.post(f"{service_url}/v1/events", json=lead("L"), auth=("x", api.key))
    assert (refused.status_code, "Bearer" in refused.json()["detail"]) == (401, True)


def test_attempts_to_sign_in_are_limited_by_address(door: Door) -> None:
    with door.browser("203.0.113.1") as browser, door.browser("203.0.113.2") as other:
        statuses = [browser.post("/login", data={"key": f"guess-{number}"}).status_code for number in range(12)]
        assert (statuses[:10], statuses[-1]) == ([401] * 10, 429)
        limited = browser.post("/login", data={"key": door.key})
        assert (limited.status_code, int(limited.headers["retry-after"]) > 0) == (429, True)
        assert other.post("/login", data={"key": door.key}).status_code == 303


def test_over_https_the_cookie_is_bound_to_the_host_and_secure(door: Door) -> None:
    with door.browser(**{"X-Forwarded-Proto": "https"}) as browser:
        kept = browser.post("/login", data={"key": door.key}).headers["set-cookie"]
        assert kept.startswith("__Host-session=")
        assert "Secure" in kept
        token = kept.partition("=")[2].partition(";")[0]
    https = {"X-Forwarded-Proto": "https", "Cookie": f"__Host-session={token}"}
    assert httpx.get(f"{door.url}/v1/ledger", headers=https).status_code == 200
    plain = {
        "X-Forwarded-Proto": "https",
        "Cookie": f"session={token}",
    }  # which another host of the domain could have set
    assert httpx.get(f"{door.url}/v1/ledger", headers=plain).status_code == 401


@pytest.mark.parametrize(
    "after", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\r\nb: c"]
)
def test_signing_in_leads_nowhere_else(service_url: str, api: Api, after: str) -> None:
    answer = httpx.post(f"{service_url}/login", data={"key": api.key, "next": after})
    assert answer.status_code == 303
    assert answer.headers["location"] in {"/", "/sessions"}


def test_a_form_of_another_site_signs_nobody_in(service_url: str, api: Api) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = httpx.post(f"{service_url}/login", data={"key": api.key}, headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


def test_a_link_from_the_terminal_signs_in_once_and_to_all_ledgers(
    service_url: str, api: Api, open_api: Callable[..., Api], run: Run
) -> None:
    open_api()  # there is another ledger to go on to
    link = good(run("login-link", "--url", service_url, "--ledger", api.ledger.name)).strip()
    with httpx.Client(base_url=service_url) as browser:
        assert browser.get(link).status_code == 303
        assert browser.get("/v1/ledger").json()["name"] == api.ledger.name
        page = browser.get("/sessions").text
        assert "admin, figures, ingest, read" in page
        other = next(one for one in re.findall(r"<option>([^<]+)</option>", page) if one != api.ledger.name)
        moved = browser.post("/sessions/ledger", data={"ledger": other, "csrf": csrf_in(page)})
        assert moved.status_code == 303
        assert browser.get("/v1/ledger").json()["name"] == other
        nowhere = browser.post("/sessions/ledger", data={"ledger": "not there", "csrf": csrf_in(page)})
        assert nowhere.status_code == 404
    again = httpx.get(link)
    assert (again.status_code, "used before" in again.text, "set-cookie" in again.headers) == (401, True, False)
    (entry,) = api.http.get("/v1/audit", params={"action": "session.created"}).json()["items"]
    assert entry["actor"].endswith(" @ terminal")
    assert entry["details"] == {"by": "link"}


def test_serve_shows_a_link_on_a_terminal_and_nowhere_else(dsn: str, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    environment = commands.environment(CAMPAIGN_LEDGER_DATABASE_URL=dsn)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  the service itself
            [*commands.COMMAND, "serve", "--port", "0", "--no-projector"], env=environment, stdout=theirs, stderr=log
        )
    os.close(theirs)
    told = b""
    while b"once=" not in told:  # or the test's own time is over
        told += os.read(ours, 4096)
    try:
        link = re.findall(r"http://\S+/login\?once=[\w-]+", told.decode())[0]
        answer = httpx.get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "once=" not in (tmp_path / "log").read_text(encoding="utf-8")
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)


# With the provider


def to_provider(browser: httpx.Client, after: str = "/sessions") -> str:
    """Begin to sign in; return where the provider sends the browser back to."""
    begun = browser.get("/login/openid", params={"next": after})
    assert begun.status_code == 303, begun.text
    sent = httpx.get(begun.headers["location"])
    return str(sent.headers["location"])


def back(door: Door, browser: httpx.Client, url: str) -> httpx.Response:
    assert url.startswith(f"{door.url}/login/openid/callback?")
    return browser.get(url.removeprefix(door.url))


@pytest.fixture
def honest(door: Door) -> Iterator[Door]:
    """The door, whose provider says the truth again afterwards."""
    provider = door.provider
    yield door
    provider.subject, provider.groups, provider.changes, provider.sign = "ada", ["finance"], {}, provider.signed


def test_who_the_provider_names_sees_what_is_granted_to_them(honest: Door) -> None:
    with honest.browser() as browser:
        assert "/login/openid?next=" in browser.get("/login").text
        answer = back(honest, browser, to_provider(browser, "/sessions?a=b"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/sessions?a=b")
        assert browser.get("/v1/events").status_code == 200  # read
        assert browser.get("/v1/keys").status_code == 403
        assert f"ada @ {honest.provider.url}" in browser.get("/sessions").text
    admin = httpx.Client(base_url=honest.url, headers={"Authorization": f"Bearer {honest.key}"})
    with admin:
        noted = admin.get("/v1/audit", params={"actor": f"ada @ {honest.provider.url}"}).json()["items"]
        assert (noted[0]["action"], noted[0]["details"]) == ("session.created", {"by": "openid"})


def test_a_group_is_granted_as_long_as_it_is(honest: Door) -> None:
    honest.provider.subject, honest.provider.groups = "linus", ["marketing"]
    admin = httpx.Client(base_url=honest.url, headers={"Authorization": f"Bearer {honest.key}"})
    with honest.browser() as browser, admin:
        assert back(honest, browser, to_provider(browser)).status_code == 303
        assert [browser.get(path).status_code for path in ("/v1/roi", "/v1/events")] == [200, 403]
        (grant,) = [one for one in admin.get("/v1/grants").json()["items"] if one["group"] == "marketing"]
        assert admin.delete(f"/v1/grants/{grant['id']}").status_code == 204
        assert browser.get("/v1/roi").status_code == 403
        assert admin.post("/v1/grants", json={"group": "marketing", "scopes": ["figures"]}).status_code == 201
        assert browser.get("/v1/roi").status_code in {200, 403}  # again, within seconds


def test_who_has_nothing_granted_is_told_who_they_are(honest: Door) -> None:
    honest.provider.subject, honest.provider.groups = "mallory", []
    with honest.browser() as browser:
        answer = back(honest, browser, to_provider(browser))
        assert (answer.status_code, "mallory" in answer.text, "session" in browser.cookies) == (403, True, False)


def test_a_new_key_of_the_provider_is_taken_up(honest: Door) -> None:
    with honest.browser() as browser:
        assert back(honest, browser, to_provider(browser)).status_code == 303
    honest.provider.rotate()
    deadline = time.monotonic() + 20
    while True:  # it is looked for again, but not at each token that names an unknown key
        with honest.browser() as browser:
            if back(honest, browser, to_provider(browser)).status_code == 303:
                break
        assert time.monotonic() < deadline
        time.sleep(0.5)


Lie = Callable[[OpenIdProvider, dict[str, Any]], str]


def _by_none(_: OpenIdProvider, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none")  # type: ignore[arg-type]  # a token without a signature


def _by_the_public_key(provider: OpenIdProvider, claims: dict[str, Any]) -> str:
    """Sign by HMAC, with what everybody can have."""

    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    head = part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": provider.kid}).encode())
    body = head + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.digest(provider.public_pem, body, hashlib.sha256))).decode()


def _by_another_key(provider: OpenIdProvider, claims: dict[str, Any]) -> str:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, other, "RS256", {"kid": provider.kid})


def _changed(provider: OpenIdProvider, claims: dict[str, Any]) -> str:
    head, _, signature = provider.signed(claims).split(".")
    other = provider.signed({**claims, "sub": "grace"}).split(".")[1]
    return f"{head}.{other}.{signature}"


@pytest.mark.parametrize("lie", [_by_none, _by_the_public_key, _by_another_key, _changed])
def test_a_token_that_the_provider_has_not_signed_proves_nothing(honest: Door, lie: Lie) -> None:
    honest.provider.sign = lambda claims: lie(honest.provider, claims)
    with honest.browser() as browser:
        answer = back(honest, browser, to_provider(browser))
        assert (answer.status_code, "session" in browser.cookies) == (401, False), answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-client"}, {"aud": [CLIENT, "another"], "azp": "another"}, {"azp": "another"},
        {"exp": int(time.time()) - 3600}, {"iss": "https://elsewhere.example"}, {"nonce": "of another sign-in"}, {"sub": None},
        {"iat": int(time.time()) + 3600},
    ],
    ids=["audience", "audiences", "party", "expired", "issuer", "nonce", "nobody", "from the future"],
)  # fmt: skip
def test_a_token_for_somebody_else_of_another_time_or_issuer_is_refused(honest: Door, changes: dict[str, Any]) -> None:
    honest.provider.changes = changes
    with honest.browser() as browser:
        answer = back(honest, browser, to_provider(browser))
        assert (answer.status_code, "session" in browser.cookies) == (401, False), answer.text


def test_an_answer_holds_once_and_in_the_browser_that_asked(honest: Door) -> None:
    with honest.browser() as browser, honest.browser() as other:
        url = to_provider(browser)
        assert back(honest, other, url).status_code == 401  # without the cookie of whoever asked
        to_provider(other)
        assert back(honest, other, url).status_code == 401  # with the cookie of another question
        kept = {"Cookie": f"openid={browser.cookies['openid']}"}
        assert back(honest, browser, url).status_code == 303
        again = httpx.get(url, headers=kept)
        assert (again.status_code, "before" in again.text, "set-cookie" in again.headers) == (401, True, False)
        fresh = to_provider(other)  # a code that was used, with a state that was not
        code = parse_qs(urlsplit(url).query)["code"][0]
        replayed = re.sub(r"code=[^&]+", f"code={code}", fresh)
        assert back(honest, other, replayed).status_code == 401
        mixed = to_provider(other)
        assert (
            back(honest, other, re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Felsewhere.example", mixed)).status_code == 401
        )


# Behind a proxy


def test_a_proxy_signs_in_whom_it_names_and_the_session_is_theirs_alone(door: Door) -> None:
    grace = {"X-Remote-User": "grace"}
    with door.browser() as browser:
        assert browser.get("/login", headers=grace).status_code == 303
        assert browser.get("/v1/ledger", headers=grace).json()["name"] == door.ledger.name
        for other in ({}, {"X-Remote-User": "mallory"}):
            assert browser.get("/v1/ledger", headers=other).status_code == 401
        nobody = browser.get("/login", headers={"X-Remote-User": "mallory"})
        assert (nobody.status_code, "mallory" in nobody.text) == (403, True)


def test_a_proxys_word_is_taken_from_nobody_else(service_url: str) -> None:
    told = {"X-Remote-User": "grace", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    answer = httpx.get(f"{service_url}/login", headers=told)
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)


@pytest.mark.parametrize(
    ("half", "named"),
    [
        ({"oidc_issuer": "https://id.example"}, "go together"), ({"proxy_user_header": "X-Remote-User"}, "needs proxies"),
        ({"proxies": ["here"]}, "does not appear to be"),
    ],
)  # fmt: skip
def test_half_of_a_way_to_sign_in_is_refused_at_the_start(half: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Settings(**half)


def test_a_key_that_does_not_open_here_leaves_a_trace_when_it_is_tried(service_url: str, api: Api) -> None:
    made = api.http.post("/v1/keys", json={"scopes": ["read"], "addresses": ["192.0.2.7"]}).json()
    assert httpx.post(f"{service_url}/login", data={"key": made["key"]}).status_code == 403
    (entry,) = api.http.get("/v1/audit", params={"action": "session.refused"}).json()["items"]
    assert (entry["actor"], entry["object"], entry["address"]) == (made["id"], made["id"], "127.0.0.1")
