"""Events to send: lead-to-cash journeys of a ledger that grows by a thousand leads a day, in the order they happen.

The n-th event is the same in every run and at every size, so that a ledger of 10⁷ events begins as one of 10⁴ does.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Iterator
from typing import Any

import msgspec

BEGIN = 1_420_070_400  # 2015-01-01
DAY = 86_400
LEADS_A_DAY = 1_000
CAMPAIGNS = 12
QUALIFIED, OPENED, SOLD, COSTS = 0.7, 0.4, 0.6, 0.05  # shares of the step before
EVENTS_A_DAY = 2_800  # about, which is what those shares come to

_Fact = tuple[str, float, dict[str, Any]]  # type, moment, data


def lines(seed: int = 1) -> Iterator[bytes]:
    """Yield events as JSON lines, without end."""
    chance, number = random.Random(seed), 0
    waiting: list[tuple[float, str, bytes]] = []
    while True:
        moment = BEGIN + DAY * number / LEADS_A_DAY
        while waiting and waiting[0][0] <= moment:
            yield heapq.heappop(waiting)[2]
        for index, (kind, when, data) in enumerate(_journey(chance, number, moment)):
            heapq.heappush(waiting, (when, f"{number:09}-{index}", _line(f"{number:09}-{index}", kind, when, data)))
        number += 1


def _journey(chance: random.Random, number: int, moment: float) -> Iterator[_Fact]:
    campaign, lead = {"campaign_id": f"campaign-{chance.randrange(CAMPAIGNS):03}"}, {"lead_id": f"LD-{number:09}"}
    channel, owner = chance.choice(("web", "mail", "event")), f"rep-{chance.randrange(8)}"
    yield "lead.captured", moment, {**lead, **campaign, "channel": channel, "source": "google", "owner_id": owner}
    if chance.random() < COSTS:
        amount = _euro(chance.randrange(100, 5_000))
        booked = {"cost_entry_id": f"CE-{number:09}", **campaign, "amount": amount, "cost_date": day(moment)}
        yield "campaign.cost_booked", moment + 1, booked
    if chance.random() < QUALIFIED:
        moment += chance.expovariate(2) * DAY
        yield "lead.qualified", moment, {**lead, "level": "mql"}
    if chance.random() < OPENED:
        moment += chance.expovariate(1) * DAY
        opportunity = {"opportunity_id": f"OP-{number:09}"}
        yield "opportunity.opened", moment, {**opportunity, "lead_ids": [lead["lead_id"]]}
        if chance.random() < SOLD:
            yield from _sale(chance, number, moment + chance.expovariate(0.5) * DAY, opportunity)


def _sale(chance: random.Random, number: int, moment: float, opportunity: dict[str, Any]) -> Iterator[_Fact]:
    value, cogs = _euro(chance.randrange(500, 50_000)), _euro(chance.randrange(100, 400))
    quote, order = {"quote_id": f"QU-{number:09}"}, {"order_id": f"SO-{number:09}"}
    yield "quote.accepted", moment, {**quote, **opportunity, "value": value}
    placed = {**order, **opportunity, **quote, "net_value": value, "account_id": f"AC-{number // 2:09}"}
    yield "order.placed", moment + 3600, placed
    moment += DAY
    posted = {"invoice_id": f"IN-{number:09}", **order, "net_amount": value, "cogs": cogs, "posting_date": day(moment)}
    yield "invoice.posted", moment, posted


def _euro(amount: int) -> dict[str, str]:
    return {"amount": f"{amount}.00", "currency": "EUR"}


def _line(identity: str, kind: str, moment: float, data: dict[str, Any]) -> bytes:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    return msgspec.json.encode(
        {"specversion": "1.0", "id": identity, "source": "/crm", "type": kind, "time": when, "data": data}
    )


def day(moment: float) -> str:
    """Return the day of a moment, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
