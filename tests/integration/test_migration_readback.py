"""The migration to turns blots out what was kept in clear, and can be gone back over."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from service.store import migrate

STATE = b"a-client-state-0123456789"
BODIES = {
    "business-central": [
        b'{"value": [{"clientState": "a-client-state-0123456789", "x": "\xfc"}, {"clientState" :"a-client-state-0123456789"}]}',
        b'\xff{"clientState":"a-client-state-0123456789',
    ],
    "salesforce": [b"<n><SessionId>a-client-state-0123456789</SessionId><Id>1</Id></n>", b'{"payload": {}}'],
    "generic": [b'{"clientState": "of somebody else"}'],
}


def moved(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.place()))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    (command.downgrade if _at(connection) > revision else command.upgrade)(config, revision)


def _at(connection: Connection) -> str:
    exists = connection.exec_driver_sql("SELECT to_regclass('alembic_version') IS NOT NULL").scalar()
    return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()) if exists else ""


async def to(dsn: str, revision: str) -> None:
    engine = create_async_engine(make_url(dsn).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        await connection.run_sync(moved, revision)
        await connection.commit()
    await engine.dispose()


async def test_secrets_in_bodies_are_blotted_out_and_nothing_else_is_changed(dsn: str) -> None:
    name = f"migration_{os.getpid()}"
    own = urlsplit(dsn)._replace(path=f"/{name}").geturl()
    server = await asyncpg.connect(dsn)
    await server.execute(f"CREATE DATABASE {name}")
    try:
        await to(own, "0003")
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
            await to(own, revision)
        rows = await connection.fetch("SELECT source, body FROM deliveries ORDER BY delivery")
        await connection.close()
    finally:
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.close()
    before = [body for bodies in BODIES.values() for body in bodies]
    assert [row["body"] for row in rows] == [
        one.replace(STATE + b'"', b'***"').replace(STATE + b"<", b"***<").replace(STATE, b'***"') for one in before
    ]
