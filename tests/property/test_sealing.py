"""What is sealed comes back as it came, leaves no trace where it is erased, and is nothing that a figure is made of."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.catalogue import CATALOGUE, GONE
from service.domain.events import CURRENT_VERSION, InvalidEventError, read_event
from service.domain.kinds import RULES
from service.intake.decoding import decode
from service.projections.engine.logged_facts import fact_of
from service.store import sealing
from service.store.log.stored_events import Stored
from service.store.people.reading import named, opened
from service.store.rows import Row, row_of, same_json
from tests.property.test_compiled import LIMITS, nearly_good_events

LEDGER = 7
HIDDEN = st.sampled_from(("secret-1", {"a": ["secret-2"]}, 1.50, None, {"fields": 1, "part": "x"}))
UNKNOWN = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("note", "full name", "anna@example.com", "sealed", "erased"), HIDDEN),
        "contact_id": st.sampled_from(("C9", "", 5)), "lead_ids": st.sampled_from((["L8", "L9"], [], ["L8", 1])),
    },
)  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    event = draw(nearly_good_events())
    if type(event.get("data")) is dict:
        event["data"] = {**draw(UNKNOWN), **event["data"]}
    if draw(st.booleans()):
        event["trace"] = "secret-3"
    return event


def stored(row: Row) -> Stored:
    return Stored(
        1, datetime(2026, 1, 1, tzinfo=UTC), row.micros, row.version, row.source, row.id, row.type, row.time, row.rest,
        row.subject, row.dataschema, row.data.decode(), row.extensions.decode() if row.extensions else None,
    )  # fmt: skip


def facts(row: Row) -> Any:
    """Return what figures are made of in what the engine keeps of a row: neither a title nor more members than are read."""
    if row.type not in RULES or row.version > CURRENT_VERSION:
        return None
    fact, kinds = fact_of(stored(row)), CATALOGUE[row.type].required | CATALOGUE[row.type].optional
    read = {
        name: {member: one[member] for member in kinds[name].members if member in one} if kinds[name].members else one
        for name, one in fact.data.items() if name != "name"
    }  # fmt: skip
    return fact._replace(data=read)


def test_what_is_sealed_comes_back_and_figures_are_made_of_what_is_open() -> None:
    sealed_ones = 0

    @settings(deadline=None, max_examples=600, suppress_health_check=list(HealthCheck))
    @given(events())
    def run(event: dict[str, Any]) -> None:
        nonlocal sealed_ones
        try:
            row = row_of(read_event(decode(json.dumps(event).encode(), LIMITS)))
        except InvalidEventError:
            return
        found = sealing.divided(row)
        if found is None:
            return
        sealed_ones += 1
        keys: dict[str, bytes | None] = {one: one.encode().ljust(32, b"k")[:32] for one in found[0]}
        gone = {**keys, found[0][-1]: None}
        sealed, erased = sealing.sealed(row, LEDGER, found, keys), sealing.sealed(row, LEDGER, found, gone)
        assert named([stored(sealed)]) == named([stored(row)]) == set(found[0])
        assert facts(sealed) == facts(erased) == facts(row)

        back = opened(stored(sealed), LEDGER, keys)
        assert same_json(back.data.encode(), row.data)
        assert (back.subject, json.loads(back.extensions or "{}")) == (row.subject, json.loads(row.extensions or b"{}"))
        assert opened(stored(row), LEDGER, keys) == stored(row), "what an earlier release has stored is as it was"

        again = sealing.sealed(row, LEDGER, found, keys)
        assert sealing.same(again, LEDGER, sealed.subject, sealed.data)
        assert sealing.same(again, LEDGER, row.subject, row.data)
        assert sealing.same(erased, LEDGER, sealed.subject, sealed.data), "what is open tells a repeat"

        for one in (
            opened(stored(sealed), LEDGER, gone),
            opened(stored(row), LEDGER, gone),
            stored(erased),
            stored(sealed),
        ):
            text = f"{one.data} {one.subject} {one.extensions}"
            assert "secret-" not in text
            assert "anna@" not in text
        left = json.loads(opened(stored(sealed), LEDGER, gone).extensions or "{}")
        assert left == GONE

    run()
    assert sealed_ones > 100


def test_a_part_reads_in_its_own_event_only() -> None:
    event = {
        "specversion": "1.0", "id": "1", "source": "/s", "type": "lead.captured", "time": "2026-01-01T00:00:00Z",
        "data": {"lead_id": "L", "note": "secret"},
    }  # fmt: skip
    row = row_of(read_event(event))
    found = sealing.divided(row)
    assert found is not None
    keys: dict[str, bytes | None] = {"lead:L": bytes(32)}
    sealed = stored(sealing.sealed(row, LEDGER, found, keys))
    assert "secret" in opened(sealed, LEDGER, keys).data
    for other in (sealed._replace(id="2"), sealed._replace(source="/t")):
        assert json.loads(opened(other, LEDGER, keys).data)["note"] == GONE
    assert json.loads(opened(sealed, LEDGER + 1, keys).data)["note"] == GONE
