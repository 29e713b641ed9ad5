"""Rate limits: token buckets in memory, one per sender. Each process counts for itself."""

from __future__ import annotations

import math
from collections import OrderedDict

_BURST_SECONDS = 10.0  # how much of a minute's allowance may come at once
_MOST_REMEMBERED = 50_000


class Buckets:
    """Who has how many requests left."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name → (tokens, at which moment)

    def take(self, name: str, per_minute: int, now: float) -> float:
        """Take one request of `name` and return 0, or return how many seconds there is none left. `now` is in seconds."""
        per_second = per_minute / 60
        most = max(1.0, per_second * _BURST_SECONDS)
        tokens, since = self._buckets.pop(name, (most, now))
        tokens = min(most, tokens + (now - since) * per_second)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / per_second
        self._buckets[name] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > _MOST_REMEMBERED:
            self._buckets.popitem(last=False)
        return wait


def retry_after(wait: float) -> dict[str, str]:
    """Return the header that says when to come back."""
    return {"Retry-After": str(max(1, math.ceil(wait)))}
