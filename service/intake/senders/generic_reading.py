"""Reading back for the kind `generic`: where a message only says that something has changed, its record is asked for.

    read_back:
      url: "https://api.shop.example/orders/{data.id}"     # the host stands in the mapping; fields come behind it
      headers: {x-api-key: "{token}"}                      # the source's credential; without headers: Bearer {token}
      path: order                                          # where in the answer the record is, or a list of them

What is read back is then what `record`, `at` and `events` speak of.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import httpx

from service.domain.catalogue import shown
from service.intake.senders.contract import Ignored, MalformedError, Request, Source, UnavailableError, Wanted
from service.intake.senders.fields import dig, json_of, with_defaults

_DEFAULTS: dict[str, Any] = {"url": None, "headers": {}, "path": None}
_SLOT = re.compile(r"\{([^{}]*)\}")
_REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


class ReadBack(NamedTuple):
    """Where records are read back, with which headers, and where they stand in the answer."""

    url: str
    headers: Mapping[str, str]
    path: str | None


def check_read_back(raw: Any) -> ReadBack | None:
    """Read where records are read back; ValueError names the key of what does not fit."""
    if raw is None:
        return None
    checked = with_defaults(raw, _DEFAULTS, ("headers", "read_back.headers"), "read_back.")
    start = _SLOT.split(str(checked["url"]))[0]
    parts = urlsplit(start)
    if parts.scheme not in ("http", "https") or not parts.hostname or "/" not in start.partition("://")[2]:
        raise ValueError(
            'read_back.url: expected a URL whose host stands in it, as in "https://api.example.com/orders/{id}", '
            f"got {shown(checked['url'])}"
        )
    if not all(isinstance(one, str) for one in checked["headers"].values()):
        raise ValueError('read_back.headers: expected texts in quotes, as in {x-api-key: "{token}"}')
    return ReadBack(checked["url"], checked["headers"] or {"authorization": "Bearer {token}"}, checked["path"])


def wanted(back: ReadBack, item: Any, request: Request, cell: Callable[[str], str]) -> Wanted | Ignored:
    """Return what a message wants read back; `cell` gives the text of a field of the message."""
    missing = [name for name in _SLOT.findall(back.url) if not cell(name)]
    if missing:
        return Ignored(f"there is no {' or '.join(missing)} in it, so nothing can be read back")
    url = _SLOT.sub(lambda match: quote(cell(match[1]), safe=""), back.url)
    content = hashlib.sha256(repr((url, item)).encode(errors="replace")).hexdigest()
    at = request.received_at.isoformat().replace("+00:00", "Z")  # the record itself says when it was so
    return Wanted("read-back", f"read/{content}", at, "", "stated", url, many=True)


async def fetch(
    one: Wanted, back: ReadBack, source: Source, client: httpx.AsyncClient
) -> list[dict[str, Any]] | Ignored:
    """Return the records that an answer has."""
    token = source.credentials.get("token", "")
    headers = {name: value.replace("{token}", token) for name, value in back.headers.items()}
    answer = await client.get(one.url, headers={"accept": "application/json", **headers})
    host = urlsplit(one.url).hostname
    if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        return Ignored(f"{host} has no such record any more ({answer.status_code})")
    if answer.status_code in _REFUSED:
        raise UnavailableError(f"{host} refuses the token ({answer.status_code}): check the source's credentials")
    if not answer.is_success:
        raise UnavailableError(f"{host} answered {answer.status_code} when a record was read back")
    body = json_of(answer.content)
    found = dig(body, back.path) if back.path else body
    several = found if isinstance(found, list) else [found]
    if not all(isinstance(record, dict) for record in several):
        raise MalformedError(f"{back.path or 'the answer'}: expected a record, or a list of them, got {shown(found)}")
    return several
