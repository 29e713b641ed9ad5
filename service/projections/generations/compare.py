"""Compares two generations of the read models: a digest per report, and every figure in which they differ.

Both are compared at the same position, by the names of campaigns and dimensions: numbers of segments are each generation's own.
Of generations that were laid out otherwise, what both have is compared: measures that only one knows are new, no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from service.domain import layout as layouts
from service.domain.calendar import grain_label
from service.domain.contributions import REPORTS, UNITS
from service.domain.cubes import total_of
from service.domain.figures import Total
from service.domain.layout import Layout, Stored
from service.domain.units import written
from service.projections.generations import differences
from service.projections.generations.differences import KNOWN, Shared

_GRAINS = {"d": "day", "m": "month", "y": "year"}


class Comparison(NamedTuple):
    """Two digests per read model, (old, new), and how many figures differ."""

    digests: dict[str, tuple[str, str]]
    differences: int

    @property
    def identical(self) -> bool:
        """Whether every read model is the same, cell for cell."""
        return not self.differences and all(old == new for old, new in self.digests.values())


async def compare(connection: Any, ledger: int, old: int, new: int) -> Comparison:
    """Compare two generations; figures that differ are stored as the `differences` of the new one."""
    kept = await connection.fetch(
        "SELECT layout::text, version FROM generations WHERE ledger = $1 AND generation = ANY($2) ORDER BY generation = $3",
        ledger, [old, new], new,
    )  # fmt: skip
    pair = layouts.read(kept[0][0]), layouts.read(kept[-1][0])
    shared = _shared(*pair)
    before, after = [
        await digests(connection, ledger, one, of, shared, number)
        for number, (one, of) in enumerate(zip((old, new), pair, strict=True))
    ]
    alike = before == after and pair[0].cubes == pair[1].cubes
    found = await differences.store(
        connection, (ledger, old, new), shared, pair, (kept[0][1], kept[-1][1]), alike=alike
    )
    return Comparison({name: (before[name], after[name]) for name in before}, found)


def _shared(old: Layout, new: Layout) -> list[Shared]:
    found = []
    for name in old.cubes.keys() & new.cubes.keys():
        one, other = old.cubes[name], new.cubes[name]
        same = {kept: letter for letter, kept in other.levels()}
        letters = tuple((letter, same[kept]) for letter, kept in one.levels() if kept in same)
        by = tuple(dimension for dimension in one.by if dimension in other.by)
        found.append(Shared(name, by, tuple(one_ for one_ in one.measures if one_ in other.measures), letters))
    return sorted(found)


async def digests(
    connection: Any, ledger: int, generation: int, layout: Layout, shared: Iterable[Shared], side: int
) -> dict[str, str]:
    """Return a digest of each report's cells, in whatever order they are found; `side` is 0 of the old generation, else 1."""
    found: dict[str, str] = {}
    attributes = await connection.fetchval(_ATTRIBUTES, ledger, generation)
    for report in REPORTS.values():
        parts = []
        for cube in shared:
            measures = [one for one in (*report.measures, *report.cohort_measures) if one in cube.measures]
            if not measures:
                continue
            letters = [pair[side] for pair in cube.letters]
            statement = _digest(cube, dict.fromkeys(measures), letters, layout)
            parts.append(await connection.fetchval(statement, ledger, generation, timeout=3600))
            if durations := [one for one in measures if total_of(one) in measures]:
                whole = len(cube.by) == len(layout.cubes[cube.name].by)
                statement = _digest_of_durations(cube, layout, durations, by_label=whole)
                parts += await connection.fetchrow(statement, ledger, generation, timeout=3600)
        found[report.name] = "".join(map(_hex, parts))
    return {**found, "campaigns": _hex(attributes)}


async def listed(
    pool: Any, ledger: int, generation: int, currency: str, after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Return the figures in which a generation differed from the one that served, after a line."""
    rows = await pool.fetch(
        """
        SELECT line, basis, campaign, grain, start, where_else, measure, old, new FROM differences
        WHERE ledger = $1 AND generation = $2 AND line > $3 ORDER BY line LIMIT $4
        """,
        ledger, generation, after, limit,
    )  # fmt: skip
    return [
        {
            "line": row["line"], "models": _reports_of(row["measure"]), "measure": row["measure"],
            "campaign_id": row["campaign"], "date_basis": {"e": "event", "c": "cohort"}.get(row["basis"]),
            "period": _period(row["grain"], row["start"]), "where": row["where_else"],
            "old": _figure(row["measure"], row["old"], currency), "new": _figure(row["measure"], row["new"], currency),
        }
        for row in rows
    ]  # fmt: skip


def _reports_of(measure: str) -> list[str]:
    if measure == "attributes":
        return ["campaigns"]
    return [one.name for one in REPORTS.values() if measure in (*one.measures, *one.cohort_measures, *one.figures)]


def _unit(measure: str) -> str | None:
    figure = next((one.figures[measure] for one in REPORTS.values() if measure in one.figures), None)
    return UNITS.get(measure) or (figure.unit if isinstance(figure, Total) else None)


def _figure(measure: str, value: str | None, currency: str) -> str | None:
    """Write an amount as the reports do: money with its digits, durations in days, counts as they are."""
    unit = _unit(measure)
    if measure == "attributes" or (value is None and measure not in UNITS):
        return value
    if unit is not None:
        return str(written(int(value or 0), unit, currency))
    return value or "0"


def _period(grain: str, start: Any) -> str | None:
    return None if grain not in _GRAINS or start.year == 1 else grain_label(start, _GRAINS[grain])


def _hex(total: Any) -> str:
    return f"{int(total or 0) % 2**64:016x}"


def _bare(cube: Shared, stored: Stored) -> str:
    return ", ".join(f"s.labels[{stored.by.index(name) + 1}]" for name in cube.by) or "0"


def _digest(cube: Shared, measures: Iterable[str], letters: Iterable[str], layout: Layout) -> str:
    """What makes one number of all cells; a measure that has come back to 0 is as good as one that never was."""
    columns = ", ".join(f"nullif({layout.column(measure)}, 0)" for measure in measures)
    # The letter says which dimensions are told apart: it need not be the same in both, but its place among the letters is.
    places = "".join(f"WHEN '{letter}' THEN {number} " for number, letter in enumerate(letters))
    cell = f"ROW(basis, CASE b.cube {places} END, grain, start, {_bare(cube, layout.cubes[cube.name])}, {columns})"
    some = ", ".join(f"'{letter}'" for letter in letters)
    return f"""
        SELECT sum(hash_record_extended({cell}, 0)) FILTER (WHERE coalesce({columns}) IS NOT NULL)
        FROM balances b JOIN segments s USING (ledger, generation, segment)
        WHERE ledger = $1 AND generation = $2 AND b.cube IN ({some or "''"})
    """


def _digest_of_durations(cube: Shared, layout: Layout, durations: list[str], *, by_label: bool) -> str:
    """Durations by bucket, and one by one: a sum of amounts times hashes is the same for what adds up to the same."""
    stored = layout.cubes[cube.name]
    names = ", ".join(f"'{name}'" for name in durations)
    where = _bare(cube, stored)
    if not by_label and stored.rollups:
        where = "s.campaign"
    return f"""
        SELECT (
            SELECT sum(hash_record_extended(ROW(basis, start, s.campaign, measure, bucket, amount), 0))
            FROM histograms b JOIN segments s USING (ledger, generation, segment)
            WHERE ledger = $1 AND generation = $2 AND amount <> 0 AND measure IN ({names})
        ), (
            SELECT sum(amount * hash_record_extended(ROW({where}, measure, day, cohort, value), 0))
            FROM postings b JOIN segments s USING (ledger, generation, segment)
            WHERE ledger = $1 AND generation = $2 AND value IS NOT NULL AND measure IN ({names})
        )
    """


_ATTRIBUTES = f"""
    SELECT sum(hash_record_extended(ROW(campaign, attributes), 0)) FROM ({KNOWN.format("ARRAY[$2::integer]")}) known
"""
