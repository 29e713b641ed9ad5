"""The compiled catalogue and the general way must not differ: what one takes, the other takes, as the same event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from service.domain import definitions, fields
from service.domain.attribution import models
from service.domain.catalogue import CATALOGUE, EventType
from service.domain.events import InvalidEventError, read_event
from service.intake import compiled
from service.intake.decoding import Limits, decode
from service.store import sealing
from service.store.rows import Row, content_of, row_of, same_json
from tests.reference.strategies import event_sets

LIMITS = Limits(32, 65_536)
STRANGE: st.SearchStrategy[Any] = st.sampled_from(
    ["", "x", "x" * 201, "a\x00b", 0, 1, -1, 1.5, True, None, [], {}, ["a"], ["a", ""], [1], "2024-02-30", "2024-02-29",
     "0000-01-01", "1899-12-31", "1900-01-01", "9998-12-31", "9999-01-01",
     "2024-1-1", "2024-01-01T00:00:00Z", "1.0842", "0.0", "-1", "mql", "click", "EUR", "eur", 2**53, 2**70, 1e400, {"a": None},
     {"budget": True}, {"": True}, {"budget": None}, {"x" * 201: False}, {"a\x00b": True}, {"budget": "yes"}, "2026-Q5",
     "2026-13", {"mon": [["17:00", "09:00"]]}, {"mon": []}, {"region": "x"}, ["2024-02-30"], -(2**53), "leads", "lead.captured",
     "0.000000001", "0.0000000009", "999999999.9", "1000000000"]
)  # fmt: skip
AMOUNTS = st.sampled_from(
    ["1", "1.5", "1.50", "1.505", "-3", "0", "0.00", "1e3", "+1", " 1", "1 ", "1\n", "", "٣", "9" * 15, "9" * 16, 5, None]
)  # fmt: skip
MONEY = st.fixed_dictionaries(
    {"amount": AMOUNTS, "currency": st.sampled_from(["EUR", "JPY", "KWD", "eur", "XXX", "", None, 1])}
)
TIMES = st.sampled_from(
    ["2024-01-01T00:00:00Z", "2024-01-01t00:00:00z", "2024-01-01T00:00:60Z", "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z",
     "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
     "2024-W01-1T00:00:00Z", "2024-01-01T00:00:00.1234567Z", "", 5]
)  # fmt: skip


GOOD: dict[int, st.SearchStrategy[Any]] = {
    id(kind): st.sampled_from(values)
    for kind, values in (
        (fields.ID, ["L1", "Ä", "x" * 200]),
        (fields.TEXT, ["x", "", "a\nb", "\u2028"]),
        (fields.MONEY, [{"amount": "-1.50", "currency": "EUR"}, {"amount": "0", "currency": "JPY"}]),
        (fields.MONEY_ABOVE_0, [{"amount": "0.001", "currency": "KWD"}, {"amount": "5.00", "currency": "EUR"}]),
        (fields.DATE, ["1900-01-01", "2024-02-29", "9998-12-31"]),
        (fields.CURRENCY, ["EUR", "JPY"]),
        (fields.RATE, ["1", "1.0842", "0.000000001"]),
        (fields.BOOL, [True, False]),
        (fields.OBJECT, [{}, {"a": [1]}]),
        (fields.NUMBER, [0, -1.5, 2**53]),
        (fields.NUMBER_0, [0, 1.5, 2**53 - 1]),
        (fields.COUNT, [0, 2**53 - 1]),
        (fields.SHARE, [0, 0.25, 1]),
        (fields.SCORE, [1, 4.5, 5]),
        (fields.UTM, [{}, {"source": None, "term": "x"}]),
        (fields.IDS, [[], ["a", "b"]]),
        (fields.TEXTS, [[], ["a", ""]]),
        (fields.WHOLE, [-1, 0, 2**53 - 1]),
        (definitions.CRITERIA, [{}, {"budget": True, "Ä": False}]),
        (models.DEFINITION, [{"kind": "linear"}, {"kind": "milestones", "shares": {"first": 0.5}}]),
        (definitions.PERIOD, ["1900", "2026-Q4", "9998-12"]),
        (definitions.TARGET_VALUE, [0, 0.25, {"amount": "5.00", "currency": "EUR"}]),
        (definitions.WHERE, [{}, {"channel": "web", "source": ""}]),
        (definitions.HOURS, [{"mon": [["00:00", "24:00"], ["09:00", "17:00"]], "sun": []}]),
        (definitions.DAYS, [[], ["2024-02-29"]]),
        (fields.NUMBER_OR_TEXT, [1, "x", ""]),
    )
}
ATTRIBUTES = ("id", "source", "subject", "datacontenttype", "dataschema", "ext", "specversion")


def good(kind: fields.Kind) -> st.SearchStrategy[Any]:
    return GOOD[id(kind)] if id(kind) in GOOD else st.sampled_from(kind.schema["enum"])


@st.composite
def nearly_good_events(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a good event of any type with any of its fields, in which at most two things are strange."""
    event_type = draw(st.sampled_from(sorted(CATALOGUE)))
    entry = CATALOGUE[event_type]
    optional = draw(st.lists(st.sampled_from(sorted(entry.optional)), unique=True)) if entry.optional else []
    named = {**entry.required, **{name: entry.optional[name] for name in {*optional, *entry.any_of[:1]}}}
    data = {name: draw(good(named[name])) for name in draw(st.permutations(sorted(named)))}
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": event_type,
        "time": "2024-01-01T00:00:00Z",
        "data": data,
    }
    for _ in range(draw(st.integers(0, 2))):
        where = draw(st.sampled_from(("field", "field", "optional", "unknown", "missing", "attribute", "time")))
        if where == "attribute":
            event[draw(st.sampled_from(ATTRIBUTES))] = draw(STRANGE)
        elif where == "time":
            event["time"] = draw(TIMES)
        elif where == "missing" and data:
            del data[draw(st.sampled_from(sorted(data)))]
        elif where == "unknown":
            data["unknown"] = draw(STRANGE)
        else:
            names = entry.optional if where == "optional" and entry.optional else named
            data[draw(st.sampled_from(sorted(names)))] = draw(st.one_of(STRANGE, MONEY))
    return event


def both(raw: bytes) -> tuple[Row | None, Row | None]:
    try:
        general = row_of(read_event(decode(raw, LIMITS)))
    except InvalidEventError:
        general = None
    return compiled.read(raw, LIMITS), general


def assert_same(fast: Row, general: Row | None, sent: Any) -> None:
    """Both rows are the same but for the form of `data`, which the fast way keeps as it was sent."""
    assert general is not None
    names = [name for name in Row.__struct_fields__ if name not in ("data", "content", "seals")]
    assert [getattr(fast, name) for name in names] == [getattr(general, name) for name in names]
    assert json.loads(fast.data) == sent
    assert same_json(fast.data, general.data)
    assert fast.content == content_of(*astuple(fast)[:11])
    assert fast.seals or sealing.divided(general) is None, "the fast way overlooks what has to be sealed"


def test_the_compiled_way_never_takes_what_the_general_way_refuses() -> None:
    taken = {True: 0, False: 0}

    @settings(deadline=None, max_examples=1500, suppress_health_check=list(HealthCheck))
    @given(nearly_good_events())
    def run(event: dict[str, Any]) -> None:
        fast, general = both(json.dumps(event).encode())
        taken[fast is not None] += 1
        if fast is not None:
            assert_same(fast, general, event["data"])

    run()
    assert taken[True] > sum(taken.values()) / 5, "hardly any example reaches the comparison"


STRICT = fields.Kind(lambda value: None if value == "x" else "x", {"type": "string"})


def test_a_kind_of_field_that_cannot_be_compiled_goes_the_general_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled.payload_of("lead.captured", EventType({"lead_id": STRICT}, {})) is None
    entry = EventType({"lead_id": fields.ID}, {"more": STRICT, "mixed": STRICT._replace(schema={"enum": ["x", 1]})})
    payload = compiled.payload_of("lead.captured", entry)
    assert payload is not None
    monkeypatch.setitem(compiled._PAYLOADS, "lead.captured", payload)  # noqa: SLF001  as if the catalogue had it
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "lead.captured", "time": "2024-01-01T00:00:00Z"}
    assert compiled.read(json.dumps({**event, "data": {"lead_id": "L"}}).encode(), LIMITS) is not None
    for field in ("more", "mixed"):
        assert compiled.read(json.dumps({**event, "data": {"lead_id": "L", field: "x"}}).encode(), LIMITS) is None


@pytest.mark.parametrize("count", ["5.0", "5e0", "-0", "-0.0", "9007199254740992", "18446744073709551616"])
def test_a_count_is_a_whole_number_written_as_one_that_every_reader_holds_exactly(count: str) -> None:
    text = {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "campaign.messages_sent",
        "time": "2024-01-01T00:00:00Z",
    }
    raw = f'{json.dumps(text)[:-1]},"data":{{"campaign_id":"C","count":{count}}}}}'.encode()
    fast, general = both(raw)
    assert (general is not None) is (count == "-0")
    assert fast is None or general is not None


@pytest.mark.parametrize(
    "number", ["0.99999999999999999999", "1.00000000000000000001", "1e-400", "-1e-400", "1e400", "5e-1"]
)
def test_what_only_seems_to_be_within_bounds_is_decided_at_full_precision(number: str) -> None:
    text = {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "opportunity.opened",
        "time": "2024-01-01T00:00:00Z",
    }
    data = f'{{"opportunity_id":"O","probability":{number}}}'
    fast, general = both(f'{json.dumps(text)[:-1]},"data":{data}}}'.encode())
    assert (general is not None) is (number in ("0.99999999999999999999", "5e-1"))
    assert fast is None or number == "5e-1"


def test_data_is_kept_as_it_was_sent_on_one_line() -> None:
    event = (
        b'{"specversion":"1.0","id":"1","source":"/s","type":"lead.captured","time":"2024-01-01T00:00:00Z","data":%b}'
    )
    fast, _ = both(event % b'{"lead_id" : "\\u004c",\r\n"channel":"a\\nb"}')
    assert fast is not None
    assert fast.data == b'{"lead_id" : "\\u004c",  "channel":"a\\nb"}'


@pytest.mark.parametrize(
    ("day", "good"),
    [("0001-01-01", False), (r"189\u0039-12-31", False), ("1900-01-01", True), (r"2024-01-0\u0031", True),
     ("9998-12-31", True), ("9999-01-01", False)],
)  # fmt: skip
@pytest.mark.parametrize("field", ["start_date", "end_date"])
def test_a_day_outside_the_calendar_of_figures_is_refused_however_it_is_spelled(
    field: str, day: str, good: bool
) -> None:
    event = b'{"specversion":"1.0","id":"1","source":"/s","type":"campaign.updated","time":"2024-01-01T00:00:00Z","data":%b}'
    fast, general = both(event % f'{{"campaign_id":"C","{field}":"{day}"}}'.encode())
    assert (general is not None) is good
    assert (fast is not None) is good


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(event_sets())
def test_usual_events_go_the_compiled_way(events: list[dict[str, Any]]) -> None:
    for event in events:
        fast, general = both(json.dumps(event).encode())
        assert general is not None
        usual = set(event) <= {"specversion", "id", "source", "type", "time", "data", "subject", "datacontenttype"}
        of_any_shape = {"handles", "definition", "hours", "where", "holidays"} & event["data"].keys()
        if usual and "" not in event["data"].values() and not of_any_shape:
            assert fast is not None, event
            assert_same(fast, general, event["data"])
