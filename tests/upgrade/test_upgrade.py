"""The first release's ledgers under the present one: migrated, answered from as they were, rebuilt by the documented steps.

What is asked is what users see, HTTP and the command line; how it is stored is nobody's business here.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.support import earlier
from tests.support.sending import cost, lead
from tests.upgrade.conftest import Told, Upgraded, copied, environment

REPORTS = re.compile(r"/v1/(roi|conversion|velocity)\?")
MOVED = {  # campaign, period, measure, old, new
    ("fair-munich", "2026-03", "booked_revenue", "0.04", "44408.00"),  # its order was converted at a mistyped rate
    ("fair-munich", "2026-04", "booked_revenue", "0.04", "44408.00"),
    ("seoul-partners", "2026-04", "actual_cost", "0.00", "655.20"),
    ("newsletter", "1026-02", "actual_cost", "75.00", "0.00"),  # a mistyped year counts on the first day there is
    ("newsletter", "1900-01", "actual_cost", "0.00", "75.00"),
    ("fair-munich", "2026-10", "gross_margin", None, "-3000.00"),  # credit notes alone
    ("older-flyer", None, "attributes", None, "none"),  # named by an event that came late
    ("webinar-retrofit", None, "attributes", "", "email"),  # an empty text states nothing
}


def without_reasons(row: dict[str, Any], *more: str) -> dict[str, Any]:
    """Leave out what is said in words, for people, and what rows no longer have."""
    return {name: value for name, value in row.items() if name not in ("reasons", *more)}


def parts(old: Any, new: Any) -> Any:
    """Return what there is of a new answer in an old one: members that are new say nothing of it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {name: parts(value, new[name]) for name, value in old.items() if name in new}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [parts(*pair) for pair in zip(old, new, strict=True)]
    return new


def report(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a report; `break_even_on` is in rows only where it is asked for."""
    rows = [without_reasons(row, "break_even_on") for row in answer["rows"]]
    return {**answer, "rows": rows, "total": without_reasons(answer["total"])}


def asked(upgraded: Upgraded, ledger: str, url: str) -> dict[str, Any]:
    return read(upgraded.http[ledger], url)


def read(http: httpx.Client, url: str) -> dict[str, Any]:
    answer = http.get(url)
    assert answer.status_code == 200, (url, answer.text)
    return dict(answer.json())


def test_a_release_that_needs_a_migration_says_what_to_run_and_starts_after_it(
    dsn: str, left: str, told: Told
) -> None:  # fmt: skip
    with copied(dsn, left) as own:

        def call(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(  # noqa: S603  the command itself
                [sys.executable, "-m", "service.cli", *arguments], env=environment(own, told), text=True, capture_output=True,
                timeout=60, check=False,
            )  # fmt: skip

        for refused in (call("serve", "--port", "0"), call("status")):
            assert refused.returncode == 1
            assert "at migration 0003" in refused.stderr
            assert "`campaign-ledger migrate`" in refused.stderr
        assert call("migrate").returncode == 0
        status = json.loads(call("status", "--json").stdout)
        assert {(one["ledger"], one["definitions"]) for one in status} == {
            ("acme", "1"),
            ("default", "1"),
            ("busy", "1"),
        }


@pytest.mark.parametrize("ledger", ["acme", "default", "busy"])
def test_until_a_rebuild_serves_the_figures_are_those_of_the_first_release_and_marked_as_such(
    upgraded: Upgraded, ledger: str
) -> None:  # fmt: skip
    reports = {url: old for url, old in upgraded.answers(ledger).items() if REPORTS.match(url)}
    assert len(reports) == 27
    for url, old in reports.items():
        new = asked(upgraded, ledger, url)
        assert parts(report(old), report(new)) == report(old), url
        assert new["read_model_version"] == "1"
        for before, after in zip(old["rows"], new["rows"], strict=True):
            assert {*before.get("reasons", {})} - {"break_even_on"} <= {*after.get("reasons", {})}, url
    ready = upgraded.http[ledger].get("/readyz")
    assert (ready.status_code, ready.json()["made_by_other_definitions"]) == (200, 3)


def test_what_is_behind_the_old_figures_can_be_read_too(upgraded: Upgraded) -> None:
    old = upgraded.answers()
    lists = [url for url in old if not REPORTS.match(url)]
    assert len(lists) == 9
    for url in lists:
        before, after = old[url], asked(upgraded, "acme", url)
        if url == "/v1/sources":
            for answer in (before, after):
                answer["items"] = [without_reasons(one, "url", "retention_days") for one in answer["items"]]
        assert parts(before, after) == before, url
    invoiced = asked(upgraded, "acme", "/v1/roi/entries?measure=invoiced_revenue")
    assert invoiced["sum"] == asked(upgraded, "acme", "/v1/roi")["total"]["invoiced_revenue"]
    journey = asked(upgraded, "acme", "/v1/journeys/invoice/I-big")
    assert [one["type"] for one in journey["events"]] == ["order.placed", "invoice.posted", "invoice.credited"]
    assert journey["read_model_version"] == "1"
    restated = asked(upgraded, "acme", "/v1/restatement?from_as_of=200&to_as_of=402&limit=1000")
    assert restated["read_model_version"] == "1"
    costs = [old[f"/v1/roi?{of}"]["total"]["actual_cost"] for of in ("as_of=200", "group_by=campaign&date_basis=event")]
    assert [restated["total"]["actual_cost"][name] for name in ("then", "now")] == costs
    waiting = asked(upgraded, "acme", "/v1/completeness")
    assert waiting["read_model_version"] == "1"
    assert {one["kind"]: one["count"] for one in waiting["waiting"]} == {
        "campaign.cost_reversed": 1, "cost": 1, "lead.qualified": 1, "order": 1, "order of shop": 1, "quarantined item": 3,
    }  # fmt: skip


def test_what_is_posted_before_the_rebuild_is_stored_and_told_to_be_waiting(upgraded: Upgraded) -> None:
    http, before = upgraded.http["acme"], upgraded.answers()["/v1/roi?group_by=campaign&date_basis=event"]
    answer = http.post("/v1/events", json=[cost("new", "newsletter", "5.00"), lead("L-new", "newsletter")]).json()
    assert ([one["status"] for one in answer["items"]], answer["last_position"]) == (["accepted"] * 2, 404)
    early = http.get("/v1/roi", params={"min_position": 404})
    assert early.status_code == 503
    assert early.headers["retry-after"]
    assert "those of definitions 1, and stand still until they are rebuilt" in early.json()["detail"]
    new = http.get("/v1/roi?group_by=campaign&date_basis=event").json()
    assert (new["as_of"], new["total"]["actual_cost"]) == (before["as_of"], before["total"]["actual_cost"])
    ready = http.get("/readyz").json()  # who stands still by design keeps no requests away
    assert (ready["made_by_other_definitions"], ready["projection_lag_events"]) == (3, 0)
    (acme,) = [one for one in json.loads(upgraded.command("status", "--json")) if one["ledger"] == "acme"]
    assert (acme["definitions"], acme["checkpoint"], acme["lag_events"]) == ("1", 402, 2)
    assert "`campaign-ledger replay acme --dry-run` makes new ones and shows what moves" in upgraded.command("status")
    assert "campaign-ledger replay" in upgraded.command("retry", "--ledger", "acme", status=1)
    assert http.post("/v1/set-aside/retry").status_code == 409
    assert "BAD" not in upgraded.command("verify", "--deep", "--ledger", "acme")
    waits = upgraded.command("verify", "--ledger", "busy", status=1)  # since the day of its dump
    assert "as figures of definitions 1 stand still until they are rebuilt" in waits


def test_a_rebuild_shows_what_moves_and_serves_what_a_fresh_ledger_gives_when_it_is_applied(upgraded: Upgraded) -> None:
    http = upgraded.http["acme"]
    out = upgraded.command("replay", "--dry-run", status=3)
    assert "default: 4125 events replayed, generation 2 is kept and does not serve" in out
    assert "figures differ: `campaign-ledger rebuilds differences 2 --ledger acme`" in out
    assert moved(upgraded, "default") == moved(upgraded, "busy") == set()
    assert moved(upgraded, "acme") == MOVED
    printed = upgraded.command("rebuilds", "differences", "2", "--ledger", "acme").splitlines()
    assert "fair-munich, 2026-10 (event), gross_margin: null -> -3000.00" in printed
    assert "older-flyer, undated (any), attributes: not known -> {}" in printed
    assert asked(upgraded, "acme", "/v1/roi")["read_model_version"] == "1"

    http.post("/v1/events", json=[cost("new", "newsletter", "5.00")])
    assert "acme: 402 events replayed, generation 2 serves now" in upgraded.command("replay", "--apply")
    assert asked(upgraded, "acme", "/v1/roi?min_position=403")["as_of"]["position"] == 403
    ready = http.get("/readyz").json()
    assert (ready["made_by_other_definitions"], ready["projection_lag_events"]) == (0, 0)
    assert "BAD" not in upgraded.command("verify", "--deep", "--sample", "all")
    with closing(fed_anew(upgraded)) as fresh:
        for url in [url for url in upgraded.answers() if REPORTS.match(url) and "as_of" not in url]:
            of_fresh, of_acme = read(fresh, f"{url}&min_position=403"), asked(upgraded, "acme", url)
            assert of_fresh["read_model_version"] != "1"
            assert figures(of_acme) == figures(of_fresh), url
        for url in ("/v1/campaigns", "/v1/pending-links", "/v1/flags"):
            assert without_positions(asked(upgraded, "acme", url)) == without_positions(read(fresh, url)), url


def moved(upgraded: Upgraded, ledger: str) -> set[tuple[Any, ...]]:
    """Return what moves of what the first release knew: campaign, period, measure, old, new; of attributes the channel."""
    known = {"attributes"}
    for url, answer in upgraded.answers(ledger).items():
        if REPORTS.match(url):
            known |= {*answer["total"]}
            known |= {f"{name}.{part}" for name in ("entered", "funnel") for part in answer["total"].get(name, ())}
    listed = asked(upgraded, ledger, "/v1/rebuilds/2/differences?limit=1000")["rows"]
    return {
        (one["campaign_id"], one["period"], one["measure"], *(channel(one["measure"], one[of]) for of in ("old", "new")))
        for one in listed if one["measure"] in known
    }  # fmt: skip


def channel(measure: str, value: str | None) -> str | None:
    return json.loads(value).get("channel", "none") if measure == "attributes" and value else value


def fed_anew(upgraded: Upgraded) -> httpx.Client:
    """Feed a new ledger with the events of another; return its client. What is no longer taken was taken once."""
    upgraded.command("ledgers", "create", "fresh", "--currency", "EUR", "--timezone", "Europe/Berlin")
    key = upgraded.command("keys", "create", "--ledger", "fresh", "--scope", "ingest", "--scope", "read").strip()
    fresh = httpx.Client(base_url=upgraded.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    events = upgraded.http["acme"].get("/v1/events", params={"limit": 1000}).json()
    plain = [{name: value for name, value in one.items() if name not in ("position", "recorded_at")} for one in events]
    items = fresh.post("/v1/events", json=plain).json()["items"]
    refused = [one for one, item in zip(plain, items, strict=True) if item["status"] == "invalid"]
    assert [one["type"] for one in refused] == ["campaign.cost_booked", "fx.rate_published"]
    earlier.stored_in(upgraded.dsn, "fresh", *refused)
    return fresh


def figures(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a report without what hangs on the moment of recording."""
    rows = [without_reasons(row, "maturity_days") for row in (*answer["rows"], answer["total"])]
    return {**answer, "as_of": None, "rows": rows, "total": None}


def without_positions(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [without_reasons(row, "since_position") for row in answer["rows"]]


def test_posts_and_reads_go_on_while_the_figures_are_rebuilt(upgraded: Upgraded) -> None:
    http, versions, posted = upgraded.http["acme"], [], 0
    rebuilding = upgraded.started("replay", "--all", "--apply")
    while rebuilding.poll() is None:
        posted += 1
        assert http.post("/v1/events", json=[cost(f"new-{posted}", "newsletter", "1.00")]).status_code == 200
        versions.append(asked(upgraded, "acme", "/v1/roi")["read_model_version"])
    out, _ = rebuilding.communicate(timeout=60)
    assert rebuilding.returncode == 0, out
    assert versions[0] == "1"
    assert versions == sorted(versions)
    now = asked(upgraded, "acme", f"/v1/roi?min_position={402 + posted}&campaign_id=newsletter")
    assert now["total"]["actual_cost"] == f"{2803 + posted}.00"


def test_to_go_back_is_refused_by_a_release_that_does_not_know_how(upgraded: Upgraded) -> None:
    assert "no earlier generation" in upgraded.command("generations", "rollback", "--ledger", "acme", status=1)
    upgraded.command("replay", "acme", "--apply")
    refused = upgraded.http["acme"].post("/v1/generations/rollback")
    assert refused.status_code == 409
    for told in (refused.json()["detail"], upgraded.command("generations", "rollback", "--ledger", "acme", status=1)):
        assert "was made by definitions 1" in told
        assert "roll back with the release that made it" in told
    states = [(one["version"], one["state"]) for one in asked(upgraded, "acme", "/v1/generations")["items"]]
    assert [one[1] for one in states] == ["retired", "serving"]
    assert "acme: dropped 1" in upgraded.command("generations", "prune", "--ledger", "acme")
    assert "BAD" not in upgraded.command("verify", "--ledger", "acme", "--deep", "--sample", "all")


def test_keys_quarantine_sources_and_what_their_senders_sent_go_on(upgraded: Upgraded) -> None:
    http = upgraded.http["acme"]
    assert "of-the-first" not in upgraded.command("keys", "list", "--ledger", "default")
    corrected = {"amount": "99.55", "currency": "EUR"}
    body = json.loads(asked(upgraded, "acme", "/v1/quarantine/2")["body"])
    good = http.post("/v1/quarantine/2/retry", json={**body, "data": {**body["data"], "net_value": corrected}})
    assert (good.status_code, good.json()["position"]) == (200, 403)
    assert http.post("/v1/quarantine/3/dismiss", json={"reason": "no order"}).status_code == 200
    http.post("/v1/events", json=[{**body, "id": "b4"}])
    assert [one["id"] for one in asked(upgraded, "acme", "/v1/quarantine")["items"]] == [1, 4]

    shop = upgraded.told.hooks["shop"].rpartition("/")[2]
    before = asked(upgraded, "acme", f"/v1/sources/{shop}/deliveries?limit=100")["items"]
    assert [one["state"] for one in reversed(before)].count("accepted") == 3
    assert sent(upgraded, "W-1", 120.5) == 202  # as it was sent before
    assert sent(upgraded, "W-4", 11) == 202  # the value that its order lacked
    assert sent(upgraded, "W-5", 80) == 202
    assert sent(upgraded, "W-6", 80, secret="of somebody else") == 401
    found = placed(upgraded, {"W-4", "W-5"})
    assert found == {"W-1": "120.50", "W-2": "99.00", "W-4": "11.00", "W-5": "80.00"}
    assert upgraded.command("sources", "list", "--ledger", "acme").count(shop) == 1


def sent(upgraded: Upgraded, order: str, net: float, secret: str = "") -> int:
    """Post an order as the web shop does; return the status."""
    told = {
        "id": order, "status": "open", "created": f"2026-05-{int(order[2:]) + 10}T08:00:00Z",
        "updated": "2026-05-30T09:00:00Z" if order != "W-1" else "2026-05-11T09:00:00Z", "campaign": "Search DE", "net": net,
    }  # fmt: skip
    body = json.dumps({"order": told}).encode()
    digest = hmac.digest((secret or upgraded.told.shop_secret).encode(), body, "sha256")
    headers = {"x-shop-signature": base64.b64encode(digest).decode()}
    return httpx.post(f"{upgraded.url}{upgraded.told.hooks['shop']}", content=body, headers=headers).status_code


def placed(upgraded: Upgraded, wanted: set[str]) -> dict[str, str]:
    """Wait for orders to be in the log; return what the shop's orders are worth."""
    deadline = time.monotonic() + 60
    while True:
        events = upgraded.http["acme"].get("/v1/events", params={"limit": 1000}).json()
        orders = {
            one["data"]["order_id"]: one["data"]["net_value"]["amount"] for one in events
            if one["type"] == "order.placed" and one["data"]["order_id"].startswith("W-")
        }  # fmt: skip
        if wanted <= orders.keys():
            return orders
        assert time.monotonic() < deadline, orders
        time.sleep(0.05)
