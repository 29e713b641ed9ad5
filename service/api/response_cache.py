"""Answers that still hold: a read asked again gets the bytes it had before, as long as nothing can have changed them.

    app.state.answers.keep(request, view, response)     # whoever has worked an answer out
    again = await kept.again(app, scope)                # the front door, before routing: None = work it out

An answer of now holds while the ledger stands at its position; one as known earlier holds wherever the ledger stands, for the
log up to there never changes. Both hold only for the tag of the read models that gave them. Where the ledger stands is
asked anew for each request, by one query for all that arrived before it began, so that no answer is older than its request.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

import asyncpg
from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from service.api.auth import Doorkeeper
from service.api.compression import WORTH_IT, packed
from service.api.exchange import Exchange, packed_headers
from service.projections.reports import reading
from service.store.ledgers import Ledger

_Key = tuple[int, bytes, bytes, str]  # ledger, path and query as they were asked, and what formats are accepted
_ABOUT = 1_000  # bytes that an answer takes besides its body, path and query
_ANY = ("*/*", "application/json")  # accepted as nothing in particular
_MOST = 8  # an answer larger than this part of what may be kept is not


class _Kept(NamedTuple):
    """An answer, and when it holds."""

    scope: str  # that a key needs for it
    read_model_tag: str
    position: int | None  # where the ledger has to stand; None = anywhere
    headers: tuple[tuple[bytes, bytes], ...]
    unchanged: tuple[tuple[bytes, bytes], ...]  # the headers of a 304
    tag: str
    body: bytes
    minute: datetime | None = None  # that it has to be; None = any
    packed: Mapping[str, bytes] = MappingProxyType({})  # the body by coding, once somebody has asked for it so

    def holds(self, now: reading.Serving) -> bool:
        """Tell whether it would be worked out to be the same again."""
        if self.minute is not None and self.minute != datetime.now(UTC).replace(second=0, microsecond=0):
            return False
        return self.read_model_tag == now.read_model_tag and self.position in (None, now.checkpoint)


class _Again(Response):
    """An answer whose headers are ready; they are copied, for middleware adds to those that it is given."""

    def __init__(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes = b"") -> None:
        self.status_code, self.raw_headers, self.body, self.background = status, list(headers), body, None


class Answers:
    """The answers given last, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    def get(self, key: _Key) -> _Kept | None:
        """Return the answer that a question had last."""
        if (found := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        return found

    def keep(
        self, request: Request, view: reading.Snapshot, scope: str, tag: str, answer: Response, unchanged: Response,
        minute: datetime | None = None,
    ) -> None:  # fmt: skip
        """Keep an answer for keys with a scope, and its 304, forgetting those that were not asked for longest.

        One that depends on what time it is holds for the `minute` that it was worked out in.
        """
        key = _key(view.ledger, request.scope, request.headers)
        kept = _Kept(
            scope, view.read_model_tag, view.as_of.position if view.current else None, tuple(answer.raw_headers),
            tuple(unchanged.raw_headers), tag, bytes(answer.body), minute,
        )  # fmt: skip
        self._put(key, kept)

    async def compressed(self, question: _Key, kept: _Kept, coding: str) -> bytes:
        """Return the body of an answer in a coding, and keep it so, unless another one has taken its place meanwhile."""
        if (made := kept.packed.get(coding)) is None:
            made = await packed(kept.body, coding)
            if self._kept.get(question) is kept:
                self._put(question, kept._replace(packed={**kept.packed, coding: made}))
        return made

    def _put(self, key: _Key, kept: _Kept) -> None:
        self._drop(key)
        if _size(key, kept) > self._most // _MOST:
            return
        self._kept[key] = kept
        self._bytes += _size(key, kept)
        while self._bytes > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        if (gone := self._kept.pop(key, None)) is not None:
            self._bytes -= _size(key, gone)


class Standing:
    """Where ledgers stand, asked of the database once for all who ask at the same time."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._next: dict[int, asyncio.Task[reading.Serving]] = {}
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, ledger: Ledger) -> reading.Serving:
        """Return where a ledger stands, by a query that begins after the call."""
        asked = self._next.get(ledger.ledger)
        if asked is None:
            asked = self._next[ledger.ledger] = asyncio.create_task(self._ask(ledger))
        return await asyncio.shield(asked)  # one who goes away does not take it from the others

    async def _ask(self, ledger: Ledger) -> reading.Serving:
        async with self._turns[ledger.ledger]:
            del self._next[ledger.ledger]  # who comes from here on needs one that begins later
            return await reading.serving(self._pool, ledger)


async def again(app: FastAPI, scope: Scope) -> Response | None:
    """Answer a read as before, to whoever may have it; None where there is no answer, or none that holds."""
    doorkeeper: Doorkeeper = app.state.doorkeeper
    answers: Answers = app.state.answers
    standing: Standing = app.state.standing
    headers = Headers(scope=scope)
    access = await doorkeeper.known(scope)
    if access is None or (kept := answers.get(question := _key(access.ledger, scope, headers))) is None:
        return None
    exchange: Exchange = scope["exchange"]
    exchange.access = access
    if not access.may(kept.scope):
        return None  # the route itself refuses it, or leaves out what this key may not see
    if not kept.holds(await standing.of(access.ledger)):
        return None
    await doorkeeper.admit(scope, kept.scope)  # refuses as it would without all this
    if matches(headers, kept.tag):
        return _Again(304, kept.unchanged)
    if len(kept.body) > WORTH_IT and (coding := exchange.coding):
        body = await answers.compressed(question, kept, coding)
        return _Again(200, packed_headers(kept.headers, coding, len(body)), body)
    return _Again(200, kept.headers, kept.body)


def matches(headers: Headers, tag: str) -> bool:
    """Tell whether the caller has the answer with this tag already."""
    wanted = headers.get("if-none-match")
    if wanted is None:
        return False
    known = [one.strip().removeprefix("W/") for one in wanted.split(",")]  # RFC 9110: a weak comparison
    return wanted.strip() == "*" or tag.removeprefix("W/") in known


def _key(ledger: Ledger, scope: Scope, headers: Headers) -> _Key:
    accept = ",".join(headers.getlist("accept"))
    path = scope.get("raw_path") or scope["path"].encode()
    return ledger.ledger, path, scope["query_string"], "" if accept in _ANY else accept


def _size(key: _Key, kept: _Kept) -> int:
    return sum(map(len, key[1:])) + len(kept.body) + sum(map(len, kept.packed.values())) + _ABOUT
