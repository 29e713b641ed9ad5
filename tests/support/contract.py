"""What holds of every report, whatever it is about; checked on the engine in memory and on PostgreSQL alike.

A report is read as a table: by group, the figures that add up. Such a figure may be unknown where something was posted that it is
made of; where nothing was, it adds nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from service.domain.figures import Share, Total
from service.domain.report import Report
from service.domain.reports.forecast import OVERDUE
from service.domain.units import DAY, OF_MEASURE, TRUTH
from service.projections.reports.answers import Page
from service.projections.sums.selection import TIME_GROUPS, Key, Query, column_of
from tests.reference.oracle import PERIODS
from tests.support.memory import answer

Figures = Mapping[str, Decimal | None]
Table = dict[Key, Figures]


def figure_in(row: Mapping[str, Any], name: str) -> Any:
    """Return a figure of a row, or a member with several."""
    found: Any = row
    for part in name.split("."):
        found = found[part]
    return found


def without_shares(report: Report, row: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a row tells of all rows together."""
    reasons = {name: reason for name, reason in row["reasons"].items() if name not in report.of_kind(Share)}
    return {name: value for name, value in row.items() if name not in report.of_kind(Share)} | {"reasons": reasons}


def sums_of(report: Report) -> dict[str, Total]:
    """Return the figures of a report whose rows add up to the total."""
    return {name: figure for name, figure in report.of_kind(Total).items() if figure.additive}


def key_of(row: Mapping[str, Any], query: Query) -> Key:
    return tuple(row[name] for name in query.names)


async def table(view: Any, report: Report, query: Query) -> tuple[Table, Figures]:
    """Return the figures that add up, by group and in total."""
    rows, total, _ = await answer(view, report, query)
    totals = sums_of(report) if report.has_total else {}
    parts = tuple({measure for figure in totals.values() for measure in figure.of})
    posted = await view.sums(query, parts)
    posted_in_all = (await view.sums(replace(query, group_by=()), parts)).get((), {})

    def known(row: Mapping[str, Any], sums: Mapping[str, int]) -> Figures:
        found: dict[str, Decimal | None] = {}
        for name, figure in totals.items():
            value, nothing = figure_in(row, name), not any(sums.get(one) for one in figure.of)
            found[name] = Decimal(str(value)) if value is not None else Decimal(0) if nothing else None
        return found

    keys = [key_of(row, query) for row in rows]
    assert len(keys) == len({*keys})
    by_key = {key: known(row, posted.get(key, {})) for key, row in zip(keys, rows, strict=True)}
    return by_key, known(total, posted_in_all)


def assert_adds_up(report: Report, parts: Iterable[Figures], whole: Figures | None) -> None:
    """Each figure that is known of all parts is what these add up to; what has no row has nothing."""
    parts = list(parts)
    for name in sums_of(report):
        known = [value for one in parts if (value := one[name]) is not None]
        if len(known) == len(parts):
            assert sum(known, Decimal(0)) == (Decimal(0) if whole is None else whole[name]), name


def counts_once(report: Report, *queries: Query) -> bool:
    """Tell whether everything stands in one row: by what entities state several of, rows add up for each of these alone."""
    dimensions = {name for query in queries for name in query.dimensions}
    facets = report.facets.groups.items() if report.facets else ()
    asked = [names for _, names in facets if not dimensions.isdisjoint(names)]
    return not asked or (len(asked) == 1 and len(asked[0]) == 1)


def rows_add_up(report: Report, group_by: Iterable[str]) -> bool:
    """Tell whether rows by these add up: not by what an entity has several of and may state all of, as its stages."""
    if report.keys is not None:
        return False
    return report.facets is None or {*group_by}.isdisjoint(report.facets.dimensions - report.facets.not_posted)


def of_other_facets(report: Report, one: Query, other: Query) -> bool:
    """Tell whether two queries tell entities by different things that these may state, as of those that state a reason alone."""
    facets = report.facets
    return facets is not None and facets.asked(one.dimensions) != facets.asked(other.dimensions)


async def check_rows(view: Any, report: Report, query: Query) -> None:
    if not counts_once(report, query):
        return
    rows, total = await table(view, report, query)
    if rows_add_up(report, query.group_by):
        assert_adds_up(report, rows.values(), total)


async def check_periods(view: Any, report: Report, query: Query, fine: str, coarse: str) -> None:
    """The days, or months, of a longer period add up to it, in each group."""
    if report.keys is not None:
        return
    others = tuple(one for one in query.group_by if one not in TIME_GROUPS)[:2]
    short, _ = await table(view, report, replace(query, group_by=(*others, fine)))
    long, _ = await table(view, report, replace(query, group_by=(*others, coarse)))
    within: dict[Key, list[Figures]] = defaultdict(list)
    for key, figures in short.items():
        label = key[-1]
        if label and label != OVERDUE:
            label = PERIODS[coarse](date.fromisoformat(label if fine == "day" else f"{label}-01"))
        within[*key[:-1], label].append(figures)
    for key in within.keys() | long.keys():
        assert_adds_up(report, within[key], long.get(key))


async def check_filters(view: Any, report: Report, query: Query, dimension: str) -> None:
    """A group's row is the total of what its value filters, also the one without a value; several values are any of them."""
    if report.keys is not None:
        return
    others = tuple(one for one in query.only if one[0] != dimension)
    grouped = replace(query, group_by=(dimension,), only=others)
    if not counts_once(report, grouped, query) or of_other_facets(report, grouped, query):
        return
    rows, _, _ = await answer(view, report, grouped)
    whole, total = await table(view, report, grouped)
    labels: list[str] = []
    for row in rows:
        labels.append(row.pop(column_of(dimension)) or "")
        only = (*others, (dimension, (labels[-1],)))
        alone = (await answer(view, report, replace(grouped, only=only))).total
        assert without_shares(report, alone) == without_shares(report, row)
    for several in (labels, labels[1:]):
        if several:
            _, some = await table(view, report, replace(query, only=(*others, (dimension, tuple(several)))))
            assert_adds_up(report, [whole[(one or None,)] for one in several], some)
    if rows_add_up(report, (dimension,)):
        assert_adds_up(report, whole.values(), total)


def _comparable(report: Report, name: str, value: Any) -> Any:
    return value if report.figures[name].unit in (DAY, TRUTH) else Decimal(str(value))


async def check_pages(view: Any, report: Report, query: Query, page: Page) -> None:
    """Rows come by a figure, those without it last and equal ones by key; pages of them are all of them."""
    by_key, total, _ = await answer(view, report, query)
    order = [key_of(row, query) for row in by_key]
    assert order == sorted(order, key=lambda key: [(label is None, label or "") for label in key])
    rows, _, last = await answer(view, report, query, page._replace(limit=None))
    assert last is None
    assert sorted(rows, key=lambda row: order.index(key_of(row, query))) == by_key
    if page.sort is not None and report.figures[page.sort].unit != OF_MEASURE:  # of which some are money
        values = [(figure_in(row, page.sort), order.index(key_of(row, query))) for row in rows]
        known = [(_comparable(report, page.sort, value), place) for value, place in values if value is not None]
        assert all(value is None for value, _ in values[len(known) :])
        for (one, place), (following, next_place) in pairwise(known):
            assert one >= following if page.falling else one <= following
            exact = report.figures[page.sort].additive  # what is written of others may be rounded
            assert not exact or one != following or place < next_place
    elif page.sort is None:
        assert rows == by_key
    glued: list[dict[str, Any]] = []
    while True:
        found = await answer(view, report, query, page)
        assert found.total == total
        glued += found.rows
        if found.last is None:
            break
        assert len(found.rows) == page.limit
        assert key_of(found.rows[-1], query) == found.last
        page = page._replace(after=found.last)
    assert glued == rows


def assert_reasons(report: Report, row: Mapping[str, Any]) -> None:
    """Every null has a reason, its own or that of the member that it is in, and every reason a null."""
    if not row and not report.has_total:
        return
    unexplained = {name for name in report.figures if figure_in(row, name) is None}
    for name, reason in row["reasons"].items():
        explained = {one for one in report.figures if one == name or one.startswith(f"{name}.")}
        if not explained and report.keyed and name.startswith(f"{report.keyed}."):
            continue  # of a model that is published, not declared
        nulls = {one for one in explained if figure_in(row, one) is None}
        assert nulls, name
        assert reason
        unexplained -= nulls
    assert not unexplained
