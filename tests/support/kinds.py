"""What unit tests of the kinds of senders share: a request, what is read in it, and what a record gives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from service.intake.senders import KINDS
from service.intake.senders.contract import Draft, Ignored, Request, Source, Statement, Waiting, in_order
from tests.support.senders_api import Answer

NOW = datetime(2026, 4, 1, 10, tzinfo=UTC)  # when all that senders post is received


def posted(
    body: Any = b"{}", headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None,
    *, url: str = "https://x.test/h", at: datetime = NOW,
) -> Request:  # fmt: skip
    """Return what a sender posts; a body that is no bytes is written as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", url, headers or {}, query or {}, raw, at)


def parts_of(at: Source, *bodies: Any) -> list[Any]:
    """Return the parts of messages: of requests as they stand, of bodies without headers."""
    requests = (one if isinstance(one, Request) else posted(one) for one in bodies)
    return [part for one in requests for part in KINDS[at.kind].read(one, at)]


def stated(parts: Iterable[Any]) -> list[Statement]:
    """Return the parts, all of which state something."""
    found = list(parts)
    assert all(isinstance(one, Statement) for one in found), found
    return found


def translated(at: Source, parts: Iterable[Any], record: str = "") -> list[Draft | Waiting]:
    """Return what a record gives by all that is stated of it; without a name it is the one that is spoken of first."""
    found = [one for one in parts if isinstance(one, Statement)]
    name = record or (found[0].record if found else "")
    several = in_order(one for one in found if one.record == name)
    return list(KINDS[at.kind].translate(name, several, at)) if several else []


def by_key(parts: Iterable[Any]) -> dict[str, Draft]:
    """Return the events of a record by their keys."""
    return {one.key: one for one in parts if isinstance(one, Draft)}


def events(parts: Iterable[Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return type, time and data of the events of a record, by their keys."""
    return {key: (one.type, one.time, one.data) for key, one in by_key(parts).items()}


def reasons(parts: Iterable[Any]) -> list[str]:
    """Return why parts of a message are ignored, or why events of a record wait."""
    return [one.reason for one in parts if isinstance(one, Ignored | Waiting)]


def reason(parts: Iterable[Any]) -> str:
    """Return why the only part of a message is ignored, or the only event of a record waits."""
    (one,) = parts
    assert isinstance(one, Ignored | Waiting)
    return one.reason


def euros(amount: str) -> dict[str, str]:
    """Return an amount as events have it."""
    return {"amount": amount, "currency": "EUR"}


def asking(answer: Answer) -> httpx.AsyncClient:
    """Return a client that is answered by a function, for URLs of hosts that are nowhere."""

    def handle(asked: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        status, value = answer(asked.method, asked.url.raw_path.decode(), headers, asked.content)
        return httpx.Response(status, content=value if isinstance(value, bytes) else json.dumps(value).encode())

    return httpx.AsyncClient(transport=httpx.MockTransport(handle))
