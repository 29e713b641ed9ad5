"""What would become of events if they were taken in now: the dry run of an import. Nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from service.intake.acceptance import Intake, Result
from service.intake.decoding import Limits
from service.store import sealing
from service.store.log import by_identity, heads
from service.store.log.append import Outcome
from service.store.log.group_commit import Appender
from service.store.log.stored_events import Stored
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects
from service.store.rows import Row
from service.store.vault import Vault


class Preview:
    """Answers as `Intake` would, as long as nobody else appends meanwhile; the positions are those that there would be."""

    def __init__(self, pool: asyncpg.Pool, limits: Limits, vault: Vault | None = None) -> None:
        self.limits = limits
        self.subjects = Subjects(pool, vault, makes=False)
        self._intake = Intake(pool, _Comparing(pool), limits, Eraser(pool, self.subjects))

    async def take(self, ledger: int, raws: Sequence[bytes]) -> list[Result]:
        """Return what would become of JSON items, in order."""
        return await self._intake.append(ledger, raws)


class _Comparing(Appender):
    """Says what appending would give: what is there already is compared, what came before is remembered."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool, queue_events=0, batch_events=0)
        self._pool = pool
        self._last: int | None = None
        self._before: dict[tuple[str, str], tuple[int, int]] = {}  # (source, id) → position, and a hash of the content

    async def append(self, ledger: int, rows: Sequence[Row]) -> list[Outcome]:
        """Return what would become of rows, in order."""
        if self._last is None:
            self._last = (await heads.head(self._pool, ledger))[0]
        found = await by_identity.read_identities(self._pool, ledger, [(row.source, row.id) for row in rows])
        there = {(one.source, one.id): one for one in found}
        return [self._outcome(row, ledger, there.get((row.source, row.id)), self._last) for row in rows]

    def _outcome(self, row: Row, ledger: int, stored: Stored | None, head: int) -> Outcome:
        if stored is not None:
            same = (row.type, row.micros, row.rest) == (stored.type, stored.micros, stored.rest) and sealing.same(
                row, ledger, stored.subject, stored.data.encode()
            )
            return Outcome("duplicate" if same else "conflict", stored.position)
        whole = row.whole or row  # each time it is sealed, it looks otherwise
        content = hash((row.type, row.micros, row.rest, whole.subject, whole.data))
        identity = (row.source, row.id)
        if identity not in self._before:
            self._before[identity] = (head + len(self._before) + 1, content)
            return Outcome("accepted", self._before[identity][0])
        position, before = self._before[identity]
        return Outcome("duplicate" if before == content else "conflict", position)
