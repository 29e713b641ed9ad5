"""What can be asked about a person: to be told all that is stored, and to have it forgotten (GDPR, articles 15 and 17)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from service.domain import personal
from service.intake.acceptance import Intake
from service.store.log.stored_events import Stored
from service.store.people import copies, erasures
from service.store.rows import encode_json

SOURCE = "/erasures"  # of the events that are made here


class Found(NamedTuple):
    """What is stored of a person: every id that they go by, the leads that name them as their contact, and all events."""

    names: list[str]
    leads: list[str]
    events: list[Stored]
    erased: bool


async def found(pool: asyncpg.Pool, intake: Intake, ledger: int, subject: str) -> Found:
    """Return what is stored of a person; the whole log is looked through."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        names = await erasures.same_person(connection, ledger, personal.names_of(subject))
        events = await copies.events_of(connection, ledger, names)
        keys = await intake.subjects.for_reading(connection, ledger, names)
        opened = await intake.subjects.opened(connection, ledger, events)
    return Found(names, leads_of(names, events), opened, any(keys.get(one, b"") is None for one in names))


def leads_of(names: Sequence[str], events: Sequence[Stored]) -> list[str]:
    """Return the leads that say that a person is their contact."""
    leads: set[str] = set()
    for event in events:
        if event.type == "lead.captured":
            people = personal.persons(event.type, msgspec.json.decode(event.data))
            if any(one.startswith("contact:") and one in names for one in people):
                leads.update(one.partition(":")[2] for one in people if one.startswith("lead:") and one not in names)
    return sorted(leads)


async def forget(
    pool: asyncpg.Pool, intake: Intake, ledger: int, subject: str, legal_basis: str | None = None, *, leads: bool = True
) -> list[int]:  # fmt: skip
    """Have a person forgotten, with the leads whose contact they are; return the positions of the events that say so."""
    subjects = [subject]
    if leads:
        subjects += (await found(pool, intake, ledger, subject)).leads
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    basis = {} if legal_basis is None else {"legal_basis": legal_basis}
    events: list[dict[str, Any]] = [
        {
            "specversion": "1.0", "id": str(uuid.uuid4()), "source": SOURCE, "type": personal.ERASED, "time": now,
            "datacontenttype": "application/json", "data": {"subject_id": one, **basis},
        }
        for one in subjects
    ]  # fmt: skip
    results = await intake.take(ledger, [encode_json(event) for event in events])
    if refused := next((one.problem for one in results if one.problem), None):
        raise ValueError(refused["detail"])
    return [one.position for one in results if one.position is not None]
