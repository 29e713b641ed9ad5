"""Compares two generations of the read models: a digest per read model, and every figure in which they differ.

Both are compared at the same position, by the names of campaigns and dimensions: numbers of segments are each generation's own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from service.domain.calendar import grain_label
from service.domain.money import format_minor
from service.domain.reports import conversion, roi, velocity
from service.projections.sums.balances import column

MODELS: dict[str, tuple[str, ...]] = {
    "roi": roi.MEASURES,
    "conversion": conversion.MEASURES,
    "velocity": (*velocity.MEASURES, *velocity.TOTALS),
}
_MARGIN = "gross_margin"  # no sum, but its definition has changed
_MONEY = (*roi.MEASURES[:7], _MARGIN)
_MICROS_PER_DAY = 86_400_000_000
_GRAINS = {"d": "day", "m": "month", "y": "year"}
_MEASURES = tuple(dict.fromkeys(measure for measures in MODELS.values() for measure in measures))


class Comparison(NamedTuple):
    """Two digests per read model, (old, new), and how many figures differ."""

    digests: dict[str, tuple[str, str]]
    differences: int

    @property
    def identical(self) -> bool:
        """Whether every read model is the same, cell for cell, and gives the same figures."""
        return not self.differences and all(old == new for old, new in self.digests.values())


async def compare(connection: Any, ledger: int, old: int, new: int) -> Comparison:
    """Compare two generations; figures that differ are stored as the `differences` of the new one."""
    before, after = [await digests(connection, ledger, one) for one in (old, new)]
    await connection.execute("DELETE FROM differences WHERE ledger = $1 AND generation = $2", ledger, new)
    found = 0
    if before != after:
        # By campaign and month first: that is how figures are read. What only finer cells show is listed by those.
        for statement in (_BY_CAMPAIGN, _BY_SEGMENT, _BY_CAMPAIGN_KNOWN):
            found += _rows(await connection.execute(statement, ledger, old, new, timeout=3600))
        found = found or _rows(await connection.execute(_BY_BUCKET, ledger, old, new, timeout=3600))
    found += await _margins(connection, ledger, old, new)
    return Comparison({name: (before[name], after[name]) for name in before}, found)


async def _margins(connection: Any, ledger: int, old: int, new: int) -> int:
    """List the gross margins that are other ones although all that they are made of is the same; return how many."""
    versions = dict(await connection.fetch("SELECT generation, version FROM generations WHERE ledger = $1", ledger))
    if roi.NEEDS_REVENUE.isdisjoint({versions[old], versions[new]}):
        return 0
    found = []
    async for basis, campaign, start, *amounts in connection.cursor(_MARGIN_PARTS, ledger, old, new, timeout=3600):
        sums = dict(zip(roi.MARGIN_PARTS, map(int, amounts), strict=True))
        margins = [roi.gross_margin(sums, versions[one]) for one in (old, new)]
        if margins[0] != margins[1]:
            found.append((basis, campaign, start, *(None if one is None else str(one) for one in margins)))
    await connection.executemany(_OTHER_MARGIN, [(ledger, new, *one) for one in found])
    return len(found)


async def digests(connection: Any, ledger: int, generation: int) -> dict[str, str]:
    """Return a digest of each read model's cells, in whatever order they are found."""
    balances = await connection.fetchrow(_BALANCES, ledger, generation, timeout=3600)
    durations = await connection.fetchrow(_DURATIONS, ledger, generation, timeout=3600)
    attributes = await connection.fetchval(_ATTRIBUTES, ledger, generation)
    found = {name: _hex(value) for name, value in zip(MODELS, balances, strict=True)}
    found["velocity"] += "".join(map(_hex, durations))
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
            "line": row["line"], "models": _models(row["measure"]),
            "measure": row["measure"], "campaign_id": row["campaign"],
            "date_basis": {"e": "event", "c": "cohort"}.get(row["basis"]), "period": _period(row["grain"], row["start"]),
            "where": row["where_else"], "old": _figure(row["measure"], row["old"], currency),
            "new": _figure(row["measure"], row["new"], currency),
        }
        for row in rows
    ]  # fmt: skip


def _models(measure: str) -> list[str]:
    only = {_MARGIN: "roi", "attributes": "campaigns"}.get(measure)
    return [only] if only else [name for name, measures in MODELS.items() if measure in measures]


def _figure(measure: str, value: str | None, currency: str) -> str | None:
    """Write an amount as the reports do: money with its digits, durations in days, counts as they are."""
    if measure == "attributes" or (measure == _MARGIN and value is None):
        return value
    if measure in _MONEY:
        return format_minor(int(value or 0), currency)
    if measure in velocity.TOTALS:
        return f"{int(value or 0) / _MICROS_PER_DAY:.4f}"
    return value or "0"


def _period(grain: str, start: Any) -> str | None:
    return None if grain not in _GRAINS or start.year == 1 else grain_label(start, _GRAINS[grain])


def _hex(total: Any) -> str:
    return f"{int(total or 0) % 2**64:016x}"


def _rows(status: str) -> int:
    return int(status.rpartition(" ")[2])


_LABELS = "s.campaign, s.channel, s.source, s.medium, s.owner"


def _digest(measures: tuple[str, ...]) -> str:
    """One number over all cells of a read model; a measure that has come back to 0 is as good as one that never was."""
    columns = ", ".join(f"nullif({column(measure)}, 0)" for measure in measures)
    cell = f"hash_record_extended(ROW(basis, cube, grain, start, {_LABELS}, {columns}), 0)"
    return f"sum({cell}) FILTER (WHERE coalesce({columns}) IS NOT NULL)"


_BALANCES = f"""
    SELECT {", ".join(map(_digest, MODELS.values()))}
    FROM balances b JOIN segments s USING (ledger, generation, segment) WHERE ledger = $1 AND generation = $2
"""
# Durations by bucket, and one by one: a sum of amounts times hashes is the same for what adds up to the same.
_DURATIONS = f"""
    SELECT (
        SELECT sum(hash_record_extended(ROW(basis, start, {_LABELS}, measure, bucket, amount), 0))
        FROM histograms b JOIN segments s USING (ledger, generation, segment)
        WHERE ledger = $1 AND generation = $2 AND amount <> 0
    ), (
        SELECT sum(amount * hash_record_extended(ROW({_LABELS}, measure, day, cohort, value), 0))
        FROM postings b JOIN segments s USING (ledger, generation, segment)
        WHERE ledger = $1 AND generation = $2 AND value IS NOT NULL
    )
"""
# What is known of each campaign that is known at all; the order of attributes says nothing, and was another one once.
_KNOWN = """
    SELECT generation, campaign, coalesce(attributes::jsonb, '{{}}')::text AS attributes FROM (
        SELECT DISTINCT ON (generation, campaign) generation, campaign, events FROM known_campaigns
        WHERE ledger = $1 AND generation = ANY({}) ORDER BY generation, campaign, position DESC
    ) named LEFT JOIN LATERAL (
        SELECT attributes FROM campaigns c WHERE c.ledger = $1 AND c.generation = named.generation
        AND c.campaign = named.campaign ORDER BY position DESC LIMIT 1
    ) last ON true WHERE events > 0
"""
_ATTRIBUTES = f"""
    SELECT sum(hash_record_extended(ROW(campaign, attributes), 0)) FROM ({_KNOWN.format("ARRAY[$2::integer]")}) known
"""
_INSERT = (
    "INSERT INTO differences (ledger, generation, line, basis, campaign, grain, start, where_else, measure, old, new)"
)
_AMOUNTS = ", ".join(f"nullif({column(measure)}, 0)" for measure in _MEASURES)
_EACH = ", ".join(f"('{measure}', {column(measure)})" for measure in _MEASURES)


_NEXT_LINE = "(SELECT coalesce(max(line), 0) FROM differences WHERE ledger = $1 AND generation = $3) + row_number()"


def _different(cells: str, keys: str, grain: str, where_else: str, unless: str = "false") -> str:
    """List where the sums of `amount` by keys and measure differ between the generations $2 and $3."""
    old, new = (f"coalesce(sum(amount) FILTER (WHERE generation = {one}), 0)" for one in ("$2", "$3"))
    return f"""
        {_INSERT}
        SELECT $1, $3, {_NEXT_LINE} OVER (ORDER BY {keys}, measure), basis, campaign, '{grain}', start, {where_else}, measure,
               {old}::text, {new}::text
        FROM ({cells}) cells WHERE NOT ({unless}) GROUP BY {keys}, measure HAVING {old} <> {new}
    """


def _balances(cube: str, grain: str, rows: str = "true") -> str:
    """Return the amounts of `rows`, measure by measure. `alike`: whether the other generation has the same row."""
    return f"""
        SELECT generation, basis, start, {_LABELS}, m.measure, m.amount FROM (
            SELECT *, count(*) OVER same = 2 AND min(amounts) OVER same = max(amounts) OVER same AS alike FROM (
                SELECT b.*, {_LABELS}, hash_record_extended(ROW({_AMOUNTS}), 0) AS amounts FROM balances b
                JOIN segments s USING (ledger, generation, segment)
                WHERE ledger = $1 AND generation IN ($2, $3) AND cube = '{cube}' AND grain = '{grain}'
            ) cells WINDOW same AS (PARTITION BY basis, start, {_LABELS.replace("s.", "")})
        ) s CROSS JOIN LATERAL (VALUES {_EACH}) m (measure, amount) WHERE {rows} AND m.amount <> 0
    """


_LISTED = """
    EXISTS (
        SELECT FROM differences d WHERE d.ledger = $1 AND d.generation = $3 AND d.grain = 'm' AND d.basis = cells.basis::text
        AND coalesce(d.campaign, '') = coalesce(cells.campaign, '') AND d.measure = cells.measure
        AND d.start = date_trunc('month', cells.start::timestamp)::date
    )
"""
_KEYS = "campaign, start, basis"
_OTHERS = "channel, source, medium, owner"
_ELSEWHERE = ", ".join(f"'{name}', {name}" for name in ("channel", "source", "medium", "owner"))
_BY_CAMPAIGN = _different(_balances("c", "m", "NOT alike"), _KEYS, "m", "NULL")
_BY_SEGMENT = _different(
    _balances("s", "d", "NOT alike"), f"{_KEYS}, {_OTHERS}", "d", f"json_build_object({_ELSEWHERE})", unless=_LISTED
)
_BY_BUCKET = _different(
    f"""
    SELECT generation, basis, start, {_LABELS}, measure || '.bucket.' || bucket AS measure, amount FROM histograms b
    JOIN segments s USING (ledger, generation, segment) WHERE ledger = $1 AND generation IN ($2, $3)
    """,
    _KEYS, "m", "NULL",
)  # fmt: skip
_BY_CAMPAIGN_KNOWN = f"""
    WITH known AS ({_KNOWN.format("ARRAY[$2::integer, $3::integer]")})
    {_INSERT}
    SELECT $1, $3, {_NEXT_LINE} OVER (ORDER BY campaign), '', campaign, '', '-infinity', NULL, 'attributes',
           min(attributes) FILTER (WHERE generation = $2), min(attributes) FILTER (WHERE generation = $3)
    FROM known GROUP BY campaign
    HAVING min(attributes) FILTER (WHERE generation = $2) IS DISTINCT FROM min(attributes) FILTER (WHERE generation = $3)
"""
_PARTS = ", ".join(f"coalesce(sum(amount) FILTER (WHERE measure = '{part}'), 0) AS {part}" for part in roi.MARGIN_PARTS)
_MARGIN_PARTS = f"""
    SELECT basis::text, campaign, start, {", ".join(roi.MARGIN_PARTS)} FROM (
        SELECT generation, {_KEYS}, {_PARTS} FROM ({_balances("c", "m")}) cells GROUP BY generation, {_KEYS}
    ) sums GROUP BY {_KEYS}, {", ".join(roi.MARGIN_PARTS)} HAVING count(*) = 2 ORDER BY {_KEYS}
"""
_OTHER_MARGIN = f"""
    {_INSERT} SELECT $1, $2, coalesce(max(line), 0) + 1, $3, $4, 'm', $5, NULL, '{_MARGIN}', $6, $7
    FROM differences WHERE ledger = $1 AND generation = $2
"""
