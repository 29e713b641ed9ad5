"""The command as an operator uses it, in processes of its own, beside a running service."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.conftest import RUN, Api, start_service, stop_service
from tests.support.commands import Run, call, good, refused
from tests.support.sending import lead, order

COMMANDS = (
    "", "serve", "worker", "migrate", "openapi", "demo", "report", "status", "replay", "verify", "set-aside", "retry",
    "import", "export", "ledgers", "quarantine", "quarantine list",
    "quarantine show", "quarantine retry", "quarantine dismiss", "rebuilds", "rebuilds list",
    "rebuilds differences", "rebuilds pause", "rebuilds apply",
    "generations", "generations list", "generations rollback", "generations prune",
    "ledgers create", "ledgers list", "keys", "keys create", "keys list", "keys revoke", "keys change", "grants", "grants create",
    "grants list", "grants revoke", "audit", "login-link",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    shown = CliRunner().invoke(
        app, [*command.split(), "--help"]
    )  # the same text as in a process, which takes half a second
    assert "Example: " in shown.stdout
    assert shown.exit_code == 0


def test_a_ledger_is_created_once_and_listed(run: Run) -> None:
    name = f"{RUN}-created"
    assert name in good(run("ledgers", "create", name, "--currency", "USD", "--timezone", "America/New_York"))
    assert f"{name}\tUSD\tAmerica/New_York" in good(run("ledgers", "list")).splitlines()
    assert name in refused(run("ledgers", "create", name))


def test_a_key_works_until_seconds_after_it_is_revoked(run: Run, service_url: str) -> None:
    name = f"{RUN}-keys"
    run("ledgers", "create", name)
    secret = good(run("keys", "create", "--ledger", name, "--scope", "read", "--name", "bi")).strip()
    listed = good(run("keys", "list", "--ledger", name))
    key_id, called, scopes, state, *_ = listed.strip().split("\t")
    assert (called, scopes, state) == ("bi", "read", "in force")
    assert secret.startswith(key_id.partition("-")[0])
    assert secret not in listed
    with httpx.Client(base_url=service_url, headers={"Authorization": f"Bearer {secret}"}) as http:
        assert http.get("/v1/ledger").json()["name"] == name
        assert http.post("/v1/events", json=lead("L")).status_code == 403
        good(run("keys", "revoke", key_id))
        deadline = time.monotonic() + 6
        while (status := http.get("/v1/ledger").status_code) == 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert status == 401
    assert "revoked" in good(run("keys", "list", "--ledger", name))
    assert key_id in refused(run("keys", "revoke", key_id))


def test_status_tells_head_checkpoint_and_lag_of_every_ledger(run: Run, api: Api) -> None:
    api.post(*(lead(f"L{number}") for number in range(5)))
    api.read("/v1/roi")
    rows = {row["ledger"]: row for row in json.loads(good(run("status", "--json")))}
    expected = {"head": 5, "checkpoint": 5, "lag_events": 0, "lag_seconds": 0.0, "generation": 1}
    assert rows[api.ledger.name].items() >= expected.items()
    assert "checkpoint" in good(run("status"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("export --ledger none", "'none'"), ("replay --ledger none", "'none'"), ("verify --ledger none", "'none'"),
        ("keys create --ledger none", "ledgers create none"), ("keys list --ledger none", "'none'"),
        ("keys revoke none", "keys list"), ("ledgers create x --currency XXX", "ISO 4217"),
        ("ledgers create x --timezone Mars/Base", "IANA"),
        ("keys create --ledger {ledger} --scope write", "ingest, read, figures, admin"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line_that_says_what_to_do(run: Run, api: Api, arguments: str, told: str) -> None:
    assert told in refused(run(*arguments.format(ledger=api.ledger.name).split()))


@pytest.mark.parametrize("command", ["status", "migrate", "serve --port 0"])
@pytest.mark.parametrize("url", ["nonsense", "postgresql://127.0.0.1:1/none"])
def test_a_database_that_cannot_be_reached_is_told_in_one_line(command: str, url: str) -> None:
    refused(call(*command.split(), CAMPAIGN_LEDGER_DATABASE_URL=url))


def test_a_data_directory_has_one_service_and_commands_work_beside_it(tmp_path: Path) -> None:
    data = ["--data-dir", str(tmp_path / "data")]
    running = start_service(data, {}, tmp_path / "log")
    try:
        with ThreadPoolExecutor(1) as beside:
            second = beside.submit(call, "serve", "--port", "0", *data)  # gives the first one a while to end
            port = running.url.rpartition(":")[2]
            assert port in refused(call("serve", "--port", port, "--data-dir", str(tmp_path / "other")))
            good(call("ledgers", "create", "beside", *data))
            assert "beside" in good(call("ledgers", "list", *data))
            assert str(running.process.pid) in refused(second.result())
    finally:
        stop_service(running)
    assert running.process.returncode == 0
    assert "beside" in good(call("ledgers", "list", *data))


def test_the_quarantine_is_listed_counted_corrected_retried_and_dismissed(run: Run, api: Api, tmp_path: Path) -> None:
    at = ("--ledger", api.ledger.name)
    wrong = [{**order(f"O-{number}", "5.00"), "type": "order.place"} for number in range(4)]
    for one in wrong:
        assert api.http.post("/v1/events", json=one).status_code == 422
    rows = json.loads(good(run("quarantine", "list", *at, "--json")))
    assert [(row["item"], row["type"], row["id"]) for row in rows] == [
        (number, "order.place", one["id"]) for number, one in enumerate(wrong, 1)
    ]
    assert json.loads(good(run("quarantine", "list", *at, "--limit", "2", "--json"))) == rows[:2]
    assert "order.place" in good(run("quarantine", "list", *at))
    counted = json.loads(good(run("quarantine", "list", *at, "--by", "type", "--json")))
    assert [(row["value"], row["count"]) for row in counted] == [("order.place", 4)]
    body = json.loads(good(run("quarantine", "show", "1", *at, "--body")))
    assert body == wrong[0]
    assert json.loads(good(run("quarantine", "show", "1", *at)))["problem"]["errors"][0]["field"] == "type"
    corrected = tmp_path / "corrected.json"
    corrected.write_text(json.dumps({**body, "type": "order.placed"}), encoding="utf-8")
    assert (
        good(run("quarantine", "retry", "1", *at, "--file", str(corrected)))
        == "item 1: it is the event at position 1\n"
    )
    still = run("quarantine", "retry", "--type", "order.place", *at)
    assert (still.returncode, still.stdout) == (1, "0 have become events, 3 still wait\n")
    assert "--reason" in refused(run("quarantine", "dismiss", "2", *at))
    assert "say which items" in refused(run("quarantine", "dismiss", *at, "--reason", "x"))
    assert "say which items" in refused(run("quarantine", "retry", "2", "--all", *at))
    assert "no item 99" in refused(run("quarantine", "show", "99", *at))
    assert good(run("quarantine", "dismiss", "2", *at, "--reason", "a test")) == "item 2: dismissed: a test\n"
    assert good(run("quarantine", "dismiss", "--all", *at, "--reason", "tests")) == "2 dismissed\n"
    assert json.loads(good(run("quarantine", "list", *at, "--json"))) == []
    (first, *_) = json.loads(good(run("quarantine", "list", *at, "--state", "dismissed", "--json")))
    assert (first["item"], first["dismissal"], first["dismissed_by"]) == (2, "a test", "command line")
    assert api.read("/v1/completeness")["complete"] is True
