"""A journey of many thousand facts on a real service and database: projected, rebuilt, and nobody else has to wait for it."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator

import asyncpg
import httpx
import pytest

from service.store import ledgers
from tests.conftest import Running, start_service, stop_service
from tests.support import commands, databases
from tests.support.long_journeys import SHAPES
from tests.support.sending import cost

pytestmark = pytest.mark.alone
LONGEST = 60.0  # seconds for a journey, live and in a rebuild
VISIBLE = 2.0  # seconds for an event of another ledger, in the middle of it


@pytest.fixture(scope="module")
async def own_dsn(dsn: str) -> AsyncIterator[str]:
    """A database that no other test's service projects."""
    async with databases.migrated(dsn) as own:
        yield own


@pytest.fixture(scope="module")
def running(own_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    service = start_service([], {"CAMPAIGN_LEDGER_DATABASE_URL": own_dsn}, tmp_path_factory.mktemp("service") / "log")
    yield service
    stop_service(service)


def client(dsn: str, running: Running, name: str) -> httpx.Client:
    async def create() -> str:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            return await ledgers.create_key(pool, await ledgers.create_ledger(pool, name), ledgers.SCOPES)

    key = asyncio.run(create())
    return httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {key}"}, timeout=90)


class Neighbour(threading.Thread):
    """Posts an event to another ledger every so often and waits until it is in the figures."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.done = threading.Event()
        self._http = http

    def run(self) -> None:
        while not self.done.wait(0.1):
            begun = time.monotonic()
            posted = self._http.post("/v1/events", json=cost(f"C{len(self.waits)}", "c", "1.00")).json()
            read = self._http.get("/v1/roi", params={"min_position": posted["position"]})
            self.waits.append(time.monotonic() - begun if read.status_code == 200 else float("inf"))


@pytest.mark.parametrize(
    ("shape", "count", "shuffled"),
    [("invoices", 20_000, True), ("opportunities", 20_000, False), ("amendments", 20_000, False)],
)
def test_a_journey_of_20000_facts_is_projected_and_rebuilt_within_a_minute_while_others_go_on(
    own_dsn: str, running: Running, shape: str, count: int, shuffled: bool
) -> None:
    events = list(SHAPES[shape](count))
    if shuffled:
        random.Random(1).shuffle(events)  # noqa: S311  not for secrets
    long, other = (client(own_dsn, running, f"{whose}-{shape}") for whose in ("long", "other"))
    neighbour = Neighbour(other)
    neighbour.start()
    try:
        body = b"\n".join(json.dumps(one).encode() for one in events)
        taken = long.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"}).json()
        assert taken["accepted"] == len(events), taken
        begun = time.monotonic()
        while (ledger := long.get("/v1/ledger").json())["projected_position"] < ledger["last_position"]:
            assert time.monotonic() - begun < LONGEST, ledger
            time.sleep(0.2)
        begun = time.monotonic()
        replay = commands.call("replay", f"long-{shape}", CAMPAIGN_LEDGER_DATABASE_URL=own_dsn)
        took = time.monotonic() - begun
    finally:
        neighbour.done.set()
        neighbour.join()
        other.close()
    assert replay.returncode == 0, replay.stdout + replay.stderr
    assert took < LONGEST
    assert long.get("/v1/set-aside").json()["items"] == []
    long.close()
    assert len(neighbour.waits) > 5
    assert max(neighbour.waits) < VISIBLE, sorted(neighbour.waits)[-5:]
