"""`generic`: records, times and events by a mapping; what is not stated waits."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    MalformedError,
    Source,
    Statement,
    UnavailableError,
    Unreadable,
    Wanted,
)
from tests.support.kinds import parts_of, posted
from tests.support.kinds import translated as translation_of
from tests.support.senders_api import serving
from tests.support.stories.generic import MAPPING

KIND = KINDS["generic"]
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SMALL: dict[str, Any] = {
    "record": "deal:{id}",
    "at": "{at}",
    "events": [
        {"type": "opportunity.opened", "time": "{at}", "data": {"opportunity_id": "{id}", "stage": "{stage}"}},
        {
            "type": "opportunity.won", "when": {"column": "stage", "equals": "won"}, "time": "{at}",
            "data": {"opportunity_id": "{id}", "value": {"amount": "{value|decimal}", "currency": "EUR"}},
        },
        {
            "type": "quote.accepted", "id": "{quotes[0].id}", "when": {"column": "quotes[0].id"}, "time": "{at}",
            "data": {"opportunity_id": "{id}", "quote_id": "$.quotes[0].id"},
        },
    ],
}  # fmt: skip
SMALL["events"][2]["data"]["quote_id"] = "{$.quotes[0].id}"


def source(mapping: dict[str, Any]) -> Source:
    return Source("s", KIND.name, "shop", ("a-secret-0123456789",), KIND.check_mapping(mapping))


def read(mapping: dict[str, Any], *messages: Any) -> list[Any]:
    return parts_of(source(mapping), *messages)


def translated(mapping: dict[str, Any], *messages: Any) -> list[Any]:
    statements = [part for part in read(mapping, *messages) if isinstance(part, Statement)]
    assert len({one.record for one in statements}) == 1
    return translation_of(source(mapping), statements)


def deal(at: str, stage: str, **more: Any) -> dict[str, Any]:
    return {"id": 7, "at": f"2026-03-{at}T00:00:00Z", "stage": stage, **more}


def test_an_event_has_the_time_of_the_first_and_the_data_of_the_last_message_in_which_it_holds() -> None:
    won = [deal("02", "won", value=5), deal("03", "won", value=6.5), deal("04", "lost")]
    (opened, first, *_) = translated(SMALL, *reversed(won), deal("01", "new"))
    assert opened == Draft(
        "opportunity.opened", "opportunity.opened", "2026-03-01T00:00:00Z", {"opportunity_id": "7", "stage": "lost"}
    )
    value = {"amount": "6.50", "currency": "EUR"}
    assert first == Draft(
        "opportunity.won", "opportunity.won", "2026-03-02T00:00:00Z", {"opportunity_id": "7", "value": value}
    )


def test_a_rule_with_an_id_gives_one_event_per_id() -> None:
    several = [deal("01", "new", quotes=[{"id": f"Q-{number}"}]) for number in (1, 2, 1)]
    keys = sorted(one.key for one in translated(SMALL, *several))
    assert keys == ["opportunity.opened", "quote.accepted/Q-1", "quote.accepted/Q-2"]


def test_partial_messages_are_completed_by_what_was_stated_before() -> None:
    whole = [
        {"id": 7, "at": "2026-03-01T00:00:00Z", "value": 9},
        {"id": 7, "at": "2026-03-02T00:00:00Z", "stage": "won"},
    ]
    drafts = translated({**SMALL, "partial": True}, *whole)
    assert drafts[1].data["value"]["amount"] == "9.00"
    assert "value" not in translated(SMALL, *whole)[1].data


def test_what_is_required_and_not_stated_waits() -> None:
    mapping = copy.deepcopy(MAPPING)
    record = {"id": "SO", "created_at": "2026-03-01T00:00:00Z", "updated_at": "2026-03-01T00:00:00Z", "status": "open"}
    (waiting,) = translated(mapping, {"kind": "order", "object": record})
    assert waiting.reason == "order.placed: net_value unknown"


def test_a_list_gives_a_record_each_and_a_bad_one_fails_alone() -> None:
    mapping = {**SMALL, "each": "data.deals"}
    good, nameless, late, number = read(
        mapping, {"data": {"deals": [deal("01", "new"), {"at": "2026-03-01T00:00:00Z"}, {"id": 8, "at": "soon"}, 5]}}
    )
    assert (isinstance(good, Statement), good.record) == (True, "deal:7")
    assert isinstance(nameless, Ignored)
    assert all(isinstance(one, Unreadable) for one in (late, number))
    assert read(mapping, {"data": {"deals": []}}) == [Ignored("data.deals is empty")]
    with pytest.raises(MalformedError, match=r"data\.deals: expected a list"):
        read(mapping, {"data": {}})


def test_numbers_are_taken_as_they_were_written() -> None:
    body = b'{"id": 7, "at": "2026-03-01T00:00:00Z", "stage": "won", "value": 1234567890123.10}'
    draft = translation_of(source(SMALL), parts_of(source(SMALL), body))[1]
    assert isinstance(draft, Draft)
    assert draft.data["value"]["amount"] == "1234567890123.10"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"record": None}, "record"), ({"record": "deal"}, "record"), ({"at": "now"}, "at"), ({"events": []}, "events"),
        ({"events": {}}, "events"), ({"events": [{"type": "deal.won"}]}, r"events\[0\]"), ({"evnts": []}, "evnts"),
        ({"events": [{**SMALL["events"][0], "type": "deal.won"}]}, r"events\[0\]\.type"), ({"events": [5]}, r"events\[0\]"),
        ({"authentication": {"header": "x", "encoding": "rot13"}}, "authentication.encoding"), ({"order": 5}, "order"),
    ],
)  # fmt: skip
def test_a_mapping_that_is_wrong_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        KIND.check_mapping({**SMALL, **change})


def test_a_version_is_compared_by_its_numbers() -> None:
    mapping = {**SMALL, "order": "{rev}"}
    several = [deal("01", stage, rev=rev) for rev, stage in (("v9", "new"), ("v10", "won"), ("v2.5", "lost"))]
    assert translated(mapping, *several)[0].data["stage"] == "won"
    assert translated(mapping, *reversed(several))[0].data["stage"] == "won"


FIELDS: dict[str, Any] = {
    "record": "order:{order.id}", "at": "{changed}", "each": "orders",
    "fields": {
        "topic": {"header": "X-Topic"},
        "shop": {"parent": "shop.id"},
        "campaign": {"path": "landing", "query": "utm_campaign"},
        "order.id": {"path": "name", "match": "^#([0-9]+)$"},
        "status": {"path": "state", "map": {"paid": "open", "voided": "cancelled", "*": "other"}},
        "net": {"path": "cents", "times": "0.01", "plus": -1},
        "changed": {"path": "changed", "epoch": "milliseconds"},
        "currency": {"path": "currency", "default": "EUR"},
    },
    "events": [{
        "type": "order.placed", "when": {"column": "status", "equals": "open"}, "time": "{changed}",
        "data": {
            "order_id": "{order.id}", "account_id": "{shop}", "campaign_id": "{campaign}",
            "net_value": {"amount": "{net|decimal}", "currency": "{currency}"}, "topic": "{topic}",
        },
    }],
}  # fmt: skip


def sold(**more: Any) -> dict[str, Any]:
    return {"name": "#1001", "state": "paid", "cents": 123400, "changed": 1772445600000,
            "landing": "/sale?utm_source=x&utm_campaign=Fair%202026", **more}  # fmt: skip


def placed(*orders: dict[str, Any], headers: dict[str, str] | None = None, **mapping: Any) -> list[Any]:
    at = source({**FIELDS, **mapping})
    request = posted({"shop": {"id": "S-1"}, "orders": orders}, headers or {"x-topic": "orders/paid"})
    return [draft for one in parts_of(at, request) for draft in translation_of(at, [one])]


def test_fields_are_made_of_headers_of_what_is_around_a_record_and_of_other_values() -> None:
    (draft,) = placed(sold())
    assert (draft.type, draft.time) == ("order.placed", "2026-03-02T10:00:00Z")
    assert draft.data == {
        "order_id": "1001", "account_id": "S-1", "campaign_id": "Fair 2026", "topic": "orders/paid",
        "net_value": {"amount": "1233.00", "currency": "EUR"},
    }  # fmt: skip


def test_a_value_that_a_map_does_not_know_is_the_other_one() -> None:
    assert placed(sold(state="refunded")) == []
    mapping = {"fields": {**FIELDS["fields"], "status": {"path": "state", "map": {"paid": "open"}}}}
    assert [one.type for one in placed(sold(state="open"), **mapping)] == ["order.placed"]


def test_an_expression_that_would_run_away_elsewhere_ends_at_once() -> None:
    mapping = {"fields": {**FIELDS["fields"], "order.id": {"path": "name", "match": "^(([a-z])+.)+[A-Z]([a-z])+$"}}}
    before = time.perf_counter()
    assert placed(sold(name="a" * 100_000), **mapping) == []
    assert time.perf_counter() - before < 10


@pytest.mark.parametrize("blank", [False, None, "NULL", "(not set)", "--", "–"])
def test_a_word_for_nothing_states_nothing_and_a_truth_value_is_one(blank: Any) -> None:
    mapping = copy.deepcopy(SMALL)
    mapping["events"] = [{
        "type": "order.placed", "time": "{at}", "when": {"column": "test", "equals": "false"},
        "data": {
            "order_id": "{id}", "campaign_id": "{campaign|slug}", "new_customer": "{new|bool}",
            "net_value": {"amount": "1.00", "currency": "EUR"},
        },
    }]  # fmt: skip
    (draft,) = translated(mapping, deal("01", "x", campaign=blank, new=False, test=False))
    assert "campaign_id" not in draft.data
    assert draft.data["new_customer"] is False
    named = translated({**mapping, "blanks": ["nix"]}, deal("01", "x", campaign="(not set)", test=False))
    assert named[0].data["campaign_id"] == "not-set"


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ({"path": "a", "header": "b"}, "fields.x: expected one of"), ({}, "fields.x"), (5, "fields.x"), ({"path": 5}, "fields.x"),
        ({"path": "a", "mach": "b"}, r"fields\.x\.mach"), ({"path": "a", "match": "(a"}, r"fields\.x\.match"),
        ({"path": "a", "match": "a" * 501}, r"fields\.x\.match"), ({"path": "a", "epoch": "days"}, r"fields\.x\.epoch"),
        ({"path": "a", "map": {"b": 1}}, r"fields\.x\.map"), ({"path": "a", "times": "much"}, r"fields\.x\.times"),
        ({"path": "a", "query": ""}, r"fields\.x\.query"), ({"path": "a", "plus": True}, r"fields\.x\.plus"),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_named(field: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        KIND.check_mapping({**SMALL, "fields": {"x": field}})


def test_a_bad_item_of_a_list_is_named_by_its_place() -> None:
    parts = read({**SMALL, "each": "deals"}, {"deals": [deal("01", "new"), {"id": 8, "at": "soon"}]})
    assert isinstance(parts[1], Unreadable)
    assert parts[1].reason.startswith("deals[1]: at: expected a time")


def test_what_only_says_that_something_has_changed_is_read_back() -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    def answer(_: str, path: str, headers: Mapping[str, str], __: bytes) -> tuple[int, Any]:
        asked.append((path, headers.get("authorization"), headers.get("x-key")))
        if path.endswith("gone"):
            return 404, {}
        if path.endswith("busy"):
            return 503, {}
        return 200, {"deal": deal("02", "won", value=5)}

    with serving(answer) as url:
        at = source({**SMALL, "read_back": {"url": url + "/deals/{data.id}", "path": "deal"}})
        at = at._replace(credentials={"token": "t-1"})
        (wanted,) = parts_of(at, {"data": {"id": "7/1"}})
        assert isinstance(wanted, Wanted)
        (one,) = asyncio.run(fetched(wanted, at))
        assert (one.record, one.at, one.key) == ("deal:7", "2026-03-02T00:00:00Z", wanted.key)
        assert asked == [("/deals/7%2F1", "Bearer t-1", None)]
        own = {"url": url + "/deals/{data.id}", "path": "deal", "headers": {"X-Key": "{token}"}}
        asyncio.run(fetched(wanted, source({**SMALL, "read_back": own})._replace(credentials={"token": "t-2"})))
        assert asked[-1] == ("/deals/7%2F1", None, "t-2")
        (gone,) = asyncio.run(fetched(wanted._replace(url=url + "/gone"), at))
        assert isinstance(gone, Ignored)
        with pytest.raises(UnavailableError, match="503"):
            asyncio.run(fetched(wanted._replace(url=url + "/busy"), at))
    (nothing,) = parts_of(at, {"data": {}})
    assert nothing == Ignored("there is no data.id in it, so nothing can be read back")


async def fetched(wanted: Wanted, at: Source) -> list[Any]:
    assert KIND.fetch is not None
    async with httpx.AsyncClient() as client:
        found = await KIND.fetch(wanted, at, client)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("url", ["https://{host}/x", "{url}", "ftp://x.test/", "https://x.test{path}", ""])
def test_the_host_of_what_is_read_back_stands_in_the_mapping(url: str) -> None:
    with pytest.raises(ValueError, match=r"read_back\.url"):
        KIND.check_mapping({**SMALL, "read_back": {"url": url}})


def test_conditions_may_be_joined() -> None:
    mapping = copy.deepcopy(SMALL)
    mapping["events"] = [{
        "type": "opportunity.won", "time": "{at}", "data": {"opportunity_id": "{id}"},
        "when": {"all": [
            {"any": [{"column": "stage", "equals": "won"}, {"column": "stage", "equals": "signed"}]},
            {"not": {"column": "test", "equals": "true"}}, {"column": "campaign"},
        ]},
    }]  # fmt: skip
    for more, holds in (
        ({"stage": "signed", "campaign": "c"}, True), ({"stage": "won", "campaign": "c", "test": False}, True),
        ({"stage": "won", "campaign": "c", "test": True}, False), ({"stage": "new", "campaign": "c"}, False),
        ({"stage": "won", "campaign": "(not set)"}, False),
    ):  # fmt: skip
        assert bool(translated(mapping, {"id": 7, "at": "2026-03-01T00:00:00Z", **more})) is holds, more


@pytest.mark.parametrize("stage", [{"de": "neu"}, ["new"], [], {}])
def test_an_object_or_a_list_where_an_event_wants_a_text_cannot_be_read(stage: Any) -> None:
    with pytest.raises(MalformedError, match="stage: expected a text, a number, true or false, got"):
        translated(SMALL, deal("01", "new") | {"stage": stage})
