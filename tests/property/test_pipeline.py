"""The forecast, its accuracy, targets and revenue performance against an independent reading, on generated events."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from service.domain.contributions import REPORTS
from service.projections.reports.answers import Answer, read
from service.projections.reports.dues import Now
from service.projections.sums.selection import Query
from tests.reference import pipeline
from tests.reference.oracle import decimal, number
from tests.reference.pipeline import Pipeline
from tests.reference.strategies import PipelineMaker, event_sets
from tests.support.memory import LEDGER, MemorySnapshot, project

EXAMPLES = settings(
    deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)
EVENTS = event_sets(made_by=PipelineMaker)
ZONES = st.sampled_from(("UTC", "America/New_York", "Pacific/Auckland"))
TODAYS = st.sampled_from((date(2024, 2, 1), date(2024, 2, 29), date(2024, 4, 1), date(2024, 7, 15), date(2026, 2, 1)))
DAYS = st.none() | st.dates(date(2023, 12, 1), date(2024, 9, 1))
Events = list[dict[str, Any]]


def told(
    name: str, events: Events, timezone: str, today: date, query: Query, recorded: list[datetime] | None = None
) -> Answer:  # fmt: skip
    ledger = LEDGER._replace(timezone=timezone)

    async def run() -> Answer | None:
        view: Any = MemorySnapshot(await project(events, [3, 9], ledger), ledger, recorded or ())
        return await read(view, REPORTS[name], query, Now(0, today))

    found = asyncio.run(run())
    assert found is not None
    return found


def plain(row: dict[str, Any], *without: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("reasons", *without)}


@EXAMPLES
@given(events=EVENTS, timezone=ZONES, today=TODAYS, first=DAYS, end=DAYS)
def test_the_forecast_is_what_a_plain_reading_says(
    events: Events, timezone: str, today: date, first: date | None, end: date | None
) -> None:
    if first and end and first > end:
        first, end = end, first
    found = told("forecast", events, timezone, today, Query(("month",), first, end))
    expected = pipeline.forecast(Pipeline(events, ZoneInfo(timezone), "EUR"), today, first, end)
    assert plain(found.total) == expected.pop("total")
    assert {row["month"]: plain(row, "month") for row in found.rows} == expected


@EXAMPLES
@given(events=EVENTS, timezone=ZONES, today=TODAYS, owners=st.booleans(), seed=st.integers(0, 99))
def test_accuracy_is_what_was_read_of_what_was_known_when_each_month_began(
    events: Events, timezone: str, today: date, owners: bool, seed: int
) -> None:
    chance, zone = random.Random(seed), ZoneInfo(timezone)  # noqa: S311  not for secrets
    distinct = [*{(one["source"], one["id"]): one for one in events[::-1]}.values()][::-1]
    days = sorted(chance.randrange(240 * 24) for _ in distinct)
    recorded = [datetime(2023, 12, 1, tzinfo=UTC) + timedelta(hours=hours) for hours in days]

    def known_at(month: date) -> Pipeline:
        at = datetime.combine(month, time(), zone)
        return Pipeline([one for one, when in zip(distinct, recorded, strict=True) if when <= at], zone, "EUR")

    groups = ("month", "owner") if owners else ("month",)
    found = told("forecast-accuracy", distinct, timezone, today, Query(groups), recorded)
    expected = pipeline.accuracy(known_at, Pipeline(distinct, zone, "EUR"), today, owners)
    rows = {tuple(row[one] for one in groups) if owners else row["month"]: row for row in found.rows}
    money = {key: (decimal(one, 2), decimal(other, 2)) for key, (one, other) in expected.items()}
    assert {key: (row["weighted"], row["booked"]) for key, row in rows.items()} == money
    for key, row in rows.items():
        weighted, booked = expected[key]
        assert row["error"] == decimal(weighted - booked, 2)
        assert row["error_rate"] == (number((weighted - booked) / booked) if booked > 0 else None)


@EXAMPLES
@given(events=EVENTS, timezone=ZONES, today=TODAYS)
def test_targets_are_set_against_what_a_plain_reading_says(events: Events, timezone: str, today: date) -> None:
    keys = REPORTS["targets"].keys or ()
    found = told("targets", events, timezone, today, Query(keys))
    expected = pipeline.targets(events, Pipeline(events, ZoneInfo(timezone), "EUR"), timezone, today)
    columns = [column for column in found.rows[0] if column in ("campaign_id", *keys)] if found.rows else []
    rows = {tuple(row[one] for one in columns): plain(row, *columns) for row in found.rows}
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        rounded = key[0] in ("win_rate", "roi.booked", "roi.margin")  # the reference knows what is written
        for name, value in expected[key].items():
            near = rounded and name == "attainment" and None not in (row[name], value)
            assert abs(row[name] - value) < 0.00001 if near else row[name] == value, (key, name)


@EXAMPLES
@given(events=EVENTS, timezone=ZONES, today=TODAYS, first=DAYS)
def test_revenue_performance_is_what_a_plain_reading_says(
    events: Events, timezone: str, today: date, first: date | None
) -> None:
    window = (first, first + timedelta(200)) if first else (pipeline.before(today, 12), today)
    found = told("revenue-performance", events, timezone, today, Query((), *(window if first else ())))
    expected = pipeline.performance(events, Pipeline(events, ZoneInfo(timezone), "EUR"), timezone, *window)
    assert plain(found.total, "reach") == expected
