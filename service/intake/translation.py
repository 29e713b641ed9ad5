"""Translating records: what deliveries state is written down, each record translated anew, planned, and appended.

    lock the records → restate → translate → reconcile → plan → commit → append what is planned → note the positions

A crash between plan and append repeats exactly what was planned: events and their ids are written down first, and appending
them again is a duplicate. Two processes that append the same plan do no harm for the same reason.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import asyncpg
import msgspec

from service.domain.calendar import Instant, parse_instant
from service.domain.catalogue import CATALOGUE
from service.intake import healing
from service.intake.acceptance import Intake
from service.intake.healing import Fault
from service.intake.hooks import Hook
from service.intake.reading import Reading, as_statement, fault
from service.intake.reconcile import Plan, reconcile
from service.intake.senders.contract import Draft, MalformedError, Waiting, in_order, no_lookups
from service.store import drafts, inbox_work, records, statements
from service.store.database import Connection
from service.store.drafts import Issued
from service.store.records import Noted
from service.store.statements import Stated

T = TypeVar("T", Stated, Issued)
EVERYONE = ""  # stands for the keys of all statements of a record


class Outcome(NamedTuple):
    """What became of one record."""

    changed: bool  # whether an event or a void follows: planned now, or appended now after a crash
    gives: bool  # whether it has given any event
    waiting: list[str]
    problems: list[str]
    faults: Sequence[Fault] = ()  # values that cannot be read, by the statements that have them
    amounts: Sequence[Mapping[str, str]] = ()  # the money that waits
    lookups: Sequence[str] = ()  # the records that it was translated with
    unsaid: Sequence[str] = ()  # why it gives no event, and what would make it


class Refused(NamedTuple):
    """An event that the log did not take, and why."""

    issued: Issued
    reason: str


class _Event(NamedTuple):
    """What an event is about, and when."""

    type: str
    entity: object
    at: Instant


class _Translated(NamedTuple):
    """What the statements of a record give: drafts, what it waits for, what is wrong with it, what cannot be read in it."""

    drafts: Sequence[Draft] = ()
    waiting: Sequence[Waiting] = ()
    problems: Sequence[str] = ()
    faults: Sequence[Fault] = ()
    unsaid: Sequence[str] = ()


class Translation:
    """Translates records of sources into one database's ledgers."""

    def __init__(self, pool: asyncpg.Pool, intake: Intake) -> None:
        self._pool = pool
        self._intake = intake

    async def run(
        self, hook: Hook, readings: Mapping[int, Reading], more: Collection[str] = (), discarded: Collection[str] = ()
    ) -> tuple[dict[str, Outcome], set[int]]:
        """Translate the records that deliveries speak of, and `more`; also return the deliveries that said something first.

        Of `discarded` records a person has taken out what was stated: what they give no longer is taken back for certain.
        """
        ledger, source = hook.stored.ledger, hook.stored.source
        # A delivery that cannot be read (now) leaves standing what it stated when it could.
        good = {number: reading for number, reading in readings.items() if reading.stated or not reading.problems}
        async with self._pool.acquire() as connection, connection.transaction():
            spoken_of = {one.record for one in await statements.of_deliveries(connection, ledger, good)}
            spoken_of |= {one.record for reading in good.values() for one in reading.stated}
            touched = spoken_of | set(more)
            if not touched:
                return {}, set()
            await records.lock(connection, ledger, source, touched)
            first = _first(good, await statements.of_records(connection, ledger, source, touched))
            await statements.restate(connection, ledger, source, good, (s for one in good.values() for s in one.stated))
            outcomes, known = await _plan(connection, hook, touched, discarded)
        if hook.kind.lookups is not no_lookups:
            await self._look_again(hook, spoken_of, outcomes, known)
        appended, refused = await self._append(hook, touched)
        outcomes = {name: one._replace(changed=one.changed or name in appended) for name, one in outcomes.items()}
        return {**outcomes, **await self._refused(hook, outcomes, refused)}, first

    async def _look_again(
        self, hook: Hook, names: Collection[str], outcomes: Mapping[str, Outcome], known: Collection[Stated]
    ) -> None:
        """Have records translated again that were translated with others of which more is known by now.

        `names` are those that were spoken of: one that is only translated again wakes nobody, so that two that look each
        other up come to rest. After the transaction has ended, on both sides: of two that work at the same time, whoever
        ends last sees the other.
        """
        ledger, source = hook.stored.ledger, hook.stored.source
        if names:
            await records.wake(self._pool, ledger, source, names)
        looked_up = {other for one in outcomes.values() for other in one.lookups}
        if looked_up:
            async with self._pool.acquire() as connection:
                now = {one[:4] for one in await statements.of_records(connection, ledger, source, looked_up)}
            changed = {one[0] for one in now ^ {one[:4] for one in known}}
            late = [name for name, one in outcomes.items() if changed & set(one.lookups)]
            if late:
                await records.due(self._pool, ledger, source, late)

    async def _refused(
        self, hook: Hook, outcomes: Mapping[str, Outcome], refused: Mapping[str, list[Refused]]
    ) -> dict[str, Outcome]:
        """Note what the log has refused of records, and return their outcomes with it."""
        if not refused:
            return {}
        ledger, source = hook.stored.ledger, hook.stored.source
        async with self._pool.acquire() as connection:
            issued = _by_record(await drafts.of_records(connection, ledger, source, refused))
            stated = _by_record(await statements.of_records(connection, ledger, source, refused))
            found = {
                name: outcomes[name]._replace(
                    faults=[*outcomes[name].faults, *_refusals(several, issued[name], stated.get(name, []))]
                )
                for name, several in refused.items()
            }
            await records.note(connection, ledger, source, [_noted(name, one) for name, one in found.items()])
        return found

    async def _append(self, hook: Hook, names: Collection[str]) -> tuple[set[str], dict[str, list[Refused]]]:
        """Append what is planned for records, now or before a crash; return which it concerns, and what the log refused."""
        ledger, source = hook.stored.ledger, hook.stored.source
        appended: set[str] = set()
        refused: dict[str, list[Refused]] = defaultdict(list)
        tried: set[tuple[str, str, int, bool]] = set()
        while waiting := _to_append(await drafts.of_records(self._pool, ledger, source, names), tried):
            raws = [(one.void or "" if void else one.event).encode() for one, void in waiting]
            done = []
            for (one, void), result in zip(waiting, await self._intake.append(ledger, raws), strict=True):
                problem = result.problem["detail"] if result.problem else None
                done.append((one.record, one.key, one.issue, void, None if problem else result.position, problem))
                if problem:
                    refused[one.record].append(Refused(one, f"{result.source} {result.id}: {problem}"))
                else:
                    appended.add(one.record)
            await drafts.appended(self._pool, ledger, source, done)
            tried |= {one[:4] for one in done}
        return appended, refused


def _refusals(refused: Iterable[Refused], issued: Sequence[Issued], stated: Sequence[Stated]) -> list[Fault]:
    """Return what the log refused as faults of the statements of its moment, or of all if there are none.

    A later event of the same sort about the same thing, which the log has taken, heals it.
    """
    faults = []
    for one, reason in refused:
        event = _event_of(one)
        later = (_event_of(other) for other in issued if other.stands and other.position is not None)
        healed = any(other[:2] == event[:2] and other.at > event.at for other in later)
        keys = [each.key for each in stated if parse_instant(each.at) == event.at]
        faults += [Fault(key, reason, healed) for key in keys or [EVERYONE]]
    return faults


def _event_of(one: Issued) -> _Event:
    event = msgspec.json.decode(one.event)
    named = next(iter(CATALOGUE[event["type"]].required), "") if event["type"] in CATALOGUE else ""
    return _Event(event["type"], event["data"].get(named), parse_instant(event["time"]))


def _to_append(
    issued: Iterable[Issued], tried: Collection[tuple[str, str, int, bool]]
) -> list[tuple[Issued, bool]]:  # fmt: skip
    """Return what the log lacks, as (issue, is it the void?): an event before its void, and that before the next issue."""
    return [
        (one, void)
        for one in issued
        for void in (False, True)
        if (one.to_void if void else one.to_append) and (one.record, one.key, one.issue, void) not in tried
    ]


async def _plan(
    connection: Connection, hook: Hook, names: Collection[str], discarded: Collection[str]
) -> tuple[dict[str, Outcome], list[Stated]]:
    """Translate records, and write down which events and voids follow; also return what was known of those looked up."""
    ledger, source = hook.stored.ledger, hook.stored.source
    stated = _by_record(await statements.of_records(connection, ledger, source, names))
    issued = _by_record(await drafts.of_records(connection, ledger, source, names))
    lookups = {name: _lookups(hook, name, stated.get(name, [])) for name in names}
    looked_up = {other for several in lookups.values() for other in several}
    others = await statements.of_records(connection, ledger, source, looked_up) if looked_up else []
    known = {name: in_order(map(as_statement, several)) for name, several in _by_record(others).items()}
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    outcomes: dict[str, Outcome] = {}
    new: list[Issued] = []
    voids: list[tuple[str, str, int, str]] = []
    for name in sorted(names):
        await asyncio.sleep(0)  # whoever posts meanwhile gets a turn
        mine = {other: known[other] for other in lookups[name] if other in known}
        found = _translated(hook._replace(source=hook.source._replace(known=mine)), name, stated.get(name, []))
        before = issued.get(name, [])
        certain = name in discarded or all(one.healed for one in found.faults)
        # A record that cannot be translated keeps what it gave: nothing is taken back because of a fault.
        plan = (
            Plan([], [], [])
            if found.problems
            else reconcile(hook.stored.name, name, before, found.drafts, now, certain=certain)
        )
        new += plan.new
        voids += [(name, *one) for one in plan.voids]
        outcomes[name] = Outcome(
            changed=bool(plan.new or plan.voids), gives=any(one.stands for one in before) or bool(plan.new),
            waiting=[f"{name}: {one.reason}" for one in found.waiting], problems=[*found.problems, *plan.problems],
            faults=found.faults, amounts=[one.amount for one in found.waiting if one.amount], lookups=lookups[name],
            unsaid=found.unsaid,
        )  # fmt: skip
    await drafts.plan(connection, ledger, source, new, voids)
    noted = [_noted(name, one) for name, one in outcomes.items()]
    await inbox_work.healed(connection, ledger, source, [one.record for one in noted if one.state != "failed"])
    await records.note(connection, ledger, source, noted)
    return outcomes, others


def _lookups(hook: Hook, name: str, stated: Sequence[Stated]) -> list[str]:
    if hook.problem or hook.kind.lookups is no_lookups or not stated:
        return []
    try:
        return sorted(hook.kind.lookups(name, in_order(map(as_statement, stated)), hook.source))
    except (MalformedError, ValueError, TypeError, AttributeError, KeyError):
        return []  # what cannot be read is told when the record is translated


def _translated(hook: Hook, name: str, stated: Sequence[Stated]) -> _Translated:
    if hook.problem:
        return _Translated(problems=[hook.problem])
    if not stated:
        return _Translated()
    try:
        parts, faults = healing.translated(
            lambda several: hook.kind.translate(name, several, hook.source),
            in_order(as_statement(one) for one in stated),
        )
    except MalformedError as error:
        return _Translated(problems=[f"{name}: {error}"])
    except Exception as error:  # noqa: BLE001  a fault of a kind must not stop the others' records
        return _Translated(problems=[fault(hook, f"translating {name}", error)])
    drafts = [one for one in parts if isinstance(one, Draft)]
    waiting = [one for one in parts if isinstance(one, Waiting)]
    unsaid = [] if parts or faults else [f"{name}: {_unsaid(hook, name, stated)}"]
    return _Translated(drafts, waiting, (), [one._replace(reason=f"{name}: {one.reason}") for one in faults], unsaid)


def _unsaid(hook: Hook, name: str, stated: Sequence[Stated]) -> str:
    try:
        return hook.kind.unsaid(name, in_order(map(as_statement, stated)), hook.source)
    except Exception as error:  # noqa: BLE001  as above
        return fault(hook, f"saying why {name} gives nothing", error)


def _noted(name: str, outcome: Outcome) -> Noted:
    if problems := [*outcome.problems, *(one.reason for one in outcome.faults if not one.healed)]:
        return Noted(name, "failed", problems, outcome.amounts, outcome.lookups)
    state = "waiting" if outcome.waiting else "translated"
    return Noted(name, state, outcome.waiting or list(outcome.unsaid), outcome.amounts, outcome.lookups)


def _first(readings: Mapping[int, Reading], known: Iterable[Stated]) -> set[int]:
    """Return the deliveries that state something first: what is known already was stated before, whatever came in earlier."""
    new = _earliest(stated for reading in readings.values() for stated in reading.stated)
    return set((new | _earliest(known)).values())


def _earliest(several: Iterable[Stated]) -> dict[tuple[str, str, bytes], int]:
    first: dict[tuple[str, str, bytes], int] = {}
    for one in several:
        what = (one.record, one.key, one.digest)
        first[what] = min(one.delivery, first.get(what, one.delivery))
    return first


def _by_record(several: Sequence[T]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for one in several:
        groups[one.record].append(one)
    return groups
