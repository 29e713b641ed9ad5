"""A soak: events at twice the rate that the service can sustain, over many connections, for a bounded time.

Senders post batches, each connection the next one as soon as it is due. What is too much must be refused at once (503 with
Retry-After) instead of waited for until the sender gives up; and at the end, every acknowledged event must be in the log
once, at the position that was told, and the positions must have no hole.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncpg
import msgspec

from benchmarks import load, setting, table
from benchmarks.setting import USUAL, Effort, Server, Stage
from benchmarks.table import Row
from service.bootstrap import run as run_fast

_BATCH, _CONNECTIONS, _FEW = 20, 512, 32
_QUEUE = 2_000  # events that may wait: so few that the connections of one machine can fill it
_TIMES = 2  # the sustainable rate
_GOOD, _SHED = 300, 503


class Soaked:
    """What the senders were told."""

    def __init__(self) -> None:
        self.acknowledged: dict[tuple[str, str], int] = {}  # (source, id) -> position
        self.accepted: list[float] = []  # seconds until the answer
        self.shed: list[float] = []

    def heard(self, answer: load.Answer) -> None:
        """Take note of an answer."""
        if answer.status == _SHED and b"retry-after:" in answer.head:
            self.shed.append(answer.seconds)
        elif answer.status < _GOOD:
            self.accepted.append(answer.seconds)
            for one in msgspec.json.decode(answer.body)["items"]:
                self.acknowledged[one["source"], one["id"]] = one["position"]
        else:
            raise RuntimeError(f"status {answer.status}: {answer.body[:300]!r}")


def measure(effort: Effort = USUAL) -> Iterator[Row]:
    """Soak one process and two, and yield the rows; RuntimeError if an acknowledged event is not in the log once."""
    for processes in ("1", "2"):
        with (
            setting.database() as dsn,
            setting.served(dsn, "--workers", processes, append_queue_events=_QUEUE) as server,
        ):
            yield from _soak(Stage(dsn, *setting.new_ledger(dsn), effort), server, f"soak, processes: {processes}")


def _soak(stage: Stage, server: Server, what: str) -> Iterator[Row]:
    sustained = run_fast(_sustained(stage, server, stage.effort.seconds / 2))
    told = Soaked()
    offered = run_fast(_overload(stage, server, told, _TIMES * sustained, stage.effort.seconds * 2))
    head = asyncio.run(_prove(stage, told))
    stored, refused = (_BATCH * len(one) / offered.seconds for one in (told.accepted, told.shed))
    yield Row(f"{what}: stored", 0, [stored], "/s", "what it sustains", [sustained], *_latencies(told.accepted))
    if told.shed:
        yield Row(f"{what}: refused with 503", 0, [refused], "/s", "", (), *_latencies(told.shed))
    yield Row(f"{what}: memory", 0, [setting.peak(server.pid)], "MB")
    print(f"  {len(told.acknowledged):,} acknowledged, each in the log once; positions 1 to {head:,} without a hole")


def _latencies(seconds: list[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    return 1000 * ordered[len(ordered) // 2], 1000 * ordered[len(ordered) * 99 // 100]


def _requests(stage: Stage, seconds: float) -> Iterator[bytes]:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        body = b"[" + b",".join(itertools.islice(stage.lines, _BATCH)) + b"]"
        yield load.post("/v1/events", body, stage.key)


async def _sustained(stage: Stage, server: Server, seconds: float) -> float:
    """Return the events per second that a few connections get stored."""
    result = await load.offer(server.port, _FEW, _requests(stage, seconds))
    return result.statuses[200] * _BATCH / result.seconds


async def _overload(stage: Stage, server: Server, told: Soaked, rate: float, seconds: float) -> load.Result:
    return await load.offer(
        server.port, _CONNECTIONS, _requests(stage, seconds), rate=rate / _BATCH, heard=told.heard
    )  # fmt: skip


async def _prove(stage: Stage, told: Soaked) -> int:
    """Compare the log with what was acknowledged; return the last position."""
    connection = await asyncpg.connect(stage.dsn)
    rows = await connection.fetch(
        "SELECT source, id, position FROM events WHERE ledger = $1 ORDER BY position", stage.ledger.ledger
    )
    head = await connection.fetchval("SELECT position FROM heads WHERE ledger = $1", stage.ledger.ledger)
    await connection.close()
    if [row[2] for row in rows] != list(range(1, head + 1)):
        raise RuntimeError("the positions have a hole")
    stored = {(row[0], row[1]): row[2] for row in rows}
    if len(stored) != len(rows):
        raise RuntimeError("an event is there twice")
    lost = [one for one, position in told.acknowledged.items() if stored.get(one) != position]
    if lost:
        raise RuntimeError(f"{len(lost)} acknowledged events are not where they were said to be, the first: {lost[0]}")
    return int(head)


if __name__ == "__main__":
    print(table.side_by_side(measure()))
