"""The parts of a running service, each of which comes back by itself: whatever ended it, after a pause that grows.

    parts = Parts()
    await parts["translator"].repeat(step, rest)    # step after step, for as long as the process lives

A part is up or down, since some moment and for some reason. When it goes, the log says so in one line; when it comes back, in
another one, with how often it failed in between. What `/readyz`, `status` and the metrics tell is this table.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from service import telemetry

_log = telemetry.logger("service")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds: what was away for hours is back within moments all the same
_GLANCE = 0.1  # seconds between looks for whether a pause is still wanted
_LONGEST_REASON = 300  # characters


class State(NamedTuple):
    """How a part is: up, or down and why; since when, and how often it failed since then."""

    part: str
    up: bool
    since: datetime
    why: str | None
    failures: int
    needed: bool

    def told(self) -> str:
        """Return it in words that anybody may read: the reason may name hosts, ledgers or values."""
        kind = (self.why or "").partition(":")[0]
        return "ok" if self.up else f"down since {self.since.isoformat(timespec='seconds')}: {kind}"


class Part:
    """One part. `needed` says that the process cannot do its work without it."""

    def __init__(self, name: str, *, needed: bool) -> None:
        self.name = name
        self._needed = needed
        self._since = datetime.now(UTC)
        self._why: str | None = None
        self._failures = 0

    @property
    def is_up(self) -> bool:
        """Whether it worked when it was used last."""
        return not self._failures

    @property
    def state(self) -> State:
        """How it is now."""
        return State(self.name, self.is_up, self._since, self._why, self._failures, self._needed)

    def failed(self, error: BaseException | str) -> float:
        """Note that it does not work; return the seconds to wait until it is tried again."""
        self._failures += 1
        if self._failures == 1:
            self._since, self._why = datetime.now(UTC), reason(error)
            known = None if isinstance(error, str) or is_expected(error) else error
            _log.error("a part is down", which=self.name, why=self._why, exc_info=known)
        return float(min(_FIRST_PAUSE * 2 ** min(self._failures - 1, 10), _LONGEST_PAUSE))

    def works(self) -> None:
        """Note that it works."""
        if self._failures:
            now = datetime.now(UTC)
            _log.warning(
                "a part is up again", which=self.name, was=self._why, failures=self._failures,
                seconds=round((now - self._since).total_seconds(), 3),
            )  # fmt: skip
            self._since, self._why, self._failures = now, None, 0

    async def repeat(
        self, step: Callable[[], Awaitable[float]], rest: Callable[[float], Awaitable[object]] = asyncio.sleep,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """Take a step again and again until `stopped`: after the seconds that the last one returned, or a pause if it failed."""
        while not stopped():
            try:
                seconds = await step()
            except Exception as error:  # noqa: BLE001  whatever it is, there has to be a next step
                await self.pause(self.failed(error), stopped)
            else:
                self.works()
                if seconds and not stopped():
                    await rest(seconds)

    @staticmethod
    async def pause(seconds: float, stopped: Callable[[], bool]) -> None:
        """Wait, but not for longer than until `stopped`; nothing else cuts it short."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        while not stopped() and (left := until - clock()) > 0:  # noqa: ASYNC110  threads may ask for the end
            await asyncio.sleep(min(left, _GLANCE))


class Parts:
    """The parts of this process; each writes its own from one thread, and anybody may read."""

    def __init__(self) -> None:
        self.process = f"{socket.gethostname()}:{os.getpid()}"
        self._parts: dict[str, Part] = {}

    def __getitem__(self, name: str) -> Part:
        """Return a part that the process needs."""
        return self._parts.get(name) or self._parts.setdefault(name, Part(name, needed=True))

    def beside(self, name: str) -> Part:
        """Return a part without which the process can still do what it is for."""
        return self._parts.get(name) or self._parts.setdefault(name, Part(name, needed=False))

    def forget(self, name: str) -> None:
        """Drop a part that is not there any more."""
        self._parts.pop(name, None)

    def states(self) -> list[State]:
        """Return how they are."""
        return [one.state for one in list(self._parts.values())]


def reason(error: BaseException | str) -> str:
    """Return why, in one line. What values a statement had is not in the first line of what PostgreSQL says."""
    if isinstance(error, str):
        return error
    while type(error).__name__ == "InterfaceError" and error.__context__ is not None:
        error = error.__context__  # the driver tells that a connection is closed over what closed it
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}"[:_LONGEST_REASON].removesuffix(": ")


def is_expected(error: BaseException) -> bool:
    """Tell whether an error says enough by itself: where it arose is of no interest, as with a database that is not there."""
    return isinstance(error, OSError | TimeoutError) or type(error).__module__.startswith("asyncpg.")
