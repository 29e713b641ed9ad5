"""Who may do what, what is open to all, errors as problems, and a description of the API that is true."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from service.domain.catalogue import CATALOGUE
from service.store import ledgers
from tests.conftest import OPERATOR, Api, start_service, stop_service
from tests.support import commands
from tests.support.sending import cost, lead, order

OPEN = ("/livez", "/readyz", "/openapi.json")
READS = (
    "/v1/events", "/v1/events/1", "/v1/roi", "/v1/conversion", "/v1/velocity", "/v1/campaigns", "/v1/campaigns/c",
    "/v1/campaigns/c/roi", "/v1/pending-links", "/v1/flags", "/v1/quarantine", "/v1/ledger",
)  # fmt: skip
BOOTSTRAP = "a-bootstrap-key-0123456789"


@pytest.fixture(scope="module")
def document(service_url: str) -> dict[str, Any]:
    answer = httpx.get(f"{service_url}/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON value."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(one)


@pytest.mark.parametrize("path", [*READS, "/metrics"])
def test_without_a_key_or_with_a_wrong_one_there_is_nothing_to_see(service_url: str, path: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer cl_wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer é".encode()},
    ):
        answer = httpx.get(f"{service_url}{path}", headers=headers)  # type: ignore[arg-type]
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"].startswith("Bearer")  # fmt: skip
    assert httpx.post(f"{service_url}/v1/events", json=lead("L")).status_code == 401


def test_a_key_does_what_its_scopes_say_and_nothing_else(open_api: Callable[..., Api]) -> None:
    sender, reader, operator = (open_api(scopes=(scope,)).http for scope in ("ingest", "read", "admin"))
    assert sender.post("/v1/events", json=lead("L")).status_code == 201
    for http in (reader, operator):
        answer = http.post("/v1/events", json=lead("L"))
        assert (answer.status_code, "ingest" in answer.json()["detail"]) == (403, True)
        assert http.post("/v1/quarantine/1/retry").status_code == 403
    for path in READS:
        assert [http.get(path).status_code for http in (sender, operator)] == [403, 403], path
    assert {reader.get(path).status_code for path in READS} == {200, 404}
    assert [http.get("/metrics").status_code for http in (sender, reader, operator)] == [403, 403, 200]


def test_a_ledgers_key_sees_the_series_of_its_ledger_and_the_operators_token_all(open_api: Callable[..., Api]) -> None:
    one, other = open_api(), open_api(scopes=("admin",))
    one.post(lead("L"))
    one.read("/v1/roi")  # once it is projected, there is a series of it
    total = f'campaign_ledger_projected_events_total{{ledger="{one.ledger.name}"}} 1.0'
    assert total in one.http.get("/metrics").text
    for line in one.http.get("/metrics").text.splitlines():
        assert line.startswith("#") or f'ledger="{one.ledger.name}"' in line
    assert one.ledger.name not in other.http.get("/metrics").text
    everything = other.http.get("/metrics", headers={"Authorization": f"Bearer {OPERATOR}"}).text
    assert total in everything
    assert "campaign_ledger_events_total" in everything
    wrong = other.http.get("/metrics", headers={"Authorization": f"Bearer {OPERATOR}x"})
    assert wrong.status_code == 401
    assert other.http.get("/v1/ledger", headers={"Authorization": f"Bearer {OPERATOR}"}).status_code == 401


FIGURES = (
    "/v1/roi", "/v1/conversion", "/v1/velocity", "/v1/campaigns", "/v1/campaigns/c", "/v1/campaigns/c/roi", "/v1/ledger",
    "/v1/restatement?from_as_of=0", "/v1/completeness",
)  # fmt: skip
NO_FIGURES = (
    "/v1/events", "/v1/events/1", "/v1/roi/entries?measure=booked_revenue", "/v1/campaigns/c/roi/entries?measure=budget",
    "/v1/journeys/lead/L", "/v1/pending-links", "/v1/flags", "/v1/quarantine", "/v1/quarantine/1", "/v1/set-aside",
    "/v1/rebuilds", "/v1/generations", "/v1/sources", "/metrics",
)  # fmt: skip


def test_a_key_for_figures_sees_reports_and_nothing_that_names_a_person(open_api: Callable[..., Api], dsn: str) -> None:
    api = open_api()
    api.post(lead("name@example.com", "c"), order("O-of-name@example.com", "7.00", opportunity_id="not-there"))
    api.http.post("/v1/events", json={"id": "name@example.com"})
    api.read("/v1/roi")

    async def create() -> str:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as one:
            return await ledgers.create_key(one, api.ledger, ("figures",))

    key = {"Authorization": f"Bearer {asyncio.run(create())}"}
    for path in FIGURES:
        both = [
            api.http.get(path),
            api.http.get(path, headers=key),
            api.http.get(path),
        ]  # also what is kept for the other
        assert [one.status_code for one in both] == [200, 200, 200], path
        assert both[0].json().keys() == both[1].json().keys(), path
        assert "name@example.com" not in both[1].text, path
        assert len(both[2].json().get("lines", [])) == len(both[0].json().get("lines", []))
    for path in NO_FIGURES:
        assert api.http.get(path, headers=key).status_code == 403, path
    assert "name@example.com" in api.http.get(FIGURES[-2]).text + api.http.get(FIGURES[-1]).text
    assert api.http.get(FIGURES[-2]).json()["lines"]
    assert api.http.post("/v1/events", json=lead("L"), headers=key).status_code == 403


def test_one_ledger_sees_nothing_of_another(open_api: Callable[..., Api]) -> None:
    one, other = open_api(), open_api(currency="USD")
    first = lead("L", "c")
    one.post(first, cost("C", "c", "5.00"), order("O", "7.00", campaign_id="c"))
    one.http.post("/v1/events", json={"wrong": 1})
    one.read("/v1/roi")
    for path in ("/v1/events", "/v1/quarantine"):
        body = other.http.get(path).json()
        assert (body["items"] if isinstance(body, dict) else body) == []
    assert other.http.get("/v1/events/1").status_code == other.http.get("/v1/campaigns/c").status_code == 404
    assert other.read("/v1/campaigns")["rows"] == []
    assert [row["campaign_id"] for row in other.read("/v1/roi")["rows"]] == [None]
    item = one.http.get("/v1/quarantine").json()["items"][0]["id"]
    assert other.http.post(f"/v1/quarantine/{item}/retry").status_code == 404
    changed = {**first, "subject": "the same identity is another event there"}
    assert other.http.post("/v1/events", json=changed).json()["position"] == 1
    assert other.read("/v1/roi")["currency"] == "USD"


@pytest.mark.parametrize("path", OPEN)
def test_health_and_description_are_open_to_all(service_url: str, path: str) -> None:
    answer = httpx.get(f"{service_url}{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/v1/roy", 404, None), ("POST", "/v1", 404, None),
        ("GET", "/v1/events/1/x", 404, None), ("POST", "/livez", 405, "GET, HEAD"),
        ("DELETE", "/v1/events", 405, "GET, HEAD, POST"), ("PUT", "/v1/events/1", 405, "GET, HEAD"),
        ("POST", "/v1/roi", 405, "GET, HEAD"),
        ("PATCH", "/v1/campaigns/c/roi", 405, "GET, HEAD"), ("GET", "/v1/quarantine/1/retry", 405, "POST"),
    ],
)  # fmt: skip
def test_what_is_not_there_or_not_possible_is_a_problem(
    module_api: Api, method: str, path: str, status: int, allowed: str | None
) -> None:
    answer = module_api.http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.headers.get("allow") == allowed
    assert set(answer.json()) >= {"type", "title", "status", "detail"}
    assert answer.json()["status"] == status


def test_the_names_of_problems_do_not_depend_on_the_version_of_python(module_api: Api) -> None:
    assert module_api.http.get("/v1/roi?x=1").json()["title"] == "Unprocessable Content"


def test_the_bootstrap_key_opens_the_default_ledger_also_after_a_restart(
    dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_BOOTSTRAP_KEY": BOOTSTRAP}
    headers = {"Authorization": f"bearer {BOOTSTRAP}"}
    seen = []
    for _ in range(2):
        running = start_service([], environment, tmp_path_factory.mktemp("bootstrap") / "log")
        try:
            with httpx.Client(base_url=running.url, headers=headers) as http:
                seen.append(http.get("/v1/ledger").json()["name"])
                assert http.get("/metrics").status_code == 200
                assert http.post("/v1/events", json=cost(f"boot-{time.time_ns()}", "c", "1.00")).status_code in {
                    200,
                    201,
                    409,
                }
        finally:
            stop_service(running)
    assert seen == ["default", "default"]


def listed_keys(dsn: str) -> dict[str, str]:
    """Return the state of the default ledger's keys by their ids, as the operator sees them."""
    done = commands.call("keys", "list", CAMPAIGN_LEDGER_DATABASE_URL=dsn)
    return {line.split("\t")[0]: line.split("\t")[3] for line in done.stdout.splitlines()}


def test_a_bootstrap_key_ends_when_it_is_changed_stays_revoked_and_is_not_shown(
    dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def opens(secret: str, asked: str) -> int:
        environment = {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_BOOTSTRAP_KEY": secret}
        running = start_service([], environment, tmp_path_factory.mktemp("bootstrap") / "log")
        try:
            return httpx.get(f"{running.url}/v1/ledger", headers={"Authorization": f"Bearer {asked}"}).status_code
        finally:
            stop_service(running)

    first, second = f"correct-horse-{time.time_ns()}", f"battery-staple-{time.time_ns()}"
    assert opens(first, first) == 200
    assert [one[:10] for one, state in listed_keys(dsn).items() if state == "in force"].count("bootstrap-") == 1
    assert [opens(second, first), opens(second, second)] == [401, 200]
    assert opens(first, first) == 401  # it was ended, and stays so
    assert opens(second, second) == 200  # which a process with the old environment does not end
    third = f"third-time-lucky-{time.time_ns()}"
    assert opens(third, third) == 200
    key_id = next(
        one for one, state in listed_keys(dsn).items() if one.startswith("bootstrap-") and state == "in force"
    )
    assert commands.call("keys", "revoke", key_id, CAMPAIGN_LEDGER_DATABASE_URL=dsn).returncode == 0
    assert opens(third, third) == 401
    assert not [one for one in listed_keys(dsn) if first[:5] in one or second[:5] in one or third[:5] in one]


def test_a_bootstrap_key_that_is_too_short_is_refused_without_being_shown(dsn: str) -> None:
    environment = {"CAMPAIGN_LEDGER_DATABASE_URL": dsn, "CAMPAIGN_LEDGER_BOOTSTRAP_KEY": "sesame"}
    done = commands.call("serve", "--port", "0", **environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "CAMPAIGN_LEDGER_BOOTSTRAP_KEY" in done.stderr
    assert "sesame" not in done.stderr


def test_the_description_is_openapi_31_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    references = [one["$ref"] for one in walk(document) if isinstance(one.get("$ref"), str)]
    assert len(references) > 100
    for reference in references:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]
    assert set(document["components"]["schemas"]["Event"]["discriminator"]["mapping"]) == set(CATALOGUE)


def test_every_operation_is_described_with_its_answers_and_its_key(document: dict[str, Any]) -> None:
    seen, names = set(), set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            seen.add((method.upper(), path))
            names.add(operation["operationId"])
            assert operation["summary"]
            assert re.fullmatch(r"[a-z_]{5,35}", operation["operationId"])
            for status, answer in operation["responses"].items():
                bare = status in {"204", "304", "405"} or method == "options"  # answers without a body
                assert bare or "$ref" in answer or answer["content"], (path, status)
            with_key = path not in OPEN and not path.startswith("/v1/hooks/")  # senders bring signatures of their own
            assert bool(operation.get("security")) == with_key, path
            declared = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path
    assert len(names) == len(seen)
    assert {("POST", "/v1/events"), ("GET", "/v1/campaigns/{campaign_id}/roi")} <= seen


def test_what_is_described_is_there_and_what_is_there_is_described(module_api: Api, document: dict[str, Any]) -> None:
    assert {path for path in READS if path.count("/") == 2} | {"/livez", "/readyz", "/metrics"} <= set(
        document["paths"]
    )
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path:
            needed = [one for one in operations["get"].get("parameters", ()) if one.get("required")]
            asked = {one["name"]: one["schema"]["examples"][0] for one in needed}
            assert module_api.http.get(path, params=asked).status_code == 200, path


def test_every_documented_example_of_an_event_is_taken(api: Api, document: dict[str, Any]) -> None:
    examples = [
        one
        for part in walk(document)
        for one in part.get("examples", ())
        if isinstance(one, dict) and "specversion" in one
    ]
    assert examples
    for example in examples:
        answer = api.http.post("/v1/events", json=example)
        assert answer.status_code in {200, 201}, answer.text


@pytest.mark.parametrize("kind", CATALOGUE)
def test_an_event_made_from_the_description_alone_is_taken(
    module_api: Api, document: dict[str, Any], kind: str
) -> None:
    schemas = document["components"]["schemas"]

    def value(schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            return value(schemas[schema["$ref"].rpartition("/")[2]])
        if schema.get("examples"):
            return schema["examples"][0]
        if "enum" in schema:
            return schema["enum"][0]
        if "anyOf" in schema and "type" not in schema:
            return value(schema["anyOf"][0])
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if types[0] == "string":
            by_pattern = {"^[A-Z]{3}$": "EUR", r"^\d{1,15}(\.\d{1,18})?$": "1.25"}
            return "2026-03-01" if schema.get("format") == "date" else by_pattern.get(schema.get("pattern", ""), kind)
        made: dict[str, Any] = {"integer": 1, "number": schema.get("minimum", 0.5), "boolean": True, "object": {}}
        return [value(schema["items"])] if types[0] == "array" else made[types[0]]

    by_type = schemas["Event"]["discriminator"]["mapping"]
    event = schemas[by_type[kind].rpartition("/")[2]]["allOf"][1]["properties"]
    assert event["type"]["const"] == kind
    schema = schemas[event["data"]["$ref"].rpartition("/")[2]]
    one_of = {"touchpoint.recorded": ["contact_id"]}.get(kind, [])  # which the description says in words
    for every in (True, False):
        wanted = schema["properties"] if every else dict.fromkeys([*schema["required"], *one_of])
        data = {name: value(schema["properties"][name]) for name in wanted}
        sent = {
            "specversion": "1.0",
            "id": f"{kind} {every}",
            "source": "/made",
            "type": kind,
            "time": "2026-03-01T00:00:00Z",
        }
        answer = module_api.http.post(
            "/v1/events", content=json.dumps({**sent, "data": data}), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 201, answer.text
    assert module_api.read("/v1/roi")["currency"] == "EUR"


def test_answers_have_the_members_that_the_description_promises(module_api: Api, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    module_api.post({**lead("members"), "id": "members"})
    for path, name in (("roi", "RoiAnswer"), ("conversion", "ConversionAnswer"), ("velocity", "VelocityAnswer")):
        answer = module_api.read(f"/v1/{path}")
        assert set(answer) == set(schemas[name]["properties"]) - {"compared_to"}  # which is there if it is asked for
        row = schemas[schemas[name]["properties"]["total"]["$ref"].rpartition("/")[2]]
        assert set(row["required"]) <= set(answer["total"]) <= set(row["properties"]), path
