"""Who may see which ledger on the page.

A seam: whatever else lets somebody in, a session for example, is one more function of WAYS.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from service.api.auth import Doorkeeper
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
        raise ProblemError(401, "sign in with an API key of the ledger", headers=_ASK)
    wanted = request.path_params.get("ledger")
    if wanted is not None and wanted != access.ledger.name:
        raise ProblemError(404, f"there is no ledger {wanted[:100]!r} that you may see")
    if not access.may(scope):
        raise ProblemError(403, f"this needs the scope {scope}; you have {', '.join(sorted(access.scopes))}")
    return access


async def _by_key(request: Request) -> Access | None:
    """Let in by an API key, as a bearer token or as the password of HTTP Basic; a wrong one is refused."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    kind, _, given = authorization.partition(" ")
    if kind.lower() == "basic":
        try:
            authorization = "Bearer " + base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            raise ProblemError(401, "this is not HTTP Basic", headers=_ASK) from None
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    try:
        return await doorkeeper.admit(authorization, "figures")
    except ProblemError as problem:
        if problem.status == 401:  # noqa: PLR2004  so that a browser asks once more
            problem.headers = _ASK
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


WAYS: list[Way] = [_by_key, _by_open_ledger]
