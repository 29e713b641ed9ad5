"""Reconciling what a record gives now with what it gave before (pure).

The same event again is nothing to do. A changed one takes the old one back with `event.voided` and is given under a new
id; one that no longer comes out is taken back. So translating again – after a late message, or a changed mapping – leaves
in the log exactly what the statements say, and nothing that was once true for them is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from service.domain import personal
from service.domain.catalogue import CATALOGUE
from service.domain.events import Event, InvalidEventError, read_event
from service.domain.fields import MAX_ID
from service.domain.personal import Parts
from service.intake.senders.contract import Draft
from service.store.drafts import Issued
from service.store.rows import encode_json, fingerprint_of, open_fingerprint

_LONGEST_KEY = 300  # it is indexed
_LONGEST = MAX_ID - 20  # room for what marks voids and new issues


class Plan(NamedTuple):
    """What has to be written: new events, voids as (key, issue, event), and what is wrong with drafts."""

    new: list[Issued]
    voids: list[tuple[str, int, str]]
    problems: list[str]


def reconcile(
    source: str, record: str, issued: Sequence[Issued], drafts: Sequence[Draft], now: str, *, certain: bool = True
) -> Plan:
    """Plan the way from what a record gave (`issued`, in the order of issue) to what it gives (`drafts`).

    `source` is the name of the source, `now` the RFC 3339 time that voids carry. Where something of the record cannot be
    read, it is not `certain`: then what no longer comes out stays, so that nothing is taken back because of a fault.
    """
    plan = Plan([], [], [])
    latest = {one.key: one for one in issued}
    said: set[str] = set()
    for draft in drafts:
        before = latest.get(draft.key)
        if draft.key in said:
            plan.problems.append(f"{record} gives {draft.key} twice: this is a fault of the kind of sender")
            continue
        if not 0 < len(draft.key) <= _LONGEST_KEY or "\x00" in draft.key:
            plan.problems.append(f"{draft.type} of {record}: expected a key of 1 to {_LONGEST_KEY} characters")
            continue
        said.add(draft.key)
        event = _event(source, record, draft, before.issue + 1 if before else 0)
        try:
            read = read_event(event)
            fingerprint = fingerprint_of(read)
        except InvalidEventError as error:
            plan.problems.append(f"{draft.type} of {record}: {error}")
            continue
        if before is not None and before.void is None and before.fingerprint in {fingerprint, _open_fingerprint(read)}:
            continue
        if before is not None and draft.id is not None:
            plan.problems.append(
                f"{draft.type} {draft.id} of {draft.source} came before with other content, or was taken back"
            )
            continue
        plan.new.append(
            Issued(record, draft.key, before.issue + 1 if before else 0, fingerprint, encode_json(event).decode())
        )
        if before is not None and before.void is None:
            plan.voids.append((draft.key, before.issue, _void(source, before, now, "the sender has corrected it")))
    for before in latest.values() if certain else ():
        if before.key not in said and before.void is None:
            reason = "the sender no longer states it, or it is mapped differently"
            plan.voids.append((before.key, before.issue, _void(source, before, now, reason)))
    return plan


def _open_fingerprint(event: Event) -> bytes:
    """Return the fingerprint that is left of what is said of somebody who is erased."""
    shown, _ = personal.divide(event.type, Parts(event.data, event.subject, event.extensions))
    return open_fingerprint(event.type, event.time, shown)


def source_uri(name: str) -> str:
    """Return the `source` of the events that a source of this name gives."""
    return f"/sources/{name}"


def event_id(record: str, key: str, issue: int = 0) -> str:
    """Return the id of an event; what is too long keeps its beginning and ends in a hash."""
    whole = f"{record}/{key}"
    if len(whole) > _LONGEST:
        whole = f"{whole[:100]}…{hashlib.sha256(whole.encode()).hexdigest()}"
    return f"{whole}~{issue}" if issue else whole


def _event(source: str, record: str, draft: Draft, issue: int) -> dict[str, object]:
    identity = draft.id if draft.id is not None else event_id(record, draft.key, issue)
    nullable = CATALOGUE[draft.type].nullable if draft.type in CATALOGUE else ()
    return {
        **draft.extensions,
        "specversion": "1.0",
        "id": identity,
        "source": draft.source if draft.source is not None else source_uri(source),
        "type": draft.type,
        "time": draft.time,
        **({} if draft.subject is None else {"subject": draft.subject}),
        "datacontenttype": "application/json",
        "data": {name: value for name, value in draft.data.items() if value is not None or name in nullable},
    }


def _void(source: str, before: Issued, now: str, reason: str) -> str:
    event = msgspec.json.decode(before.event)
    void = {
        "specversion": "1.0",
        "id": f"void/{event_id(before.record, before.key, before.issue)}",
        "source": source_uri(source),
        "type": "event.voided",
        "time": now,
        "datacontenttype": "application/json",
        "data": {"source": event["source"], "id": event["id"], "reason": reason},
    }
    return encode_json(void).decode()


def events_of(source: str, record: str, drafts: Sequence[Draft]) -> list[dict[str, Any]]:
    """Return the events of a record that has given nothing yet: what `hooks translate` shows."""
    return [_event(source, record, one, 0) for one in drafts]
