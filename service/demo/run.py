"""The demo: a real service on the embedded database, a portfolio sent to it over HTTP, and its figures read back.

What is shown comes from the API, as any client would get it. Running it again sends the same events, which are all
duplicates then.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

import asyncpg
import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from service.bootstrap import opened
from service.demo import showing
from service.demo.outbox import Event
from service.demo.portfolio import everything
from service.demo.sending import Sent, read, send
from service.server import interruption, serving
from service.settings import Settings
from service.store import ledgers

LEADS = 9_000
_WIDTH = 100


class _Shown(NamedTuple):
    """What is to be shown, and when half of the events had been recorded."""

    tables: list[Table]
    middle: str


def console() -> Console:
    """Return where the demo writes: the terminal as it is, or 100 columns of plain text."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH)


async def run(settings: Settings, dsn: str, listener: socket.socket, out: Console, *, leads: int, stay: bool) -> None:
    """Serve, send the portfolio, show the figures, and `stay` until SIGINT or SIGTERM."""
    settings = settings.model_copy(update={"open_ledger": _ledger_name(leads)})
    with interruption() as interrupted:
        async with opened(settings, dsn, projector=True) as service, serving(service, listener) as url:
            key = await _key(service.pool, leads)
            shown = await _unless(interrupted, _figures(url, key, out, leads))
            if shown:
                for table in shown.tables:
                    out.print()
                    out.print(table)
                if stay:
                    out.print(showing.commands(url, key, shown.middle), soft_wrap=True, markup=False)
                    await interrupted.wait()
            if interrupted.is_set():
                out.print("\nstopping")


async def _unless(interrupted: asyncio.Event, work: Coroutine[Any, Any, _Shown]) -> _Shown | None:
    """Do the work and return its result; None if interrupted."""
    doing, waiting = asyncio.create_task(work), asyncio.create_task(interrupted.wait())
    await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if doing.done():
        waiting.cancel()
        return doing.result()
    doing.cancel()
    await asyncio.wait({doing})
    return None


def _ledger_name(leads: int) -> str:
    return "demo" if leads == LEADS else f"demo-{leads}"


async def _key(pool: asyncpg.Pool, leads: int) -> str:
    """Return a new key on the demo's ledger, in place of those of earlier runs; each size has a ledger of its own."""
    name = _ledger_name(leads)
    ledger = await ledgers.ledger_named(pool, name) or await ledgers.create_ledger(pool, name)
    for one in await ledgers.keys(pool, ledger):
        if one.name == "demo" and one.revoked_at is None:
            await ledgers.revoke_key(pool, one.key_id)
    return await ledgers.create_key(pool, ledger, ledgers.SCOPES, "demo")


async def _figures(url: str, key: str, out: Console, leads: int) -> _Shown:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, trust_env=False) as http:
        with out.status("making up two years of marketing"):
            events = await asyncio.to_thread(lambda: list(everything(leads=leads)))
        begun = time.perf_counter()
        done, roi = await _sent(http, events, out)
        ready = time.perf_counter() - begun
        tables = [
            showing.ranking(roi, out.width),
            showing.funnel(await read(http, "/v1/conversion", done.last_position), out.width),
            showing.velocity(await read(http, "/v1/velocity", done.last_position)),
            showing.sent(done, ready),
        ]
        middle = (await http.get(f"/v1/events/{max(1, done.last_position // 2)}")).json()
        return _Shown(tables, middle["recorded_at"])


async def _sent(http: httpx.AsyncClient, events: Sequence[Event], out: Console) -> tuple[Sent, dict[str, Any]]:
    """Send the events and wait until they are in the figures; return the ROI with all of them."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(40), MofNCompleteColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        sending = bar.add_task("sent over HTTP  ", total=len(events))
        projecting = bar.add_task("in the figures", total=None)
        watching = asyncio.create_task(_watch(http, bar, projecting))
        try:
            done = await send(http, events, lambda count: bar.update(sending, completed=count))
            roi = await read(http, "/v1/roi", done.last_position, include="break_even_on")
        finally:
            watching.cancel()
    return done, roi


async def _watch(http: httpx.AsyncClient, bar: Progress, task: TaskID) -> None:
    while True:
        ledger = (await http.get("/v1/ledger")).json()
        bar.update(task, completed=ledger["projected_position"], total=ledger["last_position"] or None)
        await asyncio.sleep(0.2)
