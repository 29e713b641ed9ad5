"""The keys of people: made once by whoever is first, wrapped anew by rotation, gone for good, and done again after a crash."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from service.intake.acceptance import Intake
from service.intake.decoding import Limits
from service.store.ledgers import Ledger
from service.store.log import feed
from service.store.log.group_commit import Appender
from service.store.people import erasures, keys
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects
from service.store.vault import MasterKeyError, Vault, new_key

LIMITS = Limits(32, 65_536)


def event(number: int, event_type: str = "lead.captured", **data: Any) -> bytes:
    return json.dumps({
        "specversion": "1.0", "id": f"e{number}", "source": "/crm", "type": event_type, "time": "2026-03-01T10:00:00Z",
        "data": {"lead_id": f"L{number % 10}", "note": f"secret {number}", **data},
    }).encode()  # fmt: skip


def intake(pool: asyncpg.Pool, vault: Vault) -> Intake:
    appender = Appender(pool, queue_events=100_000, batch_events=500)
    return Intake(pool, appender, LIMITS, Eraser(pool, Subjects(pool, vault)))


async def notes(pool: asyncpg.Pool, ledger: Ledger, vault: Vault) -> list[Any]:
    rows = await Subjects(pool, vault).opened(pool, ledger.ledger, await feed.read(pool, ledger.ledger, 0, 1000))
    return [json.loads(row.data)["note"] for row in rows if row.type == "lead.captured"]


async def test_processes_that_are_first_at_once_make_one_key(pool: asyncpg.Pool, ledger: Ledger) -> None:
    vault = Vault(new_key())
    several = [intake(pool, vault) for _ in range(4)]
    batches = [[event(100 * process + number) for number in range(20)] for process in range(4)]
    await asyncio.gather(*(one.take(ledger.ledger, batch) for one, batch in zip(several, batches, strict=True)))
    found = await notes(pool, ledger, vault)
    assert sorted(found) == sorted(f"secret {100 * process + number}" for process in range(4) for number in range(20))
    assert await pool.fetchval("SELECT count(*) FROM subject_keys WHERE ledger = $1", ledger.ledger) == 10


async def test_rotation_wraps_anew_and_who_works_goes_on(pool: asyncpg.Pool, ledger: Ledger) -> None:
    old, new = new_key(), new_key()
    working = intake(pool, Vault(f"{new},{old}"))
    before = intake(pool, Vault(old))
    await before.take(ledger.ledger, [event(1)])
    await working.take(ledger.ledger, [event(2)])
    stored = await pool.fetch("SELECT key FROM subject_keys WHERE ledger = $1", ledger.ledger)
    others = await pool.fetchval("SELECT count(*) FROM ledger_keys WHERE ledger <> $1", ledger.ledger)
    if others:  # of other tests, under their own master keys
        await pool.execute("DELETE FROM ledger_keys WHERE ledger <> $1", ledger.ledger)
    assert await keys.rekey(pool, Vault(f"{new},{old}")) == 2
    assert {row[0] for row in stored}.isdisjoint(
        row[0] for row in await pool.fetch("SELECT key FROM subject_keys WHERE ledger = $1", ledger.ledger)
    )
    await working.take(ledger.ledger, [event(3), event(1)])
    assert await notes(pool, ledger, Vault(new)) == ["secret 1", "secret 2", "secret 3"]
    assert await keys.state(pool, Vault(new)) == "ok"
    assert (await keys.state(pool, Vault(old))).startswith("wrong")
    with pytest.raises(MasterKeyError):
        await notes(pool, ledger, Vault(old))


async def test_an_erasure_goes_on_after_a_crash(
    pool: asyncpg.Pool, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(new_key())
    working = intake(pool, vault)
    await working.take(ledger.ledger, [event(1), event(2)])

    async def crash(*_: Any) -> None:
        raise ConnectionError("the process ends here")

    erased = event(3, "subject.erased", subject_id="L1")
    with monkeypatch.context() as broken:
        broken.setattr(erasures, "follow", crash)
        with pytest.raises(ConnectionError):
            await working.take(ledger.ledger, [erased])
    with monkeypatch.context() as broken:
        broken.setattr(Eraser, "destroy", crash)
        with pytest.raises(ConnectionError):
            await Eraser(pool, Subjects(pool, vault)).catch_up(ledger.ledger)
    assert await notes(pool, ledger, vault) == [{"erased": True}, "secret 2"], "unreadable before its key is destroyed"
    await Eraser(pool, Subjects(pool, vault)).catch_up(ledger.ledger)
    rows = await pool.fetch(
        "SELECT subject, key FROM subject_keys WHERE ledger = $1 AND erased_at IS NOT NULL", ledger.ledger
    )
    assert sorted(map(tuple, rows)) == [("contact:L1", None), ("lead:L1", None)]
    (done,) = await erasures.listed(pool, ledger.ledger, 0, 10)
    assert json.loads(done.receipt or "{}")["destroyed"]["keys"] == 2
    result = await working.take(ledger.ledger, [erased, event(4, lead_id="L1")])
    assert [one.status for one in result] == ["duplicate", "accepted"]
    assert (await notes(pool, ledger, vault))[-1] == {"erased": True}


async def test_what_an_earlier_release_has_stored_open_is_told_as_erased(pool: asyncpg.Pool, ledger: Ledger) -> None:
    from service.intake.acceptance import read_item  # noqa: PLC0415
    from service.store.log.append import append_rows  # noqa: PLC0415

    vault = Vault(None)
    await append_rows(pool, ledger.ledger, [read_item(event(1), LIMITS)])
    assert await notes(pool, ledger, vault) == ["secret 1"]
    working = intake(pool, vault)
    assert [one.status for one in await working.take(ledger.ledger, [event(1)])] == ["duplicate"]
    await working.take(ledger.ledger, [event(3, "subject.erased", subject_id="L1")])
    assert await notes(pool, ledger, vault) == [{"erased": True}]
    assert [one.status for one in await working.take(ledger.ledger, [event(1)])] == ["duplicate"]
