"""Rounds of faults: each harms a service under load, undoes the harm, and waits until all is well again.

    python -m tests.crash.campaign --rounds 1000        # `make crash ROUNDS=1000`

Reported are the rounds, the events that were acknowledged, those of them that are lost or doubled, and how long it took
from the end of each kind of harm until posts, figures and /readyz were right again. Exit code 1 if anything was lost,
doubled or did not come back. A few rounds of each kind are among the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx

from tests.crash.stage import Stage, stage

Fault = Callable[[Stage], None]
FAULTS: dict[str, Fault] = {}
_CHAPTER = 20  # rounds on one database


def fault(name: str) -> Callable[[Fault], Fault]:
    """Add a kind of harm."""

    def add(harm: Fault) -> Fault:
        FAULTS[name] = harm
        return harm

    return add


def some_time(least: float, most: float) -> None:
    """Let the load go on for a while."""
    time.sleep(random.uniform(least, most))  # noqa: S311


@fault("service killed")
def service_killed(on: Stage) -> None:
    """`kill -9` of the service, which is started again; its embedded PostgreSQL goes with it."""
    on.process.kill()
    on.process.wait(30)
    on.start()


@fault("PostgreSQL killed")
def postgres_killed(on: Stage) -> None:
    """`kill -9` of PostgreSQL: an external one is started again on the same data, an embedded one has to come by itself."""
    if on.postgres is None:
        os.kill(on.server, signal.SIGKILL)
        return
    on.postgres.kill()
    some_time(0.0, 1.0)
    on.postgres.start()


@fault("backend killed")
def backend_killed(on: Stage) -> None:
    """`kill -9` of one process of PostgreSQL, which then ends all connections and recovers."""
    with contextlib.suppress(ProcessLookupError, IndexError):
        os.kill(random.choice(_backends(on)), signal.SIGKILL)  # noqa: S311


@fault("backends terminated")
def backends_terminated(on: Stage) -> None:
    """All our connections are terminated, many times at odd moments."""
    for _ in range(20):
        on.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'campaign-ledger'"
        )
        some_time(0.0, 0.05)


@fault("service stopped")
def service_stopped(on: Stage) -> None:
    """The service stands still, for some time longer than its leases last."""
    on.process.send_signal(signal.SIGSTOP)
    some_time(0.5, 7.0)
    on.process.send_signal(signal.SIGCONT)


@fault("PostgreSQL stopped")
def postgres_stopped(on: Stage) -> None:
    """All of PostgreSQL stands still."""
    with standing_still(on):
        some_time(0.5, 3.0)


@fault("read-only")
def read_only(on: Stage) -> None:
    """The database takes no writes."""
    on.sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    some_time(0.5, 3.0)
    on.sql("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


@fault("full disk")
def full_disk(on: Stage) -> None:
    """The disk of the database is full."""
    with filled(on):
        some_time(1.0, 4.0)


@contextlib.contextmanager
def filled(on: Stage) -> Iterator[None]:
    """Fill the disk while the block lasts. A server that has ended meanwhile is started again, as an operator would."""
    ballast = on.folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 20)):
            pass
    try:
        yield
    finally:
        ballast.unlink()
        if on.postgres is not None:
            on.postgres.start()


@contextlib.contextmanager
def standing_still(on: Stage) -> Iterator[None]:
    """Stop all processes of the database server while the block lasts."""
    stopped = [on.server, *_backends(on)]
    try:
        for one in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP)
        yield
    finally:
        for one in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)


def _backends(on: Stage) -> list[int]:
    """Return the processes of the database server."""
    parent, found = str(on.server), []
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (one / "stat").read_text().rpartition(")")[2].split()[1] == parent:
                found.append(int(one.name))
    return found


class Report:
    """What a campaign came to."""

    def __init__(self) -> None:
        self.rounds = self.acknowledged = self.lost = self.doubled = 0
        self.skipped: set[str] = set()
        self.failed: list[str] = []
        self.recoveries: defaultdict[str, list[float]] = defaultdict(list)

    @property
    def good(self) -> bool:
        """Whether nothing was lost or doubled, and all came back."""
        return not (self.lost or self.doubled or self.failed)

    def lines(self) -> Iterator[str]:
        """Tell it."""
        yield f"rounds {self.rounds}, acknowledged {self.acknowledged}, lost {self.lost}, doubled {self.doubled}"
        for name, seconds in sorted(self.recoveries.items()):
            median, most = statistics.median(seconds), max(seconds)
            yield f"  {name}: {len(seconds)} rounds, back after {median:.2f} s (median), {most:.2f} s (most)"
        yield from (f"  {name}: skipped, no disk of its own can be mounted here" for name in sorted(self.skipped))
        yield from (f"  FAILED {text}" for text in self.failed)


def play(on: Stage, names: list[str], report: Report, tell: Callable[[str], None] = lambda _: None) -> None:
    """Play rounds on one stage and see at the end that all is there."""
    before = (report.lost, report.doubled)
    for name in names:
        if name == "full disk" and not on.has_small_disk:
            report.skipped.add(name)
            continue
        some_time(0.1, 0.5)
        FAULTS[name](on)
        try:
            seconds = on.recovered()
            lost, doubled = on.read()
        except (AssertionError, OSError, asyncpg.PostgresError, httpx.HTTPError) as error:
            report.failed.append(f"{name}: {error}")
            tell(f"{name}: FAILED: {error}")
            return
        report.rounds += 1
        report.recoveries[name].append(seconds)
        report.lost, report.doubled = report.lost + lost, report.doubled + doubled
        tell(
            f"{name}: back after {seconds:.2f} s, {len(on.load.acknowledged)} acknowledged, {lost} lost, {doubled} doubled"
        )
    if (report.lost, report.doubled) == before:
        on.proven()
    report.acknowledged += len(on.load.acknowledged)
    report.failed += [f"answered {text}" for text in on.load.wrong[:3]]


def main() -> int:
    """Run a campaign and report it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument(
        "--fault", action="append", choices=list(FAULTS), help="only this kind; may be given several times"
    )
    parser.add_argument("--database", choices=["external", "embedded", "both"], default="both")
    parser.add_argument("--programs", type=Path, help="where the external PostgreSQL's programs are")
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    random.seed(asked.seed)
    report, chapter, began = Report(), 0, time.monotonic()
    names = asked.fault or list(FAULTS)
    left = asked.rounds
    try:
        while left > 0:
            external = asked.database == "external" or (asked.database == "both" and chapter % 2 == 0)
            chapter, now = chapter + 1, min(left, _CHAPTER)
            left -= now
            with stage(external=external, programs=asked.programs) as on:
                where = "external" if external else "embedded"
                order = [names[at % len(names)] for at in range(now)]
                random.shuffle(order)
                play(on, order, report, lambda text, where=where: print(f"{where}: {text}", flush=True))  # type: ignore[misc]  # noqa: T201
    except KeyboardInterrupt:
        pass
    print(f"after {time.monotonic() - began:.0f} s:", *report.lines(), sep="\n")  # noqa: T201
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
