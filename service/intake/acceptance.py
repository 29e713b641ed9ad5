"""Takes events in: decode, validate, check corrections against what they correct, append; what is invalid is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import asyncpg

from service import telemetry
from service.domain.catalogue import Problem
from service.domain.events import Event, InvalidEventError, read_event
from service.intake import compiled
from service.intake.decoding import Limits, decode
from service.store import log, quarantine

# A correction must be in the currency of what it corrects: (type corrected, field of its id, field of the money).
CORRECTIONS = {
    "order.amended": ("order.placed", "order_id", "net_value"),
    "invoice.credited": ("invoice.posted", "invoice_id", "net_amount"),
    "campaign.cost_reversed": ("campaign.cost_booked", "cost_entry_id", "amount"),
}


class Result(NamedTuple):
    """What became of one item: accepted, duplicate, conflict or invalid; its position, or its problem."""

    source: str | None
    id: str | None
    status: str
    position: int | None
    problem: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the members of a batch answer's item."""
        return self._asdict()


Source = Callable[[], Any]  # gives the decoded JSON of one item, or raises InvalidEventError


class Intake:
    """The one way into the log for whatever a sender posts."""

    def __init__(self, pool: asyncpg.Pool, appender: log.Appender, limits: Limits) -> None:
        self.limits = limits
        self._pool = pool
        self._appender = appender

    async def take(self, ledger: int, raws: Sequence[bytes]) -> list[Result]:
        """Take JSON items; one result each, in order. Invalid ones are quarantined, the others stored."""
        return await self._take(ledger, [(raw, partial(decode, raw, self.limits)) for raw in raws])

    async def take_event(self, ledger: int, raw: bytes, attributes: dict[str, Any]) -> Result:
        """Take one event whose context came apart from its `data` (CloudEvents binary mode)."""
        data: Any
        try:
            data, refused = decode(raw, self.limits), None
        except InvalidEventError as error:
            data, refused = raw.decode("utf-8", "replace"), error

        def combined() -> Any:
            if refused is not None:
                raise refused
            return {**attributes, "data": data}

        return (await self._take(ledger, [(log.encode_json({**attributes, "data": data}), combined)]))[0]

    async def refuse(self, ledger: int, raw: bytes, error: InvalidEventError) -> Result:
        """Quarantine what cannot be told apart into events at all."""

        def refused() -> Any:
            raise error

        return (await self._take(ledger, [(raw, refused)]))[0]

    async def _take(self, ledger: int, items: Sequence[tuple[bytes, Source]], *, keep: bool = True) -> list[Result]:
        results: list[Result | None] = [None] * len(items)
        rows: list[log.Row] = []
        at: list[int] = []
        corrections: list[tuple[int, Event]] = []
        stated: dict[str, set[str]] = {}
        for index, (raw, source) in enumerate(items):
            value: Any = None
            try:
                event = compiled.read(raw, self.limits)
                if event is None:
                    value = source()
                    event = read_event(value)
            except InvalidEventError as error:
                results[index] = _invalid(value, error)
                continue
            row = log.row_of(event)
            if row.entity is not None:
                stated.setdefault(row.entity, set()).add(_currency(event))
            elif event.type in CORRECTIONS:
                corrections.append((index, event))
            rows.append(row)
            at.append(index)
        if corrections:
            refused = await self._wrong_currency(ledger, corrections, stated)
            results = [refused.get(index, one) for index, one in enumerate(results)]
            rows = [row for row, index in zip(rows, at, strict=True) if index not in refused]
            at = [index for index in at if index not in refused]
        for index, row, outcome in zip(at, rows, await self._appender.append(ledger, rows), strict=True):
            results[index] = Result(row.source, row.id, outcome.status, outcome.position, _problem(outcome))
        done = [one for one in results if one is not None]
        invalid = [(raw, one.problem) for (raw, _), one in zip(items, done, strict=True) if one.status == "invalid"]
        if invalid and keep:
            await quarantine.keep(self._pool, ledger, [(raw, problem or {}) for raw, problem in invalid])
        for status, count in Counter(one.status for one in done).items():
            telemetry.EVENTS.labels(status).inc(count)
        return done

    async def retry(self, ledger: int, kept: quarantine.Kept, corrected: bytes | None = None) -> Result:
        """Try a quarantined item again, as it was or as its sender has corrected it."""
        raw = corrected or kept.body
        result = (await self._take(ledger, [(raw, partial(decode, raw, self.limits))], keep=False))[0]
        if result.position is not None and result.status != "conflict":
            await quarantine.resolve(self._pool, ledger, kept.item, result.position)
        return result

    async def last_position(self, ledger: int) -> int:
        """Return the ledger's last position."""
        return (await log.head(self._pool, ledger))[0]

    async def _wrong_currency(
        self, ledger: int, corrections: list[tuple[int, Event]], stated: dict[str, set[str]]
    ) -> dict[int, Result]:
        """Refuse corrections in another currency than what they correct, where that is known."""
        entities = {_corrected(event) for _, event in corrections}
        known = await log.currencies(self._pool, ledger, entities)
        refused: dict[int, Result] = {}
        for index, event in corrections:
            allowed = known.get(_corrected(event), set()) | stated.get(_corrected(event), set())
            field = CORRECTIONS[event.type][2]
            money = event.data.get(field)
            if money and allowed and money["currency"] not in allowed:
                expected = f"the currency of what it corrects, {' or '.join(sorted(allowed))}"
                problem = InvalidEventError([Problem(f"data.{field}.currency", expected, money["currency"])])
                refused[index] = _invalid({"source": event.source, "id": event.id}, problem)
        return refused


def _corrected(event: Event) -> str:
    corrected, field, _ = CORRECTIONS[event.type]
    return f"{corrected}:{event.data[field]}"


def _currency(event: Event) -> str:
    money = event.data.get("net_value") or event.data.get("net_amount") or event.data["amount"]
    return str(money["currency"])


def _invalid(value: Any, error: InvalidEventError) -> Result:
    given = value if type(value) is dict else {}
    source, identity = given.get("source"), given.get("id")
    problem = {
        "type": "/problems/invalid-event",
        "title": "The event is not valid",
        "detail": str(error).removeprefix(": "),  # which is how a problem with the whole, with no field, begins
        "errors": [one.as_dict() for one in error.problems],
    }
    return Result(_shown(source), _shown(identity), "invalid", None, problem)


def _shown(value: Any) -> str | None:
    return value if type(value) is str else None


def _problem(outcome: log.Outcome) -> dict[str, Any] | None:
    if outcome.status != "conflict":
        return None
    return {
        "type": "/problems/conflict",
        "title": "Another event has this source and id",
        "detail": f"the event at position {outcome.position} has the same source and id but other content; nothing was "
        "stored: send a corrected event under an id of its own, or void the first one",
    }
