"""The peer: the `eventsourcing` library on the same PostgreSQL, with the same durable settings, each run in a fresh process.

It appends journeys as aggregates, and keeps per campaign what they cost and brought, as its documentation shows: by a
projection whose every event is one transaction, and by one in memory, which starts from nothing at each start. Its faster
way of inserting (a function in the database) is chosen. The rows are of our service's events: one event here is one there.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL

_SCHEMA = "peer"
_MONEY = {"campaign.cost_booked": "amount", "order.placed": "net_value", "invoice.posted": "net_amount"}
_TOGETHER = 500  # journeys in one transaction, when filling


class Journey(Aggregate):
    """What becomes of a lead."""

    class Captured(Aggregate.Created):
        """Its beginning."""

        campaign: str

    class Happened(Aggregate.Event):
        """Whatever comes later."""

        campaign: str
        kind: str
        amount: str

    @event(Captured)
    def __init__(self, campaign: str) -> None:
        self.campaign = campaign

    @event(Happened)
    def happen(self, campaign: str, kind: str, amount: str) -> None:
        """Take note of a later event; the aggregate itself has no use for it."""


class Journeys(Application[UUID]):
    """The application that stores journeys."""


class Sums(PostgresTrackingRecorder):
    """Sums per campaign in a table, moved together with the place in the log."""

    def __init__(self, datastore: Any, **named: Any) -> None:
        super().__init__(datastore, **named)
        self.sql_create_statements.append(
            SQL(
                f"CREATE TABLE IF NOT EXISTS {_SCHEMA}.sums "
                "(campaign text, kind text, amount numeric, PRIMARY KEY (campaign, kind)) WITH (fillfactor = 50)"
            )
        )

    def add(self, tracking: Tracking, campaign: str, kind: str, amount: str) -> None:
        """Add an amount, exactly once."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                f"INSERT INTO {_SCHEMA}.sums VALUES (%s, %s, %s) "
                "ON CONFLICT (campaign, kind) DO UPDATE SET amount = sums.amount + excluded.amount",
                (campaign, kind, amount), prepare=True,
            )  # fmt: skip


class SumsInMemory(POPOTrackingRecorder):
    """The same in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[tuple[str, str], float] = defaultdict(float)

    def add(self, tracking: Tracking, campaign: str, kind: str, amount: str) -> None:
        """Add an amount."""
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            self._insert_tracking(tracking)
            self.sums[campaign, kind] += float(amount)


class Durable(Projection[Sums]):
    """Counts leads and sums money per campaign."""

    @singledispatchmethod
    def process_event(self, _: Aggregate.Event, tracking: Tracking) -> None:
        """Pass by what is not known."""
        self.view.insert_tracking(tracking)

    @process_event.register
    def _captured(self, one: Journey.Captured, tracking: Tracking) -> None:
        self.view.add(tracking, one.campaign, "lead.captured", "1")

    @process_event.register
    def _happened(self, one: Journey.Happened, tracking: Tracking) -> None:
        self.view.add(tracking, one.campaign, one.kind, one.amount)


class InMemory(Durable):
    """The same with a view in memory."""


def prepare(dsn: str, lines: Sequence[bytes]) -> None:
    """Store events in the peer's own schema."""
    environment = _environment(dsn)
    with Journeys(environment) as app:
        journeys = list(_journeys(lines))
        for start in range(0, len(journeys), _TOGETHER):
            app.save(*journeys[start : start + _TOGETHER])


def append(dsn: str, lines: Sequence[bytes], threads: int) -> float:
    """Store one journey's beginning per transaction from so many threads; return events per second."""
    with Journeys(_environment(dsn)) as app, ThreadPoolExecutor(threads) as pool:
        journeys = [Journey(campaign=f"campaign-{number % 12:03}") for number, _ in enumerate(lines)]
        app.save(journeys.pop())  # connects
        started = time.perf_counter()
        list(pool.map(app.save, journeys))
        return len(journeys) / (time.perf_counter() - started)


def project(dsn: str, events: int, *, durable: bool) -> float:
    """Project the first events anew; return events per second."""
    environment = _environment(dsn) | {"INMEMORY_PERSISTENCE_MODULE": "eventsourcing.popo"}
    projection, view = (Durable, Sums) if durable else (InMemory, SumsInMemory)
    with Journeys(environment) as app, app.factory.datastore.transaction(commit=True) as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {_SCHEMA}.sums, {_SCHEMA}.durable_tracking")
    started = time.perf_counter()
    with ProjectionRunner(
        application_class=Journeys, projection_class=projection, view_class=view, env=environment
    ) as runner:
        while (runner.view.max_tracking_id("Journeys") or 0) < events:
            if runner.is_interrupted.is_set():
                break  # the end of the block raises what went wrong
            time.sleep(0.01)
        return int(runner.view.max_tracking_id("Journeys")) / (time.perf_counter() - started)


def _environment(dsn: str) -> dict[str, str]:
    given = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": given["dbname"],
        "POSTGRES_HOST": given.get("host", "127.0.0.1"),
        "POSTGRES_PORT": given.get("port", "5432"),
        "POSTGRES_USER": given.get("user", "postgres"),
        "POSTGRES_PASSWORD": given.get("password", os.environ.get("PGPASSWORD", "none")),
        "POSTGRES_SCHEMA": _SCHEMA,
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
        "POSTGRES_POOL_SIZE": "16",
    }


def _journeys(lines: Sequence[bytes]) -> Iterator[Journey]:
    """Make aggregates of our events, each with its campaign, as a modeller with the choice would have it."""
    found: dict[str, Journey] = {}
    for line in lines:
        one = msgspec.json.decode(line)
        number, data = one["id"].partition("-")[0], one["data"]
        if number not in found:
            found[number] = Journey(campaign=data.get("campaign_id", "campaign-000"))
        else:
            money = data.get(_MONEY.get(one["type"], ""), {"amount": "0"})
            found[number].happen(found[number].campaign, one["type"], money["amount"])
    yield from found.values()
