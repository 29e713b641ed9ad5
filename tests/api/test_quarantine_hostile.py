"""Whatever is posted, everything that reads the quarantine goes on giving an answer."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.domain.stated import stated_money
from service.intake.refused import refused
from tests.conftest import Api
from tests.support.sending import cost, credit, event, invoice, lead, order

TYPES = (
    "application/json", "application/x-ndjson", "application/cloudevents+json", "application/cloudevents-batch+json",
)  # fmt: skip
DEEP = "[" * 100_000 + "]" * 100_000
HOSTILE = (
    "NaN", "-Infinity", "1e400", "-1e-400", "1" + "0" * 400, "1" * 5_000, "[]", "{}", "null", "true", '"\\ud800"', '"\\udc00x"',
    '"\\u0000"', '"\\u0000\\ud800"', f'"{"x" * 300}"', '""', DEEP, '{"a":' * 50_000 + "1" + "}" * 50_000, '{"currency": {}}',
    '{"amount": "1", "currency": {}}', '{"amount": "1", "currency": []}', '{"amount": [], "currency": "EUR"}',
    '{"amount": 1e400, "currency": "EUR"}', '{"amount": "1e9", "currency": "EUR"}', '{"amount": "\\ud800", "currency": "EUR"}',
    '{"amount": 99999999999999999999999999, "currency": "EUR"}', '{"amount": "999999999999999.99", "currency": "EUR"}',
)  # fmt: skip
EVENTS = (
    order("SO", "1.00"), invoice("IN", "1.00"), cost("C", "a", "1.00"), lead("L", "a"), credit("CN", "IN", "1.00"),
    event("opportunity.opened", opportunity_id="OP", estimated_value={"amount": "1.00", "currency": "EUR"}),
)  # fmt: skip
PLACES = (
    ("source",), ("id",), ("type",), ("time",), ("data",), ("data", "net_value"), ("data", "net_amount"), ("data", "amount"),
    ("data", "value"), ("data", "order_id"), ("data", "net_value", "currency"), ("data", "net_value", "amount"), ("ext",),
)  # fmt: skip


def spoilt(base: dict[str, Any], place: tuple[str, ...], value: str) -> bytes:
    """Return an event with some JSON, or what is none, in a place."""
    mark = "\N{SNOWMAN}"
    copy: dict[str, Any] = json.loads(json.dumps(base))
    at = copy
    for name in place[:-1]:
        at = at.setdefault(name, {})
    at[place[-1]] = mark
    return json.dumps(copy, ensure_ascii=False).replace(f'"{mark}"', value).encode()


HOSTILE_EVENTS = st.builds(spoilt, st.sampled_from(EVENTS), st.sampled_from(PLACES), st.sampled_from(HOSTILE))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "id", "amount", "currency"]), inner)
    ),
)
BODIES = st.binary(max_size=200) | HOSTILE_EVENTS | JSON.map(lambda value: json.dumps(value).encode())
READERS = (
    "/v1/quarantine", "/v1/quarantine?state=resolved", "/v1/quarantine/counts", "/v1/quarantine/counts?by=type",
    "/v1/quarantine/counts?by=source", "/v1/completeness",
)  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(body=BODIES, content_type=st.sampled_from(TYPES), split=st.booleans())
@example(
    body=spoilt(EVENTS[0], ("data", "net_value"), '{"amount": "1", "currency": {}}'), content_type=TYPES[0], split=False
)
@example(body=spoilt(EVENTS[0], ("data", "x"), DEEP), content_type=TYPES[0], split=False)
@example(body=b'{"order_id": "\\ud800"}', content_type=TYPES[0], split=True)
def test_whatever_is_refused_can_be_read_by_everything_that_reads_it(
    module_api: Api, body: bytes, content_type: str, *, split: bool
) -> None:
    api, headers = module_api, {"Content-Type": content_type}
    if split:  # CloudEvents binary mode: the body is `data` alone
        context = {
            "specversion": "1.0",
            "id": "b",
            "source": "/b",
            "type": "order.placed",
            "time": "2026-03-01T12:00:00Z",
        }
        headers = {"Content-Type": "application/json", **{f"ce-{name}": value for name, value in context.items()}}
    posted = api.http.post("/v1/events", content=body, headers=headers)
    assert posted.status_code < 500, posted.text
    for path in READERS:
        answer = api.http.get(path)
        assert answer.status_code == 200, (path, answer.text)
        answer.json()
    items = api.http.get("/v1/quarantine?limit=1000").json()["items"]
    assert api.http.get("/v1/quarantine/counts?by=type").json()["total"] == len(items)
    for one in items[-1:]:
        assert api.http.get(f"/v1/quarantine/{one['id']}").json()["state"] == "waiting"
        assert api.http.post(f"/v1/quarantine/{one['id']}/retry").status_code in (200, 422)
    again = api.http.post("/v1/quarantine/retry?limit=1000")
    assert (again.status_code, again.json()["waiting"] <= len(items)) == (200, True)


@settings(deadline=None, max_examples=500)
@given(body=BODIES)
def test_what_is_told_of_an_item_can_be_stored(body: bytes) -> None:
    told = refused(body, {"detail": "x", "errors": []})
    for text in (told.source, told.id, told.type, told.reason):
        assert text is None or "\x00" not in text.encode().decode()
    assert told.money is None or abs(told.money.minor) < 2**63


@given(value=JSON | st.dictionaries(st.sampled_from(["amount", "net_value", "currency"]), JSON))
def test_any_value_states_an_amount_or_none(value: Any) -> None:
    found = stated_money(value)
    assert found is None or type(found.minor) is int
