"""The outbox: what the demo's systems say, in the order in which it arrives, not in which it happened.

Most events arrive within minutes, some weeks or months late, and some twice, as with real webhooks.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from service.demo.tables import CHANCE, DAYS, SOURCES

Event = dict[str, Any]


class Outbox:
    """Takes events in any order, and gives them out in the order of their arrival."""

    def __init__(self, rng: Random, start: date, end: date) -> None:
        self._rng = rng
        self._start = datetime.combine(start, time(), UTC)
        self._end = datetime.combine(end, time(), UTC) + timedelta(days=1)
        self._sent: list[tuple[datetime, Event]] = []
        self._said: Counter[tuple[str, str]] = Counter()
        self._numbers: Counter[str] = Counter()

    def next_id(self, prefix: str, digits: int = 6) -> str:
        """Return the next readable id, such as LD-000001."""
        self._numbers[prefix] += 1
        return f"{prefix}-{self._numbers[prefix]:0{digits}d}"

    def say(self, at: datetime, kind: str, about: str, *, delay: timedelta | None = None, **data: Any) -> Event | None:
        """Say that `kind` happened to the entity `about`; fields that are None are left out.

        What lies outside the two years is not said: before them there was no system, after them it has not happened.
        """
        if not self._start <= at < self._end:
            return None
        self._said[kind, about] += 1
        number = self._said[kind, about]
        event = {
            "specversion": "1.0",
            "id": f"{kind}:{about}" + (f":{number}" if number > 1 else ""),
            "source": next(source for prefix, source in SOURCES.items() if kind.startswith(prefix)),
            "type": kind,
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "subject": about,
            "datacontenttype": "application/json",
            "data": {name: value for name, value in data.items() if value is not None},
        }
        self._send(at, event, delay)
        return event

    def void(self, event: Event | None, at: datetime, reason: str) -> None:
        """Say that an event never should have been."""
        if event:
            self.say(at, "event.voided", event["id"], source=event["source"], id=event["id"], reason=reason)

    def _send(self, at: datetime, event: Event, delay: timedelta | None) -> None:
        rng = self._rng
        if delay is None:
            late = rng.random() < CHANCE["late"]
            days = 2 + min(rng.expovariate(1 / DAYS["late"]), 200) if late else 0
            delay = timedelta(days=days, seconds=rng.randint(1, 900))
        self._sent.append((at + delay, event))
        if rng.random() < CHANCE["sent again"]:
            self._sent.append((at + delay + timedelta(hours=rng.expovariate(1 / 6)), event))

    def by_arrival(self) -> list[tuple[datetime, Event]]:
        """Return everything with the moment of its arrival, in that order."""
        return sorted(self._sent, key=lambda sent: sent[0])

    def arrivals(self) -> Iterator[Event]:
        """Yield everything in the order of its arrival."""
        for _, event in self.by_arrival():
            yield event

    def said(self) -> list[Event]:
        """Return everything once, in the order in which it happened."""
        once = {event["id"]: event for _, event in self._sent}  # a kind has one source, and its ids begin with it
        return sorted(once.values(), key=lambda event: str(event["time"]))
