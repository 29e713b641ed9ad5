"""What the programs share: a database of their own, the service and the echo as processes, and events to send."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from service.store import embedded, ledgers, migrate


class Place(NamedTuple):
    """A migrated database of this run."""

    dsn: str
    folder: Path


@contextmanager
def database() -> Iterator[Place]:
    """Give an embedded PostgreSQL with durable settings, removed afterwards; or CAMPAIGN_LEDGER_TEST_DATABASE_URL."""
    with tempfile.TemporaryDirectory(prefix="campaign-ledger-bench-") as folder:
        external = os.environ.get("CAMPAIGN_LEDGER_TEST_DATABASE_URL")
        if external:
            asyncio.run(migrate.migrate(external))
            yield Place(external, Path(folder))
            return
        with embedded.start(Path(folder) / "data") as server:
            asyncio.run(migrate.migrate(server.dsn))
            yield Place(server.dsn, Path(folder))


def new_ledger(place: Place) -> tuple[ledgers.Ledger, str]:
    """Create a ledger and a key with all scopes."""

    async def create() -> tuple[ledgers.Ledger, str]:
        async with asyncpg.create_pool(place.dsn, min_size=1, max_size=1) as pool:
            ledger = await ledgers.create_ledger(pool, f"bench-{random.random()}")
            return ledger, await ledgers.create_key(pool, ledger, ledgers.SCOPES)

    return asyncio.run(create())


@contextmanager
def process(arguments: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[int]:
    """Run a Python program that listens on a port until the end of the block."""
    running = subprocess.Popen(  # noqa: S603  our own programs
        [sys.executable, *arguments], env={**os.environ, **(environment or {})}, stderr=subprocess.DEVNULL
    )  # fmt: skip
    try:
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        running.terminate()
        running.wait(30)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(place: Place, *arguments: str) -> Iterator[int]:
    """Run the service on the database."""
    port = free_port()
    command = ["-m", "service.cli", "serve", "--port", str(port), *arguments]
    with process(command, port, {"CAMPAIGN_LEDGER_DATABASE_URL": place.dsn}):
        yield port


@contextmanager
def echoing() -> Iterator[int]:
    """Run the echo."""
    port = free_port()
    with process([str(Path(__file__).with_name("echo.py")), str(port)], port):
        yield port


def journeys(count: int, seed: int = 1, campaigns: int = 12, days: int = 730) -> Iterator[dict[str, Any]]:
    """Yield about `count` events of lead-to-cash journeys over two years, in the order in which they happen."""
    chance, events = random.Random(seed), []
    for number in range(count // 2 + 1):
        events += _journey(chance, number, campaigns, days)
    events.sort(key=lambda event: event["time"])
    yield from events[:count]


QUALIFIED, OPENED, SOLD, COSTS = 0.7, 0.4, 0.6, 0.05  # shares of the step before


def _journey(chance: random.Random, number: int, campaigns: int, days: int) -> list[dict[str, Any]]:
    moment = 1_704_067_200 + chance.random() * days * 86_400
    campaign, lead = f"campaign-{chance.randrange(campaigns):03}", f"LD-{number:08}"
    events: list[tuple[str, float, dict[str, Any]]] = [("lead.captured", moment, {
        "lead_id": lead, "campaign_id": campaign, "channel": chance.choice(("web", "mail", "event")), "source": "google",
        "owner_id": f"rep-{chance.randrange(8)}",
    })]  # fmt: skip
    if chance.random() < QUALIFIED:
        moment += chance.expovariate(1 / 5) * 86_400
        events.append(("lead.qualified", moment, {"lead_id": lead, "level": "mql"}))
    if chance.random() < OPENED:
        moment += chance.expovariate(1 / 10) * 86_400
        opportunity = {"opportunity_id": f"OP-{number:08}"}
        events.append(("opportunity.opened", moment, {**opportunity, "lead_ids": [lead]}))
        if chance.random() < SOLD:
            moment += chance.expovariate(1 / 20) * 86_400
            value = {"amount": f"{chance.randrange(500, 50_000)}.00", "currency": "EUR"}
            events.append(("quote.accepted", moment, {"quote_id": f"QU-{number:08}", **opportunity, "value": value}))
            order = {"order_id": f"SO-{number:08}"}
            placed = {
                **order,
                **opportunity,
                "quote_id": f"QU-{number:08}",
                "net_value": value,
                "account_id": f"AC-{number // 2:08}",
            }
            events.append(("order.placed", moment + 3600, placed))
            moment += 86_400 * 7
            posted = {
                "invoice_id": f"INV-{number:08}",
                **order,
                "net_amount": value,
                "cogs": value,
                "posting_date": _day(moment),
            }
            events.append(("invoice.posted", moment, posted))
    if chance.random() < COSTS:
        cost = {"amount": f"{chance.randrange(100, 5_000)}.00", "currency": "EUR"}
        booked = {
            "cost_entry_id": f"CE-{number:08}",
            "campaign_id": campaign,
            "amount": cost,
            "cost_date": _day(moment),
        }
        events.append(("campaign.cost_booked", moment, booked))
    return [_event(number, index, *one) for index, one in enumerate(events)]


def _event(number: int, index: int, event_type: str, moment: float, data: dict[str, Any]) -> dict[str, Any]:
    time_text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    return {
        "specversion": "1.0", "id": f"{number:08}-{index}", "source": "/crm", "type": event_type, "time": time_text,
        "data": data,
    }  # fmt: skip


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def lines(events: Iterator[dict[str, Any]]) -> list[bytes]:
    """Return events as JSON lines."""
    return [json.dumps(event, separators=(",", ":")).encode() for event in events]
