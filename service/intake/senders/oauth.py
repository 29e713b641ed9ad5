"""OAuth 2.0 client credentials (RFC 6749, section 4.4), for kinds that read records back. Tokens are kept until they expire."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from service.intake.senders.contract import MalformedError, Source, UnavailableError

_SPARE_SECONDS = 60.0  # a token this near its end is not begun with
_DEFAULT_LIFE = 3600.0
_MOST_REMEMBERED = 1_000
_tokens: dict[tuple[str, ...], tuple[float, str]] = {}
_turns: dict[tuple[str, ...], asyncio.Lock] = {}


async def bearer(client: httpx.AsyncClient, source: Source, url: str, **parameters: str) -> dict[str, str]:
    """Return the Authorization header for a source whose credentials are `client_id` and `client_secret`.

    `url` is the token endpoint, `parameters` what it wants besides ("scope", "resource"). Raises MalformedError where the
    credentials are missing or refused, UnavailableError where no answer comes; neither tells a secret.
    """
    missing = [name for name in ("client_id", "client_secret") if not source.credentials.get(name)]
    if missing:
        raise MalformedError(f"the source needs the credentials {' and '.join(missing)} to read records back")
    key = (
        source.id,
        url,
        source.credentials["client_id"],
        source.credentials["client_secret"],
        *sorted(parameters.values()),
    )
    if len(_tokens) > _MOST_REMEMBERED:
        _tokens.clear()
        _turns.clear()
    async with _turns.setdefault(key, asyncio.Lock()):
        until, token = _tokens.get(key, (0.0, ""))
        if until <= time.monotonic():
            token, life = await _ask(client, source, url, parameters)
            _tokens[key] = (time.monotonic() + life - _SPARE_SECONDS, token)
    return {"Authorization": f"Bearer {token}"}


def forget(source: Source) -> None:
    """Forget the tokens of a source: after its API has refused one."""
    for key in [one for one in _tokens if one[0] == source.id]:
        del _tokens[key]


async def _ask(client: httpx.AsyncClient, source: Source, url: str, parameters: dict[str, str]) -> tuple[str, float]:
    form = {
        "grant_type": "client_credentials",
        "client_id": source.credentials["client_id"],
        "client_secret": source.credentials["client_secret"],
        **parameters,
    }
    response = await client.post(url, data=form)
    if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise UnavailableError(f"the token endpoint answered {response.status_code}")
    try:
        answer: Any = response.json()
        if response.is_success:
            return str(answer["access_token"]), float(answer.get("expires_in", _DEFAULT_LIFE))
        why = str(answer.get("error", ""))[:80]
    except (ValueError, KeyError, TypeError, AttributeError):
        why = "no JSON with an access_token"
    raise MalformedError(f"the token endpoint answered {response.status_code} {why}: check the credentials and the URL")
