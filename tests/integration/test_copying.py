from __future__ import annotations

import struct
from datetime import date

import asyncpg

from service.store import copying


async def test_rows_written_in_the_binary_format_read_back_as_they_were(pool: asyncpg.Pool) -> None:
    days = [date(1, 1, 2), date(1999, 12, 31), date(2000, 1, 1), date(9999, 12, 31), date.min]
    texts = ["", "a", "Zürich \U0001f30d", None, "x" * 70_000]
    pieces = [copying.START]
    for number, (day, text) in enumerate(zip(days, texts, strict=True)):
        pieces += [
            struct.pack("!hii", 3, 4, copying.date(day.toordinal())),
            copying.NULL if text is None else copying.text(text),
            copying.bigint(8, (-1) ** number * (2**63 - 1)),
        ]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("CREATE TEMP TABLE copied (day date, text text, number bigint) ON COMMIT DROP")
        await copying.copy(connection, "copied", pieces)
        rows = await connection.fetch("SELECT day, text, number FROM copied")
    assert [tuple(row) for row in rows] == [
        (day, text, (-1) ** number * (2**63 - 1)) for number, (day, text) in enumerate(zip(days, texts, strict=True))
    ]
