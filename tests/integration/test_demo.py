"""`campaign-ledger demo` as its user runs it: a process of its own, on an embedded PostgreSQL of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from service.demo.tables import CAMPAIGNS
from service.store.embedded import attach
from tests.support import commands

WIDTH = 100


def start(data_dir: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  our own program
        [*commands.COMMAND, "demo", "--port", "0", "--data-dir", str(data_dir), *options],
        env=commands.environment(CAMPAIGN_LEDGER_DATABASE_URL="postgresql://never-asked.invalid/ledger"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def shown(data_dir: Path) -> str:
    process = start(data_dir, "--exit", "--leads", "300")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return out


def left_running(data_dir: Path) -> list[str]:
    """Return the processes that still serve this directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace")
        except OSError:  # it has ended
            continue
        if str(data_dir / "cluster") in command:
            found.append(command)
    return found


def count(out: str, status: str) -> int:
    found = re.search(rf"^{status} +([\d,]+)$", out, re.MULTILINE)
    assert found, out
    return int(found[1].replace(",", ""))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(data_dir: Path) -> str:
    return shown(data_dir)


def test_every_campaign_has_a_row_beside_the_unattributed_one_and_the_total(first: str) -> None:
    rows = {line.split("  ")[0].strip() for line in first.splitlines()}
    assert {campaign.name for campaign in CAMPAIGNS} | {"unattributed", "total"} <= rows


def test_funnel_velocity_and_counts_are_shown(first: str) -> None:
    for word in ("captured", "quote accepted", "lead to cash", "out of sequence", "sent per second"):
        assert word in first
    assert count(first, "accepted") > 2000
    assert "█" in first


def test_tables_fit_into_a_hundred_columns_and_nothing_is_cut_off(first: str) -> None:
    assert max(len(line.rstrip()) for line in first.splitlines()) <= WIDTH
    assert "…" not in first


def test_a_second_run_finds_only_duplicates_and_shows_the_same_figures(data_dir: Path, first: str) -> None:
    again = shown(data_dir)
    assert count(again, "accepted") == 0
    assert count(again, "duplicates") == count(first, "accepted") + count(first, "duplicates")
    assert again.partition(" events in ")[0] == first.partition(" events in ")[0]


def test_no_database_server_is_left(data_dir: Path, first: str) -> None:
    assert first
    assert attach(data_dir) is None
    assert left_running(data_dir) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stays_up_with_commands_that_work_until_it_is_told_to_stop(
    data_dir: Path, first: str, number: signal.Signals
) -> None:
    assert first
    process = start(data_dir, "--leads", "300")
    assert process.stdout
    lines: list[str] = []
    while not lines or not lines[-1].startswith("The service listens"):
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)
    said = "".join(lines)
    key, urls = re.findall(r"^KEY=(\S+)$", said, re.MULTILINE)[0], re.findall(r'"(http://\S+)"', said)
    assert len(urls) == 2
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}) as http:
        channels, early = (http.get(url) for url in urls)
        event = json.loads(said.partition("-d '")[2].partition("'\n")[0])
        posted = http.post(f"{urls[0].partition('/v1/')[0]}/v1/events", json=event)
    assert {row["channel"] for row in channels.json()["rows"]} >= {"email", "event"}
    assert 0 < early.json()["as_of"]["position"] < posted.json()["last_position"]
    assert posted.json()["status"] in ("accepted", "duplicate")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "stopping" in out
    assert left_running(data_dir) == []


def test_being_stopped_while_events_are_being_sent_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start(tmp_path)
    deadline = time.monotonic() + 60
    while attach(tmp_path) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130), out + err  # 130: before it could listen for signals
    assert "Traceback" not in out + err
    assert left_running(tmp_path) == []
