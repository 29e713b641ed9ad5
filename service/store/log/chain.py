"""The hash chain: one link per append, over everything that came from outside and the moment at which it was recorded.

    chain = sha256(chain before ‖ sha256(the contents of the rows, in order) ‖ recorded_at)

Whoever has noted the chain of some day can prove later that nothing before it was changed, left out or put in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from service.store.log.stored_events import Stored
from service.store.rows import EPOCH, MICROSECOND, Row, content_of


def digest_of(rows: Iterable[Row]) -> bytes:
    """Return the SHA-256 over the contents of the rows of one append."""
    return hashlib.sha256(b"".join([row.content for row in rows])).digest()


def chained(chain: bytes, digest: bytes, moment: datetime) -> bytes:
    """Return the hash chain after an append of rows with this digest at this moment; `append_events` does the same."""
    stamp = ((moment - EPOCH) // MICROSECOND).to_bytes(8, "big", signed=True)
    return hashlib.sha256(chain + digest + stamp).digest()


class Chain:
    """Works the hash chain out again from stored events, in order. What was appended together has one moment of its own."""

    def __init__(self) -> None:
        self._chain = hashlib.sha256(b"").digest()
        self._moment: datetime | None = None
        self._contents = hashlib.sha256()

    def add(self, row: Stored) -> None:
        """Go on with the next event."""
        if row.recorded_at != self._moment:
            self._chain, self._moment, self._contents = self.value(), row.recorded_at, hashlib.sha256()
        columns = (
            row.micros, row.version, row.source, row.id, row.type, row.time, row.rest, row.subject, row.dataschema,
            row.data.encode(), row.extensions.encode() if row.extensions else None,
        )  # fmt: skip
        self._contents.update(content_of(*columns))

    def value(self) -> bytes:
        """Return the chain over all events so far."""
        return self._chain if self._moment is None else chained(self._chain, self._contents.digest(), self._moment)
