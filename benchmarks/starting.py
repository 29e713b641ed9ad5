"""Start-up: from the command to the first answer that says ready, against a bare FastAPI process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import setting
from benchmarks.setting import Effort, Server
from benchmarks.table import Row, compare

_BARE = "a bare FastAPI process"


def measure(dsn: str, effort: Effort) -> Iterator[Row]:
    """Yield the rows."""
    with tempfile.TemporaryDirectory(prefix="campaign-ledger-bench-") as folder:
        number = iter(range(1_000))

        def embedded(new: bool) -> Callable[[], AbstractContextManager[Server]]:
            def start() -> AbstractContextManager[Server]:
                place = Path(folder) / (str(next(number)) if new else "kept")
                port = setting.free_port()
                arguments = ["-m", "service.cli", "serve", "--port", str(port), "--data-dir", str(place)]
                return setting.process(arguments, port)

            return start

        rows = {
            "start on a PostgreSQL by URL": lambda: setting.served(dsn),
            "start on the embedded PostgreSQL": embedded(new=False),
            "first start ever, embedded PostgreSQL made": embedded(new=True),
        }
        _took(embedded(new=False))  # makes it
        contestants = {**rows, _BARE: setting.bare}
        found = compare(effort.rounds, {name: lambda one=one: _took(one) for name, one in contestants.items()})  # type: ignore[misc]
    for name in rows:
        yield Row(name, 0, found[name], "s", _BARE, found[_BARE])


def _took(start: Callable[[], AbstractContextManager[Server]]) -> float:
    started = time.perf_counter()
    with start():
        return time.perf_counter() - started
