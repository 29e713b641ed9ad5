"""What is acknowledged is kept: through kill -9 in the middle of the load, and through an orderly end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Running, start_service, stop_service
from tests.support import commands

KEY = "a-bootstrap-key-0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}
THREADS = 6
BATCH = 40
MOST_REQUESTS = 2_000  # of one thread in one round: the service is ended long before

Sent = dict[str, dict[str, Any]]


class Load:
    """Threads that post leads, one by one or in batches, and note what is acknowledged at which position."""

    def __init__(self, url: str, name: str) -> None:
        self.sent: Sent = {}
        self.acknowledged: dict[str, int] = {}
        self.failed: list[str] = []
        self._url = url
        self._name = name
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(number,)) for number in range(THREADS)]

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def wait_for(self, acknowledged: int) -> None:
        deadline = time.monotonic() + 60
        while len(self.acknowledged) < acknowledged:
            assert time.monotonic() < deadline, f"only {len(self.acknowledged)} events were acknowledged"
            time.sleep(0.002)

    def finish(self) -> None:
        self._stop.set()
        for one in self._threads:
            one.join(60)
            assert not one.is_alive()

    def _post(self, thread: int) -> None:
        with httpx.Client(base_url=self._url, headers=HEADERS, timeout=30) as http:
            for request in range(MOST_REQUESTS):
                if self._stop.is_set():
                    return
                names = [f"{self._name}-{thread}-{request}-{item}" for item in range(BATCH if thread % 2 else 1)]
                events = [self._event(name) for name in names]
                self.sent.update(zip(names, events, strict=True))
                try:
                    answer = http.post("/v1/events", json=events if thread % 2 else events[0])
                except httpx.TransportError:
                    return  # the service is gone, and whether it stored this is not known
                if answer.status_code not in {200, 201}:
                    self.failed.append(f"{answer.status_code} {answer.text}")
                    return
                items = answer.json()["items"] if thread % 2 else [answer.json()]
                self.acknowledged.update({item["id"]: item["position"] for item in items})

    @staticmethod
    def _event(name: str) -> dict[str, Any]:
        amount = {"amount": "1.00", "currency": "EUR"}
        data = {"cost_entry_id": name, "campaign_id": "c", "amount": amount, "cost_date": "2026-03-01"}
        envelope = {"specversion": "1.0", "id": name, "source": "/crash", "time": "2026-03-01T12:00:00Z"}
        return {**envelope, "type": "campaign.cost_booked", "data": data}


@contextmanager
def service_on(data_dir: Path, log: Path) -> Iterator[Running]:
    running = start_service(["--data-dir", str(data_dir)], {"CAMPAIGN_LEDGER_BOOTSTRAP_KEY": KEY}, log)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            stop_service(running)


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "cluster" / "postmaster.pid").read_text(encoding="utf-8").split()[0])


def is_gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def stored(url: str) -> dict[str, int]:
    """Return the positions in the log by id, having seen that they are dense and that no id is there twice."""
    found: dict[str, int] = {}
    path, count = "/v1/events?limit=1000", 0
    with httpx.Client(base_url=url, headers=HEADERS, timeout=60) as http:
        while path:
            answer = http.get(path)
            for one in answer.json():
                count += 1
                assert one["position"] == count
                assert one["id"] not in found
                found[one["id"]] = one["position"]
            path = answer.links.get("next", {}).get("url", "")
        ledger = http.get("/v1/ledger").json()
    assert ledger["last_position"] == count
    return found


def check(url: str, load: Load, data_dir: Path) -> dict[str, int]:
    """See that the log holds what was acknowledged, and that the read models and the proofs agree with it."""
    found = stored(url)
    assert {name: found.get(name) for name in load.acknowledged} == load.acknowledged
    with httpx.Client(base_url=url, headers=HEADERS, timeout=60) as http:
        deadline = time.monotonic() + 60
        while (answer := http.get("/v1/roi", params={"min_position": len(found)})).status_code == 503:
            assert time.monotonic() < deadline, answer.text
    assert answer.json()["total"]["actual_cost"] == f"{len(found)}.00"
    assert answer.json()["as_of"]["position"] == len(found)
    proof = commands.call("verify", "--data-dir", str(data_dir))
    assert proof.returncode == 0, proof.stdout + proof.stderr
    return found


@pytest.mark.timeout(280)
def test_what_was_acknowledged_before_kill_9_is_there_once_at_its_position(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    sent: Sent = {}
    before: dict[str, int] = {}
    for kills, enough in enumerate((1, 1_000)):
        with service_on(data_dir, tmp_path / f"log-{kills}") as running:
            server = postmaster(data_dir)
            load = Load(running.url, f"k{kills}")
            load.start()
            try:
                load.wait_for(enough)
            finally:
                running.process.kill()
                load.finish()
            assert running.process.wait(10) == -signal.SIGKILL
        assert load.failed == []
        assert is_gone(server, 30)
        sent |= load.sent
        with service_on(data_dir, tmp_path / f"log-{kills}-again") as running:
            found = check(running.url, load, data_dir)
        assert found.items() >= before.items()
        assert found.keys() <= sent.keys()
        before = found
    with service_on(data_dir, tmp_path / "log-last") as running:
        for start in range(0, len(sent), 1_000):  # whoever is not sure sends again
            events = list(sent.values())[start : start + 1_000]
            answer = httpx.post(f"{running.url}/v1/events", json=events, headers=HEADERS, timeout=60)
            assert answer.status_code == 200
        assert stored(running.url).keys() == sent.keys()


@pytest.mark.timeout(200)
def test_sigterm_in_the_middle_of_the_load_ends_it_cleanly_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with service_on(data_dir, tmp_path / "log") as running:
        server = postmaster(data_dir)
        load = Load(running.url, "t")
        load.start()
        try:
            load.wait_for(500)
            asked = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(15) == 0
            assert time.monotonic() - asked < 10
        finally:
            load.finish()
        assert is_gone(server, 0.5)
        assert not (data_dir / "cluster" / "postmaster.pid").exists()
    assert load.failed == []
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")
    with service_on(data_dir, tmp_path / "log-again") as running:
        assert len(check(running.url, load, data_dir)) >= 500
