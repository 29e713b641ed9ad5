"""Targets beside what came of them: those of a shape – a length of period, some dimensions – are answered by one read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from fractions import Fraction

from service.domain.components.targets import DIMENSIONS
from service.domain.cubes import NOT_OF_COST
from service.domain.given import Values
from service.domain.report import Report, Row
from service.domain.reports.targets import ACTUALS, AMOUNT, SET, STATED, TARGETS, WAITING, Aim
from service.projections.reports.own_rows import OwnRows
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Key, Query, Sums

Shape = tuple[str, tuple[str, ...]]  # a grain, and dimensions


async def read(view: Snapshot, _: Report, query: Query, today: date) -> OwnRows:
    """Return a row for each target whose period overlaps the window, and that has one of the values of each filter."""
    chosen = [(key, aim) for key, aim in await stated(view, query) if aim.overlaps(query.since, query.until)]
    shapes: dict[Shape, list[tuple[Key, Aim]]] = {}
    for key, aim in chosen:
        shapes.setdefault((aim.grain, tuple(aim.of)), []).append((key, aim))
    given: dict[Key | None, Values] = {}
    for shape, aims in shapes.items():
        sums = await _actual(view, shape, [aim for _, aim in aims])
        lacking = next((one for one in NOT_OF_COST if one in shape[1]), "")
        for key, aim in aims:
            mine = sums.get((aim.period, *aim.of.values()), {})
            actual = Row(
                ACTUALS, view.ledger.currency, mine, lacking=lacking, version=view.version, missing=_missing(view)
            )
            given[key] = aim.set_against(actual, today)
    return OwnRows({}, given, tuple(key for key, _ in chosen))


async def stated(view: Snapshot, query: Query) -> list[tuple[Key, Aim]]:
    """Return the targets that have one of the values of each filter, each with what it states."""
    asked = Query(TARGETS.by, only=filters(query))
    found = []
    for key, sums in (await view.sums(asked, (SET, WAITING, AMOUNT))).items():
        *labels, number = key
        said = dict(zip(STATED, labels, strict=True))
        value = None if WAITING in sums else sums.get(AMOUNT, 0) if number is None else Fraction(number)
        of = {name: label for name in DIMENSIONS if (label := said[name]) is not None}
        found.append((tuple(labels), Aim(str(said["measure"]), str(said["period"]), of, value)))
    return found


def filters(query: Query) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the filters of a query by what targets state, which is not what their campaign has."""
    return tuple((f"target_{name}", values) for name, values in query.only)


def opened(query: Query) -> Query:
    """Return the query of what targets open down to."""
    return replace(query, only=filters(query), since=None, until=None)


def _missing(view: Snapshot) -> frozenset[str]:
    return frozenset(one for one in ACTUALS.measures if one not in view.layout)


async def _actual(view: Snapshot, shape: Shape, aims: Iterable[Aim]) -> dict[Key, Sums]:
    """Return the sums that the measures of targets of a shape are made of, by period and dimensions."""
    aims = list(aims)
    grain, dimensions = shape
    days = [aim.days for aim in aims]
    window = Query((grain, *dimensions), min(first for first, _ in days), max(end for _, end in days))
    return await view.sums(window, ACTUALS.measures_of(*dict.fromkeys(aim.measure for aim in aims)))
