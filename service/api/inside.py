"""The API asked from within the process, by what sends reports and looks for alerts: the same answers, without a key.

async with inside.client(service, ledger) as http:
    answer = await http.get("/v1/roi", params={"format": "xlsx"})
"""

from __future__ import annotations

import httpx
from starlette.types import Scope

from service.api.app import create
from service.api.auth import Doorkeeper
from service.bootstrap import Service
from service.store.ledgers import Access, Ledger

_SECONDS = 600.0


class _Insider(Doorkeeper):
    """Lets whoever asks read one ledger: nobody else reaches this application, which listens nowhere."""

    def __init__(self, service: Service, ledger: Ledger) -> None:
        super().__init__(service)
        self._access = Access(ledger, frozenset(("read", "figures")), "notices")

    async def admit(self, scope: Scope, needed: str | None, ledger: str | None = None) -> Access:  # noqa: ARG002  reads alone
        return self._access

    async def known(self, scope: Scope) -> Access | None:  # noqa: ARG002
        return self._access


def client(service: Service, ledger: Ledger) -> httpx.AsyncClient:
    """Return a client of the API that reads a ledger."""
    front = create(service)
    front.app.state.doorkeeper = _Insider(service, ledger)
    return httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://inside", timeout=_SECONDS)
