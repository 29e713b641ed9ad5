"""What a sender was answered 2xx for is translated, though the service was killed before it could do so."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import asyncpg
import httpx

from service.store import embedded
from service.store.ledgers import Ledger
from tests.conftest import MASTER_KEY, Api, Running, start_service, stop_service
from tests.support.hooks import Sender, connect

KEY = "a-bootstrap-key-0123456789"
SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
MESSAGES = 25


def start(data_dir: Path, log: Path) -> Running:
    environment = {"CAMPAIGN_LEDGER_BOOTSTRAP_KEY": KEY, "CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY}
    return start_service(["--data-dir", str(data_dir)], environment, log)


def lead(number: int) -> bytes:
    data = {"lead_id": f"L-{number}", "campaign_id": "c"}
    return json.dumps({"type": "lead.captured", "timestamp": "2026-03-02T09:30:00Z", "data": data}).encode()


def posted_and_killed(running: Running, data_dir: Path, sender: Sender, table: str) -> None:
    """Post while a table is held, so that nothing gets past it, and kill the service there."""
    dsn = embedded.attach(data_dir)
    assert dsn is not None
    loop = asyncio.new_event_loop()
    connection: asyncpg.Connection = loop.run_until_complete(asyncpg.connect(dsn))
    loop.run_until_complete(connection.execute(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE"))
    for number in range(MESSAGES):
        assert sender.post(lead(number)).status_code == 202
    running.process.send_signal(signal.SIGKILL)
    running.process.wait(30)
    connection.terminate()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def killed_and_restarted(tmp_path: Path, table: str) -> None:
    data_dir = tmp_path / "data"
    running = start(data_dir, tmp_path / "log-1")
    with httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http:
        sender = connect(Api(http, Ledger(1, "default", "EUR", "UTC"), KEY), "standard-webhooks", SECRET)
        posted_and_killed(running, data_dir, sender, table)
    again = start(data_dir, tmp_path / "log-2")
    try:
        with httpx.Client(base_url=again.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http:
            after = sender._replace(api=Api(http, sender.api.ledger, KEY))
            assert [one["state"] for one in after.settled()] == ["accepted"] * MESSAGES
            events = after.events()
            assert sorted(one["data"]["lead_id"] for one in events) == sorted(f"L-{n}" for n in range(MESSAGES))
            assert [one["position"] for one in events] == list(range(1, MESSAGES + 1))
    finally:
        stop_service(again)
    for log in ("log-1", "log-2"):
        assert SECRET not in (tmp_path / log).read_text(encoding="utf-8")


def test_what_was_acknowledged_but_not_read_is_translated_after_kill_9(tmp_path: Path) -> None:
    killed_and_restarted(tmp_path, "statements")


def test_what_was_planned_but_not_appended_is_appended_once_after_kill_9(tmp_path: Path) -> None:
    killed_and_restarted(tmp_path, "heads")
