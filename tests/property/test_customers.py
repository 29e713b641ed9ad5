"""Who is a customer when, against a plain reading of what happened to each account, in event order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.contributions import REPORTS
from service.projections.reports.answers import read
from service.projections.sums.selection import Query
from tests.support.memory import MemorySnapshot, project
from tests.support.sending import event, order

KINDS = ("order", "order", "cancel", "account.renewed", "account.churned", "account.merged", "void")
STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(1, 28), st.sampled_from("ABC"), st.sampled_from("ABC"), st.integers(0, 99)),
    max_size=14,
)  # fmt: skip


def events_of(steps: list[tuple[str, int, str, str, int]]) -> list[dict[str, Any]]:
    """Return an event per step, in the order of their numbers where they are of one day."""
    found: list[dict[str, Any]] = []
    for number, (kind, day, one, other, which) in enumerate(steps):
        time = f"2026-01-{day:02}T12:00:{number:02}Z"
        if kind == "order":
            made = order(f"S{number}", "1.00", time, account_id=one)
        elif kind == "cancel":
            made = event("order.cancelled", time, order_id=f"S{which % len(steps)}")
        elif kind == "account.merged":
            made = event(kind, time, survivor_id=one, merged_id=other)
        elif kind == "void":
            made = event("event.voided", time, source="/test", id=f"e{which % len(steps)}")
        else:
            made = event(kind, time, account_id=one)
        found.append({**made, "id": f"e{number}"})
    return found


def plainly(events: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Return how many customers are gained and churned on each day."""
    voids = {one["id"]: one["data"]["id"] for one in events if one["type"] == "event.voided"}
    times = {one["id"]: (one["time"], one["id"]) for one in events}

    def void(identity: str) -> bool:
        return any(
            target == identity and (identity not in voids or times[one] > times[identity]) and not void(one)
            for one, target in voids.items()
        )

    live = [one for one in events if not void(one["id"])]
    classes = {one: {one} for one in "ABC"}
    for one in live:
        if one["type"] == "account.merged":
            merged = classes[one["data"]["survivor_id"]] | classes[one["data"]["merged_id"]]
            classes |= dict.fromkeys(merged, merged)
    cancelled = {one["data"]["order_id"] for one in live if one["type"] == "order.cancelled"}
    customers: set[frozenset[str]] = set()
    found: Counter[tuple[str, str]] = Counter()
    for one in sorted(live, key=lambda one: one["time"]):
        account = one["data"].get("account_id")
        if account is None or one["data"].get("order_id") in cancelled:
            continue
        of = frozenset(classes[account])
        if one["type"] == "account.churned" and of in customers:
            customers.remove(of)
            found["churned", one["time"][:10]] += 1
        elif one["type"] != "account.churned" and of not in customers:
            customers.add(of)
            found["gained", one["time"][:10]] += 1
    return found


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, seed=st.integers(), cuts=st.lists(st.integers(0, 20), max_size=3))
def test_customers_come_and_go_as_their_events_say_in_any_order(
    steps: list[tuple[str, int, str, str, int]], seed: int, cuts: list[int]
) -> None:
    events = events_of(steps)
    shuffled = random.Random(seed).sample(events, len(events))  # noqa: S311  not for secrets

    async def run() -> Any:
        view: Any = MemorySnapshot(await project(shuffled, cuts))
        return await read(view, REPORTS["retention"], Query(("day",)), None)

    rows = asyncio.run(run()).rows
    told = {(name, row["day"]): row[name] for row in rows for name in ("gained", "churned") if row[name]}
    assert told == plainly(events)
    stands = 0
    for row in rows:
        assert row["customers_at_start"] == stands
        stands += row["gained"] - row["churned"]
