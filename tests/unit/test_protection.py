"""Rate limits, the vault, and what leads into fields: the small parts that protect."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.intake.limits import Buckets, retry_after
from service.intake.senders import fields
from service.intake.senders.contract import MalformedError, RejectedError, Statement, in_order
from service.intake.senders.signatures import check_any
from service.store.vault import MasterKeyError, Vault, new_key


def test_a_bucket_gives_a_burst_then_its_rate_and_tells_how_long_to_wait() -> None:
    buckets = Buckets()
    assert [buckets.take("a", 60, 0.0) for _ in range(10)] == [0.0] * 10
    assert buckets.take("a", 60, 0.0) == pytest.approx(1.0)
    assert buckets.take("b", 60, 0.0) == 0
    assert buckets.take("a", 60, 0.5) == pytest.approx(0.5)
    assert [buckets.take("a", 60, 2.0) for _ in range(2)] == [0.0, 0.0]
    assert buckets.take("a", 60, 2.0) > 0
    assert [buckets.take("slow", 1, 0.0), buckets.take("slow", 1, 0.0)] == [0.0, 60.0]
    assert retry_after(0.2) == {"Retry-After": "1"}
    assert retry_after(59.1) == {"Retry-After": "60"}


def test_the_vault_reads_with_any_of_its_keys_and_writes_with_the_first() -> None:
    old, new = new_key(), new_key()
    token = Vault(old).lock(b"secret")
    assert b"secret" not in token
    both = Vault(f"{new}, {old}")
    assert both.unlock(token) == b"secret"
    assert Vault(new).unlock(both.relock(token)) == b"secret"
    with pytest.raises(MasterKeyError, match="another master key"):
        Vault(new).unlock(token)
    with pytest.raises(MasterKeyError, match="is not set"):
        Vault(None).lock(b"x")
    with pytest.raises(MasterKeyError, match="32 bytes"):
        Vault("too short")


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        ("1234.5", "EUR", "1234.50"), (Decimal("1234.5600000001"), "eur", "1234.56"), (7, "JPY", "7"), ("1.005", "KWD", "1.005"),
        ("0.0000000000", "EUR", "0.00"), ("-3", "EUR", "-3.00"), ("1E+3", "EUR", "1000.00"), ("0.125", "EUR", "0.12"),
    ],
)  # fmt: skip
def test_money_is_exact_and_has_the_digits_of_its_currency(value: Any, currency: str, expected: str) -> None:
    assert fields.money(value, currency, "x") == {"amount": expected, "currency": currency.upper()}


@pytest.mark.parametrize("value", ["", None])
def test_money_that_is_not_stated_is_not_zero(value: Any) -> None:
    assert fields.money(value, "EUR", "x") is None


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("1,50", "EUR"),
        ("NaN", "EUR"),
        (True, "EUR"),
        ([], "EUR"),
        ("1", "XYZ"),
        ("1", None),
        ("1e30", "EUR"),
        ("9" * 17, "EUR"),
    ],
)
def test_money_that_is_none_is_refused_by_name(value: Any, currency: Any) -> None:
    with pytest.raises(MalformedError, match="total"):
        fields.money(value, currency, "total")


def test_times_of_a_site_are_read_in_its_zone() -> None:
    assert fields.instant("2026-07-01 12:00:00.500000", "t", "Europe/Berlin") == "2026-07-01T10:00:00.500000Z"
    assert fields.instant("2026-07-01T12:00:00+0200", "t") == "2026-07-01T10:00:00Z"
    assert fields.day("2026-06-30T23:30:00Z", "d", "Europe/Berlin") == "2026-07-01"
    assert fields.from_epoch(1_750_000_000_123, "t") == "2025-06-15T15:06:40.123000Z"
    for wrong in ("2026-02-30", "noon", 5, "9999-12-31T23:59:59-12:00"):
        with pytest.raises(MalformedError):
            fields.instant(wrong, "t", "Europe/Berlin")


def test_days_that_stand_for_none_state_none_and_others_lie_within_the_calendar_of_figures() -> None:
    for none in ("9999-12-31", "0001-01-01", "9999-12-31T00:00:00", None, ""):
        assert fields.day(none, "end") is None
    for wrong in ("9999-01-01", "1899-12-31", "2026-02-30"):
        with pytest.raises(MalformedError, match="end: expected a day from 1900-01-01 to 9998-12-31"):
            fields.day(wrong, "end")


def test_a_mapping_is_completed_and_what_is_wrong_in_it_is_named() -> None:
    defaults = {"stages": {"won": "opportunity.won"}, "fields": {"campaign": "campaign_id"}, "days": 3, "zone": None}
    given = {"stages": {"closed": "opportunity.won"}, "zone": "UTC"}
    assert fields.with_defaults(given, defaults, tables=("stages",)) == {**defaults, **given}
    for wrong, message in (
        ({"fields": {"campain": "x"}}, r"fields\.campain: .*did you mean campaign"), ({"days": "3"}, "days: expected a whole"),
        ({"days": True}, "days"), ({"zone": 1}, "zone: expected a text or nothing"),
        ({"stages": []}, "stages: expected an object"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            fields.with_defaults(wrong, defaults, tables=("stages",))


def test_statements_are_ordered_by_time_then_version_and_each_key_counts_once() -> None:
    def one(key: str, at: str, version: int, value: int = 0) -> Statement:
        return Statement("r", key, at, fields.padded(version), "v", {"value": value})

    early, late = one("a", "2026-01-01T00:00:00+01:00", 9), one("b", "2026-01-01T00:00:00Z", 2)
    later, again = one("c", "2026-01-01T00:00:00Z", 10), one("c", "2026-01-01T00:00:00Z", 10, 1)
    for several in ([later, again, late, early], [early, again, late, late, later]):
        assert in_order(several) == [early, late, again]


def test_a_signature_with_characters_beyond_ascii_is_only_wrong() -> None:
    with pytest.raises(RejectedError):
        check_any(["é☃"], ["abc"])
