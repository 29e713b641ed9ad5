"""What could not be processed: an event that cannot be read, or a component that its rules cannot fold.

It is set aside with what it concerns: an event alone, or a component, whose facts are kept and whose contributions stay what
they were. Everything else goes on. A later event that makes the component fold again (a void, mostly) takes it off the list,
and so does `retry` after a fix.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from service import telemetry

_log = telemetry.logger("projector")
_LONGEST_ERROR = 500
_AGAIN = 600.0  # seconds in which a fault is logged once, wherever it strikes: it may concern every component there is
_MOST_FAULTS = 1_000
_FRAMES = 15  # the last ones
_LONGEST_TRACEBACK = 8_000  # characters
_logged: dict[tuple[str, str, int], float] = {}  # when each fault of this process was logged


class Entry(NamedTuple):
    """One thing set aside. `component` is 0 for an event that cannot be read.

    `position` is the event at which it happened first, `last_position` the latest event that waits with it.
    """

    position: int
    component: int
    last_position: int
    error: str
    attempts: int
    since: datetime

    @property
    def key(self) -> int:
        """Its component, or the negative position of an event without one."""
        return self.component or -self.position


class SetAside:
    """Everything set aside in one generation, and what of it is not stored yet."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.key: entry for entry in entries}
        self._changed: set[int] = set()
        self._cleared: set[tuple[int, int]] = set()

    def __bool__(self) -> bool:
        return bool(self._entries)

    def get(self, key: int) -> Entry | None:
        """Return what is set aside under a component, or under the negative position of an event."""
        return self._entries.get(key)

    def waiting(self) -> list[Entry]:
        """Return everything, oldest first."""
        return sorted(self._entries.values())

    def note(self, position: int, error: Exception, component: int = 0) -> None:
        """Set a component, or an event without one, aside; or note that it failed again."""
        if _is_news(error):
            _log.error("set aside", position=position, component=component or None, traceback=_traceback(error))
        told = last_line(error)
        old = self._entries.get(component or -position)
        if old is None:
            self._keep(Entry(position, component, position, told, 1, datetime.now(UTC)))
        else:
            last = max(old.last_position, position)
            self._keep(old._replace(last_position=last, error=told, attempts=old.attempts + 1))

    def clear(self, key: int) -> None:
        """Take something off the list, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._changed.discard(key)
            self._cleared.add((entry.position, entry.component))

    def move(self, component: int, absorber: int) -> None:
        """Keep what is known of a component that another one has absorbed."""
        entry = self._entries.get(component)
        if entry is not None:
            self.clear(component)
            if absorber not in self._entries:
                self._keep(entry._replace(component=absorber))

    def changes(self) -> tuple[list[Entry], list[tuple[int, int]]]:
        """Return what to store, and (position, component) of what to remove, since the last time."""
        kept = [self._entries[key] for key in self._changed]
        gone = self._cleared - {(entry.position, entry.component) for entry in kept}
        self._changed, self._cleared = set(), set()
        return kept, sorted(gone)

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        self._changed.add(entry.key)


def _is_news(error: Exception) -> bool:
    """Tell whether a fault is to be logged: whether it arose in the same place lately. The list of what is set aside has all."""
    code, line, at = "", 0, error.__traceback__
    while at is not None:
        code, line, at = at.tb_frame.f_code.co_filename, at.tb_lineno, at.tb_next
    fault, now = (type(error).__name__, code, line), time.monotonic()
    if now - _logged.get(fault, -_AGAIN) < _AGAIN:
        return False
    if len(_logged) >= _MOST_FAULTS:
        _logged.clear()
    _logged[fault] = now
    return True


def _traceback(error: Exception) -> str:
    """Write a traceback as plain text. What renders it for a terminal looks at every value in every frame, for seconds."""
    return "".join(traceback.format_exception(error, limit=-_FRAMES))[-_LONGEST_TRACEBACK:]


def last_line(error: Exception) -> str:
    """Return the last line of an error's traceback, as text that a database can hold."""
    line = traceback.format_exception_only(error)[-1].strip().replace("\x00", "")
    return line[:_LONGEST_ERROR]


async def load(connection: Any, key: tuple[int, int]) -> SetAside:
    """Return what is set aside in a generation."""
    rows = await connection.fetch(
        """
        SELECT position, component, last_position, error, attempts, since FROM set_aside
        WHERE ledger = $1 AND generation = $2
        """,
        *key,
    )
    return SetAside(Entry(*row) for row in rows)


async def store(connection: Any, key: tuple[int, int], kept: list[Entry], gone: list[tuple[int, int]]) -> None:
    """Store what has been set aside and remove what no longer is."""
    if gone:
        await connection.execute(
            """
            DELETE FROM set_aside WHERE ledger = $1 AND generation = $2
            AND (position, component) IN (SELECT * FROM unnest($3::bigint[], $4::bigint[]))
            """,
            *key, *map(list, zip(*gone, strict=True)),
        )  # fmt: skip
    if kept:
        await connection.executemany(
            """
            INSERT INTO set_aside (ledger, generation, position, component, last_position, error, attempts, since)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (ledger, generation, position, component)
            DO UPDATE SET last_position = excluded.last_position, error = excluded.error, attempts = excluded.attempts
            """,
            [(*key, *entry) for entry in kept],
        )
