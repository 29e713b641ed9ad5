"""Several translators share the inbox: nothing twice, nothing lost, whatever one of them trips over."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from random import Random

import asyncpg
import httpx
import pytest

from service.bootstrap import Service
from service.intake.senders import KINDS
from service.intake.senders.contract import Kind, Request, Source, Statement, UnavailableError, Wanted
from service.settings import Settings
from service.store import drafts, inbox, inbox_work, ledgers, records, sources
from service.store.ledgers import Ledger
from service.store.log import feed
from service.store.log.group_commit import Appender
from tests.conftest import MASTER_KEY
from tests.support.stories.generic import MAPPING

SETTINGS = Settings(master_key=MASTER_KEY)


@pytest.fixture(scope="module")
def pool(own_pool: asyncpg.Pool) -> asyncpg.Pool:
    return own_pool


def service_on(pool: asyncpg.Pool) -> Service:
    return Service(SETTINGS, pool, Appender(pool, queue_events=10_000, batch_events=2_000))


async def connected(service: Service, ledger: Ledger, kind: str = "generic") -> sources.Stored:
    first = sources.Change(mapping=MAPPING if kind == "generic" else {})
    return await sources.create(service.pool, service.vault, ledger.ledger, kind, "shop", first, "in-the-path")


def order(key: int, version: int) -> bytes:
    times = {"created_at": "2026-04-01T10:00:00Z", "updated_at": f"2026-04-01T10:{version:02}:00Z"}
    total = {"net": version, "currency": "EUR"}
    record = {"id": f"SO-{key}", "version": version, **times, "status": "open", "total": total}
    return json.dumps({"kind": "order", "object": record}).encode()


async def put(service: Service, source: sources.Stored, body: bytes) -> None:
    hook = await service.hooks.find(source.source)
    assert hook is not None
    request = Request("POST", "https://x.test/", {}, {}, body, datetime.now(UTC))
    assert (await service.hooks.receive(hook, request, "in-the-path")).status == 202


async def translated(service: Service) -> None:
    """Translate what is due, and ask senders' APIs for what is due to be asked."""
    while await service.translator.step():
        pass
    for ledger in await inbox_work.ledgers_due(service.pool, asks=True):
        await service.translator.readback.turn(ledger)


async def settled(pool: asyncpg.Pool, ledger: Ledger, source: sources.Stored) -> list[inbox.Delivery]:
    while True:
        found = await inbox.listed(pool, ledger.ledger, source.source, 2**62, 1000, None)
        if all(one.state != "received" for one in found):
            return found
        await asyncio.sleep(0.02)  # another process has them


async def test_two_translators_at_once_give_each_record_what_it_says_and_nothing_twice(
    pool: asyncpg.Pool, ledger: Ledger
) -> None:
    one, two = service_on(pool), service_on(pool)
    source = await connected(one, ledger)
    bodies = [order(key, version) for key in range(5) for version in range(1, 9)]
    Random(7).shuffle(bodies)  # noqa: S311  an order, no secret
    for body in bodies:
        await put(one, source, body)

    async def translate(service: Service) -> None:
        while await service.translator.step(3):
            pass

    await asyncio.gather(translate(one), translate(two))
    assert {delivery.state for delivery in await settled(pool, ledger, source)} <= {"accepted", "duplicate"}
    issued = await drafts.of_records(pool, ledger.ledger, source.source, [f"order:SO-{key}" for key in range(5)])
    standing = [json.loads(row.event) for row in issued if row.void is None]
    assert sorted(event["data"]["order_id"] for event in standing) == [f"SO-{key}" for key in range(5)]
    assert {event["data"]["net_value"]["amount"] for event in standing} == {"8.00"}
    assert all(row.position for row in issued)
    assert all(row.void_position for row in issued if row.void is not None)
    events = await feed.read(pool, ledger.ledger, 0, 1000)
    assert len(events) == len(issued) + sum(row.void is not None for row in issued)


async def test_a_fault_in_a_kind_fails_its_message_and_no_other(
    pool: asyncpg.Pool, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = service_on(pool)
    source = await connected(service, ledger)
    good: Kind = KINDS["generic"]

    def translate(record: str, *rest: object) -> object:
        if record == "order:SO-1":
            raise KeyError("a secret of the message")
        return good.translate(record, *rest)  # type: ignore[arg-type]

    monkeypatch.setitem(KINDS, "generic", good._replace(translate=translate))  # type: ignore[arg-type]
    for key in range(3):
        await put(service, source, order(key, 1))
    await translated(service)
    found = {one.delivery: (one.state, one.reason or "") for one in await settled(pool, ledger, source)}
    assert sorted(state for state, _ in found.values()) == ["accepted", "accepted", "failed"]
    (reason,) = (reason for state, reason in found.values() if state == "failed")
    assert "KeyError in generic" in reason
    assert "a secret of the message" not in reason


async def test_a_record_is_read_back_once_its_api_answers_and_then_never_again(
    pool: asyncpg.Pool, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = service_on(pool)
    source = await connected(service, ledger)
    asked: list[str] = []
    good: Kind = KINDS["generic"]

    def read(request: Request, _: Source) -> list[Wanted]:
        key = request.body.decode()
        return [Wanted(f"order:{key}", key, "2026-04-01T10:00:00Z", "", "changed", f"https://x.test/{key}")]

    async def fetch(wanted: Wanted, _: Source, __: httpx.AsyncClient) -> Statement:
        asked.append(wanted.key)
        if len(asked) == 1:
            raise UnavailableError("503")
        fields = json.loads(order(int(wanted.key), len(asked)))
        return Statement(wanted.record, wanted.key, wanted.at, wanted.order, wanted.verb, fields)

    monkeypatch.setitem(KINDS, "generic", good._replace(read=read, fetch=fetch))

    async def states() -> list[tuple[str, bool]]:
        await translated(service)
        found = sorted(await settled(pool, ledger, source), key=lambda one: one.delivery)
        return [(one.state, one.next_try is not None) for one in found]

    for key in (b"1", b"2"):
        await put(service, source, key)
    assert await states() == [("failed", True), ("failed", True)]
    assert len(asked) == 1  # the second one was not even tried
    await pool.execute("UPDATE deliveries SET next_try = now() WHERE ledger = $1", ledger.ledger)
    assert await states() == [("accepted", False), ("accepted", False)]
    assert await inbox.again(pool, ledger.ledger, source.source) == 2
    assert [state for state, _ in await states()] == ["duplicate", "duplicate"]
    assert sorted(asked) in (["1", "1", "2"], ["1", "2", "2"])
    assert len(await feed.read(pool, ledger.ledger, 0, 10)) == 2


async def test_what_a_sender_has_for_another_master_key_waits_for_that_key(pool: asyncpg.Pool, ledger: Ledger) -> None:
    service = service_on(pool)
    source = await connected(service, ledger)
    await put(service, source, order(1, 1))
    await pool.execute("UPDATE sources SET credentials = 'unreadable' WHERE source = $1", source.source)
    await translated(service)
    (one,) = await settled(pool, ledger, source)
    assert (one.state, "another master key" in (one.reason or "")) == ("failed", True)
    assert one.next_try is not None
    await pool.execute(
        "UPDATE sources SET credentials = NULL WHERE source = $1", source.source
    )  # others rekey them all


async def test_each_ledger_has_its_turn_however_much_another_has_waiting(pool: asyncpg.Pool, ledger: Ledger) -> None:
    service = service_on(pool)
    other = await ledgers.create_ledger(pool, f"{ledger.name}-other")
    busy, quiet = await connected(service, ledger), await connected(service, other)
    for key in range(30):
        await put(service, busy, order(key, 1))
    await put(service, quiet, order(1, 1))
    await service.translator.step(10)
    assert [one.state for one in await inbox.listed(pool, other.ledger, quiet.source, 2**62, 10, None)] == ["accepted"]
    states = [one.state for one in await inbox.listed(pool, ledger.ledger, busy.source, 2**62, 100, None)]
    assert states == ["received"] * 20 + ["accepted"] * 10
    await translated(service)

    async def due(one: Ledger) -> int:
        return int(await pool.fetchval("SELECT count(*) FROM records WHERE ledger = $1 AND due <= now()", one.ledger))

    await pool.execute("UPDATE deliveries SET body = NULL WHERE ledger = ANY($1)", [ledger.ledger, other.ledger])
    assert [
        await records.again(pool, one.ledger, source.source) for one, source in ((ledger, busy), (other, quiet))
    ] == [30, 1]
    await service.translator.step(10)
    assert [await due(ledger), await due(other)] == [20, 0]
    await translated(service)


async def test_a_turn_takes_no_more_bytes_than_it_may_but_one_delivery_at_least(
    pool: asyncpg.Pool, ledger: Ledger
) -> None:
    service = service_on(pool)
    source = await connected(service, ledger)
    for key in range(4):
        await put(service, source, order(key, 1))
    size = len(order(0, 1))
    async with pool.acquire() as connection:
        for most, number in ((1, 1), (size, 1), (size + 1, 2), (10 * size, 4)):
            async with connection.transaction():
                assert len(await inbox_work.claim(connection, ledger.ledger, 100, most)) == number
    await translated(service)


async def test_a_delivery_that_cannot_be_opened_fails_alone(pool: asyncpg.Pool, ledger: Ledger) -> None:
    service = service_on(pool)
    source = await connected(service, ledger)
    for key in range(3):
        await put(service, source, order(key, 1))
    head = service.vault.lock(b"no JSON")
    first = "SELECT min(delivery) FROM deliveries WHERE ledger = $1"
    await pool.execute(f"UPDATE deliveries SET head = $2 WHERE delivery = ({first})", ledger.ledger, head)
    await service.translator.step()
    found = await inbox.listed(pool, ledger.ledger, source.source, 2**62, 10, None)
    assert [one.state for one in found] == ["accepted", "accepted", "failed"]
    assert "opening this failed" in (found[-1].reason or "")


async def test_whoever_asks_for_longer_than_its_lease_writes_nothing(
    pool: asyncpg.Pool, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = service_on(pool)
    source = await connected(service, ledger)
    good: Kind = KINDS["generic"]
    nets = iter((1, 2))

    def read(_: Request, __: Source) -> list[Wanted]:
        return [Wanted("order:1", "k", "2026-04-01T10:00:00Z", "", "changed", "https://x.test/1")]

    async def fetch(wanted: Wanted, _: Source, __: httpx.AsyncClient) -> Statement:
        net = next(nets)
        if net == 1:  # meanwhile the lease ends, and another one reads the record as it is by then
            await pool.execute("UPDATE deliveries SET leased_until = now() WHERE ledger = $1", ledger.ledger)
            await service_on(pool).translator.readback.turn(ledger.ledger)
        return Statement(wanted.record, wanted.key, wanted.at, wanted.order, wanted.verb, json.loads(order(1, net)))

    monkeypatch.setitem(KINDS, "generic", good._replace(read=read, fetch=fetch))
    await put(service, source, b"{}")
    await translated(service)
    (event,) = await feed.read(pool, ledger.ledger, 0, 10)
    assert json.loads(event.data)["net_value"]["amount"] == "2.00"
    (one,) = await settled(pool, ledger, source)
    assert (one.state, one.attempts, one.leased_until) == ("accepted", 1, None)
