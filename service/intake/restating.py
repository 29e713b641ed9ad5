"""Later statements of an import: where a row says otherwise than it did before, what it says now is what counts.

An event is never changed. What was said before is taken back with `event.voided`, and what is said now comes under the same
id with ~1, ~2 … behind it, as the senders do. So a figure that is told anew counts once, and both statements stay in the log.
What a row no longer says – its condition does not hold any more – is only taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import asyncpg
import msgspec
from msgspec import structs

from service.intake.acceptance import Result, read_item
from service.intake.decoding import Limits
from service.store import imports, sealing
from service.store.log import by_identity
from service.store.log.stored_events import Stored as Recorded
from service.store.people.keys import Subjects
from service.store.rows import encode_json

RESTATED, TAKEN_BACK = "restated", "taken back"
_VOID = "void/"  # begins the id of the event that takes another one back


class Taking(Protocol):
    """What takes events in, or says what would become of them."""

    limits: Limits
    subjects: Subjects

    async def take(self, ledger: int, raws: Sequence[bytes]) -> list[Result]:
        """Take JSON items; one result each, in order."""


class _Change(NamedTuple):
    at: int
    before: str  # the id of what counted until now, and where it stands
    position: int | None
    event: dict[str, Any]


class Stated(NamedTuple):
    """An event, what became of it at first, and whether its other content is a later statement."""

    raw: bytes
    result: Result
    restates: bool


async def restate(pool: asyncpg.Pool, intake: Taking, ledger: int, stated: Sequence[Stated]) -> list[Result]:
    """Return what became of events in the end.

    A conflict becomes `restated`, with the position of the new event, or a duplicate of the last statement. What does not
    restate stays a conflict, unless it is what was last said.
    """
    answers = [one.result for one in stated]
    asked = [
        index for index, one in enumerate(stated)
        if one.result.status == "conflict" or (one.restates and one.result.status == "duplicate")
    ]  # fmt: skip
    if not asked:
        return answers
    identities = [(str(answers[index].source), str(answers[index].id)) for index in asked]
    found = await imports.last_issues(pool, ledger, identities)
    void = await _void_ids(pool, ledger, [(last.source, last.id) for last in found.values()] + identities)
    changes: list[_Change] = []
    for number, index in enumerate(asked):
        last, result, (source, identity) = found.get(number), answers[index], identities[number]
        before, position = (last.id, last.position) if last else (identity, result.position)
        same = await _same(intake, ledger, stated[index].raw, last) if last else result.status == "duplicate"
        if same and not (stated[index].restates and (source, before) in void):
            answers[index] = Result(source, identity, "duplicate", position, None)
        elif stated[index].restates:
            changes.append(_Change(index, before, position, _next(stated[index].raw, identity, before)))
    taken = await intake.take(ledger, [encode_json(change.event) for change in changes]) if changes else []
    for change, one in zip(changes, taken, strict=True):
        status, problem = (RESTATED, _restated(change)) if one.status == "accepted" else (one.status, one.problem)
        answers[change.at] = Result(one.source, answers[change.at].id, status, one.position, problem)
    replaced = [(change.event["source"], change.before) for change in changes if answers[change.at].status == RESTATED]
    # An import that ended between an event and the void of the one before it has left both: the void is made good.
    halves = [(last.source, _before(last.id)) for number, last in found.items() if stated[asked[number]].restates]
    await _void(pool, intake, ledger, replaced + halves, "a later import states it otherwise")
    return answers


async def take_back(
    pool: asyncpg.Pool, intake: Taking, ledger: int, identities: Sequence[tuple[str, str]]
) -> dict[int, Result]:
    """Take back what was said under (source, id) pairs; results by their index, of those that had said something."""
    if not identities:
        return {}
    first = {(one.source, one.id): one for one in await by_identity.read_identities(pool, ledger, identities)}
    last = await imports.last_issues(pool, ledger, identities)
    said = [(index, last.get(index) or first.get(identity)) for index, identity in enumerate(identities)]
    standing = {index: one for index, one in said if one is not None}
    void = await _void_ids(pool, ledger, [(one.source, one.id) for one in standing.values()])
    due = {index: one for index, one in standing.items() if (one.source, one.id) not in void}
    await _void(
        pool, intake, ledger, [(one.source, one.id) for one in due.values()], "a later import says it no longer"
    )
    return {
        index: Result(
            *identities[index], TAKEN_BACK, one.position,
            {"detail": f"the event at position {one.position} is said no longer and was taken back"},
        )
        for index, one in due.items()
    }  # fmt: skip


def _restated(change: _Change) -> dict[str, str]:
    """Say what was restated, as a problem does, though it is none."""
    where = "what came earlier" if change.position is None else f"the event at position {change.position}"
    return {"detail": f"says otherwise than {where} and counts in its place, as {change.event['id']}"}


def _before(identity: str) -> str:
    base, _, number = identity.rpartition("~")
    return base if number == "1" else f"{base}~{int(number) - 1}"


async def _void_ids(pool: asyncpg.Pool, ledger: int, identities: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of (source, id) pairs that an import has voided; what somebody else voided is no business of ours."""
    names = [(source, f"{_VOID}{identity}") for source, identity in identities]
    found = await by_identity.read_identities(pool, ledger, names)
    return {(one.source, one.id.removeprefix(_VOID)) for one in found}


async def _void(
    pool: asyncpg.Pool, intake: Taking, ledger: int, identities: Sequence[tuple[str, str]], reason: str
) -> None:
    """Void events, where they are not void yet: voids have ids of their own, so that one is enough."""
    void = await _void_ids(pool, ledger, identities)
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    due = [
        encode_json({
            "specversion": "1.0", "id": f"{_VOID}{identity}", "source": source, "type": "event.voided", "time": now,
            "datacontenttype": "application/json", "data": {"source": source, "id": identity, "reason": reason},
        })
        for source, identity in dict.fromkeys(identities) if (source, identity) not in void
    ]  # fmt: skip
    if due:
        await intake.take(ledger, due)


def _next(raw: bytes, identity: str, before: str) -> dict[str, Any]:
    number = 0 if before == identity else int(before.rpartition("~")[2])
    return {**msgspec.json.decode(raw), "id": f"{identity}~{number + 1}"}


async def _same(intake: Taking, ledger: int, raw: bytes, stored: Recorded) -> bool:
    row = structs.replace(read_item(raw, intake.limits), id=stored.id)
    (row,) = await intake.subjects.sealed(ledger, [row])
    same = (row.type, row.micros, row.rest) == (stored.type, stored.micros, stored.rest)
    return same and sealing.same(row, ledger, stored.subject, stored.data.encode())
