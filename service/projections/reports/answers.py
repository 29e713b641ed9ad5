"""Answers a report: reads what its figures are made of, and works out its rows and its total."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple

from service.domain.attribution.measures import model_of
from service.domain.contributions import REPORTS
from service.domain.cubes import NOT_OF_COST
from service.domain.details import TOLD
from service.domain.durations import EXACT_BELOW, middle_of
from service.domain.figures import Age, Dealt, Formula, PastDue
from service.domain.postings import sum_by_key
from service.domain.report import Report, Row, first_days_of, percentiles_of
from service.domain.standing import PEOPLE, Persons
from service.domain.units import Exact
from service.projections.reports import dealing, dues, faceted, forecast, forecast_accuracy, stocks, targets
from service.projections.reports.dues import Now
from service.projections.reports.own_rows import OwnRows
from service.projections.reports.reading import Snapshot
from service.projections.reports.stocks import Stocks
from service.projections.sums.selection import Key, Query, Sums
from service.projections.sums.threads import apart

Lengths = dict["Key | None", dict[str, dict[Any, int]]]  # group → duration → length → how often; None = all groups
Reader = Callable[[Snapshot, Report, Query, date], Awaitable[OwnRows]]
READERS: Mapping[str, Reader] = {
    "forecast": forecast.read, "forecast-accuracy": forecast_accuracy.read, "targets": targets.read
}  # fmt: skip
_NOBODY: Key = ()  # the key of no row: each has a group
Days = dict["Key | None", dict[str, date]]
FirstDays = dict["Key | None", dict[str, "date | None"]]


class _Read(NamedTuple):
    """What has been read for a report, by group; None is the key of all groups together."""

    sums: dict[Key, Sums]
    total: Sums
    cohorts: dict[Key, Sums]
    lengths: Lengths
    last_days: Days
    first_days: FirstDays
    stocks: Stocks
    people: People | None
    now: Now | None
    missing: frozenset[str]
    own: OwnRows


class People(NamedTuple):
    """How many people there are by what they are, and the labels, by a `dimension`, that rows are of."""

    times: dict[str | None, int]
    labels: frozenset[str | None]
    dimension: str

    def of(self, query: Query, key: Key | None) -> frozenset[str | None]:
        """Return the labels that a row is of."""
        grouped = key is not None and self.dimension in query.group_by
        return frozenset({key[query.group_by.index(self.dimension)]}) if key and grouped else self.labels


class Page(NamedTuple):
    """Which rows, in which order: by a figure, or by key; after the row of a key, as many as the limit says."""

    sort: str | None = None
    falling: bool = False
    after: Key | None = None
    limit: int | None = None


class Answer(NamedTuple):
    """Rows and total of a report; `last` is the key of the last row where others follow."""

    rows: list[dict[str, Any]]
    total: dict[str, Any]
    last: Key | None


async def read(
    view: Snapshot, report: Report, query: Query, now: Now | None, include: frozenset[str] = frozenset(),
    page: Page = Page(),
) -> Answer | None:  # fmt: skip
    """Return the rows and the total of a report; None if the page comes after a row that there is none of.

    Rows have those of the figures on request that `include` names, whatever they are sorted by;
    the total, and the row of one campaign, has all. The total is of all rows, whatever the page.
    """
    answer, _ = await read_with_empty(view, report, query, now, include, page)
    return answer


async def read_with_empty(
    view: Snapshot, report: Report, query: Query, now: Now | None, include: frozenset[str] = frozenset(),
    page: Page = Page(),
) -> tuple[Answer | None, dict[str, Any]]:  # fmt: skip
    """Return the same, and the figures of a row without anything."""
    query = within(report, query, now)
    asked = report.on_request if query.one_campaign else report.on_request & include
    found = await _read(view, report, query, now, asked | (report.on_request & {page.sort}))
    both: tuple[Answer | None, dict[str, Any]] = await apart(
        len(found.sums) + len(found.cohorts), _answer, view, report, query, found, asked, page
    )
    answer, empty = both
    if answer is not None and report.parts:
        for name, of in report.parts.items():
            answer.total[name] = await _rows_of(view, REPORTS[of], query, now)
    return answer, empty


async def _rows_of(view: Snapshot, report: Report, query: Query, now: Now | None) -> list[dict[str, Any]]:
    """Return the rows of a report for the window of another one, whatever the filters of that."""
    answer = await read(view, report, Query((report.group_by,), query.since, query.until), now)
    assert answer is not None  # noqa: S101  it comes after no row
    return answer.rows


async def beside(view: Snapshot, report: Report, query: Query, now: Now) -> dict[str, Any]:
    """Return what the answer of a report says besides its rows."""
    return {"win_rates": await forecast.win_rates(view, query, now.today)} if report.name == "forecast" else {}


def within(report: Report, query: Query, now: Now | None) -> Query:
    """Return a query by the keys of a report and on its basis, for its usual window where none is asked for."""
    if report.keys is not None:
        query = replace(query, group_by=report.keys)
    if report.basis:
        query = replace(query, basis=report.basis)
    if report.window and now and query.since is None and query.until is None:
        since, until = report.window(now.today)
        query = replace(query, since=since, until=until)
    return query


async def _read(view: Snapshot, report: Report, query: Query, now: Now | None, asked: frozenset[str]) -> _Read:
    """Read all that the figures of a report are made of."""
    together: Sums | None = None
    own = OwnRows({})
    if (reader := READERS.get(report.name)) is not None and now is not None:
        own = await reader(view, report, query, now.today)
        sums = own.sums
    elif report.facets is not None:
        sums, together = await faceted.read(view, query, report.facets, report.measures)
    else:
        sums = await view.sums(query, report.measures)
    for name, figure in report.of_kind(Dealt).items():
        sums = dealing.in_place(sums, figure.of, name, await dealing.deal(view, query, figure))
    for name, overdue in report.of_kind(PastDue).items():
        for group, amount in (await dues.past_due(view, query, overdue, now)).items():
            sums[group] = {**sums.get(group, {}), name: amount}
    total = await apart(len(sums), sum_by_key, sums.values()) if together is None else together
    cohorts = {}
    if report.cohort_measures:
        cohorts = await view.sums(replace(query, basis="cohort"), report.cohort_measures)
    lengths = await _lengths(view, report, query, [*sums.items(), (None, total)])
    last_days: Days = {}
    for measure in {one.of for one in report.of_kind(Age).values()}:
        for key, day in (await view.last_day(query, measure)).items():
            last_days.setdefault(key, {})[measure] = day
    used = {*report.measures, *report.cohort_measures}
    missing = frozenset(one for one in used if (one if model_of(one) is None else TOLD[0]) not in view.layout)
    first_days = await _first_days(view, report, query, asked)
    stands = await stocks.read(view, report, query, sums)
    people = await _people(view, report, query)
    return _Read(sums, total, cohorts, lengths, last_days, first_days, stands, people, now, missing, own)


async def _people(view: Snapshot, report: Report, query: Query) -> People | None:
    """Read how many people there are now, and of which labels rows are, whatever the window."""
    named = next((figure.named for figure in report.of_kind(Persons).values()), None)
    if named is None:
        return None
    (measure, by), dimension = PEOPLE, report.cube.by[0]
    labels = await view.sums(Query((dimension,), only=query.only), [named])
    times = await view.sums(Query((by,)), [measure])
    return People(
        {key[0]: sums[measure] for key, sums in times.items()}, frozenset(key[0] for key in labels), dimension
    )


async def _first_days(view: Snapshot, report: Report, query: Query, asked: frozenset[str]) -> FirstDays:
    """Return by group the days on which something is reached: of all together always, of rows where that is asked for."""
    found: FirstDays = {}
    for name, figure in first_days_of(report).items():
        parts = {one: report.additive(one) or {} for one in figure.operands()}
        cost, *returns = (
            {measure: sign for of in one.values() for measure, sign in of.items()} for one in parts.values()
        )
        by_return = dict(zip((figure.result, figure.instead), returns, strict=True))
        together = await view.first_days(replace(query, group_by=()), cost, by_return)
        found.setdefault(None, {}).update(together.get((), {}))
        if name in asked:
            for key, days in (await view.first_days(query, cost, by_return)).items():
                found.setdefault(key, {}).update(days)
    return found


async def _lengths(view: Snapshot, report: Report, query: Query, groups: Iterable[tuple[Key | None, Sums]]) -> Lengths:
    """Return the lengths that percentiles are made of: exact where a group has few, else the middles of buckets."""
    names = percentiles_of(report)
    counts = [(key, name, sums[name]) for key, sums in groups for name in names if name in sums]
    few = sorted({name for _, name, count in counts if count < EXACT_BELOW})
    many = sorted({name for _, name, count in counts if count >= EXACT_BELOW})
    with_few = {key for key, _, count in counts if count < EXACT_BELOW}
    found: Lengths = {}
    for (key, name), lengths in (await view.samples(query, few, EXACT_BELOW, with_few)).items():
        found.setdefault(key, {})[name] = dict(lengths)
    for (key, name), buckets in (await view.histograms(query, many, EXACT_BELOW)).items():
        found.setdefault(key, {})[name] = {middle_of(bucket): times for bucket, times in buckets.items()}
    return found


def _answer(
    view: Snapshot, report: Report, query: Query, found: _Read, asked: frozenset[str], page: Page
) -> tuple[Answer | None, dict[str, Any]]:  # fmt: skip
    """Work out the figures of each group, in their order, of all together, and of a group without anything."""
    unattributed: list[Key] = [(None,)] if query.group_by == ("campaign",) and not query.only else []
    moved = found.sums  # what is unattributed has a row, also where it is empty, and so has a stock
    if report.stocks or found.people:
        moved = {key: sums for key, sums in moved.items() if not report.moved.isdisjoint(sums)}
    if found.people and query.group_by == (found.people.dimension,):
        moved = {(label,): found.sums.get((label,), {}) for label in found.people.labels}
    summed = dict.fromkeys([*moved, *found.stocks.keys, *found.own.kept, *unattributed])
    keys = sorted({*summed, *found.cohorts}, key=_by_key)
    lacking = next((one for one in NOT_OF_COST if one in query.dimensions), "")
    total = _row(view, report, query, found, None, lacking)
    rows = {key: _row(view, report, query, found, key, lacking, total) for key in [*keys, _NOBODY]}
    order = [key for key in keys if report.keys != () and (key in summed or _says_something(report, rows[key]))]
    if page.sort is not None:
        order = _sorted(order, {key: rows[key].value(page.sort) for key in order}, falling=page.falling)
    leave_out = report.on_request - asked
    empty = rows[_NOBODY].written(leave_out)
    if page.after is not None:
        if page.after not in order:
            return None, empty
        order = order[order.index(page.after) + 1 :]
    shown = order[: page.limit]
    written = [{**dict(zip(query.names, key, strict=True)), **rows[key].written(leave_out)} for key in shown]
    last = shown[-1] if len(shown) < len(order) else None
    return Answer(written, total.written() if report.has_total else {}, last), empty


def _by_key(key: Key) -> list[tuple[bool, str]]:
    """Rows come by key, null last."""
    return [(value is None, value or "") for value in key]


def _sorted(keys: list[Key], values: Mapping[Key, Exact | None], *, falling: bool) -> list[Key]:
    """Sort keys, which are in their own order, by values: null last either way, equal ones as they are."""
    known = [(key, value) for key in keys if (value := values[key]) is not None]
    known.sort(key=lambda one: -one[1] if falling else one[1])
    return [*(key for key, _ in known), *(key for key in keys if values[key] is None)]


def _says_something(report: Report, row: Row) -> bool:
    """Tell whether a group of which nothing is summed has a figure on the cohort basis."""
    return any(row.value(name) is not None for name in report.of_kind(Formula))


def _row(
    view: Snapshot, report: Report, query: Query, found: _Read, key: Key | None, lacking: str, whole: Row | None = None
) -> Row:  # fmt: skip
    """Return the row of a group; None = of all together, which is the `whole` of the others."""
    nothing: Mapping[Any, Any] = {}
    stands, people = found.stocks, found.people
    sums = found.total if key is None else found.sums.get(key, nothing)
    cohort = sum_by_key(found.cohorts.values()) if key is None else found.cohorts.get(key, nothing)
    return Row(
        report, view.ledger.currency, sums, cohort, found.lengths.get(key, nothing), found.last_days.get(key, nothing),
        found.first_days.get(key, nothing), found.now and found.now.today, found.missing, view.version, whole, lacking,
        opening=stands.opening.get(key, nothing), closing=stands.closing.get(key, nothing),
        earlier=stands.earlier.get(key, nothing), people=people.times if people else nothing,
        labels=people.of(query, key) if people else frozenset(), given=found.own.given.get(key, found.own.otherwise),
    )  # fmt: skip
