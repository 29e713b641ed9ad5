"""The migration of the quarantine reads what was kept before, whatever it is, and can be gone back over."""

from __future__ import annotations

import asyncpg

from service.store import quarantine
from tests.support import databases

GOOD = b'{"source": "/s", "id": "1", "type": "order.placed", "data": {"net_value": {"amount": "-1.50", "currency": "EUR"}}}'
BODIES = (
    GOOD, b"", b"\xff\x00",
    b'{"source": "\\ud800", "id": "\\u0000", "type": [], "data": {"amount": {"amount": "1", "currency": {}}}}',
    b"[" * 50_000, b"1" * 6_000, b'{"data": {"amount": {"amount": "1e9", "currency": "USD"}}}', b'{"data": 1}', b'"x"',
)  # fmt: skip
PROBLEM = '{"detail": "x", "errors": [{"field": "type", "expected": "one of the catalogue", "got": "x"}]}'


async def test_what_was_kept_before_is_read_and_goes_on_waiting(dsn: str) -> None:
    async with databases.empty(dsn) as own:
        await databases.to(own, "0008")
        connection = await asyncpg.connect(own)
        for number, body in enumerate(BODIES):
            await connection.execute(
                "INSERT INTO quarantine (ledger, fingerprint, body, problem, state) VALUES ($1, $2, $3, $4, $5)",
                1 + number % 2, str(number).encode(), body, PROBLEM if number else "{}", "waiting" if number else "resolved",
            )  # fmt: skip
        before = await connection.fetch("SELECT item, body FROM quarantine ORDER BY item")
        await connection.close()
        await databases.to(own, "0010")
        async with asyncpg.create_pool(own, min_size=1, max_size=1) as pool:
            assert await pool.fetch("SELECT item, body FROM quarantine ORDER BY item") == before
            (first,) = await pool.fetch(
                "SELECT source, id, type, minor, currency, settled_at FROM quarantine WHERE item = 1"
            )
            assert tuple(first)[:5] == ("/s", "1", "order.placed", -150, "EUR")
            assert first["settled_at"] is not None
            rest = await pool.fetch("SELECT source, id, minor FROM quarantine WHERE item > 1")
            assert {tuple(row) for row in rest} == {(None, None, None)}
            assert [
                (one.value, one.items)
                for one in await quarantine.counts(pool, 2, "reason", "waiting", quarantine.Chosen())
            ] == [("type: one of the catalogue", 4)]
            told = quarantine.Refused(b"new", {}, None, None, None, "", None)
            await quarantine.keep(pool, 1, [told], 0)
            assert [one.item for one in await quarantine.listed(pool, 1, 0, 100, "waiting")] == [3, 5, 7, 9, 10]
        await databases.to(own, "0008")
        await databases.to(own, "0010")
