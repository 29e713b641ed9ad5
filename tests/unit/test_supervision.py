"""Parts come back by themselves, and tell once that they went and once that they are back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from service.store import faults
from service.supervision import Part, Parts


@pytest.fixture
def said() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


async def test_whatever_ends_a_step_there_is_a_next_one_after_a_pause_that_nothing_cuts_short(said: list[Any]) -> None:
    clock = asyncio.get_running_loop().time
    errors: list[Exception] = [asyncpg.InternalClientError("state 3"), MemoryError(), KeyError("x")]
    begun: list[float] = []

    async def step() -> float:
        begun.append(clock())
        if errors:
            raise errors.pop(0)
        return 1.0

    async def woken(_: float) -> None:
        """Somebody always has something to do."""

    part = Parts()["projector"]
    await part.repeat(step, woken, lambda: len(begun) == 6)
    pauses = [after - before for before, after in pairwise(begun)]
    assert [one > least for one, least in zip(pauses, (0.09, 0.19, 0.39), strict=False)] == [True] * 3
    assert [(one["event"], one.get("failures")) for one in said] == [
        ("a part is down", None),
        ("a part is up again", 3),
    ]
    assert part.state.up


def test_a_pause_grows_and_ends_at_some_seconds_until_the_part_works_again() -> None:
    part = Part("database", needed=True)
    pauses = [part.failed(OSError("gone")) for _ in range(40)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
    state = part.state
    since = state.since
    assert tuple(state) == ("database", False, since, "OSError: gone", 40, True)
    assert state.told() == f"down since {since.isoformat(timespec='seconds')}: OSError"
    part.works()
    assert part.failed(OSError()) == 0.1


async def test_who_is_asked_to_stop_does_not_sit_out_a_pause() -> None:
    part = Part("translator", needed=False)
    for _ in range(10):
        part.failed(OSError())
    stopped = False

    async def step() -> float:
        nonlocal stopped
        stopped = True
        raise OSError

    await asyncio.wait_for(part.repeat(step, stopped=lambda: stopped), 1)


def test_surprises_are_logged_with_where_they_arose_and_lost_connections_are_not(said: list[Any]) -> None:
    parts = Parts()
    parts["one"].failed(ConnectionRefusedError("refused"))
    parts["two"].failed(asyncpg.InternalClientError("got result for unknown protocol state 3"))
    parts["three"].failed(ZeroDivisionError())
    assert [one["exc_info"] is not None for one in said] == [False, False, True]


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="a log without room is tried on /dev/full, which only Linux has"
)
def test_a_log_on_a_full_disk_is_no_reason_for_anything_to_fail() -> None:
    program = """
from service import telemetry
from service.supervision import Parts
telemetry.configure_logs("INFO")
for _ in range(1000):
    Parts()["projector"].failed(OSError())
print("goes on")
"""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", program], stderr=full, stdout=subprocess.PIPE, check=False)  # noqa: S603
    assert done.stdout == b"goes on\n"


def of_state(state: str, **more: Any) -> BaseException:
    return asyncpg.PostgresError.new({"C": state, "M": "told", **more})


@pytest.mark.parametrize(
    ("state", "fault", "outage"),
    [
        ("08006", True, True), ("57P01", True, True), ("57P03", True, True), ("53100", True, True), ("53300", True, True),
        ("25006", True, True), ("28P01", True, True), ("3D000", True, True),
        ("40001", True, False), ("40P01", True, False), ("55P03", True, False), ("57014", True, False),
        ("53200", True, False), ("58030", True, False), ("XX000", True, False), ("XX001", True, False),
        ("22P02", False, False), ("23505", False, False), ("42601", False, False), ("42P01", False, False),
        ("54000", False, False), ("CL001", False, False),
    ],
)  # fmt: skip
def test_what_is_a_fault_of_the_database_goes_by_the_class_of_its_state(state: str, fault: bool, outage: bool) -> None:
    error = of_state(state)
    assert (faults.is_fault(error), faults.is_outage(error)) == (fault, outage)


def test_what_breaks_a_connection_is_not_what_a_statement_or_a_value_does() -> None:
    broken = [
        of_state("57P01", V="FATAL"), of_state("25P03", V="FATAL"), asyncpg.InternalClientError("state 3"),
        asyncpg.InterfaceError("another operation is in progress"), ConnectionResetError(),
    ]  # fmt: skip
    whole = [
        of_state("57014", V="ERROR"), of_state("23505", V="ERROR"), asyncpg.exceptions._base.DataError("$1: too large"),  # noqa: SLF001
        TimeoutError(), ValueError(),
    ]  # fmt: skip
    assert [faults.is_connection_broken(one) for one in (*broken, *whole)] == [True] * 5 + [False] * 5
    assert not faults.is_fault(whole[2])  # the value is ours
    assert faults.is_fault(TimeoutError())
