"""What anybody may do who reaches the port: no memory before a key, limits on heads, time and connections. Real sockets."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import MASTER_KEY, Api, Running, start_service, stop_service
from tests.support.memory_of import MIB, memory
from tests.support.sending import lead

JSON_ROUTES = [
    ("POST", "/v1/sources"), ("PATCH", "/v1/sources/src_x"), ("POST", "/v1/rebuilds"), ("POST", "/v1/events"),
    ("POST", "/v1/quarantine/1/retry"), ("POST", "/v1/set-aside/retry"), ("POST", "/v1/rebuilds/1/pause"),
    ("POST", "/v1/hooks/src_x"), ("POST", "/v1/roi"), ("PUT", "/v1/nothing"), ("GET", "/livez"),
]  # fmt: skip
BULK = (
    b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n"
    b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture(scope="module")
def door(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that is impatient and has few connections."""
    environment = {
        "CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY,
        "CAMPAIGN_LEDGER_REQUEST_TIMEOUT": "2", "CAMPAIGN_LEDGER_MAX_CONNECTIONS": "60",
        "CAMPAIGN_LEDGER_BODIES_BYTES": str(12 * MIB),
    }  # fmt: skip
    running = start_service([], environment, tmp_path_factory.mktemp("door") / "log")
    yield running
    stop_service(running)


def files(running: Running) -> int:
    """Return how many files and connections the service has open."""
    found = Path(f"/proc/{running.process.pid}/fd")
    if not found.exists():
        pytest.skip("how many files another process has open is told by /proc, which this system has not: Linux does")
    return len(list(found.iterdir()))


class Peer:
    """A client that says what it likes."""

    def __init__(self, running: Running) -> None:
        at = urlsplit(running.url)
        self.socket = socket.create_connection((at.hostname, at.port), timeout=60)

    def send(self, data: bytes) -> bool:
        """Send, and tell whether the service still takes it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def answer(self) -> tuple[int, bytes]:
        """Return the status and the rest of what the service says until it closes or has said it; 0 for nothing."""
        said = b""
        with contextlib.suppress(OSError):
            while part := self.socket.recv(65_536):
                said += part
                head, _, body = said.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                if length and len(body) >= int(length[1]):
                    break
        return (int(said.split(b" ", 2)[1]) if said else 0), said

    def is_closed(self, seconds: float) -> bool:
        """Tell whether the service closes within so many seconds, without another word."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def call(door: Running) -> Iterator[Callable[[], Peer]]:
    peers: list[Peer] = []

    def connect() -> Peer:
        peers.append(Peer(door))
        return peers[-1]

    yield connect
    for one in peers:
        one.close()


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
def test_without_a_key_an_answer_comes_before_the_body(call: Callable[[], Peer], method: str, path: str) -> None:
    peer = call()
    peer.send(head(method, path, f"Content-Length: {400 * MIB}", "Content-Type: application/json") + b'{"kind": "')
    began = time.monotonic()
    status, said = peer.answer()
    assert status in {200, 401, 404, 405}, said
    assert (status == 401) == (path.startswith("/v1/") and status not in {404, 405})
    assert time.monotonic() - began < 1.5  # before the time of the body is up


def test_large_bodies_without_a_key_take_no_memory(door: Running, call: Callable[[], Peer]) -> None:
    before, most = memory(door), 0
    piece = b"[" * MIB
    for method, path in JSON_ROUTES[:3]:
        peer = call()
        peer.send(head(method, path, "Transfer-Encoding: chunked", "Content-Type: application/json"))
        for _ in range(150):
            if not peer.send(b"%x\r\n%b\r\n" % (len(piece), piece)):
                break
        most = max(most, memory(door))
        assert httpx.get(f"{door.url}/readyz", timeout=20).status_code == 200
    assert most - before < 60 * MIB


def test_a_key_that_may_not_is_told_so_before_the_body(open_api: Callable[..., Api], call: Callable[[], Peer]) -> None:
    api = open_api(scopes=("read",))
    for method, path in JSON_ROUTES[:7]:
        peer = call()
        peer.send(
            head(
                method,
                path,
                f"Authorization: Bearer {api.key}",
                "Content-Length: 100000",
                "Content-Type: application/json",
            )
        )
        assert peer.answer()[0] == 403, path


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES[:5])
def test_a_body_beyond_its_limit_is_refused_before_it_is_parsed(
    api: Api, door: Running, method: str, path: str
) -> None:
    if path.startswith("/v1/quarantine"):
        api.http.post("/v1/events", json={"wrong": 1})
        path = path.replace("/1/", f"/{api.http.get('/v1/quarantine').json()['items'][0]['id']}/")
    with httpx.Client(base_url=door.url, headers=dict(api.http.headers), timeout=60) as http:
        json_headers = {"Content-Type": "application/json"}
        for content in (b"[" * (9 * MIB), iter([b"[" * MIB] * 9)):
            answer = http.request(method, path, content=content, headers=json_headers)
            assert (answer.status_code, answer.json()["type"]) == (413, "/problems/content-too-large")
        assert http.get("/v1/ledger").status_code == 200


def test_bodies_in_hand_have_a_limit_of_one_ledger_and_in_all(
    open_api: Callable[..., Api], door: Running, call: Callable[[], Peer]
) -> None:
    apis = [open_api() for _ in range(3)]

    def begin(api: Api, size: int) -> Peer:
        """Post a body of which the last byte never comes."""
        peer, key = call(), f"Authorization: Bearer {api.key}"
        peer.send(
            head("POST", "/v1/events", key, "Content-Type: application/json", f"Content-Length: {size + 1}")
            + b" " * size
        )
        time.sleep(0.2)
        return peer

    def post(api: Api, size: int) -> httpx.Response:
        content = b" " * size + json.dumps(lead(f"L-{size}")).encode()
        headers = {**api.http.headers, "Content-Type": "application/json"}
        return httpx.post(f"{door.url}/v1/events", content=content, headers=headers)

    begun = [begin(apis[0], 5 * MIB)]
    refused = post(apis[0], 2 * MIB)  # of 12 MiB, half is one ledger's
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert post(apis[1], 2 * MIB).status_code == 201
    begun.append(begin(apis[1], 5 * MIB))
    assert post(apis[2], 3 * MIB).status_code == 503
    assert post(apis[2], MIB).status_code == 201
    for peer in begun:
        peer.close()
    time.sleep(0.3)
    assert post(apis[0], 2 * MIB).status_code == 201


@pytest.mark.parametrize(
    ("start", "piece", "status"),
    [
        (b"GET /v1/roi?x=", b"x" * MIB, 414),
        (b"GET /livez HTTP/1.1\r\nX: ", b"x" * MIB, 431),
        (b"GET /livez HTTP/1.1\r\n", b"X-Header: a value that has some length\r\n" * 20_000, 431),
        (BULK + b"1\r\n\n\r\n0\r\nX: ", b"x" * MIB, 431),
        (BULK + b"1;x=", b"x" * MIB, 431),
    ],
    ids=["url", "header", "headers", "trailer", "chunk"],
)  # fmt: skip
def test_an_endless_head_is_refused_and_stops_nobody(
    api: Api, door: Running, call: Callable[[], Peer], start: bytes, piece: bytes, status: int
) -> None:
    before, peer = memory(door), call()
    peer.send(start.replace(b"KEY", api.key.encode()))
    began = time.monotonic()
    pieces = next((number for number in range(50) if not peer.send(piece)), 50)
    assert pieces < 20
    assert time.monotonic() - began < 5
    assert peer.answer()[0] in {status, 0}  # 0: the operating system may drop an answer that comes amid so much
    assert memory(door) - before < 40 * MIB
    assert httpx.get(f"{door.url}/readyz", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        (head("GET", "/v1/roi?x=" + "x" * 20_000), 414),
        (head("GET", "/livez", "X: " + "x" * 70_000), 431),
        (head("GET", "/livez", *["a: b"] * 300), 431),
        (b"BLA\x00\r\n\r\n", 400),
    ],
)
def test_what_is_refused_at_the_door_is_a_problem_too(call: Callable[[], Peer], request_of: bytes, status: int) -> None:
    peer = call()
    peer.send(request_of)
    found, said = peer.answer()
    assert found == status
    body = json.loads(said.partition(b"\r\n\r\n")[2])
    assert body["status"] == status
    assert set(body) >= {"type", "title", "detail"}
    assert b"content-type: application/problem+json" in said.lower()


def test_requests_sent_ahead_are_answered_in_order_and_a_flood_of_them_takes_no_memory(
    door: Running, call: Callable[[], Peer]
) -> None:
    peer = call()
    peer.send(head("GET", "/livez") * 3 + head("GET", "/nothing") + head("GET", "/livez", "Connection: close"))
    said = b""
    with contextlib.suppress(OSError):
        while part := peer.socket.recv(65_536):
            said += part
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"200", b"200", b"404", b"200"]
    before = memory(door)
    peers = [call() for _ in range(40)]
    for one in peers:
        one.send(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n" * 6_000)
    assert memory(door) - before < 60 * MIB
    assert httpx.get(f"{door.url}/readyz", timeout=10).status_code == 200


def test_heads_and_bodies_up_to_the_limits_are_taken(api: Api, door: Running, call: Callable[[], Peer]) -> None:
    assert httpx.get(f"{door.url}/livez?x={'x' * 16_000}", headers={"X": "x" * 40_000}).status_code == 200
    peer = call()
    sent = json.dumps(lead("L", note="x" * 200)).encode() + b"\n"
    lines = sent * 3_000  # pieces that cut heads and bodies anywhere, several requests on one connection
    request = head(
        "POST", "/v1/events", f"Authorization: Bearer {api.key}", "Content-Type: application/x-ndjson",
        f"Content-Length: {len(lines)}",
    )  # fmt: skip
    for _ in range(2):
        whole = request + lines
        for start in range(0, len(whole), 99_991):
            assert peer.send(whole[start : start + 99_991])
        status, said = peer.answer()
        assert (status, b'"duplicate":' in said) == (200, True), said[-300:]


def test_a_stalled_head_or_body_is_answered_408_and_silence_is_closed(
    api: Api, door: Running, call: Callable[[], Peer]
) -> None:
    key = f"Authorization: Bearer {api.key}"
    half_a_head, half_a_body, silent = call(), call(), call()
    half_a_head.send(b"GET /livez HTTP/1.1\r\nX-Y")
    half_a_body.send(head("POST", "/v1/events", key, "Content-Type: application/json", "Content-Length: 100") + b"{")
    bulk = call()
    bulk.send(head("POST", "/v1/events", key, "Content-Type: application/x-ndjson", "Transfer-Encoding: chunked"))
    bulk.send(b"3\r\n\n\n\n\r\n")
    for peer in (half_a_head, half_a_body, bulk):
        status, said = peer.answer()
        assert (status, b"application/problem+json" in said) == (408, True)
        assert peer.is_closed(5)
    assert silent.is_closed(10)
    assert httpx.get(f"{door.url}/readyz").status_code == 200


def test_whoever_drips_is_ended_too(api: Api, call: Callable[[], Peer]) -> None:
    key = f"Authorization: Bearer {api.key}"
    dripping = [call(), call()]
    dripping[0].send(b"GET /livez HTTP/1.1\r\n")
    dripping[1].send(head("POST", "/v1/events", key, "Content-Type: application/x-ndjson", "Content-Length: 100000"))
    ended: set[int] = set()
    for _ in range(60):
        ended |= {number for number, peer in enumerate(dripping) if number not in ended and not peer.send(b"x")}
        if len(ended) == 2:
            break
        time.sleep(0.2)
    assert ended == {0, 1}


def test_a_bulk_that_comes_steadily_may_take_longer_than_a_request(api: Api, call: Callable[[], Peer]) -> None:
    peer = call()
    key = f"Authorization: Bearer {api.key}"
    peer.send(head("POST", "/v1/events", key, "Content-Type: application/x-ndjson", "Transfer-Encoding: chunked"))
    for number in range(12):  # 6 seconds, where 2 are the limit
        line = json.dumps(lead(f"L-{number}", note="x" * 5_000)).encode() + b"\n"
        assert peer.send(b"%x\r\n%b\r\n" % (len(line), line))
        time.sleep(0.5)
    peer.send(b"0\r\n\r\n")
    assert peer.answer()[0] == 200


def test_an_answer_that_nobody_takes_is_dropped(api: Api, door: Running, call: Callable[[], Peer]) -> None:
    api.http.post("/v1/events", json=[lead(f"L-{number}", note="x" * 60_000) for number in range(100)])
    peers = [call() for _ in range(5)]
    key = f"Authorization: Bearer {api.key}"
    for peer in peers:
        for _ in range(5):  # more than the operating system takes into its own hands
            peer.send(head("GET", "/v1/events?limit=100", key))
    time.sleep(1)
    open_then = files(door)
    time.sleep(6)
    assert open_then - files(door) >= 5
    assert httpx.get(f"{door.url}/v1/events", headers=dict(api.http.headers), timeout=20).status_code == 200


def test_idle_connections_make_room_for_those_who_ask(door: Running) -> None:
    idle = [Peer(door) for _ in range(150)]
    kept = httpx.Client(base_url=door.url)
    try:
        assert kept.get("/readyz").status_code == 200
        idle.extend(Peer(door) for _ in range(70))  # each of them makes another one go
        assert httpx.get(f"{door.url}/readyz").status_code == 200
        gone = [one.is_closed(0.2) for one in idle[:100]]
        assert all(gone)
    finally:
        kept.close()
        for one in idle:
            one.close()


def test_as_many_connections_as_files_leave_the_service_ready(dsn: str, tmp_path: Path) -> None:
    environment = {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_MAX_CONNECTIONS": "5000"}
    few_files = ["/bin/sh", "-c", 'ulimit -n 400; exec "$0" "$@"']
    running = start_service([], environment, tmp_path / "log", few_files)
    idle: list[Peer] = []
    try:
        idle.extend(Peer(running) for _ in range(600))
        for _ in range(5):
            found = httpx.get(f"{running.url}/readyz", timeout=10).json()
            assert found.get("checks", found)["database"] == "ok", found  # ledgers of other tests may lag
        assert "Too many open files" not in (tmp_path / "log").read_text(encoding="utf-8")
    finally:
        for one in idle:
            one.close()
        stop_service(running)


def test_keys_that_nobody_knows_keep_no_memory_and_push_out_none_that_is_known(api: Api, door: Running) -> None:
    with httpx.Client(base_url=door.url, timeout=60) as http:
        assert http.get("/v1/ledger", headers=dict(api.http.headers)).status_code == 200
        before = memory(door)
        for number in range(1_500):
            answer = http.get("/v1/ledger", headers={"Authorization": f"Bearer {number}-{'x' * 60_000}"})
            assert answer.status_code == 401
        assert memory(door) - before < 40 * MIB
        for number in range(300):
            assert http.get("/v1/ledger", headers={"Authorization": f"Bearer {number}-{'x' * 400}"}).status_code == 401
            assert http.get(f"/v1/hooks/{'y' * 5_000}{number}").status_code == 404
        assert http.get("/v1/ledger", headers=dict(api.http.headers)).status_code == 200
        assert memory(door) - before < 40 * MIB


def test_many_at_once_without_a_key_leave_others_their_connections(api: Api, door: Running) -> None:
    stop = threading.Event()

    def guess(number: int) -> None:
        with httpx.Client(base_url=door.url, timeout=60) as http:
            for attempt in range(200):
                if stop.is_set():
                    return
                http.get("/v1/ledger", headers={"Authorization": f"Bearer guess-{number}-{attempt}"})

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    try:
        with httpx.Client(base_url=door.url, headers=dict(api.http.headers), timeout=20) as http:
            for number in range(10):
                assert http.post("/v1/events", json=lead(f"L-{number}")).status_code == 201
    finally:
        stop.set()
        for one in threads:
            one.join()
