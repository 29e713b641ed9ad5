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
_MONEY = roi.MEASURES[:7]
_MICROS_PER_DAY = 86_400_000_000
_GRAINS = {"d": "day", "m": "month", "y": "year"}
_MEASURES = tuple(dict.fromkeys(measure for measures in MODELS.values() for measure in measures))


class Comparison(NamedTuple):
    """Two digests per read model, (old, new), and how many figures differ."""

    digests: dict[str, tuple[str, str]]
    differences: int

    @property
    def identical(self) -> bool:
        """Whether every read model is the same, cell for cell."""
        return all(old == new for old, new in self.digests.values())


async def compare(connection: Any, ledger: int, old: int, new: int) -> Comparison:
    """Compare two generations; figures that differ are stored as the `differences` of the new one."""
    before, after = [await digests(connection, ledger, one) for one in (old, new)]
    await connection.execute("DELETE FROM differences WHERE ledger = $1 AND generation = $2", ledger, new)
    found = 0
    if before != after:
        # By campaign and month first: that is how figures are read. What only finer cells show is listed by those.
        for statement in (_BY_CAMPAIGN, _BY_SEGMENT, _BY_BUCKET, _BY_ATTRIBUTES):
            found = found or _rows(await connection.execute(statement, ledger, old, new, timeout=3600))
    return Comparison({name: (before[name], after[name]) for name in before}, found)


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
            "line": row["line"], "models": [name for name, measures in MODELS.items() if row["measure"] in measures],
            "measure": row["measure"], "campaign_id": row["campaign"],
            "date_basis": {"e": "event", "c": "cohort"}.get(row["basis"]), "period": _period(row["grain"], row["start"]),
            "where": row["where_else"], "old": _figure(row["measure"], row["old"], currency),
            "new": _figure(row["measure"], row["new"], currency),
        }
        for row in rows
    ]  # fmt: skip


def _figure(measure: str, value: str | None, currency: str) -> str | None:
    """Write an amount as the reports do: money with its digits, durations in days, counts as they are."""
    if measure == "attributes":
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
_KNOWN = """
    SELECT DISTINCT ON (generation, campaign) generation, campaign, attributes::text AS attributes FROM campaigns
    WHERE ledger = $1 AND generation = ANY({}) ORDER BY generation, campaign, position DESC
"""
_ATTRIBUTES = f"""
    SELECT sum(hash_record_extended(ROW(campaign, attributes), 0)) FROM ({_KNOWN.format("ARRAY[$2::integer]")}) known
    WHERE attributes <> '{{}}'
"""
_INSERT = (
    "INSERT INTO differences (ledger, generation, line, basis, campaign, grain, start, where_else, measure, old, new)"
)
_EACH = ", ".join(f"('{measure}', {column(measure)})" for measure in _MEASURES)


def _different(cells: str, keys: str, grain: str, where_else: str) -> str:
    """List where the sums of `amount` by keys and measure differ between the generations $2 and $3."""
    old, new = (f"coalesce(sum(amount) FILTER (WHERE generation = {one}), 0)" for one in ("$2", "$3"))
    return f"""
        {_INSERT}
        SELECT $1, $3, row_number() OVER (ORDER BY {keys}, measure), basis, campaign, '{grain}', start, {where_else}, measure,
               {old}::text, {new}::text
        FROM ({cells}) cells GROUP BY {keys}, measure HAVING {old} <> {new}
    """


def _balances(cube: str, grain: str) -> str:
    return f"""
        SELECT generation, basis, start, {_LABELS}, m.measure, m.amount FROM balances b
        JOIN segments s USING (ledger, generation, segment) CROSS JOIN LATERAL (VALUES {_EACH}) m (measure, amount)
        WHERE ledger = $1 AND generation IN ($2, $3) AND cube = '{cube}' AND grain = '{grain}' AND m.amount <> 0
    """


_KEYS = "campaign, start, basis"
_OTHERS = "channel, source, medium, owner"
_ELSEWHERE = ", ".join(f"'{name}', {name}" for name in ("channel", "source", "medium", "owner"))
_BY_CAMPAIGN = _different(_balances("c", "m"), _KEYS, "m", "NULL")
_BY_SEGMENT = _different(_balances("s", "d"), f"{_KEYS}, {_OTHERS}", "d", f"json_build_object({_ELSEWHERE})")
_BY_BUCKET = _different(
    f"""
    SELECT generation, basis, start, {_LABELS}, measure || '.bucket.' || bucket AS measure, amount FROM histograms b
    JOIN segments s USING (ledger, generation, segment) WHERE ledger = $1 AND generation IN ($2, $3)
    """,
    _KEYS, "m", "NULL",
)  # fmt: skip
_BY_ATTRIBUTES = f"""
    WITH known AS ({_KNOWN.format("ARRAY[$2::integer, $3::integer]")})
    {_INSERT}
    SELECT $1, $3, row_number() OVER (ORDER BY campaign), '', campaign, '', '-infinity', NULL, 'attributes',
           min(attributes) FILTER (WHERE generation = $2), min(attributes) FILTER (WHERE generation = $3)
    FROM known GROUP BY campaign
    HAVING min(attributes) FILTER (WHERE generation = $2) IS DISTINCT FROM min(attributes) FILTER (WHERE generation = $3)
"""
