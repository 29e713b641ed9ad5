"""Rebuilds over HTTP and by command: asked for, followed, compared, applied and undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.domain.contributions import REPORTS
from tests.conftest import Api
from tests.support import commands
from tests.support.sending import cost, lead, order

# Python imports this by itself at its start: the next release, with another definition of one figure.
NEXT_RELEASE = """
from service.domain import contributions
from service.domain.reports import roi

def doubled(entry, book):
    roi.contribute_cost(entry, book)
    for cell in book.cells:
        book.cells[cell] *= 2

contributions.RULES_OF["cost"] = (doubled,)
contributions.READ_MODEL_VERSION = "next"
"""


def ended(api: Api, path: str) -> dict[str, Any]:
    """Wait until a rebuild is no longer building."""
    deadline = time.monotonic() + 60
    while (found := api.http.get(path).json())["state"] == "building":
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return dict(found)


def test_a_rebuild_asked_for_over_http_is_built_by_a_worker_and_rolled_back_in_one_call(api: Api) -> None:
    api.post(lead("L", "c"), cost("C", "c", "5.00"), order("O", "9.00", campaign_id="c"))
    before = api.read("/v1/roi")
    begun = api.http.post("/v1/rebuilds", json={"dry_run": True})
    assert begun.status_code == 202
    path = begun.headers["location"]
    built = ended(api, path)
    assert (built["state"], built["position"], built["progress"]) == ("built", 3, 1.0)
    assert built["report"]["identical"] is True
    assert {*built["report"]["digests"]["roi"]} == {"old", "new"}
    assert api.http.get(f"{path}/differences").json() == {"rows": [], "next": None}
    assert [one["state"] for one in api.http.get("/v1/generations").json()["items"]] == ["serving", "built"]

    api.post(cost("D", "c", "1.00"))
    assert api.http.post(f"{path}/apply").status_code == 200
    assert ended(api, path)["state"] == "serving"
    assert api.read("/v1/roi")["total"]["actual_cost"] == "6.00"
    assert api.http.post(f"{path}/pause").status_code == 409
    assert api.http.post("/v1/generations/rollback").status_code == 202
    deadline = time.monotonic() + 60
    while (states := [one["state"] for one in api.http.get("/v1/generations").json()["items"]]) != [
        "serving",
        "retired",
    ]:
        assert time.monotonic() < deadline, states
        time.sleep(0.02)
    assert api.read("/v1/roi")["total"]["actual_cost"] == "6.00"
    assert api.read("/v1/roi")["rows"][0]["booked_revenue"] == before["rows"][0]["booked_revenue"]
    assert api.http.post("/v1/generations/prune").json() == {"dropped": [2]}
    assert [one["id"] for one in api.http.get("/v1/generations").json()["items"]] == [1]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/rebuilds", {"dry_run": True, "apply": True}, 422), ("/v1/rebuilds", {"dryrun": True}, 422),
        ("/v1/rebuilds/77/pause", None, 404), ("/v1/rebuilds/77/explode", None, 422), ("/v1/generations/rollback", None, 409),
    ],
)  # fmt: skip
def test_a_mistake_is_a_problem_that_says_what_is_possible(api: Api, path: str, body: Any, status: int) -> None:
    answer = api.http.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert api.http.get("/v1/rebuilds").json() == {"items": []}
    assert api.http.get("/v1/rebuilds/1").status_code == 404


def test_steering_a_rebuild_needs_an_admin_key(open_api: Callable[..., Api]) -> None:
    reader = open_api(scopes=("read", "ingest"))
    for path in ("/v1/rebuilds", "/v1/rebuilds/1/pause", "/v1/generations/rollback", "/v1/generations/prune"):
        assert reader.http.post(path).status_code == 403


def test_the_next_release_shows_which_figures_move_before_they_serve(api: Api, dsn: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NEXT_RELEASE, encoding="utf-8")
    environment = {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, "PYTHONPATH": str(tmp_path)}

    def call(*arguments: str, status: int = 0) -> str:
        ran = commands.call(*arguments, **environment)
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout

    name = api.ledger.name
    api.post(cost("C", "c", "5.00"), order("O", "9.00", campaign_id="c"))
    assert api.read("/v1/roi")["read_model_version"] != "next"
    assert "2 figures differ" in call("replay", name, "--dry-run", status=3)
    assert "does not serve" in call("replay", "--ledger", name, status=3)
    listed = call("rebuilds", "differences", "3", "--ledger", name).splitlines()
    assert sorted(listed) == [f"c, 2026-03 ({basis}), actual_cost: 5.00 -> 10.00" for basis in ("cohort", "event")]
    rows = api.http.get("/v1/rebuilds/3/differences", params={"limit": 1})
    assert rows.json()["rows"][0]["models"] == [one.name for one in REPORTS.values() if "actual_cost" in one.measures]
    assert len(api.http.get(rows.links["next"]["url"]).json()["rows"]) == 1
    assert api.read("/v1/roi")["total"]["actual_cost"] == "5.00"
    assert "generation 3 serves now, 2 figures differ" in call("replay", name, "--apply")
    answer = api.http.get("/v1/roi").json()
    assert (answer["read_model_version"], answer["total"]["actual_cost"]) == ("next", "10.00")
    assert f"{name}: dropped 1" in call("generations", "prune", "--ledger", name)
    assert "serving" in call("rebuilds", "list", "--ledger", name)
