"""COPY in PostgreSQL's binary format, written here because the driver's encoding of many rows costs more than making them.

A row is the number of its fields, then each field's length in bytes and its bytes, all in network order (PostgreSQL
documentation, COPY, "Binary Format"; for types, their send functions). The callers pack what they can at once.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache

from service.store.database import Connection

START = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, no flags, no header extension
NULL = b"\xff\xff\xff\xff"
END = b"\xff\xff"
_CHUNK = 4_096  # pieces that are sent at once
_EPOCH = 730_120  # the ordinal of 2000-01-01, from which PostgreSQL counts days
_MINUS_INFINITY = -(2**31)

length = struct.Struct("!i").pack
bigint = struct.Struct("!iq").pack  # takes 8 and the number


@lru_cache(maxsize=65_536)
def date(ordinal: int) -> int:
    """Return a day as PostgreSQL counts it; 0001-01-01 stands for -infinity, as in the driver."""
    return ordinal - _EPOCH if ordinal > 1 else _MINUS_INFINITY


def field(value: bytes) -> bytes:
    """Return bytes with their length."""
    return length(len(value)) + value


def text(value: str) -> bytes:
    """Return a text with its length."""
    return field(value.encode())


known_text = lru_cache(maxsize=65_536)(text)  # for texts that come again soon


async def copy(connection: Connection, table: str, pieces: Sequence[bytes]) -> None:
    """Send rows, begun with `START`, to a table with the columns in its own order."""
    await connection.copy_to_table(table, source=_chunks(pieces), format="binary")


async def _chunks(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for start in range(0, len(pieces), _CHUNK):
        yield b"".join(pieces[start : start + _CHUNK])
    yield END
