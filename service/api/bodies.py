"""Bodies of requests: read piece by piece, up to a limit each, and up to a limit of all that are in memory at once.

held = scope["held"] = Held(room)             # the front door, for every request; `release` at its end
body = await read_body(request, most_bytes, ledger)   # whoever wants it, once the caller is known
"""

from __future__ import annotations

from collections import Counter

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.api.problems import ProblemError


class Room:
    """The bytes that bodies take at this moment, by ledger, of those that they may: all together, and half of it one ledger."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.taken: Counter[int] = Counter()

    def has(self, size: int, ledger: int) -> bool:
        """Tell whether there is room for more bytes."""
        return self.taken.total() + size <= self.most_bytes and self.taken[ledger] + size <= self.most_bytes // 2


class Held:
    """What the body of one request takes of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = self._ledger = 0

    def take(self, size: int, ledger: int) -> None:
        """Take room for more bytes; raises a 503 problem if there is none. A body alone is never refused."""
        if self._room.taken.total() > self._size and not self._room.has(size, ledger):
            detail = "too many large requests are in hand: try again in a moment"
            raise ProblemError(503, detail, headers={"Retry-After": "1"})
        self._size, self._ledger = self._size + size, ledger
        self._room.taken[ledger] += size

    def release(self) -> None:
        """Give it back."""
        if self._size:
            self._room.taken[self._ledger] -= self._size
            self._size = 0
            if not self._room.taken[self._ledger]:
                del self._room.taken[self._ledger]


async def read_body(request: Request, most: int, ledger: int) -> bytes:
    """Read the body of a request to a ledger, giving up as soon as it is too large."""
    announced = request.headers.get("content-length", "")
    size, parts = int(announced) if announced.isdigit() else 0, []
    held: Held = request.scope["held"]
    if size <= most:
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                if size > most:
                    break
                held.take(len(part), ledger)
                parts.append(part)
        except ClientDisconnect as error:
            raise ProblemError(400, "the body ended before all of it was here") from error
    if size > most:
        raise ProblemError(
            413, f"a body may have {most} bytes here; events may be more as NDJSON, or in smaller batches"
        )
    return b"".join(parts)
