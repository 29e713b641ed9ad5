"""Rate limits, and what was looked up a moment ago: in memory, bounded. Each process counts and remembers for itself."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Generic, TypeVar

_T = TypeVar("_T")

_BURST_SECONDS = 10.0  # how much of a minute's allowance may come at once
_MOST_REMEMBERED = 50_000  # names; the memory has an end, and who has asked least recently may begin anew
_MOST_LOOKED_UP = 10_000  # keys of each sort; who guesses keys without end would else fill the memory
_STRANGERS_AT_ONCE = 2  # look-ups of what was not there before: whoever guesses takes no more connections than this


class Buckets:
    """Who has how many requests left."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name → (tokens, at which moment)

    def take(self, name: str, per_minute: int, now: float, burst: int = 1) -> float:
        """Take one request of `name` and return 0, or return how many seconds there is none left. `now` is in seconds.

        `burst` may come at once at least.
        """
        per_second = per_minute / 60
        most = max(float(burst), per_second * _BURST_SECONDS)
        tokens = self._tokens(name, per_second, most, now)
        self._buckets.pop(name, None)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / per_second
        self._buckets[name] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > _MOST_REMEMBERED:
            self._buckets.popitem(last=False)
        return wait

    def allowance(self, name: str, per_minute: int, now: float) -> dict[str, str]:
        """Return the headers that tell how many may come at once, how many of them are left, and in how many seconds all are."""
        per_second = per_minute / 60
        most = max(1.0, per_second * _BURST_SECONDS)
        tokens = self._tokens(name, per_second, most, now)
        return {
            "RateLimit-Limit": str(int(most)), "RateLimit-Remaining": str(int(tokens)),
            "RateLimit-Reset": str(math.ceil((most - tokens) / per_second)),
        }  # fmt: skip

    def _tokens(self, name: str, per_second: float, most: float, now: float) -> float:
        tokens, since = self._buckets.get(name, (most, now))
        return min(most, tokens + (now - since) * per_second)


class LookedUp(Generic[_T]):
    """What was found under a key, or that there is nothing, for a few seconds.

    What strangers ask for in vain neither pushes out what was found nor keeps more than a few connections.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._found: OrderedDict[bytes, tuple[float, _T]] = OrderedDict()
        self._missed: OrderedDict[bytes, float] = OrderedDict()
        self._strangers = asyncio.Semaphore(_STRANGERS_AT_ONCE)

    async def get(self, key: bytes, look: Callable[[], Awaitable[_T | None]]) -> _T | None:
        """Return what is under a key, as it was so many seconds ago at the oldest."""
        known, now = self._found.get(key), time.monotonic()
        if known and known[0] > now:
            return known[1]
        if not known and self._missed.get(key, 0.0) > now:
            return None
        queue: AbstractAsyncContextManager[object] = nullcontext() if known else self._strangers
        async with queue:
            value = await look()
        self.forget(key)
        if value is None:
            self._missed[key] = now + self._seconds
        else:
            self._found[key] = (now + self._seconds, value)
        for remembered in (self._found, self._missed):
            if len(remembered) > _MOST_LOOKED_UP:
                remembered.popitem(last=False)
        return value

    def drop(self, unwanted: Callable[[_T], bool]) -> None:
        """Look what was found and is unwanted up anew the next time."""
        for key in [key for key, (_, value) in self._found.items() if unwanted(value)]:
            del self._found[key]

    def forget(self, key: bytes) -> None:
        """Look a key up anew the next time."""
        self._found.pop(key, None)
        self._missed.pop(key, None)


def retry_after(wait: float) -> dict[str, str]:
    """Return the header that says when to come back."""
    return {"Retry-After": str(max(1, math.ceil(wait)))}
