"""OAuth 2.0 (RFC 6749) for kinds that read records back: client credentials (section 4.4) and refresh tokens (section 6).

Access tokens are remembered until they expire. Where a refresh token serves only once (`rotating`), what comes with an
access token is kept with the source before it is used, and all processes share it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from service.domain.catalogue import shown
from service.intake.senders.contract import Credentials, MalformedError, Source, UnavailableError

_SPARE_SECONDS = 60.0  # a token this near its end is not begun with
_SPARE_SECONDS_OF_ROTATING = 25.0  # some give no new token before the old one has nearly ended
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
    async with _turn(key):
        until, token = _tokens.get(key, (0.0, ""))
        if until <= time.monotonic():
            token, life = await _ask(client, source, url, parameters)
            _tokens[key] = (time.monotonic() + life - _SPARE_SECONDS, token)
    return {"Authorization": f"Bearer {token}"}


async def rotating(client: httpx.AsyncClient, source: Source, url: str) -> dict[str, str]:
    """Return the Authorization header for a source whose `refresh_token` is replaced whenever it is used.

    `url` is the token endpoint. Besides client_id, client_secret and refresh_token, `access_token` and `access_until` (Unix
    seconds) are kept with the source. Raises as `bearer` does.
    """
    missing = [one for one in ("client_id", "client_secret", "refresh_token") if not source.credentials.get(one)]
    if missing:
        raise MalformedError(f"the source needs the credentials {', '.join(missing)} to read records back")
    if source.renew is None:
        raise MalformedError("its refresh token serves only once, and cannot be kept here")
    key = (source.id, url)
    async with _turn(key):
        until, token = _tokens.get(key, (0.0, ""))
        if until <= time.monotonic():
            kept = await source.renew(lambda old: _renewed(client, source, url, old))
            token, life = kept["access_token"], float(kept["access_until"]) - time.time()
            _tokens[key] = (time.monotonic() + life - _SPARE_SECONDS_OF_ROTATING, token)
    return {"Authorization": f"Bearer {token}"}


async def _renewed(client: httpx.AsyncClient, source: Source, url: str, old: Credentials) -> Credentials:
    """Return credentials with an access token; those that another process has just had are good as they are."""
    if float(old.get("access_until", "0")) > time.time() + _SPARE_SECONDS_OF_ROTATING:
        return old
    asked = source._replace(credentials=old)
    parameters = {"grant_type": "refresh_token", "refresh_token": old.get("refresh_token", "")}
    answer = await _answer(client, asked, url, parameters)
    token, life = _token_of(answer)
    until = f"{time.time() + life:.0f}"
    fresh = {name: str(answer[name]) for name in ("refresh_token",) if answer.get(name)}
    return {**old, **fresh, "access_token": token, "access_until": until}


def next_page(following: Any, before: str, field: str) -> str:
    """Return the URL of the next page, which `field` of an answer says; the token goes nowhere but to the API's own host."""
    try:
        if isinstance(following, str) and urlsplit(following)[:2] == urlsplit(before)[:2]:
            return following
    except ValueError:  # no URL at all
        pass
    raise MalformedError(f"{field}: expected a URL of the same host, got {shown(following)}")


def forget(source: Source) -> None:
    """Forget the tokens of a source: after its API has refused one."""
    for key in [one for one in _tokens if one[0] == source.id]:
        del _tokens[key]


def _turn(key: tuple[str, ...]) -> asyncio.Lock:
    """Return the lock under which one token is had: a batch would else ask for one per delivery, and APIs limit that."""
    if len(_tokens) > _MOST_REMEMBERED:
        _tokens.clear()
        _turns.clear()
    return _turns.setdefault(key, asyncio.Lock())


async def _ask(client: httpx.AsyncClient, source: Source, url: str, parameters: dict[str, str]) -> tuple[str, float]:
    return _token_of(await _answer(client, source, url, parameters))


async def _answer(
    client: httpx.AsyncClient, source: Source, url: str, parameters: Mapping[str, str]
) -> dict[str, Any]:  # fmt: skip
    """Return what the token endpoint answers, if there is an access token in it."""
    form = {
        "grant_type": "client_credentials",
        "client_id": source.credentials.get("client_id", ""),
        "client_secret": source.credentials.get("client_secret", ""),
        **parameters,
    }
    response = await client.post(url, data=form)
    if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise UnavailableError(f"the token endpoint answered {response.status_code}")
    try:
        answer: Any = response.json()
        if response.is_success:
            _token_of(answer)
            return dict(answer)
        why = str(answer.get("error", ""))[:80]
    except (ValueError, KeyError, TypeError, AttributeError):
        why = "no JSON with an access_token"
    raise MalformedError(f"the token endpoint answered {response.status_code} {why}: check the credentials and the URL")


def _token_of(answer: Mapping[str, Any]) -> tuple[str, float]:
    return str(answer["access_token"]), float(answer.get("expires_in", _DEFAULT_LIFE))
