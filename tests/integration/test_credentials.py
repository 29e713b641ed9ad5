"""Credentials that a sender's API replaces: kept encrypted before they are used, by one process at a time, for all of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Mapping

import asyncpg
import httpx
import pytest

from service.intake.credentials import keeping
from service.intake.hooks import Hook, opened
from service.intake.senders import oauth
from service.intake.senders.contract import MalformedError, UnavailableError
from service.settings import Settings
from service.store import inbox, sources
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


def client() -> httpx.AsyncClient:
    """Return a client of a token endpoint that gives each token once."""
    api = story.new_api()

    def answer(request: httpx.Request) -> httpx.Response:
        status, value = api(request.method, request.url.path, {}, request.content)
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
    async with client() as http:
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
    async with client() as http:
        with pytest.raises(UnavailableError, match="another process"):
            await oauth.rotating(http, hook.source, URL)
    assert pool.get_idle_size() == pool.get_size()  # whoever waits for an API holds no connection
    finish.set()
    assert (await first)["refresh_token"] == "new"
    assert await kept(pool, vault, stored) == {**story.CLIENT, "refresh_token": "new"}


async def test_what_an_administrator_sets_meanwhile_stands_and_a_lease_ends_by_itself(
    pool: asyncpg.Pool, vault: Vault, ledger: Ledger
) -> None:
    stored = await connected(pool, vault, ledger)
    hook = await hook_of(pool, vault, stored)
    assert hook.source.renew is not None

    async def changed_meanwhile(old: Mapping[str, str]) -> Mapping[str, str]:
        own = sources.Change(credentials={**old, "refresh_token": "by hand"})
        await sources.change(pool, vault, stored, own, None)
        return {**old, "refresh_token": "too late"}

    with pytest.raises(UnavailableError, match="changed"):
        await hook.source.renew(changed_meanwhile)
    assert (await kept(pool, vault, stored))["refresh_token"] == "by hand"

    crashed = json.dumps({**story.CLIENT, "renewing": f"{time.time() + 1:.3f}/whose"}).encode()
    await pool.execute("UPDATE sources SET credentials = $2 WHERE source = $1", stored.source, vault.lock(crashed))
    async with client() as http:
        with pytest.raises(UnavailableError, match="another process"):
            await oauth.rotating(http, hook.source, URL)
        await asyncio.sleep(1.1)
        assert await oauth.rotating(http, hook.source, URL) == {"Authorization": "Bearer access-1"}
    assert "renewing" not in await kept(pool, vault, stored)


async def test_whoever_is_cancelled_keeps_what_has_been_given(pool: asyncpg.Pool, vault: Vault, ledger: Ledger) -> None:
    stored = await connected(pool, vault, ledger)
    hook = await hook_of(pool, vault, stored)
    assert hook.source.renew is not None
    turn: list[asyncio.Task[object]] = []

    async def given(old: Mapping[str, str]) -> Mapping[str, str]:
        turn[0].cancel()  # takes effect where this task waits next: while the new ones are stored
        return {**old, "refresh_token": "given"}

    turn.append(asyncio.create_task(_awaited(hook.source.renew(given))))
    with pytest.raises(asyncio.CancelledError):
        await turn[0]
    await asyncio.sleep(1)  # it is stored in the background
    assert (await kept(pool, vault, stored))["refresh_token"] == "given"


async def _awaited(one: Awaitable[object]) -> object:
    return await one


async def test_a_token_that_is_refused_changes_nothing_and_a_closed_source_gets_none(
    pool: asyncpg.Pool, vault: Vault, ledger: Ledger
) -> None:
    stored = await connected(pool, vault, ledger)
    hook = await hook_of(pool, vault, stored)
    async with client() as http:
        await oauth.rotating(http, hook.source, URL)
        lost = json.dumps({**story.CLIENT}).encode()  # refresh-0 has served
        await pool.execute("UPDATE sources SET credentials = $2 WHERE source = $1", stored.source, vault.lock(lost))
        oauth.forget(hook.source)
        with pytest.raises(MalformedError, match="invalid_grant") as raised:
            await oauth.rotating(http, hook.source, URL)
        assert "refresh-0" not in str(raised.value)
        assert await kept(pool, vault, stored) == story.CLIENT
        await sources.delete(pool, ledger.ledger, stored.source)
        with pytest.raises(UnavailableError, match="closed"):
            await oauth.rotating(http, hook.source, URL)


async def test_a_head_that_is_forgotten_while_secrets_are_encrypted_anew_stays_forgotten(
    pool: asyncpg.Pool, vault: Vault, ledger: Ledger
) -> None:
    stored = await connected(pool, vault, ledger)
    number = await inbox.put(pool, ledger.ledger, stored.source, None, 2, vault.lock(b"{}"), b"{}", None)
    forget = "UPDATE deliveries SET head = NULL, body = NULL WHERE ledger = $1 AND delivery = $2"
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(forget, ledger.ledger, number)
            rekeying = asyncio.create_task(sources.rekey(pool, vault))
            while not await pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # until it waits
                assert not rekeying.done()
                await asyncio.sleep(0.01)
        await rekeying
    found = await inbox.one(pool, ledger.ledger, stored.source, number)
    assert found is not None
    assert found.head is None
