"""Since when a reader has not looked: a preference of the browser, by ledger.

A visit lasts until nothing was looked at for some hours. What is new is what came since the end of the visit before.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from starlette.requests import Request

_COOKIE = "looked"
_VISIT_MINUTES = 240
_DIGITS = 18
_KEPT_SECONDS = 400 * 86_400


class Looked(NamedTuple):
    """The position that was seen last in the visit before, that of this visit, and the minute of the last look."""

    before: int
    last: int
    minute: int


def read(request: Request, now: datetime) -> Looked | None:
    """Return where a reader stands; None if they look for the first time."""
    parts = request.cookies.get(_COOKIE, "").split(".")
    if len(parts) != len(Looked._fields) or not all(
        one.isascii() and one.isdigit() and len(one) < _DIGITS for one in parts
    ):
        return None
    found = Looked(*map(int, parts))
    over = _minute(now) - found.minute > _VISIT_MINUTES
    return found._replace(before=found.last) if over else found


def cookie(looked: Looked | None, position: int, now: datetime, ledger: str) -> str:
    """Return the header that remembers this look."""
    value = ".".join(map(str, Looked(looked.before if looked else position, position, _minute(now))))
    return f"{_COOKIE}={value}; Path=/ledgers/{quote(ledger, safe='')}; Max-Age={_KEPT_SECONDS}; SameSite=Lax; HttpOnly"


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)
