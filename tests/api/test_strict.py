"""What could be read in two ways is refused and told, in the words of JSON; what can only mean one thing is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.events import InvalidEventError
from service.intake.acceptance import read_item
from service.intake.decoding import Limits, repeated_name
from tests.conftest import Api
from tests.support.sending import event, lead

BOM = b"\xef\xbb\xbf"
BATCH, SINGLE = "application/cloudevents-batch+json", "application/cloudevents+json"
LIMITS = Limits(32, 65_536)
_TEXT = json.dumps(lead("L-1", "c", channel="fair"))
TWICE = {
    "in data": _TEXT.replace('"lead_id"', '"lead_id": "L-2", "lead_id"'),
    "in data, escaped": _TEXT.replace('"lead_id"', '"lead\\u005fid": "L-2", "lead_id"'),
    "in the envelope": _TEXT.replace('"source"', '"source": "/other", "source"'),
    "with a quotation mark to hide it": _TEXT.replace(
        '"lead_id"', '"channel": "\\u0022\\u0022\\u0022\\u0022", "lead_id"'
    ),
    "of an unknown field": _TEXT.replace('"lead_id"', '"own": 1, "own": 1, "lead_id"'),
    "in a field": _TEXT.replace('"lead_id"', '"utm": {"source": "a", "source": "b"}, "lead_id"'),
    "with blanks": _TEXT.replace('"lead_id"', '"lead_id" : "L-2"\t, "lead_id"'),
    "data itself": _TEXT[:-1] + ', "data": {"lead_id": "L-3"}}',
    "beside a null": _TEXT.replace('"lead_id"', '"medium": null, "medium": null, "lead_id"'),
}


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_a_name_that_stands_twice_is_refused_in_every_form(api: Api, text: str) -> None:
    single = api.http.post("/v1/events", content=text, headers={"Content-Type": "application/json"})
    assert (single.status_code, single.json()["type"]) == (422, "/problems/invalid-event")
    assert "each name once in an object" in single.json()["detail"]
    batch = api.http.post("/v1/events", content=f"[{text}]", headers={"Content-Type": BATCH})
    assert (batch.status_code, batch.json()["items"][0]["status"]) == (207, "invalid")
    bulk = api.http.post("/v1/events", content=text, headers={"Content-Type": "application/x-ndjson"})
    assert (bulk.status_code, bulk.json()["invalid"]) == (207, 1)
    assert api.http.get("/v1/ledger").json()["last_position"] == 0


def test_a_name_that_stands_twice_in_data_of_its_own_is_refused(api: Api) -> None:
    headers = {
        "Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/crm",
        "ce-type": "lead.captured", "ce-time": "2026-03-01T12:00:00Z",
    }  # fmt: skip
    answer = api.http.post("/v1/events", content='{"lead_id": "L-1", "lead_id": "L-2"}', headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "lead_id: expected each name once in an object, got it twice",
    )


def test_a_name_that_stands_twice_in_a_source_is_refused(api: Api) -> None:
    body = '{"kind": "cloudevents", "name": "shop", "path_secret": false, "path_secret": true}'
    answer = api.http.post("/v1/sources", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "path_secret")


_LETTERS = st.sampled_from('aü"\\\n:,{}')
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**9), 10**9).map(lambda one: one / 8)
    | st.text(_LETTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_LETTERS, max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    own=st.dictionaries(st.sampled_from(["a", 'q"', "\\", "b", "ü"]), _JSON, max_size=4),
    note=st.text(st.sampled_from('"\\u0022 null:{}')),
    ascii_only=st.booleans(),
    double=st.sampled_from(["lead_id", "channel", "source", "id", "own", 'x"', ""]),
)
def test_a_name_twice_is_found_in_any_event_and_in_no_other(
    own: dict[str, Any], note: str, ascii_only: bool, double: str
) -> None:  # fmt: skip
    data = {"lead_id": "L-1", "channel": note or None, "utm": {"term": note}, **({"own": own} if own else {})}
    text = json.dumps(event("lead.captured", **data), ensure_ascii=ascii_only)
    if double:
        quoted = json.dumps(double)
        text = text.replace('"data": {', f'"data": {{{quoted}: {json.dumps(note)}, {quoted}: 1, ', 1)
    try:
        read_item(text.encode(), LIMITS)
        refused = False
    except InvalidEventError as error:
        refused = "each name once" in str(error)
    assert refused == (repeated_name(text.encode()) is not None) == bool(double)


@pytest.mark.parametrize("media_type", ["application/json", SINGLE, BATCH, "application/x-ndjson"])
def test_a_byte_order_mark_is_read(api: Api, media_type: str) -> None:
    text = json.dumps([lead("L-1")]) if media_type == BATCH else json.dumps(lead("L-1"))
    answer = api.http.post("/v1/events", content=BOM + text.encode(), headers={"Content-Type": media_type})
    assert answer.status_code in (200, 201), answer.text
    listed = BOM + b"\n[" + text.strip("[]").encode() + b"]"
    answer = api.http.post("/v1/events", content=listed, headers={"Content-Type": "application/json"})
    assert answer.json()["items"][0]["status"] == "duplicate"


def test_a_byte_order_mark_before_a_source_is_read(api: Api) -> None:
    body = BOM + b'{"kind": "cloudevents", "name": "shop", "path_secret": true}'
    assert api.http.post("/v1/sources", content=body, headers={"Content-Type": "application/json"}).status_code == 201


@pytest.mark.parametrize(
    ("media_type", "body", "right"),
    [(SINGLE, b" [{}]", BATCH), (BATCH, b'{"id": "1"}', SINGLE), (SINGLE, BOM + b"[]", "application/json")],
)
def test_what_comes_under_another_content_type_is_told_the_right_one(
    api: Api, media_type: str, body: bytes, right: str
) -> None:  # fmt: skip
    answer = api.http.post("/v1/events", content=body, headers={"Content-Type": media_type})
    assert (answer.status_code, right in answer.json()["detail"]) == (415, True), answer.text


def test_a_list_on_a_line_and_lines_in_a_body_are_told_the_right_content_type(api: Api) -> None:
    line = api.http.post("/v1/events", content=b"[{}]\n", headers={"Content-Type": "application/x-ndjson"})
    assert BATCH in line.json()["problems"][0]["problem"]["detail"]
    lines = api.http.post("/v1/events", content=b"{}\n{}", headers={"Content-Type": "application/json"})
    assert "application/x-ndjson" in lines.json()["detail"]


def test_a_source_under_another_content_type_is_told_the_right_one(api: Api) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = api.http.post("/v1/sources", content=b'{"kind": "cloudevents"}', headers=headers)
    assert (answer.status_code, "application/json" in answer.json()["detail"]) == (415, True)


@pytest.mark.parametrize("value", ["yes", 1, "true", "on", 0])
def test_booleans_are_true_or_false(api: Api, value: Any) -> None:
    answer = api.http.post("/v1/sources", json={"kind": "cloudevents", "name": "shop", "path_secret": value})
    assert (answer.status_code, answer.json()["errors"]) == (
        422, [{"field": "path_secret", "expected": "true or false", "got": "(not shown)"}],
    )  # fmt: skip
    assert api.http.post("/v1/rebuilds", json={"dry_run": value}).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/events?source=x"), ("POST", "/v1/sources?name=x"), ("POST", "/v1/set-aside/retry?all=1"),
        ("POST", "/v1/quarantine/1/retry?force=true"), ("POST", "/v1/rebuilds?dry_run=true"), ("DELETE", "/v1/sources/s?now=1"),
        ("GET", "/v1/sources/s?x=1"), ("GET", "/v1/events/1?x=1"), ("GET", "/v1/roi?form=2026-01-01"), ("GET", "/metrics?x=1"),
    ],
)  # fmt: skip
def test_unknown_parameters_are_refused_everywhere(api: Api, method: str, path: str) -> None:
    answer = api.http.request(method, path)
    assert (answer.status_code, "unknown parameter" in answer.json()["detail"]) == (422, True), answer.text


@pytest.mark.parametrize(
    "path", ["/v1/roi?from=2026-01-01&from=2026-02-01", "/v1/events?limit=1&limit=2", "/v1/flags?as_of=1&as_of=1"]
)
def test_a_parameter_given_twice_is_refused(api: Api, path: str) -> None:
    answer = api.http.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["got"]) == (422, "it 2 times"), answer.text


def test_a_parameter_that_may_come_several_times_means_all_of_them(api: Api) -> None:
    api.post(lead("L-1"), event("lead.qualified", lead_id="L-1"), event("lead.accepted", lead_id="L-1"))
    found = api.http.get("/v1/events?type=lead.captured&type=lead.accepted").json()
    assert [one["type"] for one in found] == ["lead.captured", "lead.accepted"]


def test_what_was_refused_is_shown_as_json(api: Api) -> None:
    opened = event("opportunity.opened", opportunity_id="O", probability=12.5, lead_ids=[None, True, 1.50])
    answer = api.http.post("/v1/events", json={**opened, "subject": False, "extension": {"a": [None]}})
    got = {one["field"]: one["got"] for one in answer.json()["errors"]}
    assert got == {
        "data.probability": "12.5", "data.lead_ids": "[null, true, 1.5]", "subject": "false", "extension": '{"a": [null]}',
    }  # fmt: skip
    nothing = api.http.post("/v1/events", json={"type": None, "data": {}})
    got = {one["field"]: one["got"] for one in nothing.json()["errors"]}
    assert (got["specversion"], got["id"], got["time"], got["type"]) == ("nothing", "nothing", "nothing", "null")


def test_a_parameter_that_is_missing_is_told_so(api: Api) -> None:
    assert api.http.get("/v1/roi/entries").json()["errors"] == [
        {"field": "measure", "expected": "a value, which is required", "got": "nothing"}
    ]
