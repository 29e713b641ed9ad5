"""How long after its acknowledgement an event is in an answer: single posts at a steady rate, and a reader who asks for more.

The reader asks ROI by campaign with `min_position` of what was acknowledged last, fifty times a second. A sample is the
time from that acknowledgement to the answer that holds the event, so that the read itself is in it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from statistics import median

import msgspec

from benchmarks import load, setting
from benchmarks.setting import Server, Stage
from benchmarks.table import Row
from service.bootstrap import run as run_fast

_RATE, _CONNECTIONS = 1_000, 32
_READS = 50  # a second
_GOOD = 300


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the row; what is posted stays in the ledger."""
    with setting.served(stage.dsn) as server:
        stage.caught_up(server)
        run_fast(_sampled(stage, server, 1.0))  # warms up
        rounds = [sorted(run_fast(_sampled(stage, server, stage.effort.seconds))) for _ in range(stage.effort.rounds)]
    p50, p99 = (median(1000 * one[int(len(one) * share)] for one in rounds) for share in (0.5, 0.99))
    middles = [1000 * median(one) for one in rounds]
    yield Row(f"freshness at {_RATE:,} events/s", stage.size, middles, "ms", p50=p50, p99=p99)


async def _sampled(stage: Stage, server: Server, seconds: float) -> list[float]:
    """Post for so long; return the seconds from acknowledgement to visibility."""
    acknowledged = (0, time.perf_counter())  # position, when
    asked = acknowledged
    posting, samples = True, []

    def posted(answer: load.Answer) -> None:
        nonlocal acknowledged
        if answer.status >= _GOOD:
            raise RuntimeError(f"a post was answered with {answer.status}")
        acknowledged = (msgspec.json.decode(answer.body)["position"], time.perf_counter())

    def read(answer: load.Answer) -> None:
        samples.append(time.perf_counter() - asked[1] if answer.status < _GOOD else math.inf)

    def reads() -> Iterator[bytes]:
        nonlocal asked
        while posting:
            asked = acknowledged
            yield load.get(f"/v1/roi?group_by=campaign&min_position={asked[0]}", stage.key)

    bodies = stage.take(int(_RATE * seconds))
    reading = asyncio.create_task(load.offer(server.port, 1, reads(), rate=_READS, heard=read))
    requests = [load.post("/v1/events", body, stage.key) for body in bodies]
    await load.offer(server.port, _CONNECTIONS, requests, rate=_RATE, heard=posted)
    posting = False
    await reading
    return samples[1:]  # the first asked before there was anything to wait for
