"""`generic`: records, times and events by a mapping; what is not stated waits."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    MalformedError,
    Request,
    Source,
    Statement,
    Unreadable,
    in_order,
)
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
    requests = [Request("POST", "u", {}, {}, json.dumps(one).encode(), NOW) for one in messages]
    return [part for one in requests for part in KIND.read(one, source(mapping))]


def translated(mapping: dict[str, Any], *messages: Any) -> list[Any]:
    statements = [part for part in read(mapping, *messages) if isinstance(part, Statement)]
    assert len({one.record for one in statements}) == 1
    return KIND.translate(statements[0].record, in_order(statements), source(mapping))


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
    (one,) = KIND.read(Request("POST", "u", {}, {}, body, NOW), source(SMALL))
    assert isinstance(one, Statement)
    draft = KIND.translate(one.record, [one], source(SMALL))[1]
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
