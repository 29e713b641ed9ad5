"""Clocks of agreements against a plain reading of them, on generated events in any order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.contributions import REPORTS
from service.projections.reports.answers import read
from service.projections.reports.dues import now_at
from service.projections.sums.selection import Query
from tests.reference import agreements
from tests.reference.strategies import Maker
from tests.support.memory import LEDGER, MemorySnapshot, project

EXAMPLES = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
BEGIN = datetime(2024, 3, 29, tzinfo=UTC)  # a Friday; in Europe the clocks change on Sunday
TYPES = (
    "lead.captured", "lead.captured", "lead.qualified", "lead.handed_over", "lead.followed_up", "opportunity.opened",
)  # fmt: skip
HOURS = (
    None,
    {"fri": [["09:00", "17:00"], ["12:00", "24:00"]], "sun": [["00:00", "24:00"]], "mon": [["09:00", "12:30"]]},
)
WHERE: Any = (
    {},
    {},
    {"channel": "email"},
    {"campaign_type": "fair"},
    {"parent": "c2"},
    {"owner": "", "campaign_id": "c1"},
)
NAMES = ("started", "met", "late", "running", "overdue")
Events = list[dict[str, Any]]


def agreement(draw: Any) -> tuple[str, dict[str, Any]]:
    start = draw(st.sampled_from(TYPES))
    end = draw(st.sampled_from([one for one in (*TYPES, "lead.accepted") if one != start]))
    data = {
        "sla_id": draw(st.sampled_from(("s1", "s2"))), "from_event": start, "to_event": end,
        "within_hours": draw(st.sampled_from((0, 1, 7.5, 24))), "where": draw(st.sampled_from(WHERE)),
    }  # fmt: skip
    hours = draw(st.sampled_from(HOURS))
    holidays = {"holidays": ["2024-04-01"]} if draw(st.booleans()) else {}
    return "sla.defined", data | holidays | ({"hours": hours} if hours else {})


@st.composite
def events_of_leads(draw: Any) -> Events:
    maker = Maker(draw)
    kinds = (
        lambda: agreement(draw), lambda: agreement(draw), maker.captured, maker.captured, maker.qualified, maker.lead_step,
        maker.lead_step, maker.opened, maker.opened, maker.lead_merged, maker.reassigned, maker.placed, maker.order_cancelled,
        maker.campaign,
    )  # fmt: skip
    made = [agreement(draw), *(draw(st.sampled_from(kinds))() for _ in range(draw(st.integers(1, 16))))]
    made += [
        ("event.voided", {"source": "/t", "id": f"e{number}"})
        for number in draw(st.lists(st.integers(0, 18), max_size=2))
    ]
    minutes = [draw(st.integers(0, 4 * 24 * 4).map(lambda quarter: 15 * quarter)) for _ in made]
    return [
        {
            "specversion": "1.0", "id": f"e{number}", "source": "/t", "type": kind, "data": data,
            "time": (BEGIN + timedelta(minutes=at)).isoformat(),
        }
        for number, ((kind, data), at) in enumerate(zip(made, minutes, strict=True))
    ]  # fmt: skip


@EXAMPLES
@given(
    events=events_of_leads(), timezone=st.sampled_from(("UTC", "Europe/Berlin", "America/New_York")),
    after=st.integers(0, 6 * 24 * 4), seed=st.integers(), cuts=st.lists(st.integers(0, 20), max_size=3),
    groups=st.sampled_from((("sla",), ("owner", "sla"), ("campaign", "channel"), ("sla", "day"))),
)  # fmt: skip
def test_clocks_are_what_a_plain_reading_says(
    events: Events, timezone: str, after: int, seed: int, cuts: list[int], groups: tuple[str, ...]
) -> None:
    ledger, now = LEDGER._replace(timezone=timezone), BEGIN + timedelta(minutes=15 * after)
    shuffled = random.Random(seed).sample(events, len(events))  # noqa: S311  not for secrets

    async def run() -> Any:
        view: Any = MemorySnapshot(await project(shuffled, cuts, ledger), ledger)
        return await read(view, REPORTS["sla"], Query(groups), now_at(now, timezone))

    answer, clocks = asyncio.run(run()), agreements.sla(events, ZoneInfo(timezone), now)
    columns = ["campaign_id" if name == "campaign" else name for name in groups]
    expected: dict[tuple[Any, ...], Counter[str]] = {}
    for clock in clocks:
        row = expected.setdefault(tuple(clock[name] for name in columns), Counter())
        row.update(("started", clock["kind"]))
    found = {tuple(row[name] for name in columns): [row[name] for name in NAMES] for row in answer.rows}
    assert {key: row for key, row in found.items() if any(row)} == {
        key: [row[name] for name in NAMES] for key, row in expected.items()
    }
    took = sorted(one["took"] / timedelta(hours=1) for one in clocks if one["stopped"])
    assert answer.total["mean_hours"] == (round(sum(took) / len(took), 4) if took else None)
    judged = sum(one["kind"] != "running" for one in clocks)
    met = sum(one["kind"] == "met" for one in clocks)
    assert answer.total["met_rate"] == (round(met / judged, 6) if judged else None)
