"""A backup holds everything of one moment; what is restored from it is the same ledger, proven, in a new epoch."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.intake import moving
from service.intake.acceptance import Intake
from service.intake.decoding import Limits
from service.projections.engine import projector
from service.projections.generations import verify
from service.store import backup, database, ledgers
from service.store.log import feed, heads
from service.store.log.group_commit import Appender
from service.store.log.stored_events import as_cloudevent
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects
from service.store.vault import Vault, new_key
from tests.support import databases

LIMITS = Limits(32, 65_536)
VAULT = Vault(new_key())


def event(number: int, event_type: str, **data: Any) -> bytes:
    return json.dumps({
        "specversion": "1.0", "id": f"e{number}", "source": "/crm", "type": event_type, "time": "2026-03-01T10:00:00Z",
        "data": data,
    }).encode()  # fmt: skip


def intake(pool: asyncpg.Pool) -> Intake:
    appender = Appender(pool, queue_events=100_000, batch_events=500)
    return Intake(pool, appender, LIMITS, Eraser(pool, Subjects(pool, VAULT)))


async def rows_of(pool: asyncpg.Pool) -> dict[str, list[str]]:
    """Return all rows of all tables but the epochs, which have to differ."""
    async with pool.acquire() as connection:
        tables = await backup.tables(connection)
    found = {}
    for table in tables:
        names = ", ".join(f'"{name}"::text' for name in table.columns if name != "epoch")
        found[table.table] = sorted(str(tuple(row)) for row in await pool.fetch(f'SELECT {names} FROM "{table.table}"'))
    return found


async def test_what_is_restored_is_the_same_and_goes_on_by_itself(dsn: str, tmp_path: Path) -> None:
    async with databases.migrated(dsn) as first, databases.migrated(dsn) as second:
        one = await database.connect(first, size=4, statement_timeout=60)
        other = await database.connect(second, size=4, statement_timeout=60)
        try:
            ledger = await ledgers.create_ledger(one, "acme", "USD", "America/New_York")
            key = await ledgers.create_key(one, ledger, ("read",))
            into = intake(one)
            await into.take(ledger.ledger, [
                event(1, "lead.captured", lead_id="L1", campaign_id="K", note="of L1"),
                event(2, "lead.captured", lead_id="L2", campaign_id="K", note="of L2"),
                event(3, "subject.erased", subject_id="L1"), b"{}",
            ])  # fmt: skip
            taken = await projector.take(one, ledger, "a test", 60)
            assert taken is not None
            assert await taken.step(100) == 3
            place = tmp_path / "one.backup"
            written = await backup.write(one, place)
            assert place.stat().st_mode & 0o077 == 0
            with pytest.raises(FileExistsError):
                await backup.write(one, place)

            before = await rows_of(one)
            assert await backup.restore(other, place) == written
            assert await rows_of(other) == before
            assert before["quarantine"]
            assert len(before) > 25
            assert {row[0] for row in await one.fetch("SELECT epoch FROM ledgers")}.isdisjoint(
                row[0] for row in await other.fetch("SELECT epoch FROM ledgers")
            )

            anchor = verify.Anchor("acme", written.heads[0][1], written.heads[0][2], None)
            assert all(found.good for found in await verify.verify(other, ledger, against=anchor, deep=True))
            rows = await feed.read(other, ledger.ledger, 0, 10)
            opened = await Subjects(other, VAULT).opened(other, ledger.ledger, rows)
            assert [json.loads(row.data).get("note") for row in opened] == [{"erased": True}, "of L2", None]
            assert (await ledgers.access(other, key)) is not None

            more = await intake(other).take(ledger.ledger, [event(4, "lead.captured", lead_id="L1", note="late")])
            assert [result.position for result in more] == [4]
            assert (await heads.head(one, ledger.ledger))[0] == 3
            assert (await ledgers.create_ledger(other, "another")).ledger > ledger.ledger
            with pytest.raises(ValueError, match="has ledgers"):
                await backup.restore(other, place)
        finally:
            await one.close()
            await other.close()


async def test_what_is_no_whole_backup_fills_nothing(dsn: str, tmp_path: Path) -> None:
    async with databases.migrated(dsn) as first:
        pool = await database.connect(first, size=2, statement_timeout=60)
        try:
            place, broken = tmp_path / "good", tmp_path / "broken"
            await backup.write(pool, place)
            for content in (b"", b"no backup", os.urandom(200), place.read_bytes()[: place.stat().st_size // 2]):
                broken.write_bytes(content)
                with pytest.raises((ValueError, EOFError)):
                    await backup.restore(pool, broken)
            header = await backup.read_header(place)
            await pool.execute("UPDATE alembic_version SET version_num = '0001'")
            with pytest.raises(ValueError, match=f"of migration {header.migration}, the database is at 0001"):
                await backup.restore(pool, place)
            assert not await pool.fetchval("SELECT count(*) FROM ledgers")
        finally:
            await pool.close()


async def test_an_exported_log_is_moved_with_the_moments_of_its_recording(dsn: str) -> None:
    async with databases.migrated(dsn) as own:
        pool = await database.connect(own, size=4, statement_timeout=60)
        try:
            first, second = [await ledgers.create_ledger(pool, name) for name in ("first", "second")]
            into = intake(pool)
            for number in range(1, 4):
                await into.take(
                    first.ledger,
                    [event(10 * number + at, "lead.captured", lead_id=f"L{at}", note="n") for at in (1, 2)],
                )
            await into.take(first.ledger, [event(90, "subject.erased", subject_id="L1")])
            rows = await into.subjects.opened(pool, first.ledger, await feed.read(pool, first.ledger, 0, 100))
            lines = [as_cloudevent(row) + b"\n" for row in rows]
            for wrong in (
                lines[1:],
                [lines[0], *lines],
                [*lines[:3], b'{"position": 4}'],
                [lines[0].replace(b"lead_id", b"x")],
            ):
                with pytest.raises(ValueError, match="line"):
                    await moving.move(pool, into, second.ledger, partial(list, wrong))
            assert await moving.move(pool, into, second.ledger, lambda: lines) == 7
            moved = await into.subjects.opened(pool, second.ledger, await feed.read(pool, second.ledger, 0, 100))
            assert [json.loads(as_cloudevent(row)) for row in moved] == [json.loads(line) for line in lines]
            assert all(found.good for found in await verify.verify(pool, second) if found.check != "projection")
            with pytest.raises(ValueError, match="has events"):
                await moving.move(pool, into, second.ledger, lambda: lines)
            assert (await into.take(second.ledger, [event(99, "lead.captured", lead_id="L9")]))[0].position == 8
        finally:
            await pool.close()
