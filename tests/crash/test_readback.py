"""Senders' APIs that drip, unfold or have no end take neither other ledgers' time nor the memory."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from service.intake import outgoing, readback
from service.store import embedded, ledgers
from tests.conftest import MASTER_KEY, Api, Running, start_service, stop_service
from tests.support import bad_apis
from tests.support.hooks import Sender, connect
from tests.support.senders_api import HOSTS, serving
from tests.support.stories.business_central import CLIENT, ROOT, STORY, answered, guid, notice

pytestmark = pytest.mark.alone
STATE = "a-client-state-0123456789"
SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
SOON = 2.0
ROOM = 300 * 1024 * 1024


def at(data_dir: Path, work: Any) -> Any:
    """Return what a function of a pool gives on the service's own database."""

    async def done() -> Any:
        async with asyncpg.create_pool(embedded.attach(data_dir), min_size=1, max_size=1) as pool:
            return await work(pool)

    return asyncio.run(done())


class Stage:
    """A service on a database of its own, and its ledgers."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.starts = 0
        self.clients: list[httpx.Client] = []
        self.running = self.start()

    @property
    def data_dir(self) -> Path:
        return self.place / "data"

    def start(self) -> Running:
        self.starts += 1
        environment = {"CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY, "CAMPAIGN_LEDGER_PRIVATE_HOSTS": json.dumps(HOSTS)}
        self.running = start_service(["--data-dir", str(self.data_dir)], environment, self.place / f"log-{self.starts}")
        return self.running

    def ledger(self, name: str) -> Api:
        async def made(pool: asyncpg.Pool) -> tuple[ledgers.Ledger, str]:
            one = await ledgers.create_ledger(pool, name)
            return one, await ledgers.create_key(pool, one, ledgers.SCOPES)

        one, key = at(self.data_dir, made)
        return self.client(one, key)

    def client(self, one: ledgers.Ledger, key: str) -> Api:
        http = httpx.Client(base_url=self.running.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        self.clients.append(http)
        return Api(http, one, key)

    def peak(self) -> int:
        """Return the most memory that the service has had so far, in bytes."""
        lines = Path(f"/proc/{self.running.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    for client in made.clients:
        client.close()
    if made.running.process.poll() is None:
        stop_service(made.running)


def reader(api: Api, url: str, name: str = "erp") -> Sender:
    """Connect a Business Central whose documents are read back from an API."""
    return connect(
        api, "business-central", STATE, name=name, mapping=bad_apis.mapping(url), credentials=CLIENT
    )  # fmt: skip


def notify(sender: Sender, *resources: str) -> None:
    """Say that documents have changed."""
    for resource in resources:
        change = "collection" if "$filter" in resource else "updated"
        body = {"value": [{**notice(resource, change, "2026-05-07T11:00:00Z"), "clientState": STATE}]}
        assert sender.post(json.dumps(body).encode()).status_code == 200


def seconds_until_in_the_ledger(sender: Sender, key: str) -> float:
    """Post a webhook and return how long it took until its event was in the log."""
    begun = time.monotonic()
    data = {"lead_id": key, "campaign_id": "c"}
    body = {"type": "lead.captured", "timestamp": "2026-03-02T09:30:00Z", "data": data}
    assert sender.post(json.dumps(body).encode()).status_code == 202
    while all(one["data"].get("lead_id") != key for one in sender.events()):
        assert time.monotonic() - begun < 60, sender.deliveries()
        time.sleep(0.02)
    return time.monotonic() - begun


def waited(sender: Sender, seconds: float = 60) -> list[dict[str, Any]]:
    deadline = time.monotonic() + seconds
    while any(one["state"] == "received" for one in sender.deliveries()):
        assert time.monotonic() < deadline, sender.deliveries()
        time.sleep(0.1)
    return sender.deliveries()


def test_apis_that_drip_hold_up_no_other_ledger(stage: Stage) -> None:
    slow, quick = stage.ledger("slow"), stage.ledger("quick")
    other = connect(quick, "standard-webhooks", SECRET)
    with serving(bad_apis.dripping) as bad, serving(answered) as good:
        for name in ("a", "b", "c"):
            notify(reader(slow, bad, name), *(f"salesInvoices({guid(str(number))})" for number in range(5)))
        asking = connect(
            quick, "business-central", STATE, name="erp", credentials=CLIENT,
            mapping=json.loads(json.dumps(STORY.mapping).replace("{api}", good)),
        )  # fmt: skip
        time.sleep(1)
        took = sorted(seconds_until_in_the_ledger(other, f"L-{number}") for number in range(5))
        assert took[2] < SOON, took
        notify(asking, f"purchaseInvoices({guid('108001')})")
        assert [one["state"] for one in waited(asking, 20)] == ["accepted"]
        assert {one["state"] for one in slow.http.get(_deliveries(slow)).json()["items"]} == {"received"}
        stop_service(stage.running)  # asks no further, and gives back what it has in hand

    async def leased(pool: asyncpg.Pool) -> list[int]:
        rows = await pool.fetch(
            "SELECT count(*) FILTER (WHERE leased_until IS NOT NULL), count(*) FROM deliveries WHERE asks"
        )
        return list(rows[0])

    with embedded.start(stage.data_dir):
        assert at(stage.data_dir, leased) == [0, 16]


def _deliveries(api: Api) -> str:
    source = api.http.get("/v1/sources").json()["items"][0]["id"]
    return f"/v1/sources/{source}/deliveries"


def test_an_answer_that_unfolds_takes_no_memory_and_is_told(stage: Stage) -> None:
    api = stage.ledger("one")
    before = stage.peak()
    with serving(bad_apis.unfolding) as url:
        sender = reader(api, url)
        notify(sender, *(f"salesInvoices({guid(str(number))})" for number in range(6)))
        found = waited(sender)
    assert {one["state"] for one in found} == {"failed"}
    assert f"more than {outgoing.MAX_ANSWER} bytes" in found[0]["reason"]
    assert stage.peak() - before < ROOM


def test_pages_without_end_end_and_hold_up_nobody(stage: Stage) -> None:
    api, quick = stage.ledger("one"), stage.ledger("quick")
    other = connect(quick, "standard-webhooks", SECRET)
    before, pages = stage.peak(), bad_apis.Endless()
    with serving(pages) as url:
        sender = reader(api, url)
        notify(sender, "salesInvoices?$filter=lastModifiedDateTime%20gt%202026-04-30T00:00:00Z")
        took = sorted(seconds_until_in_the_ledger(other, f"L-{number}") for number in range(5))
        assert took[2] < SOON, took
        (found,) = waited(sender, 120)
    assert found["state"] == "failed"
    assert "all of a turn" in found["reason"] or "too wide" in found["reason"]
    assert 1 < pages.pages < 100
    assert stage.peak() - before < ROOM
    assert sender.events() == []


def test_what_was_being_asked_for_at_kill_9_is_asked_again_and_counts_once(stage: Stage) -> None:
    api = stage.ledger("one")
    with serving(bad_apis.dripping) as url:
        sender = reader(api, url)
        notify(sender, f"purchaseInvoices({guid('108001')})")
        lease = "SELECT extract(epoch FROM leased_until - now()) FROM deliveries WHERE leased_until IS NOT NULL"
        deadline = time.monotonic() + 30
        while (left := at(stage.data_dir, lambda pool: pool.fetchval(lease))) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert 0 < left <= readback.LEASE_SECONDS
        stage.running.process.send_signal(signal.SIGKILL)
        stage.running.process.wait(30)
    stage.start()
    with serving(answered) as url:
        after = sender._replace(api=stage.client(api.ledger, api.key))
        mapping = {
            **bad_apis.mapping(url),
            "token_url": f"{url}/contoso/oauth2/v2.0/token",
            "campaigns": {"FAIR26": "f"},
        }
        assert after.call("PATCH", json={"mapping": mapping}).status_code == 200
        at(stage.data_dir, lambda pool: pool.execute("UPDATE deliveries SET leased_until = now()"))  # as time does
        assert [one["state"] for one in waited(after)] == ["accepted"]
    assert [one["type"] for one in after.events()] == ["campaign.cost_booked"]
    assert ROOT in mapping["company_url"]
