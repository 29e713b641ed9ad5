"""What all requests have in common: HEAD, compression both ways, ids of requests, lines in the log, what a key may send."""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conftest import MASTER_KEY, Api, start_service, stop_service
from tests.support.sending import lead

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ORIGIN = "https://dashboard.example.com"
RATE = 600  # per minute, a sixth of it at once


class Own(NamedTuple):
    """A service that writes its log where it can be read, knows an origin, and lets keys send so much."""

    url: str
    log: Path

    def lines(self, request_id: str) -> list[dict[str, Any]]:
        """Return the lines of the log about a request, as soon as there are any."""
        deadline = time.monotonic() + 10
        found: list[dict[str, Any]] = []
        while not found and time.monotonic() < deadline:
            told = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
            found = [one for one in told if one.get("request_id") == request_id]
            time.sleep(0.02)
        return found


@pytest.fixture(scope="module")
def own(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    log = tmp_path_factory.mktemp("wire") / "log"
    environment = {
        "CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY,
        "CAMPAIGN_LEDGER_CORS_ORIGINS": json.dumps([ORIGIN]), "CAMPAIGN_LEDGER_KEY_RATE_PER_MINUTE": str(RATE),
        "CAMPAIGN_LEDGER_MAX_BODY_BYTES": "65536",
    }  # fmt: skip
    running = start_service([], environment, log)
    yield Own(running.url, log)
    stop_service(running)


WIDE = zstd.compress(b" " * 20_000_000, options={zstd.CompressionParameter.window_log: 25})
CODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}


def unpacked(answer: httpx.Response) -> Any:
    """Return the JSON of an answer; httpx unpacks gzip by itself."""
    return json.loads(
        zstd.decompress(answer.content) if answer.headers.get("content-encoding") == "zstd" else answer.content
    )


def bulk(count: int) -> bytes:
    return b"\n".join(json.dumps(lead(f"L-{number}")).encode() for number in range(count))


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/openapi.json", "/v1/roi", "/v1/events", "/v1/events/1", "/v1/nothing"]
)
def test_head_is_get_without_its_body(api: Api, path: str) -> None:
    api.post(lead("L-1"))
    api.read("/v1/roi")
    got, headed = api.http.get(path), api.http.head(path)
    told = {"date", "x-request-id"}
    assert headed.status_code == got.status_code
    assert headed.content == b""
    assert [one for one in headed.headers.items() if one[0] not in told] == [
        one for one in got.headers.items() if one[0] not in told
    ]


def test_head_of_what_can_only_be_posted_says_so(api: Api) -> None:
    answer = api.http.head("/v1/rebuilds/1/pause")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "HEAD" in api.http.delete("/v1/events").headers["allow"]


def test_large_answers_are_compressed_for_whoever_takes_it(api: Api) -> None:
    api.post(*[lead(f"L-{number}") for number in range(40)])
    plain = api.http.get("/v1/events", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert "accept-encoding" in plain.headers["vary"].lower()
    for coding in CODINGS:
        packed = api.http.get("/v1/events", headers={"Accept-Encoding": f"br;q=1.0, {coding};q=0.8"})
        assert packed.headers["content-encoding"] == coding
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 3
        assert unpacked(packed) == plain.json()
        assert "accept-encoding" in packed.headers["vary"].lower()


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"), ("gzip;q=1.0, zstd;q=0.9", "gzip"), ("gzip;q=0.5, ZSTD ; Q=0.5", "zstd"),
        ("*", "zstd"), ("zstd;q=0, *;q=0.1", "gzip"), ("x-gzip", "gzip"), ("identity, gzip", "gzip"),
        ("gzip;q=0", ""), ("gzip; q=0.000, zstd;q=0, *", ""), ("*;q=0", ""), ("br", ""), ("identity", ""), ("", ""),
        ("identity;q=0.9, gzip;q=0.8, zstd;q=0.2", ""), ("identity;q=0.5, *;q=0", ""),
    ],
)  # fmt: skip
def test_the_coding_that_is_liked_best_is_taken_and_none_that_is_not_taken(
    api: Api, accepted: str, coding: str
) -> None:  # fmt: skip
    answer = api.http.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding", "") == coding
    assert unpacked(answer)["info"]["title"] == "Campaign Ledger"


def test_small_answers_are_sent_as_they_are(api: Api) -> None:
    answer = api.http.get("/v1/ledger", headers={"Accept-Encoding": "zstd, gzip"})
    assert "content-encoding" not in answer.headers


def test_an_answer_given_again_is_compressed_too_and_the_same(api: Api) -> None:
    api.post(*[lead(f"L-{number}", campaign_id=f"campaign-{number}") for number in range(40)])
    first = api.read("/v1/roi")
    tags = set()
    for accepted in ("gzip", "identity", "zstd", "gzip", "zstd", "identity"):
        again = api.http.get("/v1/roi", params={"min_position": 40}, headers={"Accept-Encoding": accepted})
        assert unpacked(again) == first
        assert again.headers.get("content-encoding", "identity") == accepted
        tags.add(again.headers["etag"])
    (tag,) = tags
    same = api.http.get(
        "/v1/roi", params={"min_position": 40}, headers={"Accept-Encoding": "gzip", "If-None-Match": tag}
    )
    assert (same.status_code, same.content) == (304, b"")


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("coding", CODINGS)
def test_events_come_compressed(api: Api, coding: str, media_type: str) -> None:
    events = [lead(f"L-{number}") for number in range(500)]
    body = bulk(500) if "nd" in media_type else json.dumps(events).encode()
    headers = {"Content-Type": media_type, "Content-Encoding": coding}
    parts = CODINGS[coding](body[:1000]) + CODINGS[coding](body[1000:])  # it may have several members
    assert api.http.post("/v1/events", content=parts, headers=headers).status_code == 200
    assert api.http.get("/v1/ledger").json()["last_position"] == 500


def test_a_single_event_comes_compressed(api: Api) -> None:
    headers = {"Content-Type": "application/cloudevents+json", "Content-Encoding": "x-gzip"}
    answer = api.http.post("/v1/events", content=gzip.compress(json.dumps(lead("L-1")).encode()), headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize("coding", CODINGS)
def test_what_comes_out_of_a_body_is_limited(own: Own, open_api: Any, coding: str) -> None:
    key = {"Authorization": f"Bearer {open_api().key}", "Content-Encoding": coding}
    bomb = CODINGS[coding](b" " * 50_000_000)
    with httpx.Client(base_url=own.url, headers=key) as http:
        for media_type in ("application/json", "application/x-ndjson"):
            answer = http.post("/v1/events", content=bomb, headers={"Content-Type": media_type})
            assert answer.status_code in (207, 413), answer.text
        lines = http.post(
            "/v1/events", content=CODINGS[coding](b"\n" * 50_000_000), headers={"Content-Type": "application/x-ndjson"}
        )
        assert lines.status_code == 413
        assert f"as large as its {coding}" in lines.json()["detail"]


@pytest.mark.parametrize(
    ("encoding", "body", "status", "said"),
    [
        ("br", b"{}", 415, "content-encoding gzip or zstd"),
        ("gzip", b"{}", 400, "not gzip"),
        ("zstd", b"{}", 400, "not zstd"),
        ("zstd", WIDE, 400, "windows of up to 8 MiB"),
        ("zstd", zstd.compress(json.dumps(lead("L-1")).encode())[:-9], 400, "ended before"),
        ("gzip", gzip.compress(json.dumps(lead("L-1")).encode())[:-9], 400, "ended before"),
        ("gzip, gzip", b"{}", 415, "gzip, gzip"),
    ],
)
@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
def test_what_cannot_be_unpacked_is_told(
    api: Api, encoding: str, body: bytes, status: int, said: str, media_type: str
) -> None:  # fmt: skip
    headers = {"Content-Type": media_type, "Content-Encoding": encoding}
    answer = api.http.post("/v1/events", content=body, headers=headers)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text


def test_without_a_key_nothing_is_unpacked(api: Api) -> None:
    headers = {"Authorization": "Bearer wrong", "Content-Type": "application/json", "Content-Encoding": "br"}
    assert api.http.post("/v1/events", content=b"{}", headers=headers).status_code == 401


def test_hooks_and_sources_come_compressed(api: Api) -> None:
    wanted = {"kind": "cloudevents", "name": "shop", "path_secret": True}
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    made = api.http.post("/v1/sources", content=gzip.compress(json.dumps(wanted).encode()), headers=headers)
    assert made.status_code == 201, made.text
    body = gzip.compress(json.dumps(lead("L-7")).encode())
    posted = httpx.post(
        made.json()["url"], content=body, headers={**headers, "Content-Type": "application/cloudevents+json"}
    )
    assert posted.status_code < 300, posted.text
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and api.http.get("/v1/ledger").json()["last_position"] == 0:
        time.sleep(0.05)
    assert api.http.get("/v1/events").json()[0]["data"]["lead_id"] == "L-7"


def test_a_request_has_an_id_of_its_sender_or_a_new_one(api: Api) -> None:
    given = api.http.get("/v1/ledger", headers={"X-Request-Id": "gateway/4711"})
    assert given.headers["x-request-id"] == "gateway/4711"
    for bad in ("a" * 129, "two words", "\u00fc"):
        answer = api.http.get("/v1/ledger", headers={b"X-Request-Id": bad.encode()})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert api.http.get("/v1/nothing").headers["x-request-id"] != api.http.get("/v1/nothing").headers["x-request-id"]


def test_the_log_has_one_line_for_each_request_without_secrets_and_persons(own: Own, api: Api) -> None:
    with httpx.Client(base_url=own.url, headers={"Authorization": f"Bearer {api.key}"}) as http:
        asked = {
            "r-1": http.get("/v1/ledger", headers={"X-Request-Id": "r-1"}),
            "r-2": http.get("/v1/journeys/lead/jane@example.com?as_of=1", headers={"X-Request-Id": "r-2"}),
            "r-3": http.post("/v1/hooks/src_none/the-secret-of-it?token=hidden", headers={"X-Request-Id": "r-3"}),
            "r-4": http.get("/v1/nothing?email=jane@example.com", headers={"X-Request-Id": "r-4"}),
            "r-5": http.post("/v1/events", json=lead("L-1"), headers={"X-Request-Id": "r-5"}),
            "r-6": http.head("/livez", headers={"X-Request-Id": "r-6"}),
            "r-7": http.post("/ledger//V1/hooks//src_none/the-secret-of-it", headers={"X-Request-Id": "r-7"}),
        }
    lines = {name: own.lines(name) for name in asked}
    assert {name: len(found) for name, found in lines.items()} == dict.fromkeys(asked, 1)
    told = {name: (found[0]["method"], found[0]["path"], found[0]["status"]) for name, found in lines.items()}
    assert told == {
        "r-1": ("GET", "/v1/ledger", 200), "r-2": ("GET", "/v1/journeys/lead/***", 404),
        "r-3": ("POST", "/v1/hooks/src_none/***", 404), "r-4": ("GET", "/v1/nothing", 404),
        "r-5": ("POST", "/v1/events", 201), "r-6": ("HEAD", "/livez", 200),
        "r-7": ("POST", "/ledger//V1/hooks//src_none/***", 404),
    }  # fmt: skip
    first = lines["r-1"][0]
    assert first["part"] == "access"
    assert first["bytes"] == len(asked["r-1"].content)
    assert first["ms"] > 0
    assert first["key"]
    log = own.log.read_text(encoding="utf-8")
    for hidden in ("jane", "the-secret-of-it", "hidden", api.key):
        assert hidden not in log
    assert all(json.loads(line) for line in log.splitlines())


def test_answers_tell_what_a_key_may_still_send(own: Own, open_api: Any) -> None:
    with httpx.Client(base_url=own.url, headers={"Authorization": f"Bearer {open_api().key}"}) as http:
        first = http.get("/v1/ledger")
        assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == ("100", "99")
        assert first.headers["ratelimit-reset"] == "1"
        answers = [http.get("/v1/ledger") for _ in range(3 * RATE // 6)]
        refused = [one for one in answers if one.status_code == 429]
        assert refused
        assert refused[0].headers["ratelimit-remaining"] == "0"
        assert int(refused[0].headers["retry-after"]) >= 1


def test_a_page_of_another_origin_may_read_what_it_needs(own: Own, api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.key}", "Origin": ORIGIN}
    answer = httpx.get(f"{own.url}/v1/ledger", headers=headers)
    exposed = {one.strip().lower() for one in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed >= {
        "retry-after", "location", "link", "etag", "x-request-id", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset",
    }  # fmt: skip
    asking = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-request-id",
    }
    assert httpx.options(f"{own.url}/v1/events", headers=asking).status_code == 200


def test_the_description_is_a_page_that_needs_no_other_host(service_url: str) -> None:
    answer = httpx.get(f"{service_url}/docs")
    described = httpx.get(f"{service_url}/openapi.json").json()
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script|<link|<img|url\(|(?:src|href)=.(?:https?:)?//", answer.text)
    for path, operations in described["paths"].items():
        assert f"<code>{path}</code>" in answer.text
        assert all(escape(one["summary"]) in answer.text for one in operations.values())
    assert all(f'id="{name}"' in answer.text for name in described["components"]["schemas"])
    links = re.findall(r'href="#([^"]*)"', answer.text)
    assert "Money" in links
    assert set(links) <= set(re.findall(r'id="([^"]*)"', answer.text))
