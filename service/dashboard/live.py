"""Tells open pages that their ledger has come to a new position, by server-sent events.

However many pages are open, the database is asked once in a while per ledger. A page that hears of a new position asks for
itself again, by its own URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.api.response_cache import Standing
from service.dashboard import access as entrance
from service.store.ledgers import Ledger

_PAUSE = 0.5  # seconds between looks
_STAYS = 600.0  # seconds after which a page has to ask again, and whether it still may is looked at
_BEAT = 20.0  # seconds after which something is sent, so that nobody on the way thinks it is over


@dataclass
class _Watched:
    """A ledger that pages are open of."""

    stand: str = ""
    pages: set[asyncio.Event] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


class Live:
    """All open pages of a process."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._watched: dict[int, _Watched] = {}
        self._ended = False

    def close(self) -> None:
        """End all: the service is ending, and waits for nobody who waits."""
        self._ended = True
        for one in self._watched.values():
            for page in one.pages:
                page.set()

    async def told(self, ledger: Ledger, seen: str) -> AsyncIterator[str]:
        """Yield server-sent events: where the ledger stands, whenever that is not where it was `seen` to stand last."""
        watched = self._watched.setdefault(ledger.ledger, _Watched())
        page, end = asyncio.Event(), time.monotonic() + _STAYS
        watched.pages.add(page)
        if watched.task is None:
            watched.task = asyncio.create_task(self._watch(ledger, watched))
        try:
            yield "retry: 2000\n\n"
            while not self._ended and time.monotonic() < end:
                if watched.stand and watched.stand != seen:
                    seen = watched.stand
                    yield f"event: position\ndata: {seen}\n\n"
                page.clear()
                try:
                    await asyncio.wait_for(page.wait(), _BEAT)
                except TimeoutError:
                    yield ": \n\n"
        finally:
            watched.pages.discard(page)
            if not watched.pages and watched.task is not None:
                watched.task.cancel()
                self._watched.pop(ledger.ledger, None)

    async def _watch(self, ledger: Ledger, watched: _Watched) -> None:
        while not self._ended:
            with contextlib.suppress(Exception):  # the database may be away; what asks for figures says so
                stand = await self._standing.of(ledger)
                now = f"{stand.checkpoint}.{stand.generation}.{stand.revision}"
                if now != watched.stand:
                    watched.stand = now
                    for page in watched.pages:
                        page.set()
            await asyncio.sleep(_PAUSE)


async def serve(request: Request) -> Response:
    """Keep a page told. `seen` is where it stands."""
    access = await entrance.reader(request)
    request.scope["exchange"].access = access
    live: Live = request.app.state.live
    stream = live.told(access.ledger, request.query_params.get("seen", ""))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
