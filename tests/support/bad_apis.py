"""APIs of senders that would take all the time or all the memory: they drip, they unfold, they have no end."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.senders_api import Streamed
from tests.support.stories.business_central import COMPANY, ROOT, document

Answered = tuple[int, Any]
UNFOLDED = 512 * 1024 * 1024
TOKEN = {"access_token": "a-token", "expires_in": 3600}
_bomb: list[bytes] = []


def dripping(method: str, *_: Any) -> Answered:
    """Give a token, and of any document a byte every tenth of a second."""
    return (200, TOKEN) if method == "POST" else (200, drip())


def drip(seconds: float = 600) -> Streamed:
    def parts() -> Iterator[bytes]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            yield b" "
            time.sleep(0.1)

    return Streamed({"Content-Type": "application/json", "Content-Length": "100000000"}, parts())


def bomb() -> Streamed:
    """Return half a megabyte that unfolds to a thousand times as much JSON."""
    if not _bomb:
        packer = gzip.zlib.compressobj(9, wbits=31)  # type: ignore[attr-defined]
        pieces = [packer.compress(b'{"value": [')]
        pieces += [packer.compress(b"       0," * (1024 * 1024 // 9)) for _ in range(UNFOLDED // 1024 // 1024)]
        _bomb.append(b"".join([*pieces, packer.compress(b"0]}"), packer.flush()]))
    raw = _bomb[0]
    return Streamed({"Content-Encoding": "gzip", "Content-Length": str(len(raw))}, [raw])


def unfolding(method: str, *_: Any) -> Answered:
    """Give a token, and the bomb for any document."""
    return (200, TOKEN) if method == "POST" else (200, bomb())


class Endless:
    """Pages of documents, each of which names another one."""

    def __init__(self) -> None:
        self.pages = 0
        self._lock = threading.Lock()

    def __call__(self, method: str, path: str, headers: Mapping[str, str], _: bytes) -> Answered:
        if method == "POST":
            return 200, TOKEN
        with self._lock:
            self.pages += 1
            page = self.pages
        documents = [
            document(
                f"PS-{page}-{number}",
                "2026-05-04T10:00:00Z",
                10.0,
                "Open",
                postingDate="2026-05-04",
                orderNumber="x" * 2000,
            )
            for number in range(500)
        ]
        link = f"http://{headers['host']}{path.partition('&$skiptoken')[0]}&$skiptoken={page}"
        return 200, json.dumps({"value": documents, "@odata.nextLink": link}).encode()


def mapping(url: str) -> dict[str, Any]:
    """Return the mapping of a source of Business Central that reads from such an API."""
    return {"company_url": f"{url}{ROOT}", "token_url": f"{url}/token", "currency": "EUR"}


RESOURCE = f"api/v2.0/companies({COMPANY})"
