"""The engine's tables and a reader's snapshot in memory, for property tests with many examples.

`tests/integration/test_engine.py` runs the same properties on PostgreSQL: the fake has to pass what the real thing passes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import msgspec

from service.domain.attribution.measures import AMOUNTS, model_of
from service.domain.calendar import grain_label, grain_start
from service.domain.components.campaigns import topmost
from service.domain.contributions import LAYOUT, REPORTS
from service.domain.details import TOLD
from service.domain.durations import bucket_of
from service.domain.events import read_event
from service.domain.facts import Key
from service.domain.postings import Segments
from service.domain.report import Report
from service.projections.attribution import dealing
from service.projections.attribution.deals import Deals, deals_of
from service.projections.attribution.lines import Line
from service.projections.engine.components import Component, decode
from service.projections.engine.engine import Engine
from service.projections.engine.set_aside import Entry, SetAside
from service.projections.engine.tables import Changes, Journal
from service.projections.reports.answers import Answer, Page, read
from service.projections.reports.dues import Now, now_at
from service.projections.reports.reading import AsOf, Posted
from service.projections.sums.known_campaigns import Known
from service.projections.sums.selection import OF_CAMPAIGN, TIME_GROUPS, Query
from service.store.ledgers import Ledger
from service.store.log.stored_events import Stored
from service.store.rows import row_of

LEDGER = Ledger(1, "memory", "EUR", "UTC")
_MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
REGISTERS = (
    "fx.rate_published", "event.voided", "stage.defined", "sla.defined", "account.merged", "contact.merged"
)  # fmt: skip
NOW = int(_MOMENT.timestamp()) * 1_000_000


def stored(position: int, event: dict[str, Any]) -> Stored:
    """Return an event as the log would give it back."""
    row = row_of(read_event(event))
    return Stored(
        position, _MOMENT, row.micros, row.version, row.source, row.id, row.type, row.time, row.rest, row.subject,
        row.dataschema, row.data.decode(), row.extensions.decode() if row.extensions else None,
    )  # fmt: skip


class MemoryTables:
    """What `projections.tables.Tables` is to the engine, without a database."""

    def __init__(self, rows: Sequence[Stored]) -> None:
        self.segments = Segments(LAYOUT)
        self.known = Known()
        self.named: dict[tuple[str, int], int] = {}
        self.unsettled = 0
        self.postings: list[tuple[int, Any, int]] = []
        self.attributes: dict[str, dict[str, Any]] = {}
        self.aside: dict[tuple[int, int], Entry] = {}
        self.rows = {(row.source, row.id): row for row in rows}
        self._owners: dict[Key, int] = {}
        self._components: dict[int, tuple[str, bytes]] = {}
        self._lookups: dict[int, dict[str, int]] = {}

    async def owners(self, keys: Sequence[Key]) -> dict[Key, int]:
        return {key: self._owners[key] for key in keys if key in self._owners}

    async def components(self, identities: Collection[int]) -> list[Component]:
        return [decode(one, *self._components[one]) for one in identities]

    async def asking_for(self, currency: str, day: int) -> list[int]:
        return sorted(one for one, lookups in self._lookups.items() if lookups.get(currency, -1) >= day)

    async def event(self, identity: tuple[str, str], until: int) -> Stored | None:
        row = self.rows.get(identity)
        return row if row and row.position <= until else None

    async def event_at(self, position: int) -> list[Stored]:
        return [row for row in self.rows.values() if row.position == position]

    async def go_on_at(self, position: int) -> None:
        """Nothing is numbered here."""

    async def show_life(self) -> None:
        """Nobody waits here."""

    async def set_aside(self, kept: list[Entry], gone: list[tuple[int, int]]) -> None:
        self.aside = {(one.position, one.component): one for one in [*self.aside.values(), *kept]}
        for one in gone:
            self.aside.pop(one, None)

    async def write(self, journal: Journal) -> None:
        self.postings.extend(journal.postings)
        self.named.update(self.known.new)
        self.known.new = {}
        for campaign, _, attributes in journal.campaigns:
            self.attributes[campaign] = msgspec.json.decode(msgspec.json.encode(attributes))

    async def store(self, changes: Changes) -> None:
        self._owners.update(changes.new_owners | changes.owners)
        for one in changes.kept.values():
            self._components[one.id] = (one.kind, one.encode())
            self._lookups[one.id] = dict(one.lookups)
        for identity in changes.removed:
            self._components.pop(identity, None)
            self._lookups.pop(identity, None)


def _where(tables: MemoryTables, segment: int) -> dict[str, str | None]:
    cube, labels = tables.segments.labels[segment]
    return dict(zip(LAYOUT.cubes[cube].by, labels, strict=True))


class MemorySnapshot:
    """What `projections.reading.Snapshot` is to the reports, from postings in memory."""

    def __init__(
        self, tables: MemoryTables, ledger: Ledger = LEDGER, recorded: Sequence[datetime] = (), until: int | None = None
    ) -> None:
        """`recorded` is when each position was; all of them long after what they tell, unless that is given."""
        self.ledger = ledger
        self.as_of = AsOf(len(tables.rows) if until is None else until, _MOMENT)
        self._of = (tables, ledger, recorded)
        self._attributes = tables.attributes
        self.layout = LAYOUT
        self.version = "memory"
        known = [one for one in tables.postings if one[0] <= self.as_of.position]
        self.told = [
            Line(measure, entity, day, cohort, detail, amount, position)
            for position, (measure, entity, _, day, cohort, _, detail), amount in known
            if measure in (*TOLD, *AMOUNTS)
        ]
        self._lines = [(*cell[:2], _where(tables, cell[2]), *cell[3:], amount) for _, cell, amount in known]

    async def at(self, moment: int | datetime) -> MemorySnapshot:
        recorded = self._of[2] or [_MOMENT] * self.as_of.position
        position = moment if isinstance(moment, int) else sum(one <= moment for one in recorded)
        return MemorySnapshot(*self._of, min(position, self.as_of.position))

    def _selected(self, query: Query, measures: Iterable[str]) -> Iterable[tuple[Any, str, date, Any, Any, str, int]]:
        return ((*found,) for *found, _ in self._found(query, measures))

    def _found(self, query: Query, measures: Iterable[str]) -> Iterable[tuple[Any, ...]]:
        wanted = set(measures)
        for measure, entity, where, day, cohort, value, detail, amount in self._lines:
            start = date.fromordinal(day if query.basis == "event" else cohort)
            undated = start == date.min
            inside = any(span.since <= start < span.until for span in query.windows)
            if measure in wanted and (undated or inside) and self._chosen(query, where):
                yield self._key(query, where, start), measure, start, value, detail, entity, amount, where

    def _dimension(self, name: str, where: dict[str, str | None]) -> str | None:
        campaign = where.get("campaign")
        attributes = self._attributes.get(campaign or "", {})
        if name == "campaign_type":
            return attributes.get("campaign_type")
        if name == "parent":
            parents = {one: known.get("parent_id") for one, known in self._attributes.items()}
            return topmost(parents).get(campaign or "", campaign)
        label = where.get(name)
        return label if name != "channel" or label is not None else attributes.get("channel") or None

    def _chosen(self, query: Query, where: dict[str, str | None]) -> bool:
        return all((self._dimension(name, where) or "") in values for name, values in query.only)

    def _key(self, query: Query, where: dict[str, str | None], start: date) -> tuple[str | None, ...]:
        return tuple(
            (None if start == date.min else grain_label(grain_start(start, group), group))
            if group in TIME_GROUPS
            else self._dimension(group, where)
            for group in query.group_by
        )

    async def campaigns(self) -> dict[str, dict[str, Any]]:
        return self._attributes

    async def deals(self) -> Deals:
        return deals_of(self.told)

    async def sums(self, query: Query, measures: Sequence[str]) -> dict[Any, dict[str, int]]:
        dealt: dict[Any, dict[str, int]] = {}
        if any(map(model_of, measures)):
            dealt = dealing.sums(await self.deals(), query, measures, dealing.campaigns(self._attributes))
        for key, sums in (await self._posted(query, measures)).items():
            dealt[key] = {**dealt.get(key, {}), **sums}
        return dealt

    async def _posted(self, query: Query, measures: Sequence[str]) -> dict[Any, dict[str, int]]:
        found: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        plain = {one.removesuffix(".total") for one in measures}
        for key, measure, _, value, _, _, amount in self._selected(query, plain):
            found[key][measure] += amount
            found[key][f"{measure}.total"] += amount * (value or 0)
        kept = {
            key: {one: amount for one, amount in sums.items() if amount and one in measures}
            for key, sums in found.items()
        }
        return {key: sums for key, sums in kept.items() if sums}

    async def posted(self, query: Query, measure: str) -> list[Posted]:
        found: dict[Any, int] = defaultdict(int)
        for key, _, start, _, detail, entity, amount, where in self._found(query, [measure]):
            found[key, entity, detail, tuple(where.items()), start] += amount
        return [
            Posted(key, entity, detail, dict(where), start, amount)
            for (key, entity, detail, where, start), amount in found.items()
            if amount
        ]

    async def aliases(self, _: str, __: Iterable[str]) -> dict[str, str]:
        return {}  # what is asked for by an alias is tried on PostgreSQL

    async def last_day(self, query: Query, measure: str) -> dict[Any, date]:
        daily: dict[Any, int] = defaultdict(int)
        for key, _, start, _, _, _, amount in self._selected(query, [measure]):
            daily[(key, start)] += amount
            daily[(None, start)] += amount
        found: dict[Any, date] = {}
        for (key, start), amount in sorted(daily.items(), key=lambda one: one[0][1]):
            if amount > 0:
                found[key] = start
        return found

    async def first_days(
        self, query: Query, cost: dict[str, int], returns: dict[str, dict[str, int]]
    ) -> dict[Any, dict[str, date | None]]:
        measures = {*cost, *(one for of in returns.values() for one in of)}
        if any(map(model_of, measures)):
            return await dealing.first_days(self.sums, query, cost, returns)
        daily: dict[Any, dict[date, Any]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
        for key, measure, start, _, _, _, amount in self._selected(query, measures):
            daily[key][start][measure] += amount
        found: dict[Any, dict[str, date | None]] = {}
        for key, days in daily.items():
            found[key] = dict.fromkeys(returns)
            for name, of in returns.items():
                spent = result = 0
                for start in sorted(days):
                    spent += sum(sign * days[start][measure] for measure, sign in cost.items())
                    result += sum(sign * days[start][measure] for measure, sign in of.items())
                    if spent > 0 and result >= spent:
                        found[key][name] = start
                        break
        return found

    async def samples(
        self, query: Query, measures: Sequence[str], below: int, _: Collection[Any]
    ) -> dict[Any, dict[int, int]]:
        found = self._lengths(query, measures, int)
        return {key: lengths for key, lengths in found.items() if sum(lengths.values()) < below}

    async def histograms(self, query: Query, measures: Sequence[str], least: int) -> dict[Any, dict[int, int]]:
        found = self._lengths(query, measures, bucket_of)
        return {key: lengths for key, lengths in found.items() if sum(lengths.values()) >= least}

    def _lengths(self, query: Query, measures: Sequence[str], length: Any) -> dict[Any, dict[int, int]]:
        found: dict[Any, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for key, measure, _, value, _, _, amount in self._selected(query, measures):
            if value is not None:
                for one in (key, None):
                    found[(one, measure)][length(value)] += amount
        return {key: {one: times for one, times in lengths.items() if times} for key, lengths in found.items()}

    async def unconverted(self, query: Query) -> list[tuple[str, str]]:
        found: dict[Any, int] = defaultdict(int)
        for _, _, start, _, detail, entity, amount in self._selected(query, ["unconverted"]):
            found[(entity, detail, start)] += amount
        return [(entity, detail) for (entity, detail, _), amount in found.items() if amount]

    async def pending_links(self) -> int:
        return sum(amount for *_, amount in self._selected(Query(()), ["pending_links"]))


async def project(
    events: Sequence[dict[str, Any]], batches: Sequence[int] = (), ledger: Ledger = LEDGER
) -> MemoryTables:
    """Project events in the given arrival order, cut into batches at the given places, dropping the working set between."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        seen.setdefault((event["source"], event["id"]), event)
    rows = [stored(position, event) for position, event in enumerate(seen.values(), 1)]
    tables = MemoryTables(rows)
    cuts = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in batches)})
    next_component = 1
    for start, end in pairwise(cuts):
        registers = [row for row in rows[:start] if row.type in REGISTERS]
        aside = SetAside(tables.aside.values())
        engine = Engine(ledger, tables, next_component, registers, aside)  # type: ignore[arg-type]  # the fake
        await engine.project(rows[start:end])
        await engine.store()
        next_component = engine.next_component
    return tables


async def retry(tables: MemoryTables, ledger: Ledger = LEDGER) -> None:
    """Process again what is set aside."""
    registers = [row for row in tables.rows.values() if row.type in REGISTERS]
    unused = 1_000_000  # no component has this number yet
    engine = Engine(ledger, tables, unused, registers, SetAside(tables.aside.values()))  # type: ignore[arg-type]  # the fake
    await engine.retry()
    await engine.store()


def now(ledger: Ledger) -> Now:
    """Return the moment at which all of it is recorded."""
    return now_at(_MOMENT, ledger.timezone)


def answers_to(report: Report, query: Query) -> bool:
    """Tell whether a report has the groups, the filters and the basis of a query."""
    known = {*report.dimensions, *(OF_CAMPAIGN if "campaign" in report.cube.by else ())}
    known_basis = query.basis in report.bases
    return report.keys is None and query.dimensions <= known and known_basis and of_one_facet(report, query)


def of_one_facet(report: Report, query: Query) -> bool:
    """Tell whether a query is of one thing at most that an entity may state several of."""
    asked = [one for one in report.facets.groups.values() if query.dimensions & {*one}] if report.facets else []
    return len(asked) < 2


async def answer(view: Any, report: Report, query: Query, page: Page = Page()) -> Answer:
    """Return a report with all figures that there are of a row."""
    found = await read(view, report, query, now(view.ledger), report.on_request, page)
    assert found is not None
    return found


async def answers(tables: MemoryTables, query: Query, ledger: Ledger = LEDGER) -> dict[str, Any]:
    """Return all reports that know what is asked for, what is unconverted and the pending links."""
    view: Any = MemorySnapshot(tables, ledger)
    found: dict[str, Any] = {}
    for name, report in REPORTS.items():
        if answers_to(report, query):
            rows, total, _ = await answer(view, report, query)
            found[name] = {"rows": rows, "total": total}
    waiting = sorted(await view.unconverted(query))
    found["unconverted"] = [one for one in waiting if one[1].split(" ")[0] in REPORTS["roi"].measures]
    found["pending_links"] = await view.pending_links()
    counts = {campaign: events for (campaign, _), events in sorted(tables.named.items())}
    found["campaigns"] = {campaign for campaign, events in counts.items() if events}
    return found
