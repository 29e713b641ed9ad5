"""Reading back: only public addresses, limited answers, another try for what looks temporary."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from service.intake import outgoing
from service.intake.addresses import host_and_port, is_public
from service.intake.outgoing import (
    ForbiddenAddressError,
    GuardedTransport,
    RationedTransport,
    SpentError,
    TooLargeError,
    client,
    client_over,
)
from service.intake.senders import oauth
from service.intake.senders.contract import MalformedError, Source, UnavailableError
from tests.support import bad_apis
from tests.support.senders_api import HOSTS, Streamed, serving


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://10.0.0.1/", "http://192.168.1.1/", "http://169.254.169.254/latest",
        "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[fd00::1]/", "http://0.0.0.0/", "http://100.64.0.1/",
        "http://2130706433/", "http://0x7f.1/", "http://0177.1/", "http://017700000001/", "http://127.1/", "http://224.0.0.1/",
        "http://[2002:7f00:1::]/", "http://[::127.0.0.1]/", "http://[::7f00:1]/", "http://[64:ff9b::127.0.0.1]/",
        "http://[64:ff9b:1::10.0.0.1]/", "http://[::ffff:0:127.0.0.1]/", "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
        "http://[fe80::1]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://[2001:db8::1]/", "http://[::]/",
        "http://192.88.99.1/", "http://240.0.0.1/", "http://255.255.255.255/", "http://198.18.0.1/",
    ],
)  # fmt: skip
async def test_an_address_that_is_not_public_is_not_asked(url: str) -> None:
    async with client() as http:
        with pytest.raises(ForbiddenAddressError, match="CAMPAIGN_LEDGER_PRIVATE_HOSTS"):
            await http.get(url)


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4001:82f::200e", "2606:4700:4700::1111"])
def test_an_address_that_is_public_may_be_asked(address: str) -> None:
    assert is_public(address)
    assert not is_public(f"{address}%eth0")


@pytest.mark.parametrize("url", ["http://8.8.8.8:22/", "https://8.8.8.8:8443/", "http://127.0.0.1:5432/"])
async def test_a_port_that_is_not_allowed_is_not_asked(url: str) -> None:
    async with client(["127.0.0.1"]) as http:
        with pytest.raises(ForbiddenAddressError, match="port"):
            await http.get(url)


async def test_a_port_is_allowed_for_the_host_that_is_named_with_it() -> None:
    with serving(lambda *_: (200, {})) as url:
        port = url.rpartition(":")[2]
        async with client([f"127.0.0.1:{port}"]) as http:
            assert (await http.get(url)).status_code == 200
            with pytest.raises(ForbiddenAddressError, match="port"):
                await http.get(url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("CRM.internal", ("crm.internal", None)), ("crm.internal:8443", ("crm.internal", 8443)),
        ("10.0.0.1:80", ("10.0.0.1", 80)), ("[fd00::1]", ("fd00::1", None)), ("[fd00::1]:8443", ("fd00::1", 8443)),
    ],
)  # fmt: skip
def test_a_private_host_is_named_with_a_port_or_without(entry: str, meant: tuple[str, int | None]) -> None:
    assert host_and_port(entry) == meant


@pytest.mark.parametrize("entry", ["", "https://crm.internal", "crm.internal:", "crm.internal/x", "fd00::1", "a b"])
def test_what_is_no_host_is_told_at_once(entry: str) -> None:
    with pytest.raises(ValueError, match="CAMPAIGN_LEDGER_PRIVATE_HOSTS"):
        client([entry])


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


async def test_an_answer_that_drips_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_SECONDS", 0.5)
    with serving(lambda *_: (200, bad_apis.drip(30))) as url:
        async with client(HOSTS) as http:
            begun = time.monotonic()
            with pytest.raises(httpx.ReadTimeout, match="whole answer"):
                await http.get(url)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "X-GZIP"])
async def test_a_compressed_answer_is_read(encoding: str) -> None:
    text = json.dumps(list(range(100_000))).encode()
    packed = zlib.compress(text) if encoding == "deflate" else gzip.compress(text)
    headers = {"Content-Encoding": encoding, "Content-Length": str(len(packed))}
    with serving(lambda *_: (200, Streamed(headers, [packed]))) as url:
        async with client(HOSTS) as http:
            got = await http.get(url)
    assert got.content == text
    assert "content-encoding" not in got.headers


async def test_a_compressed_answer_that_unfolds_is_not_read() -> None:
    with serving(lambda *_: (200, bad_apis.bomb())) as url:
        async with client(HOSTS) as http:
            with pytest.raises(TooLargeError):
                await http.get(url)


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("br", b"x"), ("gzip, gzip", gzip.compress(gzip.compress(b"{}"))), ("gzip", gzip.compress(b"{}" * 100)[:-9]),
        ("gzip", b"no gzip"), ("gzip", gzip.compress(b"{}") + gzip.compress(b"{}")),
    ],
    ids=["unknown", "twice", "cut short", "none", "two members"],
)  # fmt: skip
async def test_what_cannot_be_decompressed_is_told(encoding: str, raw: bytes) -> None:
    headers = {"Content-Encoding": encoding, "Content-Length": str(len(raw))}
    with serving(lambda *_: (200, Streamed(headers, [raw]))) as url:
        async with client(HOSTS) as http:
            with pytest.raises(httpx.DecodingError):
                await http.get(url)


async def test_a_turn_has_so_many_seconds_and_bytes_for_all_its_answers() -> None:
    async with GuardedTransport(HOSTS) as guarded:
        with serving(lambda *_: (200, b"x" * 600)) as url:
            small = RationedTransport(guarded, 60, 1000)
            async with client_over(small) as http:
                assert [len((await http.get(url)).content) for _ in range(2)] == [600, 600]
                assert small.spent
                with pytest.raises(SpentError, match="all of a turn"):
                    await http.get(url)
        with serving(lambda *_: (200, bad_apis.drip(30))) as url:
            async with client_over(RationedTransport(guarded, 0.5, 1000)) as http:
                with pytest.raises(SpentError, match="all of a turn"):
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
