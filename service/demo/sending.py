"""Sends the portfolio over HTTP as its systems would: history in bulk, then a batch, the newest events one by one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import httpx

from service.demo.outbox import Event

_ONE_BY_ONE = 25
_IN_A_BATCH = 500
_LINES = 4_000  # per NDJSON request
_STATUSES = ("accepted", "duplicate", "conflict", "invalid")
Progress = Callable[[int], None]


class Sent:
    """What became of the events that were sent, and how long it took."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(_STATUSES, 0)
        self.requests = 0
        self.last_position = 0
        self.seconds = 0.0

    @property
    def events(self) -> int:
        """How many events were sent, those sent twice counted twice."""
        return sum(self.counts.values())

    def add(self, answer: dict[str, Any]) -> None:
        """Count one answer, whichever form it has."""
        self.requests += 1
        self.last_position = max(self.last_position, answer["last_position"])
        items = answer.get("items", [answer] if "status" in answer else [])
        for item in items:
            self.counts[item["status"]] += 1
        for status in _STATUSES:
            self.counts[status] += answer.get(status, 0)


async def send(http: httpx.AsyncClient, events: Sequence[Event], progress: Progress) -> Sent:
    """Send the events in order; `progress` hears how many have been answered."""
    sent, begun = Sent(), time.perf_counter()
    newest = max(0, len(events) - _ONE_BY_ONE)
    history = max(0, newest - _IN_A_BATCH)
    for lines in _stretches(events[:history]):
        await _post(http, sent, "application/x-ndjson", b"\n".join(json.dumps(one).encode() for one in lines))
        progress(sent.events)
    if history < newest:
        await _post(http, sent, "application/cloudevents-batch+json", json.dumps(events[history:newest]).encode())
        progress(sent.events)
    for one in events[newest:]:
        await _post(http, sent, "application/cloudevents+json", json.dumps(one).encode())
        progress(sent.events)
    sent.seconds = time.perf_counter() - begun
    return sent


def _stretches(events: Sequence[Event]) -> Iterator[list[Event]]:
    rest = iter(events)
    while stretch := list(islice(rest, _LINES)):
        yield stretch


async def _post(http: httpx.AsyncClient, sent: Sent, media_type: str, body: bytes) -> None:
    response = await http.post("/v1/events", content=body, headers={"Content-Type": media_type})
    answer = response.json()
    if response.status_code == httpx.codes.CONFLICT:  # one event: the problem says which one has its place
        answer = {"status": "conflict", "last_position": answer["position"]}
    elif response.is_error:
        raise RuntimeError(f"POST /v1/events answered {response.status_code}: {answer['detail']}")
    sent.add(answer)


async def read(http: httpx.AsyncClient, path: str, position: int, **asked: str) -> dict[str, Any]:
    """Read once everything up to a position is in the figures."""
    while True:
        response = await http.get(path, params={**asked, "min_position": position})
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
    if response.is_error:
        raise RuntimeError(f"GET {path} answered {response.status_code}: {response.json()['detail']}")
    return dict(response.json())
