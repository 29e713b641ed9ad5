"""Lists what differs between two generations of the read models, as operators read it: figure by figure, old and new.

By campaign and month first, which is how figures are read; what only finer cells show is listed by those; then campaigns of which
something else is known, and figures that are other ones of the very same sums, because their definition is another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from service.domain.contributions import REPORTS
from service.domain.figures import Total
from service.domain.layout import Layout

Places = tuple[int, int, int]  # ledger, old and new generation


class Shared(NamedTuple):
    """What two layouts have in common of a cube: its dimensions, its measures, and its letters in both for the same sums."""

    name: str
    by: tuple[str, ...]
    measures: tuple[str, ...]
    letters: tuple[tuple[str, str], ...]


async def store(
    connection: Any, places: Places, shared: list[Shared], pair: tuple[Layout, Layout], versions: tuple[str, str],
    *, alike: bool,
) -> int:  # fmt: skip
    """Store all differences as those of the new generation; return how many. `alike`: their sums are known to be the same."""
    await connection.execute("DELETE FROM differences WHERE ledger = $1 AND generation = $2", places[0], places[2])
    found = 0
    if not alike:
        for statement in _listing(shared, *pair):
            found += _rows(await connection.execute(statement, *places, timeout=3600))
        found = found or _rows(await connection.execute(_BY_BUCKET, *places, timeout=3600))
    return found + await _defined_otherwise(connection, places, shared, pair, versions)


async def _defined_otherwise(
    connection: Any, places: Places, shared: list[Shared], pair: tuple[Layout, Layout],
    versions: tuple[str, str],
) -> int:  # fmt: skip
    """List, by campaign and month, the figures that are other ones of the very same sums; return how many."""
    found = 0
    for name, figure in _figures_defined_otherwise(versions):
        cube = next((one for one in shared if {*figure.of} <= {*one.measures}), None)
        if cube is None:
            continue
        moved, measures = [], sorted({*cube.measures})
        statement = _same_sums(_cells(cube, *pair, "m", finest=False, rows="true"), measures)
        async for basis, campaign, start, *amounts in connection.cursor(statement, *places, timeout=3600):
            sums = dict(zip(measures, map(int, amounts), strict=True))
            old, new = (figure.without(sums, version) for version in versions)
            if (old is None) != (new is None):
                value = str(sum(sign * sums[measure] for measure, sign in figure.of.items()))
                moved.append((basis, campaign, start, name, *(None if one else value for one in (old, new))))
        await connection.executemany(_ONE_MORE, [(places[0], places[2], *one) for one in moved])
        found += len(moved)
    return found


def _figures_defined_otherwise(versions: tuple[str, str]) -> Iterable[tuple[str, Total]]:
    for report in REPORTS.values():
        for name, figure in report.of_kind(Total).items():
            if figure.once.get(versions[0]) != figure.once.get(versions[1]):
                yield name, figure


def _rows(status: str) -> int:
    return int(status.rpartition(" ")[2])


# What is known of each campaign that is known at all; the order of attributes says nothing, and was another one once.
KNOWN = """
    SELECT generation, campaign, coalesce(attributes::jsonb, '{{}}')::text AS attributes FROM (
        SELECT DISTINCT ON (generation, campaign) generation, campaign, events FROM known_campaigns
        WHERE ledger = $1 AND generation = ANY({}) ORDER BY generation, campaign, position DESC
    ) named LEFT JOIN LATERAL (
        SELECT attributes FROM campaigns c WHERE c.ledger = $1 AND c.generation = named.generation
        AND c.campaign = named.campaign ORDER BY position DESC LIMIT 1
    ) last ON true WHERE events > 0
"""
_INSERT = (
    "INSERT INTO differences (ledger, generation, line, basis, campaign, grain, start, where_else, measure, old, new)"
)
_KEYS = "campaign, start, basis"
_NEXT_LINE = "(SELECT coalesce(max(line), 0) FROM differences WHERE ledger = $1 AND generation = $3) + row_number()"
_ONE_MORE = f"""
    {_INSERT} SELECT $1, $2, coalesce(max(line), 0) + 1, $3, $4, 'm', $5, NULL, $6, $7, $8
    FROM differences WHERE ledger = $1 AND generation = $2
"""
_LISTED = """
    EXISTS (
        SELECT FROM differences d WHERE d.ledger = $1 AND d.generation = $3 AND d.grain = 'm' AND d.basis = cells.basis::text
        AND coalesce(d.campaign, '') = coalesce(cells.campaign, '') AND d.measure = cells.measure
        AND d.start = date_trunc('month', cells.start::timestamp)::date
    )
"""


def _listing(shared: list[Shared], old: Layout, new: Layout) -> Iterable[str]:
    """Yield what lists the differences: by campaign and month; what only all dimensions and days show; what is known."""
    rolled = " UNION ALL ".join(_cells(cube, old, new, "m", finest=False) for cube in shared)
    finest = " UNION ALL ".join(_cells(cube, old, new, "d", finest=True) for cube in shared)
    yield _different(rolled, _KEYS, "m", "NULL::json")
    yield _different(finest, f"{_KEYS}, elsewhere", "d", "elsewhere::json", unless=_LISTED)
    yield f"""
        WITH known AS ({KNOWN.format("ARRAY[$2::integer, $3::integer]")})
        {_INSERT}
        SELECT $1, $3, {_NEXT_LINE} OVER (ORDER BY campaign), '', campaign, '', '-infinity', NULL, 'attributes',
               min(attributes) FILTER (WHERE generation = $2), min(attributes) FILTER (WHERE generation = $3)
        FROM known GROUP BY campaign
        HAVING min(attributes) FILTER (WHERE generation = $2)
            IS DISTINCT FROM min(attributes) FILTER (WHERE generation = $3)
    """


def _different(cells: str, keys: str, grain: str, where_else: str, unless: str = "false") -> str:
    """List where the sums of `amount` by keys and measure differ between the generations $2 and $3."""
    old, new = (f"coalesce(sum(amount) FILTER (WHERE generation = {one}), 0)" for one in ("$2", "$3"))
    return f"""
        {_INSERT}
        SELECT $1, $3, {_NEXT_LINE} OVER (ORDER BY {keys}, measure), basis, campaign, '{grain}', start, {where_else}, measure,
               {old}::text, {new}::text
        FROM ({cells}) cells WHERE NOT ({unless}) GROUP BY {keys}, measure HAVING {old} <> {new}
    """


_BY_BUCKET = _different(
    """
    SELECT generation, basis, start, s.campaign, measure || '.bucket.' || bucket AS measure, amount FROM histograms b
    JOIN segments s USING (ledger, generation, segment) WHERE ledger = $1 AND generation IN ($2, $3)
    """,
    _KEYS, "m", "NULL::json",
)  # fmt: skip


def _same_sums(cells: str, measures: list[str]) -> str:
    """Select the sums of measures by campaign and month where both generations have the same."""
    sums = ", ".join(f"coalesce(sum(amount) FILTER (WHERE measure = '{one}'), 0) AS \"{one}\"" for one in measures)
    names = ", ".join(f'"{one}"' for one in measures)
    return f"""
        SELECT basis::text, campaign, start, {names} FROM (
            SELECT generation, {_KEYS}, {sums} FROM ({cells}) cells GROUP BY generation, {_KEYS}
        ) sums GROUP BY {_KEYS}, {names} HAVING count(*) = 2 ORDER BY {_KEYS}
    """


def _cells(cube: Shared, old: Layout, new: Layout, grain: str, *, finest: bool, rows: str = "times = 1") -> str:
    """The balances of a cube in both generations, a row per measure: by its first roll-up, or by all dimensions.

    Of rows that are the same in both, `times` is 2: they are left out, for there may be very many.
    """
    parts = []
    for generation, layout in (("$2", old), ("$3", new)):
        stored = layout.cubes[cube.name]
        letter = stored.letters[0 if finest or not stored.rollups else 1]
        columns = [f"nullif({layout.column(measure)}, 0)" for measure in cube.measures]
        named = ", ".join(f"{column} AS a{number}" for number, column in enumerate(columns))
        others = [name for name in cube.by if name != "campaign"]
        labels = ", ".join(f"'{name}', s.labels[{stored.by.index(name) + 1}]" for name in others)
        elsewhere = f"json_build_object({labels})::text" if finest else "NULL::text"
        cell = f"ROW(basis, start, s.campaign, {elsewhere}, {', '.join(columns)})"
        parts.append(f"""
            SELECT generation, basis, start, s.campaign, {elsewhere} AS elsewhere, {named},
                   hash_record_extended({cell}, 0) AS cell
            FROM balances b JOIN segments s USING (ledger, generation, segment)
            WHERE ledger = $1 AND generation = {generation} AND b.cube = '{letter}' AND grain = '{grain}'
        """)
    each = ", ".join(f"('{measure}', a{number})" for number, measure in enumerate(cube.measures))
    return f"""
        SELECT generation, basis, start, campaign, m.measure, m.amount, elsewhere FROM (
            SELECT *, count(*) OVER (PARTITION BY cell) AS times FROM ({" UNION ALL ".join(parts)}) both_of
        ) told CROSS JOIN LATERAL (VALUES {each}) m (measure, amount) WHERE {rows} AND m.amount <> 0
    """
