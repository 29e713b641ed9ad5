"""A million events and a million entries as files: seconds, the memory of the service, and how long others wait meanwhile.

python -m benchmarks.exports 1000000
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from benchmarks import setting
from benchmarks.setting import Server, Stage

_FORMATS = ("json", "csv", "parquet", "xlsx")
_PATHS = ("/v1/events", "/v1/roi/entries?measure=actual_cost")
_MB = 1024


def _costs() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        day = f"{2020 + number % 6}-{1 + number % 12:02}-{1 + number % 28:02}"
        data = {
            "cost_entry_id": f"K-{number}", "campaign_id": f"CMP-{number % 200}", "cost_date": day, "category": "media",
            "amount": {"amount": f"{number % 9999 + 1}.{number % 100:02}", "currency": "EUR"},
        }  # fmt: skip
        event = {"specversion": "1.0", "id": f"k{number}", "source": "/erp", "type": "campaign.cost_booked"}
        yield json.dumps({**event, "time": f"{day}T12:00:00Z", "data": data}).encode()


def _memory(pid: int) -> float:
    """Return the MB that a process has in memory."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / _MB


class _Beside:
    """What happens while a file is made: the most memory that the service has, and how long small reads wait."""

    def __init__(self, stage: Stage, server: Server) -> None:
        self.most, self.waits = 0.0, [0.0]
        self._stage, self._server, self._over = stage, server, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        with self._stage.http(self._server) as http:
            while not self._over.wait(0.05):
                started = time.perf_counter()
                http.get("/v1/ledger").raise_for_status()
                self.waits.append(time.perf_counter() - started)
                self.most = max(self.most, _memory(self._server.pid))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def main(size: int) -> None:
    """Print a line per path and format."""
    with setting.database() as dsn:
        stage = Stage(dsn, *setting.new_ledger(dsn), setting.USUAL, lines=_costs())
        with setting.served(dsn) as server:
            stage.fill(server, size)
            stage.caught_up(server)
        for path in _PATHS:
            for form in _FORMATS:
                with setting.served(dsn) as server, stage.http(server) as http, _Beside(stage, server) as beside:
                    time.sleep(1)
                    before, started, first, length = beside.most, time.perf_counter(), 0.0, 0
                    with http.stream("GET", f"{path}{'&' if '?' in path else '?'}format={form}") as answer:
                        for piece in answer.iter_raw():
                            first = first or time.perf_counter() - started
                            length += len(piece)
                    took = time.perf_counter() - started
                waits = sorted(beside.waits)
                print(
                    f"{path} {form}: {took:.1f} s (first byte {first:.1f}), {length / 1e6:.0f} MB, memory {before:.0f} to "
                    f"{beside.most:.0f} MB, others wait {1000 * waits[int(len(waits) * 0.95)]:.0f} ms at p95, "
                    f"{1000 * waits[-1]:.0f} ms at most",
                    flush=True,
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
