"""A file in the making: begun before it is complete, ended by whoever goes away, and broken off where it fails."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from service.api import exporting, formats
from service.api.exporting import Export
from service.api.problems import ProblemError
from service.api.turns import Turn, Turns
from service.exports import columns
from service.exports.columns import Column
from service.exports.tables import Table

MUCH = 1_500_000  # bytes
TABLE = Table([Column("n", columns.COUNT)], lambda n: [n])


class Asked:
    """A request for a file, and what was sent to it."""

    def __init__(self, method: str = "GET", coding: str = "") -> None:
        self.lane = Turns(1, 1, 0.1)
        self.sent: list[dict[str, Any]] = []
        self.gone, self.much = asyncio.Event(), asyncio.Event()
        exchange = SimpleNamespace(coding=coding, method=method)
        app = SimpleNamespace(state=SimpleNamespace(exports=self.lane))
        state = {"turn": Turn(Turns(1, 1, 1.0), "k"), "access": SimpleNamespace(key_id="k")}
        self.request = Request({"type": "http", "headers": [], "app": app, "exchange": exchange, "state": state})

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if len(self.body) > MUCH:
            self.much.set()

    @property
    def body(self) -> bytes:
        return b"".join(one.get("body", b"") for one in self.sent)


class Rows:
    """Rows that come as they are let come, and know whether they were closed."""

    def __init__(self, *stretches: int, fails: bool = False, endless: bool = False) -> None:
        self._stretches, self._fails, self._endless = stretches, fails, endless
        self.closed = False
        self.more = asyncio.Event()

    async def rows(self) -> AsyncGenerator[Export | list[Any], None]:
        try:
            yield Export(TABLE, "numbers", encode=lambda n: str(n).encode())
            for size in self._stretches:
                yield list(range(size))
            if self._fails:
                await self.more.wait()
                raise ProblemError(503, "the database is away")
            while self._endless:
                await self.more.wait()
                yield [1] * 1000
                await asyncio.sleep(0)
        finally:
            self.closed = True


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_long_file_is_sent_while_it_is_made() -> None:
    asked, rows = Asked(), Rows(400_000, endless=True)
    response = await exporting.answer(asked.request, formats.CSV, rows.rows())
    sending = asyncio.create_task(response(asked.request.scope, asked.receive, asked.send))
    await asyncio.wait_for(asked.much.wait(), 10)
    assert not rows.closed
    assert b"content-length" not in dict(asked.sent[0]["headers"])
    asked.gone.set()
    await sending
    assert rows.closed


async def test_who_goes_away_ends_the_work_and_gives_the_lane_back() -> None:
    asked, rows = Asked(), Rows(400_000, endless=True)
    rows.more.set()
    response = await exporting.answer(asked.request, formats.CSV, rows.rows())
    with pytest.raises(ProblemError, match="too many reads"):  # the lane is taken
        await exporting.answer(asked.request, formats.CSV, Rows(1).rows())
    asked.gone.set()
    await response(asked.request.scope, asked.receive, asked.send)
    assert rows.closed
    again = await exporting.answer(asked.request, formats.CSV, Rows(3).rows(), few=True)
    assert again.body == b"n\r\n0\r\n1\r\n2\r\n"


async def test_what_fails_at_once_is_a_problem_and_what_fails_half_way_is_broken_off() -> None:
    asked = Asked()
    rows = Rows(3, fails=True)
    rows.more.set()
    with pytest.raises(ProblemError, match="away"):
        await exporting.answer(asked.request, formats.CSV, rows.rows())
    rows = Rows(400_000, fails=True)
    response = await exporting.answer(asked.request, formats.JSON, rows.rows())
    rows.more.set()
    with pytest.raises(ProblemError, match="away"):
        await response(asked.request.scope, asked.receive, asked.send)
    assert asked.sent[-1].get("more_body", True)  # nothing says that it was all


@pytest.mark.parametrize("form", formats.TABLES)
async def test_head_makes_nothing_and_leaves_nothing(
    form: formats.Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    asked, rows = Asked("HEAD"), Rows(5, endless=True)
    response = await exporting.answer(asked.request, form, rows.rows())
    assert rows.closed
    assert dict(response.raw_headers)[b"content-type"] == form.content_type.encode()
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_what_is_complete_before_it_is_sent_tells_its_length(coding: str) -> None:
    asked = Asked(coding=coding)
    response = await exporting.answer(asked.request, formats.JSON, Rows(2, 300_000).rows())
    await asyncio.sleep(0.5)
    await response(asked.request.scope, asked.receive, asked.send)
    headers = dict(asked.sent[0]["headers"])
    assert headers[b"content-encoding"] == coding.encode()
    assert int(headers.get(b"content-length", len(asked.body))) == len(asked.body) < MUCH
