"""All benchmarks: one ledger that grows, measured at each size; prints the tables and writes them into docs.

python benchmarks/run.py           10⁴ and 10⁵ events
python benchmarks/run.py --full    10⁶ and 10⁷ too
python benchmarks/run.py --quick   tries the programs out with small sizes; writes nothing
python benchmarks/run.py --sizes 10000,1000000
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import bulk, cost, freshness, ingest, peers, projection, reads, setting, soak, starting, table
from benchmarks.setting import QUICK, USUAL, Effort, Stage
from benchmarks.table import Row

DOCS = Path(__file__).parents[1] / "docs"
_USUAL_SIZE = 100_000  # the one of the table of ratios
_LARGE = 1_000_000  # from which one round of the long rows is enough
_SIZES = (10_000, _USUAL_SIZE)
_FULL = (10_000, _USUAL_SIZE, 1_000_000, 10_000_000)
_QUICK = (1_000, 30_000)
# What leaves the ledger as it is comes first; what appends comes last, and takes the ledger on towards the next size.
_PROGRAMS = (reads.measure, projection.measure, freshness.measure, ingest.measure, bulk.measure)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sizes", type=lambda text: tuple(map(int, text.split(","))))
    given = parser.parse_args()
    sizes = given.sizes or (_QUICK if given.quick else _FULL if given.full else _SIZES)
    effort = QUICK if given.quick else USUAL
    compared_at = _USUAL_SIZE if _USUAL_SIZE in sizes else sizes[-1]
    storage = cost.storage(compared_at, effort)
    rows: list[Row] = []
    with setting.database() as dsn:
        for row in _all(dsn, effort, sizes, compared_at):
            print("  " + table.side_by_side([row]).splitlines()[-1].rpartition("|")[0].rpartition("|")[0], flush=True)
            rows.append(row)
        machine = _machine(dsn)
    compared = [row for row in rows if row.size in (0, compared_at)]
    ratios = f"{machine}\n\nWith {compared_at:,} events:\n\n{table.side_by_side(compared)}"
    growth = table.growth(rows)
    costs = f"{machine}\n\n{storage}\n\n{cost.seconds(rows, compared_at)}"
    print(f"\n{ratios}\n\n{growth}\n\n{costs}")
    if not given.quick:
        table.write_section(DOCS / "performance.md", "ratios", ratios)
        table.write_section(DOCS / "performance.md", "growth", growth)
        table.write_section(DOCS / "scaling.md", "costs", costs)


def _all(dsn: str, effort: Effort, sizes: tuple[int, ...], compared_at: int) -> Iterator[Row]:
    """Yield the rows, size by size."""
    yield from starting.measure(dsn, effort)
    stage = Stage(dsn, *setting.new_ledger(dsn), effort)
    for size in sizes:
        print(f"-- {size:,} events", flush=True)
        stage.size = size
        stage.effort = _effort_at(size, effort)
        yield from projection.grow(stage, size)
        for program in _PROGRAMS:
            yield from program(stage)
        setting.apart(projection.timed, projection.followed, dsn, stage.ledger)
        if size == compared_at:
            yield from peers.measure(stage)
    yield from soak.measure(effort)


def _effort_at(size: int, effort: Effort) -> Effort:
    """Return how much to do: so little on a small ledger that it is still small afterwards, and few rounds on a large one."""
    requests, seconds = min(effort.requests, size // 16), min(effort.seconds, size / 5_000)
    return Effort(1 if size >= _LARGE else effort.rounds, requests, seconds)


def _machine(dsn: str) -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    server = setting.ask(dsn, "SHOW server_version")[0][0]
    fsync, commit = (setting.ask(dsn, f"SHOW {name}")[0][0] for name in ("fsync", "synchronous_commit"))
    return (
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"Python {platform.python_version()}, PostgreSQL {server} (fsync {fsync}, synchronous_commit {commit})."
    )


if __name__ == "__main__":
    main()
