"""A two-year marketing portfolio as CloudEvents, in the order of their arrival: a dozen campaigns from lead to cash.

Deterministic: the same arguments give the same events, and no clock is read. `tables.py` has the figures behind the
story, `campaigns.py`, `leads.py` and `deals.py` tell it, `outbox.py` puts it in the order of arrival. `around.py` tells
what else the company records, which changes neither the return of a campaign nor its funnel nor its pace.
"""

from collections.abc import Iterator
from datetime import date
from heapq import merge
from random import Random

from service.demo.around import Around
from service.demo.campaigns import Campaigns
from service.demo.leads import Leads
from service.demo.outbox import Event, Outbox
from service.demo.tables import MONTHS

_END = date(2026, 6, 30)


def portfolio(seed: int = 7, leads: int = 9000, end: date = _END) -> Iterator[Event]:
    """Yield the events from lead to cash of the 24 months up to and including `end`."""
    yield from _from_lead_to_cash(seed, leads, end).arrivals()


def surroundings(seed: int = 7, leads: int = 9000, end: date = _END) -> Iterator[Event]:
    """Yield what is recorded around them: touches, activities, consents, service, targets, renewals."""
    yield from _around(_from_lead_to_cash(seed, leads, end), seed, end).arrivals()


def everything(seed: int = 7, leads: int = 9000, end: date = _END) -> Iterator[Event]:
    """Yield the portfolio and its surroundings in one order of arrival."""
    told = _from_lead_to_cash(seed, leads, end)
    around = _around(told, seed, end)
    for _, event in merge(told.by_arrival(), around.by_arrival(), key=lambda sent: sent[0]):
        yield event


def _months(end: date) -> list[date]:
    last = end.year * 12 + end.month - 1
    return [date(number // 12, number % 12 + 1, 1) for number in range(last - MONTHS + 1, last + 1)]


def _from_lead_to_cash(seed: int, leads: int, end: date) -> Outbox:
    rng = Random(seed)  # noqa: S311 - demo data wants a repeatable generator, not a secret one
    months = _months(end)
    outbox = Outbox(rng, months[0], end)
    Campaigns(rng, outbox, months).tell()
    Leads(rng, outbox, months, end).tell(leads)
    return outbox


def _around(told: Outbox, seed: int, end: date) -> Outbox:
    rng = Random(seed + 1)  # noqa: S311 - of its own: what is said here changes no draw there
    months = _months(end)
    outbox = Outbox(rng, months[0], end)
    Around(rng, outbox, told.said(), months).tell()
    return outbox
