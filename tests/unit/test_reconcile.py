"""What a record gives now against what it gave before: nothing to do, given anew, or taken back."""

from __future__ import annotations

import json
from typing import Any

from service.intake.reconcile import Plan, event_id, reconcile
from service.intake.senders.contract import Draft
from service.store.drafts import Issued

NOW = "2026-06-01T00:00:00Z"
AT = "2026-03-01T12:00:00Z"


def placed(amount: str, **more: Any) -> Draft:
    data = {"order_id": "O", "net_value": {"amount": amount, "currency": "EUR"}, **more}
    return Draft("placed", "order.placed", AT, data)


def after(plan: Plan, before: list[Issued] = []) -> list[Issued]:  # noqa: B006  read only
    """Return what is issued when a plan was carried out."""
    voids = {(key, issue): event for key, issue, event in plan.voids}
    rows = [*before, *(one._replace(position=1) for one in plan.new)]
    return [one._replace(void=voids.get((one.key, one.issue), one.void)) for one in rows]


def run(before: list[Issued], *drafts: Draft) -> Plan:
    return reconcile("erp", "order:O", before, drafts, NOW)


def ids(plan: Plan) -> tuple[list[str], list[str]]:
    return [json.loads(one.event)["id"] for one in plan.new], [json.loads(one[2])["data"]["id"] for one in plan.voids]


def test_the_same_again_is_nothing_to_do_however_it_is_written() -> None:
    first = run([], placed("1.00", note=None))
    assert ids(first) == (["order:O/placed"], [])
    assert run(after(first), placed("1.00")._replace(time="2026-03-01T13:00:00+01:00")) == Plan([], [], [])


def test_a_change_voids_the_old_event_and_gives_a_new_one_and_so_does_the_way_back() -> None:
    one = after(run([], placed("1.00")))
    second = run(one, placed("2.00"))
    assert ids(second) == (["order:O/placed~1"], ["order:O/placed"])
    third = run(after(second, one), placed("1.00"))
    assert ids(third) == (["order:O/placed~2"], ["order:O/placed~1"])


def test_what_no_longer_comes_out_is_voided_once_and_may_come_back() -> None:
    one = after(run([], placed("1.00")))
    gone = run(one)
    assert ids(gone) == ([], ["order:O/placed"])
    two = after(gone, one)
    assert run(two) == Plan([], [], [])
    assert ids(run(two, placed("1.00"))) == (["order:O/placed~1"], [])


def test_a_draft_that_is_no_valid_event_is_told_and_leaves_what_stands() -> None:
    one = after(run([], placed("1.00")))
    plan = run(one, placed("1.005"))
    assert (plan.new, plan.voids) == ([], [])
    assert "data.net_value" in plan.problems[0]


def test_what_the_log_refused_is_given_under_a_new_id_once_it_changes() -> None:
    refused = [one._replace(position=None, problem="conflict") for one in after(run([], placed("1.00")))]
    assert run(refused, placed("1.00")) == Plan([], [], [])
    assert refused[0].to_append
    plan = run(refused, placed("2.00"))
    assert ids(plan)[0] == ["order:O/placed~1"]
    dropped = after(plan, refused)[0]
    assert not dropped.to_append
    assert not dropped.to_void


def test_an_event_with_an_identity_of_its_own_is_never_given_twice() -> None:
    own = placed("1.00")._replace(source="/crm", id="4711")
    one = after(run([], own))
    assert json.loads(one[0].event)["source"] == "/crm"
    plan = run(one, placed("2.00")._replace(source="/crm", id="4711"))
    assert (plan.new, plan.voids) == ([], [])
    assert "4711" in plan.problems[0]


def test_an_id_that_would_be_too_long_is_cut_and_stays_unique() -> None:
    long = [event_id("r" * 250, f"k{number}") for number in range(2)]
    assert len(set(long)) == 2
    assert max(map(len, long)) < 190


def test_a_key_that_no_index_could_hold_is_told() -> None:
    for key in ("", "k" * 301, "a\x00"):
        plan = run([], placed("1.00")._replace(key=key))
        assert (plan.new, len(plan.problems)) == ([], 1)
