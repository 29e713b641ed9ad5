"""Cases, activities and reach against an independent reading of them, on generated events in any order."""

from __future__ import annotations

import asyncio
import random
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.contributions import REPORTS
from service.projections.sums.selection import Query
from tests.reference import desk
from tests.reference.strategies import TIMES, Maker
from tests.support.memory import LEDGER, MemorySnapshot, answer, project

EXAMPLES = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
ZONES = st.sampled_from(("UTC", "America/New_York"))
DAYS = st.none() | st.dates(date(2024, 1, 1), date(2024, 12, 31))
Events = list[dict[str, Any]]


@st.composite
def events_of_the_desk(draw: Any) -> Events:
    maker = Maker(draw)
    kinds = (maker.case, maker.case, maker.contact, maker.contact, maker.activity)
    made = [draw(st.sampled_from(kinds))() for _ in range(draw(st.integers(0, 18)))]
    voided = draw(st.lists(st.integers(0, 20), max_size=2))
    made += [("event.voided", {"source": "//crm", "id": f"e{number}"}) for number in voided]
    if draw(st.booleans()):
        made.append(("subject.erased", {"subject_id": draw(st.sampled_from(("t1", "t2")))}))
    return [
        {
            "specversion": "1.0", "id": f"e{number}", "source": "//crm", "type": kind, "data": data,
            "time": draw(st.sampled_from(draw(st.sampled_from(TIMES)))),
        }
        for number, (kind, data) in enumerate(made)
    ]  # fmt: skip


def told(name: str, events: Events, timezone: str, first: date | None, end: date | None) -> Any:
    report, ledger = REPORTS[name], LEDGER._replace(timezone=timezone)
    shuffled = random.Random(len(events)).sample(events, len(events))  # noqa: S311  not for secrets

    async def run() -> Any:
        view: Any = MemorySnapshot(await project(shuffled, [3, 9], ledger), ledger)
        return await answer(view, report, Query((report.group_by,), first, end))

    return asyncio.run(run())


def differing(rows: list[dict[str, Any]], key: str, expected: dict[Any, dict[str, Any]], names: tuple[str, ...]) -> Any:
    """Return what is not as expected; what has no row has nothing."""
    found = {row[key]: [row[name] for name in names] for row in rows}
    nothing = [0] * len(names)
    keys = found.keys() | expected.keys()
    plain = {one: [expected.get(one, {}).get(name, 0) for name in names] for one in keys}
    return {one: (found.get(one), plain[one]) for one in keys if found.get(one, nothing) != plain[one]}


@EXAMPLES
@given(events=events_of_the_desk(), timezone=ZONES, first=DAYS, end=DAYS)
def test_cases_are_what_a_plain_reading_says(
    events: Events, timezone: str, first: date | None, end: date | None
) -> None:
    if first and end and first > end:
        first, end = end, first
    found, expected = (
        told("service", events, timezone, first, end),
        desk.service(events, ZoneInfo(timezone), first, end),
    )
    for row in expected.values():
        row["csat_count"] = len(row["scores"])
    names = ("opened", "resolved", "reopened", "open", "backlog", "same_day", "csat_count")
    assert not differing(found.rows, "owner", expected, names)
    assert found.total["backlog"] == sum(row["backlog"] for row in expected.values())
    hours = [one for row in expected.values() for one in row["hours"]]
    scores = [one for row in expected.values() for one in row["scores"]]
    assert found.total["mean_hours"] == (float(round(sum(hours) / len(hours), 4)) if hours else None)
    assert found.total["csat_mean"] == (float(round(sum(scores) / len(scores), 6)) if scores else None)


@EXAMPLES
@given(events=events_of_the_desk(), timezone=ZONES, first=DAYS)
def test_activities_are_what_a_plain_reading_says(events: Events, timezone: str, first: date | None) -> None:
    found = told("activities", events, timezone, first, None)
    of = {"email": "emails", "meeting": "meetings", "demo": "demos", "visit": "visits", "other": "other"}
    plain = desk.activities(events, ZoneInfo(timezone), first, None)
    expected = {owner: {of[kind]: count for kind, count in row.items()} for owner, row in plain.items()}
    assert not differing(found.rows, "owner", expected, tuple(of.values()))


@EXAMPLES
@given(events=events_of_the_desk(), timezone=ZONES, first=DAYS)
def test_reach_is_what_a_plain_reading_says(events: Events, timezone: str, first: date | None) -> None:
    found, plain = told("reach", events, timezone, first, None), desk.reach(events, ZoneInfo(timezone), first, None)
    sets = ("contacts", "consented", "addressable", "reachable")
    expected = {channel: row | {name: len(row[name]) for name in sets} for channel, row in plain.items()}
    assert [row["channel"] for row in found.rows] == sorted(expected, key=lambda one: (one is None, one or ""))
    assert not differing(found.rows, "channel", expected, (*sets, "granted", "withdrawn", "messages_sent"))
    for name in sets if plain else ():
        assert found.total[name] == len(set().union(*(row[name] for row in plain.values())))
