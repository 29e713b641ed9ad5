"""What would become of events if they were taken in now: the dry run of an import. Nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from service.domain.events import InvalidEventError
from service.intake.acceptance import Result, conflict, invalid, read_item
from service.intake.corrections import CORRECTIONS, wrong_currency
from service.intake.decoding import Limits
from service.store import log
from service.store.log import Stored
from service.store.rows import Row, same_json

_ANYWHERE = 2**62


class Preview:
    """Answers as `Intake` would, as long as nobody else appends meanwhile."""

    def __init__(self, pool: asyncpg.Pool, limits: Limits) -> None:
        self.limits = limits
        self._pool = pool
        self._before: dict[tuple[str, str], int] = {}  # what came earlier in the dry run, as a hash of its content

    async def take(self, ledger: int, raws: Sequence[bytes]) -> list[Result]:
        """Return what would become of JSON items, in order; what would be accepted has no position."""
        rows: dict[int, Row] = {}
        results: dict[int, Result] = {}
        for index, raw in enumerate(raws):
            try:
                rows[index] = read_item(raw, self.limits)
            except InvalidEventError as error:
                results[index] = invalid(error.given, error)
        if any(row.type in CORRECTIONS for row in rows.values()):
            for index, problem in (await wrong_currency(self._pool, ledger, rows)).items():
                row = rows.pop(index)
                results[index] = invalid({"source": row.source, "id": row.id}, InvalidEventError([problem]))
        identities = [(row.source, row.id) for row in rows.values()]
        found = await log.read_identities(self._pool, ledger, identities, _ANYWHERE)
        there = {(one.source, one.id): one for one in found}
        for index, row in rows.items():
            results[index] = self._result(row, there.get((row.source, row.id)))
        return [results[index] for index in range(len(raws))]

    def _result(self, row: Row, stored: Stored | None) -> Result:
        identity, position = (row.source, row.id), stored.position if stored else None
        if stored is not None:
            same = _content(row) == _content(stored) and same_json(row.data, stored.data.encode())
        else:
            content = hash((*_content(row), row.data))
            if identity not in self._before:
                self._before[identity] = content
                return Result(*identity, "accepted", None, None)
            same = self._before[identity] == content
        return Result(*identity, "duplicate" if same else "conflict", position, None if same else conflict(position))


def _content(one: Row | Stored) -> tuple[Any, ...]:
    return one.type, one.micros, one.rest, one.subject
