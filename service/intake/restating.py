"""Later statements of an import: where a row says otherwise than it did before, what it says now is what counts.

An event is never changed. What was said before is taken back with `event.voided`, and what is said now comes under the same
id with ~1, ~2 … behind it, as the senders do. So a figure that is told anew counts once, and both statements stay in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import asyncpg
import msgspec

from service.intake.acceptance import Result, read_item
from service.intake.decoding import Limits
from service.store import imports, log
from service.store.log import Stored as Recorded
from service.store.rows import Row, encode_json, same_json

RESTATED = "restated"
_ANYWHERE = 2**62


class Taking(Protocol):
    """What takes events in, or says what would become of them."""

    limits: Limits

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
    results = [one.result for one in stated]
    asked = [
        index for index, one in enumerate(stated)
        if one.result.status == "conflict" or (one.restates and one.result.status == "duplicate")
    ]  # fmt: skip
    if not asked:
        return results
    identities = [(str(results[index].source), str(results[index].id)) for index in asked]
    found = await imports.last_issues(pool, ledger, identities)
    last = {asked[number]: one for number, one in found.items()}
    answers = list(results)
    changes: list[_Change] = []
    for index in asked:
        before, result = last.get(index), results[index]
        if (
            result.status == "duplicate"
            if before is None
            else _same(read_item(stated[index].raw, intake.limits), before)
        ):
            position = result.position if before is None else before.position
            answers[index] = Result(result.source, result.id, "duplicate", position, None)
        elif stated[index].restates:
            identity, position = (before.id, before.position) if before else (str(result.id), result.position)
            changes.append(_Change(index, identity, position, _next(stated[index].raw, str(result.id), identity)))
    taken = await intake.take(ledger, [encode_json(change.event) for change in changes]) if changes else []
    for change, one in zip(changes, taken, strict=True):
        status = RESTATED if one.status == "accepted" else one.status
        problem = _restated(change) if status == RESTATED else one.problem
        answers[change.at] = Result(one.source, results[change.at].id, status, one.position, problem)
    due = [
        (change.event["source"], change.before)
        for change, one in zip(changes, taken, strict=True)
        if one.problem is None
    ]
    restated = {index: one for index, one in last.items() if stated[index].restates}
    await _take_back(pool, intake, ledger, due + _halves(restated))
    return answers


def _restated(change: _Change) -> dict[str, str]:
    """Say what was restated, as a problem does, though it is none."""
    where = "what came earlier" if change.position is None else f"the event at position {change.position}"
    return {"detail": f"says otherwise than {where} and counts in its place, as {change.event['id']}"}


def _halves(last: dict[int, Recorded]) -> list[tuple[str, str]]:
    """Return what the last statements took the place of: an import that ended between the two has not voided it yet."""
    return [(stored.source, _before(stored.id)) for stored in last.values()]


def _before(identity: str) -> str:
    base, _, number = identity.rpartition("~")
    return base if number == "1" else f"{base}~{int(number) - 1}"


async def _take_back(pool: asyncpg.Pool, intake: Taking, ledger: int, replaced: Sequence[tuple[str, str]]) -> None:
    """Void what was replaced, where it is not void yet: voids have ids of their own, so that one is enough."""
    voids = {(source, f"void/{identity}"): identity for source, identity in replaced}
    there = {(one.source, one.id) for one in await log.read_identities(pool, ledger, list(voids), _ANYWHERE)}
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    due = [
        _void(source, name, identity, now) for (source, name), identity in voids.items() if (source, name) not in there
    ]
    if due:
        await intake.take(ledger, due)


def _void(source: str, name: str, identity: str, now: str) -> bytes:
    return encode_json({
        "specversion": "1.0", "id": name, "source": source, "type": "event.voided", "time": now,
        "datacontenttype": "application/json",
        "data": {"source": source, "id": identity, "reason": "a later import states it otherwise"},
    })  # fmt: skip


def _next(raw: bytes, identity: str, before: str) -> dict[str, Any]:
    number = 0 if before == identity else int(before.rpartition("~")[2])
    return {**msgspec.json.decode(raw), "id": f"{identity}~{number + 1}"}


def _same(row: Row, stored: Recorded) -> bool:
    one = (row.type, row.micros, row.rest, row.subject)
    return one == (stored.type, stored.micros, stored.rest, stored.subject) and same_json(
        row.data, stored.data.encode()
    )
