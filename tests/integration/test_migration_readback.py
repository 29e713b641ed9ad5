"""The migration to turns blots out what was kept in clear, and can be gone back over."""

from __future__ import annotations

import asyncpg

from tests.support import databases

STATE = b"a-client-state-0123456789"
BODIES = {
    "business-central": [
        b'{"value": [{"clientState": "a-client-state-0123456789", "x": "\xfc"}, {"clientState" :"a-client-state-0123456789"}]}',
        b'\xff{"clientState":"a-client-state-0123456789',
    ],
    "salesforce": [b"<n><SessionId>a-client-state-0123456789</SessionId><Id>1</Id></n>", b'{"payload": {}}'],
    "generic": [b'{"clientState": "of somebody else"}'],
}


async def test_secrets_in_bodies_are_blotted_out_and_nothing_else_is_changed(dsn: str) -> None:
    async with databases.empty(dsn) as own:
        await databases.to(own, "0003")
        connection = await asyncpg.connect(own)
        ledger = await connection.fetchval(
            "INSERT INTO ledgers (name, currency, timezone) VALUES ('one', 'EUR', 'UTC') RETURNING ledger"
        )
        for kind, bodies in BODIES.items():
            await connection.execute(
                """
                INSERT INTO sources (ledger, source, kind, name, secrets, secrets_at, mapping)
                VALUES ($1, $2, $2, $2, '{}', '{}', '{}')
                """,
                ledger,
                kind,
            )
            await connection.executemany(
                "INSERT INTO deliveries (ledger, source, state, size, body) VALUES ($1, $2, 'accepted', 1, $3)",
                [(ledger, kind, body) for body in bodies],
            )
        for revision in ("0007", "0003", "0007"):
            await databases.to(own, revision)
        rows = await connection.fetch("SELECT source, body FROM deliveries ORDER BY delivery")
        await connection.close()
    before = [body for bodies in BODIES.values() for body in bodies]
    assert [row["body"] for row in rows] == [
        one.replace(STATE + b'"', b'***"').replace(STATE + b"<", b"***<").replace(STATE, b'***"') for one in before
    ]
