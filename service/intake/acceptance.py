"""Takes events in: decode, validate, check what depends on the ledger, append; what is invalid is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import asyncpg
import msgspec

from service import telemetry
from service.domain.events import InvalidEventError, read_event
from service.intake import compiled, days
from service.intake.corrections import CORRECTIONS, wrong_currency
from service.intake.decoding import Limits, decode
from service.intake.refused import reason_of, refused
from service.store import audit, quarantine
from service.store.log import heads
from service.store.log.append import Outcome
from service.store.log.group_commit import Appender
from service.store.people import erasures
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects
from service.store.rows import Row, encode_json, row_of

_AT_ONCE = 50  # items read between two turns of the event loop
_AUDITED = {"attribution.model_published": "model.published", "subject.erased": "subject.erased"}


class Result(msgspec.Struct, frozen=True, gc=False):
    """What became of one item: accepted, duplicate, conflict or invalid; its position, or its problem."""

    source: str | None
    id: str | None
    status: str
    position: int | None
    problem: dict[str, Any] | None

    def as_dict(self) -> dict[str, object]:
        """Return the result as the members of a batch answer's item."""
        return msgspec.structs.asdict(self)


class Taken(NamedTuple):
    """What became of items: by their index the rows of those that are good, with an outcome each, and what was refused."""

    rows: dict[int, Row]
    outcomes: list[Outcome]
    refused: dict[int, Result]

    def results(self) -> list[Result]:
        """Return one result each, in order."""
        found = dict(zip(self.rows, map(_result, self.rows.values(), self.outcomes), strict=True)) | self.refused
        return [found[index] for index in range(len(found))]

    def counts(self) -> dict[str, int]:
        """Return how many items have which status, of those that there are."""
        statuses = [one.status for one in self.outcomes] + ["invalid"] * len(self.refused)
        return {status: statuses.count(status) for status in set(statuses)}

    def problems(self) -> list[tuple[int, Result]]:
        """Return the items that have a problem, with their index, in order."""
        stored = zip(self.rows.items(), self.outcomes, strict=True)
        conflicts = [(index, _result(row, one)) for (index, row), one in stored if one.status == "conflict"]
        return sorted([*conflicts, *self.refused.items()], key=itemgetter(0))


def _result(row: Row, outcome: Outcome) -> Result:
    problem = _conflict(outcome.position) if outcome.status == "conflict" else None
    return Result(row.source, row.id, outcome.status, outcome.position, problem)


class Retried(NamedTuple):
    """What trying items again came to: how many were tried and became events, and the last one of them if more may wait."""

    tried: int
    resolved: int
    last: int | None


Read = Callable[[bytes, Limits], Row]  # gives the row of one item, or raises InvalidEventError


def read_item(raw: bytes, limits: Limits) -> Row:
    """Read an event from the bytes of a JSON object, as the row that will be stored."""
    return compiled.read(raw, limits) or row_of(read_event(decode(raw, limits)))


class Intake:
    """The one way into the log for whatever a sender posts."""

    def __init__(self, pool: asyncpg.Pool, appender: Appender, limits: Limits, eraser: Eraser | None = None) -> None:
        """`eraser` has the keys that what is said of people is sealed with; without it, they are made without a master key."""
        self.limits = limits
        self._eraser = eraser or Eraser(pool, Subjects(pool))
        self.subjects = self._eraser.subjects
        self._pool = pool
        self._appender = appender

    async def take(self, ledger: int, raws: Sequence[bytes]) -> list[Result]:
        """Take JSON items; one result each, in order. Invalid ones are quarantined, the others stored."""
        return (await self._take(ledger, raws)).results()

    async def take_many(self, ledger: int, raws: Sequence[bytes], turn: Awaitable[object] | None) -> Taken:
        """Take JSON items of which only counts and problems are asked for.

        With `turn`, that is waited for between checking and storing: what was sent before is stored before.
        """
        return await self._take(ledger, raws, turn=turn)

    async def take_event(self, ledger: int, raw: bytes, attributes: dict[str, object]) -> Result:
        """Take one event whose context came apart from its `data` (CloudEvents binary mode)."""
        data: object
        try:
            data, refused = decode(raw, self.limits), None
        except InvalidEventError as error:
            data, refused = raw.decode("utf-8", "replace"), error

        def combined(_: bytes, __: Limits) -> Row:
            if refused is not None:
                raise refused
            return row_of(read_event({**attributes, "data": data}))

        return (await self._take(ledger, [encode_json({**attributes, "data": data})], combined)).results()[0]

    async def append(self, ledger: int, raws: Sequence[bytes]) -> list[Result]:
        """Take JSON items whose bytes are kept elsewhere: as `take`, but what is invalid is not quarantined."""
        return (await self._take(ledger, raws, keep=False)).results()

    async def refuse(self, ledger: int, raw: bytes, error: InvalidEventError) -> Result:
        """Quarantine what cannot be told apart into events at all."""

        def unreadable(_: bytes, __: Limits) -> Row:
            raise error

        return (await self._take(ledger, [raw], unreadable)).results()[0]

    async def _take(
        self, ledger: int, raws: Sequence[bytes], read: Read = read_item, *, keep: bool = True,
        turn: Awaitable[object] | None = None,
    ) -> Taken:  # fmt: skip
        rows: dict[int, Row] = {}
        invalid: dict[int, Result] = {}
        distant = correcting = audited = sealing = False
        for index, raw in enumerate(raws):
            if index % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)  # others, and the database's answers, get their turn
            try:
                rows[index] = row = read(raw, self.limits)
            except InvalidEventError as error:
                invalid[index] = _invalid(error.given, error)
                continue
            distant = distant or days.at_the_ends(row)
            correcting = correcting or row.type in CORRECTIONS
            audited = audited or row.type in _AUDITED
            sealing = sealing or row.seals
        if sealing:
            rows = dict(zip(rows, await self.subjects.sealed(ledger, list(rows.values())), strict=True))
        if turn is not None:
            await turn
        for check, needed in ((days.outside, distant), (wrong_currency, correcting)):
            for index, problem in ((await check(self._pool, ledger, rows)) if needed else {}).items():
                row = rows.pop(index)
                invalid[index] = _invalid({"source": row.source, "id": row.id}, InvalidEventError([problem]))
        invalid = dict(sorted(invalid.items()))
        taken = Taken(rows, await self._appender.append(ledger, list(rows.values())), invalid)
        if audited:
            await self._audit(ledger, taken)
        if invalid and keep:
            new = next((one.position for one in taken.outcomes if one.status == "accepted"), None)
            items = [refused(raws[index], one.problem or {}) for index, one in invalid.items()]
            items = await self._eraser.without_erased(ledger, items)
            await quarantine.keep(self._pool, ledger, items, None if new is None else new - 1)
        if any(row.type in erasures.AT_ONCE for row in rows.values()):
            await self._eraser.catch_up(ledger, destroy=keep)
        for status, count in taken.counts().items():
            telemetry.EVENTS.labels(status).inc(count)
        return taken

    async def _audit(self, ledger: int, taken: Taken) -> None:
        """Note who has published a model or had a person erased; by position, for ids may be the person's."""
        for row, outcome in zip(taken.rows.values(), taken.outcomes, strict=True):
            if row.type in _AUDITED and outcome.status == "accepted":
                await audit.note(self._pool, ledger, _AUDITED[row.type], f"event {outcome.position}")

    async def retry(self, ledger: int, kept: quarantine.Kept, corrected: bytes | None = None) -> Result:
        """Try a quarantined item again, as it was or as its sender has corrected it."""
        results = (await self._take(ledger, [corrected or kept.body], keep=False)).results()
        await self._note(ledger, {kept.item: results[0]}, explain=corrected is None)
        return results[0]

    async def retry_many(self, ledger: int, chosen: quarantine.Chosen, after: int, limit: int) -> Retried:
        """Try waiting items after an item number again, as they are: up to `limit`, and about 8 MiB of them."""
        kept = await quarantine.listed(self._pool, ledger, after, limit, "waiting", chosen, whole=True)
        results = (await self._take(ledger, [one.body for one in kept], keep=False)).results()
        resolved = await self._note(ledger, {one.item: result for one, result in zip(kept, results, strict=True)})
        last = kept[-1].item if quarantine.is_full(kept, limit) else None
        return Retried(len(kept), resolved, last)

    async def _note(self, ledger: int, results: dict[int, Result], *, explain: bool = True) -> int:
        """Note what became of items that were tried again; return how many have become events."""
        positions = {
            item: one.position for item, one in results.items() if one.position is not None and one.status != "conflict"
        }
        problems = {
            item: (one.problem, reason_of(one.problem))
            for item, one in results.items()
            if one.problem and one.status == "invalid"
        }
        if positions:
            await quarantine.resolve(self._pool, ledger, positions)
        if problems and explain:
            await quarantine.explain(self._pool, ledger, problems)
        return len(positions)

    async def erase(self, ledger: int) -> None:
        """Erase whom events that were stored otherwise erase."""
        await self._eraser.catch_up(ledger)

    async def last_position(self, ledger: int) -> int:
        """Return the ledger's last position."""
        return (await heads.head(self._pool, ledger))[0]


def _invalid(value: object, error: InvalidEventError) -> Result:
    given = value if type(value) is dict else {}
    source, identity = given.get("source"), given.get("id")
    problem = {
        "type": "/problems/invalid-event",
        "title": "The event is not valid",
        "status": 422,
        "detail": str(error).removeprefix(": "),  # which is how a problem with the whole, with no field, begins
        "errors": [one.as_dict() for one in error.problems],
    }
    return Result(_shown(source), _shown(identity), "invalid", None, problem)


def _shown(value: object) -> str | None:
    return value if type(value) is str else None


def _conflict(position: int) -> dict[str, Any]:
    return {
        "type": "/problems/conflict",
        "title": "Another event has this source and id",
        "status": 409,
        "detail": f"the event at position {position} has the same source and id but other content; nothing was "
        "stored: send a corrected event under an id of its own, or void the first one",
    }
