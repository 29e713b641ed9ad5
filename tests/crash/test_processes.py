"""`serve --workers`: several processes behind one socket append densely, are replaced when they die, and end with the first."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from tests.conftest import start_service, stop_service
from tests.crash.test_kill9 import KEY, Load, is_gone, stored


def answering(log: Path, count: int) -> list[int]:
    """Return the other processes that have begun to answer requests, as soon as there are so many."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = log.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line)["pid"] for line in lines if '"answering too"' in line]
        if len(found) == count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"there are not {count} other processes: {log.read_text(encoding='utf-8')}")


def test_processes_append_densely_are_replaced_when_killed_and_end_with_the_first(tmp_path: Path) -> None:
    arguments = ["--data-dir", str(tmp_path / "data"), "--workers", "3"]
    log = tmp_path / "log"
    running = start_service(arguments, {"CAMPAIGN_LEDGER_BOOTSTRAP_KEY": KEY}, log)
    try:
        victim, other = answering(log, 2)
        load = Load(running.url, "first")
        load.start()
        load.wait_for(300)
        os.kill(victim, signal.SIGKILL)
        load.finish()
        assert not load.failed
        *_, substitute = answering(log, 3)
        again = Load(running.url, "second")
        again.start()
        again.wait_for(300)
        again.finish()
        kept = stored(running.url)  # dense, and each once
        assert {**load.acknowledged, **again.acknowledged}.items() <= kept.items()
        running.process.kill()
        assert all(is_gone(one, 20) for one in (other, substitute))
    finally:
        if running.process.poll() is None:
            stop_service(running)
