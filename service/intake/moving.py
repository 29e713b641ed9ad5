"""A log that is moved: an export is taken into an empty ledger with the moments at which its events were recorded.

So what was known on some day can still be asked. The events are checked as any are; what is said of people is sealed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import groupby

import asyncpg
import msgspec

from service.domain.events import InvalidEventError
from service.intake.acceptance import Intake, read_item
from service.store.log import heads
from service.store.log.append import append_recorded
from service.store.rows import Row

_AT_ONCE = 5_000  # events of a transaction, and those of the same moment as its last


class _Recorded(msgspec.Struct):
    position: int
    recorded_at: datetime


_recorded = msgspec.json.Decoder(_Recorded).decode


async def move(pool: asyncpg.Pool, intake: Intake, ledger: int, lines: Callable[[], Iterable[bytes]]) -> int:
    """Take an exported log into a ledger without events; return how many there are.

    `lines` gives them from the beginning, each time that it is called: all are checked before the first is stored. ValueError
    says which cannot be taken.
    """
    if (await heads.head(pool, ledger))[0]:
        raise ValueError("the ledger has events: only an empty one can take a log as it was recorded")
    before = None
    for number, (told, _) in enumerate(_read(intake, lines()), 1):
        if told.position != number:
            raise ValueError(f"line {number} has position {told.position}: expected all of a log, in order")
        if before is not None and told.recorded_at < before:
            raise ValueError(f"line {number} was recorded before the one before it")
        before = told.recorded_at
    last, waiting, size = 0, list[tuple[datetime, list[Row]]](), 0
    for moment, group in groupby(_read(intake, lines()), key=lambda one: one[0].recorded_at):
        waiting.append((moment, await intake.subjects.sealed(ledger, [row for _, row in group])))
        size += len(waiting[-1][1])
        if size >= _AT_ONCE:
            last, waiting, size = await append_recorded(pool, ledger, waiting), [], 0
    if waiting:
        last = await append_recorded(pool, ledger, waiting)
    await intake.erase(ledger)
    return last


def _read(intake: Intake, lines: Iterable[bytes]) -> Iterator[tuple[_Recorded, Row]]:
    for number, line in enumerate(filter(bytes.strip, lines), 1):
        try:
            yield _recorded(line), read_item(line, intake.limits)
        except (msgspec.DecodeError, InvalidEventError) as error:
            raise ValueError(f"line {number}: {error}") from None
