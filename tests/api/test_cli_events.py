"""Files of events on the command line, beside a running service: in by a mapping, out, and proven."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from service.demo.portfolio import portfolio
from service.domain.contributions import LAYOUT
from tests.conftest import Api
from tests.support.commands import Run, good, refused
from tests.support.sending import cost, invoice, lead, order

COST = LAYOUT.column("actual_cost")
MAPPING = """
files:
  - file: "*.csv"
    source: /imports/costs
    delimiter: ";"
    events:
      - type: campaign.cost_booked
        id: "cost-{No}"
        time: {column: Day, format: "%d.%m.%Y", zone: Europe/Berlin}
        data:
          cost_entry_id: "{No}"
          campaign_id: "{Campaign|slug}"
          amount: {amount: "{Net|comma|decimal}", currency: EUR}
          cost_date: "{Day|date:%d.%m.%Y}"
"""


def importing_costs(api: Api, where: Path, lines: str) -> tuple[str, ...]:
    """Write costs and how they are read; return the words of a command that imports them."""
    (where / "map.yaml").write_text(MAPPING, encoding="utf-8")
    (where / "costs.csv").write_text(f"No;Day;Campaign;Net\n{lines}", encoding="utf-8")
    return ("import", str(where / "costs.csv"), "--mapping", str(where / "map.yaml"), "--ledger", api.ledger.name)


def roi(url: str, key: str, position: int, *, group_by: str = "campaign") -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.get(
        f"{url}/v1/roi", params={"min_position": position, "group_by": group_by}, headers=headers, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if name != "as_of"}


def written(path: Path, events: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in events), encoding="utf-8")
    return str(path)


def test_importing_again_adds_nothing_and_the_figures_come_from_the_running_service(
    run: Run, api: Api, tmp_path: Path
) -> None:
    events = [cost("C", "c", "5.00"), order("O", "9.00", campaign_id="c"), lead("L", "c")]
    path = written(tmp_path / "events.ndjson", events)
    arguments = ("import", path, "--ledger", api.ledger.name)
    assert good(run(*arguments)).strip() == "3 accepted, 0 duplicate, 0 conflict, 0 invalid"
    assert good(run(*arguments)).strip() == "0 accepted, 3 duplicate, 0 conflict, 0 invalid"
    assert api.read("/v1/roi")["total"]["booked_revenue"] == "9.00"
    again = api.http.post("/v1/events", json=events[0]).json()
    assert (again["status"], again["position"], again["last_position"]) == ("duplicate", 1, 3)


def test_an_import_names_file_and_line_of_what_is_wrong_and_takes_the_rest(run: Run, api: Api, tmp_path: Path) -> None:
    path = written(tmp_path / "events.ndjson", [lead("L"), {**lead("M"), "type": "lead.caught"}, lead("N")])
    ran = run("import", path, "--ledger", api.ledger.name)
    assert (ran.returncode, ran.stdout.strip()) == (1, "2 accepted, 0 duplicate, 0 conflict, 1 invalid")
    assert re.fullmatch(r"events\.ndjson, line 2, e\d+: type: expected .*\n", ran.stderr)
    assert len(api.http.get("/v1/quarantine").json()["items"]) == 1


def test_rows_of_csv_become_events_by_a_mapping(run: Run, api: Api, tmp_path: Path) -> None:
    rows = "1;31.03.2026;Fair Ü;1.234,50\n2;01.04.2026;Fair Ü;nine\n3;01.04.2026;Mail;0,50\n"
    arguments = importing_costs(api, tmp_path, rows)
    for counts in ("2 accepted, 0 duplicate, 0 conflict, 1 invalid", "0 accepted, 2 duplicate, 0 conflict, 1 invalid"):
        ran = run(*arguments)
        assert (ran.returncode, ran.stdout.strip()) == (1, counts)
        assert "costs.csv, line 3, Net" in ran.stderr
    costs = {row["campaign_id"]: row["actual_cost"] for row in api.read("/v1/roi")["rows"]}
    assert costs == {"fair-ü": "1234.50", "mail": "0.50", None: "0.00"}
    assert "--mapping" in refused(run("import", str(tmp_path / "costs.csv"), "--ledger", api.ledger.name))


def test_a_days_ad_spend_that_is_told_anew_counts_as_it_was_told_last(
    run: Run, open_api: Callable[..., Api], tmp_path: Path
) -> None:
    api = open_api(timezone="America/New_York")
    mapping = (
        MAPPING.replace("        time:", "        restates: true\n        time:")
        .replace(", zone: Europe/Berlin", "")
        .replace("    events:", '    skip: {column: "No", starts_with: Total}\n    events:')
    )
    (tmp_path / "map.yaml").write_text(mapping, encoding="utf-8")
    paths = [tmp_path / month / "costs.csv" for month in ("march", "april")]
    for path, spent in zip(paths, ("95,00", "100,00"), strict=True):
        path.parent.mkdir()
        rows = f"Report of costs\nNo;Day;Campaign;Net\n1;31.03.2026;Fair;{spent}\n;;;\nTotal;;;{spent}\n"
        path.write_text(rows, encoding="utf-16")
    arguments = ("--mapping", str(tmp_path / "map.yaml"), "--ledger", api.ledger.name)
    said = good(run("import", *map(str, paths), *arguments)).splitlines()
    assert said[0] == "1 accepted, 0 duplicate, 0 conflict, 0 invalid, 1 restated"
    assert said[1].startswith(f"{paths[1]}, line 3, cost-1: says otherwise than the event at position 1")
    assert said[2:] == [
        f"{path}: passed over 1 line before the header, 1 empty row, 1 row by `skip`; 2 rows in all" for path in paths
    ]
    assert api.read("/v1/roi")["total"]["actual_cost"] == "100.00"
    assert api.http.get("/v1/events").json()[0]["time"] == "2026-03-31T04:00:00Z"


def test_a_dry_run_shows_events_and_problems_and_stores_nothing(run: Run, api: Api, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAPPING, encoding="utf-8")
    folder = tmp_path / "exports"
    folder.mkdir()
    cells = "".join(f"{number};01.03.2026;Fair;{'nine' if number % 2 else '9'}\n" for number in range(60))
    (folder / "costs.csv").write_text(f"No;Day;Campaign;Net\n{cells}", encoding="utf-8")
    (folder / "notes.txt").write_text("to do", encoding="utf-8")
    problems = tmp_path / "problems.csv"
    ran = run(
        "import", str(folder), "--mapping", str(tmp_path / "map.yaml"), "--ledger", api.ledger.name, "--dry-run",
        "--problems", str(problems),
    )  # fmt: skip
    assert ran.returncode == 1
    *events, counts, passed_over = ran.stdout.splitlines()
    assert [json.loads(event)["id"] for event in events] == [f"cost-{number}" for number in range(0, 10, 2)]
    assert counts == "30 accepted, 0 duplicate, 0 conflict, 30 invalid; nothing was stored, this was a dry run"
    assert passed_over == "no entry of the mapping applies to notes.txt"
    assert ran.stderr.count("costs.csv, line ") == 20
    with problems.open(encoding="utf-8-sig", newline="") as stream:
        told = list(csv.DictReader(stream))
    assert [row["line"] for row in told] == [str(number) for number in range(3, 62, 2)]
    assert {row["status"] for row in told} == {"invalid"}
    assert api.http.get("/v1/ledger").json()["last_position"] == 0


def test_a_file_that_came_in_by_another_mapping_is_told_in_one_line(run: Run, api: Api, tmp_path: Path) -> None:
    arguments = importing_costs(api, tmp_path, "1;03.04.2026;Fair;9\n")
    good(run(*arguments))
    (tmp_path / "map.yaml").write_text(MAPPING.replace("%d.%m.%Y", "%m.%d.%Y"), encoding="utf-8")
    assert "--restate" in refused(run(*arguments))
    dry = run(*arguments, "--dry-run")
    assert (dry.returncode, "1 conflict" in dry.stdout, "--restate puts it" in dry.stderr) == (1, True, True)
    assert "1 restated" in good(run(*arguments, "--restate"))
    assert "opposite" in refused(run(*arguments, "--restate", "--keep"))
    events = api.http.get("/v1/events").json()
    assert [one["data"].get("cost_date") for one in events] == ["2026-04-03", "2026-03-04", None]


def test_an_exported_ledger_imported_into_another_one_gives_the_same_figures(
    run: Run, open_api: Callable[..., Api], service_url: str, tmp_path: Path
) -> None:
    one, other = open_api(), open_api()
    path = written(tmp_path / "story.ndjson", list(portfolio(leads=80)))
    ran = run("import", path, "--ledger", one.ledger.name)
    assert ran.returncode == 0, ran.stderr
    head = one.http.get("/v1/ledger").json()["last_position"]
    exported = tmp_path / "export.ndjson"
    good(run("export", "--ledger", one.ledger.name, "-o", str(exported)))
    assert good(run("export", "--ledger", one.ledger.name)).encode() == exported.read_bytes()
    assert [json.loads(line)["position"] for line in exported.read_bytes().splitlines()] == [*range(1, head + 1)]
    assert good(run("export", "--ledger", one.ledger.name, "--after", str(head - 2))).count("\n") == 2
    assert good(run("import", str(exported), "--ledger", other.ledger.name)).startswith(f"{head} accepted, 0 duplicate")
    for group in ("campaign", "month"):
        assert roi(service_url, one.key, head, group_by=group) == roi(service_url, other.key, head, group_by=group)


def test_a_replay_says_that_it_gave_the_same_and_reads_go_on_as_before(run: Run, api: Api, service_url: str) -> None:
    api.post(lead("L", "c"), cost("C", "c", "5.00"), invoice("I", "7.00"), order("O", "9.00", campaign_id="c"))
    before = roi(service_url, api.key, 4)
    tag = api.http.get("/v1/roi").headers["etag"]
    said = good(run("replay", "--ledger", api.ledger.name))
    assert "4 events replayed, generation 2 serves now, identical" in said
    assert roi(service_url, api.key, 4) == before
    assert api.http.get("/v1/roi", headers={"If-None-Match": tag}).status_code == 200
    api.post(cost("D", "c", "1.00"))
    assert api.read("/v1/roi")["total"]["actual_cost"] == "6.00"


def test_verify_proves_a_ledger_and_finds_a_balance_that_was_tampered_with(
    run: Run, api: Api, dsn: str, tmp_path: Path
) -> None:
    api.post(lead("L", "c"), cost("C", "c", "5.00"))
    api.read("/v1/roi")
    arguments = ("verify", "--ledger", api.ledger.name)
    findings = json.loads(good(run(*arguments, "--json")))
    assert {one["check"] for one in findings} >= {"density", "hash chain", "balances", "conservation"}
    assert all(one["good"] for one in findings)
    anchor = tmp_path / "anchor.json"
    anchor.write_text(good(run(*arguments, "--anchor")), encoding="utf-8")
    api.post(cost("D", "c", "1.00"))
    api.read("/v1/roi")
    said = good(run(*arguments, "--deep", "--sample", "all", "--against", str(anchor)))
    assert "anchor: the log goes through position 2 as anchored" in said
    assert "fresh fold: 3 journeys and other components fold from their 3 events to what is stored" in said
    metrics = api.http.get("/metrics").text
    assert f'campaign_ledger_verify_good{{ledger="{api.ledger.name}"}} 1.0' in metrics
    assert f'campaign_ledger_verify_position{{ledger="{api.ledger.name}"}} 3.0' in metrics
    assert refused(run(*arguments, "--against", __file__))

    async def tamper() -> str:
        connection = await asyncpg.connect(dsn)
        try:
            change = f"UPDATE balances SET {COST} = {COST} + 1 WHERE ledger = $1 AND {COST} > 0 AND grain = 'd'"
            return str(await connection.execute(change, api.ledger.ledger))
        finally:
            await connection.close()

    assert asyncio.run(tamper()) not in {"UPDATE 0", ""}
    ran = run(*arguments)
    assert ran.returncode == 1
    assert [line.split()[0] for line in ran.stdout.splitlines() if ": balances:" in line] == ["BAD"]
    assert f'campaign_ledger_verify_good{{ledger="{api.ledger.name}"}} 0.0' in api.http.get("/metrics").text
