"""A two-year marketing portfolio as CloudEvents, in the order of their arrival: a dozen campaigns from lead to cash.

Deterministic: the same arguments give the same events, and no clock is read. `tables.py` has the figures behind the
story, `campaigns.py`, `leads.py` and `deals.py` tell it, `outbox.py` puts it in the order of arrival.
"""

from collections.abc import Iterator
from datetime import date
from random import Random

from service.demo.campaigns import Campaigns
from service.demo.leads import Leads
from service.demo.outbox import Event, Outbox
from service.demo.tables import MONTHS


def portfolio(seed: int = 7, leads: int = 9000, end: date = date(2026, 6, 30)) -> Iterator[Event]:
    """Yield the events of the 24 months up to and including `end`."""
    rng = Random(seed)  # noqa: S311 - demo data wants a repeatable generator, not a secret one
    last = end.year * 12 + end.month - 1
    months = [date(number // 12, number % 12 + 1, 1) for number in range(last - MONTHS + 1, last + 1)]
    outbox = Outbox(rng, months[0], end)
    Campaigns(rng, outbox, months).tell()
    Leads(rng, outbox, months, end).tell(leads)
    yield from outbox.arrivals()
