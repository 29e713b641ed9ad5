from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from service.domain.events import read_event
from service.projections.generations import verify
from service.store import ledgers
from service.store.log import feed, heads
from service.store.log.append import MANY, Outcome, append_rows
from service.store.log.group_commit import Appender, QueueFullError
from service.store.rows import Row, row_of, same_json


def row(number: int, lead: str = "L", **more: Any) -> Row:
    event = {
        "specversion": "1.0", "id": str(number), "source": "/t", "type": "lead.captured", "time": "2024-01-01T00:00:00Z",
        "data": {"lead_id": lead}, **more,
    }  # fmt: skip
    return row_of(read_event(event))


@pytest.mark.parametrize("statement", ["UPDATE events SET id = 'x'", "DELETE FROM events", "TRUNCATE events"])
async def test_the_database_refuses_to_change_history(
    pool: asyncpg.Pool, ledger: ledgers.Ledger, statement: str
) -> None:
    await append_rows(pool, ledger.ledger, [row(1)])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await pool.execute(statement)


async def test_positions_are_dense_whatever_is_sent_at_once(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    appender = Appender(pool, queue_events=10_000, batch_events=50)

    async def caller(first: int) -> list[Outcome]:
        return await appender.append(ledger.ledger, [row(number) for number in range(first, first + 12)])

    outcomes = [one for many in await asyncio.gather(*(caller(5 * n) for n in range(40))) for one in many]
    stored = await feed.read(pool, ledger.ledger, 0, 1000)
    assert [one.position for one in stored] == list(range(1, 5 * 39 + 12 + 1))
    accepted = [one.position for one in outcomes if one.status == "accepted"]
    assert sorted(accepted) == [one.position for one in stored]
    assert {one.status for one in outcomes} == {"accepted", "duplicate"}


async def test_the_same_identity_with_other_content_is_a_conflict_and_changes_nothing(
    pool: asyncpg.Pool, ledger: ledgers.Ledger
) -> None:
    first = await append_rows(pool, ledger.ledger, [row(1), row(1, "other"), row(1)])
    assert [one.status for one in first] == ["accepted", "conflict", "duplicate"]
    again = await append_rows(pool, ledger.ledger, [row(1, "other"), row(2), row(1)])
    assert [(one.status, one.position) for one in again] == [("conflict", 1), ("accepted", 2), ("duplicate", 1)]


async def test_copy_stores_the_same_as_the_function_in_the_database(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    strange = 'ä\t\n\r\\\\N \u2028"\x01😀'
    one_by_one = await ledgers.create_ledger(pool, f"{ledger.name}-one-by-one")
    order: dict[str, Any] = {
        "type": "order.placed",
        "data": {"order_id": strange, "net_value": {"amount": "1.00", "currency": "EUR"}},
    }
    rows = [
        row(1, strange), row(2, subject=strange, extension=strange), row(3, time="1969-12-31T23:59:59.9999999+01:00"),
        row(4, source=strange, dataschema="https://example.com/lead/9"), row(5, **order),
        *(row(number) for number in range(6, MANY + 1)),
    ]  # fmt: skip
    await append_rows(pool, ledger.ledger, rows)
    for single in rows[:6]:
        await append_rows(pool, one_by_one.ledger, [single])
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    copied, inserted = [await feed.read(pool, one.ledger, 0, 6) for one in (ledger, one_by_one)]
    assert [one._replace(recorded_at=moment) for one in copied] == [
        one._replace(recorded_at=moment) for one in inserted
    ]
    entities = "SELECT entity FROM events WHERE ledger = $1 AND position <= 6 ORDER BY position"
    assert await pool.fetch(entities, ledger.ledger) == await pool.fetch(entities, one_by_one.ledger)
    for one in (ledger, one_by_one):
        assert all(finding.good for finding in await verify.verify(pool, one))


async def test_recorded_at_grows_with_each_append(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    for number in range(20):
        await append_rows(pool, ledger.ledger, [row(number)])
    moments = [one.recorded_at for one in await feed.read(pool, ledger.ledger, 0, 100)]
    assert moments == sorted(set(moments))
    for position, moment in enumerate(moments, 1):
        assert await heads.position_at(pool, ledger.ledger, moment) == position
    assert await heads.position_at(pool, ledger.ledger, moments[0].replace(year=2000)) == 0


async def test_a_change_behind_the_back_of_the_database_breaks_the_chain(
    pool: asyncpg.Pool, ledger: ledgers.Ledger
) -> None:
    await append_rows(pool, ledger.ledger, [row(number, extra="x") for number in range(5)])
    assert all(one.good for one in await verify.verify(pool, ledger))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE events DISABLE TRIGGER USER")
        await connection.execute(
            'UPDATE events SET data = \'{"lead_id":"Z"}\' WHERE ledger = $1 AND position = 3', ledger.ledger
        )
        await connection.execute("ALTER TABLE events ENABLE TRIGGER USER")
    findings = {one.check: one.good for one in await verify.verify(pool, ledger)}
    assert findings["hash chain"] is False
    assert findings["density"] is True


async def test_a_full_queue_refuses_at_once(pool: asyncpg.Pool, ledger: ledgers.Ledger) -> None:
    appender = Appender(pool, queue_events=10, batch_events=5)
    calls = [appender.append(ledger.ledger, [row(10 * n + one) for one in range(5)]) for n in range(6)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in results if isinstance(one, QueueFullError)]
    stored = await feed.read(pool, ledger.ledger, 0, 100)
    assert refused
    assert len(stored) == 5 * (6 - len(refused))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"n": 1}, {"n": 1.0}, True),
        ({"n": 100}, {"n": "100"}, False),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ({"n": True}, {"n": 1}, False),
        ({"n": 10**30}, {"n": 10**30 + 1}, False),
        ({"n": None}, {}, False),
    ],
)
def test_content_is_the_same_when_the_json_values_are_equal(one: Any, other: Any, same: bool) -> None:
    assert same_json(*(row(1, data={"lead_id": "L", **data}).data for data in (one, other))) is same


async def test_equal_instants_are_the_same_content_however_they_are_written(
    pool: asyncpg.Pool, ledger: ledgers.Ledger
) -> None:
    await append_rows(pool, ledger.ledger, [row(1)])
    same, other = row(1, time="2024-01-01T01:00:00.000+01:00"), row(1, time="2024-01-01T00:00:00.0000001Z")
    assert [one.status for one in await append_rows(pool, ledger.ledger, [same, other])] == ["duplicate", "conflict"]
