"""A backup of a whole database in one file, and a database made of it again.

    header (a line of JSON) · for each table: a line of JSON, pieces of COPY with their lengths before them, and 0; packed by zstd

All of it is of one moment: a transaction that sees nothing of what comes meanwhile. Nothing is held in memory but a piece. The
header has the head of each ledger's chain, which what is restored is held to.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import asyncpg
import msgspec

from service.store.database import Connection, Queryable, head_of_migrations

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMAT = "campaign-ledger backup 1"
_length = struct.Struct(">I")
_PIECE = 2**20
_SKIPPED = ("alembic_version", "parts")  # of the database itself; of processes that run

# Tables, with the columns that are stored: what is generated is generated again.
_TABLES = """
    SELECT c.relname, array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> ALL($1)
    GROUP BY c.relname ORDER BY c.relname
"""
_REFERENCES = """
    SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
    WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND conrelid <> confrelid
"""
_HEADS = (
    "SELECT l.name, h.position, encode(h.chain, 'hex') FROM heads h JOIN ledgers l USING (ledger) ORDER BY l.ledger"
)
_COUNTED = """
    SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> ''
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
"""
_COUNT_ON = """
    SELECT setval(pg_get_serial_sequence('{0}', '{1}'), greatest(1, (SELECT max({1}) FROM {0})),
                  EXISTS (SELECT FROM {0}))
"""
# What is restored is a log of its own from here on: positions after it are others than those of the log that went on.
NEW_EPOCH = "UPDATE ledgers SET epoch = gen_random_uuid()"


class Header(NamedTuple):
    """What a backup is of: the migration, when it was made, and by ledger (name, position, chain in hex)."""

    format: str
    migration: str
    made_at: datetime
    heads: list[tuple[str, int, str]]


class Table(NamedTuple):
    """A table, and the columns that are stored of it."""

    table: str
    columns: list[str]


async def write(pool: asyncpg.Pool, place: Path) -> Header:
    """Write a backup to a file that is not there yet; it has its name only once it is whole, and only its owner may read it."""
    with _whole_at(place) as stream, zstd.open(stream, "wb") as packed:
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            header = Header(
                FORMAT, await head_of_migrations(connection) or "", datetime.now(UTC),
                [tuple(row) for row in await connection.fetch(_HEADS)],
            )  # fmt: skip
            line(packed, header)
            for table in await tables(connection):
                line(packed, table)
                await _copy_out(connection, table, packed)
                packed.write(_length.pack(0))
    return header


@contextmanager
def _whole_at(place: Path) -> Iterator[BinaryIO]:
    if place.exists():
        raise FileExistsError(f"{place} is there already: a backup overwrites nothing")
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f"{place.name}.partial-") as partial:
        yield cast("BinaryIO", partial)
        partial.flush()
        os.fsync(partial.fileno())
        os.link(partial.name, place)


def unpacked(place: Path) -> zstd.ZstdFile:
    """Open what is in a backup, from its header on."""
    return zstd.ZstdFile(place, "rb")


async def read_header(place: Path) -> Header:
    """Return what a backup is of; ValueError if it is none."""
    with unpacked(place) as packed:
        return _header(packed)


async def restore(pool: asyncpg.Pool, place: Path) -> Header:
    """Fill a migrated database that has no ledger yet from a backup, all or nothing, and begin a new epoch of each ledger."""
    with unpacked(place) as packed:
        header = _header(packed)
        async with pool.acquire() as connection, connection.transaction():
            at = await head_of_migrations(connection)
            if at != header.migration:
                raise ValueError(
                    f"the backup is of migration {header.migration}, the database is at {at}: restore with the release that "
                    "made it, then migrate"
                )
            if await connection.fetchval("SELECT EXISTS (SELECT FROM ledgers)"):
                raise ValueError("the database has ledgers: a backup is restored into an empty one")
            await connection.execute("SET LOCAL statement_timeout = 0")
            while told := packed.readline():
                table = msgspec.json.decode(told, type=Table)
                if await connection.fetchval(f'SELECT EXISTS (SELECT FROM "{table.table}")'):
                    await connection.execute(
                        f'DELETE FROM "{table.table}"'
                    )  # what a service that was started has written
                await connection.copy_to_table(
                    table.table, source=_pieces(packed), columns=table.columns, format="binary"
                )
            for name, column in await connection.fetch(_COUNTED):
                await connection.execute(_COUNT_ON.format(name, column))
            await connection.execute(NEW_EPOCH)
            found = [tuple(row) for row in await connection.fetch(_HEADS)]
            if found != [tuple(one) for one in header.heads]:
                raise ValueError(f"the heads of the ledgers are not those of the backup: {found}")
    await pool.execute("ANALYZE")
    return header


def _header(packed: zstd.ZstdFile) -> Header:
    try:
        header = msgspec.json.decode(packed.readline(), type=Header)
    except (msgspec.DecodeError, zstd.ZstdError, EOFError, OSError) as error:
        raise ValueError(f"this is no backup: {error}") from None
    if header.format != FORMAT:
        raise ValueError(f"this is no {FORMAT}, but {header.format!r}")
    return header


def line(packed: zstd.ZstdFile, value: Any) -> None:
    """Write a line of JSON."""
    packed.write(msgspec.json.encode(value) + b"\n")


async def tables(connection: Queryable) -> list[Table]:
    """Return all tables, those that others refer to first."""
    found = {name: Table(name, columns) for name, columns in await connection.fetch(_TABLES, _SKIPPED)}
    needs: dict[str, set[str]] = {name: set() for name in found}
    for one, other in await connection.fetch(_REFERENCES):
        if one in needs and other in needs:
            needs[one].add(other)
    return [found[name] for name in _in_order(needs)]


def _in_order(needs: dict[str, set[str]]) -> Iterator[str]:
    done: set[str] = set()
    while len(done) < len(needs):
        ready = [name for name, others in needs.items() if name not in done and others <= done]
        if not ready:
            raise ValueError("tables refer to each other in a circle")
        yield from ready
        done.update(ready)


async def _copy_out(connection: Connection, table: Table, packed: zstd.ZstdFile) -> None:
    async def piece(data: bytes) -> None:
        packed.write(_length.pack(len(data)) + data)

    await connection.copy_from_query(
        f'SELECT {_columns(table.columns)} FROM "{table.table}"', output=piece, format="binary"
    )


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


async def _pieces(packed: zstd.ZstdFile) -> AsyncIterator[bytes]:
    while size := _length.unpack(_exactly(packed, _length.size))[0]:
        yield _exactly(packed, size)


def _exactly(packed: zstd.ZstdFile, size: int) -> bytes:
    data = packed.read(size)
    if len(data) != size:
        raise ValueError("the backup ends in the middle: it is not whole")
    return data
