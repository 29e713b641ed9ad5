"""Ours beside the `eventsourcing` library on the same PostgreSQL: append, projection, rebuild.

Ours pays for HTTP, validation and a journal behind each figure; the library is called in process and keeps four sums per
campaign. Left out where the library is not installed (`make bench` installs it).
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator

from benchmarks import journeys, load, projection, setting
from benchmarks.setting import Stage
from benchmarks.table import Row, compare

_THREADS, _CONNECTIONS = 16, 64
_DURABLE, _IN_MEMORY = "eventsourcing, a transaction per event", "eventsourcing, sums in memory"


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows."""
    if importlib.util.find_spec("eventsourcing") is None:
        print("  the peer is left out: eventsourcing is not installed")
        return
    from benchmarks import peer  # noqa: PLC0415  needs the library

    few, many = stage.effort.requests // 2, stage.effort.requests * 5
    lines = list(itertools.islice(journeys.lines(), many))
    setting.ask(stage.dsn, "CREATE SCHEMA IF NOT EXISTS peer")
    setting.apart(peer.prepare, stage.dsn, lines)
    with setting.served(stage.dsn, "--no-projector") as server:

        def post() -> float:
            requests = [load.post("/v1/events", body, stage.key) for body in stage.take(few)]
            return load.run(server.port, _CONNECTIONS, requests).rate

        post()  # warms up
        library = f"eventsourcing in process, {_THREADS} threads"
        found = compare(
            stage.effort.rounds,
            {"ours": post, library: lambda: setting.apart(peer.append, stage.dsn, lines[:few], _THREADS)[0]},
        )
    yield Row("append one by one, over HTTP", stage.size, found["ours"], "/s", library, found[library])
    setting.apart(projection.timed, projection.followed, stage.dsn, stage.ledger)
    found = compare(
        stage.effort.rounds,
        {
            "ours": lambda: setting.apart(projection.timed, projection.rebuilt, stage.dsn, stage.ledger)[0],
            _DURABLE: lambda: setting.apart(peer.project, stage.dsn, few, durable=True)[0],
            _IN_MEMORY: lambda: setting.apart(peer.project, stage.dsn, many, durable=False)[0],
        },
    )
    for what, against in (("durable projection", _DURABLE), ("in memory", _IN_MEMORY)):
        yield Row(f"rebuild beside the peer's {what}", stage.size, found["ours"], "/s", against, found[against])
