"""`sources` and `hooks` on the command line, beside a running service."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from service.intake.senders import KINDS
from tests.conftest import MASTER_KEY, Api
from tests.support.commands import Ran, Run, call, good
from tests.support.hooks import connect

SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
SAMPLES = Path("docs/senders/samples")


@pytest.fixture
def run(dsn: str, service_url: str) -> Run:
    """Call the command line with the service's database and master key."""

    def on_service(*arguments: str, **environment: str) -> Ran:
        settings = {
            "CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY,
            "CAMPAIGN_LEDGER_PUBLIC_URL": service_url,
        }  # fmt: skip
        return call(*arguments, **{**settings, **environment})

    return on_service


def test_a_source_is_made_tried_changed_and_closed(run: Run, api: Api) -> None:
    ledger = ("--ledger", api.ledger.name)
    url = good(
        run("sources", "create", *ledger, "--kind", "standard-webhooks", "--name", "shop", "--secret", SECRET)
    ).strip()
    source, kind, name = good(run("sources", "list", *ledger)).split()
    assert (kind, name, url.rpartition("/")[2]) == ("standard-webhooks", "shop", source)
    sample = str(SAMPLES / "standard-webhooks" / "order-placed.json")
    sending = ("hooks", "send", "standard-webhooks", sample, "--url", url)
    assert "202" in good(run(*sending, "--secret", SECRET))
    wrong = run(*sending, "--secret", "whsec_d3Jvbmctc2VjcmV0")
    assert (wrong.returncode, "401" in wrong.stdout) == (1, True)
    while "received" in (shown := good(run("sources", "show", source))):
        pass
    assert ("accepted" in shown, "rejected" in shown, SECRET in shown) == (True, True, False)
    assert [one["type"] for one in api.http.get("/v1/events").json()] == ["order.placed"]
    assert "1 deliveries" in good(run("sources", "update", source, "--retranslate", "--rate", "60"))
    assert "deleted shop" in good(run("sources", "delete", source))
    assert good(run("sources", "list", *ledger)) == ""


def test_translate_prints_the_events_of_files_together_and_stores_nothing(run: Run) -> None:
    samples = SAMPLES / "generic"
    ran = run(
        "hooks", "translate", "generic", str(samples / "order.json"), "--mapping", str(samples / "mapping.yaml"),
        CAMPAIGN_LEDGER_DATABASE_URL="postgresql://127.0.0.1:1/none",
    )  # fmt: skip
    (event,) = map(json.loads, good(ran).splitlines())
    assert (event["type"], event["source"]) == ("order.placed", "/sources/example")
    assert event["data"]["net_value"] == {"amount": "100000.00", "currency": "EUR"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_samples_of_every_kind_are_read_without_a_secret(run: Run, kind: str) -> None:
    samples, mapping = SAMPLES / kind, SAMPLES / kind / "mapping.yaml"
    files = sorted({*samples.glob("*.json"), *samples.glob("*.xml")} - {samples / "thin.json"})
    given = ("--mapping", str(mapping)) if mapping.exists() else ()
    good(run("hooks", "translate", kind, *map(str, files), *given))


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_translated(run: Run) -> None:
    files = (str(SAMPLES / "odoo" / name) for name in ("thin.json", "campaign.json"))
    ran = run("hooks", "translate", "odoo", *files)
    assert (ran.returncode, ran.stderr.partition(":")[0]) == (1, "thin.json")
    assert json.loads(ran.stdout)["type"] == "campaign.registered"


def test_the_master_key_is_made_missed_and_rotated(run: Run, api: Api) -> None:
    new = good(run("sources", "key")).strip()
    arguments = ("sources", "create", "--ledger", api.ledger.name, "--kind", "cloudevents", "--name", "broker")
    missed = run(*arguments, "--secret", SECRET, CAMPAIGN_LEDGER_MASTER_KEY="")
    assert (missed.returncode, "CAMPAIGN_LEDGER_MASTER_KEY is not set" in missed.stderr) == (1, True)
    assert "anybody could post" in run(*arguments).stderr
    good(run(*arguments, "--secret", SECRET))
    refused = run("sources", "rekey", CAMPAIGN_LEDGER_MASTER_KEY=new)
    assert (refused.returncode, "another master key" in refused.stderr) == (1, True)
    assert "values are encrypted" in good(run("sources", "rekey", CAMPAIGN_LEDGER_MASTER_KEY=f"{MASTER_KEY},{new}"))


def test_mistakes_are_told_in_one_line(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("record: [", encoding="utf-8")
    sample = str(SAMPLES / "generic" / "order.json")
    for arguments, told in (
        (("hooks", "translate", "sap", sample), "there is no kind 'sap'"),
        (("hooks", "translate", "generic", sample, "--mapping", str(bad)), "no YAML"),
        (("hooks", "translate", "generic", sample), "record: expected a value"),
        (("sources", "show", "src_none"), "sources list"),
        (("hooks", "send", "cloudevents", sample, "--url", "http://127.0.0.1:1/", "--secret", SECRET), "onnect"),
    ):
        ran = run(*arguments)
        assert ran.returncode == 1
        assert told in ran.stderr
        assert len(ran.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--secret", "", "--secret: expected 8 to 4096 characters; is the shell variable set?"),
        ("--secret", "         ", "--secret: expected 8 to 4096 characters"), ("--secret", "short", "8 to 4096"),
        ("--secret", "no-base64-behind-it!", "base64 behind whsec_"), ("--name", "with space", "--name: expected"),
        ("--credential", "token=x", "--credential token: expected none: the kind standard-webhooks reads nothing back"),
    ],
)  # fmt: skip
def test_what_the_api_refuses_of_a_source_the_command_refuses_too(
    run: Run, api: Api, option: str, value: str, told: str
) -> None:
    given = {"--kind": "standard-webhooks", "--name": "shop", "--secret": SECRET, option: value}
    ran = run("sources", "create", "--ledger", api.ledger.name, *(part for pair in given.items() for part in pair))
    assert (ran.returncode, told in ran.stderr) == (1, True), ran.stderr
    assert good(run("sources", "list", "--ledger", api.ledger.name)) == ""


def test_an_empty_secret_takes_the_place_of_none(run: Run, api: Api) -> None:
    create = (
        "sources",
        "create",
        "--ledger",
        api.ledger.name,
        "--kind",
        "hubspot",
        "--name",
        "crm",
        "--secret",
        SECRET,
    )
    assert "--credential token: expected 1 to" in run(*create, "--credential", "token=").stderr
    url = good(run(*create, "--credential", "token=pat-1")).strip()
    source = url.rpartition("/")[2]
    assert run("sources", "update", source, "--secret", "").returncode == 1
    assert api.http.patch(f"/v1/sources/{source}", json={"secrets": [""]}).status_code == 422
    assert run("hooks", "send", "hubspot", "README.md", "--url", url, "--secret", "").returncode == 1


def test_a_delivery_is_discarded_with_a_reason_that_is_kept(run: Run, api: Api) -> None:
    sender = connect(api, "standard-webhooks", SECRET)
    body = {"type": "lead.captured", "timestamp": "2026-03-02T09:30:00Z", "data": {"lead_id": "L"}}
    sender.post(json.dumps(body).encode())
    (one,) = sender.settled()
    number, *_ = good(run("sources", "show", sender.source.id)).splitlines()[-1].split("\t")
    assert number == str(one["id"])
    assert run("sources", "discard", sender.source.id, number, "--reason", " ").returncode == 1
    assert "discarded" in good(run("sources", "discard", sender.source.id, number, "--reason", "a test"))
    (gone,) = sender.settled()
    assert (gone["state"], gone["reason"]) == ("discarded", "a test")
    deadline = time.monotonic() + 20
    while [one["type"] for one in sender.events()] != ["lead.captured", "event.voided"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run("sources", "discard", sender.source.id, "999999999", "--reason", "x").returncode == 1
