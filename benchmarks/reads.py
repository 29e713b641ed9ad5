"""Reads over 16 connections, against a bare FastAPI route that answers the same bytes, and against plain SQL.

Whatever is asked again is answered from memory as long as no event comes in, and as of a position for longer; "first asked"
has another period (or another position) in each request, so that every answer is worked out. Ours also looks the key up and
asks the database where the ledger stands, and tells an ETag; the bare route does nothing but answer the same bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from benchmarks import journeys, load, plain, setting
from benchmarks.setting import Server, Stage
from benchmarks.table import Row, compare
from service.bootstrap import run as run_fast

_CONNECTIONS = 16
_GOOD = 300
_BARE, _UNCHANGED, _SQL = (
    "a bare FastAPI route with the same bytes",
    "a bare FastAPI 304",
    "plain SQL in a FastAPI route",
)


class _Read(NamedTuple):
    """A row: its path, in which {n} is another number in each request, {period} another period, {position} another position."""

    what: str
    path: str
    share: float = 1.0  # of an effort's requests
    tagged: bool = False  # with If-None-Match
    against_sql: bool = False


_ROI = "/v1/roi?group_by=campaign"
_ENTRIES = "/v1/roi/entries?measure=booked_revenue&campaign_id=campaign-001&limit=100"
_READS = (
    _Read("ROI by campaign, asked again", _ROI),
    _Read("ROI by campaign, first asked", _ROI + "&{period}", 0.2, against_sql=True),
    _Read("one campaign's ROI, asked again", "/v1/campaigns/campaign-001/roi"),
    _Read("one campaign's ROI, first asked", "/v1/campaigns/campaign-001/roi?{period}", 0.2),
    _Read("entries of a figure, asked again", _ENTRIES),
    _Read("entries of a figure, first asked", _ENTRIES + "&{period}", 0.2),
    _Read("ROI as of a position, asked again", _ROI + "&as_of={half}"),
    _Read("ROI as of a position, first asked", _ROI + "&as_of={position}", 0.05),
    _Read("ROI by campaign, unchanged (304)", _ROI, tagged=True),
)


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows; a read that the service does not know is left out."""
    run_fast(plain.fill(stage.dsn, stage.ledger.ledger))
    with setting.served(stage.dsn) as ours, setting.bare(stage.dsn) as bare:
        head = stage.caught_up(ours)
        for read in _READS:
            try:
                yield from _read(stage, ours, bare, read, head)
            except RuntimeError as error:
                print(f"  {read.what}: left out, {error}")
        yield Row("memory of the API process after reads", stage.size, [setting.peak(ours.pid)], "MB")


def _read(stage: Stage, ours: Server, bare: Server, read: _Read, head: int) -> Iterator[Row]:
    numbers, seconds = itertools.count(), stage.effort.seconds
    amount = max(int(stage.effort.requests * read.share), _CONNECTIONS * 2)
    with stage.http(ours) as client:
        first = client.get(_filled(read.path, next(numbers), head))
    if first.status_code >= _GOOD:
        raise RuntimeError(f"{read.path} was answered with {first.status_code}")
    with stage.http(bare) as client:
        client.post("/kept", content=first.content)
    tag = first.headers["etag"] if read.tagged else ""

    def asked() -> load.Result:
        paths = [_filled(read.path, next(numbers), head) for _ in range(amount)]
        return load.run(ours.port, _CONNECTIONS, [load.get(path, stage.key, tag) for path in paths], seconds)

    def baseline(path: Callable[[], str]) -> Callable[[], load.Result]:
        return lambda: load.run(bare.port, _CONNECTIONS, [load.get(path()) for _ in range(amount)], seconds)

    bare_path = "/unchanged" if read.tagged else "/kept"
    contestants = {"ours": asked, _UNCHANGED if read.tagged else _BARE: baseline(lambda: bare_path)}
    if read.against_sql:
        contestants[_SQL] = baseline(lambda: "/sql/roi?" + _period(next(numbers), head, "since", "until"))
    asked()  # warms up
    found = compare(stage.effort.rounds, contestants)
    p50, p99 = (median(one.percentile(share) for one in found["ours"]) for share in (0.5, 0.99))
    rates = {name: [one.rate for one in results] for name, results in found.items()}
    for against in list(rates)[1:]:
        yield Row(read.what, stage.size, rates["ours"], "/s", against, rates[against], p50, p99)
    if read.against_sql:
        p99 = median(one.percentile(0.99) for one in found[_SQL])
        yield Row("the same by plain SQL", stage.size, rates[_SQL], "/s", p99=p99)


def _filled(path: str, number: int, head: int) -> str:
    position = 1 + number * 7_919 % (head - 1)  # anywhere in the log
    return path.format(period=_period(number, head), half=head // 2, position=position)


def _period(number: int, head: int, since: str = "from", until: str = "to") -> str:
    """Return a period that was not asked before, with its ends on any day of the ledger's life."""
    days = max(head // journeys.EVENTS_A_DAY, 4)
    begin = journeys.BEGIN + journeys.DAY * (number % (days // 2))
    end = journeys.BEGIN + journeys.DAY * (days - number % (days // 3) + 30 * (number // (days // 2)))
    return f"{since}={journeys.day(begin)}&{until}={journeys.day(end)}"
