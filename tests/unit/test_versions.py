"""Every version of every payload that was ever written can be read: walked one by one, with an example of each.

Whoever gives a type a new version adds it to `NEWEST_VERSION`, an upcaster from the one before to `UPCASTERS`, and an example
of the old one here: without it, a test fails.
"""

from __future__ import annotations

from typing import Any

import pytest

from service.domain import events
from service.domain.catalogue import CATALOGUE, check_data
from service.domain.events import (
    CURRENT_VERSION,
    NEWEST_VERSION,
    UPCASTERS,
    InvalidEventError,
    newest_version,
    read_event,
)
from service.domain.facts import Fact
from service.domain.kinds import KIND_OF, REGISTERS, RULES, keys_of, read_fact
from service.store.rows import REMEMBERED, row_of
from tests.support.sending import money

# Data as it was written in versions that are not the newest any more, by type and version.
OLD: dict[tuple[str, int], dict[str, Any]] = {}
_VALUES: dict[str, Any] = {
    "amount": money("12.50"), "net_value": money("12.50"), "net_amount": money("12.50"), "estimated_value": money("12.50"),
    "cost_date": "2026-03-01", "posting_date": "2026-03-01", "rate_date": "2026-03-01", "base": "USD", "quote": "EUR",
    "rate": "0.92", "count": 3, "duration_s": 60, "outcome": "answered", "score": 4, "granted": True, "within_hours": 24,
    "definition": {"kind": "linear"}, "version": 1, "activity": "demo",
    "measure": "leads", "period": "2026", "from_event": "lead.captured",
    "to_event": "lead.followed_up",
}  # fmt: skip


_OWN: dict[str, dict[str, Any]] = {"target.set": {"value": 12}}


def example(event_type: str, version: int) -> dict[str, Any]:
    """Return data as a version has it; of the newest, what is required of it."""
    if version < newest_version(event_type):
        return OLD[(event_type, version)]
    entry = CATALOGUE[event_type]
    values = _VALUES | _OWN.get(event_type, {})
    return {name: values.get(name, f"{name} 1") for name in (*entry.required, *entry.any_of[:1])}


def sent(event_type: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    envelope = {"specversion": "1.0", "id": "1", "source": "/s", "type": event_type, "time": "2026-03-01T00:00:00Z"}
    return {**envelope, "dataschema": f"https://example.org/{event_type}/v{version}", "data": data}


def walk(event_type: str) -> list[Fact]:
    """Take an event of each version in, store it and read it back; return the facts of the projected."""
    facts = []
    for version in range(1, newest_version(event_type) + 1):
        event = read_event(sent(event_type, version, example(event_type, version)))
        row = row_of(event)
        assert (event.version, row.version) == (version, version)
        lifted = events.upcast(event_type, version, event.data)
        assert list(check_data(event_type, lifted)) == []
        if event_type in RULES:
            facts.append(read_fact(0, "", "/s", "1", event_type, lifted))
            assert keys_of(facts[-1]) or KIND_OF[event_type] in REGISTERS
    return facts


@pytest.mark.parametrize("event_type", CATALOGUE)
def test_every_version_ever_written_is_taken_and_read_as_the_newest(event_type: str) -> None:
    walk(event_type)


def test_every_version_but_the_newest_has_an_upcaster_and_nothing_else_has() -> None:
    old = {(name, version) for name, newest in NEWEST_VERSION.items() for version in range(CURRENT_VERSION, newest)}
    assert set(UPCASTERS) == old
    assert set(OLD) == old
    assert NEWEST_VERSION.keys() <= CATALOGUE.keys()


def test_an_old_version_is_lifted_step_by_step_and_counts_as_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    def named_parts(data: dict[str, Any]) -> dict[str, Any]:
        """Version 1 had one field for amount and currency, as in "12.50 EUR"."""
        amount, currency = data["amount"].split(" ")
        return {**data, "amount": {"amount": amount, "currency": currency}}

    def dated(data: dict[str, Any]) -> dict[str, Any]:
        """Version 2 called the date of a cost its day."""
        return {**{name: value for name, value in data.items() if name != "day"}, "cost_date": data["day"]}

    kind = "campaign.cost_booked"
    base = {"cost_entry_id": "C", "campaign_id": "c", "day": "2026-03-01"}
    monkeypatch.setitem(NEWEST_VERSION, kind, 3)
    monkeypatch.setitem(OLD, (kind, 1), {**base, "amount": "12.50 EUR"})
    monkeypatch.setitem(OLD, (kind, 2), {**base, "amount": money("12.50")})
    with pytest.raises(InvalidEventError, match="cost_date"):  # nobody can forget the upcasters
        walk(kind)
    monkeypatch.setitem(UPCASTERS, (kind, 1), named_parts)
    monkeypatch.setitem(UPCASTERS, (kind, 2), dated)
    first, second, third = walk(kind)
    assert first == second
    assert first.data == {"cost_entry_id": "C", "campaign_id": "c", "amount": money("12.50"), "cost_date": "2026-03-01"}
    assert third.data.keys() == first.data.keys()
    with pytest.raises(InvalidEventError, match="data of version 1"):
        read_event(sent(kind, 1, {**base, "amount": 12.5}))
    monkeypatch.delitem(OLD, (kind, 2))
    with pytest.raises(KeyError):
        walk(kind)


@pytest.mark.parametrize("event_type", CATALOGUE)
def test_a_newer_version_is_taken_whatever_it_looks_like(event_type: str) -> None:
    for data in ({}, {name: ["?"] for name in CATALOGUE[event_type].required}):
        event = read_event(sent(event_type, newest_version(event_type) + 1, data))
        assert row_of(event).entity == REMEMBERED.get(event_type)
        with pytest.raises(events.NewerVersionError, match="is newer than"):
            events.upcast(event_type, event.version, event.data)
