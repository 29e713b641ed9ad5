"""What is answered is what the description says: every member, of every type, with every status."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from service.api.parameters import groups_of
from service.domain import words
from service.domain.contributions import REPORTS
from tests.conftest import Api
from tests.support.description import Description

WAITING = {
    "specversion": "1.0", "id": "waiting", "source": "/crm", "type": "invoice.posted", "time": "2026-03-01T00:00:00Z",
    "data": {
        "invoice_id": "INV-9", "order_id": "SO-9", "posting_date": "2026-03-01", "account_id": "AC-9",
        "net_amount": {"amount": "10.00", "currency": "CHF"},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def description(module_api: Api) -> Description:
    """Post an event of every type but those that take back what the others say, and what is refused; return the description."""
    kinds = [one for one in words.EVENTS if one not in {"subject.erased", "order.cancelled", "invoice.cancelled"}]
    events = [*map(words.example_of, kinds), WAITING]
    assert {one["status"] for one in module_api.post(*events)["items"]} == {"accepted"}
    assert module_api.http.post("/v1/events", json={"specversion": "1.0", "id": "bad"}).status_code == 422
    wanted = {"kind": "cloudevents", "name": "shop", "path_secret": True}
    assert module_api.http.post("/v1/sources", json=wanted).status_code == 201
    return Description(module_api.http.get("/openapi.json").json())


def check(api: Api, description: Description, path: str, where: str | None = None, **parameters: Any) -> Any:
    """Ask, and hold the answer against what the path is said to answer."""
    answer = api.http.get(where or path, params=parameters)
    found = answer.json()
    faults = list(description.faults(description.answer(path, "get", answer.status_code), found))
    assert faults == [], json.dumps(found)[:2000]
    if answer.status_code == 200:
        described = description.document["paths"][path]["get"]["responses"]
        assert ("ETag" in answer.headers) == ("304" in described) == ("ETag" in described["200"].get("headers", {}))
        assert "Link" not in answer.headers or "Link" in described["200"]["headers"]
    return found


@pytest.mark.parametrize("report", ["roi", "conversion", "velocity"])
def test_reports_and_their_entries_are_as_described(module_api: Api, description: Description, report: str) -> None:
    at = module_api.http.get("/v1/ledger").json()["last_position"]
    for group in groups_of(REPORTS[report]):
        assert check(module_api, description, f"/v1/{report}", min_position=at, group_by=group)["rows"]
    for basis in ("event", "cohort"):
        assert check(module_api, description, f"/v1/{report}", date_basis=basis)["total"]
    one = "/v1/campaigns/{campaign_id}/" + report
    check(module_api, description, one, f"/v1/campaigns/fair-2026/{report}")
    check(module_api, description, one, f"/v1/campaigns/unheard-of/{report}")
    for measure in REPORTS[report].figures:
        check(module_api, description, f"/v1/{report}/entries", measure=measure)
        check(module_api, description, f"{one}/entries", f"/v1/campaigns/fair-2026/{report}/entries", measure=measure)


def test_lists_and_lineage_are_as_described(module_api: Api, description: Description) -> None:
    at = module_api.http.get("/v1/ledger").json()["last_position"]
    check(module_api, description, "/v1/roi", min_position=at)
    paths = {path for path, of in description.document["paths"].items() if "get" in of and "{" not in path}
    asking = {"/v1/restatement", "/metrics", *(path for path in paths if path.endswith("/entries"))}
    for path in sorted(paths - asking):
        check(module_api, description, path)
    for group in ("campaign,month", "campaign,day", "source,quarter", "owner,year", "medium"):
        asked = {"from_as_of": "1", "group_by": group, "measure": "invoiced_revenue_gross"}
        assert check(module_api, description, "/v1/restatement", **asked)["lines"]
    for kind, identity in (("order", "SO-1"), ("lead", "LD-1"), ("invoice", "INV-9"), ("order", "SO-404")):
        check(module_api, description, "/v1/journeys/{kind}/{id}", f"/v1/journeys/{kind}/{identity}")
    check(module_api, description, "/v1/campaigns/{campaign_id}", "/v1/campaigns/fair-2026")
    (item,) = check(module_api, description, "/v1/quarantine")["items"]
    check(module_api, description, "/v1/quarantine/{id}", f"/v1/quarantine/{item['id']}")
    (source,) = check(module_api, description, "/v1/sources")["items"]
    source = check(module_api, description, "/v1/sources/{source}", f"/v1/sources/{source['id']}")
    secret = module_api.http.patch(f"/v1/sources/{source['id']}", json={"path_secret": True}).json()["url"]
    headers = {"Content-Type": "application/cloudevents+json"}
    assert httpx.post(secret, content=json.dumps(words.example_of("lead.reopened")), headers=headers).status_code < 300
    of_source = f"/v1/sources/{source['id']}/deliveries"
    (delivery,) = check(module_api, description, "/v1/sources/{source}/deliveries", of_source)["items"]
    one = "/v1/sources/{source}/deliveries/{delivery}"
    check(module_api, description, one, f"{of_source}/{delivery['id']}")
    check(module_api, description, one, f"{of_source}/404")
    check(module_api, description, "/v1/sources/{source}/records", f"/v1/sources/{source['id']}/records")
    check(module_api, description, "/v1/events", limit=1)
    check(module_api, description, "/v1/pending-links", limit=1)
    for position in range(1, at + 1):
        check(module_api, description, "/v1/events/{position}", f"/v1/events/{position}")


def test_what_is_posted_is_answered_as_described(api: Api, description: Description) -> None:
    lead, cost = words.example_of("lead.captured"), words.example_of("campaign.cost_booked")
    other = {**lead, "time": "2026-03-02T00:00:00Z"}
    lines = "\n".join(map(json.dumps, [lead, other, {"id": "bad"}]))
    asked: list[tuple[Any, str, int]] = [
        (lead, "application/json", 201), (lead, "application/json", 200), ([lead, cost], "application/json", 200),
        ([lead, other, {"id": "bad"}], "application/json", 207), (lines, "application/x-ndjson", 207),
        (json.dumps(lead), "application/x-ndjson", 200), (other, "application/json", 409), ({}, "application/json", 422),
        (lead, "text/plain", 415),
    ]  # fmt: skip
    for body, kind, status in asked:
        content = body if isinstance(body, str) else json.dumps(body)
        answer = api.http.post("/v1/events", content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, answer.text
        schema = description.answer("/v1/events", "post", status)
        assert list(description.faults(schema, answer.json())) == [], answer.text


def test_whatever_is_refused_is_answered_as_described(api: Api, description: Description, open_api: Any) -> None:
    """Each operation without a key, with too little of one, with what cannot be read, and in a form that is not read."""
    figures = open_api(scopes=("figures",))
    ids = {
        "position": "7",
        "id": "7",
        "order_id": "7",
        "kind": "lead",
        "rebuild_id": "7",
        "action": "pause",
        "delivery": "7",
    }
    ids |= dict.fromkeys(("key_id", "grant_id", "session_id"), "none")
    wrong: list[tuple[dict[str, Any], dict[str, Any], bytes]] = [
        ({"Authorization": "Bearer nobody"}, {}, b""), ({"Authorization": f"Bearer {figures.key}"}, {}, b""),
        ({}, {"nothing": "1"}, b""), ({}, {"limit": "x"}, b""), ({}, {"as_of": "yesterday", "after": "!"}, b""),
        ({}, {}, b"[]"), ({}, {}, b'{"a": 1, "a": 2}'), ({"Content-Type": "text/plain"}, {}, b"{}"),
        ({"Content-Encoding": "br"}, {}, b"{}"), ({"Content-Encoding": "gzip"}, {}, b"{}"), ({}, {}, b" " * 2_000_000),
    ]  # fmt: skip
    for path, operations in description.document["paths"].items():
        for method in operations.keys() - {"options"} if "/hooks/" not in path else ():
            where = path.format_map({**dict.fromkeys(("campaign_id", "source"), "none"), **ids})
            for headers, parameters, body in wrong:
                sent = {"Content-Type": "application/json", **headers}
                answer = api.http.request(method, where, params=parameters, headers=sent, content=body)
                if answer.status_code >= 400:
                    schema = description.answer(path, method, answer.status_code)
                    assert list(description.faults(schema, answer.json())) == [], answer.text
                    assert not re.search(r"should|\bNone\b|\bTrue\b|Decimal", answer.text), answer.text


def test_the_problem_of_an_item_is_a_whole_problem(api: Api, description: Description) -> None:
    lead = words.example_of("lead.captured")
    answer = api.http.post("/v1/events", json=[lead, {**lead, "time": "2026-03-02T00:00:00Z"}, {"id": "bad"}]).json()
    problems = [one["problem"] for one in answer["items"]]
    assert [one and one["status"] for one in problems] == [None, 409, 422]
    for one in problems[1:]:
        assert list(description.faults({"$ref": "#/components/schemas/Problem"}, one)) == []


def test_the_check_finds_what_is_not_as_described(description: Description) -> None:
    schema = {"$ref": "#/components/schemas/RoiAnswer"}
    assert list(description.faults(schema, {"rows": []}))
    good = words.example_of("lead.captured")
    event = {"$ref": "#/components/schemas/Event"}
    assert list(description.faults(event, good)) == []
    assert list(description.faults(event, {**good, "type": "order.placed"}))
    assert list(description.faults(event, {**good, "data": {**good["data"], "lead_id": None}}))
    assert list(description.faults(event, {**good, "time": "yesterday"}))
