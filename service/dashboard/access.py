"""Who may see which ledger on the page.

A seam: whatever else lets somebody in is one more function of WAYS.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from service.api.auth import Doorkeeper
from service.api.presented import presented
from service.api.problems import ProblemError
from service.bootstrap import Service
from service.store import ledgers
from service.store.ledgers import Access

_ASK = {"WWW-Authenticate": 'Basic realm="Campaign Ledger", charset="UTF-8"'}
_OPEN = frozenset({"read"})
Way = Callable[[Request], Awaitable["Access | None"]]


async def reader(request: Request, scope: str = "figures") -> Access:
    """Return what the reader of a page may see; raises a 401 or 403 problem.

    Where the URL names a ledger, it is that one: another one is as if it were not there.
    """
    for way in WAYS:
        access = await way(request)
        if access is not None:
            break
    else:
        raise ProblemError(401, "sign in at /login")
    wanted = request.path_params.get("ledger")
    if wanted is not None and (wanted != access.ledger.name or not access.scopes):
        raise ProblemError(404, f"there is no ledger {wanted[:100]!r} that you may see")
    if not access.may(scope):
        raise ProblemError(403, f"this needs the scope {scope}; you have {', '.join(sorted(access.scopes))}")
    return access


async def _by_key_or_session(request: Request) -> Access | None:
    """Let in by what the API lets in by: a key as a bearer token or the password of HTTP Basic, or a session."""
    brought = presented(request.scope)
    if not brought.secret and "authorization" not in request.headers:
        return None
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    try:
        return await doorkeeper.admit(request.scope, None, request.path_params.get("ledger"))
    except ProblemError as problem:
        if problem.status != 401:  # noqa: PLR2004  HTTP's
            raise
        if brought.way == "session":
            return None  # it has ended: as if there was none
        problem.headers = _ASK  # so that a browser asks once more
        raise


async def _by_open_ledger(request: Request) -> Access | None:
    """Let anybody on this machine see the one ledger that is open: the demo's."""
    service: Service = request.app.state.service
    name = service.settings.open_ledger
    if (
        name is None
        or not _is_loopback(request.client.host if request.client else "")
        or not _is_loopback(_host(request))
    ):
        return None
    ledger = await ledgers.ledger_named(service.pool, name)
    return None if ledger is None else Access(ledger, _OPEN, "open")


def _host(request: Request) -> str:
    """Return the host that was asked for: a name of elsewhere that leads here is not this machine's."""
    host = request.url.hostname or ""
    return "127.0.0.1" if host == "localhost" else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


WAYS: list[Way] = [_by_key_or_session, _by_open_ledger]
