"""The service comes back by itself from whatever happens to it or its database, says what is down, and loses nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import MASTER_KEY
from tests.crash.campaign import FAULTS, Report, filled, play, standing_still
from tests.crash.stage import HEADERS, PATIENCE, Stage, binaries, stage
from tests.support.hooks import connect_at

pytestmark = pytest.mark.alone  # what is told how often goes by the clock

TOKEN = "an-operators-token-0123456789-abcdef"
SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
READ_ONLY = ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
WRITABLE = ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


def told(on: Stage) -> list[dict[str, Any]]:
    """Return what the service has logged; all of it is JSON."""
    return [json.loads(line) for line in on.log(on.logs).read_text(encoding="utf-8").splitlines()]


def down(on: Stage, event: str = "a part is down") -> set[str]:
    """Return the parts that the service has told of."""
    return {one["which"] for one in told(on) if one["event"] == event}


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (one := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return one


@pytest.mark.timeout(290)
@pytest.mark.parametrize("external", [True, False], ids=["external", "embedded"])
def test_no_fault_loses_or_doubles_an_acknowledged_event_or_stops_the_service_for_good(external: bool) -> None:
    report = Report()
    with stage(external=external) as on:
        play(on, list(FAULTS), report)
    assert report.good, list(report.lines())
    assert report.rounds == len(FAULTS) - len(report.skipped)
    assert report.acknowledged > 0


@pytest.mark.timeout(290)
def test_terminated_connections_never_end_the_projector_nor_any_other_part() -> None:
    report = Report()
    with stage(external=True) as on:
        play(on, ["backends terminated"] * 4, report)
        assert not [one for one in told(on) if "exception" in one]  # a lost connection is no surprise
    assert report.good, list(report.lines())
    assert report.rounds == 4


@pytest.mark.timeout(200)
def test_a_database_that_takes_no_writes_is_answered_503_and_told_once_when_it_begins_and_once_when_it_ends() -> None:
    with (
        stage(external=True, more={"CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY}) as on,
        httpx.Client(base_url=on.url, headers=HEADERS, timeout=30) as http,
    ):
        on.recovered()
        sender = connect_at(http, "standard-webhooks", SECRET)
        body = json.dumps({"type": "lead.captured", "timestamp": "2026-03-02T09:30:00Z", "data": {"lead_id": "L"}})
        assert sender.post(body.encode()).status_code == 202
        assert [one["state"] for one in sender.settled()] == ["accepted"]
        on.sql(*READ_ONLY)
        until(lambda: "ReadOnlySQLTransactionError" in http.get("/readyz").json().get("checks", {}).get("database", ""))
        assert http.get("/readyz").status_code == 503
        assert http.get("/livez").status_code == 200
        assert http.get("/v1/roi").status_code == 200  # what can be read is read
        refused = sender.post(body.encode())
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "takes no writes" in refused.json()["detail"]
        on.sql("UPDATE deliveries SET next_try = now() RETURNING 1")  # as if it were to be translated again
        # The projector is down, too, if it had something to write when it began.
        until(lambda: "database" in down(on) and {one for one in down(on) if one.startswith("translator")})
        time.sleep(2)  # the load goes on all the while
        on.sql(*WRITABLE)
        on.recovered()
        until(lambda: down(on) == down(on, "a part is up again"))
        until(lambda: [one["attempts"] for one in sender.settled()] == [2])
        assert sender.post(body.encode()).status_code == 202
        assert [one["state"] for one in sender.settled()] == ["duplicate", "duplicate"]  # it had been taken
        lines = Counter((one["which"], one["event"]) for one in told(on) if "which" in one)
        assert {("database", "a part is down"), ("database", "a part is up again")} <= set(lines)
        assert set(lines.values()) == {1}, lines
        assert next(one["failures"] for one in told(on) if one["event"] == "a part is up again") > 1
        on.load.finish()
        assert on.read() == (0, 0)
        assert on.load.wrong == []


@pytest.mark.timeout(200)
@pytest.mark.parametrize("external", [True, False], ids=["external", "embedded"])
def test_a_full_disk_is_answered_503_and_once_there_is_room_all_goes_on(external: bool) -> None:
    with stage(external=external) as on, httpx.Client(base_url=on.url, headers=HEADERS, timeout=30) as http:
        if not on.has_small_disk:
            pytest.skip(
                "a disk that can be filled without filling the machine's has to be mounted: "
                "only root may, and not in every container"
            )
        on.recovered()
        with filled(on):
            answer = until(lambda: (one := http.get("/readyz")).status_code == 503 and one)
            assert "database" in answer.json()["checks"]
            time.sleep(2)
            assert http.get("/readyz").status_code == 503
        on.recovered()
        assert on.load.wrong == []
        on.proven()


@pytest.mark.timeout(200)
def test_status_metrics_and_readiness_name_the_part_that_is_down_and_since_when() -> None:
    with (
        stage(external=True, more={"CAMPAIGN_LEDGER_OPERATOR_TOKEN": TOKEN}) as on,
        httpx.Client(base_url=on.url, headers=HEADERS, timeout=30) as http,
    ):
        on.recovered()
        on.sql("ALTER TABLE closed RENAME TO closed_elsewhere")
        until(lambda: http.get("/readyz").json()["parts"]["closings"] != "ok")
        state = http.get("/readyz").json()  # what only closings need does not keep requests away
        assert state["parts"]["closings"].endswith(": UndefinedTableError")
        assert state["parts"]["projector"] == "ok"

        def down() -> Any:
            parts = json.loads(on.command("status", "--parts", "--json").stdout)
            return next((one for one in parts if one["part"] == "closings" and not one["up"]), None)

        one = until(down)
        assert 'relation "closed" does not exist' in one["why"]
        assert "DOWN" in on.command("status").stdout
        process = one["process"]
        metrics = http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
        assert f'campaign_ledger_part_up{{part="closings",process="{process}"}} 0.0' in metrics
        assert f'campaign_ledger_part_up{{part="projector",process="{process}"}} 1.0' in metrics
        on.sql("ALTER TABLE closed_elsewhere RENAME TO closed")
        until(lambda: http.get("/readyz").json()["parts"]["closings"] == "ok")
        on.load.finish()


@pytest.mark.timeout(200)
def test_a_master_key_that_is_missing_where_it_is_needed_or_wrong_keeps_the_service_from_being_ready() -> None:
    with (
        stage(external=True, more={"CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY}) as on,
        httpx.Client(base_url=on.url, headers=HEADERS, timeout=30) as http,
    ):
        on.recovered()
        on.load.finish()
        without = {"CAMPAIGN_LEDGER_MASTER_KEY": ""}
        other = {"CAMPAIGN_LEDGER_MASTER_KEY": "YS1rZXktdGhhdC1pcy1vbmx5LWZvci10ZXN0cy0wMDE="}
        for more, sources, expected in (
            (without, 0, "ok"), ({}, 1, "ok"), (without, 1, "missing: 1 source"), (other, 1, "wrong: 1 secret")
        ):  # fmt: skip
            on.again(**more)
            if sources and not more:
                connect_at(http, "standard-webhooks", SECRET)
            answer = until(
                lambda: one if "checks" in (one := http.get("/readyz").json()) or one.get("status") else None
            )
            assert (answer.get("checks") or answer)["master_key"].startswith(expected)
            assert (answer.get("status") == "ready") == (expected == "ok")


def test_the_programs_of_an_external_postgresql_are_found() -> None:
    assert Path(binaries(), "postgres").exists()


@pytest.mark.timeout(200)
def test_a_database_that_stands_still_makes_the_service_not_ready_within_seconds() -> None:
    with stage(external=True) as on, httpx.Client(base_url=on.url, headers=HEADERS, timeout=30) as http:
        on.recovered()
        with standing_still(on):
            answer = until(lambda: (one := http.get("/readyz")).status_code == 503 and one)
            assert "TimeoutError" in answer.json()["checks"]["database"]
            assert http.get("/livez").status_code == 200
        on.recovered()
        on.proven()
