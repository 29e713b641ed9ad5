"""Start: how do figures come in here? A key, a system that sends, a file, or the demo."""

from __future__ import annotations

import asyncio
from typing import Any

from service.api.problems import ProblemError
from service.dashboard.desk import Desk
from service.dashboard.forms import Act, Deed, Done
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.screens.operations import make_key
from service.intake.senders import KINDS
from service.store import ledgers, sources
from service.store.rows import encode_json

_WATCHED_SECONDS = 2  # between looks at whether anything has come
_AT_ONCE = 1_000  # events of the demo in one transaction


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    pool, ledger = desk.service.pool, desk.view.ledger
    admin, position = desk.access.may("admin"), desk.view.as_of.position
    base = desk.service.settings.public_url or str(desk.request and desk.request.base_url)
    demo = desk.request is not None and desk.request.app.state.demo is not None
    return {
        "empty": position == 0, "position": desk.writer.number(position), "kinds": KINDS.values(),
        "loading": desk.state.one("loading") == "demo", "can_load": demo and desk.may("admin"),
        "keys": [one for one in await ledgers.keys(pool, ledger) if one.state == "in force"] if admin else [],
        "sources": await sources.of_ledger(pool, ledger.ledger) if admin else [], "again": _WATCHED_SECONDS,
        "base": base.rstrip("/"),
    }  # fmt: skip


async def _load_demo(deed: Deed) -> Done:
    """Begin to record the demo's events in a ledger that has none."""
    state, service, ledger = deed.request.app.state, deed.service, deed.ledger.ledger
    if await service.intake.last_position(ledger) or state.demo is None:
        raise ProblemError(409, "the demo goes into a ledger in which nothing is recorded")

    async def load() -> None:
        events = await asyncio.to_thread(lambda: [encode_json(one) for one in state.demo()])
        for start in range(0, len(events), _AT_ONCE):
            await service.intake.take(ledger, events[start : start + _AT_ONCE])

    task = asyncio.create_task(load())
    state.importing.add(task)
    task.add_done_callback(state.importing.discard)
    return Done("start", {"loading": "demo"})


SCREENS = [
    Screen(
        "start", N_("How do figures come in here?"), "start.html", build, menu=N_("Start"), order=100, scope="figures",
        controls=(), fresh=True, acts={"make_key": Act("admin", make_key), "demo": Act("admin", _load_demo)},
    )
]  # fmt: skip
