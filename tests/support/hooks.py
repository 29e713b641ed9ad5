"""A sender, as tests need one: connects a source, posts correctly signed, and looks what became of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from service.intake.senders import KINDS
from service.intake.senders.contract import Source
from service.store.ledgers import Ledger
from tests.conftest import Api

SETTLED = ("accepted", "duplicate", "ignored", "rejected", "failed")

_http = httpx.Client()  # of the senders: without the API's key


class Sender(NamedTuple):
    """A connected system that posts to its URL."""

    api: Api
    url: str
    source: Source

    def post(self, body: bytes, headers: Mapping[str, str] | None = None, query: str = "") -> httpx.Response:
        """Post a body, signed as the kind signs; what `headers` say besides holds."""
        url = f"{self.url}?{query}" if query else self.url
        signed = KINDS[self.source.kind].sign(body, self.source._replace(public_url=url), datetime.now(UTC))
        given = {name.lower(): value for name, value in (headers or {}).items()}
        return _http.post(url, content=body, headers={**signed, **given}, timeout=60)

    def deliveries(self, **parameters: Any) -> list[dict[str, Any]]:
        """Return the deliveries as they stand, oldest first."""
        answer = self.api.http.get(f"/v1/sources/{self.source.id}/deliveries", params={"limit": 1000, **parameters})
        assert answer.status_code == 200, answer.text
        return list(reversed(answer.json()["items"]))

    def settled(self) -> list[dict[str, Any]]:
        """Return the deliveries when none waits for its first translation."""
        deadline = time.monotonic() + 60
        while True:
            found = self.deliveries()
            waiting = [one for one in found if one["state"] == "received" or _is_due(one)]
            if not waiting:
                return found
            assert time.monotonic() < deadline, waiting
            time.sleep(0.02)

    def events(self) -> list[dict[str, Any]]:
        """Return what the log has."""
        return list(self.api.http.get("/v1/events", params={"limit": 1000}).json())

    def call(self, method: str, path: str = "", **parameters: Any) -> httpx.Response:
        """Call something below the source."""
        return self.api.http.request(method, f"/v1/sources/{self.source.id}{path}", **parameters)


def connect_at(http: httpx.Client, kind: str, *secrets: str) -> Sender:
    """Connect a system over a client of the API."""
    return connect(Api(http, Ledger(1, "default", "EUR", "UTC"), ""), kind, *secrets)


def _is_due(delivery: dict[str, Any]) -> bool:
    return delivery["next_try"] is not None and datetime.fromisoformat(delivery["next_try"]) <= datetime.now(UTC)


def connect(api: Api, kind: str, *secrets: str, name: str = "shop", **more: Any) -> Sender:
    """Connect a system."""
    answer = api.http.post("/v1/sources", json={"kind": kind, "name": name, "secrets": secrets, **more})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    mapping = KINDS[kind].check_mapping(more.get("mapping", {}))
    path = urlsplit(made["url"]).path
    source = Source(
        made["id"], kind, name, secrets, mapping, made["url"], made["path_secret"], more.get("credentials", {})
    )  # fmt: skip
    return Sender(api, f"{str(api.http.base_url).rstrip('/')}{path}", source)
