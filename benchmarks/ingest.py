"""Single events posted over HTTP, against a bare FastAPI + pydantic echo and a raw ASGI echo of the same bodies, in turn.

The API process runs without the projector, as it does beside a `worker`; one row is with both in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median

from benchmarks import load, setting
from benchmarks.setting import Server, Stage
from benchmarks.table import Row, compare

_CONNECTIONS = (1, 16, 64, 256)
_MANY = 64
_ECHO, _RAW = "a bare FastAPI + pydantic echo", "a raw ASGI echo"


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows; what is posted stays in the ledger."""
    with setting.bare() as bare, setting.served(stage.dsn, "--no-projector") as ours:
        for connections in _CONNECTIONS:
            what = f"single posts, {connections} connections"
            yield from _against_echoes(stage, bare, ours, connections, what)
        yield Row("memory of the API process after that", stage.size, [setting.peak(ours.pid)], "MB", "the bare process",
                  [setting.peak(bare.pid)])  # fmt: skip
    with setting.bare() as bare, setting.served(stage.dsn) as both:
        stage.caught_up(both)
        what = f"single posts, {_MANY} connections, projector in the same process"
        yield from _against_echoes(stage, bare, both, _MANY, what)
        stage.caught_up(both)
    yield from _two_processes(stage)


def _against_echoes(stage: Stage, bare: Server, ours: Server, connections: int, what: str) -> Iterator[Row]:
    amount = stage.effort.requests // (1 if connections > 1 else 4)
    bodies: list[bytes] = []

    def echo(path: str) -> Callable[[], load.Result]:
        return lambda: load.run(bare.port, connections, [load.post(path, body) for body in bodies[-amount:]])

    def post() -> load.Result:
        bodies.extend(stage.take(amount))
        return load.run(ours.port, connections, [load.post("/v1/events", body, stage.key) for body in bodies[-amount:]])

    post()  # warms up
    found = compare(stage.effort.rounds, {"ours": post, _ECHO: echo("/echo"), _RAW: echo("/raw")})
    rates = {name: [one.rate for one in results] for name, results in found.items()}
    p50, p99 = (median(one.percentile(share) for one in found["ours"]) for share in (0.5, 0.99))
    yield Row(what, stage.size, rates["ours"], "/s", _ECHO, rates[_ECHO], p50, p99)
    yield Row(what, stage.size, rates["ours"], "/s", _RAW, rates[_RAW])


def _two_processes(stage: Stage) -> Iterator[Row]:
    """Compare one process with two, posting to one ledger and to two."""
    other = setting.new_ledger(stage.dsn)[1]
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(setting.served(stage.dsn, "--no-projector", "--workers", str(count)))
            for count in (1, 2)
        )

        def post(server: Server, *keys: str) -> Callable[[], float]:
            def run() -> float:
                bodies = stage.take(stage.effort.requests // 2)
                requests = [load.post("/v1/events", body, key) for body in bodies for key in keys]
                return load.run(server.port, _MANY, requests).rate

            return run

        contestants = {
            "one": post(one, stage.key), "two": post(two, stage.key),
            "one, two ledgers": post(one, stage.key, other), "two, two ledgers": post(two, stage.key, other),
        }  # fmt: skip
        for warm_up in contestants.values():
            warm_up()
        found = compare(stage.effort.rounds, contestants)
    what = f"two processes, {_MANY} connections"
    yield Row(f"{what}, one ledger", stage.size, found["two"], "/s", "one process", found["one"])
    yield Row(
        f"{what}, two ledgers", stage.size, found["two, two ledgers"], "/s", "one process", found["one, two ledgers"]
    )
