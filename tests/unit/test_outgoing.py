"""Reading back: only public addresses, limited answers, another try for what looks temporary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from service.intake import outgoing
from service.intake.outgoing import ForbiddenAddressError, TooLargeError, client
from service.intake.senders import oauth
from service.intake.senders.contract import MalformedError, Source, UnavailableError
from tests.support.senders_api import HOSTS, serving


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://10.0.0.1/", "http://192.168.1.1/", "http://169.254.169.254/latest",
        "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[fd00::1]/", "http://0.0.0.0/", "http://100.64.0.1/",
        "http://2130706433/", "http://0x7f.1/", "http://224.0.0.1/", "http://[2002:7f00:1::]/",
    ],
)  # fmt: skip
async def test_an_address_that_is_not_public_is_not_asked(url: str) -> None:
    async with client() as http:
        with pytest.raises((ForbiddenAddressError, httpx.ConnectError)) as caught:
            await http.get(url)
    if isinstance(caught.value, ForbiddenAddressError):
        assert "CAMPAIGN_LEDGER_PRIVATE_HOSTS" in str(caught.value)


async def test_a_host_that_is_allowed_is_asked_and_named_in_the_request() -> None:
    def answer(method: str, path: str, headers: Mapping[str, str], _: bytes) -> tuple[int, Any]:
        return 200, {"method": method, "path": path, "host": headers["host"]}

    with serving(answer) as url:
        named = url.replace("127.0.0.1", "localhost")
        async with client(HOSTS) as http:
            got = (await http.get(f"{named}/a?b=c")).json()
    assert got == {"method": "GET", "path": "/a?b=c", "host": named.removeprefix("http://")}


async def test_what_looks_temporary_is_asked_again_and_redirects_are_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outgoing, "_pause", lambda *_: 0.0)
    statuses = iter([503, 429, 200, 302, 500])
    with serving(lambda *_: (next(statuses), {"ok": 1})) as url:
        async with client(HOSTS) as http:
            assert [(await http.get(url)).status_code for _ in range(3)] == [200, 302, 500]


async def test_an_answer_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MAX_ANSWER", 1000)
    with serving(lambda *_: (200, "x" * 2000)) as url:
        async with client(HOSTS) as http:
            with pytest.raises(TooLargeError):
                await http.get(url)


async def test_a_token_is_asked_for_once_and_no_error_tells_the_secret() -> None:
    source = Source("src_oauth", "k", "n", credentials={"client_id": "id", "client_secret": "hush-hush"})
    asked: list[bytes] = []

    def answer(_: str, path: str, __: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        asked.append(body)
        answers: dict[str, tuple[int, Any]] = {
            "/token": (200, {"access_token": "t-1", "expires_in": 3600}), "/down": (500, {}),
            "/refused": (401, {"error": "invalid_client", "secret": "hush-hush"}), "/odd": (200, ["x"]),
        }  # fmt: skip
        return answers[path]

    with serving(answer) as url:
        async with client(HOSTS) as http:
            tokens = [await oauth.bearer(http, source, f"{url}/token", scope="s") for _ in range(2)]
            assert tokens == [{"Authorization": "Bearer t-1"}] * 2
            assert asked == [b"grant_type=client_credentials&client_id=id&client_secret=hush-hush&scope=s"]
            oauth.forget(source)
            await oauth.bearer(http, source, f"{url}/token", scope="s")
            assert len(asked) == 2
            with pytest.raises(UnavailableError):
                await oauth.bearer(http, source, f"{url}/down")
            for path in ("refused", "odd"):
                with pytest.raises(MalformedError) as caught:
                    await oauth.bearer(http, source, f"{url}/{path}")
                assert "hush-hush" not in str(caught.value)
            with pytest.raises(MalformedError, match="client_id and client_secret"):
                await oauth.bearer(http, source._replace(credentials={}), f"{url}/token")
