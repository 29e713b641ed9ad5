"""Credentials that a sender's API replaces: kept encrypted before they are used, by one process at a time, for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import asyncpg
import httpx
import pytest

from service.intake.credentials import keeping
from service.intake.hooks import Hook, opened
from service.intake.senders import oauth
from service.intake.senders.contract import MalformedError, UnavailableError
from service.settings import Settings
from service.store import sources
from service.store.ledgers import Ledger
from service.store.vault import Vault
from tests.conftest import MASTER_KEY
from tests.support.stories import exact_online as story

SETTINGS = Settings(master_key=MASTER_KEY)
URL = "https://exact.example/api/oauth2/token"


@pytest.fixture
def vault() -> Vault:
    return Vault(MASTER_KEY)


async def connected(pool: asyncpg.Pool, vault: Vault, ledger: Ledger) -> sources.Stored:
    first = sources.Change(secrets=[story.SECRET], credentials=story.CLIENT, mapping={})
    return await sources.create(pool, vault, ledger.ledger, "exact-online", "erp", first, None)


async def hook_of(pool: asyncpg.Pool, vault: Vault, stored: sources.Stored) -> Hook:
    """Return the source as another process would find it now."""
    found = await sources.one(pool, stored.source)
    assert found is not None
    return keeping(opened(found, vault, SETTINGS), pool, vault)


def client(host: str, pause: float = 0.0) -> httpx.AsyncClient:
    """Return a client of a token endpoint of its own, that gives each token once."""

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(pause)
        status, value = story.api(request.method, request.url.path, {"host": host}, request.content)
        return httpx.Response(status, json=value)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


async def kept(pool: asyncpg.Pool, vault: Vault, stored: sources.Stored) -> Mapping[str, str]:
    found = await sources.one(pool, stored.source)
    assert found is not None
    assert b"access" not in (found.credentials or b"")
    return found.opened(vault)[1]


async def test_what_comes_with_a_token_is_kept_for_every_process(
    pool: asyncpg.Pool, vault: Vault, ledger: Ledger
) -> None:
    stored = await connected(pool, vault, ledger)
    async with client(stored.source) as http:
        first = await oauth.rotating(http, (await hook_of(pool, vault, stored)).source, URL)
        assert first == {"Authorization": "Bearer access-1"}
        assert (await kept(pool, vault, stored))["refresh_token"] == "refresh-1"
        oauth.forget((await hook_of(pool, vault, stored)).source)  # as a process that has just started
        again = await oauth.rotating(http, (await hook_of(pool, vault, stored)).source, URL)
        assert again == first
        old = json.dumps({**await kept(pool, vault, stored), "access_until": "0"}).encode()
        await pool.execute("UPDATE sources SET credentials = $2 WHERE source = $1", stored.source, vault.lock(old))
        oauth.forget((await hook_of(pool, vault, stored)).source)
        later = await oauth.rotating(http, (await hook_of(pool, vault, stored)).source, URL)
    assert later == {"Authorization": "Bearer access-2"}
    assert (await kept(pool, vault, stored))["refresh_token"] == "refresh-2"


async def test_while_one_process_gets_a_token_another_is_told_to_come_back_and_waits_for_nothing(
    pool: asyncpg.Pool, vault: Vault, ledger: Ledger
) -> None:
    stored = await connected(pool, vault, ledger)
    hook = await hook_of(pool, vault, stored)
    assert hook.source.renew is not None
    started, finish = asyncio.Event(), asyncio.Event()

    async def slow(old: Mapping[str, str]) -> Mapping[str, str]:
        started.set()
        await finish.wait()
        return {**old, "refresh_token": "new"}

    first = asyncio.ensure_future(hook.source.renew(slow))
    await started.wait()
    async with client(stored.source) as http:
        with pytest.raises(UnavailableError, match="another process"):
            await oauth.rotating(http, hook.source, URL)
    finish.set()
    assert (await first)["refresh_token"] == "new"
    assert (await kept(pool, vault, stored))["refresh_token"] == "new"


async def test_a_token_that_is_refused_changes_nothing_and_a_closed_source_gets_none(
    pool: asyncpg.Pool, vault: Vault, ledger: Ledger
) -> None:
    stored = await connected(pool, vault, ledger)
    hook = await hook_of(pool, vault, stored)
    async with client(stored.source) as http:
        await oauth.rotating(http, hook.source, URL)
        lost = json.dumps({**story.CLIENT}).encode()  # refresh-0 has served
        await pool.execute("UPDATE sources SET credentials = $2 WHERE source = $1", stored.source, vault.lock(lost))
        oauth.forget(hook.source)
        with pytest.raises(MalformedError, match="invalid_grant") as raised:
            await oauth.rotating(http, hook.source, URL)
        assert "refresh-0" not in str(raised.value)
        assert await kept(pool, vault, stored) == story.CLIENT
        await sources.delete(pool, ledger.ledger, stored.source)
        with pytest.raises(UnavailableError, match="no source"):
            await oauth.rotating(http, hook.source, URL)
