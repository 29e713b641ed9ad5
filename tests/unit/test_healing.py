"""Values that cannot be read: found, left out, named, and forgotten once they are stated anew."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from service.intake.healing import Fault, translated
from service.intake.senders.contract import Draft, MalformedError, Statement, Waiting, states


def said(number: int, **fields: Any) -> Statement:
    return Statement("r", f"k{number}", f"2026-03-0{number}T00:00:00Z", "", "said", fields)


def folded(statements: Sequence[Statement]) -> list[Draft | Waiting]:
    """Give one draft of what was stated last, as kinds do that fold; amounts have to be numbers, stages in small letters."""
    state: dict[str, Any] = {}
    for _, state in states(statements):
        if not str(state.get("amount", "0")).replace(".", "", 1).isdigit():
            raise MalformedError(f"amount: expected a number, got {state['amount']}")
        if str(state.get("stage", "")).lower() != state.get("stage", ""):
            raise MalformedError(f"stage: expected small letters, got {state['stage']}")
        for row in state.get("items", []):
            if not isinstance(row.get("net", 0), int):
                raise MalformedError(f"net: expected a whole number, got {row['net']}")
    return [Draft("d", "x", "2026-03-01T00:00:00Z", state)]


def given(*statements: Statement) -> tuple[dict[str, Any], list[Fault]]:
    (draft,), faults = translated(folded, statements)
    assert isinstance(draft, Draft)
    return draft.data, faults


def test_what_can_be_read_is_translated_at_once() -> None:
    assert given(said(1, amount=1), said(2, stage="won")) == ({"amount": 1, "stage": "won"}, [])


def test_a_bad_value_is_as_it_was_before_and_the_rest_of_its_statement_counts() -> None:
    data, faults = given(said(1, amount=1, stage="new"), said(2, amount="?", stage="won"))
    assert data == {"amount": 1, "stage": "won"}
    assert faults == [Fault("k2", "amount: expected a number, got ?", healed=False)]


def test_a_value_that_is_stated_anew_heals_the_record() -> None:
    data, faults = given(said(1, amount="?"), said(2, stage="won"), said(3, amount=Decimal(3)))
    assert data == {"amount": Decimal(3), "stage": "won"}
    assert faults == [Fault("k1", "amount: expected a number, got ?", healed=True)]
    assert [one.healed for one in given(said(1, amount="?"), said(2, amount="!"), said(3, stage="won"))[1]] == [
        False
    ] * 2


def test_several_bad_values_of_one_statement_are_found_one_after_another() -> None:
    data, faults = given(said(1, amount="?", stage="WON", owner="o", items=[{"net": 1}, {"net": "x", "sku": "s"}]))
    assert data == {"owner": "o", "items": [{"net": 1}, {"sku": "s"}]}
    assert [one.key for one in faults] == ["k1"] * 3


def test_what_no_value_explains_leaves_the_statement_out_whole() -> None:
    def translate(statements: Sequence[Statement]) -> list[Draft | Waiting]:
        if any(one.fields.get("a") == 1 for one in statements):
            raise MalformedError("it is not to be understood")
        return folded(statements)

    (draft,), faults = translated(translate, [said(1, b=1), said(2, a=1, b=2), said(3, c=3)])
    assert isinstance(draft, Draft)
    assert draft.data == {"b": 1, "c": 3}
    assert [(one.key, one.healed) for one in faults] == [("k2", False)]
    assert [one.healed for one in translated(translate, [said(1, a=1), said(2, a=2, b=2)])[1]] == [True]


def test_an_amount_without_its_currency_is_none_so_the_statement_is_left_out_whole() -> None:
    def translate(statements: Sequence[Statement]) -> list[Draft | Waiting]:
        if any(one.fields.get("code") == "XQX" for one in statements):
            raise MalformedError("currency of amount: expected an ISO 4217 code, got XQX")
        return folded(statements)

    (draft,), faults = translated(
        translate, [said(1, amount=1, code="EUR"), said(2, amount=9, code="XQX", stage="won")]
    )
    assert isinstance(draft, Draft)
    assert draft.data == {"amount": 1, "code": "EUR"}
    assert [(one.key, one.healed) for one in faults] == [("k2", False)]


def test_what_fails_only_together_is_found_too() -> None:
    def translate(statements: Sequence[Statement]) -> list[Draft | Waiting]:
        regions = [one.fields["region"] for one in statements if "region" in one.fields]
        if len(set(regions)) > 1:
            raise MalformedError(f"region: expected one, got {regions[-1]}")
        return folded(statements)

    (draft,), faults = translated(translate, [said(1, region="north"), said(2, region="south", amount=5)])
    assert isinstance(draft, Draft)
    assert draft.data == {"region": "north", "amount": 5}
    assert [one.key for one in faults] == ["k2"]


def test_an_event_that_is_not_valid_is_traced_to_the_value_that_it_has() -> None:
    def translate(statements: Sequence[Statement]) -> list[Draft | Waiting]:
        state = [state for _, state in states(statements)][-1]
        data = {"lead_id": "L", "campaign_id": state.get("campaign"), "channel": state.get("channel")}
        return [Draft("captured", "lead.captured", "2026-03-01T00:00:00Z", data)]

    long = "x" * 400
    (draft,), faults = translated(translate, [said(1, campaign=long, channel="ads"), said(2, channel="fair")])
    assert isinstance(draft, Draft)
    assert (draft.data["campaign_id"], draft.data["channel"]) == (None, "fair")
    assert [(one.key, one.healed) for one in faults] == [("k1", False)]
    assert translated(translate, [said(1, campaign=long), said(2, campaign="c")])[1] == []


def test_where_everything_fails_together_the_record_fails() -> None:
    def translate(statements: Sequence[Statement]) -> list[Draft | Waiting]:
        if len(statements) > 100:
            raise MalformedError("too much")
        return folded(statements)

    with pytest.raises(MalformedError, match="too much"):
        translated(translate, [said(1, **{f"f{n}": 1}) for n in range(101)])
