"""Nobody takes it all: reads have a share, pages and queues have bytes, and what is rejected counts apart."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from tests.conftest import MASTER_KEY, Api, Running, start_service, stop_service
from tests.support.hooks import connect
from tests.support.memory_of import MIB, memory
from tests.support.sending import lead, order

SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
OTHER = "whsec_YW5vdGhlci1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NQ=="


@pytest.fixture(scope="module")
def shared(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service whose reads have little patience, and whose queue is short."""
    environment = {
        "CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY,
        "CAMPAIGN_LEDGER_READ_WAIT": "1", "CAMPAIGN_LEDGER_APPEND_QUEUE_BYTES": str(8 * MIB),
    }  # fmt: skip
    running = start_service([], environment, tmp_path_factory.mktemp("shared") / "log")
    yield running
    stop_service(running)


@contextmanager
def executing(dsn: str, statement: str) -> Iterator[None]:
    """Hold what a statement locks."""
    loop = asyncio.new_event_loop()
    connection: asyncpg.Connection = loop.run_until_complete(asyncpg.connect(dsn))
    try:
        loop.run_until_complete(connection.execute(f"BEGIN; {statement}"))
        yield
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


def at(running: Running, api: Api) -> httpx.Client:
    return httpx.Client(base_url=running.url, headers=dict(api.http.headers), timeout=60)


def large(name: str, parts: int) -> dict[str, Any]:
    """Return a lead with so many times 60,000 characters."""
    return lead(name, **{f"note_{number}": "x" * 60_000 for number in range(parts)})


def test_thirty_reads_that_take_long_leave_others_their_posts_and_their_own_reads(
    open_api: Callable[..., Api], shared: Running, dsn: str
) -> None:
    one, other = open_api(), open_api()
    one.post(lead("L", "c"))
    other.post(lead("L", "c"))
    other.read("/v1/roi")
    one.read("/v1/roi")
    with at(shared, one) as reader, at(shared, other) as sender, ThreadPoolExecutor(31) as threads:
        with executing(dsn, "LOCK TABLE balances IN ACCESS EXCLUSIVE MODE"):
            reads = [threads.submit(reader.get, f"/v1/roi?from=2026-01-{day + 1:02}") for day in range(30)]
            time.sleep(0.3)
            began = time.monotonic()
            assert sender.post("/v1/events", json=lead("M")).status_code == 201
            assert sender.get("/readyz").status_code == 200
            assert sender.get("/v1/ledger").status_code == 200  # the share of another key
            assert time.monotonic() - began < 5
            time.sleep(2)
        answers = [read.result() for read in reads]
    counted = Counter(answer.status_code for answer in answers)
    assert counted == {200: 2, 503: 28}
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert (refused.headers["retry-after"], refused.json()["type"]) == ("2", "/problems/too-many-reads")


def test_reads_that_wait_for_a_position_hold_nobody_up(open_api: Callable[..., Api], shared: Running) -> None:
    api = open_api()
    api.post(lead("L", "c"))
    with at(shared, api) as http, ThreadPoolExecutor(10) as threads:
        waiting = [threads.submit(http.get, f"/v1/roi?min_position={number + 1000}") for number in range(10)]
        time.sleep(0.3)
        assert http.get("/v1/conversion").status_code == 200
        assert {one.result().json()["type"] for one in waiting} == {"/problems/not-projected-yet"}


def test_a_list_of_the_quarantine_shows_beginnings_and_the_item_all(api: Api, shared: Running) -> None:
    with at(shared, api) as http:
        for number in range(15):
            body = json.dumps({"number": number, "net_value": "x" * 4 * MIB}).encode()
            assert (
                http.post("/v1/events", content=body, headers={"Content-Type": "application/json"}).status_code == 422
            )
        before = memory(shared)
        answer = http.get("/v1/quarantine?limit=1000")
        assert len(answer.content) < 200_000
        items = answer.json()["items"]
        assert [(one["whole"], one["size"] > 4 * MIB, len(one["body"])) for one in items] == [(False, True, 2_000)] * 15
        assert http.get("/v1/completeness").json()["waiting"][0]["count"] == 15
        assert memory(shared) - before < 60 * MIB
        whole = http.get(f"/v1/quarantine/{items[3]['id']}").json()
        assert (json.loads(whole["body"])["number"], whole["whole"]) == (3, True)
        assert http.get("/v1/quarantine/99999999").status_code == 404


def test_a_page_of_the_quarantine_ends_at_its_bytes(api: Api) -> None:
    wrong = [{"type": "lead.captured", "data": {}, **{f"ext{n}{m}": [] for m in range(200)}} for n in range(900)]
    for start in range(0, 900, 300):
        api.http.post("/v1/events", json=wrong[start : start + 300])
    path, pages = "/v1/quarantine?limit=1000", []
    while path:
        answer = api.http.get(path)
        pages.append([one["id"] for one in answer.json()["items"]])
        assert len(answer.content) < 11 * MIB
        path = answer.links.get("next", {}).get("url", "")
    assert len(pages) > 1
    assert sum(map(len, pages)) == 900
    assert sorted(one for page in pages for one in page) == [one for page in pages for one in page]


def test_a_page_of_the_log_ends_at_its_bytes_and_leads_on(api: Api, shared: Running) -> None:
    with at(shared, api) as http:
        for number in range(30):
            assert http.post("/v1/events", json=large(f"L-{number}", 15)).status_code == 201
        before, pages, path = memory(shared), [], "/v1/events?limit=1000"
        while path:
            answer = http.get(path)
            assert len(answer.content) < 10 * MIB
            pages.append([one["position"] for one in answer.json()])
            path = answer.links.get("next", {}).get("url", "")
        assert [position for page in pages for position in page] == [*range(1, 31)]
        assert len(pages) > 2
        assert [one["position"] for one in http.get("/v1/events?limit=3&after=2&type=lead.captured").json()] == [
            3,
            4,
            5,
        ]
        assert memory(shared) - before < 120 * MIB


def test_entries_of_large_events_say_why_without_reading_all_of_them(api: Api, shared: Running) -> None:
    with at(shared, api) as http:
        for number in range(40):
            sent = order(f"O-{number}", "7.00", campaign_id="c", **large("", 15)["data"])
            assert http.post("/v1/events", json=sent).status_code == 201
        http.post("/v1/events", json=order("small", "7.00", campaign_id="c"))
        api.read("/v1/roi")
        before = memory(shared)
        found = http.get("/v1/roi/entries?measure=booked_revenue&limit=1000").json()
        assert (found["sum"], {one["why"] for one in found["entries"]}) == ("287.00", {"placed"})
        assert memory(shared) - before < 30 * MIB


def test_what_waits_to_be_stored_is_bounded_by_bytes_and_by_ledger(
    open_api: Callable[..., Api], shared: Running, dsn: str
) -> None:
    one, other = open_api(), open_api()
    locked = f"SELECT FROM heads WHERE ledger = {one.ledger.ledger} FOR UPDATE"
    with at(shared, one) as http, at(shared, other) as second, ThreadPoolExecutor(20) as threads:
        with executing(dsn, locked):
            posts = [threads.submit(http.post, "/v1/events", json=large(f"L-{number}", 10)) for number in range(20)]
            time.sleep(2)
            refused = [post.result() for post in posts if post.done()]
            assert {answer.status_code for answer in refused} == {503}
            assert {answer.headers["retry-after"] for answer in refused} == {"1"}
            assert second.post("/v1/events", json=large("L", 10)).status_code == 201
        taken = [answer for answer in (post.result() for post in posts) if answer.status_code == 201]
        assert len(taken) + len(refused) == 20
        assert 1 <= len(taken) <= 4  # of 1.2 MB in memory each, where half of 8 MiB is this ledger's
        assert http.post("/v1/events", json=large("M", 10)).status_code == 201


def test_whoever_only_knows_the_url_takes_nothing_of_what_the_sender_may_send(api: Api, dsn: str) -> None:
    sender = connect(api, "standard-webhooks", SECRET, rate_per_minute=30)
    wrong = sender._replace(source=sender.source._replace(secrets=(OTHER,)))
    body = json.dumps({"type": "lead.captured", "timestamp": "2026-03-02T09:30:00Z", "data": {"lead_id": "L"}}).encode()
    forged = [wrong.post(body + b" " * 300_000, {"x-long": "x" * 30_000}).status_code for _ in range(150)]
    assert set(forged) == {401}
    assert sender.post(body).status_code == 202
    rejected = sender.deliveries(state="rejected")
    assert 100 <= len(rejected) < 120
    assert rejected[0]["size"] > 300_000

    async def stored() -> int:
        connection = await asyncpg.connect(dsn)
        try:
            return int(await connection.fetchval(
                "SELECT max(octet_length(body) + octet_length(head)) FROM deliveries WHERE source = $1 AND state = 'rejected'",
                sender.source.id,
            ))  # fmt: skip
        finally:
            await connection.close()

    assert asyncio.run(stored()) < 16_384
