"""Work on many rows leaves the event loop to others."""

from __future__ import annotations

import threading

import pytest

from service.projections.sums.threads import apart


async def test_many_rows_are_worked_on_in_a_thread_and_few_at_once() -> None:
    here = threading.current_thread().name
    assert await apart(3, lambda: threading.current_thread().name) == here
    assert await apart(50_000, lambda: threading.current_thread().name) != here


async def test_what_fails_in_a_thread_fails_for_whoever_waits() -> None:
    def fail(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ValueError, match="7"):
        await apart(50_000, fail, 7)
